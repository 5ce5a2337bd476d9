/*
 * A fault in one line for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dart/dart.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const fault_texts[] = {
    [DART_FAULT_UNMAPPED] = "not mapped",
    [DART_FAULT_DIRECTION] = "mapped, but not for this direction",
    [DART_FAULT_GONE] = "mapped, but the owner's pages are gone",
};

static size_t append(char *text, size_t size, size_t used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static size_t append(char *text, size_t size, size_t used, const char *format, ...)
{
    if (used >= size) {
        return used;
    }
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
    return more > 0 ? used + (size_t)more : used;
}

void dart_fault_format(const struct dart_fault *fault, char *text, size_t size)
{
    size_t used = append(text, size, 0, "%s of %" PRIu64 " bytes at 0x%" PRIx64 ": %s",
                         fault->is_write ? "write" : "read", fault->bytes, fault->bus_address,
                         fault_texts[fault->kind]);
    if (fault->has_nearest) {
        used =
            append(text, size, used, "; nearest live mapping 0x%" PRIx64 " + 0x%" PRIx64 " bytes",
                   fault->nearest_address, fault->nearest_bytes);
    } else {
        used = append(text, size, used, "; no live mapping");
    }
    if (fault->was_freed) {
        append(text, size, used, "; freed %" PRIu64 ".%06" PRIu64 " ms ago by owner 0x%" PRIx64,
               fault->freed_ago_ns / 1000000, fault->freed_ago_ns % 1000000, fault->freed_by);
    } else if (fault->kind == DART_FAULT_UNMAPPED) {
        append(text, size, used, "; not mapped lately");
    }
}

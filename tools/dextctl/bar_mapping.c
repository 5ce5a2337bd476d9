/*
 * What a mapping of a BAR is made of: direct ranges, and the trapped rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>

#include "bar.h"

#define PARTS_MAX (2 * APPLE_DEXT_BAR_RANGES + 1)

struct part {
    AppleDextBarRange range;
    bool is_direct;
};

void bar_get_mapping(const struct session *session, struct bar *bar)
{
    if (!bar->exists) {
        return;
    }
    if (bar->type & BAR_TYPE_IO) {
        bar->mapping = BAR_MAPPING_PORTS;
        return;
    }
    bar->mapping_code =
        apple_dext_get_bar_ranges(session->connection, bar->index, bar->ranges, &bar->range_count);
    if (bar->mapping_code == KERN_SUCCESS) {
        bar->mapping = BAR_MAPPING_RANGES;
    } else {
        bar->mapping =
            bar->mapping_code == kIOReturnUnsupported ? BAR_MAPPING_WHOLE : BAR_MAPPING_REFUSED;
    }
}

/* The whole BAR, direct and trapped parts in turn; returns how many. */
static size_t list_parts(const struct bar *bar, struct part parts[PARTS_MAX])
{
    size_t count = 0;
    uint64_t end = 0;

    for (uint32_t i = 0; i < bar->range_count; i++) {
        const AppleDextBarRange *range = &bar->ranges[i];
        if (range->offset > end) {
            parts[count++] = (struct part){{end, range->offset - end}, false};
        }
        parts[count++] = (struct part){*range, true};
        end = range->offset + range->bytes;
    }
    if (end < bar->size) {
        parts[count++] = (struct part){{end, bar->size - end}, false};
    }
    return count;
}

static void print_parts(const struct bar *bar)
{
    struct part parts[PARTS_MAX];
    size_t count = list_parts(bar, parts);

    if (count == 1) {
        printf("     %s\n", parts[0].is_direct ? "direct" : "trapped");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        printf("     %-8s 0x%" PRIx64 "-0x%" PRIx64 "\n", parts[i].is_direct ? "direct" : "trapped",
               parts[i].range.offset, parts[i].range.offset + parts[i].range.bytes - 1);
    }
}

void bar_print_mapping(const struct bar *bar)
{
    switch (bar->mapping) {
    case BAR_MAPPING_UNASKED:
        break;
    case BAR_MAPPING_PORTS:
        puts("     not mapped: ports");
        break;
    case BAR_MAPPING_WHOLE:
        puts("     mapped whole: this driver tells no direct and trapped ranges");
        break;
    case BAR_MAPPING_RANGES:
        print_parts(bar);
        break;
    case BAR_MAPPING_REFUSED:
        printf("     cannot be mapped: %s\n", apple_dext_status_text(bar->mapping_code));
        break;
    }
}

static json_object *parts_json(const struct part *parts, size_t count, bool is_direct)
{
    json_object *array = json_object_new_array();

    for (size_t i = 0; i < count; i++) {
        if (parts[i].is_direct != is_direct) {
            continue;
        }
        json_object *object = json_object_new_object();
        json_add_number(object, "offset", parts[i].range.offset);
        json_add_number(object, "bytes", parts[i].range.bytes);
        json_object_array_add(array, object);
    }
    return array;
}

void bar_add_mapping_json(json_object *object, const struct bar *bar)
{
    static const char *const words[] = {[BAR_MAPPING_PORTS] = "none",
                                        [BAR_MAPPING_WHOLE] = "whole",
                                        [BAR_MAPPING_RANGES] = "ranges",
                                        [BAR_MAPPING_REFUSED] = "refused"};
    json_object *direct = NULL, *trapped = NULL;

    if (bar->mapping == BAR_MAPPING_UNASKED) {
        return;
    }
    if (bar->mapping == BAR_MAPPING_RANGES) {
        struct part parts[PARTS_MAX];
        size_t count = list_parts(bar, parts);
        direct = parts_json(parts, count, true);
        trapped = parts_json(parts, count, false);
    }
    json_add_text(object, "mapping", words[bar->mapping]);
    json_object_object_add(object, "direct", direct);
    json_object_object_add(object, "trapped", trapped);
}

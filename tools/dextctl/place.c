/*
 * Access to a stretch of a BAR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "place.h"

#include <inttypes.h>

#include "guard.h"
#include "output.h"

static int check_place(const struct place *place)
{
    const char *name = place->session->name;
    const struct bar *bar = &place->bar;

    if (!bar->exists) {
        return failure(name, "BAR %u is unused or the upper half of the one before", bar->index);
    }
    if (bar->type & BAR_TYPE_IO) {
        return failure(name, "BAR %u is I/O ports: unsupported, the dext reaches memory BARs only",
                       bar->index);
    }
    if (place->offset >= bar->size) {
        return failure(name, "offset 0x%" PRIx64 " is outside BAR %u (0x%" PRIx64 " bytes)",
                       place->offset, bar->index, bar->size);
    }
    if (place->bytes > bar->size - place->offset) {
        return failure(name,
                       "0x%" PRIx64 " bytes at offset 0x%" PRIx64 " end outside BAR %u (0x%" PRIx64
                       " bytes)",
                       place->bytes, place->offset, bar->index, bar->size);
    }
    return STATUS_OK;
}

int place_open(struct place *place, const struct session *session, const struct options *options,
               const struct arguments *arguments, uint64_t bytes, uint64_t default_bytes)
{
    mach_vm_size_t size;
    uint8_t type;

    *place = (struct place){
        .session = session, .offset = arguments->offset, .bytes = bytes, .width = options->width};
    kern_return_t code = bar_get(session, arguments->bar, &place->bar);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get information on BAR %u", arguments->bar);
    }
    if (bytes == 0 && place->bar.size > place->offset) {
        uint64_t rest = place->bar.size - place->offset;
        place->bytes = rest < default_bytes ? rest : default_bytes;
    }
    int status = check_place(place);
    if (status != STATUS_OK || (options->given & OPTION_CALL)) {
        return status;
    }
    code = apple_dext_map_bar(session->connection, arguments->bar, &place->address, &size, &type);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot map BAR %u (--call needs no mapping)",
                               arguments->bar);
    }
    return STATUS_OK;
}

void place_close(struct place *place)
{
    if (place->address) {
        apple_dext_unmap_bar(place->session->connection, place->bar.index, place->address);
        place->address = 0;
    }
}

int place_read(const struct place *place, uint64_t at, uint64_t *value)
{
    uint64_t offset = place->offset + at;

    if (place->address) {
        *value = bar_load(place->address + offset, place->width);
        return STATUS_OK;
    }
    kern_return_t code = apple_dext_mmio_read(place->session->connection, place->bar.memory_index,
                                              offset, place->width, value);
    return code == KERN_SUCCESS
               ? STATUS_OK
               : session_failure(place->session, code, "cannot read BAR %u at 0x%" PRIx64,
                                 place->bar.index, offset);
}

int place_write(const struct place *place, uint64_t at, uint64_t value)
{
    uint64_t offset = place->offset + at;

    if (place->address) {
        bar_store(place->address + offset, place->width, value);
        return STATUS_OK;
    }
    kern_return_t code = apple_dext_mmio_write(place->session->connection, place->bar.memory_index,
                                               offset, place->width, value);
    return code == KERN_SUCCESS
               ? STATUS_OK
               : session_failure(place->session, code, "cannot write BAR %u at 0x%" PRIx64,
                                 place->bar.index, offset);
}

uint64_t place_ones(const struct place *place)
{
    return UINT64_MAX >> (64 - 8 * place->width);
}

int place_confirm_ones(const struct place *place)
{
    uint64_t vendor;
    kern_return_t code = apple_dext_config_read(place->session->connection, 0, 2, &vendor);
    return code == KERN_SUCCESS
               ? STATUS_OK
               : session_failure(place->session, code, "BAR %u reads all ones", place->bar.index);
}

const char *place_path(const struct place *place)
{
    return place->address ? "mapping" : "call";
}

int place_check_harm(const struct place *place, const struct options *options)
{
    struct config_image image;
    struct guard_finding finding;

    if (options->given & OPTION_FORCE) {
        return STATUS_OK;
    }
    kern_return_t code = guard_image_read(place->session, &image);
    if (code != KERN_SUCCESS) {
        return session_failure(place->session, code, "cannot read config space");
    }
    if (!guard_bar_write(&image, place->bar.index, place->offset, place->bytes, &finding)) {
        return STATUS_OK;
    }
    return failure(place->session->name,
                   "0x%" PRIx64 " of BAR %u touches %s: %s (--force writes it all the same)",
                   place->offset, place->bar.index, finding.what, finding.why);
}

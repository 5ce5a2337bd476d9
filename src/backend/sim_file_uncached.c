/*
 * Transfers past the page cache (O_DIRECT): straight between memory and the device where offsets,
 * lengths and memory have the alignment that the file asks for, else through a buffer that has it.
 *
 * A write that begins or ends within a unit reads that unit first. Nothing may change it between:
 * whoever calls sees to that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "backend/sim_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"

/* Kernels from before statx told (6.1) refuse what is too little: the first that works is it. */
static int units_try(struct sim_storage_file *file)
{
    static const uint32_t candidates[] = {512, 4096};
    _Alignas(4096) uint8_t scratch[4096];
    for (size_t i = 0; i < sizeof(candidates) / sizeof(*candidates); i++) {
        uint32_t unit = candidates[i];
        if (pread(file->fd, scratch, unit, unit) >= 0) {
            file->unit = file->memory_unit = unit;
            return 0;
        }
        if (errno != EINVAL) {
            return -errno;
        }
    }
    return -ENOTBLK;
}

static bool is_unit(uint32_t unit)
{
    return unit > 0 && unit <= SIM_UNIT_MAX && (unit & (unit - 1)) == 0;
}

static int units_find(struct sim_storage_file *file)
{
    struct statx status;
    if (statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0 ||
        (status.stx_mask & STATX_DIOALIGN) == 0) {
        return units_try(file);
    }
    if (!is_unit(status.stx_dio_offset_align) || !is_unit(status.stx_dio_mem_align)) {
        return -ENOTBLK; /* 0: this file cannot, though its file system takes the flag */
    }
    file->unit = status.stx_dio_offset_align;
    file->memory_unit = status.stx_dio_mem_align;
    return 0;
}

int sim_file_uncache(struct sim_storage_file *file, uint64_t bytes)
{
    int flags = fcntl(file->fd, F_GETFL);
    if (flags < 0) {
        return -errno;
    }
    if (fcntl(file->fd, F_SETFL, flags | O_DIRECT) < 0) {
        return errno == EINVAL ? -ENOTBLK : -errno;
    }
    int result = units_find(file);
    if (result < 0) {
        return result;
    }
    return is_aligned(bytes, file->unit) ? 0 : -EDOM;
}

static bool is_straight(const struct sim_storage_file *file, const struct iovec *pieces, int count,
                        uint64_t offset)
{
    uint64_t sizes = offset, addresses = 0;
    for (int i = 0; i < count; i++) {
        addresses |= (uintptr_t)pieces[i].iov_base;
        sizes |= pieces[i].iov_len;
    }
    return is_aligned(sizes, file->unit) && is_aligned(addresses, file->memory_unit);
}

/* Bytes between pieces, which become shorter, and the buffer. */
static void pieces_copy(struct iovec **pieces, uint8_t *buffer, uint64_t bytes, bool is_write)
{
    while (bytes > 0) {
        struct iovec *piece = *pieces;
        size_t count = piece->iov_len < bytes ? piece->iov_len : (size_t)bytes;
        if (is_write) {
            memcpy(buffer, piece->iov_base, count);
        } else {
            memcpy(piece->iov_base, buffer, count);
        }
        buffer += count;
        bytes -= count;
        piece->iov_base = (uint8_t *)piece->iov_base + count;
        piece->iov_len -= count;
        if (piece->iov_len == 0) {
            (*pieces)++;
        }
    }
}

static int whole(const struct sim_storage_file *file, uint8_t *buffer, uint64_t bytes,
                 uint64_t offset, bool is_write)
{
    struct iovec piece = {.iov_base = buffer, .iov_len = bytes};
    return sim_file_transfer(file, &piece, 1, offset, is_write);
}

/* The first and the last unit, where only part of them is written. */
static int edges_read(const struct sim_storage_file *file, uint8_t *buffer, uint64_t from,
                      uint64_t to, uint64_t start, uint64_t end)
{
    int result = 0;
    if (from < start) {
        result = whole(file, buffer, file->unit, from, false);
    }
    if (result == 0 && end < to && (from == start || to - from > file->unit)) {
        uint64_t last = to - file->unit;
        result = whole(file, buffer + (last - from), file->unit, last, false);
    }
    return result;
}

int sim_file_transfer_uncached(const struct sim_storage_file *file, struct iovec *pieces, int count,
                               uint64_t offset, uint64_t bytes, bool is_write, uint8_t *bounce)
{
    if (is_straight(file, pieces, count, offset)) {
        return sim_file_transfer(file, pieces, count, offset, is_write);
    }
    const uint64_t mask = file->unit - 1;
    for (uint64_t end = offset + bytes; offset < end;) {
        uint64_t from = offset & ~mask;
        uint64_t stop = end - from < SIM_BOUNCE_BYTES ? end : from + SIM_BOUNCE_BYTES;
        uint64_t to = (stop + mask) & ~mask;
        int result = is_write ? edges_read(file, bounce, from, to, offset, stop)
                              : whole(file, bounce, to - from, from, false);
        if (result < 0) {
            return result;
        }
        pieces_copy(&pieces, bounce + (offset - from), stop - offset, is_write);
        if (is_write) {
            result = whole(file, bounce, to - from, from, true);
        }
        if (result < 0) {
            return result;
        }
        offset = stop;
    }
    return 0;
}

/*
 * DMA regions of a peer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/dma.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "vfiouser/foreign.h"

static uint64_t last_of(const struct vu_dma_region *region)
{
    return region->address + (region->bytes - 1);
}

/* Ranges that share a byte are equal: regions in the tree never do. */
static int compare_regions(const void *left, const void *right)
{
    const struct vu_dma_region *a = left;
    const struct vu_dma_region *b = right;
    if (last_of(a) < b->address) {
        return -1;
    }
    return last_of(b) < a->address ? 1 : 0;
}

static int compare_files(const void *left, const void *right)
{
    const struct vu_dma_file *a = left;
    const struct vu_dma_file *b = right;
    if (a->device != b->device) {
        return a->device < b->device ? -1 : 1;
    }
    if (a->inode != b->inode) {
        return a->inode < b->inode ? -1 : 1;
    }
    return (int)a->is_writable - (int)b->is_writable;
}

void vu_dma_init(struct vu_dma *dma, const struct vu_dma_ops *ops, void *opaque,
                 const struct vu_report *report)
{
    *dma = (struct vu_dma){.ops = ops, .opaque = opaque, .report = report};
    TAILQ_INIT(&dma->list);
}

/* ---- Files ------------------------------------------------------------------------------------
 */

static void file_put(struct vu_dma *dma, struct vu_dma_file *file)
{
    if (!file || --file->references > 0) {
        return;
    }
    if (file->is_listed) {
        tdelete(file, &dma->files, compare_files);
    }
    munmap(file->address, file->bytes);
    free(file);
}

/* Map [start, start + bytes) of what fd names. */
static int file_map(struct vu_dma_file *file, int fd, uint64_t start, uint64_t bytes)
{
    int protection = PROT_READ | (file->is_writable ? PROT_WRITE : 0);
    file->address = mmap(NULL, bytes, protection, MAP_SHARED, fd, (off_t)start);
    if (file->address == MAP_FAILED) {
        return errno == ENOMEM ? -ENOMEM : -EINVAL;
    }
    vu_foreign_memory(file->address, bytes);
    file->start = start;
    file->bytes = bytes;
    return 0;
}

/* Just the pages of one region: of what has no length, or is too long to be mapped whole. */
static int file_map_part(struct vu_dma_file *file, int fd, const struct vu_dma_map *map)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = map->offset & ~(page - 1);
    return file_map(file, fd, start, align_up(map->offset - start + map->size, page));
}

static bool file_has(const struct vu_dma_file *file, const struct vu_dma_map *map)
{
    return map->offset >= file->start &&
           range_is_within(map->offset - file->start, map->size, file->bytes);
}

static int file_make(struct vu_dma *dma, const struct vu_dma_file *like, uint64_t length, int fd,
                     const struct vu_dma_map *map, struct vu_dma_file **out)
{
    struct vu_dma_file *file = malloc(sizeof(*file));
    if (!file) {
        return -ENOMEM;
    }
    *file = *like;
    file->references = 1;
    int error = length > 0 ? file_map(file, fd, 0, length) : -EINVAL;
    bool is_whole = error == 0;
    if (!is_whole) {
        error = file_map_part(file, fd, map);
    }
    if (error != 0) {
        free(file);
        return error;
    }
    if (is_whole) {
        file->is_listed = tsearch(file, &dma->files, compare_files) != NULL;
    }
    *out = file;
    return 0;
}

/* A descriptor that does not allow what is asked for, as it would show if it were mapped now. */
static bool is_open_for(int fd, uint32_t flags)
{
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    return mode == O_RDWR || (mode == O_RDONLY && !(flags & VU_DMA_WRITABLE));
}

/* The file's mapping, made when it is the first of it or the file has grown. */
static int file_get(struct vu_dma *dma, int fd, const struct vu_dma_map *map,
                    struct vu_dma_file **out)
{
    struct stat status;
    if (!is_open_for(fd, map->flags) || fstat(fd, &status) < 0) {
        return -EINVAL;
    }
    uint64_t length = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
    /* Memory behind a file's end would be a bus error. */
    if (S_ISREG(status.st_mode) && !range_is_within(map->offset, map->size, length)) {
        return -EINVAL;
    }
    struct vu_dma_file like = {.device = status.st_dev,
                               .inode = status.st_ino,
                               .is_writable = (map->flags & VU_DMA_WRITABLE) != 0};
    struct vu_dma_file **found = tfind(&like, &dma->files, compare_files);
    if (found && file_has(*found, map)) {
        *out = *found;
        (*out)->references++;
        return 0;
    }
    if (found) { /* too short now: later regions shall find the longer one */
        (*found)->is_listed = false;
        tdelete(&like, &dma->files, compare_files);
    }
    return file_make(dma, &like, length, fd, map, out);
}

/* ---- Regions ----------------------------------------------------------------------------------
 */

static uint64_t piece_bytes(const struct vu_dma_region *region, unsigned piece)
{
    uint64_t rest = region->bytes - piece * VU_DMA_PIECE_BYTES;
    return rest < VU_DMA_PIECE_BYTES ? rest : VU_DMA_PIECE_BYTES;
}

/* Out of the device's reach; also what is half done. */
static void region_withdraw(struct vu_dma *dma, struct vu_dma_region *region)
{
    for (unsigned i = 0; i < region->piece_count; i++) {
        dma->ops->unmap(dma->opaque, region->address + i * VU_DMA_PIECE_BYTES);
    }
    region->piece_count = 0;
    if (region->served) {
        dma->ops->unserve(dma->opaque, region);
        region->served = NULL;
    }
}

static void region_destroy(struct vu_dma *dma, struct vu_dma_region *region)
{
    region_withdraw(dma, region);
    file_put(dma, region->file);
    free(region);
}

static uint8_t *region_start(const struct vu_dma_region *region)
{
    return region->file ? region->file->address + (region->offset - region->file->start)
                        : region->served;
}

static int region_register_piece(struct vu_dma *dma, struct vu_dma_region *region)
{
    unsigned piece = region->piece_count;
    uint64_t inside = piece * VU_DMA_PIECE_BYTES;
    uint64_t iova = region->address + inside;
    uint64_t *bus = &region->bus_addresses[piece];
    int error = dma->ops->map(dma->opaque, iova, region_start(region) + inside,
                              piece_bytes(region, piece), bus);
    if (error != 0) {
        return error;
    }
    region->piece_count++;
    if (*bus != iova) {
        vu_say(dma->report, VU_LEVEL_ERROR,
               "DMA region 0x%" PRIx64 ": the device would find it at 0x%" PRIx64
               "; a guest cannot know that",
               iova, *bus);
        return -ENXIO;
    }
    return 0;
}

static int region_register(struct vu_dma *dma, struct vu_dma_region *region, unsigned pieces)
{
    while (region->piece_count < pieces) {
        int error = region_register_piece(dma, region);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* Whoever sent no memory may have meant none for the device (option ROMs, BARs of other devices):
 * what cannot be done here is said, and is no error. */
static void region_serve(struct vu_dma *dma, struct vu_dma_region *region, unsigned pieces)
{
    int error = dma->ops->serve ? dma->ops->serve(dma->opaque, region) : -ENOTSUP;
    if (error == 0) {
        error = region_register(dma, region, pieces);
    }
    if (error == 0) {
        vu_say(dma->report, VU_LEVEL_TRACE,
               "DMA region 0x%" PRIx64 ", 0x%" PRIx64
               " bytes, comes without a file: the client is asked for what the device wants of it",
               region->address, region->bytes);
        return;
    }
    vu_say(dma->report, error == -ENOTSUP ? VU_LEVEL_TRACE : VU_LEVEL_WARNING,
           "DMA region 0x%" PRIx64 ", 0x%" PRIx64
           " bytes, comes without a file: the device does not reach it (%s)",
           region->address, region->bytes,
           error == -ENOTSUP ? "this host reaches real memory only" : strerror(-error));
    region_withdraw(dma, region);
}

static int region_make(struct vu_dma *dma, const struct vu_dma_map *map, int fd,
                       struct vu_dma_region **out)
{
    /* Memory that the device may neither read nor write is not for it. */
    bool is_for_device = (map->flags & (VU_DMA_READABLE | VU_DMA_WRITABLE)) != 0;
    unsigned pieces = (unsigned)((map->size - 1) / VU_DMA_PIECE_BYTES + 1);
    struct vu_dma_region *region =
        calloc(1, sizeof(*region) + pieces * sizeof(region->bus_addresses[0]));
    if (!region) {
        return -ENOMEM;
    }
    region->address = map->address;
    region->bytes = map->size;
    region->offset = map->offset;
    region->flags = map->flags;
    int error = is_for_device && fd >= 0 ? file_get(dma, fd, map, &region->file) : 0;
    if (error == 0 && region->file) {
        error = region_register(dma, region, pieces);
    } else if (error == 0 && is_for_device) {
        region_serve(dma, region, pieces);
    }
    if (error != 0) {
        region_destroy(dma, region);
        return error;
    }
    *out = region;
    return 0;
}

/* Whether what is there is what is asked for. */
static bool region_is(const struct vu_dma_region *region, const struct vu_dma_map *map, int fd)
{
    struct stat status;
    if (region->address != map->address || region->bytes != map->size ||
        region->flags != map->flags || region->offset != map->offset) {
        return false;
    }
    if (!region->file || fd < 0) {
        return !region->file && fd < 0;
    }
    return fstat(fd, &status) == 0 && status.st_dev == region->file->device &&
           status.st_ino == region->file->inode;
}

static struct vu_dma_region *region_find(const struct vu_dma *dma, uint64_t address, uint64_t bytes)
{
    const struct vu_dma_region like = {.address = address, .bytes = bytes};
    struct vu_dma_region **found = tfind(&like, &dma->regions, compare_regions);
    return found ? *found : NULL;
}

int vu_dma_map(struct vu_dma *dma, const struct vu_dma_map *map, int fd)
{
    struct vu_dma_region *region = region_find(dma, map->address, map->size);
    if (region) {
        return region_is(region, map, fd) ? 0 : -EINVAL;
    }
    if (dma->count >= VU_MAX_DMA_MAPS) {
        return -ENOSPC;
    }
    int error = region_make(dma, map, fd, &region);
    if (error != 0) {
        return error;
    }
    if (!tsearch(region, &dma->regions, compare_regions)) {
        region_destroy(dma, region);
        return -ENOMEM;
    }
    TAILQ_INSERT_TAIL(&dma->list, region, link);
    dma->count++;
    dma->bytes += region->bytes;
    dma->reachable_bytes += region->file ? region->bytes : 0;
    return 0;
}

static void region_remove(struct vu_dma *dma, struct vu_dma_region *region)
{
    tdelete(region, &dma->regions, compare_regions);
    TAILQ_REMOVE(&dma->list, region, link);
    dma->count--;
    dma->bytes -= region->bytes;
    dma->reachable_bytes -= region->file ? region->bytes : 0;
    region_destroy(dma, region);
}

int vu_dma_unmap(struct vu_dma *dma, uint64_t address, uint64_t bytes)
{
    struct vu_dma_region *region =
        bytes > 0 && !range_wraps(address, bytes) ? region_find(dma, address, bytes) : NULL;
    if (!region || region->address != address || region->bytes != bytes) {
        return -ENOENT;
    }
    region_remove(dma, region);
    return 0;
}

void vu_dma_clear(struct vu_dma *dma)
{
    struct vu_dma_region *region;
    while ((region = TAILQ_FIRST(&dma->list)) != NULL) {
        region_remove(dma, region);
    }
}

const struct vu_dma_region *vu_dma_find(const struct vu_dma *dma, uint64_t address)
{
    return region_find(dma, address, 1);
}

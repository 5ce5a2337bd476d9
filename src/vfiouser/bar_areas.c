/*
 * From what the host says is plain memory to what a peer may map: whole pages, of one file, where
 * the file is laid out like the BAR, and without the structures of MSI-X.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/bar_areas.h"

#include <mach/mach.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "vfiouser/device.h"

/* The larger of the pages this process is shown and those of the machine: a peer maps by these. */
static uint64_t page_bytes(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PAGESIZE);
    return vm_page_size > machine ? vm_page_size : machine;
}

static int compare_areas(const void *left, const void *right)
{
    const struct vu_area *a = left;
    const struct vu_area *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

static bool is_same_file(int a, int b)
{
    struct stat first;
    struct stat second;
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Ascending areas being cut; one more than fits is dropped, and trapped like everything else. */
struct cut {
    size_t count;
    struct vu_sparse_area areas[VU_MAX_AREAS];
};

static void cut_add(struct cut *cut, uint64_t start, uint64_t end)
{
    if (start < end && cut->count < VU_MAX_AREAS) {
        cut->areas[cut->count++] = (struct vu_sparse_area){start, end - start};
    }
}

/* Take the pages of a structure that is trapped out of all areas. */
static void cut_out(struct cut *cut, const struct vu_msix_place *hole)
{
    struct cut before = *cut;
    uint64_t page = page_bytes();
    uint64_t hole_start = hole->offset & ~(page - 1);
    uint64_t hole_end = align_up(hole->offset + hole->bytes, page);
    cut->count = 0;
    for (size_t i = 0; i < before.count; i++) {
        uint64_t start = before.areas[i].offset;
        uint64_t end = start + before.areas[i].size;
        if (hole_end <= start || hole_start >= end) {
            cut_add(cut, start, end);
        } else {
            cut_add(cut, start, hole_start);
            cut_add(cut, hole_end, end);
        }
    }
}

/* Whole pages, in one file at the same distance from its start as the first. */
static void cut_from(struct cut *cut, const struct vu_area *areas, size_t count, uint64_t bar_bytes)
{
    uint64_t page = page_bytes();
    uint64_t file_start = areas[0].fd_offset - areas[0].offset;
    cut->count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct vu_area *area = &areas[i];
        if (area->fd_offset < area->offset || area->fd_offset - area->offset != file_start ||
            !is_aligned(file_start, page) || !is_same_file(area->fd, areas[0].fd) ||
            !range_is_within(area->offset, area->bytes, bar_bytes)) {
            continue;
        }
        cut_add(cut, align_up(area->offset, page), (area->offset + area->bytes) & ~(page - 1));
    }
}

static bool map_areas(struct vu_bar *bar)
{
    for (size_t i = 0; i < bar->area_count; i++) {
        void *address = mmap(NULL, bar->areas[i].size, PROT_READ | PROT_WRITE, MAP_SHARED, bar->fd,
                             (off_t)(bar->file_start + bar->areas[i].offset));
        if (address == MAP_FAILED) {
            bar->area_count = i;
            return false;
        }
        bar->addresses[i] = address;
    }
    return true;
}

static void bar_drop(struct vu_bar *bar)
{
    for (size_t i = 0; i < bar->area_count; i++) {
        munmap(bar->addresses[i], bar->areas[i].size);
    }
    bar->area_count = 0;
    if (bar->fd >= 0) {
        close(bar->fd);
        bar->fd = -1;
    }
}

static void bar_find(struct vu_device *device, unsigned index)
{
    struct vu_bar *bar = &device->bars[index];
    const struct vu_config *config = &device->config;
    struct vu_area areas[VU_MAX_AREAS];
    struct cut cut = {.count = 0};
    size_t count = vu_areas_find(device->connection, index, areas);

    if (count > 0) {
        qsort(areas, count, sizeof(*areas), compare_areas);
        cut_from(&cut, areas, count, bar->bytes);
    }
    if (config->msix && config->table.bar == index) {
        cut_out(&cut, &config->table);
    }
    if (config->msix && config->pba.bar == index) {
        cut_out(&cut, &config->pba);
    }
    if (cut.count > 0) {
        bar->file_start = areas[0].fd_offset - areas[0].offset;
        bar->fd = areas[0].fd;
        areas[0].fd = -1;
        bar->area_count = cut.count;
        memcpy(bar->areas, cut.areas, sizeof(bar->areas));
        if (!map_areas(bar)) {
            bar_drop(bar);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (areas[i].fd >= 0) {
            close(areas[i].fd);
        }
    }
}

void vu_bar_areas_find(struct vu_device *device)
{
    for (unsigned i = 0; i < VU_BAR_COUNT; i++) {
        if (device->bars[i].bytes > 0) {
            bar_find(device, i);
        }
    }
}

void vu_bar_areas_drop(struct vu_device *device)
{
    for (unsigned i = 0; i < VU_BAR_COUNT; i++) {
        bar_drop(&device->bars[i]);
    }
}

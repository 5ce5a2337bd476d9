/*
 * Whether the memory a client shares is the memory its guest uses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/share_check.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* One could be a page that was filled and emptied between two looks. */
#define ENOUGH_PRIVATE_PAGES 2

static bool is_empty(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, VU_SHARE_PAGE - 1) == 0;
}

/* Copy a page by way of the kernel, which says so where the file has no page any more: a load would
 * end this process. */
static bool copy_page(const uint8_t *from, uint8_t to[VU_SHARE_PAGE])
{
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    bool is_copied = write(ends[1], from, VU_SHARE_PAGE) == VU_SHARE_PAGE &&
                     read(ends[0], to, VU_SHARE_PAGE) == VU_SHARE_PAGE;
    close(ends[0]);
    close(ends[1]);
    return is_copied;
}

/* The page at address as the device would see it. false also when it is not to be had. */
static bool is_empty_in_file(const struct vu_dma *dma, uint64_t address)
{
    uint8_t page[VU_SHARE_PAGE];
    const struct vu_dma_region *region = vu_dma_find(dma, address);
    if (!region || !region->file) {
        return false;
    }
    const struct vu_dma_file *file = region->file;
    uint64_t inside = region->offset - file->start + (address - region->address);
    return copy_page(file->address + inside, page) && is_empty(page);
}

static bool is_sampled(const struct vu_dma_region *region)
{
    return region->file && region->file->is_writable && region->bytes >= VU_SHARE_PAGE;
}

/* Some pages from the start of each region, where firmware and kernels leave traces, then ever
 * further apart. false as soon as a page has contents: the file is in use. */
static bool sample_region(struct vu_share_check *check, const struct vu_dma *dma,
                          const struct vu_dma_region *region, unsigned most)
{
    uint64_t pages = region->bytes / VU_SHARE_PAGE;
    uint64_t step = 1;
    for (uint64_t at = 0; at < pages && most > 0 && check->count < VU_SHARE_SAMPLES; most--) {
        uint64_t address = region->address + at * VU_SHARE_PAGE;
        if (!is_empty_in_file(dma, address)) {
            return false;
        }
        check->samples[check->count++] = address;
        at += step;
        step += step / 2 + (step == 1);
    }
    return true;
}

static bool sample(struct vu_share_check *check, const struct vu_dma *dma)
{
    const struct vu_dma_region *region;
    unsigned regions = 0;
    check->count = 0;
    TAILQ_FOREACH (region, &dma->list, link) {
        regions += is_sampled(region);
    }
    unsigned most = regions > 0 ? VU_SHARE_SAMPLES / regions : 0;
    most = most > 0 ? most : 1;
    TAILQ_FOREACH (region, &dma->list, link) {
        if (is_sampled(region) && !sample_region(check, dma, region, most)) {
            return false;
        }
    }
    return check->count > 0;
}

enum vu_share_verdict vu_share_start(struct vu_share_check *check, const struct vu_dma *dma)
{
    if (check->is_settled || check->is_asking || dma->reachable_bytes < VU_SHARE_LEAST_BYTES) {
        return VU_SHARE_UNKNOWN;
    }
    if (!sample(check, dma)) {
        check->is_settled = true;
        return VU_SHARE_UNKNOWN;
    }
    check->at = 0;
    check->private_pages = 0;
    check->is_asking = true;
    return VU_SHARE_ASK;
}

enum vu_share_verdict vu_share_answer(struct vu_share_check *check, const struct vu_dma *dma,
                                      const uint8_t *page)
{
    if (!page) { /* bus mastering is off again, or this client answers no such thing: next time */
        check->is_asking = false;
        return VU_SHARE_UNKNOWN;
    }
    if (!is_empty(page)) {
        if (!is_empty_in_file(dma, check->samples[check->at])) {
            check->is_asking = false;
            check->is_settled = true;
            return VU_SHARE_UNKNOWN;
        }
        if (++check->private_pages == ENOUGH_PRIVATE_PAGES) {
            return VU_SHARE_PRIVATE;
        }
    }
    if (++check->at < check->count) {
        return VU_SHARE_ASK;
    }
    check->is_asking = false;
    return VU_SHARE_UNKNOWN;
}

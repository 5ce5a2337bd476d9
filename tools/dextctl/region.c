/*
 * Client memory for DMA tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "region.h"

#include <mach/mach.h>
#include <sys/mman.h>

kern_return_t region_open(struct region *region, const struct session *session, uint64_t iova,
                          size_t bytes)
{
    uintptr_t page = (uintptr_t)vm_page_size;

    *region = (struct region){.iova = iova, .bytes = bytes};
    /* a page more than whole pages: the host's pages may be larger than those mmap aligns to */
    region->mapping_bytes = (bytes + page - 1) / page * page + page;
    void *mapping = mmap(NULL, region->mapping_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        return kIOReturnNoMemory;
    }
    uintptr_t memory = ((uintptr_t)mapping + page - 1) / page * page;
    kern_return_t code = apple_dext_register_dma(session->connection, iova, memory, bytes,
                                                 &region->bus_address, &region->bus_length);
    if (code != KERN_SUCCESS) {
        munmap(mapping, region->mapping_bytes);
        return code;
    }
    region->mapping = mapping;
    region->memory = (uint8_t *)memory;
    return KERN_SUCCESS;
}

kern_return_t region_close(struct region *region, const struct session *session)
{
    if (!region->memory) {
        return KERN_SUCCESS;
    }
    kern_return_t code = apple_dext_unregister_dma(session->connection, region->iova);
    munmap(region->mapping, region->mapping_bytes);
    *region = (struct region){0};
    return code;
}

uint8_t pattern_byte(size_t offset, uint32_t seed)
{
    /* multiplicative hash of the offset: neighbours and same offsets of other pages differ */
    uint32_t mixed = ((uint32_t)offset + seed * 0x9e3779b9u) * 0x85ebca6bu;
    return (uint8_t)(mixed >> 24 ^ mixed >> 13);
}

void pattern_fill(uint8_t *memory, size_t bytes, uint32_t seed)
{
    for (size_t i = 0; i < bytes; i++) {
        memory[i] = pattern_byte(i, seed);
    }
}

size_t pattern_compare(const uint8_t *memory, size_t bytes, uint32_t seed)
{
    size_t i = 0;
    while (i < bytes && memory[i] == pattern_byte(i, seed)) {
        i++;
    }
    return i;
}

/*
 * The vfio-user message decoder under a fuzzer. The input is a byte for the number of descriptors
 * and a message as it would come from a client. What is decoded must be what the header promises
 * to those who use it: every pointer reaches as far as its count says, inside the payload.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_input.h"
#include "vfiouser/codec.h"

#define VERSION_ROOM 256
#define MOST_AREAS   16

static void require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* Reads every byte, so that a sanitizer sees a length that is too long. */
static void read_all(const uint8_t *bytes, uint64_t count)
{
    static volatile uint8_t sink;
    for (uint64_t i = 0; i < count; i++) {
        sink = (uint8_t)(sink + bytes[i]);
    }
}

/* What we say of a version is read as what was meant. */
static void check_version(const struct vu_version *version)
{
    uint8_t bytes[VERSION_ROOM];
    struct vu_version again;

    require(version->capabilities.max_fds <= 1024, "max_msg_fds is limited");
    size_t length = vu_version_encode(version, bytes, sizeof(bytes));
    require(length > 0 && length <= sizeof(bytes), "a version fits");
    require(vu_version_decode(bytes, length, &again) == 0, "our own version is read");
    require(again.major == version->major && again.minor == version->minor &&
                again.capabilities.max_fds == version->capabilities.max_fds &&
                again.capabilities.max_transfer == version->capabilities.max_transfer &&
                again.capabilities.has_write_multiple == version->capabilities.has_write_multiple,
            "it says the same");
    for (size_t size = 0; size < length; size++) {
        require(vu_version_encode(version, bytes, size) == 0, "too little room is seen");
    }
}

static void check_dma_map(const struct vu_dma_map *map, size_t fd_count)
{
    require(map->argsz >= sizeof(*map) && map->size > 0, "a map has a size");
    require(map->address + (map->size - 1) >= map->address, "a map does not wrap");
    require(map->offset + (map->size - 1) >= map->offset, "nor does it in its file");
    require((map->flags & ~0xfu) == 0, "its flags are known");
    require(fd_count > 0 || (map->flags & ~3u) == 0, "no descriptor, no mapping");
}

static void check_irqs(const struct vu_request *request, size_t fd_count)
{
    const struct vu_irq_set *set = &request->irq_set;
    uint32_t data = set->flags & 7;
    uint32_t action = set->flags & 0x38;

    require(set->index < VU_IRQ_COUNT, "the index exists");
    require((data == 1 || data == 2 || data == 4) &&
                (action == 8 || action == 0x10 || action == 0x20) && set->flags == (data | action),
            "one kind of data, one action");
    require(set->count > 0 || (set->start == 0 && set->flags == 0x21), "nothing means disable");
    require(fd_count == 0 || (data == 4 && fd_count == set->count), "as many as are announced");
    if (data == 2) {
        read_all(request->data, set->count);
    }
}

static void check_entries(const struct vu_request *request)
{
    for (uint64_t i = 0; i < request->entry_count; i++) {
        struct vu_multi_entry entry;
        if (vu_multi_entry_decode(request, i, &entry) == 0) {
            require(entry.count <= sizeof(entry.data), "an entry has its data");
            require(entry.region < VU_REGION_COUNT, "its region exists");
        }
    }
}

static void check_region_info(const struct vu_region_info *info, const uint8_t *bytes,
                              size_t length)
{
    struct vu_sparse_area areas[MOST_AREAS];
    size_t count = length / sizeof(*areas) < MOST_AREAS ? length / sizeof(*areas) : MOST_AREAS;

    require(info->argsz >= sizeof(*info) && info->index < VU_REGION_COUNT, "the region exists");
    memcpy(areas, bytes, count * sizeof(*areas));
    size_t room = vu_region_info_bytes(count);
    require(room == (count > 0 ? 48 + 16 * count : 32), "the room that a VMM computes");
    uint8_t *out = malloc(room);
    require(out != NULL, "memory");
    vu_region_info_encode(info, areas, count, out);
    require(memcmp(out, info, sizeof(*info)) == 0, "the fixed part comes first");
    require(count == 0 || memcmp(out + room - 16 * count, areas, 16 * count) == 0, "areas last");
    free(out);
}

static void check(const struct vu_header *header, const struct vu_request *request,
                  const uint8_t *payload, size_t fd_count)
{
    const size_t length = header->size - VU_HEADER_BYTES;

    switch (header->command) {
    case VU_VERSION:
        check_version(&request->version);
        break;
    case VU_DMA_MAP:
        check_dma_map(&request->dma_map, fd_count);
        break;
    case VU_DMA_UNMAP:
        require((request->dma_unmap.flags & ~VU_UNMAP_ALL) == 0, "no bitmap");
        break;
    case VU_DEVICE_GET_REGION_INFO:
        check_region_info(&request->region_info, payload, length);
        break;
    case VU_DEVICE_GET_IRQ_INFO:
        require(request->irq_info.index < VU_IRQ_COUNT, "the index exists");
        break;
    case VU_DEVICE_SET_IRQS:
        check_irqs(request, fd_count);
        break;
    case VU_REGION_READ:
    case VU_REGION_WRITE:
        require(request->access.region < VU_REGION_COUNT &&
                    request->access.count <= VU_MAX_TRANSFER,
                "an access is limited");
        if (header->command == VU_REGION_WRITE) {
            read_all(request->data, request->access.count);
        }
        break;
    case VU_REGION_WRITE_MULTI:
        check_entries(request);
        break;
    default:
        require(header->command == VU_DEVICE_GET_INFO || header->command == VU_DEVICE_RESET,
                "no other command is decoded");
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct fuzz_input input = {bytes, count};
    struct vu_header header;
    struct vu_request request;
    size_t fd_count = fuzz_below(&input, VU_MAX_FDS + 2);

    if (input.left < VU_HEADER_BYTES) {
        return 0;
    }
    bool is_sane = vu_header_decode(input.bytes, &header);
    require(is_sane == (header.size >= VU_HEADER_BYTES && header.size <= VU_MAX_MESSAGE),
            "a size is judged");
    require(*vu_command_name(header.command) != '\0', "every command has a name");
    size_t length = input.left - VU_HEADER_BYTES;
    header.size = (uint32_t)(VU_HEADER_BYTES + length);
    /* A copy of its own size and alignment, as the channel gives it. */
    uint8_t *payload = malloc(length > 0 ? length : 1);
    require(payload != NULL, "memory");
    memcpy(payload, input.bytes + VU_HEADER_BYTES, length);
    if (vu_request_decode(&header, payload, fd_count, &request) == 0) {
        check(&header, &request, payload, fd_count);
    }
    free(payload);
    return 0;
}

/*
 * vfio-user messages to and from bytes: no I/O and no state. Every length is checked here, so that
 * whoever takes a decoded request may trust its sizes; what is inside the device's limits is the
 * caller's to check.
 *
 * Functions that may fail return 0 or -errno: the errno is what the peer gets as the answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_CODEC_H
#define DEXTLINK_VFIOUSER_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfiouser/protocol.h"

/* What one side can do, as its VERSION message says. */
struct vu_capabilities {
    uint32_t max_fds;      /* it takes in a message */
    uint64_t max_transfer; /* data bytes in a message */
    bool has_write_multiple;
    bool has_twin_socket; /* of a request: wanted; of a reply: its one descriptor is it */
};

struct vu_version {
    uint16_t major, minor;
    struct vu_capabilities capabilities;
};

/* A decoded request. Pointers are borrowed from the payload it was decoded from. */
struct vu_request {
    union {
        struct vu_version version;
        struct vu_dma_map dma_map;
        struct vu_dma_unmap dma_unmap;
        struct vu_region_info region_info; /* argsz and index are the request's */
        struct vu_irq_info irq_info;       /* argsz and index are the request's */
        struct vu_irq_set irq_set;
        struct vu_access access;
    };
    const uint8_t *data;  /* REGION_WRITE: access.count bytes; SET_IRQS with bools: irq_set.count;
                           * REGION_WRITE_MULTI: entries */
    uint64_t entry_count; /* REGION_WRITE_MULTI */
};

/**
 * Read a header. false: its size is below that of a header, or above VU_MAX_MESSAGE; *out is
 * filled all the same. Its type is not judged.
 */
bool vu_header_decode(const uint8_t bytes[VU_HEADER_BYTES], struct vu_header *out);

/**
 * Decode the payload of a command from a client.
 *
 * @header: of the message; payload: header->size - VU_HEADER_BYTES bytes, aligned to 8
 * @fd_count: how many descriptors came along
 *
 * -EINVAL: unknown command or one that no client sends, lengths or flags that contradict each other
 * or the protocol, descriptors where none belong; and see vu_version_decode.
 * A command that the device does not have is decoded to -EINVAL too.
 */
int vu_request_decode(const struct vu_header *header, const uint8_t *payload, size_t fd_count,
                      struct vu_request *out);

/** One entry of a REGION_WRITE_MULTI. -EINVAL: longer than its data. */
int vu_multi_entry_decode(const struct vu_request *request, uint64_t index,
                          struct vu_multi_entry *out);

/**
 * Decode a VERSION payload, of a request or of a reply. What is not said has the protocol's
 * default. -EINVAL: short, not ended by a NUL, not JSON, or a value of wrong type or range;
 * -ENOMEM.
 */
int vu_version_decode(const uint8_t *payload, size_t length, struct vu_version *out);

/** Write a VERSION payload, at most size bytes. Returns its length; 0 when it does not fit. */
size_t vu_version_encode(const struct vu_version *version, uint8_t *payload, size_t size);

/** Bytes of a region info reply with area_count areas; 0 areas: without capability. */
size_t vu_region_info_bytes(size_t area_count);

/** Write a region info reply of vu_region_info_bytes(area_count); info->argsz, flags and cap_offset
 * are as they shall be on the wire. */
void vu_region_info_encode(const struct vu_region_info *info, const struct vu_sparse_area *areas,
                           size_t area_count, uint8_t *payload);

/** Name of a command ("REGION_READ"), static storage, never NULL. */
const char *vu_command_name(unsigned command);

#endif

/*
 * The vfio-user protocol on the wire: numbers and layouts. Integers are in host byte order; every
 * struct is laid out without padding, so that it may be copied from and to a message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_PROTOCOL_H
#define DEXTLINK_VFIOUSER_PROTOCOL_H

#include <stdint.h>

enum vu_command {
    VU_VERSION = 1,
    VU_DMA_MAP = 2,
    VU_DMA_UNMAP = 3,
    VU_DEVICE_GET_INFO = 4,
    VU_DEVICE_GET_REGION_INFO = 5,
    VU_DEVICE_GET_REGION_IO_FDS = 6,
    VU_DEVICE_GET_IRQ_INFO = 7,
    VU_DEVICE_SET_IRQS = 8,
    VU_REGION_READ = 9,
    VU_REGION_WRITE = 10,
    VU_DMA_READ = 11,  /* server to client */
    VU_DMA_WRITE = 12, /* server to client */
    VU_DEVICE_RESET = 13,
    VU_REGION_WRITE_MULTI = 15,
    VU_DEVICE_FEATURE = 16,
    VU_MIG_DATA_READ = 17,
    VU_MIG_DATA_WRITE = 18,
};

#define VU_HEADER_BYTES      16
#define VU_HEADER_TYPE       0xfu /* of flags */
#define VU_HEADER_COMMAND    0x0u
#define VU_HEADER_REPLY      0x1u
#define VU_HEADER_NO_REPLY   0x10u
#define VU_HEADER_ERROR      0x20u

#define VU_MAJOR             0
#define VU_MINOR             2 /* the newest we speak; the older of both counts */

#define VU_MAX_TRANSFER      (1u << 20) /* data bytes of one message */
#define VU_MAX_MESSAGE       (VU_MAX_TRANSFER + VU_HEADER_BYTES + 16) /* header and all */
#define VU_MAX_FDS           16                                       /* we take per message */
#define VU_DEFAULT_FDS       1 /* what a peer takes that does not say */
#define VU_MAX_DMA_MAPS      65535
#define VU_PAGE_BYTES        4096

#define VU_DMA_READABLE      1u
#define VU_DMA_WRITABLE      2u
#define VU_DMA_WANTS_MMAP    4u /* of libvfio-user: mapping the fd is required */
#define VU_DMA_WANTS_FILE_IO 8u /* of libvfio-user: the fd may be read and written as a file */
#define VU_DMA_FLAGS         0xfu

#define VU_UNMAP_BITMAP      1u
#define VU_UNMAP_ALL         2u

#define VU_DEVICE_RESETS     1u
#define VU_DEVICE_IS_PCI     2u

#define VU_REGION_CAN_READ   1u
#define VU_REGION_CAN_WRITE  2u
#define VU_REGION_CAN_MMAP   4u
#define VU_REGION_HAS_CAPS   8u
#define VU_CAP_SPARSE_MMAP   1

enum vu_region_index {
    VU_REGION_BAR0 = 0,
    VU_REGION_BAR5 = 5,
    VU_REGION_ROM = 6,
    VU_REGION_CONFIG = 7,
    VU_REGION_VGA = 8,
    VU_REGION_COUNT = 9,
};

enum vu_irq_index {
    VU_IRQ_INTX = 0,
    VU_IRQ_MSI = 1,
    VU_IRQ_MSIX = 2,
    VU_IRQ_ERR = 3,
    VU_IRQ_REQ = 4,
    VU_IRQ_COUNT = 5,
};

#define VU_IRQ_IS_EVENTFD     1u
#define VU_IRQ_IS_MASKABLE    2u

#define VU_IRQ_DATA_NONE      0x01u
#define VU_IRQ_DATA_BOOL      0x02u
#define VU_IRQ_DATA_EVENTFD   0x04u
#define VU_IRQ_DATA_TYPE      0x07u
#define VU_IRQ_ACTION_MASK    0x08u
#define VU_IRQ_ACTION_UNMASK  0x10u
#define VU_IRQ_ACTION_TRIGGER 0x20u
#define VU_IRQ_ACTION         0x38u

struct vu_header {
    uint16_t id, command;
    uint32_t size; /* of the whole message */
    uint32_t flags;
    uint32_t error; /* an errno, in a reply with VU_HEADER_ERROR */
};

struct vu_dma_map {
    uint32_t argsz, flags;
    uint64_t offset; /* of the region in its fd */
    uint64_t address, size;
};

struct vu_dma_unmap {
    uint32_t argsz, flags;
    uint64_t address, size;
};

struct vu_device_info {
    uint32_t argsz, flags, region_count, irq_count;
};

struct vu_region_info {
    uint32_t argsz, flags, index;
    uint32_t cap_offset;   /* from the start of this struct; 0 = none */
    uint64_t size, offset; /* offset of the region in the fd that comes with it */
};

struct vu_sparse_cap {
    uint16_t id, version;
    uint32_t next;
    uint32_t area_count, reserved;
};

struct vu_sparse_area {
    uint64_t offset, size;
};

struct vu_irq_info {
    uint32_t argsz, flags, index, count;
};

struct vu_irq_set {
    uint32_t argsz, flags, index, start, count;
};

struct vu_access {
    uint64_t offset;
    uint32_t region, count;
};

struct vu_multi_entry {
    uint64_t offset;
    uint32_t region, count;
    uint8_t data[8];
};

struct vu_dma_access {
    uint64_t address, count;
};

#endif

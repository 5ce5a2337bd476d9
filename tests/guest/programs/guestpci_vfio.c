/*
 * A PCI function through vfio-pci: interrupts as event descriptors, DMA through the guest's IOMMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guestpci.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_group(const struct function *function)
{
    char path[128], target[128];
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", function->name);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
    fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int vfio_open(struct function *function)
{
    int group = open_group(function);
    uint16_t command = 0x6;
    struct vfio_region_info config = {.argsz = sizeof(config),
                                      .index = VFIO_PCI_CONFIG_REGION_INDEX};

    if (group < 0)
        return group;
    function->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (function->container < 0 ||
        ioctl(group, VFIO_GROUP_SET_CONTAINER, &function->container) != 0 ||
        ioctl(function->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0)
        return -errno;
    function->fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, function->name);
    if (function->fd < 0 || ioctl(function->fd, VFIO_DEVICE_GET_REGION_INFO, &config) != 0)
        return -errno;
    if (pwrite(function->fd, &command, 2, (off_t)config.offset + 4) != 2)
        return -EIO;
    return 0;
}

static int place_of(struct function *function, const uint64_t *place, off_t *at)
{
    struct vfio_region_info info = {.argsz = sizeof(info), .index = (uint32_t)place[1]};

    if (place[1] >= 6 || (place[0] != 1 && place[0] != 2 && place[0] != 4 && place[0] != 8))
        return -EINVAL;
    if (ioctl(function->fd, VFIO_DEVICE_GET_REGION_INFO, &info) != 0)
        return -errno;
    if (place[2] > info.size || place[0] > info.size - place[2])
        return -ERANGE;
    *at = (off_t)(info.offset + place[2]);
    return 0;
}

static int vfio_read(struct function *function, const uint64_t *place, uint64_t *value)
{
    off_t at;
    int error = place_of(function, place, &at);

    *value = 0;
    if (error == 0 && pread(function->fd, value, place[0], at) != (ssize_t)place[0])
        error = -EIO;
    return error;
}

static int vfio_write(struct function *function, const uint64_t *place, uint64_t value)
{
    off_t at;
    int error = place_of(function, place, &at);

    if (error == 0 && pwrite(function->fd, &value, place[0], at) != (ssize_t)place[0])
        error = -EIO;
    return error;
}

static int vfio_make_buffer(struct function *function, uint64_t bytes, uint64_t iova)
{
    struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
                                           .flags =
                                               VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
                                           .iova = iova,
                                           .size = bytes};
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (memory == MAP_FAILED)
        return -errno;
    map.vaddr = (uintptr_t)memory;
    if (ioctl(function->container, VFIO_IOMMU_MAP_DMA, &map) != 0)
        return -errno;
    function->buffer = memory;
    function->buffer_bytes = bytes;
    function->bus_address = iova;
    return 0;
}

static int vfio_set_irqs(struct function *function, unsigned int kind)
{
    size_t fd_bytes = function->vector_count * sizeof(int);
    struct vfio_irq_set *set = calloc(1, sizeof(*set) + fd_bytes);
    int error = 0;

    if (!set)
        return -ENOMEM;
    set->argsz = (uint32_t)(sizeof(*set) + fd_bytes);
    set->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
                 (fd_bytes ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
    set->index = kind;
    set->count = function->vector_count;
    memcpy(set->data, function->events, fd_bytes);
    /* A positive answer is how many vectors there are to be had. */
    error = ioctl(function->fd, VFIO_DEVICE_SET_IRQS, set);
    free(set);
    return error < 0 ? -errno : error > 0 ? -ENOSPC : 0;
}

static int vfio_reset(struct function *function)
{
    return ioctl(function->fd, VFIO_DEVICE_RESET) == 0 ? 0 : -errno;
}

const struct function_ops vfio_ops = {
    .open = vfio_open,
    .read = vfio_read,
    .write = vfio_write,
    .make_buffer = vfio_make_buffer,
    .set_irqs = vfio_set_irqs,
    .reset = vfio_reset,
};

/*
 * A PCI function through the resource files of sysfs, with no driver bound to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guestpci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_BYTES (2u << 20)

static int open_file(struct function *function, const char *file, int flags)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", function->name, file);
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int write_one(struct function *function, const char *file)
{
    int fd = open_file(function, file, O_WRONLY), error = 0;

    if (fd < 0)
        return fd;
    if (write(fd, "1", 1) != 1)
        error = -errno;
    close(fd);
    return error;
}

/* Memory decoding by the kernel, bus mastering by hand: no driver does it. */
static int sysfs_open(struct function *function)
{
    int error = write_one(function, "enable"), fd;
    uint16_t command;

    if (error)
        return error;
    fd = open_file(function, "config", O_RDWR);
    if (fd < 0)
        return fd;
    if (pread(fd, &command, 2, 4) != 2)
        error = -EIO;
    command |= 4;
    if (error == 0 && pwrite(fd, &command, 2, 4) != 2)
        error = -EIO;
    close(fd);
    return error;
}

static int is_good(const uint64_t *place, uint64_t bytes)
{
    return place[1] < 6 && (place[0] == 1 || place[0] == 2 || place[0] == 4 || place[0] == 8) &&
           place[2] <= bytes && place[0] <= bytes - place[2];
}

static int find(struct function *function, const uint64_t *place, volatile void **at)
{
    char file[] = "resource0";
    struct stat about;
    int fd, error = 0;

    if (place[1] >= 6)
        return -EINVAL;
    file[8] = (char)('0' + place[1]);
    fd = open_file(function, file, O_RDWR);
    if (fd < 0)
        return fd;
    if (fstat(fd, &about) != 0 || !is_good(place, (uint64_t)about.st_size))
        error = -ERANGE;
    if (error == 0 && !function->bars[place[1]]) {
        void *bar = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (bar == MAP_FAILED)
            error = -errno;
        else
            function->bars[place[1]] = bar;
    }
    close(fd);
    if (error == 0)
        *at = (volatile uint8_t *)function->bars[place[1]] + place[2];
    return error;
}

static int sysfs_read(struct function *function, const uint64_t *place, uint64_t *value)
{
    volatile void *at = NULL;
    int error = find(function, place, &at);

    if (error)
        return error;
    if (place[0] == 1)
        *value = *(volatile uint8_t *)at;
    else if (place[0] == 2)
        *value = *(volatile uint16_t *)at;
    else if (place[0] == 4)
        *value = *(volatile uint32_t *)at;
    else
        *value = *(volatile uint64_t *)at;
    return 0;
}

static int sysfs_write(struct function *function, const uint64_t *place, uint64_t value)
{
    volatile void *at = NULL;
    int error = find(function, place, &at);

    if (error)
        return error;
    if (place[0] == 1)
        *(volatile uint8_t *)at = (uint8_t)value;
    else if (place[0] == 2)
        *(volatile uint16_t *)at = (uint16_t)value;
    else if (place[0] == 4)
        *(volatile uint32_t *)at = (uint32_t)value;
    else
        *(volatile uint64_t *)at = value;
    return 0;
}

/* Without an IOMMU the device wants physical addresses; a huge page is one piece of memory. */
static int sysfs_make_buffer(struct function *function, uint64_t bytes, uint64_t iova)
{
    uint64_t entry = 0;
    int fd;

    if (bytes == 0 || bytes > HUGE_BYTES)
        return -EINVAL;
    function->buffer = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
    if (function->buffer == MAP_FAILED)
        return -errno;
    function->buffer_bytes = bytes;
    fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (pread(fd, &entry, 8, (off_t)((uintptr_t)function->buffer / 4096 * 8)) != 8)
        entry = 0;
    close(fd);
    /* Bit 63: present; bits 54:0: number of the page. */
    function->bus_address = (entry & ((1ull << 55) - 1)) * 4096;
    return entry >> 63 && function->bus_address ? 0 : -EFAULT;
}

static int sysfs_reset(struct function *function)
{
    return write_one(function, "reset");
}

const struct function_ops sysfs_ops = {
    .open = sysfs_open,
    .read = sysfs_read,
    .write = sysfs_write,
    .make_buffer = sysfs_make_buffer,
    .reset = sysfs_reset,
};

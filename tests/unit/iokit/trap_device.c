/*
 * A fake device behind trapped pages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "trap_device.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

void device_access(void *context, uint64_t offset, unsigned width, bool is_write, uint64_t *value)
{
    struct device *device = context;
    errno = EXDEV; /* what an access does to errno must not show */
    if (is_write) {
        memcpy(device->memory + offset, value, width);
    } else {
        *value = UINT64_MAX; /* bytes above width are not ours to define */
        memcpy(value, device->memory + offset, width);
    }
    if (device->count < sizeof(device->log) / sizeof(device->log[0])) {
        device->log[device->count] = (struct device_access){offset, width, is_write, 0};
        memcpy(&device->log[device->count].value, value, width);
    }
    device->count++;
}

void device_open(struct device *device, void *at)
{
    memset(device, 0, sizeof(*device));
    device->page = mmap(at, DEVICE_BYTES, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    assert_ptr_not_equal(device->page, MAP_FAILED);
    assert_int_equal(
        trap_region_add(device->page, DEVICE_BYTES, device_access, device, &device->region), 0);
}

void device_close(struct device *device)
{
    trap_region_remove(device->region);
    munmap(device->page, DEVICE_BYTES);
}

uint64_t random_value(void)
{
    static const uint64_t edges[] = {0,          1,          0x7f,       0x80,
                                     0xff,       0x7fff,     0x8000,     0xffff,
                                     0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX,
                                     UINT64_MAX, 0x0f,       0x10,       (uint64_t)INT64_MIN};
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state & 0x100 ? edges[state >> 32 & 15] : state;
}

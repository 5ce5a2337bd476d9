/*
 * First light: claim a device, identify it, and let edu compute a factorial through its mapped BAR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <apple-dext-client.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { EDU_FACTORIAL = 0x08, EDU_STATUS = 0x20, EDU_COMPUTING = 0x01 };

static kern_return_t factorial(io_connect_t device, uint32_t n, uint32_t *result)
{
    mach_vm_address_t address;
    mach_vm_size_t bytes;
    uint8_t type;
    kern_return_t code = apple_dext_map_bar(device, 0, &address, &bytes, &type);

    if (code != KERN_SUCCESS)
        return code;
    volatile uint32_t *bar = (volatile uint32_t *)(uintptr_t)address;
    bar[EDU_FACTORIAL / 4] = n;
    uint32_t status;
    do {
        status = bar[EDU_STATUS / 4];
    } while ((status & EDU_COMPUTING) != 0 && status != UINT32_MAX); /* ones: it has gone */
    *result = bar[EDU_FACTORIAL / 4];
    code = apple_dext_unmap_bar(device, 0, address);
    return status == UINT32_MAX ? kIOReturnNoDevice : code;
}

int main(void)
{
    char *why;
    io_connect_t device = apple_dext_connect_with_root(0x01, 0x00, 0, NULL, &why); /* 01:00.0 */
    uint64_t ids;
    uint32_t result;

    if (device == IO_OBJECT_NULL) {
        fprintf(stderr, "%s\n", why);
        free(why);
        return 1;
    }
    kern_return_t code = apple_dext_claim(device);
    if (code == KERN_SUCCESS)
        code = apple_dext_config_read(device, 0, 4, &ids);
    if (code == KERN_SUCCESS)
        code = factorial(device, 10, &result);
    if (code == KERN_SUCCESS)
        printf("device %04" PRIx64 ":%04" PRIx64 ", 10! = %" PRIu32 "\n", ids & 0xffff, ids >> 16,
               result);
    else
        fprintf(stderr, "%s\n", apple_dext_status_text(code));
    apple_dext_disconnect(device);
    return code == KERN_SUCCESS ? 0 : 1;
}

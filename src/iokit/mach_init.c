/*
 * Variables of the process: its task, its page size, the main port.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/page_size.h"

#include <errno.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

/* Any name that no handle has: handles start at a higher index. */
mach_port_t mach_task_self_ = 0x203;

vm_size_t vm_page_size = 4096;
vm_size_t vm_page_mask = 4095;
int vm_page_shift = 12;

const mach_port_t kIOMainPortDefault = MACH_PORT_NULL;
const mach_port_t kIOMasterPortDefault = MACH_PORT_NULL;

int iokit_page_size_set(size_t bytes)
{
    if (bytes == 0) {
        bytes = (size_t)sysconf(_SC_PAGESIZE);
    }
    if (bytes < 4096 || (bytes & (bytes - 1)) != 0) {
        return -EINVAL;
    }
    vm_page_size = bytes;
    vm_page_mask = bytes - 1;
    vm_page_shift = __builtin_ctzl(bytes);
    return 0;
}

__attribute__((constructor)) static void take_page_size_of_machine(void)
{
    iokit_page_size_set(0);
}

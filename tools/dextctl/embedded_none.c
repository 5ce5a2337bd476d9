/*
 * Stands in for embedded.c where the software host does not exist.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "embedded.h"

#include <string.h>

bool embedded_found_host(void)
{
    return true;
}

const char *embedded_hint(void)
{
    return "no devices: is the driver extension active?";
}

bool embedded_start(const char *const *devices, size_t count, uint32_t page_size, bool access_open,
                    char **cause)
{
    (void)devices;
    (void)count;
    (void)page_size;
    (void)access_open;
    *cause = strdup("this build has no embedded host; use the devices of the machine");
    return false;
}

void embedded_stop(void)
{
}

uint64_t embedded_held(void)
{
    return 0;
}

/*
 * Trapped memory where faulting instructions cannot be completed: another processor, or a build
 * without the disassembler library. Mapping trapped ranges is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/trap.h"

#include <errno.h>

bool trap_is_supported(void)
{
    return false;
}

int trap_region_add(void *base, size_t bytes, trap_access_fn access, void *context,
                    struct trap_region **out)
{
    return -ENOTSUP;
}

void trap_region_remove(struct trap_region *region)
{
}

/*
 * A host whose device reaches real memory only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/served.h"

#include <errno.h>

int vu_served_create(const struct vu_served_ops *ops, struct vu_served **out)
{
    (void)ops;
    *out = NULL;
    return -ENOTSUP;
}

void vu_served_destroy(struct vu_served *served)
{
    (void)served;
}

int vu_served_add(struct vu_served *served, uint64_t bytes, void *context, void **address)
{
    (void)served;
    (void)bytes;
    (void)context;
    *address = NULL;
    return -ENOTSUP;
}

void vu_served_remove(struct vu_served *served, void *address)
{
    (void)served;
    (void)address;
}

/*
 * Served memory of dextlink's own IOKit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/served.h"

#include <errno.h>
#include <stdlib.h>

#include "iokit/served_memory.h"

struct vu_served {
    struct iokit_served *service;
    struct iokit_served_ops ops; /* of all ranges: they are the same */
};

int vu_served_create(const struct vu_served_ops *ops, struct vu_served **out)
{
    struct vu_served *served = calloc(1, sizeof(*served));
    int error = served ? iokit_served_create(&served->service) : -ENOMEM;
    if (error != 0) {
        free(served);
        served = NULL;
    } else {
        served->ops = (struct iokit_served_ops){.read = ops->read, .write = ops->write};
    }
    *out = served;
    return error;
}

void vu_served_destroy(struct vu_served *served)
{
    if (served) {
        iokit_served_destroy(served->service);
        free(served);
    }
}

int vu_served_add(struct vu_served *served, uint64_t bytes, void *context, void **address)
{
    uint64_t number = 0;
    int error = iokit_served_add(served->service, bytes, &served->ops, context, &number);
    *address = (void *)(uintptr_t)number;
    return error;
}

void vu_served_remove(struct vu_served *served, void *address)
{
    iokit_served_remove(served->service, (uintptr_t)address);
}

/*
 * A PCI function as guestpci sees it, whichever way the kernel lets a program at it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUESTPCI_H
#define GUESTPCI_H

#include <stdint.h>

#define MAX_VECTORS 256

struct function;

/* All return 0 or -errno. `place` is width, BAR and offset. */
struct function_ops {
    int (*open)(struct function *function);
    int (*read)(struct function *function, const uint64_t *place, uint64_t *value);
    int (*write)(struct function *function, const uint64_t *place, uint64_t value);
    int (*make_buffer)(struct function *function, uint64_t bytes, uint64_t iova);
    /* Gives function->events to the vectors of a kind; none of them turns it off. May be NULL. */
    int (*set_irqs)(struct function *function, unsigned int kind);
    int (*reset)(struct function *function);
};

struct function {
    const struct function_ops *ops;
    const char *name;
    int fd, container; /* vfio */
    void *bars[6];     /* sysfs: mapped when they are first used */
    uint8_t *buffer;
    uint64_t buffer_bytes, bus_address;
    int events[MAX_VECTORS];
    unsigned int vector_count;
};

extern const struct function_ops sysfs_ops, vfio_ops;

#endif

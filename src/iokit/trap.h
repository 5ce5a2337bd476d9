/*
 * Trapped memory: pages that fault on access, whose loads and stores are completed one by one by a
 * function (design question 1: a mapped BAR behaves like the device).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_TRAP_H
#define DEXTLINK_IOKIT_TRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trap_region;

/**
 * Carry out one access. Called on the thread that made the access, inside a synchronous SIGSEGV
 * handler: it may take locks and make system calls (the interrupted code is never dextlink's own),
 * but must not touch trapped memory. width 1, 2, 4 or 8. For reads *value receives the low width
 * bytes; it must always be written (ones when the access fails).
 */
typedef void (*trap_access_fn)(void *context, uint64_t offset, unsigned width, bool is_write,
                               uint64_t *value);

/** Whether this processor and build can complete faulting instructions. */
bool trap_is_supported(void);

/**
 * Complete accesses that fault in [base, base + bytes). The pages are the caller's: it maps them
 * PROT_NONE (those meant to be trapped) or with access (those that are plain memory).
 * 0 and *out; -ENOTSUP (trap_is_supported is false); -EINVAL (NULL, empty or wrapping); -EEXIST (a
 * live region overlaps); -ENOMEM; -errno of sigaction. Installs the process's SIGSEGV handler,
 * again if another has replaced it; faults elsewhere go to the handler that was there before.
 * Threads that access the region must not block SIGSEGV; system calls given its addresses fail with
 * EFAULT.
 *
 * Completed: naturally aligned accesses of 1, 2, 4 or 8 bytes by integer moves and arithmetic,
 * scalar vector moves and string instructions (one access an element). Read-modify-write is a read
 * and then a write of the device, LOCK or not. All else is refused with a line on stderr and then
 * faults as it would have without a region.
 */
int trap_region_add(void *base, size_t bytes, trap_access_fn access, void *context,
                    struct trap_region **out);

/** Stop. The caller promises that no thread accesses the region any more. NULL is fine. */
void trap_region_remove(struct trap_region *region);

#endif

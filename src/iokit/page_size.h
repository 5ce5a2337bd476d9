/*
 * The page size that this process's IOKit clients see.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_PAGE_SIZE_H
#define DEXTLINK_IOKIT_PAGE_SIZE_H

#include <stddef.h>

/**
 * Set vm_page_size, vm_page_mask and vm_page_shift to what the host presents. bytes is a power of
 * two from 4096 up, 0 for the machine's own page size. 0; -EINVAL, nothing changed. Plain stores to
 * plain variables: call it before the client can look, once a process.
 */
int iokit_page_size_set(size_t bytes);

#endif

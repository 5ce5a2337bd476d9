/*
 * Memory of others that is mapped here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_FOREIGN_H
#define DEXTLINK_VFIOUSER_FOREIGN_H

#include <stddef.h>

/** Keep a mapping out of core files, where this system can: a guest's memory is large, and not ours
 * to write down. address: of whole pages. */
void vu_foreign_memory(void *address, size_t bytes);

#endif

/*
 * Devices of this process, for --device and the demo. The one place that knows dext-host.h: on
 * systems with the real dext embedded_none.c stands in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_EMBEDDED_H
#define DEXTLINK_DEXTCTL_EMBEDDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Start a host with these devices in this process; all later IOKit calls go to it. page_size 0:
 * the machine's. false with *cause set, malloc'ed, or NULL when memory ran out.
 */
bool embedded_start(const char *const *devices, size_t count, uint32_t page_size, bool access_open,
                    char **cause);

/** End the host, if there is one. */
void embedded_stop(void);

/** How many things clients hold at this moment: connections, claims and regions together. */
uint64_t embedded_held(void);

/** Whether the last look for devices found a host to ask, or is yet to come. */
bool embedded_found_host(void);

/** After a look that found none: says that there are no devices, why, and what to do. Valid until
 * the next call, which is for one thread. */
const char *embedded_hint(void);

#endif

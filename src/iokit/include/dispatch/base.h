/*
 * Functions that queues run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DISPATCH_BASE_H
#define DEXTLINK_DISPATCH_BASE_H

typedef void (*dispatch_function_t)(void *);

#endif

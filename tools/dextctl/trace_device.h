/*
 * dextctl trace of devices: the calls that their drivers keep, of whoever makes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_TRACE_DEVICE_H
#define DEXTLINK_DEXTCTL_TRACE_DEVICE_H

#include <stdbool.h>

#include "options.h"

/** Whether an argument means a device: it has the form of one, and no file has its name. */
bool trace_is_device(const char *argument);

/** Follow devices by address or name; all there are when count is 0. Returns an exit status. */
int trace_devices(const struct options *options, int count, char **arguments);

#endif

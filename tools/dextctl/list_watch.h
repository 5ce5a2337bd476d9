/*
 * dextctl list --watch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_LIST_WATCH_H
#define DEXTLINK_DEXTCTL_LIST_WATCH_H

#include "options.h"

/** Print a line for each device there is, arrives or goes, until the options or a signal end it.
 * Returns an exit status. */
int list_watch(const struct options *options);

#endif

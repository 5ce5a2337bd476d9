/*
 * How long dextctl waits for what a device or another process has to do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_PATIENCE_H
#define DEXTLINK_DEXTCTL_PATIENCE_H

/** What DEXTLINK_PATIENCE says, whole seconds from 1 to 86,400; usual_seconds where it is not set
 * or says something else. For processes in a debugger, and for machines that are busy. */
double patience(double usual_seconds);

#endif

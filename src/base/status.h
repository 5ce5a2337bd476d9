/*
 * The one table between errno values, IOReturn codes and text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_STATUS_H
#define DEXTLINK_BASE_STATUS_H

#include <IOKit/IOReturn.h>

/**
 * Translate 0 or -errno to an IOReturn code.
 *
 * Returns kIOReturnSuccess for 0 (and for positive values, which are never errors below the seam),
 * the row's code for a listed -errno, kIOReturnError for any other. Pure, any thread.
 */
IOReturn status_from_errno(int negative_errno);

/** Translate an IOReturn code to 0 or -errno; -EIO for codes with no row. Pure, any thread. */
int status_to_errno(IOReturn code);

/** Name of a code ("kIOReturnNoDevice"), or NULL when it has no row. Static storage. */
const char *status_name(IOReturn code);

/** One phrase for a code, never NULL ("unknown code"). Static storage. */
const char *status_text(IOReturn code);

#endif

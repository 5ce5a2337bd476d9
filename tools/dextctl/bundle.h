/*
 * The doctor's archive for bug reports: what it saw, without what is private.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_BUNDLE_H
#define DEXTLINK_DEXTCTL_BUNDLE_H

#include "doctor.h"

struct bundle;

/**
 * Create the file (one that exists is refused) and begin to keep the library's log. Prints one line
 * on failure. End it by bundle_write or bundle_discard.
 */
int bundle_open(const struct options *options, struct bundle **out);

/** Add what is known of a device; bundle may be NULL. */
void bundle_add_device(struct bundle *bundle, const struct patient *patient);

/** Add the report, which is masked in place, and write it all. A failure leaves no file. */
int bundle_write(struct bundle *bundle, json_object *report);

void bundle_discard(struct bundle *bundle);

#endif

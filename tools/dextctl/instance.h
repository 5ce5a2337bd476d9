/*
 * How a device is named: texts and JSON of what the registry says about it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_INSTANCE_H
#define DEXTLINK_DEXTCTL_INSTANCE_H

#include <stdbool.h>

#include "apple-dext-client.h"
#include "output.h"

#define INSTANCE_TEXT_BYTES 24

/** "01:00.0", or "?" where the registry does not say. Returns text. */
const char *instance_address_text(const AppleDextInstance *instance,
                                  char text[INSTANCE_TEXT_BYTES]);

/** "1234:11e8", or "?". Returns text. */
const char *instance_ids_text(const AppleDextInstance *instance, char text[INSTANCE_TEXT_BYTES]);

/** Everything, for the caller to own. What is not known is null. */
json_object *instance_json(const AppleDextInstance *instance);

/** The same with what changes: "state" (present or gone) and "claimed_by". */
json_object *instance_list_json(const AppleDextInstance *instance, bool is_present);

/* Columns of a table of devices. */
struct instance_widths {
    int root, name, claims;
};
struct instance_widths instance_widths_least(void);
void instance_widths_fit(struct instance_widths *widths, const AppleDextInstance *instance);
void instance_print_titles(const struct instance_widths *widths);
void instance_print_row(const struct instance_widths *widths, const AppleDextInstance *instance,
                        bool is_present);

#endif

/*
 * What dext-vfio-user says on stderr: lines of text, or of JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_VFIO_USER_SPEAK_H
#define DEXTLINK_DEXT_VFIO_USER_SPEAK_H

#include <stdbool.h>

#include "vfiouser/report.h"

/** Set up: the server's report, and with is_verbose the client library's log in it. */
void speak_start(struct vu_report *report, bool is_json, bool is_verbose);

#endif

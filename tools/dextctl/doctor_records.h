/*
 * What a driver keeps of its clients, for the doctor's archive: their calls, before the doctor's
 * own push them out, and what they have mapped for DMA.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_DOCTOR_RECORDS_H
#define DEXTLINK_DEXTCTL_DOCTOR_RECORDS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "apple-dext-client.h"

/* Zeroed: nothing was read yet. */
struct doctor_records {
    AppleDextCall *calls; /* owned */
    size_t count;
    uint64_t cursor;
    uint64_t lost;      /* while the doctor worked */
    kern_return_t code; /* of the first read that failed */
};

/** Read what was called since the last time, the first time all that is kept. */
void doctor_records_read(struct doctor_records *records, io_connect_t connection);
void doctor_records_clear(struct doctor_records *records);

/** Write the calls as JSON, one a line. */
void doctor_records_write(const struct doctor_records *records, FILE *file);

/** What is mapped now, for the caller to own. */
json_object *doctor_segments_json(io_connect_t connection);

#endif

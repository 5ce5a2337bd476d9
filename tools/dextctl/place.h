/*
 * A stretch of a BAR to read and write: through a mapping, or by calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_PLACE_H
#define DEXTLINK_DEXTCTL_PLACE_H

#include "bar.h"
#include "options.h"
#include "session.h"
#include "verb.h"

struct place {
    const struct session *session; /* borrowed */
    struct bar bar;
    uint64_t offset;
    uint64_t bytes;
    uint64_t width;
    mach_vm_address_t address; /* of the mapping; 0: calls */
};

/**
 * Find bytes at an offset of a BAR of a claimed device, and map it unless --call is given. 0 bytes:
 * up to the BAR's end, at most default_bytes. Prints one line on failure, also when the place is
 * not inside the BAR.
 */
int place_open(struct place *place, const struct session *session, const struct options *options,
               const struct arguments *arguments, uint64_t bytes, uint64_t default_bytes);
void place_close(struct place *place);

/** One access of the place's width, at an offset from its start. Prints one line on failure. */
int place_read(const struct place *place, uint64_t at, uint64_t *value);
int place_write(const struct place *place, uint64_t at, uint64_t value);

/** All ones in a value of the place's width. */
uint64_t place_ones(const struct place *place);

/**
 * Ones were all that was read: whether the device is still there. A mapping cannot say, so its
 * vendor ID is read. Prints one line when it has gone.
 */
int place_confirm_ones(const struct place *place);

/** "mapping" or "call". */
const char *place_path(const struct place *place);

/** Whether writing there would hurt; says why, and that --force does it all the same. */
int place_check_harm(const struct place *place, const struct options *options);

#endif

/*
 * Waiting without sleeping: on how many processors, and on which.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_SPIN_H
#define DEXTLINK_WIRE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/** Processors this process may run on, as they were at the first call. At least 1. Any thread. */
unsigned wire_processor_count(void);

/** Where this thread runs at this moment: the processor's number + 1, as call slots have it
 * (WIRE_HOST_SOMEWHERE where that is unknown). A few nanoseconds. */
uint32_t wire_processor_here(void);

/** Processors that this thread may run on, of the first 64: bit n is processor n. */
uint64_t wire_processors(void);

/** Move this thread to a processor that it may run on (its number + 1); it may go anywhere it could
 * before from then on. false: it is where it was. */
bool wire_processor_go(uint32_t there);

#endif

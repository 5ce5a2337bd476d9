/*
 * Hop trace: one line a hop, all hops of one call under one call id. Off unless DEXTLINK_TRACE
 * names a file ("-" is stderr); one that cannot be opened is reported on stderr, once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_TRACE_H
#define DEXTLINK_BASE_TRACE_H

#include <stdint.h>

/** Whether anybody traces; cheap, so callers may guard costly arguments with it. */
int trace_is_on(void);

/** A call id never given before in this process; 0 when tracing is off. */
uint64_t trace_new_call(void);

/** The id of the call this thread works for, 0 when none; a worker sets what the message carried.
 */
uint64_t trace_current_call(void);
void trace_set_current_call(uint64_t call_id);

/** Begin a call unless this thread works for one already; what it returns goes to trace_end_call.
 */
uint64_t trace_begin_call(void);
void trace_end_call(uint64_t outer);

/** Write one line for the current call. hop is a layer's name, static storage. Keeps errno. */
void trace_hop(const char *hop, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

/*
 * Hop trace: one line a hop, all hops of one call under one call id. Off unless DEXTLINK_TRACE
 * names a file ("-" is stderr); one that cannot be opened is reported on stderr, once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_TRACE_H
#define DEXTLINK_BASE_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum trace_state {
    TRACE_UNKNOWN, /* nobody has asked yet */
    TRACE_OFF,
    TRACE_ON,
};
extern _Atomic enum trace_state trace_state; /* trace_is_on's */

/** Look at the environment, once. */
bool trace_look(void);

/** Whether anybody traces; one load, so callers may guard costly arguments with it. */
static inline bool trace_is_on(void)
{
    enum trace_state state = atomic_load_explicit(&trace_state, memory_order_acquire);
    return state == TRACE_UNKNOWN ? trace_look() : state == TRACE_ON;
}

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

/** Write one line for the current call, if anybody traces: else the arguments are not evaluated.
 * hop is a layer's name, static storage. Keeps errno. */
#define trace_hop(...)                                                                             \
    do {                                                                                           \
        if (trace_is_on()) {                                                                       \
            trace_write(__VA_ARGS__);                                                              \
        }                                                                                          \
    } while (0)

/** Of trace_hop: tracing is on. */
void trace_write(const char *hop, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

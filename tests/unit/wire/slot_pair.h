/*
 * Both ends of call slots in one process: a client that calls, and a host that adds ANSWER to each
 * scalar, as a thread or by hand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_WIRE_SLOT_PAIR_H
#define TESTS_WIRE_SLOT_PAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/protocol.h"
#include "wire/slots.h"

#define ANSWER UINT64_C(0x9e3779b97f4a7c15) /* what the test's host adds to a scalar */

/* Both ends. The host is a thread of the test's, or nobody. */
struct pair {
    struct wire_slot_host host;
    struct wire_slot_client *client;
    int ends[2]; /* client, host: whether the host lives */
    _Atomic bool is_ending;
    int fd;
    atomic_uint kicks;     /* that the client sent */
    unsigned woken;        /* sleepers the host woke */
    unsigned polls;        /* looks the host takes before it sleeps */
    _Atomic bool hangs_up; /* the host hangs up with the first request taken */
};

/* One call in a thread. */
struct caller {
    struct pair *pair;
    int error;
};

int pair_set_up(void **state);
int pair_tear_down(void **state);

#define slot_test(function) cmocka_unit_test_setup_teardown(function, pair_set_up, pair_tear_down)

/** For a test that plays a broken peer. */
static inline struct wire_slot *slot_of(struct pair *pair, unsigned index)
{
    return &pair->host.shared->slots[index];
}

/** A CALL of a selector, which the host takes for the status to return. */
void put_call(struct wire_words *words, uint32_t selector, const uint64_t *scalars, unsigned count);

/** wire_slot_client_call on the pair. Any thread. */
int pair_call(struct pair *pair, struct wire_words *words);

/** Whether there is a request that nobody has taken. */
bool slot_has_request(struct pair *pair, unsigned index);

/** A call without arguments, in this thread (the opaque is a caller) or in one of its own. */
void *call_in_thread(void *opaque);
pthread_t start_call(struct caller *caller);

/** Serve what is in the slots now; how much. */
unsigned host_serve(struct pair *pair);

/** A thread that serves, and sleeps on the slots' word as a host does. */
pthread_t start_host(struct pair *pair);
void stop_host(struct pair *pair, pthread_t thread);

#endif

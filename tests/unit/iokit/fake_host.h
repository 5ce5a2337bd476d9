/*
 * A host to write scripts for: it stands where the embedded host stands, answers plainly on its
 * own, and lets a test answer any kind of request in its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_IOKIT_FAKE_HOST_H
#define TESTS_IOKIT_FAKE_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/link.h"
#include "wire/message.h"
#include "wire/protocol.h"
#include "wire/value.h"

#define FAKE_TYPES       64
#define FAKE_FIRST_ENTRY 1000 /* entry ids count up from here */

struct fake_host;

/* Answer one request: fill reply (its type, sequence and status 0 are set) and return 0, or what
 * the link shall return. Any thread; no lock held. */
typedef int (*fake_answer_fn)(struct fake_host *host, struct wire_message *request,
                              struct wire_message *reply);

struct fake_host {
    /* Set before fake_host_start, or while nothing calls. */
    size_t entry_count;
    uint32_t page_size;
    fake_answer_fn answer[FAKE_TYPES]; /* by request type; NULL: the plain answer */
    /* A small request, whose reply takes its place; NULL: it must go as a frame. Called as above,
     * and returns 0, -EAGAIN to have a frame instead, or what the link shall return. */
    int (*small)(struct fake_host *host, struct wire_words *words);
    void *context; /* the test's */

    /* For the test to look at. */
    atomic_uint seen[FAKE_TYPES]; /* requests that came, by type */
    atomic_int links;             /* open links: 0 when nothing keeps a session or a connection */
    _Atomic uint64_t last_token;  /* of the last notification or interest added */

    /* The host's own. */
    struct wire_local_host entry;
    pthread_mutex_t lock; /* held while events are delivered, as a host does */
    wire_event_fn on_event;
    wire_gone_fn on_gone;
    void *sink;
    atomic_bool is_dead;
};

/** Become this process's host. host: zeroed but for what is to be set before. */
void fake_host_start(struct fake_host *host);

/** Die: links answer -ENOTCONN and the client hears that the host has gone. */
void fake_host_die(struct fake_host *host);

/** Die if it has not, make way for another host, and see that the client let go of everything. */
void fake_host_stop(struct fake_host *host);

/** Events. */
void fake_host_send(struct fake_host *host, struct wire_message *event);
void fake_host_send_match(struct fake_host *host, uint64_t token, uint64_t entry_id);
void fake_host_send_dead(struct fake_host *host, uint64_t entry_id);
void fake_host_send_interest(struct fake_host *host, uint64_t token, uint64_t entry_id,
                             uint32_t type);
void fake_host_send_completion(struct fake_host *host, uint64_t wake_port,
                               const uint64_t reference[8], uint32_t status,
                               const uint64_t *arguments, uint32_t count);

/** A memfd of that length, every 8 bytes holding their own offset. */
int fake_host_memory(size_t bytes);

/** One range of the reply to WIRE_MAP. */
void fake_put_range(struct wire_message *reply, uint64_t offset, uint64_t bytes, uint64_t fd_offset,
                    uint32_t index);

#endif

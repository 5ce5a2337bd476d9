/*
 * A wake channel: memory through which a host hands completions to the thread that runs their
 * callbacks, and wakes it directly. A ring that the host puts into and the client takes from, and
 * the bell (wire/bell.h) that the client's thread sleeps on; docs/wire.md has the layout.
 *
 * What does not fit goes over the event channel: nothing waits here. The client says whether a
 * thread waits on the channel; where none does the host sends an event as well, so that somebody
 * looks. A client that ends its waiting says so first and then looks once more: whatever the host
 * put before it could see that is found, what it put later is told by the event.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_WAKE_H
#define DEXTLINK_WIRE_WAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/bell.h"
#include "wire/protocol.h"

/* The payload of a WIRE_EVENT_COMPLETION: what there is of it depends on count. */
struct wire_completion {
    uint64_t wake_port;
    uint64_t reference[WIRE_MAX_REFERENCES];
    uint32_t status;
    uint32_t count;
    uint64_t arguments[WIRE_MAX_ARGUMENTS];
};
_Static_assert(sizeof(struct wire_completion) == 208, "as in protocol.h, without padding");

/** Bytes of the payload; count is at most WIRE_MAX_ARGUMENTS. */
static inline uint32_t wire_completion_bytes(const struct wire_completion *completion)
{
    return (uint32_t)(offsetof(struct wire_completion, arguments) +
                      completion->count * sizeof(completion->arguments[0]));
}

/* The host's end: one thread at a time puts. */

struct wire_wake_host;

/** Make a channel. *fd is the caller's, to hand out. 0, -errno. */
int wire_wake_host_create(struct wire_wake_host **out, int *fd);
void wire_wake_host_destroy(struct wire_wake_host *host); /* NULL is fine */

enum wire_wake_result {
    WIRE_WAKE_PUT,    /* handed over; whoever sleeps is woken */
    WIRE_WAKE_UNSEEN, /* handed over, but nobody waits: tell by WIRE_EVENT_WAKE */
    WIRE_WAKE_FULL,   /* the client has not taken the last 32, or wrote rubbish: nothing was done */
};
enum wire_wake_result wire_wake_put(struct wire_wake_host *host,
                                    const struct wire_completion *completion);

/* The client's end: one thread at a time takes; any may ask. */

struct wire_wake_client;

/** Map a channel that a host handed out; fd stays the caller's. NULL: out of memory, or it is no
 * file of that size that keeps its size. */
struct wire_wake_client *wire_wake_client_create(int fd);
void wire_wake_client_destroy(struct wire_wake_client *client); /* NULL is fine */

/** Whether a thread waits on the bell from now on. */
void wire_wake_set_attended(struct wire_wake_client *client, bool is_attended);

struct wire_bell *wire_wake_bell(struct wire_wake_client *client);
bool wire_wake_has_completion(struct wire_wake_client *client);

/** Take the oldest; false: there is none. What the host wrote is checked: count is in range. */
bool wire_wake_take(struct wire_wake_client *client, struct wire_completion *completion);

#endif

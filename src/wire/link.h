/*
 * A client's end of a control or call channel, whatever carries it: a socket to another process or
 * a host inside this one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_LINK_H
#define DEXTLINK_WIRE_LINK_H

#include "wire/message.h"
#include "wire/words.h"

struct wire_link;

struct wire_link_ops {
    /* Send request and wait for the reply (its header.status is the answer). Any thread; the link
     * serialises where it has to. request keeps its buffer. 0; -ECONNRESET the other end died
     * before the reply came; -ENOTCONN it was dead before; -EBADMSG, -ENOMEM;
     * -EMFILE the reply's descriptors found no room, which the link survives. */
    int (*call)(struct wire_link *link, struct wire_message *request, struct wire_message *reply);

    /* The same for a small one, whose reply takes its place. -EAGAIN: not that way at this moment,
     * nothing was done and `call` does it. NULL: never. */
    int (*call_small)(struct wire_link *link, struct wire_words *words);

    /* Wrap the call channel that came in the reply to WIRE_OPEN. NULL on failure. */
    struct wire_link *(*accept)(struct wire_link *control, struct wire_message *reply,
                                uint64_t connection_id);

    /* Close and free. No call may be under way. */
    void (*close)(struct wire_link *link);
};

struct wire_link {
    const struct wire_link_ops *ops;
};

/* Receives frames of the event channel, in order. message is borrowed for the call. Must not block
 * or call a link: a host inside the process calls it with locks held. */
typedef void (*wire_event_fn)(void *context, struct wire_message *message);

/* Told once, on any thread, when the host has gone. Same rules. */
typedef void (*wire_gone_fn)(void *context);

/** A link over a connected stream socket; owns fd from here on, also on failure (NULL). The call
 * links it accepts use call slots (wire/slots.h) once there has been some traffic. */
struct wire_link *wire_link_from_socket(int fd);

/* A host inside this process (the embedded host). */
struct wire_local_host {
    /* As connecting and WIRE_HELLO in one: a control link whose events go to the sinks, and the
     * page size to show. NULL when out of memory. */
    struct wire_link *(*connect)(void *host, wire_event_fn on_event, wire_gone_fn on_gone,
                                 void *context, uint32_t *page_size);
    void *host;
};

/**
 * Make a host inside this process the one that IOKit calls go to; NULL removes it. The pointer must
 * stay valid until it is removed. 0; -EBUSY there is one already. Any thread.
 */
int wire_local_set(const struct wire_local_host *host);

/** Connect to the host inside this process; NULL when there is none or it refuses. */
struct wire_link *wire_local_connect(wire_event_fn on_event, wire_gone_fn on_gone, void *context,
                                     uint32_t *page_size);

#endif

/*
 * A host at the other end of a socket, for what only a socket can do: hang up, die inside a frame,
 * send rubbish. One client; control and event sockets, call sockets in the order of opening.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_IOKIT_FAKE_PEER_H
#define TESTS_IOKIT_FAKE_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"
#include "wire/protocol.h"

enum fake_manner {
    FAKE_PLAIN,        /* answer */
    FAKE_HANG_UP,      /* close without a word */
    FAKE_HANG_UP_ONCE, /* then answer */
    FAKE_DIE_IN_FRAME, /* half a header, then close */
    FAKE_RUBBISH,      /* bytes that are no frame; the socket stays open */
    FAKE_OTHER_REPLY,  /* a reply to something else */
    FAKE_REFUSE,       /* status kIOReturnUnsupported */
    FAKE_NO_FD,        /* the reply lacks its descriptor */
    FAKE_SILENT,       /* never answer; the socket stays open */
    FAKE_STALL,        /* half a header, and then nothing */
};

struct fake_peer {
    char directory[64];
    char path[96];
    int listener;
    pthread_t thread;
    _Atomic int manner[64]; /* by request type: enum fake_manner */
    atomic_uint seen[64];
    atomic_uint clients;  /* control sockets accepted */
    atomic_int event_fd;  /* of the latest client; -1: none */
    atomic_int memory_fd; /* our end of the latest memory socket, the test's; -1: none */
    atomic_uint threads;  /* that serve sockets */
};

/** Listen, and make DEXTLINK_SOCKET point there. */
void fake_peer_start(struct fake_peer *peer);

/** Hang up the event socket: how a client notices that a host has gone. */
void fake_peer_hang_up_events(struct fake_peer *peer);

/** Stop listening, hang up events, and wait for the clients to let go of every socket. */
void fake_peer_stop(struct fake_peer *peer);

#endif

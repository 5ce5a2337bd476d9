/*
 * The connection to one client, used by two threads: the session's, which takes the client's
 * commands and answers them, and one that asks the client for its memory while a device waits.
 *
 * Whoever waits for something reads what comes: the session for commands, the other for its reply
 * when the session is busy; commands that come then are kept for the session, in order. With a twin
 * socket requests for memory have a stream of their own.
 *
 * QEMU serves nothing while it waits for an answer: a request for memory that our answer waits for
 * would wait for ever. So nothing is asked on the client's socket before its commands are answered,
 * and what is asked fails when a command stays unanswered for a short while. A client that is seen
 * to answer us while it waits, or that asks for a later version than QEMU does, is spared both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_LINK_H
#define DEXTLINK_VFIOUSER_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "vfiouser/channel.h"
#include "vfiouser/codec.h"
#include "vfiouser/report.h"

/* For the replies to what is asked at once: less than the host below waits for. */
#define VU_LINK_PATIENCE_MS 2000
/* For a command of the client that we have not answered. */
#define VU_LINK_SYNC_PATIENCE_MS 200
/* Most that is read into one reply: QEMU cuts longer ones short. */
#define VU_LINK_MAX_READ       32768
#define VU_LINK_MAX_WRITE      65536

#define VU_LINK_MAX_KEPT_BYTES (16u << 20)
#define VU_LINK_MAX_KEPT_FDS   64

/* A message kept for the session. */
struct vu_kept {
    STAILQ_ENTRY(vu_kept) link;
    struct vu_message message;
    uint8_t payload[];
};

/* A request for memory that is under way. */
struct vu_question {
    bool is_open; /* the reply has not come */
    uint16_t id;
    bool is_write;
    uint64_t address, count;
    void *buffer; /* of a read */
    int result;
};

struct vu_link {
    const struct vu_report *report;
    unsigned patience_ms, sync_patience_ms;
    pthread_mutex_t send_lock; /* one message at a time on the socket */
    pthread_mutex_t lock;      /* what follows */
    pthread_cond_t changed;
    struct vu_channel channel; /* its payload is the session's */
    struct vu_channel twin;    /* the memory thread's; fd -1: none */
    uint64_t max_transfer;     /* the client's */
    bool is_open;
    bool is_reading;       /* somebody reads the socket */
    bool is_asking;        /* the memory thread is in here */
    uint64_t ask_deadline; /* ms; its */
    int error;             /* that ended reading; what is kept comes first */
    struct vu_header bad_header;
    STAILQ_HEAD(, vu_kept) kept;
    size_t kept_bytes, kept_fds;
    struct vu_kept *current; /* what the session has taken and works on */
    unsigned in_hands;       /* commands that the client waits for */
    uint64_t in_hands_since; /* ms; of the last one that was answered, or the first */
    struct vu_question question;
    uint16_t next_id;
    bool is_deaf;           /* it did not answer in time; it is not asked again until it does */
    bool is_sync_said;      /* the log has it */
    bool answers_meanwhile; /* it serves us while it waits for us */
    uint8_t given_up[65536 / 8]; /* ids whose replies mean nothing any more */
    int wake[2];                 /* the memory thread's; -1 before the first request */
    uint8_t *side_payload;       /* what the memory thread reads of the client's socket */
};

/** Closed. report: borrowed, NULL is fine. */
void vu_link_init(struct vu_link *link, const struct vu_report *report);
/** Closed before. */
void vu_link_destroy(struct vu_link *link);

/** A client: takes fd, also on failure. 0; -ENOMEM. The session's thread, as all up to ask. */
int vu_link_open(struct vu_link *link, int fd);

/** The client has gone, or is to go: a request for memory that is under way fails at once, as does
 * every later one. Waits for the memory thread to leave. Idempotent. */
void vu_link_close(struct vu_link *link);

/** The next message for the session; as vu_channel_receive. What the one before held is gone. */
int vu_link_receive(struct vu_link *link, struct vu_message *message);

/** As vu_channel_send. */
int vu_link_send(struct vu_link *link, struct vu_header *header, const void *payload,
                 size_t payload_bytes, int fd);

/** The session is done with a message, and about to answer it if that is awaited. */
void vu_link_done(struct vu_link *link, const struct vu_header *header);

/** What the client has said. has_twin: make a twin socket, *peer_fd is the client's end of it, the
 * caller's; else -1. 0; -errno of socketpair; -ENOMEM. */
int vu_link_agree(struct vu_link *link, const struct vu_version *peer, bool has_twin, int *peer_fd);

/**
 * Read or write the client's memory at address, by DMA_READ or DMA_WRITE, piece by piece. One
 * thread at a time, not the session's.
 *
 * 0; -ENOTCONN there is no client; -ETIMEDOUT it does not answer; -EDEADLK it waits for an answer
 * of ours, which may wait for this; -EPROTO its reply does not fit; the client's errno; -ENOMEM,
 * -errno of the socket.
 */
int vu_link_ask(struct vu_link *link, bool is_write, uint64_t address, void *buffer, size_t length);

#endif

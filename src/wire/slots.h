/*
 * Call slots: memory that both ends of a call channel share, through which small calls and their
 * results go without a frame, and without a system call while the host is awake.
 *
 * A client writes a request into a slot of its choice and then its number; the host carries it out
 * as if it had come as a frame, writes the reply and then the same number into the mark. What one
 * side writes and what the other writes are lines of their own: a call moves each once. `awake`
 * says that the host looks at all slots before it next sleeps on that word. Nobody misses the
 * other: the client stores the number and then loads `awake`; the host, about to sleep, stores
 * awake = 0 and then loads the numbers. All four are sequentially consistent, so at least one of
 * the two loads sees the other side's store: either the host finds the request, or the client finds
 * it asleep and wakes it (a futex on `awake`, or a WIRE_KICK frame). A client that cannot wait any
 * longer adds WIRE_SLOT_WAITING and sleeps on the mark, which obliges the host to wake it.
 *
 * Neither side trusts what the other writes: all is read once, then checked. docs/wire.md has the
 * layout for readers of other languages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_SLOTS_H
#define DEXTLINK_WIRE_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/words.h"

#define WIRE_SLOTS_LAYOUT 2
#define WIRE_SLOT_COUNT   31 /* with the head of the memory: 16 KiB */

/* The host's word. Any other value: awake, on processor number value - 1. */
#define WIRE_HOST_ASLEEP    UINT32_C(0)
#define WIRE_HOST_RUNG      UINT32_MAX       /* by who wakes it: it will be awake */
#define WIRE_HOST_SOMEWHERE (UINT32_MAX - 1) /* awake, and no processor's number is known */

/* A reply's mark: the number of the request that is answered, above these two bits. */
#define WIRE_SLOT_WAITING     UINT32_C(1) /* by the client: it sleeps on the mark */
#define WIRE_SLOT_ENDED       UINT32_C(2) /* by the host: the channel has ended, nobody will answer */
#define WIRE_SLOT_MARK_SHIFT  2
#define WIRE_SLOT_NUMBER_MASK (UINT32_MAX >> WIRE_SLOT_MARK_SHIFT)

/* By the client. A call of up to 5 scalars uses the first cache line. */
struct wire_slot_request {
    _Atomic uint32_t number; /* last: what is another than before is a request */
    _Atomic uint16_t where;  /* the caller's processor + 1; 0: unknown */
    _Atomic uint8_t type;    /* WIRE_CALL, WIRE_CALL_AT or WIRE_ACCESS */
    _Atomic uint8_t count;   /* of words in use */
    _Atomic uint64_t call_id;
    _Atomic uint64_t words[WIRE_WORDS_MAX];
    uint64_t reserved[5];
};
_Static_assert(sizeof(struct wire_slot_request) == 192, "three cache lines");

/* By the host, but for a flag of the mark. Up to 6 words are in the first cache line. */
struct wire_slot_reply {
    _Atomic uint32_t mark; /* last */
    _Atomic uint32_t status;
    _Atomic uint32_t count;
    uint32_t reserved;
    _Atomic uint64_t words[WIRE_WORDS_MAX];
    uint64_t more[13];
};
_Static_assert(sizeof(struct wire_slot_reply) == 256, "four cache lines");

struct wire_slot {
    struct wire_slot_request request;
    _Atomic uint32_t taken; /* by the host: the number of what it took last, for who asks later */
    uint32_t reserved[15];
    struct wire_slot_reply reply;
};
_Static_assert(sizeof(struct wire_slot) == 512, "eight cache lines");

struct wire_slots {
    _Atomic uint32_t awake; /* by the host, and by who wakes it */
    uint32_t reserved[127];
    struct wire_slot slots[WIRE_SLOT_COUNT];
};
_Static_assert(sizeof(struct wire_slots) == 16384, "32 times 512 bytes");

/** Whether call slots are wanted here: DEXTLINK_SLOTS is not "off". */
bool wire_slots_are_wanted(void);

/** The mark that answers a request. */
static inline uint32_t wire_slot_mark(uint32_t number)
{
    return number << WIRE_SLOT_MARK_SHIFT;
}

/* The client's end. */

struct wire_slot_client;

/** Map slots that a host handed out; fd stays the caller's. NULL: out of memory, or it is no file
 * of that size that keeps its size. */
struct wire_slot_client *wire_slot_client_create(int fd);
void wire_slot_client_destroy(struct wire_slot_client *client); /* NULL is fine */

/* Tells another thread of the host, by a WIRE_KICK. 0, -errno of wire_send. */
typedef int (*wire_kick_fn)(void *context);

/**
 * Make a call and wait for its reply, which takes its place. socket_fd: the call channel, which
 * tells of the host's death. Any thread, any number at once.
 * 0; -EAGAIN no slot is free, nothing was done; -ECONNRESET the host died before the reply came;
 * -ENOTCONN it died before it took the request; -EBADMSG rubbish in the slot.
 */
int wire_slot_client_call(struct wire_slot_client *client, int socket_fd, wire_kick_fn kick,
                          void *context, struct wire_words *call);

/* The host's end. One thread at a time, but for wire_slot_host_has, _sleep, _ring and _wake. */

struct wire_slot_host {
    struct wire_slots *shared; /* NULL: none */
    size_t bytes;
    _Atomic uint32_t awake;                  /* what was last stored there */
    _Atomic uint32_t taken[WIRE_SLOT_COUNT]; /* the last number of each */
};

/** Make the slots of one channel, asleep. *fd is the caller's, to hand out. 0, -errno. */
int wire_slot_host_create(struct wire_slot_host *host, int *fd);
void wire_slot_host_destroy(struct wire_slot_host *host); /* none is fine */

/** Say that all slots will be looked at before anybody sleeps on them, and where that thread runs
 * (wire_processor_here); or, WIRE_HOST_ASLEEP, that they must be looked at once more, then. */
void wire_slot_host_set_awake(struct wire_slot_host *host, uint32_t awake);

/** Sleep until the client or wire_slot_host_ring wakes: true. Or until `awake` is no longer what
 * was stored there, or some seconds have passed: a client can do a lot to a word that it shares. */
bool wire_slot_host_sleep(struct wire_slot_host *host);

/** Wake who sleeps, or is about to. Any thread. */
void wire_slot_host_ring(struct wire_slot_host *host);

/** Whether there is a request in slot number index: a hint, for who looks often. */
static inline bool wire_slot_host_has(const struct wire_slot_host *host, unsigned index)
{
    return atomic_load(&host->shared->slots[index].request.number) !=
           atomic_load_explicit(&host->taken[index], memory_order_relaxed);
}

/** The request in slot number index (below WIRE_SLOT_COUNT), if there is one; *where: the caller's
 * processor + 1, or so it says. What is malformed comes with type 0. */
bool wire_slot_host_take(struct wire_slot_host *host, unsigned index, struct wire_words *call,
                         unsigned *where);

/** Answer what was taken. true: the client sleeps, and wire_slot_host_wake must follow. */
bool wire_slot_host_answer(struct wire_slot_host *host, unsigned index,
                           const struct wire_words *call);
void wire_slot_host_wake(struct wire_slot_host *host, unsigned index);

/** Nothing is answered any more: wake whoever waits. */
void wire_slot_host_end(struct wire_slot_host *host);

/* Shared by both ends. timeout_ns 0: none. */
int wire_slot_sleep(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void wire_slot_wake(_Atomic uint32_t *word, int count);

#endif

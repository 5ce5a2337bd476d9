/*
 * Call slots: memory that both ends of a call channel share, through which small calls and their
 * results go without a system call while the host is awake.
 *
 * A client writes a request into a slot of its choice and marks it WIRE_SLOT_REQUEST; the host
 * marks it TAKEN, carries it out as if it had come as a frame, and marks it REPLY. `awake` says
 * that the host looks at all slots before it next sleeps on the socket. Nobody misses the other:
 * the client stores the mark and then loads `awake`; the host, about to sleep, stores awake = 0 and
 * then loads the marks. All four are sequentially consistent, so at least one of the two loads sees
 * the other side's store: either the host finds the request, or the client finds it asleep and
 * wakes it by a WIRE_KICK frame. A client that cannot wait any longer adds WIRE_SLOT_WAITING and
 * sleeps on the mark (a futex), which obliges the host to wake it.
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

#include "wire/message.h"

#define WIRE_SLOTS_LAYOUT 1
#define WIRE_SLOT_COUNT   31 /* with the head of the page: 8 KiB */
#define WIRE_SLOT_WORDS   29

enum wire_slot_mark {
    WIRE_SLOT_FREE,
    WIRE_SLOT_REQUEST, /* by the client */
    WIRE_SLOT_TAKEN,   /* by the host */
    WIRE_SLOT_REPLY,   /* by the host */
    WIRE_SLOT_ENDED,   /* by the host: the channel has ended, nobody will answer */

    WIRE_SLOT_WAITING = 0x100, /* with REQUEST or TAKEN: the client sleeps on the mark */
};

/* 256 bytes: four cache lines, of which a call of up to 4 scalars uses the first. */
struct wire_slot {
    _Atomic uint32_t mark;
    _Atomic uint16_t type;   /* WIRE_CALL or WIRE_ACCESS */
    _Atomic uint16_t count;  /* of words in use */
    _Atomic uint32_t status; /* of a reply */
    uint32_t reserved;
    _Atomic uint64_t call_id; /* of the trace */
    /* CALL: selector in the low 32 bits, scalars in above by 32, room for scalars by 48; then the
     * scalars. Its reply: the scalars. ACCESS and its reply: as in the frame. */
    _Atomic uint64_t words[WIRE_SLOT_WORDS];
};
_Static_assert(sizeof(struct wire_slot) == 256, "a slot is 256 bytes");

struct wire_slots {
    _Atomic uint32_t awake; /* by the host; a cache line nobody else writes */
    uint32_t reserved[63];
    struct wire_slot slots[WIRE_SLOT_COUNT];
};
_Static_assert(sizeof(struct wire_slots) == 8192, "32 times 256 bytes");

/** Whether call slots are wanted here: DEXTLINK_SLOTS is not "off". */
bool wire_slots_are_wanted(void);

/* A request, and its reply, between message and slot. */

/** Whether a request may go by slot: ACCESS, and a CALL that is synchronous and has no structures,
 * without descriptors. Anything malformed may not. */
bool wire_slot_takes(const struct wire_message *request);
/** request: one that wire_slot_takes. Leaves the mark alone, as the next three do. */
void wire_slot_put_request(struct wire_slot *slot, const struct wire_message *request);
/** What is malformed becomes a message that is refused like a malformed frame. */
void wire_slot_get_request(const struct wire_slot *slot, struct wire_message *request);
void wire_slot_put_reply(struct wire_slot *slot, const struct wire_message *reply);
/** What is malformed becomes a reply that cannot be read. is_bad when memory runs out. */
void wire_slot_get_reply(const struct wire_slot *slot, const struct wire_message *request,
                         struct wire_message *reply);

/* The client's end. */

struct wire_slot_client;

/** Map slots that a host handed out; fd stays the caller's. NULL: out of memory, or it is no file
 * of that size that keeps its size. */
struct wire_slot_client *wire_slot_client_create(int fd);
void wire_slot_client_destroy(struct wire_slot_client *client); /* NULL is fine */

/* Wakes a host that sleeps, by a WIRE_KICK. 0, -errno of wire_send. */
typedef int (*wire_kick_fn)(void *context);

/**
 * Make a call and wait for its reply. request: one that wire_slot_takes. socket_fd: the call
 * channel, which tells of the host's death. Any thread, any number at once.
 * 0; -EAGAIN no slot is free, nothing was done; -ECONNRESET the host died before the reply came;
 * -ENOTCONN it was dead before; -EBADMSG rubbish in the slot; -ENOMEM the reply got lost.
 */
int wire_slot_client_call(struct wire_slot_client *client, int socket_fd, wire_kick_fn kick,
                          void *context, const struct wire_message *request,
                          struct wire_message *reply);

/* The host's end, of one thread. */

struct wire_slot_host {
    struct wire_slots *shared; /* NULL: none */
    size_t bytes;
};

/** Make the slots of one channel, asleep. *fd is the caller's, to hand out. 0, -errno. */
int wire_slot_host_create(struct wire_slot_host *host, int *fd);

/** Say whether all slots will be looked at before this thread sleeps. Called with false, look at
 * them once more before sleeping. */
void wire_slot_host_set_awake(struct wire_slot_host *host, bool is_awake);

/** Whether there is a request in slot number index: a hint, for who looks often. */
static inline bool wire_slot_host_has(const struct wire_slot_host *host, unsigned index)
{
    uint32_t mark = atomic_load(&host->shared->slots[index].mark);
    return (mark & ~(uint32_t)WIRE_SLOT_WAITING) == WIRE_SLOT_REQUEST;
}

/** The request in slot number index (below WIRE_SLOT_COUNT), if there is one. */
bool wire_slot_host_take(struct wire_slot_host *host, unsigned index, struct wire_message *request);

/** Answer what was taken. true: the client slept and was woken. */
bool wire_slot_host_answer(struct wire_slot_host *host, unsigned index,
                           const struct wire_message *reply);

/** Nothing is answered any more: wake whoever waits, and let go of the memory. None is fine. */
void wire_slot_host_end(struct wire_slot_host *host);

/* Shared by both ends. */
int wire_slot_sleep(_Atomic uint32_t *mark, uint32_t expected, uint64_t timeout_ns);
void wire_slot_wake(_Atomic uint32_t *mark);

#endif

/*
 * The client's end of call slots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/pause.h"
#include "wire/message.h"
#include "wire/slots.h"
#include "wire/spin.h"

/* How long a call waits awake. Between the two it follows what became of the calls before. */
#define SPIN_MIN_NS UINT32_C(2000)
#define SPIN_MAX_NS UINT32_C(20000)

/* How long a sleeper waits until the host has taken his request, before he wakes somebody for it.
 */
#define TAKE_NS UINT64_C(150000)

/* How long a sleeper goes without a look whether the host lives: a host that ends wakes him, one
 * that is killed cannot. */
#define LOOK_MIN_NS               UINT64_C(2000000)
#define LOOK_MAX_NS               UINT64_C(50000000)

#define SPINS_A_LOOK_AT_THE_CLOCK 64

/* How much longer a call may take that carries many things: what a region takes, by the bytes that
 * describe it. */
#define SPIN_NS_A_BYTE   8
#define SPIN_MORE_MAX_NS UINT32_C(100000)

struct wire_slot_client {
    struct wire_slots *shared;
    _Atomic uint32_t used;    /* a bit a slot: of calls under way */
    _Atomic uint32_t spin_ns; /* 0: never */
};

struct wire_slot_client *wire_slot_client_create(int fd)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &status) < 0 ||
        status.st_size < (off_t)sizeof(struct wire_slots)) {
        return NULL;
    }
    struct wire_slot_client *client = calloc(1, sizeof(*client));
    if (!client) {
        return NULL;
    }
    void *address =
        mmap(NULL, sizeof(struct wire_slots), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        free(client);
        return NULL;
    }
    /* A forked child has no part in its parent's calls. */
    madvise(address, sizeof(struct wire_slots), MADV_DONTFORK);
    client->shared = address;
    client->used = ~(uint32_t)0 << WIRE_SLOT_COUNT; /* bits that stand for no slot */
    client->spin_ns = wire_processor_count() > 1 ? SPIN_MAX_NS : 0;
    return client;
}

void wire_slot_client_destroy(struct wire_slot_client *client)
{
    if (client) {
        munmap(client->shared, sizeof(*client->shared));
        free(client);
    }
}

/* The lowest free slot, so that few are in use and their lines stay in the caches; -1. */
static int client_claim(struct wire_slot_client *client)
{
    uint32_t used = atomic_load(&client->used);
    while (~used) {
        int index = __builtin_ctz(~used);
        if (atomic_compare_exchange_weak(&client->used, &used, used | UINT32_C(1) << index)) {
            return index;
        }
    }
    return -1;
}

static void client_release(struct wire_slot_client *client, int index)
{
    atomic_fetch_and(&client->used, ~(UINT32_C(1) << index));
}

/* One call under way. */
struct slot_call {
    struct wire_slot *slot;
    uint32_t number;
    uint32_t here;    /* where this thread runs, as in `awake` */
    uint32_t more_ns; /* to wait awake */
    int socket_fd;
    wire_kick_fn kick;
    void *context;
};

/* The mark is still that of the request before. */
static bool mark_is_pending(const struct slot_call *call, uint32_t mark)
{
    return (mark & ~WIRE_SLOT_WAITING) == wire_slot_mark(call->number - 1);
}

static void client_set_spin(struct wire_slot_client *client, uint32_t ns)
{
    if (atomic_load_explicit(&client->spin_ns, memory_order_relaxed) != ns) {
        atomic_store_explicit(&client->spin_ns, ns, memory_order_relaxed);
    }
}

/* Wait awake. Who has waited in vain sleeps rather than going to the end of a queue: if the host
 * has no processor it gets this one. */
static void client_spin(struct wire_slot_client *client, const struct slot_call *call)
{
    const uint32_t usual = atomic_load_explicit(&client->spin_ns, memory_order_relaxed);
    const uint32_t patience = usual + call->more_ns;
    _Atomic uint32_t *const mark = &call->slot->reply.mark;
    uint64_t begin = 0;
    uint64_t now = 0;
    if (!usual) {
        return;
    }
    for (unsigned i = 1; mark_is_pending(call, atomic_load_explicit(mark, memory_order_relaxed));
         i++) {
        pause_processor();
        if (i % SPINS_A_LOOK_AT_THE_CLOCK) {
            continue;
        }
        now = wire_now_ns();
        begin = begin ? begin : now;
        if (now - begin > patience) {
            client_set_spin(client, usual / 2 > SPIN_MIN_NS ? usual / 2 : SPIN_MIN_NS);
            return;
        }
    }
    client_set_spin(client, usual < SPIN_MAX_NS / 2 ? usual * 2 : SPIN_MAX_NS);
}

static bool socket_has_hung_up(int socket_fd)
{
    struct pollfd pfd = {.fd = socket_fd};
    return poll(&pfd, 1, 0) != 0;
}

static bool call_is_taken(const struct slot_call *call)
{
    return atomic_load(&call->slot->taken) == call->number;
}

/* Nobody will answer. What was never taken, of a host that nobody saw alive since, came too late
 * for it. */
static int client_bury(const struct slot_call *call, bool was_alive)
{
    if (!mark_is_pending(call, atomic_load(&call->slot->reply.mark))) {
        return 0; /* its last reply */
    }
    return call_is_taken(call) || was_alive ? -ECONNRESET : -ENOTCONN;
}

/* Sleep until the mark is no longer pending. A host that does not even take the request may carry
 * out a long call of somebody else, or have no processor: another of its threads is woken for it,
 * by the socket, which favours the processor that this thread is about to leave. */
static int client_sleep(const struct slot_call *call)
{
    _Atomic uint32_t *const word = &call->slot->reply.mark;
    uint64_t patience = TAKE_NS;
    bool is_alive = false;
    bool has_kicked = false;
    for (;;) {
        uint32_t mark = atomic_load(word);
        if (!mark_is_pending(call, mark)) {
            return 0;
        }
        if (!(mark & WIRE_SLOT_WAITING) &&
            !atomic_compare_exchange_strong(word, &mark, mark | WIRE_SLOT_WAITING)) {
            continue;
        }
        if (wire_slot_sleep(word, mark | WIRE_SLOT_WAITING, patience) != -ETIMEDOUT) {
            continue;
        }
        if (!call_is_taken(call) && !has_kicked) {
            has_kicked = true;
            call->kick(call->context); /* a host that is dead is found so below */
        }
        if (patience >= LOOK_MIN_NS) {
            if (socket_has_hung_up(call->socket_fd)) {
                return client_bury(call, is_alive);
            }
            is_alive = true;
        }
        patience = patience * 2 < LOOK_MAX_NS ? patience * 2 : LOOK_MAX_NS;
    }
}

/* One of those who find it asleep wakes the host. */
static void client_ring(struct wire_slot_client *client)
{
    uint32_t asleep = WIRE_HOST_ASLEEP;
    if (atomic_compare_exchange_strong(&client->shared->awake, &asleep, WIRE_HOST_RUNG)) {
        wire_slot_wake(&client->shared->awake, 1);
    }
}

/* 0: the mark is no longer pending. A host that runs on this processor runs when this thread
 * sleeps. */
static int client_await(struct wire_slot_client *client, const struct slot_call *call)
{
    const uint32_t awake = atomic_load(&client->shared->awake);
    if (awake == WIRE_HOST_ASLEEP) {
        client_ring(client);
    } else if (awake != WIRE_HOST_RUNG) {
        if (awake != call->here) {
            client_spin(client, call);
        }
    }
    return client_sleep(call);
}

static void slot_put(struct wire_slot_request *request, const struct wire_words *call,
                     uint32_t here, uint32_t number)
{
    atomic_store_explicit(&request->where, here < WIRE_HOST_SOMEWHERE ? (uint16_t)here : 0,
                          memory_order_relaxed);
    atomic_store_explicit(&request->type, (uint8_t)call->type, memory_order_relaxed);
    atomic_store_explicit(&request->count, (uint8_t)call->count, memory_order_relaxed);
    atomic_store_explicit(&request->call_id, call->call_id, memory_order_relaxed);
    for (unsigned i = 0; i < call->count; i++) {
        atomic_store_explicit(&request->words[i], call->words[i], memory_order_relaxed);
    }
    atomic_store(&request->number, number);
}

static int slot_get(const struct wire_slot_reply *reply, struct wire_words *call)
{
    uint32_t count = atomic_load_explicit(&reply->count, memory_order_relaxed);
    if (count > WIRE_MAX_SCALARS) {
        return -EBADMSG;
    }
    call->count = (uint16_t)count;
    call->status = (int32_t)atomic_load_explicit(&reply->status, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        call->words[i] = atomic_load_explicit(&reply->words[i], memory_order_relaxed);
    }
    return 0;
}

static uint32_t more_ns(const struct wire_words *call)
{
    uint64_t bytes = call->type == WIRE_CALL_AT ? (uint32_t)call->words[2] : 0;
    uint64_t ns = bytes * SPIN_NS_A_BYTE;
    return ns < SPIN_MORE_MAX_NS ? (uint32_t)ns : SPIN_MORE_MAX_NS;
}

int wire_slot_client_call(struct wire_slot_client *client, int socket_fd, wire_kick_fn kick,
                          void *context, struct wire_words *words)
{
    int index = client_claim(client);
    if (index < 0) {
        return -EAGAIN;
    }
    struct wire_slot *slot = &client->shared->slots[index];
    const struct slot_call call = {
        .slot = slot,
        .number = (atomic_load_explicit(&slot->request.number, memory_order_relaxed) + 1) &
                  WIRE_SLOT_NUMBER_MASK,
        .here = wire_processor_here(),
        .more_ns = more_ns(words),
        .socket_fd = socket_fd,
        .kick = kick,
        .context = context,
    };
    if (atomic_load(&slot->reply.mark) & WIRE_SLOT_ENDED) {
        return -ENOTCONN;
    }
    slot_put(&slot->request, words, call.here, call.number);
    int error = client_await(client, &call);
    uint32_t mark = atomic_load(&slot->reply.mark);
    if (!error && mark != wire_slot_mark(call.number)) {
        error = mark & WIRE_SLOT_ENDED ? -ECONNRESET : -EBADMSG;
    }
    if (error) {
        return error; /* the slot stays taken: whoever still writes to it disturbs nobody */
    }
    error = slot_get(&slot->reply, words);
    client_release(client, index);
    return error;
}

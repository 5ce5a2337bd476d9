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
#include "wire/slots.h"
#include "wire/spin.h"

/* How long a call waits awake. Between the two it follows what became of the calls before. */
#define SPIN_MIN_NS UINT32_C(2000)
#define SPIN_MAX_NS UINT32_C(20000)

/* How long a thread sleeps that nobody is to wake, and how often. */
#define NAP_NS UINT64_C(100000)
#define NAPS   4

/* How long a sleeper goes without a look whether the host lives: a host that ends wakes him, one
 * that is killed cannot. */
#define LOOK_MIN_NS               UINT64_C(2000000)
#define LOOK_MAX_NS               UINT64_C(50000000)

#define SPINS_A_LOOK_AT_THE_CLOCK 64

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

static bool mark_is_pending(uint32_t mark)
{
    mark &= ~(uint32_t)WIRE_SLOT_WAITING;
    return mark == WIRE_SLOT_REQUEST || mark == WIRE_SLOT_TAKEN;
}

static void client_set_spin(struct wire_slot_client *client, uint32_t ns)
{
    if (atomic_load_explicit(&client->spin_ns, memory_order_relaxed) != ns) {
        atomic_store_explicit(&client->spin_ns, ns, memory_order_relaxed);
    }
}

/* More threads in calls than can run beside a host that polls, as none does where there is one
 * processor. */
static bool client_is_crowded(const struct wire_slot_client *client)
{
    uint32_t used = atomic_load_explicit(&client->used, memory_order_relaxed);
    unsigned calls = (unsigned)__builtin_popcount(used) - 1; /* one bit is no slot's */
    unsigned processors = wire_processor_count();
    return processors > 1 && calls >= processors;
}

/* Wait awake. Who has waited in vain sleeps rather than going to the end of a queue: if the host
 * has no processor it gets this one. */
static void client_spin(struct wire_slot_client *client, struct wire_slot *slot, bool is_crowded)
{
    const uint32_t usual = atomic_load_explicit(&client->spin_ns, memory_order_relaxed);
    const uint32_t patience = is_crowded ? SPIN_MIN_NS : usual;
    uint64_t begin = 0;
    uint64_t now = 0;
    if (!patience) {
        return;
    }
    for (unsigned i = 1; mark_is_pending(atomic_load_explicit(&slot->mark, memory_order_relaxed));
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

/* A host that wakes a sleeper may lose its processor to him. In a crowd everybody would then wait
 * for one who sleeps again at once: there he looks again after a while by himself, unless it
 * lasts. */
static void client_nap(struct wire_slot *slot)
{
    for (int i = 0; i < NAPS; i++) {
        uint32_t mark = atomic_load(&slot->mark);
        if (!mark_is_pending(mark)) {
            return;
        }
        wire_slot_sleep(&slot->mark, mark, NAP_NS);
    }
}

static bool socket_has_hung_up(int socket_fd)
{
    struct pollfd pfd = {.fd = socket_fd};
    return poll(&pfd, 1, 0) != 0;
}

/* Nobody will answer. What was never taken, of a host that nobody saw alive since, came too late
 * for it. */
static int client_bury(struct wire_slot *slot, bool was_alive)
{
    uint32_t mark = atomic_load(&slot->mark);
    if (!mark_is_pending(mark)) {
        return 0; /* its last reply */
    }
    bool was_taken = (mark & ~(uint32_t)WIRE_SLOT_WAITING) == WIRE_SLOT_TAKEN;
    return was_taken || was_alive ? -ECONNRESET : -ENOTCONN;
}

static int client_sleep(struct wire_slot *slot, int socket_fd, bool is_alive)
{
    uint64_t patience = LOOK_MIN_NS;
    for (;;) {
        uint32_t mark = atomic_load(&slot->mark);
        if (!mark_is_pending(mark)) {
            return 0;
        }
        if (!(mark & WIRE_SLOT_WAITING) &&
            !atomic_compare_exchange_strong(&slot->mark, &mark, mark | WIRE_SLOT_WAITING)) {
            continue;
        }
        if (wire_slot_sleep(&slot->mark, mark | WIRE_SLOT_WAITING, patience) != -ETIMEDOUT) {
            continue;
        }
        if (socket_has_hung_up(socket_fd)) {
            return client_bury(slot, is_alive);
        }
        is_alive = true;
        patience = patience * 2 < LOOK_MAX_NS ? patience * 2 : LOOK_MAX_NS;
    }
}

/* 0: the mark is no longer pending. */
static int client_await(struct wire_slot_client *client, struct wire_slot *slot, int socket_fd,
                        wire_kick_fn kick, void *context)
{
    if (atomic_load(&client->shared->awake)) {
        bool is_crowded = client_is_crowded(client);
        client_spin(client, slot, is_crowded);
        if (is_crowded) {
            client_nap(slot);
        }
        return client_sleep(slot, socket_fd, false);
    }
    int error = kick(context);
    uint32_t mark = WIRE_SLOT_REQUEST;
    if (error && atomic_compare_exchange_strong(&slot->mark, &mark, WIRE_SLOT_FREE)) {
        return error == -EPIPE ? -ENOTCONN : error;
    }
    return client_sleep(slot, socket_fd, true);
}

int wire_slot_client_call(struct wire_slot_client *client, int socket_fd, wire_kick_fn kick,
                          void *context, const struct wire_message *request,
                          struct wire_message *reply)
{
    int index = client_claim(client);
    if (index < 0) {
        return -EAGAIN;
    }
    struct wire_slot *slot = &client->shared->slots[index];
    wire_slot_put_request(slot, request);
    atomic_store(&slot->mark, WIRE_SLOT_REQUEST);
    int error = client_await(client, slot, socket_fd, kick, context);
    uint32_t mark = atomic_load(&slot->mark);
    if (!error && mark != WIRE_SLOT_REPLY) {
        error = mark == WIRE_SLOT_ENDED ? -ECONNRESET : -EBADMSG;
    }
    if (error) {
        return error; /* the slot stays taken: whoever still writes to it disturbs nobody */
    }
    wire_slot_get_reply(slot, request, reply);
    client_release(client, index);
    return reply->is_bad ? -ENOMEM : 0;
}

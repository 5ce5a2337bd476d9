/*
 * Handing a number to another process and back through memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "handoff.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"
#include "base/pause.h"

#define PATIENCE_US   5e6
#define SPINS_A_YIELD 100000 /* for a machine where the other needs this processor */
#define CACHE_LINE    64
#define SPINS_A_CHECK 1024

struct handoff_memory {
    _Alignas(CACHE_LINE) _Atomic uint64_t there; /* 0: end spinning */
    _Alignas(CACHE_LINE) _Atomic uint64_t back;
};

/* Spin for as long as numbers come. */
static void answer(struct handoff_memory *shared)
{
    uint64_t last = 0;
    for (uint64_t spins = 1;; spins++) {
        uint64_t there = atomic_load_explicit(&shared->there, memory_order_acquire);
        if (there == 0) {
            return;
        }
        if (there != last) {
            last = there;
            atomic_store_explicit(&shared->back, there, memory_order_release);
        }
        pause_processor();
        if (spins % SPINS_A_YIELD == 0) {
            sched_yield();
        }
    }
}

static void answer_until_closed(struct handoff_memory *shared, int fd)
{
    char byte;
    while (read(fd, &byte, 1) == 1) {
        answer(shared);
    }
    _exit(0);
}

bool handoff_open(struct handoff *handoff)
{
    int pair[2];

    *handoff = (struct handoff){.fd = -1, .child = -1};
    void *shared = mmap(NULL, sizeof(*handoff->shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return false;
    }
    handoff->shared = shared;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        handoff_close(handoff);
        return false;
    }
    handoff->child = fork();
    if (handoff->child == 0) {
        close(pair[0]);
        answer_until_closed(handoff->shared, pair[1]);
    }
    close(pair[1]);
    handoff->fd = pair[0];
    if (handoff->child < 0) {
        handoff_close(handoff);
        return false;
    }
    return true;
}

void handoff_close(struct handoff *handoff)
{
    if (handoff->shared) {
        handoff_end(handoff);
    }
    if (handoff->fd >= 0) {
        close(handoff->fd);
    }
    if (handoff->child > 0) {
        waitpid(handoff->child, NULL, 0);
    }
    if (handoff->shared) {
        munmap(handoff->shared, sizeof(*handoff->shared));
    }
    *handoff = (struct handoff){.fd = -1, .child = -1};
}

bool handoff_begin(struct handoff *handoff)
{
    atomic_store(&handoff->shared->back, 0);
    atomic_store(&handoff->shared->there, 1);
    return write(handoff->fd, "", 1) == 1;
}

void handoff_end(struct handoff *handoff)
{
    atomic_store(&handoff->shared->there, 0);
}

bool handoff_once(struct handoff *handoff)
{
    struct handoff_memory *shared = handoff->shared;
    uint64_t number = atomic_load_explicit(&shared->there, memory_order_relaxed) + 1;
    double begin = 0;

    atomic_store_explicit(&shared->there, number, memory_order_release);
    for (uint64_t spins = 1; atomic_load_explicit(&shared->back, memory_order_acquire) != number;
         spins++) {
        pause_processor();
        if (spins % SPINS_A_CHECK == 0) {
            double now = clock_us();
            begin = begin > 0 ? begin : now;
            if (now - begin > PATIENCE_US) {
                return false;
            }
            sched_yield();
        }
    }
    return true;
}

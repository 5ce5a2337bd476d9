/*
 * Another process that sleeps until a time, then tells this one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "waker.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
#define WAIT_S   10 /* then the other process is taken for dead */
#define LOOK_S   1  /* who waits looks this often whether it is */

/* The words that are spun on or slept on have cache lines of their own. */
struct waker_shared {
    _Alignas(64) _Atomic uint32_t order; /* counts up: what follows is to be done */
    enum waker_kind kind;
    bool is_end;
    uint64_t deadline_ns;
    uint64_t acted_ns; /* the answer */
    _Alignas(64) _Atomic uint32_t word;
};

uint64_t waker_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Until *word is not value, or LOOK_S have passed. */
static bool wait_while(_Atomic uint32_t *word, uint32_t value)
{
    const struct timespec patience = {.tv_sec = LOOK_S};
    while (atomic_load(word) == value) {
        if (syscall(SYS_futex, word, FUTEX_WAIT, value, &patience, NULL, 0) < 0 &&
            errno == ETIMEDOUT) {
            return false;
        }
    }
    return true;
}

static void change(_Atomic uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void act(struct waker_shared *shared, int event)
{
    const struct timespec deadline = {.tv_sec = (time_t)(shared->deadline_ns / NS_PER_S),
                                      .tv_nsec = (long)(shared->deadline_ns % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR) {
    }
    shared->acted_ns = waker_now_ns();
    switch (shared->kind) {
    case WAKER_EVENTFD:
        eventfd_write(event, 1);
        break;
    case WAKER_FUTEX:
        change(&shared->word);
        break;
    case WAKER_HANDOFF:
        atomic_store_explicit(&shared->word, shared->word + 1, memory_order_release);
        break;
    }
}

static void serve(struct waker_shared *shared, int event)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t order = 0;; order++) {
        while (!wait_while(&shared->order, order)) {
        }
        if (shared->is_end) {
            _exit(0);
        }
        act(shared, event);
    }
}

/* It only has to end a read. */
static void on_alarm(int signal)
{
    (void)signal;
}

static void alarm_every(time_t seconds)
{
    const struct itimerval timer = {.it_value = {.tv_sec = seconds},
                                    .it_interval = {.tv_sec = seconds}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

bool waker_open(struct waker *waker)
{
    const struct sigaction action = {.sa_handler = on_alarm};

    *waker = (struct waker){.event = -1, .child = -1};
    sigaction(SIGALRM, &action, NULL);
    void *memory = mmap(NULL, sizeof(*waker->shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    waker->shared = memory;
    waker->event = eventfd(0, EFD_CLOEXEC);
    waker->child = waker->event < 0 ? -1 : fork();
    if (waker->child == 0) {
        serve(waker->shared, waker->event);
    }
    if (waker->child < 0) {
        waker_close(waker);
        return false;
    }
    return true;
}

void waker_close(struct waker *waker)
{
    if (waker->child > 0) {
        waker->shared->is_end = true;
        change(&waker->shared->order);
        waitpid(waker->child, NULL, 0);
    }
    if (waker->event >= 0) {
        close(waker->event);
    }
    if (waker->shared) {
        munmap(waker->shared, sizeof(*waker->shared));
    }
    *waker = (struct waker){.event = -1, .child = -1};
}

/* Whether to wait on for the other process. */
static bool may_answer(struct waker *waker, uint64_t give_up_ns)
{
    if (waitpid(waker->child, NULL, WNOHANG) != 0) {
        waker->child = -1;
        return false;
    }
    return waker_now_ns() < give_up_ns;
}

/* Wait for it in the way of kind for LOOK_S. */
static bool is_told(struct waker *waker, uint32_t before)
{
    const uint64_t until_ns = waker_now_ns() + LOOK_S * NS_PER_S;
    struct waker_shared *shared = waker->shared;
    eventfd_t value;

    switch (shared->kind) {
    case WAKER_EVENTFD:
        return eventfd_read(waker->event, &value) == 0;
    case WAKER_FUTEX:
        return wait_while(&shared->word, before);
    default:
        while (atomic_load_explicit(&shared->word, memory_order_acquire) == before) {
            if (waker_now_ns() > until_ns) {
                return false;
            }
        }
        return true;
    }
}

double waker_once(struct waker *waker, enum waker_kind kind, uint64_t delay_ns)
{
    struct waker_shared *shared = waker->shared;
    uint32_t before = atomic_load(&shared->word);

    if (waker->child < 0) {
        return -1;
    }
    shared->kind = kind;
    shared->deadline_ns = waker_now_ns() + delay_ns;
    const uint64_t give_up_ns = shared->deadline_ns + WAIT_S * NS_PER_S;
    alarm_every(LOOK_S);
    change(&shared->order);
    bool has_told = is_told(waker, before);
    while (!has_told && may_answer(waker, give_up_ns)) {
        has_told = is_told(waker, before);
    }
    uint64_t now = waker_now_ns();
    alarm_every(0);
    return has_told ? (double)(now - shared->acted_ns) / 1e3 : -1;
}

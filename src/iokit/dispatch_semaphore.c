/*
 * Counting semaphores.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/dispatch_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "iokit/misuse.h"

struct dispatch_semaphore_s {
    struct dispatch_object_s object;
    pthread_mutex_t lock;
    pthread_cond_t raised;
    intptr_t value;
    intptr_t first_value;
    uintptr_t waiters;
    uintptr_t wakeups; /* signals given to waiters that have not woken yet */
};

static void semaphore_dispose(struct dispatch_object_s *object)
{
    struct dispatch_semaphore_s *semaphore = (struct dispatch_semaphore_s *)object;
    if (semaphore->value < semaphore->first_value) {
        misuse("dispatch_release", "a semaphore is freed while in use");
    }
    pthread_cond_destroy(&semaphore->raised);
    pthread_mutex_destroy(&semaphore->lock);
    free(semaphore);
}

dispatch_semaphore_t dispatch_semaphore_create(intptr_t value)
{
    struct dispatch_semaphore_s *semaphore = value >= 0 ? calloc(1, sizeof(*semaphore)) : NULL;
    if (semaphore == NULL) {
        return NULL;
    }
    atomic_init(&semaphore->object.references, 1);
    semaphore->object.dispose = semaphore_dispose;
    semaphore->value = semaphore->first_value = value;
    pthread_mutex_init(&semaphore->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&semaphore->raised, &attributes);
    pthread_condattr_destroy(&attributes);
    return semaphore;
}

intptr_t dispatch_semaphore_wait(dispatch_semaphore_t dsema, dispatch_time_t timeout)
{
    struct timespec deadline = {0};
    if (timeout != DISPATCH_TIME_FOREVER) {
        deadline = dispatch_deadline(timeout);
    }
    pthread_mutex_lock(&dsema->lock);
    int error = 0;
    if (dsema->value > 0) {
        dsema->value--;
        pthread_mutex_unlock(&dsema->lock);
        return 0;
    }
    dsema->waiters++;
    while (dsema->wakeups == 0 && error != ETIMEDOUT) {
        error = timeout == DISPATCH_TIME_FOREVER
                    ? pthread_cond_wait(&dsema->raised, &dsema->lock)
                    : pthread_cond_timedwait(&dsema->raised, &dsema->lock, &deadline);
    }
    bool is_woken = dsema->wakeups > 0;
    dsema->wakeups -= is_woken;
    dsema->waiters--;
    pthread_mutex_unlock(&dsema->lock);
    return is_woken ? 0 : ETIMEDOUT;
}

intptr_t dispatch_semaphore_signal(dispatch_semaphore_t dsema)
{
    pthread_mutex_lock(&dsema->lock);
    bool wakes = dsema->waiters > dsema->wakeups;
    if (wakes) {
        dsema->wakeups++;
        pthread_cond_signal(&dsema->raised);
    } else {
        dsema->value++;
    }
    pthread_mutex_unlock(&dsema->lock);
    return wakes;
}

/*
 * Trapped memory: many threads fault at once on regions of their own and on a shared one, while
 * other regions come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "iokit/trap.h"

#define THREADS  4
#define ACCESSES 4000

struct counter {
    pthread_mutex_t lock;
    uint64_t value;
    uint64_t writes;
};

static void counter_access(void *context, uint64_t offset, unsigned width, bool is_write,
                           uint64_t *value)
{
    struct counter *counter = context;
    pthread_mutex_lock(&counter->lock);
    if (is_write) {
        counter->value = *value;
        counter->writes++;
    } else {
        *value = counter->value;
    }
    pthread_mutex_unlock(&counter->lock);
}

struct worker {
    struct counter own;
    struct counter *shared;
    volatile uint64_t *own_page, *shared_page;
    atomic_bool *is_done;
    bool failed;
};

/* Threads that write one register race in C's eyes; a device takes them in some order. */
__attribute__((no_sanitize("thread"))) static void *access_both(void *argument)
{
    struct worker *worker = argument;
    for (uint64_t i = 1; i <= ACCESSES; i++) {
        *worker->own_page = i;
        *worker->shared_page = i;
        worker->failed |= *worker->own_page != i || *worker->shared_page > ACCESSES;
    }
    return NULL;
}

static void *add_and_remove(void *argument)
{
    atomic_bool *is_done = argument;
    struct counter counter = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct trap_region *region[3];
    uint8_t *pages = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (!atomic_load(is_done)) {
        for (int i = 0; i < 3; i++) {
            trap_region_add(pages + 4096 * i, 4096, counter_access, &counter, &region[i]);
            *(volatile uint32_t *)(void *)(pages + 4096 * i) = 1;
        }
        for (int i = 0; i < 3; i++) {
            trap_region_remove(region[i]);
        }
    }
    munmap(pages, 3 * 4096);
    return NULL;
}

static volatile uint64_t *map_counter(struct counter *counter, struct trap_region **region)
{
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    pthread_mutex_init(&counter->lock, NULL);
    assert_int_equal(trap_region_add(page, 4096, counter_access, counter, region), 0);
    return page;
}

static void threads_fault_at_once(void **state)
{
    static struct worker workers[THREADS];
    static struct counter shared;
    struct trap_region *regions[THREADS + 1];
    pthread_t threads[THREADS + 1];
    atomic_bool is_done = false;
    volatile uint64_t *shared_page = map_counter(&shared, &regions[THREADS]);
    for (int i = 0; i < THREADS; i++) {
        workers[i].shared_page = shared_page;
        workers[i].own_page = map_counter(&workers[i].own, &regions[i]);
    }
    assert_int_equal(pthread_create(&threads[THREADS], NULL, add_and_remove, &is_done), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, access_both, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&is_done, true);
    pthread_join(threads[THREADS], NULL);
    assert_int_equal(shared.writes, THREADS * ACCESSES);
    for (int i = 0; i < THREADS; i++) {
        assert_false(workers[i].failed);
        assert_int_equal(workers[i].own.writes, ACCESSES);
        trap_region_remove(regions[i]);
        munmap((void *)workers[i].own_page, 4096);
    }
    trap_region_remove(regions[THREADS]);
    munmap((void *)shared_page, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_fault_at_once)};
    return cmocka_run_group_tests_name("trap_threads", tests, NULL, NULL);
}

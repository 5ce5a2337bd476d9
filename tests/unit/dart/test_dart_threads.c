/*
 * The DART under threads: accesses race with map and unmap. Run under ThreadSanitizer too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "byte_memory.h"
#include "dart/dart.h"

#define ROUNDS 3000

struct shared {
    struct dart *dart;
    _Atomic iova_t address; /* of what the mapper has or had mapped */
    _Atomic bool is_done;
    _Atomic uint64_t hits, faults;
};

/* The device: hammers the address published last, mapped or not. */
static void *device_thread(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->is_done)) {
        uint64_t word = 0;
        iova_t address = atomic_load(&shared->address);
        if (dart_device_read(shared->dart, address, &word, sizeof(word)) == 0) {
            atomic_fetch_add(&shared->hits, 1);
        } else {
            atomic_fetch_add(&shared->faults, 1);
        }
        /* Ones: not mapped. Anything but the pattern is memory that was freed under us. */
        if (word != UINT64_C(0x5a5a5a5a5a5a5a5a) && word != UINT64_MAX) {
            return (void *)1;
        }
    }
    return NULL;
}

/* Unmap-before-free: with the unmap gone, the sanitizer sees the device read freed memory. */
static void unmap_waits_for_accesses(void **state)
{
    (void)state;
    struct shared shared = {0};
    assert_int_equal(dart_create(NULL, NULL, NULL, &shared.dart), 0);
    pthread_t devices[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&devices[i], NULL, device_thread, &shared), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        void *bytes = malloc(64);
        assert_non_null(bytes);
        memset(bytes, 0x5a, 64);
        struct byte_memory memory = byte_memory_over(bytes, 64, 0);
        struct dart_mapping *mapping = NULL;
        assert_int_equal(dart_map(shared.dart, &memory.memory, 0, 64, 0, DART_BOTH, 1, &mapping),
                         0);
        atomic_store(&shared.address, mapping->bus_address);
        if (round % 64 == 0) {
            uint64_t before = atomic_load(&shared.hits);
            while (atomic_load(&shared.hits) == before) {
            }
        }
        dart_unmap(shared.dart, mapping);
        free(bytes);
    }
    atomic_store(&shared.is_done, true);
    for (int i = 0; i < 2; i++) {
        void *wrong = NULL;
        pthread_join(devices[i], &wrong);
        assert_null(wrong);
    }
    struct dart_statistics statistics;
    dart_get_statistics(shared.dart, &statistics);
    assert_int_equal(statistics.faults, atomic_load(&shared.faults));
    assert_int_equal(statistics.live_mappings, 0);
    assert_true(atomic_load(&shared.hits) >= ROUNDS / 64);
    dart_destroy(shared.dart);
}

static void *mapper_thread(void *context)
{
    struct shared *shared = context;
    unsigned char bytes[16] = {0};
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    struct dart_mapping *held[8] = {NULL};
    for (int round = 0; round < ROUNDS; round++) {
        struct dart_mapping **slot = &held[round % 8];
        dart_unmap(shared->dart, *slot);
        *slot = NULL;
        if (dart_map(shared->dart, &memory.memory, 0, 16, 0, DART_BOTH, 1, slot) < 0) {
            return (void *)1;
        }
        uint64_t word = (uint64_t)round;
        if (dart_device_write(shared->dart, (*slot)->bus_address, &word, 8) < 0) {
            return (void *)1;
        }
    }
    for (int i = 0; i < 8; i++) {
        dart_unmap(shared->dart, held[i]);
    }
    return NULL;
}

static void many_mappers_keep_the_books_right(void **state)
{
    (void)state;
    struct shared shared = {0};
    assert_int_equal(dart_create(NULL, NULL, NULL, &shared.dart), 0);
    pthread_t mappers[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&mappers[i], NULL, mapper_thread, &shared), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *wrong = NULL;
        pthread_join(mappers[i], &wrong);
        assert_null(wrong);
    }
    struct dart_statistics statistics;
    dart_get_statistics(shared.dart, &statistics);
    assert_int_equal(statistics.live_mappings, 0);
    assert_int_equal(statistics.live_bytes, 0);
    assert_int_equal(statistics.faults, 0);
    assert_true(statistics.peak_mappings <= 32);
    dart_destroy(shared.dart);
}

/* Memory whose owner takes its time. */
struct slow_memory {
    struct dma_memory memory; /* first */
    _Atomic bool is_read, may_end, has_ended;
};

static int read_slowly(struct dma_memory *memory, uint64_t offset, void *buffer, size_t length)
{
    struct slow_memory *slow = (struct slow_memory *)memory;
    atomic_store(&slow->is_read, true);
    while (!atomic_load(&slow->may_end)) {
    }
    memset(buffer, 0x5a, length);
    atomic_store(&slow->has_ended, true);
    return 0;
}

struct unmap_job {
    struct dart *dart;
    struct dart_mapping *mapping;
    struct slow_memory *slow;
};

static void *unmap_thread(void *context)
{
    struct unmap_job *job = context;
    dart_unmap(job->dart, job->mapping);
    return atomic_load(&job->slow->has_ended) ? NULL : (void *)1;
}

static void unmap_returns_after_the_access(void **state)
{
    (void)state;
    static const struct dma_memory_ops ops = {.read = read_slowly};
    struct slow_memory slow = {.memory = {.ops = &ops, .bytes = 64}};
    struct shared shared = {0};
    struct dart_mapping *mapping = NULL;
    assert_int_equal(dart_create(NULL, NULL, NULL, &shared.dart), 0);
    assert_int_equal(dart_map(shared.dart, &slow.memory, 0, 64, 0, DART_BOTH, 1, &mapping), 0);
    shared.address = mapping->bus_address;
    pthread_t device, unmapper;
    assert_int_equal(pthread_create(&device, NULL, device_thread, &shared), 0);
    while (!atomic_load(&slow.is_read)) {
    }
    struct unmap_job job = {shared.dart, mapping, &slow};
    assert_int_equal(pthread_create(&unmapper, NULL, unmap_thread, &job), 0);
    const struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    atomic_store(&slow.may_end, true);
    void *early = NULL, *wrong = NULL;
    pthread_join(unmapper, &early);
    assert_null(early);
    atomic_store(&shared.is_done, true);
    pthread_join(device, &wrong);
    assert_null(wrong);
    dart_destroy(shared.dart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmap_waits_for_accesses),
        cmocka_unit_test(unmap_returns_after_the_access),
        cmocka_unit_test(many_mappers_keep_the_books_right),
    };
    return cmocka_run_group_tests_name("dart threads", tests, NULL, NULL);
}

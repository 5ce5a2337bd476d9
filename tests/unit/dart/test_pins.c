/*
 * Unit tests of memory that a device uses without a copy, and of unmapping it meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "byte_memory.h"
#include "dart/dart.h"

static void *byte_memory_point(struct dma_memory *memory, uint64_t offset, size_t length,
                               bool is_write)
{
    return ((struct byte_memory *)memory)->bytes + offset;
}

static void *pin(struct dart *dart, iova_t at, size_t length, bool is_write, size_t *count)
{
    struct dart_mapping *pinned = NULL;
    void *where = dart_pin(dart, at, length, is_write, count, &pinned);
    if (where) {
        dart_unpin(dart, pinned);
    }
    return where;
}

static void memory_is_pinned(void **state)
{
    (void)state;
    unsigned char bytes[300];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 100);
    const struct dma_memory_ops pointing = {.point = byte_memory_point};
    struct dart *dart = NULL;
    struct dart_mapping *mapping = NULL;
    size_t count = 0;
    assert_int_equal(dart_create(NULL, NULL, NULL, &dart), 0);
    assert_int_equal(dart_map(dart, &memory.memory, 50, 200, 0, DART_DEVICE_WRITES, 1, &mapping),
                     0);
    iova_t at = mapping->bus_address;
    assert_null(pin(dart, at, 10, true, &count)); /* memory that cannot */
    memory.memory.ops = &pointing;
    assert_ptr_equal(pin(dart, at, 10, true, &count), bytes + 50);
    assert_int_equal(count, 10);
    assert_ptr_equal(pin(dart, at + 150, 100, true, &count), bytes + 200);
    assert_int_equal(count, 50); /* to the end of the mapping */
    assert_ptr_equal(pin(dart, at + 199, SIZE_MAX, true, &count), bytes + 249);
    assert_int_equal(count, 1);
    assert_null(pin(dart, at, 10, false, &count)); /* not for reading */
    assert_null(pin(dart, at - 1, 10, true, &count));
    assert_null(pin(dart, at + 200, 10, true, &count));
    assert_null(pin(dart, UINT64_MAX, 10, true, &count));
    struct dart_statistics statistics;
    dart_get_statistics(dart, &statistics);
    assert_int_equal(statistics.faults, 0);
    dart_unmap(dart, mapping);
    dart_destroy(dart);
}

struct unmapping {
    struct dart *dart;
    struct dart_mapping *mapping;
    _Atomic bool is_over;
};

static void *unmap_main(void *opaque)
{
    struct unmapping *self = opaque;
    dart_unmap(self->dart, self->mapping);
    atomic_store(&self->is_over, true);
    return NULL;
}

static void unmapping_waits_for_every_pin(void **state)
{
    (void)state;
    unsigned char bytes[300];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    const struct dma_memory_ops pointing = {.point = byte_memory_point};
    struct unmapping self = {.is_over = false};
    struct dart_mapping *other = NULL;
    struct dart_mapping *pins[2];
    pthread_t thread;
    size_t count = 0;
    memory.memory.ops = &pointing;
    assert_int_equal(dart_create(NULL, NULL, NULL, &self.dart), 0);
    assert_int_equal(
        dart_map(self.dart, &memory.memory, 0, 300, 0, DART_DEVICE_READS, 1, &self.mapping), 0);
    iova_t at = self.mapping->bus_address;
    assert_non_null(dart_pin(self.dart, at, 10, false, &count, &pins[0]));
    assert_non_null(dart_pin(self.dart, at + 9, 10, false, &count, &pins[1]));
    assert_int_equal(pthread_create(&thread, NULL, unmap_main, &self), 0);
    while (pin(self.dart, at, 10, false, &count)) { /* gone for the device at once */
        sched_yield();
    }
    dart_unpin(self.dart, pins[0]);
    /* Nobody else waits meanwhile. */
    assert_int_equal(dart_map(self.dart, &memory.memory, 0, 300, 0, DART_DEVICE_READS, 1, &other),
                     0);
    dart_unmap(self.dart, other);
    assert_false(atomic_load(&self.is_over));
    dart_unpin(self.dart, pins[1]);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&self.is_over));
    dart_destroy(self.dart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_pinned),
        cmocka_unit_test(unmapping_waits_for_every_pin),
    };
    return cmocka_run_group_tests_name("dart pins", tests, NULL, NULL);
}

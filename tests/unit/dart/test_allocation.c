/*
 * The DART when memory runs out: the n-th allocation fails, for every n.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "byte_memory.h"
#include "dart/dart.h"

static int fail_after = -1; /* allocations that still succeed; -1: no limit */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static int allocation_fails(void)
{
    if (fail_after < 0) {
        return 0;
    }
    return fail_after == 0 ? 1 : (fail_after--, 0);
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

static void create_fails_cleanly(void **state)
{
    (void)state;
    struct dart *dart = NULL;
    int failures = 0;
    for (int nth = 0;; nth++) {
        fail_after = nth;
        int result = dart_create(NULL, NULL, NULL, &dart);
        fail_after = -1;
        if (result == 0) {
            break;
        }
        assert_int_equal(result, -ENOMEM);
        assert_null(dart);
        failures++;
    }
    assert_int_equal(failures, 3); /* the DART, its bitmap and its table */
    dart_destroy(dart);
}

static void map_fails_cleanly(void **state)
{
    (void)state;
    unsigned char bytes[16];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    struct dart *dart;
    assert_int_equal(dart_create(NULL, NULL, NULL, &dart), 0);
    struct dart_mapping *mapping = NULL;
    fail_after = 0;
    int result = dart_map(dart, &memory.memory, 0, 16, 0, DART_BOTH, 1, &mapping);
    fail_after = -1;
    assert_int_equal(result, -ENOMEM);
    assert_null(mapping);
    struct dart_statistics statistics;
    dart_get_statistics(dart, &statistics);
    assert_int_equal(statistics.live_mappings, 0);
    assert_int_equal(statistics.live_bytes, 0);
    dart_destroy(dart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_fails_cleanly),
        cmocka_unit_test(map_fails_cleanly),
    };
    return cmocka_run_group_tests_name("dart allocation", tests, NULL, NULL);
}

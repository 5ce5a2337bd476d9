/*
 * Unit tests of the granule allocator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "dart/granules.h"

static void runs_follow_each_other_and_wrap(void **state)
{
    (void)state;
    struct granules granules;
    assert_int_equal(granules_create(&granules, 100), 0);
    assert_int_equal(granules_take(&granules, 70, GRANULES_NONE), 0);
    assert_int_equal(granules_take(&granules, 20, GRANULES_NONE), 70);
    granules_give(&granules, 0, 70);
    /* 10 left at the end: next-fit takes them before it comes back to 0. */
    assert_int_equal(granules_take(&granules, 10, GRANULES_NONE), 90);
    assert_int_equal(granules_take(&granules, 71, GRANULES_NONE), GRANULES_NONE);
    assert_int_equal(granules_take(&granules, 70, GRANULES_NONE), 0);
    assert_int_equal(granules.used, 100);
    assert_int_equal(granules_take(&granules, 1, GRANULES_NONE), GRANULES_NONE);
    granules_destroy(&granules);
}

static void a_run_does_not_wrap_around_the_end(void **state)
{
    (void)state;
    struct granules granules;
    assert_int_equal(granules_create(&granules, 64), 0);
    assert_int_equal(granules_take(&granules, 60, GRANULES_NONE), 0);
    granules_give(&granules, 0, 4);
    /* Four free at each end, not eight in a row. */
    assert_int_equal(granules_take(&granules, 8, GRANULES_NONE), GRANULES_NONE);
    assert_int_equal(granules_take(&granules, 4, GRANULES_NONE), 60);
    assert_int_equal(granules_take(&granules, 4, GRANULES_NONE), 0);
    granules_destroy(&granules);
}

static void a_run_may_straddle_the_search_start(void **state)
{
    (void)state;
    struct granules granules;
    assert_int_equal(granules_create(&granules, 128), 0);
    assert_int_equal(granules_take(&granules, 64, GRANULES_NONE), 0);
    assert_int_equal(granules_take(&granules, 64, GRANULES_NONE), 64);
    granules_give(&granules, 32, 64);
    granules.next = 64;
    assert_int_equal(granules_take(&granules, 64, GRANULES_NONE), 32);
    granules_destroy(&granules);
}

static void an_avoided_start_is_taken_only_when_nothing_else_is_left(void **state)
{
    (void)state;
    struct granules granules;
    assert_int_equal(granules_create(&granules, 3), 0);
    assert_int_equal(granules_take(&granules, 1, 0), 1);
    assert_int_equal(granules_take(&granules, 1, 2), 0);
    assert_int_equal(granules_take(&granules, 1, 2), 2);
    granules_destroy(&granules);
}

/* Against a byte map that is searched the plain way. */
static void it_agrees_with_a_plain_map(void **state)
{
    (void)state;
    enum { COUNT = 517, RUNS = 64 };
    struct granules granules;
    assert_int_equal(granules_create(&granules, COUNT), 0);
    bool taken[COUNT] = {false};
    struct {
        uint64_t first, length;
    } runs[RUNS] = {{0}};
    uint64_t seed = 1, used = 0;
    for (int step = 0; step < 20000; step++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        unsigned slot = (unsigned)(seed >> 40) % RUNS;
        if (runs[slot].length > 0) {
            granules_give(&granules, runs[slot].first, runs[slot].length);
            for (uint64_t i = 0; i < runs[slot].length; i++) {
                taken[runs[slot].first + i] = false;
            }
            used -= runs[slot].length;
            runs[slot].length = 0;
            continue;
        }
        uint64_t length = 1 + (seed >> 20) % 40;
        uint64_t first = granules_take(&granules, length, GRANULES_NONE);
        if (first == GRANULES_NONE) {
            uint64_t longest = 0, run = 0;
            for (int i = 0; i < COUNT; i++) {
                run = taken[i] ? 0 : run + 1;
                longest = run > longest ? run : longest;
            }
            assert_true(longest < length);
            continue;
        }
        assert_true(first + length <= COUNT);
        for (uint64_t i = 0; i < length; i++) {
            assert_false(taken[first + i]);
            taken[first + i] = true;
        }
        runs[slot].first = first;
        runs[slot].length = length;
        used += length;
        assert_int_equal(granules.used, used);
    }
    granules_destroy(&granules);
}

static void taken_granules_are_found_both_ways(void **state)
{
    (void)state;
    struct granules granules;
    assert_int_equal(granules_create(&granules, 200), 0);
    assert_int_equal(granules_next_taken(&granules, 0), GRANULES_NONE);
    assert_int_equal(granules_previous_taken(&granules, 199), GRANULES_NONE);
    assert_int_equal(granules_take(&granules, 200, GRANULES_NONE), 0);
    granules_give(&granules, 0, 3);
    granules_give(&granules, 4, 125);
    granules_give(&granules, 130, 70);
    assert_int_equal(granules_next_taken(&granules, 0), 3);
    assert_int_equal(granules_next_taken(&granules, 3), 3);
    assert_int_equal(granules_next_taken(&granules, 4), 129);
    assert_int_equal(granules_next_taken(&granules, 130), GRANULES_NONE);
    assert_int_equal(granules_next_taken(&granules, 5000), GRANULES_NONE);
    assert_int_equal(granules_previous_taken(&granules, 5000), 129);
    assert_int_equal(granules_previous_taken(&granules, 128), 3);
    assert_int_equal(granules_previous_taken(&granules, 2), GRANULES_NONE);
    granules_destroy(&granules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_granules_are_found_both_ways),
        cmocka_unit_test(runs_follow_each_other_and_wrap),
        cmocka_unit_test(a_run_does_not_wrap_around_the_end),
        cmocka_unit_test(a_run_may_straddle_the_search_start),
        cmocka_unit_test(an_avoided_start_is_taken_only_when_nothing_else_is_left),
        cmocka_unit_test(it_agrees_with_a_plain_map),
    };
    return cmocka_run_group_tests_name("granules", tests, NULL, NULL);
}

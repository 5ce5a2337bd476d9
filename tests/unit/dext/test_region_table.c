/*
 * Regions by IOVA: what is found after any order of additions and removals.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "dext/region_table.h"

enum { REGIONS = 5000, STEPS = 60000 };

static struct dart_mapping mappings[REGIONS];
static bool is_there[REGIONS];

static void prepare(uint64_t first, uint64_t step)
{
    memset(is_there, 0, sizeof(is_there));
    for (uint64_t i = 0; i < REGIONS; i++) {
        mappings[i] = (struct dart_mapping){.wanted = first + i * step, .bytes = i + 1};
    }
}

static void check_all(const struct dext_region_table *table)
{
    uint32_t count = 0;
    for (size_t i = 0; i < REGIONS; i++) {
        struct dext_region region = region_table_find(table, mappings[i].wanted);
        assert_true(region_exists(region) == is_there[i]);
        if (is_there[i]) {
            assert_ptr_equal(region_first(region), &mappings[i]);
            count++;
        }
    }
    assert_int_equal(table->count, count);
}

/* Page after page, as a guest's are; the same from the top; multiples of what hashes badly. */
static void any_order(void **state)
{
    static const uint64_t steps[] = {4096, UINT64_C(1) << 40, 1, UINT64_C(1) << 32 | 4096};
    (void)state;
    for (size_t run = 0; run < sizeof(steps) / sizeof(steps[0]); run++) {
        struct dext_region_table table = {0};
        srandom((unsigned)run + 1);
        prepare(0x40000000, steps[run]);
        for (unsigned i = 0; i < STEPS; i++) {
            size_t which = (size_t)random() % REGIONS;
            if (is_there[which]) {
                struct dext_region region = region_table_remove(&table, mappings[which].wanted);
                assert_ptr_equal(region_first(region), &mappings[which]);
            } else {
                assert_int_equal(region_table_prepare(&table), 0);
                region_table_insert(&table, region_of_mapping(&mappings[which]));
            }
            is_there[which] = !is_there[which];
            if (i % 4096 == 0) {
                check_all(&table);
            }
        }
        check_all(&table);
        region_table_clear(&table);
        assert_true(table.count == 0 && table.slots == NULL);
    }
}

static void nothing_in_an_empty_table(void **state)
{
    struct dext_region_table table = {0};
    (void)state;
    assert_false(region_exists(region_table_find(&table, 0)));
    assert_false(region_exists(region_table_remove(&table, 0)));
    assert_int_equal(region_table_prepare(&table), 0);
    assert_false(region_exists(region_table_find(&table, 0)));
    assert_false(region_exists(region_table_remove(&table, 0)));
    region_table_clear(&table);
}

static void count_bytes(struct dext_region region, void *context)
{
    *(uint64_t *)context += region_bytes(region);
}

static void long_regions_among_short_ones(void **state)
{
    struct dext_region_table table = {0};
    uint64_t bytes = 0;
    (void)state;
    prepare(0, 4096);
    struct dext_long_region *several = calloc(1, sizeof(*several) + 2 * sizeof(several->chunks[0]));
    assert_non_null(several);
    several->iova = mappings[7].wanted;
    several->bytes = 1000000;
    several->chunk_count = 2;
    several->chunks[0] = &mappings[7];
    several->chunks[1] = &mappings[8];
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(region_table_prepare(&table), 0);
        if (i != 8) {
            region_table_insert(&table,
                                i == 7 ? region_of_long(several) : region_of_mapping(&mappings[i]));
        }
    }
    struct dext_region region = region_table_find(&table, mappings[7].wanted);
    assert_true(region_is_long(region) && region_long(region) == several);
    assert_true(region_iova(region) == mappings[7].wanted && region_bytes(region) == 1000000);
    assert_ptr_equal(region_first(region), &mappings[7]);
    assert_false(region_is_long(region_table_find(&table, mappings[6].wanted)));
    region_table_each(&table, count_bytes, &bytes);
    assert_true(bytes == 1000000 + 5050 - 8 - 9);
    region_table_clear(&table);
    free(several);
}

/* 65,536 regions, the most there may be, take less than 32 bytes each here. */
static void room_follows_the_count(void **state)
{
    struct dext_region_table table = {0};
    (void)state;
    prepare(0, 4096);
    for (size_t i = 0; i < REGIONS; i++) {
        assert_int_equal(region_table_prepare(&table), 0);
        region_table_insert(&table, region_of_mapping(&mappings[i]));
        assert_true(table.room >= table.count && table.room <= 64 + 3 * table.count);
    }
    region_table_clear(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order),
        cmocka_unit_test(nothing_in_an_empty_table),
        cmocka_unit_test(long_regions_among_short_ones),
        cmocka_unit_test(room_follows_the_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

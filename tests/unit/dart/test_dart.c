/*
 * Unit tests of the DART: addresses, limits, accesses, fault reports.
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
#include <string.h>
#include <time.h>

#include "byte_memory.h"
#include "dart/dart.h"

#define GRANULE UINT64_C(16384)

struct seen {
    int count;
    struct dart_fault last;
};

static void remember(void *context, const struct dart_fault *fault)
{
    struct seen *seen = context;
    seen->count++;
    seen->last = *fault;
}

static struct dart *make(const struct dart_options *options, struct seen *seen)
{
    struct dart *dart = NULL;
    *seen = (struct seen){0};
    assert_int_equal(dart_create(options, remember, seen, &dart), 0);
    return dart;
}

static struct dart_mapping *map(struct dart *dart, struct byte_memory *memory, iova_t wanted,
                                uint64_t bytes, uint64_t owner)
{
    struct dart_mapping *mapping = NULL;
    assert_int_equal(dart_map(dart, &memory->memory, 0, bytes, wanted, DART_BOTH, owner, &mapping),
                     0);
    return mapping;
}

static void defaults_are_those_of_apple_silicon(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    struct dart_options limits;
    dart_get_limits(dart, &limits);
    assert_false(limits.identity);
    assert_int_equal(limits.aperture_bytes, UINT64_C(0x60000000));
    assert_int_equal(limits.slots, 65536);
    assert_int_equal(limits.base, UINT64_C(0x80000000)); /* field note D21 */
    dart_destroy(dart);
    dart_destroy(NULL);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    const struct dart_options bad[] = {
        {.aperture_bytes = GRANULE - 1},
        {.aperture_bytes = UINT64_MAX},
        {.base = 0x80000001},
        {.base = UINT64_MAX - GRANULE + 1, .aperture_bytes = 2 * GRANULE},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dart *dart = NULL;
        assert_int_equal(dart_create(&bad[i], NULL, NULL, &dart), -EINVAL);
        assert_null(dart);
    }
}

/* D8, D7: granule-sized steps, the offset in the page kept, no equality with the IOVA. */
static void the_dart_chooses_addresses(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    static unsigned char bytes[3 * 16384];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0x123);

    struct dart_mapping *first = map(dart, &memory, 0x1000, 16, 1);
    assert_int_equal(first->bus_address, 0x80000123);
    assert_int_equal(first->bytes, 16);
    /* 0x123 + 16384 bytes reach into a second granule. */
    struct dart_mapping *second = map(dart, &memory, 0x2000, 16384, 1);
    assert_int_equal(second->bus_address, 0x80004123);
    struct dart_mapping *third = map(dart, &memory, 0x3000, 1, 1);
    assert_int_equal(third->bus_address, 0x8000c123);
    /* An offset into the memory moves the offset in the page. */
    struct dart_mapping *fourth = NULL;
    assert_int_equal(dart_map(dart, &memory.memory, 0x4001, 1, 0, DART_BOTH, 1, &fourth), 0);
    assert_int_equal(fourth->bus_address, 0x80010124);

    struct dart_statistics statistics;
    dart_get_statistics(dart, &statistics);
    assert_int_equal(statistics.live_mappings, 4);
    assert_int_equal(statistics.live_bytes, 5 * GRANULE);
    dart_unmap(dart, first);
    dart_unmap(dart, second);
    dart_unmap(dart, third);
    dart_unmap(dart, fourth);
    dart_unmap(dart, NULL);
    dart_get_statistics(dart, &statistics);
    assert_int_equal(statistics.live_mappings, 0);
    assert_int_equal(statistics.live_bytes, 0);
    assert_int_equal(statistics.peak_mappings, 4);
    assert_int_equal(statistics.peak_bytes, 5 * GRANULE);
    dart_destroy(dart);
}

static void the_iova_is_never_the_bus_address_by_chance(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    static unsigned char bytes[16384];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0x40);
    for (unsigned i = 0; i < 64; i++) {
        iova_t wanted = 0x80000040 + i * GRANULE;
        assert_int_not_equal(map(dart, &memory, wanted, 64, 1)->bus_address, wanted);
    }
    dart_destroy(dart);
}

static void bad_mappings_are_refused(void **state)
{
    (void)state;
    struct seen seen;
    unsigned char bytes[64];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    struct dart_mapping *out = NULL;
    for (int identity = 0; identity < 2; identity++) {
        struct dart *dart = make(&(struct dart_options){.identity = identity}, &seen);
        struct dma_memory *m = &memory.memory;
        assert_int_equal(dart_map(dart, m, 0, 0, 0, DART_BOTH, 1, &out), -EINVAL);
        assert_int_equal(dart_map(dart, m, 0, 65, 0, DART_BOTH, 1, &out), -EINVAL);
        assert_int_equal(dart_map(dart, m, 64, 1, 0, DART_BOTH, 1, &out), -EINVAL);
        assert_int_equal(dart_map(dart, m, UINT64_MAX, 2, 0, DART_BOTH, 1, &out), -EINVAL);
        assert_int_equal(dart_map(dart, m, 2, UINT64_MAX, 0, DART_BOTH, 1, &out), -EINVAL);
        assert_int_equal(dart_map(dart, m, 0, 1, 0, (enum dart_direction)0, 1, &out), -EINVAL);
        assert_int_equal(dart_map(dart, m, 0, 1, 0, (enum dart_direction)4, 1, &out), -EINVAL);
        assert_null(out);
        dart_destroy(dart);
    }
}

static void identity_keeps_the_iova_and_refuses_overlap(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(&(struct dart_options){.identity = true}, &seen);
    static unsigned char bytes[0x3000];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0x123);
    struct dart_mapping *out = NULL;
    struct dma_memory *m = &memory.memory;

    struct dart_mapping *middle = map(dart, &memory, 0x1000, 0x1000, 1);
    assert_int_equal(middle->bus_address, 0x1000);
    const struct {
        iova_t iova;
        uint64_t bytes;
    } overlapping[] = {{0x1000, 0x1000}, {0xfff, 2}, {0x1fff, 1}, {0x1800, 16}, {0x0, 0x3000}};
    for (size_t i = 0; i < sizeof(overlapping) / sizeof(overlapping[0]); i++) {
        assert_int_equal(
            dart_map(dart, m, 0, overlapping[i].bytes, overlapping[i].iova, DART_BOTH, 1, &out),
            -EEXIST);
    }
    /* Neighbours touch, byte for byte. */
    map(dart, &memory, 0xfff, 1, 1);
    map(dart, &memory, 0x2000, 1, 1);
    /* Up to 2^64 is fine, past it is not. */
    assert_int_equal(dart_map(dart, m, 0, 16, UINT64_MAX - 14, DART_BOTH, 1, &out), -EINVAL);
    assert_int_equal(map(dart, &memory, UINT64_MAX - 15, 16, 1)->bus_address, UINT64_MAX - 15);

    struct dart_statistics statistics;
    dart_get_statistics(dart, &statistics);
    assert_int_equal(statistics.live_mappings, 4);
    assert_int_equal(statistics.live_bytes, 0x1000 + 1 + 1 + 16);

    /* A run off the end of the address space does not come back at 0. */
    unsigned char buffer[32];
    memset(bytes, 0x11, sizeof(bytes));
    map(dart, &memory, 0, 16, 1);
    assert_int_equal(dart_device_read(dart, UINT64_MAX - 15, buffer, 32), -EFAULT);
    assert_int_equal(buffer[15], 0x11);
    assert_int_equal(buffer[16], 0xff);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.bytes, 16);
    dart_destroy(dart);
}

/* D5: the budget, in whole granules. */
static void the_aperture_ends(void **state)
{
    (void)state;
    struct seen seen;
    static unsigned char bytes[6 * 16384];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 1);
    struct dart_mapping *out = NULL;
    struct dart *dart = make(&(struct dart_options){.aperture_bytes = 4 * GRANULE}, &seen);
    struct dma_memory *m = &memory.memory;
    assert_int_equal(dart_map(dart, m, 0, 4 * GRANULE, 0, DART_BOTH, 1, &out), -ENOSPC);
    assert_int_equal(dart_map(dart, m, 0, 5 * GRANULE, 0, DART_BOTH, 1, &out), -ENOSPC);
    struct dart_mapping *most = map(dart, &memory, 0, 4 * GRANULE - 1, 1);
    assert_int_equal(dart_map(dart, m, 0, 1, 0, DART_BOTH, 1, &out), -ENOSPC);
    dart_unmap(dart, most);
    for (int i = 0; i < 4; i++) {
        map(dart, &memory, 0, 1, 1);
    }
    assert_int_equal(dart_map(dart, m, 0, 1, 0, DART_BOTH, 1, &out), -ENOSPC);
    dart_destroy(dart);

    dart = make(&(struct dart_options){.identity = true, .aperture_bytes = 100}, &seen);
    map(dart, &memory, 0x1000, 60, 1);
    assert_int_equal(dart_map(dart, m, 0, 41, 0x2000, DART_BOTH, 1, &out), -ENOSPC);
    map(dart, &memory, 0x2000, 40, 1);
    dart_destroy(dart);
}

static void fragments_do_not_make_a_run(void **state)
{
    (void)state;
    struct seen seen;
    static unsigned char bytes[2 * 16384];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    struct dart *dart = make(&(struct dart_options){.aperture_bytes = 8 * GRANULE}, &seen);
    struct dart_mapping *mappings[8];
    for (int i = 0; i < 8; i++) {
        mappings[i] = map(dart, &memory, 0, GRANULE, 1);
    }
    for (int i = 0; i < 8; i += 2) {
        dart_unmap(dart, mappings[i]);
    }
    struct dart_mapping *out = NULL;
    struct dma_memory *m = &memory.memory;
    assert_int_equal(dart_map(dart, m, 0, 2 * GRANULE, 0, DART_BOTH, 1, &out), -ENOSPC);
    dart_unmap(dart, mappings[3]);
    assert_int_equal(map(dart, &memory, 0, 2 * GRANULE, 1)->bus_address, 0x80000000 + 2 * GRANULE);
    dart_destroy(dart);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t cost_of_rounds(struct dart *dart, struct byte_memory *memory)
{
    uint64_t start = now_ns();
    unsigned char byte;
    for (int i = 0; i < 2000; i++) {
        struct dart_mapping *mapping = map(dart, memory, 0, 1, 1);
        assert_int_equal(dart_device_read(dart, mapping->bus_address, &byte, 1), 0);
        dart_unmap(dart, mapping);
    }
    return now_ns() - start;
}

/* Memory that becomes several bus segments: none longer, none next to another. */
static void segments_are_short_and_apart(void **state)
{
    struct dart_options options = {.aperture_bytes = 16 * GRANULE, .segment_bytes = 2 * GRANULE};
    static unsigned char bytes[4 * GRANULE];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 100);
    struct dart_mapping *a;
    struct dart_mapping *b;
    struct dart *dart;
    (void)state;
    assert_int_equal(dart_create(&options, NULL, NULL, &dart), 0);
    struct dma_memory *whole = &memory.memory;
    assert_int_equal(dart_map(dart, whole, 0, 2 * GRANULE, 1, DART_BOTH, 1, &a), -EADDRNOTAVAIL);
    assert_int_equal(dart_map(dart, whole, 0, 2 * GRANULE - 100, 1, DART_BOTH, 1, &a), 0);
    assert_int_equal(dart_map(dart, whole, 2 * GRANULE - 100, 1, 2, DART_BOTH, 1, &b), 0);
    assert_true(b->bus_address != a->bus_address + a->bytes);
    assert_true(a->wanted == 1 && a->offset == 0 && b->offset == 2 * GRANULE - 100);
    dart_unmap(dart, a);
    dart_unmap(dart, b);
    dart_destroy(dart);
}

/* D6, D17: 65,536 mappings fit, one more does not, and many do not make one slow. */
static void slots_end_and_do_not_slow_down(void **state)
{
    (void)state;
    struct seen seen;
    unsigned char byte = 0x5a;
    struct byte_memory memory = byte_memory_over(&byte, 1, 0);
    struct dart *dart = make(NULL, &seen);
    uint64_t few = cost_of_rounds(dart, &memory);
    struct dart_mapping *some = NULL, *out = NULL;
    for (int i = 0; i < 60000; i++) {
        some = map(dart, &memory, 0, 1, 1);
    }
    /* A linear search would be thousands of times slower, each time that it is tried. */
    unsigned attempts = 0;
    while (cost_of_rounds(dart, &memory) >= 30 * few + 100000000) {
        assert_true(++attempts < 20);
    }
    for (int i = 60000; i < 65536; i++) {
        map(dart, &memory, 0, 1, 1);
    }
    assert_int_equal(dart_map(dart, &memory.memory, 0, 1, 0, DART_BOTH, 1, &out), -ENOSPC);
    dart_unmap(dart, some);
    map(dart, &memory, 0, 1, 1);
    dart_destroy(dart);
}

static void accesses_are_byte_exact(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    unsigned char bytes[64];
    memset(bytes, 0x22, sizeof(bytes));
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0x100);
    struct dart_mapping *mapping = NULL;
    assert_int_equal(dart_map(dart, &memory.memory, 8, 32, 0, DART_BOTH, 1, &mapping), 0);
    iova_t at = mapping->bus_address;
    assert_int_equal(at % GRANULE, 0x108);

    unsigned char buffer[34];
    assert_int_equal(dart_device_write(dart, at, "ABCD", 4), 0);
    assert_memory_equal(bytes + 8, "ABCD", 4);
    assert_int_equal(bytes[7], 0x22);
    assert_int_equal(bytes[12], 0x22);
    assert_int_equal(dart_device_read(dart, at + 31, buffer, 1), 0);
    assert_int_equal(dart_device_read(dart, at, buffer, 0), 0);
    assert_int_equal(dart_device_read(dart, 0, buffer, 0), 0);
    assert_int_equal(seen.count, 0);

    /* One byte before and one behind are in the same granule, and still not the client's to give.
     */
    assert_int_equal(dart_device_read(dart, at - 1, buffer, 34), -EFAULT);
    assert_int_equal(buffer[0], 0xff);
    assert_memory_equal(buffer + 1, "ABCD", 4);
    assert_int_equal(buffer[32], 0x22);
    assert_int_equal(buffer[33], 0xff);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.bus_address, at - 1);
    assert_int_equal(seen.last.bytes, 1);
    memset(buffer, 0x33, sizeof(buffer));
    assert_int_equal(dart_device_write(dart, at - 1, buffer, 34), -EFAULT);
    assert_int_equal(seen.count, 2);
    assert_true(seen.last.is_write);
    assert_int_equal(bytes[7], 0x22);
    assert_int_equal(bytes[8], 0x33);
    assert_int_equal(bytes[39], 0x33);
    assert_int_equal(bytes[40], 0x22);
    dart_destroy(dart);
}

static void an_access_crosses_adjacent_mappings(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    static unsigned char one[16384], two[16384], three[16384];
    memset(one, 1, sizeof(one));
    memset(two, 2, sizeof(two));
    memset(three, 3, sizeof(three));
    struct byte_memory a = byte_memory_over(one, sizeof(one), 0);
    struct byte_memory b = byte_memory_over(two, sizeof(two), 0);
    struct byte_memory c = byte_memory_over(three, sizeof(three), 0);
    iova_t at = map(dart, &a, 0, GRANULE, 1)->bus_address;
    struct dart_mapping *middle = map(dart, &b, 0, GRANULE, 7);
    map(dart, &c, 0, GRANULE, 1);

    static unsigned char buffer[3 * 16384];
    assert_int_equal(dart_device_read(dart, at, buffer, sizeof(buffer)), 0);
    assert_int_equal(buffer[16383], 1);
    assert_int_equal(buffer[16384], 2);
    assert_int_equal(buffer[32767], 2);
    assert_int_equal(buffer[32768], 3);

    dart_unmap(dart, middle);
    assert_int_equal(dart_device_read(dart, at, buffer, sizeof(buffer)), -EFAULT);
    assert_int_equal(buffer[16383], 1);
    assert_int_equal(buffer[16384], 0xff);
    assert_int_equal(buffer[32767], 0xff);
    assert_int_equal(buffer[32768], 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.bus_address, at + GRANULE);
    assert_int_equal(seen.last.bytes, GRANULE);
    assert_true(seen.last.was_freed);
    assert_int_equal(seen.last.freed_by, 7);

    /* Two holes and a wrong direction in one access are still one report: the first. */
    assert_int_equal(dart_device_read(dart, at - 1, buffer, sizeof(buffer)), -EFAULT);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.last.bus_address, at - 1);
    struct dart_statistics statistics;
    dart_get_statistics(dart, &statistics);
    assert_int_equal(statistics.faults, 2);
    assert_int_equal(statistics.last_fault, at - 1);
    dart_destroy(dart);
}

/* D14: memory given "to device" only is not written by the device. */
static void directions_are_enforced(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    unsigned char bytes[8] = "1234567";
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    struct dart_mapping *reads = NULL, *writes = NULL;
    struct dma_memory *m = &memory.memory;
    assert_int_equal(dart_map(dart, m, 0, 8, 0, DART_DEVICE_READS, 1, &reads), 0);
    assert_int_equal(dart_map(dart, m, 0, 8, 0, DART_DEVICE_WRITES, 1, &writes), 0);
    unsigned char buffer[8] = {0};
    assert_int_equal(dart_device_read(dart, reads->bus_address, buffer, 8), 0);
    assert_memory_equal(buffer, "1234567", 8);
    assert_int_equal(dart_device_write(dart, reads->bus_address, "xxxxxxx", 8), -EFAULT);
    assert_int_equal(seen.last.kind, DART_FAULT_DIRECTION);
    assert_memory_equal(bytes, "1234567", 8);
    assert_int_equal(seen.last.nearest_address, reads->bus_address);
    assert_false(seen.last.was_freed);
    assert_int_equal(dart_device_read(dart, writes->bus_address, buffer, 8), -EFAULT);
    assert_int_equal(seen.last.kind, DART_FAULT_DIRECTION);
    assert_int_equal(buffer[0], 0xff);
    assert_int_equal(dart_device_write(dart, writes->bus_address, "abcdefg", 8), 0);
    assert_memory_equal(bytes, "abcdefg", 8);
    dart_destroy(dart);
}

static void pages_that_are_gone_fault(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    unsigned char bytes[8] = {0}, buffer[8] = {0};
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    iova_t at = map(dart, &memory, 0, 8, 1)->bus_address;
    memory.is_gone = true;
    assert_int_equal(dart_device_read(dart, at, buffer, 8), -EFAULT);
    assert_int_equal(seen.last.kind, DART_FAULT_GONE);
    assert_int_equal(buffer[7], 0xff);
    assert_int_equal(dart_device_write(dart, at, buffer, 8), -EFAULT);
    assert_int_equal(seen.count, 2);
    dart_destroy(dart);
}

static void a_fault_names_who_freed_the_address(void **state)
{
    (void)state;
    struct seen seen;
    struct dart *dart = make(NULL, &seen);
    static unsigned char bytes[16384];
    struct byte_memory memory = byte_memory_over(bytes, sizeof(bytes), 0);
    struct dart_mapping *low = map(dart, &memory, 0, GRANULE, 0xa);
    struct dart_mapping *freed = map(dart, &memory, 0, GRANULE, 0xb);
    struct dart_mapping *gap = map(dart, &memory, 0, GRANULE, 0xc);
    struct dart_mapping *high = map(dart, &memory, 0, GRANULE, 0xd);
    iova_t at = freed->bus_address;
    dart_unmap(dart, freed);
    dart_unmap(dart, gap);

    unsigned char byte = 0;
    assert_int_equal(dart_device_write(dart, at + 5, &byte, 1), -EFAULT);
    assert_true(seen.last.was_freed);
    assert_int_equal(seen.last.freed_by, 0xb);
    assert_true(seen.last.freed_ago_ns < UINT64_C(60000000000));
    assert_true(seen.last.has_nearest);
    assert_int_equal(seen.last.nearest_address, low->bus_address);
    assert_int_equal(seen.last.nearest_bytes, GRANULE);
    assert_int_equal(dart_device_write(dart, at + 2 * GRANULE - 1, &byte, 1), -EFAULT);
    assert_int_equal(seen.last.freed_by, 0xc);
    assert_int_equal(seen.last.nearest_address, high->bus_address);
    assert_int_equal(dart_device_write(dart, 0x10, &byte, 1), -EFAULT);
    assert_false(seen.last.was_freed);
    assert_int_equal(seen.last.nearest_address, low->bus_address);
    assert_int_equal(dart_device_write(dart, UINT64_MAX, &byte, 1), -EFAULT);
    assert_int_equal(seen.last.nearest_address, high->bus_address);

    /* The history is bounded; the newest owner of an address wins. */
    for (int i = 0; i < 5000; i++) {
        dart_unmap(dart, map(dart, &memory, 0, GRANULE, 0x1000 + (uint64_t)i));
    }
    assert_int_equal(dart_device_write(dart, at, &byte, 1), -EFAULT);
    assert_int_not_equal(seen.last.freed_by, 0xb);
    dart_destroy(dart);
}

static void a_fault_is_said_in_one_line(void **state)
{
    (void)state;
    char text[256];
    struct dart_fault fault = {.kind = DART_FAULT_UNMAPPED,
                               .bus_address = 0x80004000,
                               .bytes = 64,
                               .is_write = true,
                               .has_nearest = true,
                               .nearest_address = 0x80008000,
                               .nearest_bytes = 0x1000,
                               .was_freed = true,
                               .freed_by = 0x2a,
                               .freed_ago_ns = 1500000};
    dart_fault_format(&fault, text, sizeof(text));
    assert_string_equal(text, "write of 64 bytes at 0x80004000: not mapped; nearest live mapping "
                              "0x80008000 + 0x1000 bytes; freed 1.500000 ms ago by owner 0x2a");
    dart_fault_format(&fault, text, 10);
    assert_string_equal(text, "write of ");
    fault = (struct dart_fault){.kind = DART_FAULT_UNMAPPED, .bus_address = 0x10, .bytes = 1};
    dart_fault_format(&fault, text, sizeof(text));
    assert_string_equal(text,
                        "read of 1 bytes at 0x10: not mapped; no live mapping; not mapped lately");
    fault = (struct dart_fault){.kind = DART_FAULT_UNMAPPED,
                                .bus_address = UINT64_MAX,
                                .bytes = UINT64_MAX,
                                .has_nearest = true,
                                .nearest_address = UINT64_MAX,
                                .nearest_bytes = UINT64_MAX,
                                .was_freed = true,
                                .freed_by = UINT64_MAX,
                                .freed_ago_ns = UINT64_MAX};
    dart_fault_format(&fault, text, sizeof(text));
    assert_non_null(strstr(text, "by owner 0xffffffffffffffff"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_apple_silicon),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(the_dart_chooses_addresses),
        cmocka_unit_test(the_iova_is_never_the_bus_address_by_chance),
        cmocka_unit_test(bad_mappings_are_refused),
        cmocka_unit_test(identity_keeps_the_iova_and_refuses_overlap),
        cmocka_unit_test(the_aperture_ends),
        cmocka_unit_test(fragments_do_not_make_a_run),
        cmocka_unit_test(segments_are_short_and_apart),
        cmocka_unit_test(slots_end_and_do_not_slow_down),
        cmocka_unit_test(accesses_are_byte_exact),
        cmocka_unit_test(an_access_crosses_adjacent_mappings),
        cmocka_unit_test(directions_are_enforced),
        cmocka_unit_test(pages_that_are_gone_fault),
        cmocka_unit_test(a_fault_names_who_freed_the_address),
        cmocka_unit_test(a_fault_is_said_in_one_line),
    };
    return cmocka_run_group_tests_name("dart", tests, NULL, NULL);
}

/*
 * DMA regions by the batch: selectors 65 and 66.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK UINT64_C(0x60000000)
#define TOP   (UINT64_MAX - 4095)

/* A structure in a block of its exact size, so that a sanitizer sees a byte too many. */
static void *exact(const void *from, size_t bytes)
{
    void *block = malloc(bytes + (bytes == 0));
    assert_non_null(block);
    memcpy(block, from, bytes);
    return block;
}

/* Raw call; results get what came back, *bytes is the room and what was given. */
static IOReturn call_raw(struct dext_client *client, uint64_t selector, uint64_t flags,
                         const void *in, size_t in_bytes, void *results, size_t *bytes,
                         uint64_t *registered)
{
    uint64_t scalars_out[16] = {0};
    void *structure = exact(in, in_bytes);
    void *out = calloc(1, *bytes + (*bytes == 0));
    struct dext_arguments arguments = {.scalar_in = &flags,
                                       .scalar_in_count = 1,
                                       .struct_in = in_bytes ? structure : NULL,
                                       .struct_in_bytes = in_bytes,
                                       .scalar_out = scalars_out,
                                       .scalar_out_count = 16,
                                       .struct_out = *bytes ? out : NULL,
                                       .struct_out_bytes = *bytes};
    assert_non_null(out);
    IOReturn status = dext_client_external_method(client, selector, &arguments);
    if (status == kIOReturnSuccess) {
        assert_int_equal(arguments.scalar_out_count, 1);
        memcpy(results, out, arguments.struct_out_bytes);
        *registered = scalars_out[0];
    } else {
        assert_int_equal(arguments.struct_out_bytes, 0);
    }
    *bytes = arguments.struct_out_bytes;
    free(structure);
    free(out);
    return status;
}

static uint64_t batch(struct dext_client *client, uint64_t flags,
                      const struct dext_dma_request *requests, size_t count,
                      struct dext_dma_result *results)
{
    uint64_t registered = 99;
    size_t bytes = count * sizeof(*results);
    memset(results, 0xa5, bytes);
    assert_code(call_raw(client, 65, flags, requests, count * sizeof(*requests), results, &bytes,
                         &registered),
                0);
    assert_int_equal(bytes, count * 24);
    return registered;
}

static void assert_result(const struct dext_dma_result *result, uint32_t code)
{
    assert_u64(result->status, code);
    if (code) {
        assert_true(result->bus_address == 0 && result->bytes == 0);
    }
}

static uint64_t live(const struct fixture *f)
{
    struct dart_statistics statistics;
    dart_get_statistics(f->device->provider.dart, &statistics);
    return statistics.live_mappings;
}

static void every_region_gets_its_bus_address(void **state)
{
    (void)state;
    const struct dext_dma_request requests[] = {
        {0x40000000, 0x7000, 20000}, {0x50000000, 0x123, 1}, {0x60000000, 0x900000, 0x4000}};
    const uint64_t iovas[] = {0x60000000, 0x40000000, 0x50000000};
    struct fixture f;
    struct dext_dma_result results[3];
    uint64_t codes[3];
    uint64_t ended = 0;
    size_t bytes = sizeof(codes);
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_u64(batch(client, 0, requests, 3, results), 3);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t word = 0;
        assert_result(&results[i], 0);
        assert_u64(results[i].bytes, requests[i].bytes);
        assert_u64(results[i].bus_address % 16384, requests[i].address % 16384);
        if (requests[i].bytes >= 8) {
            assert_int_equal(
                dart_device_read(f.device->provider.dart, results[i].bus_address, &word, 8), 0);
            assert_u64(word, fake_memory_word(requests[i].address));
        }
    }
    assert_code(call_raw(client, 66, 0, iovas, sizeof(iovas), codes, &bytes, &ended), 0);
    assert_true(bytes == 24 && ended == 3 && !codes[0] && !codes[1] && !codes[2]);
    assert_int_equal(f.host.memories, 0);
    fixture_tear_down(&f);
}

/* Each bad entry alone between two good ones. */
static const struct {
    struct dext_dma_request request;
    uint32_t code;
} bad[] = {
    {{0x9000, 0x1000, 0}, 0xe00002c2},      {{0x9000, 0, 0x1000}, 0xe00002c2},
    {{TOP, 0x1000, 0x2000}, 0xe00002c2},    {{0x9000, TOP, 0x2000}, 0xe00002c2},
    {{1, 0x1000, UINT64_MAX}, 0xe00002c2},  {{0x5000, 0x1000, 0x1000}, 0xe00002d2},
    {{0x1000, 0x8000, 0x1000}, 0xe00002d2}, {{0x9000, 0x1000, CHUNK + 1}, 0xe00002d0},
    {{0x9000, 0x1000, CHUNK}, 0xe00002db},  {{0x9000, 0x1000, 129 * CHUNK}, 0xe00002db},
};

static void all_or_nothing(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x5000, 0x1000, 0x1000), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct dext_dma_request requests[] = {
            {0x1000, 0x1000, 0x1000}, bad[i].request, {0x2000, 0x1000, 0x1000}};
        struct dext_dma_result results[3];
        assert_u64(batch(client, 0, requests, 3, results), 0);
        assert_result(&results[0], 0xe00002eb);
        assert_result(&results[1], bad[i].code);
        assert_result(&results[2], 0xe00002eb);
        assert_u64(live(&f), 1);
        assert_int_equal(f.host.memories, 1);
    }
    assert_code(CALL(client, 7, out, 0x5000, 0), 0); /* what was there before stays */
    fixture_tear_down(&f);
}

static void each_for_itself(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x5000, 0x1000, 0x1000), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct dext_dma_request requests[] = {
            {0x1000, 0x1000, 0x1000}, bad[i].request, {0x2000, 0x1000, 0x1000}};
        struct dext_dma_result results[3];
        assert_u64(batch(client, 1, requests, 3, results), 2);
        assert_result(&results[0], 0);
        assert_result(&results[1], bad[i].code);
        assert_result(&results[2], 0);
        assert_u64(live(&f), 3);
        assert_code(CALL(client, 6, out, 0x1000), 0);
        assert_code(CALL(client, 6, out, 0x2000), 0);
    }
    fixture_tear_down(&f);
}

/* The DART or the host gives up in the middle. */
static void failures_below_undo_the_rest(void **state)
{
    (void)state;
    const struct dext_dma_request requests[] = {
        {0x1000, 0x1000, 0x1000}, {0x2000, 0x1000, 0x1000}, {0x3000, 0x1000, 0x1000}};
    struct fixture f;
    struct dext_dma_result results[3];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.device->map_error = -ENOSPC;
    f.device->map_fails_after = 2;
    assert_u64(batch(client, 0, requests, 3, results), 0);
    assert_result(&results[1], 0xe00002eb);
    assert_result(&results[2], 0xe00002db);
    assert_int_equal(f.host.memories, 0);
    assert_u64(live(&f), 0);
    f.device->map_error = 0;
    f.host.memory_error = -EFAULT;
    assert_u64(batch(client, 1, requests, 3, results), 0);
    assert_result(&results[0], 0xe00002c8);
    assert_result(&results[2], 0xe00002c8);
    assert_u64(live(&f), 0);
    fixture_tear_down(&f);
}

static void identity_refuses_overlap_inside_a_batch(void **state)
{
    (void)state;
    const struct dext_dma_request requests[] = {
        {0x10000, 0x1000, 0x2000}, {0x11fff, 0x1000, 0x1000}, {0x12000, 0x1000, 0x1000}};
    struct dart_options dart = {.identity = true};
    struct fixture f;
    struct dext_dma_result results[3];
    fixture_set_up(&f, NULL, &dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_u64(batch(client, 0, requests, 3, results), 0);
    assert_result(&results[1], 0xe00002d2);
    assert_u64(batch(client, 1, requests, 3, results), 2);
    assert_result(&results[1], 0xe00002d2);
    assert_u64(results[2].bus_address, 0x12000);
    fixture_tear_down(&f);
}

static void structures_of_a_wrong_size(void **state)
{
    (void)state;
    static struct dext_dma_request many[4097];
    static struct dext_dma_result results[4097];
    uint64_t registered;
    struct fixture f;
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (size_t i = 0; i < 4097; i++) {
        many[i] = (struct dext_dma_request){0x1000 * (i + 1), 0x1000, 16};
    }
    static const struct {
        uint64_t selector;
        size_t in, out;
    } cases[] = {
        {65, 0, 24},
        {65, 1, 24},
        {65, 23, 24},
        {65, 25, 48},
        {65, 24, 0},
        {65, 24, 23},
        {65, 48, 47},
        {65, 4097 * 24, 4097 * 24},
        {66, 0, 8},
        {66, 7, 8},
        {66, 9, 16},
        {66, 8, 7},
        {66, 4097 * 8, 4097 * 8},
        {66, 16, 15},
        {66, 8, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t bytes = cases[i].out;
        assert_code(
            call_raw(client, cases[i].selector, 0, many, cases[i].in, results, &bytes, &registered),
            0xe00002c2);
        assert_u64(live(&f), 0);
    }
    size_t room = 24;
    assert_code(call_raw(client, 65, 2, many, 24, results, &room, &registered), 0xe00002c2);
    room = 24;
    assert_code(call_raw(client, 65, UINT64_MAX, many, 24, results, &room, &registered),
                0xe00002c2);
    /* The most there may be, with more room than is needed. */
    room = 4097 * 24;
    assert_code(call_raw(client, 65, 0, many, 4096 * 24, results, &room, &registered), 0);
    assert_true(room == 4096 * 24 && registered == 4096 && live(&f) == 4096);
    fixture_tear_down(&f);
}

static void ends_are_told_one_by_one(void **state)
{
    (void)state;
    const uint64_t iovas[] = {0x1000, 0x9000, 0x2000, 0x1000};
    struct fixture f;
    uint64_t out[16], codes[4], ended;
    size_t bytes = sizeof(codes);
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x1000, 0x1000, 0x1000), 0);
    assert_code(CALL(client, 5, out, 0x2000, 0x1000, 0x1000), 0);
    assert_code(call_raw(client, 66, 0, iovas, sizeof(iovas), codes, &bytes, &ended), 0);
    assert_true(ended == 2 && codes[0] == 0 && codes[2] == 0);
    assert_true(codes[1] == 0xe00002f0 && codes[3] == 0xe00002f0);
    fixture_tear_down(&f);
}

static void claims_and_limits(void **state)
{
    (void)state;
    const struct dext_dma_request request = {0x1000, 0x1000, 0x1000};
    struct dext_options options = {.no_extensions = true};
    struct fixture f;
    struct dext_dma_result result;
    uint64_t out[16], registered;
    size_t bytes = sizeof(result);
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    assert_code(call_raw(client, 65, 0, &request, 24, &result, &bytes, &registered), 0xe00002cd);
    bytes = 8;
    assert_code(call_raw(client, 66, 0, &request, 8, &result, &bytes, &registered), 0xe00002cd);
    assert_code(CALL0(client, 64, out), 0);
    assert_u64(out[5], 4096);
    fixture_tear_down(&f);

    fixture_set_up(&f, &options, NULL);
    client = fixture_open_claimed(&f, 0);
    bytes = sizeof(result);
    assert_code(call_raw(client, 65, 0, &request, 24, &result, &bytes, &registered), 0xe00002c7);
    bytes = 8;
    assert_code(call_raw(client, 66, 0, &request, 8, &result, &bytes, &registered), 0xe00002c7);
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_region_gets_its_bus_address),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(each_for_itself),
        cmocka_unit_test(failures_below_undo_the_rest),
        cmocka_unit_test(identity_refuses_overlap_inside_a_batch),
        cmocka_unit_test(structures_of_a_wrong_size),
        cmocka_unit_test(ends_are_told_one_by_one),
        cmocka_unit_test(claims_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

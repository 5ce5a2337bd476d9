/*
 * ReadCalls and ListDMARegions: what is recorded of a call, and what is mapped for the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <string.h>

#define READ_CALLS 70
#define LIST       71
#define ROOM       64

static struct dext_call_record calls[ROOM];
static struct dext_dma_segment segments[ROOM];

/* One of the two, with room for bytes of structure; returns how many bytes came. */
static size_t ask(struct dext_client *client, uint64_t selector, uint64_t from, void *structure,
                  size_t bytes, uint64_t out[16])
{
    struct dext_arguments arguments = {.scalar_in = &from,
                                       .scalar_in_count = 1,
                                       .scalar_out = out,
                                       .scalar_out_count = 16,
                                       .struct_out = structure,
                                       .struct_out_bytes = bytes};
    memset(out, 0, 16 * sizeof(*out));
    assert_code(dext_client_external_method(client, selector, &arguments), 0);
    assert_int_equal(arguments.scalar_out_count, selector == READ_CALLS ? 3 : 2);
    return arguments.struct_out_bytes;
}

static unsigned read_calls(struct dext_client *client, uint64_t from)
{
    uint64_t out[16];
    size_t bytes = ask(client, READ_CALLS, from, calls, sizeof(calls), out);
    assert_int_equal(bytes, out[0] * 80); /* the documented size */
    assert_u64(out[2], 0);
    return (unsigned)out[0];
}

static void a_record_says_what_was_called(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    struct dext_client *other = fixture_open(&f, 1);
    assert_code(CALL(client, 8, out, 0, 4), 0);
    assert_code(CALL(client, 8, out, 0, 3), 0xe00002c2);
    assert_code(CALL(other, 12, out, 1, 2, 3, 4, 5), 0xe00002cd);
    assert_code(CALL0(other, 200, out), 0xe00002c7);
    assert_int_equal(read_calls(other, 0), 5);
    static const struct {
        uint32_t selector, code, client;
        uint8_t inputs;
    } want[5] = {{1, 0, 1, 0},
                 {8, 0, 1, 2},
                 {8, 0xe00002c2, 1, 2},
                 {12, 0xe00002cd, 2, 5},
                 {200, 0xe00002c7, 2, 0}};
    for (unsigned i = 0; i < 5; i++) {
        assert_u64(calls[i].sequence, i);
        assert_int_equal(calls[i].kind, 0);
        assert_int_equal(calls[i].selector, want[i].selector);
        assert_int_equal(calls[i].code, want[i].code);
        assert_int_equal(calls[i].client, want[i].client);
        assert_int_equal(calls[i].input_count, want[i].inputs);
        assert_int_equal(calls[i].hidden, 0);
        assert_true(i == 0 ||
                    calls[i].start_ns >= calls[i - 1].start_ns + calls[i - 1].duration_ns);
    }
    static const uint64_t inputs[5][4] = {{0}, {0, 4}, {0, 3}, {1, 2, 3, 4}, {0}};
    for (unsigned i = 0; i < 5; i++) {
        assert_memory_equal(calls[i].inputs, inputs[i], sizeof(inputs[i]));
    }
    fixture_tear_down(&f);
}

static void reading_leaves_no_record(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    assert_int_equal(read_calls(client, 0), 0);
    assert_int_equal(read_calls(client, 0), 0);
    assert_code(CALL0(client, 68, out), 0);
    assert_int_equal(read_calls(client, 0), 1);
    assert_int_equal(calls[0].selector, 68);
    assert_int_equal(read_calls(client, UINT64_MAX), 0);
    fixture_tear_down(&f);
}

/* Where its memory lies in a client's process is not told to others. */
static void addresses_of_a_client_are_hidden(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x10000, 0x7f0000100000, 16384), 0);
    assert_int_equal(read_calls(client, 1), 1);
    static const uint64_t inputs[4] = {0x10000, 0, 16384, 0};
    assert_memory_equal(calls[0].inputs, inputs, sizeof(inputs));
    assert_int_equal(calls[0].hidden, 2);
    assert_int_equal(calls[0].input_count, 3);
    fixture_tear_down(&f);
}

static void accesses_and_mappings_are_recorded(void **state)
{
    (void)state;
    struct fixture f;
    struct dext_memory memory;
    uint64_t value = 0x1234;
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(dext_client_memory_access(client, 1, 8, 4, true, &value), 0);
    assert_code(dext_client_memory_access(client, 1, 8, 4, false, &value), 0);
    assert_code(dext_client_memory_access(client, 7, 0, 4, false, &value), 0xe00002c2);
    assert_code(dext_client_memory_for_type(client, 7, &memory), 0xe00002d8);
    assert_int_equal(read_calls(client, 1), 4);
    static const struct {
        uint8_t kind, count;
        uint32_t code;
        uint64_t inputs[4];
    } want[4] = {{2, 4, 0, {1, 8, 4, 0x1234}},
                 {1, 3, 0, {1, 8, 4}},
                 {1, 3, 0xe00002c2, {7, 0, 4}},
                 {3, 1, 0xe00002d8, {7}}};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(calls[i].kind, want[i].kind);
        assert_int_equal(calls[i].input_count, want[i].count);
        assert_int_equal(calls[i].code, want[i].code);
        assert_int_equal(calls[i].selector, 0);
        assert_memory_equal(calls[i].inputs, want[i].inputs, sizeof(want[i].inputs));
    }
    fixture_tear_down(&f);
}

static void records_come_as_many_as_fit(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    for (unsigned i = 0; i < 1030; i++) {
        assert_code(CALL0(client, 68, out), 0);
    }
    assert_int_equal(ask(client, READ_CALLS, 0, calls, 2 * 80 + 79, out), 2 * 80);
    assert_true(out[0] == 2 && out[1] == 8 && out[2] == 6);
    assert_u64(calls[0].sequence, 6);
    assert_int_equal(ask(client, READ_CALLS, 1029, calls, sizeof(calls), out), 80);
    assert_true(out[0] == 1 && out[1] == 1030 && out[2] == 0);
    assert_int_equal(ask(client, READ_CALLS, 2000, calls, sizeof(calls), out), 0);
    assert_true(out[0] == 0 && out[1] == 1030 && out[2] == 0);
    assert_int_equal(ask(client, READ_CALLS, 1000, calls, 79, out), 0);
    assert_true(out[0] == 0 && out[1] == 1000 && out[2] == 0);
    assert_int_equal(ask(client, READ_CALLS, 1000, NULL, 0, out), 0);
    assert_true(out[0] == 0 && out[1] == 1000);
    fixture_tear_down(&f);
}

/* As the statistics, both answer while a reset holds the dext. */
static struct dext_client *looker;
static unsigned looked;

static void look_during_the_reset(void)
{
    looked = read_calls(looker, 0);
    uint64_t out[16];
    ask(looker, LIST, 0, segments, sizeof(segments), out);
    looked += (unsigned)out[0];
}

static void both_answer_during_a_reset(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    looker = fixture_open(&f, 1);
    assert_code(CALL(client, 5, out, 0, 0x100000, 16384), 0);
    f.device->on_reset = look_during_the_reset;
    assert_code(CALL0(client, 17, out), 0);
    assert_int_equal(looked, 3);
    f.device->on_reset = NULL;
    fixture_tear_down(&f);
}

static void segments_are_listed_by_bus_address(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16], one[16], two[16], buffer[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *a = fixture_open_claimed(&f, 0);
    struct dext_client *b = fixture_open_claimed(&f, 1);
    assert_int_equal(ask(a, LIST, 0, segments, sizeof(segments), out), 0);
    assert_true(out[0] == 0 && out[1] == 0);
    assert_code(CALL(a, 5, one, 0x40000, 0x100000, 16384), 0);
    assert_code(CALL(b, 5, two, 0x40000, 0x200000, 0x8001), 0); /* the same iova */
    assert_code(CALL(b, 3, buffer, 100, 0), 0);
    assert_int_equal(ask(a, LIST, 0, segments, sizeof(segments), out), 3 * 32);
    assert_true(out[0] == 3 && out[1] == 0);
    unsigned found = 0;
    for (unsigned i = 0; i < 3; i++) {
        const struct dext_dma_segment *it = &segments[i];
        assert_true(i == 0 || it->bus_address > segments[i - 1].bus_address);
        found |= it->bus_address == one[1] && it->iova == 0x40000 && it->bytes == 16384 &&
                 it->client == 1 && it->flags == 0;
        found |= 2 * (it->bus_address == two[1] && it->iova == 0x40000 && it->bytes == 0x8001 &&
                      it->client == 2 && it->flags == 0);
        found |= 4 * (it->bus_address == buffer[3] && it->iova == 0 && it->bytes == 100 &&
                      it->client == 2 && it->flags == 1);
    }
    assert_int_equal(found, 7);
    fixture_stop(&f, 1);
    assert_int_equal(ask(a, LIST, 0, segments, sizeof(segments), out), 32);
    assert_u64(segments[0].bus_address, one[1]);
    fixture_tear_down(&f);
}

static void list_goes_on_where_it_stopped(const struct dart_options *dart)
{
    struct fixture f;
    uint64_t out[16], from = 0, last = 0;
    unsigned count = 0;
    fixture_set_up(&f, NULL, dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_code(CALL(client, 5, out, i << 20, 0x100000, 4096 * (i % 7 + 1)), 0);
    }
    do {
        size_t bytes = ask(client, LIST, from, segments, 3 * 32 + 31, out);
        assert_int_equal(bytes, out[0] * 32);
        for (unsigned i = 0; i < out[0]; i++) {
            assert_true(segments[i].bus_address >= from && segments[i].bus_address > last);
            assert_u64(segments[i].bytes, 4096 * ((segments[i].iova >> 20) % 7 + 1));
            last = segments[i].bus_address;
        }
        count += (unsigned)out[0];
        from = out[1];
    } while (from != 0);
    assert_int_equal(count, 20);
    assert_int_equal(ask(client, LIST, last + (1 << 20), segments, sizeof(segments), out), 0);
    assert_true(out[0] == 0 && out[1] == 0);
    assert_int_equal(ask(client, LIST, 0, NULL, 0, out), 0);
    assert_true(out[0] == 0 && out[1] != 0);
    fixture_tear_down(&f);
}

static void a_long_list_comes_in_pieces(void **state)
{
    (void)state;
    const struct dart_options identity = {.identity = true};
    list_goes_on_where_it_stopped(NULL);
    list_goes_on_where_it_stopped(&identity);
}

/* While a list is made nothing can be mapped: one call makes no more than 4,096 lines. */
static void a_call_lists_so_many_at_most(void **state)
{
    (void)state;
    static struct dext_dma_segment all[5000];
    struct fixture f;
    uint64_t out[16];
    const struct dart_options identity = {.identity = true};
    fixture_set_up(&f, NULL, &identity);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (uint64_t i = 0; i < 4100; i++) {
        assert_code(CALL(client, 5, out, i << 14, 0x100000, 4096), 0);
    }
    assert_int_equal(ask(client, LIST, 0, all, sizeof(all), out), 4096 * 32);
    assert_true(out[0] == 4096 && out[1] == UINT64_C(4096) << 14);
    assert_int_equal(ask(client, LIST, out[1], all, sizeof(all), out), 4 * 32);
    assert_true(out[0] == 4 && out[1] == 0);
    fixture_tear_down(&f);
}

/* With identity a region may end at 2^64, where no next address is. */
static void a_region_at_the_end_is_the_last(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    const struct dart_options identity = {.identity = true};
    fixture_set_up(&f, NULL, &identity);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, UINT64_MAX - 4095, 0x100000, 4096), 0);
    assert_int_equal(ask(client, LIST, 0, segments, sizeof(segments), out), 32);
    assert_true(out[0] == 1 && out[1] == 0);
    assert_u64(segments[0].bus_address, UINT64_MAX - 4095);
    fixture_tear_down(&f);
}

static void a_device_that_is_gone_leaves_its_calls(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0, 0x100000, 16384), 0);
    dext_device_removed(f.dext);
    assert_code(CALL(client, 5, out, 0x10000, 0x100000, 16384), 0xe00002c0);
    assert_int_equal(read_calls(client, 0), 3);
    assert_int_equal(calls[2].code, 0xe00002c0);
    assert_int_equal(ask(client, LIST, 0, segments, sizeof(segments), out), 32);
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_says_what_was_called),
        cmocka_unit_test(reading_leaves_no_record),
        cmocka_unit_test(addresses_of_a_client_are_hidden),
        cmocka_unit_test(accesses_and_mappings_are_recorded),
        cmocka_unit_test(records_come_as_many_as_fit),
        cmocka_unit_test(both_answer_during_a_reset),
        cmocka_unit_test(segments_are_listed_by_bus_address),
        cmocka_unit_test(a_long_list_comes_in_pieces),
        cmocka_unit_test(a_call_lists_so_many_at_most),
        cmocka_unit_test(a_region_at_the_end_is_the_last),
        cmocka_unit_test(a_device_that_is_gone_leaves_its_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

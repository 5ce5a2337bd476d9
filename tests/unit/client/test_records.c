/*
 * The record of calls and the list of DMA segments: what comes out of a reply, and replies that
 * lie.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client_test.h"

/* What the driver answers: count, next, lost; records as many as there are bytes for. */
static uint64_t answer[3];
static uint64_t answer_records;
static size_t asked_bytes;

static struct dext_call_record call_record(uint64_t i)
{
    return (struct dext_call_record){.sequence = i,
                                     .start_ns = 100 + i,
                                     .duration_ns = 200 + i,
                                     .inputs = {1 + i, 2 + i, 3 + i, 4 + i},
                                     .selector = (uint32_t)(5 + i),
                                     .code = 0xe00002c2,
                                     .client = 6,
                                     .process = 7,
                                     .kind = 2,
                                     .input_count = 3,
                                     .hidden = 4};
}

static kern_return_t answer_fn(uint32_t selector, const uint64_t *in, const void *struct_in,
                               size_t struct_in_bytes, uint64_t *out, void *struct_out,
                               size_t *struct_bytes)
{
    (void)in;
    (void)struct_in;
    assert_int_equal(struct_in_bytes, 0);
    asked_bytes = *struct_bytes;
    memcpy(out, answer, sizeof(answer));
    for (uint64_t i = 0; i < answer_records; i++) {
        if (selector == DEXT_SEL_READ_CALLS) {
            ((struct dext_call_record *)struct_out)[i] = call_record(i);
        } else {
            ((struct dext_dma_segment *)struct_out)[i] =
                (struct dext_dma_segment){.iova = i + 1,
                                          .bus_address = i + 2,
                                          .bytes = i + 3,
                                          .client = (uint32_t)i + 4,
                                          .flags = (uint32_t)i & 1};
        }
    }
    *struct_bytes = answer_records * (selector == DEXT_SEL_READ_CALLS ? 80 : 32);
    return kIOReturnSuccess;
}

static io_connect_t connect_to(uint64_t count, uint64_t next, uint64_t lost, uint64_t records)
{
    answer[0] = count;
    answer[1] = next;
    answer[2] = lost;
    answer_records = records;
    fake.structure_fn = answer_fn;
    return fake_connect(false);
}

static void calls_come_with_all_that_is_known(void **state)
{
    io_connect_t port = connect_to(2, 99, 12, 2);
    AppleDextCall calls[8];
    uint64_t cursor = 42, lost = 0;
    size_t count = 8;

    (void)state;
    assert_int_equal(apple_dext_read_calls(port, &cursor, calls, &count, &lost), 0);
    assert_true(cursor == 99 && count == 2 && lost == 12);
    assert_true(asked_bytes == 8 * 80);
    struct fake_call call = fake_call_at(DEXT_SEL_READ_CALLS, 0);
    assert_true(call.in_count == 1 && call.in[0] == 42 && call.out_capacity == 3);
    for (unsigned i = 0; i < 2; i++) {
        const AppleDextCall *it = &calls[i];
        assert_true(it->sequence == i && it->start_ns == 100 + i && it->duration_ns == 200 + i);
        assert_true(it->inputs[0] == 1 + i && it->inputs[1] == 2 + i && it->inputs[2] == 3 + i &&
                    it->inputs[3] == 4 + i);
        assert_true(it->selector == 5 + i && it->code == kIOReturnBadArgument);
        assert_true(it->client == 6 && it->process == 7);
        assert_true(it->kind == APPLE_DEXT_CALL_STORE && it->input_count == 3 && it->hidden == 4);
    }
    apple_dext_disconnect(port);
}

static void segments_come_with_all_that_is_known(void **state)
{
    io_connect_t port = connect_to(2, 0, 0, 2);
    AppleDextDmaSegment segments[4];
    uint64_t cursor = 5;
    size_t count = 4;

    (void)state;
    assert_int_equal(apple_dext_list_dma_segments(port, &cursor, segments, &count), 0);
    assert_true(cursor == 0 && count == 2);
    assert_true(asked_bytes == 4 * 32);
    struct fake_call call = fake_call_at(DEXT_SEL_LIST_DMA_REGIONS, 0);
    assert_true(call.in_count == 1 && call.in[0] == 5 && call.out_capacity == 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(segments[i].iova == i + 1 && segments[i].bus_addr == i + 2 &&
                    segments[i].bus_len == i + 3 && segments[i].client == i + 4 &&
                    segments[i].is_buffer == i);
    }
    apple_dext_disconnect(port);
}

/* However much room a caller has: the kernel takes 4 MiB at most. */
static void much_room_is_asked_for_in_pieces(void **state)
{
    static AppleDextCall calls[3000];
    static AppleDextDmaSegment segments[5000];
    io_connect_t port = connect_to(0, 0, 0, 0);
    uint64_t cursor = 0, lost;
    size_t count = 3000;

    (void)state;
    assert_int_equal(apple_dext_read_calls(port, &cursor, calls, &count, &lost), 0);
    assert_true(asked_bytes == 1024 * 80 && count == 0);
    count = 5000;
    assert_int_equal(apple_dext_list_dma_segments(port, &cursor, segments, &count), 0);
    assert_true(asked_bytes == 4096 * 32 && count == 0);
    apple_dext_disconnect(port);
}

/* The reply counts more than it carries, or than was asked for, or sends callers in circles. */
static void lies_are_no_success(void **state)
{
    static const struct {
        uint64_t count, next, records;
        bool is_list;
        kern_return_t want;
    } rows[] = {
        {3, 9, 2, false, kIOReturnUnderrun},
        {1, 9, 0, false, kIOReturnUnderrun},
        {UINT64_MAX, 9, 4, false, kIOReturnUnderrun},
        {5, 9, 4, false, kIOReturnUnderrun},
        {3, 0, 2, true, kIOReturnUnderrun},
        {UINT64_C(1) << 59, 0, 4, true, kIOReturnUnderrun},
        {0, 9, 0, true, kIOReturnInternalError},
        {2, 5, 2, true, kIOReturnInternalError},
        {2, 4, 2, true, kIOReturnInternalError},
    };
    AppleDextCall calls[4], calls_before[4];
    AppleDextDmaSegment segments[4], segments_before[4];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        io_connect_t port = connect_to(rows[i].count, rows[i].next, 8, rows[i].records);
        uint64_t cursor = 5, lost = 77;
        size_t count = 4;
        memset(calls, 0xa5, sizeof(calls));
        memcpy(calls_before, calls, sizeof(calls));
        memset(segments, 0xa5, sizeof(segments));
        memcpy(segments_before, segments, sizeof(segments));
        assert_int_equal(rows[i].is_list
                             ? apple_dext_list_dma_segments(port, &cursor, segments, &count)
                             : apple_dext_read_calls(port, &cursor, calls, &count, &lost),
                         rows[i].want);
        assert_true(cursor == 5 && count == 4 && lost == 77);
        assert_memory_equal(calls, calls_before, sizeof(calls));
        assert_memory_equal(segments, segments_before, sizeof(segments));
        apple_dext_disconnect(port);
    }
}

static void the_real_driver_keeps_neither(void **state)
{
    io_connect_t port = fake_connect(true);
    AppleDextCall call;
    AppleDextDmaSegment segment;
    uint64_t cursor = 3, lost = 77;
    size_t count = 1;

    (void)state;
    assert_int_equal(apple_dext_read_calls(port, &cursor, &call, &count, &lost),
                     kIOReturnUnsupported);
    assert_int_equal(apple_dext_list_dma_segments(port, &cursor, &segment, &count),
                     kIOReturnUnsupported);
    assert_true(cursor == 3 && count == 1 && lost == 77);
    apple_dext_disconnect(port);
}

static void bad_arguments_reach_no_driver(void **state)
{
    io_connect_t port = fake_connect(false);
    const kern_return_t bad = kIOReturnBadArgument;
    AppleDextCall call;
    AppleDextDmaSegment segment;
    uint64_t cursor = 0, lost;
    size_t count = 1, none = 0;

    (void)state;
    assert_int_equal(apple_dext_read_calls(port, NULL, &call, &count, &lost), bad);
    assert_int_equal(apple_dext_read_calls(port, &cursor, NULL, &count, &lost), bad);
    assert_int_equal(apple_dext_read_calls(port, &cursor, &call, NULL, &lost), bad);
    assert_int_equal(apple_dext_read_calls(port, &cursor, &call, &none, &lost), bad);
    assert_int_equal(apple_dext_read_calls(port, &cursor, &call, &count, NULL), bad);
    assert_int_equal(apple_dext_read_calls(IO_OBJECT_NULL, &cursor, &call, &count, &lost), bad);
    assert_int_equal(apple_dext_list_dma_segments(port, NULL, &segment, &count), bad);
    assert_int_equal(apple_dext_list_dma_segments(port, &cursor, NULL, &count), bad);
    assert_int_equal(apple_dext_list_dma_segments(port, &cursor, &segment, NULL), bad);
    assert_int_equal(apple_dext_list_dma_segments(port, &cursor, &segment, &none), bad);
    assert_int_equal(apple_dext_list_dma_segments(IO_OBJECT_NULL, &cursor, &segment, &count), bad);
    assert_int_equal(fake.call_count, 0);
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(calls_come_with_all_that_is_known),
        CLIENT_TEST(segments_come_with_all_that_is_known),
        CLIENT_TEST(much_room_is_asked_for_in_pieces),
        CLIENT_TEST(lies_are_no_success),
        CLIENT_TEST(the_real_driver_keeps_neither),
        CLIENT_TEST(bad_arguments_reach_no_driver),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}

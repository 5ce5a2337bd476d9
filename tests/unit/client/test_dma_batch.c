/*
 * Unit tests: batches of DMA regions, with drivers that take them and drivers that do not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <mach/mach.h>

#include "client_test.h"

enum { REGIONS = 10 };

static AppleDextDmaRequest requests[REGIONS];
static AppleDextDmaResult results[REGIONS];

/* What the scripted driver does with entries from this one on. */
static struct {
    uint64_t iova;   /* of the entry that fails */
    uint32_t status; /* its code */
    bool is_short;   /* it succeeds, but with a byte too few */
    bool is_unsupported;
    bool gives_less; /* bytes of the reply */
    unsigned calls, entries, live;
    uint64_t flags;
} driver;

static kern_return_t driver_register(const uint64_t *in, const struct dext_dma_request *entries,
                                     size_t count, uint64_t *out, struct dext_dma_result *answers)
{
    driver.flags = in[0];
    for (size_t i = 0; i < count; i++) {
        bool is_hit = entries[i].iova == driver.iova;
        answers[i] = (struct dext_dma_result){.status = is_hit ? driver.status : 0};
        if (answers[i].status == 0) {
            answers[i].bus_address = entries[i].iova + 0x80000000;
            answers[i].bytes = entries[i].bytes - (is_hit && driver.is_short);
            out[0]++;
        }
    }
    if (out[0] < count && !(in[0] & 1)) {
        for (size_t i = 0; i < count; i++) {
            answers[i] =
                answers[i].status ? answers[i] : (struct dext_dma_result){.status = 0xe00002eb};
        }
        out[0] = 0;
    }
    driver.live += (unsigned)out[0];
    return kIOReturnSuccess;
}

static kern_return_t answer(uint32_t selector, const uint64_t *in, const void *struct_in,
                            size_t struct_in_bytes, uint64_t *out, void *struct_out,
                            size_t *struct_bytes)
{
    driver.calls++;
    if (driver.is_unsupported) {
        return kIOReturnUnsupported;
    }
    if (driver.gives_less) {
        *struct_bytes -= 1;
    }
    if (selector == DEXT_SEL_REGISTER_DMA_REGIONS) {
        size_t count = struct_in_bytes / sizeof(struct dext_dma_request);
        driver.entries += (unsigned)count;
        return driver_register(in, struct_in, count, out, struct_out);
    }
    assert_int_equal(selector, DEXT_SEL_UNREGISTER_DMA_REGIONS);
    for (size_t i = 0; i < struct_in_bytes / 8; i++) {
        uint64_t iova = ((const uint64_t *)struct_in)[i];
        ((uint64_t *)struct_out)[i] = iova == driver.iova ? driver.status : 0;
    }
    return kIOReturnSuccess;
}

/* A claimed connection to a driver that takes batches of max_batch; 0: none at all. */
static io_connect_t begin(uint64_t max_batch)
{
    memset(&driver, 0, sizeof(driver));
    memset(results, 0x5a, sizeof(results));
    for (size_t i = 0; i < REGIONS; i++) {
        requests[i] = (AppleDextDmaRequest){
            .iova = 0x10000 * (i + 1), .client_va = 0x7f0000000000 + 0x1000 * i, .size = 0x1000};
    }
    if (max_batch > 0) {
        fake.structure_fn = answer;
        fake_script(DEXT_SEL_GET_CAPABILITIES,
                    (struct fake_reply){.values = {1, 3, 65536, 1, 1, max_batch}});
    }
    return fake_connect(true);
}

static kern_return_t register_all(io_connect_t port, uint32_t flags)
{
    return apple_dext_register_dma_batch(port, requests, REGIONS, flags, results);
}

static void assert_result(size_t i, kern_return_t status)
{
    assert_int_equal(results[i].status, status);
    assert_true(results[i].bus_len == (status ? 0 : requests[i].size));
    assert_true(status == 0 || results[i].bus_addr == 0);
}

static void a_batch_is_one_call(void **state)
{
    io_connect_t port = begin(256);
    uint64_t iovas[REGIONS];
    kern_return_t statuses[REGIONS];

    (void)state;
    assert_int_equal(register_all(port, 0), kIOReturnSuccess);
    assert_int_equal(driver.calls, 1);
    for (size_t i = 0; i < REGIONS; i++) {
        assert_result(i, kIOReturnSuccess);
        assert_true(results[i].bus_addr == requests[i].iova + 0x80000000);
        iovas[i] = requests[i].iova;
    }
    assert_int_equal(register_all(port, 0), kIOReturnSuccess);
    assert_int_equal(fake_calls_of(DEXT_SEL_GET_CAPABILITIES), 1); /* asked once */
    assert_int_equal(apple_dext_unregister_dma_batch(port, iovas, REGIONS, statuses),
                     kIOReturnSuccess);
    assert_int_equal(driver.calls, 3);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 0);
    apple_dext_disconnect(port);
}

static void long_batches_are_cut(void **state)
{
    io_connect_t port = begin(4);

    (void)state;
    assert_int_equal(register_all(port, APPLE_DEXT_DMA_EACH), kIOReturnSuccess);
    assert_int_equal(driver.calls, 3); /* 4, 4, 2 */
    assert_int_equal(driver.entries, REGIONS);
    assert_true(driver.flags == 1);
    for (size_t i = 0; i < REGIONS; i++) {
        assert_result(i, kIOReturnSuccess);
    }
    apple_dext_disconnect(port);
}

/* The failing entry is in the second call: the first one's regions go too. */
static void all_or_nothing_over_several_calls(void **state)
{
    io_connect_t port = begin(4);

    (void)state;
    driver.iova = requests[5].iova;
    driver.status = (uint32_t)kIOReturnNoSpace;
    assert_int_equal(register_all(port, 0), kIOReturnNoSpace);
    assert_int_equal(driver.calls, 2);
    for (size_t i = 0; i < REGIONS; i++) {
        assert_result(i, i == 5 ? kIOReturnNoSpace : kIOReturnAborted);
    }
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 4);
    assert_true(fake_call_at(DEXT_SEL_UNREGISTER_DMA_REGION, 3).in[0] == requests[3].iova);
    apple_dext_disconnect(port);
}

static void each_for_itself_goes_on(void **state)
{
    io_connect_t port = begin(4);

    (void)state;
    driver.iova = requests[5].iova;
    driver.status = (uint32_t)kIOReturnStillOpen;
    assert_int_equal(register_all(port, APPLE_DEXT_DMA_EACH), kIOReturnStillOpen);
    for (size_t i = 0; i < REGIONS; i++) {
        assert_result(i, i == 5 ? kIOReturnStillOpen : kIOReturnSuccess);
    }
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 0);
    apple_dext_disconnect(port);
}

static void a_short_segment_is_undone(void **state)
{
    io_connect_t port = begin(256);

    (void)state;
    driver.iova = requests[2].iova;
    driver.is_short = true;
    assert_int_equal(register_all(port, APPLE_DEXT_DMA_EACH), kIOReturnNotAligned);
    assert_result(2, kIOReturnNotAligned);
    assert_result(3, kIOReturnSuccess);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 1);
    assert_true(fake_log_contains("fragmented"));
    assert_int_equal(register_all(port, 0), kIOReturnNotAligned);
    assert_result(3, kIOReturnAborted);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 1 + REGIONS);
    apple_dext_disconnect(port);
}

static void a_short_reply_leaves_no_region(void **state)
{
    io_connect_t port = begin(256);
    uint64_t iovas[] = {1, 2};
    kern_return_t statuses[2] = {0};

    (void)state;
    driver.gives_less = true;
    assert_int_equal(register_all(port, APPLE_DEXT_DMA_EACH), kIOReturnUnderrun);
    assert_result(0, kIOReturnUnderrun);
    assert_result(REGIONS - 1, kIOReturnUnderrun);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), REGIONS);
    assert_int_equal(apple_dext_unregister_dma_batch(port, iovas, 2, statuses), kIOReturnUnderrun);
    assert_int_equal(statuses[1], kIOReturnUnderrun);
    apple_dext_disconnect(port);
}

static void the_real_driver_is_called_for_each(void **state)
{
    io_connect_t port = begin(0);
    const uint64_t iovas[] = {0x10000, 0x20000, 0x30000};

    (void)state;
    fake_script(DEXT_SEL_REGISTER_DMA_REGION,
                (struct fake_reply){.values = {1, 0x80004000, 0x1000}});
    for (int i = 0; i < 2; i++) {
        assert_int_equal(register_all(port, 0), kIOReturnSuccess);
        assert_result(9, kIOReturnSuccess);
        assert_true(results[9].bus_addr == 0x80004000);
        assert_int_equal(apple_dext_unregister_dma_batch(port, iovas, 3, NULL), kIOReturnSuccess);
    }
    assert_int_equal(fake_calls_of(DEXT_SEL_REGISTER_DMA_REGION), 2 * REGIONS);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 6);
    assert_int_equal(fake_calls_of(DEXT_SEL_GET_CAPABILITIES), 1);
    assert_int_equal(fake_calls_of(DEXT_SEL_REGISTER_DMA_REGIONS), 0);
    apple_dext_disconnect(port);
}

/* One says it takes batches, and does not. */
static void a_driver_that_promised_too_much(void **state)
{
    io_connect_t port = begin(4);
    const uint64_t iovas[] = {0x10000, 0x20000, 0x30000};

    (void)state;
    driver.is_unsupported = true;
    fake_script(DEXT_SEL_REGISTER_DMA_REGION,
                (struct fake_reply){.values = {1, 0x80004000, 0x1000}});
    assert_int_equal(apple_dext_unregister_dma_batch(port, iovas, 3, NULL), kIOReturnSuccess);
    assert_int_equal(driver.calls, 1);
    assert_int_equal(register_all(port, 0), kIOReturnSuccess);
    assert_int_equal(driver.calls, 2); /* and not again */
    assert_int_equal(fake_calls_of(DEXT_SEL_REGISTER_DMA_REGION), REGIONS);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 3);
    apple_dext_disconnect(port);
}

static void the_real_driver_all_or_nothing(void **state)
{
    static const struct fake_reply good = {.values = {1, 0x80004000, 0x1000}};
    static const struct fake_reply full = {.status = kIOReturnNoSpace};
    io_connect_t port = begin(0);

    (void)state;
    fake_script(DEXT_SEL_REGISTER_DMA_REGION, good);
    fake_script(DEXT_SEL_REGISTER_DMA_REGION, good);
    fake_script(DEXT_SEL_REGISTER_DMA_REGION, full);
    fake_script(DEXT_SEL_REGISTER_DMA_REGION, good);
    assert_int_equal(register_all(port, 0), kIOReturnNoSpace);
    assert_int_equal(fake_calls_of(DEXT_SEL_REGISTER_DMA_REGION), 3);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 2);
    for (size_t i = 0; i < REGIONS; i++) {
        assert_result(i, i == 2 ? kIOReturnNoSpace : kIOReturnAborted);
    }
    /* The real driver looks at no wrap-around: bad entries never reach it. */
    requests[4].iova = UINT64_MAX;
    requests[6].size = 0;
    assert_int_equal(register_all(port, APPLE_DEXT_DMA_EACH), kIOReturnBadArgument);
    assert_result(4, kIOReturnBadArgument);
    assert_result(5, kIOReturnSuccess);
    assert_result(6, kIOReturnBadArgument);
    assert_int_equal(fake_calls_of(DEXT_SEL_REGISTER_DMA_REGION), 3 + REGIONS - 2);
    apple_dext_disconnect(port);
}

static void a_call_that_fails_is_every_entrys_failure(void **state)
{
    io_connect_t port = begin(256);
    const uint64_t iovas[] = {1, 2};
    kern_return_t statuses[2];

    (void)state;
    fake.structure_fn = NULL;
    fake_script_status(DEXT_SEL_REGISTER_DMA_REGIONS, kIOReturnNotOpen);
    fake_script_status(DEXT_SEL_UNREGISTER_DMA_REGIONS, kIOReturnNotOpen);
    assert_int_equal(register_all(port, APPLE_DEXT_DMA_EACH), kIOReturnNotOpen);
    assert_result(0, kIOReturnNotOpen);
    assert_result(REGIONS - 1, kIOReturnNotOpen);
    assert_int_equal(apple_dext_unregister_dma_batch(port, iovas, 2, statuses), kIOReturnNotOpen);
    assert_true(statuses[0] == kIOReturnNotOpen && statuses[1] == kIOReturnNotOpen);
    assert_int_equal(fake_calls_of(DEXT_SEL_REGISTER_DMA_REGION), 0);
    apple_dext_disconnect(port);

    port = fake_connect(true);
    fake_unscript(DEXT_SEL_GET_CAPABILITIES);
    fake_script_status(DEXT_SEL_GET_CAPABILITIES, MIG_SERVER_DIED);
    assert_int_equal(register_all(port, 0), MIG_SERVER_DIED);
    assert_result(0, MIG_SERVER_DIED);
    apple_dext_disconnect(port);
}

/* What the scripted driver says of the segments of a region of 0x3000 bytes. */
static const struct {
    uint64_t count;
    struct dext_bus_segment segments[3];
    size_t bytes; /* of the reply */
    kern_return_t status;
} segment_replies[] = {
    {3, {{0x80000000, 0x1000}, {0x90000000, 0x1000}, {0xa0000000, 0x1000}}, 48, 0},
    {1, {{0x80000000, 0x3000}}, 16, 0},
    {2, {{0x80000000, 0x1000}, {0x90000000, 0x1000}}, 32, kIOReturnUnderrun},
    {2, {{0x80000000, 0x3000}, {0x90000000, 0x1000}}, 32, kIOReturnUnderrun},
    {2, {{0x80000000, UINT64_MAX}, {0x90000000, 0x3001}}, 32, kIOReturnUnderrun},
    {0, {{0}}, 0, kIOReturnUnderrun},
    {2, {{0x80000000, 0x3000}}, 16, kIOReturnUnderrun},
    {4, {{0x80000000, 0x1000}, {0x90000000, 0x1000}, {0xa0000000, 0x1000}}, 48, kIOReturnUnderrun},
    {UINT64_MAX, {{0x80000000, 0x3000}}, 48, kIOReturnUnderrun},
};
static size_t segment_reply;

static kern_return_t answer_segments(uint32_t selector, const uint64_t *in, const void *struct_in,
                                     size_t struct_in_bytes, uint64_t *out, void *struct_out,
                                     size_t *struct_bytes)
{
    assert_int_equal(selector, DEXT_SEL_REGISTER_DMA_SEGMENTS);
    assert_true(in[0] == 0x10000 && in[1] == 0x7000 && in[2] == 0x3000);
    assert_true(struct_in == NULL && struct_in_bytes == 0 && *struct_bytes == 48);
    out[0] = segment_replies[segment_reply].count;
    *struct_bytes = segment_replies[segment_reply].bytes;
    memcpy(struct_out, segment_replies[segment_reply].segments, *struct_bytes);
    return kIOReturnSuccess;
}

static void segments_are_checked(void **state)
{
    io_connect_t port = begin(0);
    unsigned undone = 0;

    (void)state;
    fake.structure_fn = answer_segments;
    for (segment_reply = 0; segment_reply < sizeof(segment_replies) / sizeof(segment_replies[0]);
         segment_reply++) {
        AppleDextBusSegment segments[3];
        size_t count = 3;
        kern_return_t want = segment_replies[segment_reply].status;
        assert_int_equal(
            apple_dext_register_dma_segments(port, 0x10000, 0x7000, 0x3000, segments, &count),
            want);
        undone += want != kIOReturnSuccess;
        assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), undone);
        assert_int_equal(count, want ? 3 : segment_replies[segment_reply].count);
        if (want == kIOReturnSuccess) {
            assert_memory_equal(segments, segment_replies[segment_reply].segments,
                                count * sizeof(segments[0]));
        }
    }
    apple_dext_disconnect(port);
}

static void one_segment_of_the_real_driver(void **state)
{
    io_connect_t port = begin(0);
    AppleDextBusSegment segments[3];
    size_t count = 3;

    (void)state;
    fake_script(DEXT_SEL_REGISTER_DMA_REGION,
                (struct fake_reply){.values = {1, 0x80004000, 0x3000}});
    assert_int_equal(
        apple_dext_register_dma_segments(port, 0x10000, 0x7000, 0x3000, segments, &count), 0);
    assert_true(count == 1 && segments[0].bus_addr == 0x80004000 && segments[0].bus_len == 0x3000);
    fake_unscript(DEXT_SEL_REGISTER_DMA_REGION);
    fake_script(DEXT_SEL_REGISTER_DMA_REGION,
                (struct fake_reply){.values = {1, 0x80004000, 0x2000}});
    assert_int_equal(
        apple_dext_register_dma_segments(port, 0x10000, 0x7000, 0x3000, segments, &count),
        kIOReturnNotAligned);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 1);
    fake_script_status(DEXT_SEL_REGISTER_DMA_SEGMENTS, kIOReturnOverrun);
    assert_int_equal(
        apple_dext_register_dma_segments(port, 0x10000, 0x7000, 0x3000, segments, &count),
        kIOReturnOverrun);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 1);
    apple_dext_disconnect(port);
}

static void arguments(void **state)
{
    io_connect_t port = begin(256);
    const uint64_t iova = 1;

    (void)state;
    assert_int_equal(apple_dext_register_dma_batch(port, NULL, 0, 0, NULL), kIOReturnSuccess);
    assert_int_equal(apple_dext_unregister_dma_batch(port, NULL, 0, NULL), kIOReturnSuccess);
    assert_int_equal(driver.calls, 0);
    assert_int_equal(apple_dext_register_dma_batch(port, NULL, 1, 0, results),
                     kIOReturnBadArgument);
    assert_int_equal(apple_dext_register_dma_batch(port, requests, 1, 0, NULL),
                     kIOReturnBadArgument);
    assert_int_equal(apple_dext_register_dma_batch(port, requests, 1, 2, results),
                     kIOReturnBadArgument);
    assert_int_equal(apple_dext_register_dma_batch(0, requests, 1, 0, results),
                     kIOReturnBadArgument);
    assert_int_equal(apple_dext_unregister_dma_batch(port, NULL, 1, NULL), kIOReturnBadArgument);
    assert_int_equal(apple_dext_unregister_dma_batch(0, &iova, 1, NULL), kIOReturnBadArgument);
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(a_batch_is_one_call),
        CLIENT_TEST(long_batches_are_cut),
        CLIENT_TEST(all_or_nothing_over_several_calls),
        CLIENT_TEST(each_for_itself_goes_on),
        CLIENT_TEST(a_short_segment_is_undone),
        CLIENT_TEST(a_short_reply_leaves_no_region),
        CLIENT_TEST(the_real_driver_is_called_for_each),
        CLIENT_TEST(a_driver_that_promised_too_much),
        CLIENT_TEST(the_real_driver_all_or_nothing),
        CLIENT_TEST(a_call_that_fails_is_every_entrys_failure),
        CLIENT_TEST(segments_are_checked),
        CLIENT_TEST(one_segment_of_the_real_driver),
        CLIENT_TEST(arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Unit tests: vectors, masks, reset, telemetry, texts, and the arguments of every function.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <mach/mach.h>
#include <string.h>

#include "client_test.h"

static void one_bit_a_vector(void **state)
{
    const uint64_t mask[4] = {1, UINT64_C(1) << 63, 0, 0xf0};
    io_connect_t port = fake_connect(true);
    uint64_t pending[4] = {9, 9, 9, 9};
    uint32_t vectors = 0;

    (void)state;
    fake_script_value(DEXT_SEL_SETUP_INTERRUPTS, 256);
    assert_int_equal(apple_dext_setup_interrupts(port, &vectors), kIOReturnSuccess);
    assert_int_equal(vectors, 256);
    assert_int_equal(apple_dext_set_irq_mask(port, mask), kIOReturnSuccess);
    assert_memory_equal(fake_call_at(DEXT_SEL_SET_IRQ_MASK, 0).in, mask, sizeof(mask));
    fake_raise(3, UINT64_C(1) << 63); /* vector 255 */
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), kIOReturnSuccess);
    assert_true(pending[0] == 0 && pending[1] == 0 && pending[2] == 0);
    assert_true(pending[3] == UINT64_C(1) << 63);
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), kIOReturnSuccess);
    assert_true(pending[3] == 0);
    apple_dext_disconnect(port);
}

static void more_vectors_than_bits_are_not_believed(void **state)
{
    io_connect_t port = fake_connect(true);
    uint32_t vectors = 0;

    (void)state;
    fake_script_value(DEXT_SEL_SETUP_INTERRUPTS, 2048);
    assert_int_equal(apple_dext_setup_interrupts(port, &vectors), kIOReturnSuccess);
    assert_int_equal(vectors, 256);
    apple_dext_disconnect(port);
}

static void a_reset_waits_for_the_vendor_id(void **state)
{
    io_connect_t port = fake_connect(true);

    (void)state;
    fake_script_value(DEXT_SEL_CONFIG_READ, 0xffffffff);
    fake_script_value(DEXT_SEL_CONFIG_READ, 0xffff0001);
    fake_script_status(DEXT_SEL_CONFIG_READ, kIOReturnNotReady);
    fake_script_value(DEXT_SEL_CONFIG_READ, 0);
    fake_script_value(DEXT_SEL_CONFIG_READ, 0x11e81234);
    assert_int_equal(apple_dext_reset_device(port), kIOReturnSuccess);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 5);
    assert_int_equal(fake_calls_of(DEXT_SEL_RESET_DEVICE), 1);
    apple_dext_disconnect(port);
}

/* On a busy machine the time can be over before it is looked at; the device had it all the same. */
static void a_device_is_asked_once_more_when_its_time_is_over(void **state)
{
    io_connect_t port = fake_connect(true);

    (void)state;
    fake_script(DEXT_SEL_CONFIG_READ, (struct fake_reply){.hangs = true, .values = {0xffffffff}});
    fake_script_value(DEXT_SEL_CONFIG_READ, 0x11e81234);
    assert_int_equal(apple_dext_reset_device(port), kIOReturnSuccess);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 2);
    apple_dext_disconnect(port);
}

/* Field notes F4 to F6: resets that "succeed" on a device that stays away. */
static void a_device_that_stays_away_is_not_responding(void **state)
{
    static const uint64_t answers[] = {0xffffffff, 0xffff0001, 0x00010001};
    io_connect_t port = fake_connect(true);

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        fake_unscript(DEXT_SEL_CONFIG_READ);
        fake_script_value(DEXT_SEL_CONFIG_READ, answers[i]);
        assert_int_equal(apple_dext_reset_device(port), kIOReturnNotResponding);
    }
    fake_unscript(DEXT_SEL_CONFIG_READ);
    fake_script_status(DEXT_SEL_CONFIG_READ, kIOReturnNoDevice);
    assert_int_equal(apple_dext_reset_device(port), kIOReturnNotResponding);
    apple_dext_disconnect(port);
}

static void a_failed_reset_is_not_waited_for(void **state)
{
    io_connect_t port = fake_connect(true);

    (void)state;
    fake_script_status(DEXT_SEL_CONFIG_READ, MACH_SEND_INVALID_DEST);
    assert_int_equal(apple_dext_reset_device(port), MACH_SEND_INVALID_DEST);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 1);
    fake_script_status(DEXT_SEL_RESET_DEVICE, kIOReturnUnsupported);
    assert_int_equal(apple_dext_reset_device(port), kIOReturnUnsupported);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 1);
    apple_dext_disconnect(port);
}

static void drivers_without_extensions_have_known_limits(void **state)
{
    io_connect_t port = fake_connect(true);
    AppleDextCapabilities capabilities;
    AppleDextStatistics statistics;
    AppleDextDeviceState device;

    (void)state;
    assert_int_equal(apple_dext_get_capabilities(port, &capabilities), kIOReturnSuccess);
    assert_true(capabilities.interface_version == 0 && capabilities.features == 0);
    assert_true(capabilities.max_regions == 65536);
    assert_true(capabilities.aperture_bytes == UINT64_C(1610612736));
    assert_true(capabilities.max_batch == 1);
    assert_int_equal(apple_dext_get_statistics(port, &statistics), kIOReturnUnsupported);
    uint64_t counts[APPLE_DEXT_CALL_COUNTS] = {77};
    assert_int_equal(apple_dext_get_call_counts(port, 0, counts), kIOReturnUnsupported);
    assert_true(counts[0] == 77);
    assert_int_equal(apple_dext_get_call_counts(port, 0, NULL), kIOReturnBadArgument);
    assert_int_equal(apple_dext_get_device_state(port, &device), kIOReturnSuccess);
    assert_int_equal(device.presence, APPLE_DEXT_PRESENT);
    memset(fake.config, 0xff, 4);
    assert_int_equal(apple_dext_get_device_state(port, &device), kIOReturnSuccess);
    assert_int_equal(device.presence, APPLE_DEXT_REMOVED);
    apple_dext_disconnect(port);
    port = fake_connect(false);
    assert_int_equal(apple_dext_get_device_state(port, &device), kIOReturnNotOpen);
    apple_dext_disconnect(port);
}

static void extensions_are_used_where_they_are(void **state)
{
    io_connect_t port = fake_connect(false);
    AppleDextCapabilities capabilities;
    AppleDextStatistics statistics;
    AppleDextDeviceState device;

    (void)state;
    fake_script(DEXT_SEL_GET_CAPABILITIES, (struct fake_reply){.values = {1, 3, 7, 8, 9, 10}});
    fake_script(DEXT_SEL_GET_STATISTICS,
                (struct fake_reply){.values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}});
    fake_script(DEXT_SEL_GET_DEVICE_STATE, (struct fake_reply){.values = {2, 5, 4, 16, 0x99, 0}});
    assert_int_equal(apple_dext_get_capabilities(port, &capabilities), kIOReturnSuccess);
    assert_true(capabilities.interface_version == 1 && capabilities.features == 3);
    assert_true(capabilities.max_regions == 7 && capabilities.aperture_bytes == 8);
    assert_true(capabilities.granule_bytes == 9 && capabilities.max_batch == 10);
    assert_int_equal(apple_dext_get_statistics(port, &statistics), kIOReturnSuccess);
    assert_true(statistics.live_regions == 1 && statistics.peak_regions == 2);
    assert_true(statistics.live_bytes == 3 && statistics.peak_bytes == 4);
    assert_true(statistics.calls == 5 && statistics.irqs_raised == 6);
    assert_true(statistics.irqs_delivered == 7 && statistics.irqs_dropped == 8);
    assert_true(statistics.faults == 9 && statistics.claims == 10);
    uint64_t counts[APPLE_DEXT_CALL_COUNTS];
    fake_script(
        DEXT_SEL_GET_CALL_COUNTS,
        (struct fake_reply){.values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}});
    assert_int_equal(apple_dext_get_call_counts(port, 0, counts), kIOReturnSuccess);
    assert_true(counts[0] == 1 && counts[15] == 16);
    assert_int_equal(apple_dext_get_device_state(port, &device), kIOReturnSuccess);
    assert_int_equal(device.presence, APPLE_DEXT_RESETTING);
    assert_true(device.generation == 5 && device.link_speed == 4);
    assert_true(device.link_width == 16 && device.last_fault == 0x99);
    apple_dext_disconnect(port);
}

static void ranges_of_a_bar_are_told(void **state)
{
    AppleDextBarRange ranges[APPLE_DEXT_BAR_RANGES] = {{77, 78}};
    uint32_t count = 79;
    io_connect_t port = fake_connect(true);

    (void)state;
    fake.bars[0] = (struct fake_bar){.values = {0, 0x10000, 0}};
    assert_int_equal(apple_dext_get_bar_ranges(port, 0, ranges, &count), kIOReturnUnsupported);
    fake_script(DEXT_SEL_GET_BAR_RANGES,
                (struct fake_reply){.values = {2, 0x1000, 0x2000, 0x8000, 0x8000}});
    assert_int_equal(apple_dext_get_bar_ranges(port, 1, ranges, &count), kIOReturnNotFound);
    assert_true(count == 79 && ranges[0].offset == 77 && ranges[0].bytes == 78);
    assert_int_equal(apple_dext_get_bar_ranges(port, 0, ranges, &count), kIOReturnSuccess);
    assert_true(count == 2 && ranges[0].offset == 0x1000 && ranges[0].bytes == 0x2000);
    assert_true(ranges[1].offset == 0x8000 && ranges[1].bytes == 0x8000);
    assert_int_equal(apple_dext_get_bar_ranges(port, 6, ranges, &count), kIOReturnBadArgument);
    assert_int_equal(apple_dext_get_bar_ranges(port, 0, NULL, &count), kIOReturnBadArgument);
    assert_int_equal(apple_dext_get_bar_ranges(port, 0, ranges, NULL), kIOReturnBadArgument);
    apple_dext_disconnect(port);
}

static void ranges_that_do_not_fit_are_no_answer(void **state)
{
    static const struct fake_reply replies[] = {
        {.values = {5}},                             /* more than there is room for */
        {.values = {UINT64_MAX}},                    /* and many more */
        {.values = {1, 0, 0}},                       /* nothing */
        {.values = {1, 0, 0x10001}},                 /* past the end */
        {.values = {1, 0x10000, 1}},                 /* behind it */
        {.values = {1, 0x1000, UINT64_MAX - 0xfff}}, /* round the corner */
        {.values = {2, 0x8000, 0x1000, 0, 0x1000}},  /* backwards */
        {.values = {2, 0, 0x2000, 0x1000, 0x1000}},  /* overlapping */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        AppleDextBarRange ranges[APPLE_DEXT_BAR_RANGES];
        uint32_t count = 79;

        fake_reset();
        fake.bars[0] = (struct fake_bar){.values = {0, 0x10000, 0}};
        io_connect_t port = fake_connect(true);
        fake_script(DEXT_SEL_GET_BAR_RANGES, replies[i]);
        assert_int_equal(apple_dext_get_bar_ranges(port, 0, ranges, &count),
                         kIOReturnInternalError);
        assert_int_equal(count, 79);
        apple_dext_disconnect(port);
    }
}

/* Every function once with plausible arguments; returns how many there are. */
enum { FUNCTIONS = 23 };

static uint64_t outputs[16];

static kern_return_t call_function(unsigned index, io_connect_t port)
{
    mach_vm_address_t *address = (mach_vm_address_t *)&outputs[0];
    mach_vm_size_t *size = (mach_vm_size_t *)&outputs[1];
    uint8_t *byte = (uint8_t *)&outputs[2], *other_byte = (uint8_t *)&outputs[3];
    uint64_t *word = &outputs[4], *other_word = &outputs[5];
    static AppleDextInstance instance;
    static AppleDextCapabilities capabilities;
    static AppleDextStatistics statistics;
    static AppleDextDeviceState device;
    AppleDextBarRange *ranges = (AppleDextBarRange *)&outputs[6];

    switch (index) {
    case 0:
        return apple_dext_config_read(port, 0, 4, word);
    case 1:
        return apple_dext_get_bar_info(port, 0, byte, word, other_byte);
    case 2:
        return apple_dext_mmio_read(port, 0, 0, 4, word);
    case 3:
        return apple_dext_register_dma(port, 0, 0x1000, 0x1000, word, other_word);
    case 4:
        return apple_dext_probe_dma(port, 0, 0, word);
    case 5:
        return apple_dext_setup_interrupts(port, (uint32_t *)word);
    case 6:
        return apple_dext_read_pending_irqs(port, word);
    case 7:
        return apple_dext_map_bar(port, 0, address, size, byte);
    case 8:
        return apple_dext_allocate_dma_buffer(port, 1, 0, word, other_word, address, size);
    case 9:
        return apple_dext_get_statistics(port, &statistics);
    case 10:
        return apple_dext_get_capabilities(port, &capabilities);
    case 11:
        return apple_dext_get_device_state(port, &device);
    case 12:
        return apple_dext_get_bar_ranges(port, 0, ranges, (uint32_t *)word);
    case 13:
        return apple_dext_config_read_block(port, 0, outputs, 8);
    case 14:
        return apple_dext_get_identity(port, &instance);
    case 15:
        return apple_dext_claim(port);
    case 16:
        return apple_dext_unregister_dma(port, 0);
    case 17:
        return apple_dext_config_write(port, 0, 4, 0);
    case 18:
        return apple_dext_mmio_write(port, 0, 0, 4, 0);
    case 19:
        return apple_dext_set_irq_mask(port, outputs);
    case 20:
        return apple_dext_reset_device(port);
    case 21:
        return apple_dext_terminate(port);
    default:
        return apple_dext_free_dma_buffer(port, 0);
    }
}

static void handler(void *opaque)
{
    (void)opaque;
}

static void a_null_connection_is_a_bad_argument(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        assert_int_equal(call_function(i, IO_OBJECT_NULL), kIOReturnBadArgument);
    }
    assert_int_equal(apple_dext_unmap_bar(IO_OBJECT_NULL, 0, 0), kIOReturnBadArgument);
    assert_null(apple_dext_interrupt_notify_create(IO_OBJECT_NULL, handler, NULL));
    assert_int_equal(apple_dext_interrupt_notify_rearm(NULL), kIOReturnBadArgument);
    apple_dext_interrupt_notify_destroy(NULL);
    apple_dext_disconnect(IO_OBJECT_NULL);
    apple_dext_free_list(NULL);
    assert_int_equal(fake.call_count, 0);
}

static void a_short_reply_is_never_success(void **state)
{
    static const enum dext_selector selectors[] = {
        DEXT_SEL_CONFIG_READ,         DEXT_SEL_GET_BAR_INFO,     DEXT_SEL_MMIO_READ,
        DEXT_SEL_REGISTER_DMA_REGION, DEXT_SEL_PROBE_DMA_REGION, DEXT_SEL_SETUP_INTERRUPTS,
        DEXT_SEL_CHECK_INTERRUPT,     DEXT_SEL_GET_BAR_INFO,     DEXT_SEL_ALLOCATE_DMA_BUFFER,
        DEXT_SEL_GET_STATISTICS,      DEXT_SEL_GET_CAPABILITIES, DEXT_SEL_GET_DEVICE_STATE,
        DEXT_SEL_GET_BAR_RANGES};
    static const uint32_t promised[] = {1, 3, 1, 3, 1, 1, 4, 3, 6, 10, 6, 6, 9};
    uint64_t before[16];

    (void)state;
    for (unsigned i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
        for (uint32_t count = 0; count < promised[i]; count++) {
            fake_reset();
            fake.bars[0] = (struct fake_bar){.values = {0, 0x1000, 0}};
            io_connect_t port = fake_connect(true);
            struct fake_reply reply = {.is_short = true, .count = count};
            memset(reply.values, 0x11, sizeof(reply.values));
            fake_script(selectors[i], reply);
            memset(outputs, 0xa5, sizeof(outputs));
            memcpy(before, outputs, sizeof(outputs));
            assert_int_equal(call_function(i, port), kIOReturnUnderrun);
            assert_memory_equal(outputs, before, sizeof(outputs));
            apple_dext_disconnect(port);
            fake_check_balance();
        }
    }
}

static void null_outputs_are_bad_arguments(void **state)
{
    io_connect_t port = fake_connect(true);
    uint8_t byte;
    uint64_t word;
    mach_vm_address_t address;
    mach_vm_size_t size;
    AppleDextInstance *list;
    size_t count;
    const kern_return_t codes[] = {
        apple_dext_config_read(port, 0, 4, NULL),
        apple_dext_config_read_block(port, 0, NULL, 4),
        apple_dext_map_bar(port, 0, NULL, &size, &byte),
        apple_dext_map_bar(port, 0, &address, NULL, &byte),
        apple_dext_mmio_read(port, 0, 0, 4, NULL),
        apple_dext_probe_dma(port, 0, 0, NULL),
        apple_dext_set_irq_mask(port, NULL),
        apple_dext_read_pending_irqs(port, NULL),
        apple_dext_get_identity(port, NULL),
        apple_dext_get_capabilities(port, NULL),
        apple_dext_get_statistics(port, NULL),
        apple_dext_get_device_state(port, NULL),
        apple_dext_allocate_dma_buffer(port, 1, 0, NULL, &word, &address, &size),
        apple_dext_allocate_dma_buffer(port, 1, 0, &word, NULL, &address, &size),
        apple_dext_allocate_dma_buffer(port, 1, 0, &word, &word, NULL, &size),
        apple_dext_allocate_dma_buffer(port, 1, 0, &word, &word, &address, NULL),
        apple_dext_list(NULL, &count),
        apple_dext_list(&list, NULL),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_int_equal(codes[i], kIOReturnBadArgument);
    }
    assert_null(apple_dext_interrupt_notify_create(port, NULL, NULL));
    assert_int_equal(fake.call_count, 1); /* the claim */
    apple_dext_disconnect(port);
}

static void every_code_of_the_field_has_a_text(void **state)
{
    static const struct {
        kern_return_t code;
        const char *word;
    } rows[] = {
        {kIOReturnNotPermitted, "entitlement"},
        {kIOReturnNotOpen, "claim"},
        {kIOReturnStillOpen, "iova"},
        {kIOReturnNoSpace, "aperture"},
        {kIOReturnNoResources, "vectors"},
        {kIOReturnNotAligned, "fragmented"},
        {kIOReturnUnsupported, "reset"},
        {kIOReturnNoMemory, "BAR"},
        {kIOReturnNoDevice, "ones"},
        {kIOReturnIPCError, "never started"},
        {kIOReturnExclusiveAccess, "owns"},
        {kIOReturnOverrun, "end"},
        {kIOReturnNotResponding, "reset"},
        {kIOReturnUnderrun, "shorter"},
        {MACH_SEND_INVALID_DEST, "gone"},
        {MIG_SERVER_DIED, "died"},
        {kIOReturnSuccess, "success"},
        {0x12345678, "without a special meaning"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_non_null(strstr(apple_dext_status_text(rows[i].code), rows[i].word));
        assert_null(strchr(apple_dext_status_text(rows[i].code), '\n'));
    }
}

static unsigned errors_seen;

static void count_errors(void *opaque, AppleDextLogLevel level, const char *line)
{
    assert_ptr_equal(opaque, &errors_seen);
    assert_int_equal(level, APPLE_DEXT_LOG_ERROR);
    assert_null(strchr(line, '\n'));
    errors_seen++;
}

static void the_log_goes_where_it_is_sent(void **state)
{
    (void)state;
    apple_dext_set_log_callback(count_errors, &errors_seen, APPLE_DEXT_LOG_ERROR);
    io_connect_t port = fake_connect(true); /* INFO lines: not wanted */
    assert_int_equal(errors_seen, 0);
    assert_int_equal(apple_dext_connect(9, 9, 1), IO_OBJECT_NULL);
    assert_int_equal(errors_seen, 1); /* once, where it was found */
    apple_dext_set_log_callback(NULL, NULL, APPLE_DEXT_LOG_DEBUG);
    assert_int_equal(apple_dext_connect(9, 9, 1), IO_OBJECT_NULL);
    assert_int_equal(errors_seen, 1);
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(one_bit_a_vector),
        CLIENT_TEST(more_vectors_than_bits_are_not_believed),
        CLIENT_TEST(a_reset_waits_for_the_vendor_id),
        CLIENT_TEST(a_device_is_asked_once_more_when_its_time_is_over),
        CLIENT_TEST(a_device_that_stays_away_is_not_responding),
        CLIENT_TEST(a_failed_reset_is_not_waited_for),
        CLIENT_TEST(drivers_without_extensions_have_known_limits),
        CLIENT_TEST(extensions_are_used_where_they_are),
        CLIENT_TEST(ranges_of_a_bar_are_told),
        CLIENT_TEST(ranges_that_do_not_fit_are_no_answer),
        CLIENT_TEST(a_null_connection_is_a_bad_argument),
        CLIENT_TEST(a_short_reply_is_never_success),
        CLIENT_TEST(null_outputs_are_bad_arguments),
        CLIENT_TEST(every_code_of_the_field_has_a_text),
        CLIENT_TEST(the_log_goes_where_it_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

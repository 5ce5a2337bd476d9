/*
 * Unit tests of method calls: which arguments are refused, what a reply may change, and replies
 * that no honest host sends.
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

#include <IOKit/IOKitLib.h>
#include <IOKit/OSMessageNotification.h>
#include <mach/mach.h>

#include "fake_host.h"

/* What the host answers to WIRE_CALL, and what it saw of the request. */
struct script {
    int error;
    int32_t status;
    uint32_t scalars;
    uint64_t bytes;
    size_t cut;  /* of the reply's end */
    size_t more; /* behind it */
    uint32_t flags, scalars_in, scalars_out;
    uint64_t struct_in, struct_out, wake_port, reference[8], input[16];
};

static struct fake_host host;
static struct script script;
static io_connect_t connection;

static int scripted_call(struct fake_host *self, struct wire_message *request,
                         struct wire_message *reply)
{
    struct script *call = self->context;
    wire_get_u32(request);
    call->flags = wire_get_u32(request);
    call->scalars_in = wire_get_u32(request);
    call->scalars_out = wire_get_u32(request);
    call->struct_in = wire_get_u64(request);
    call->struct_out = wire_get_u64(request);
    call->wake_port = wire_get_u64(request);
    memcpy(call->reference, wire_get_bytes(request, sizeof(call->reference)),
           sizeof(call->reference));
    for (uint32_t i = 0; i < call->scalars_in; i++) {
        call->input[i] = wire_get_u64(request);
    }
    assert_non_null(wire_get_bytes(request, call->struct_in));
    assert_true(wire_is_consumed(request));
    reply->header.status = call->status;
    wire_put_u32(reply, call->scalars);
    wire_put_u32(reply, 0);
    wire_put_u64(reply, call->bytes);
    for (uint32_t i = 0; i < call->scalars && i < 64; i++) {
        wire_put_u64(reply, 100 + i);
    }
    size_t sent = call->bytes < 8192 ? call->bytes : 8192;
    memset(wire_put_space(reply, sent), 0x5a, sent);
    memset(wire_put_space(reply, call->more), 0, call->more);
    reply->length -= call->cut;
    return call->error;
}

static int open_connection(void **state)
{
    (void)state;
    memset(&host, 0, sizeof(host));
    memset(&script, 0, sizeof(script));
    host.entry_count = 1;
    host.answer[WIRE_CALL] = scripted_call;
    host.context = &script;
    fake_host_start(&host);
    io_service_t service =
        IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), 0);
    IOObjectRelease(service);
    return 0;
}

static int close_connection(void **state)
{
    (void)state;
    IOServiceClose(connection);
    fake_host_stop(&host);
    return 0;
}

static void too_many_scalars_are_refused_before_anything_is_sent(void **state)
{
    uint64_t input[17] = {0};
    (void)state;
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, input, 17, NULL, NULL),
                     MIG_ARRAY_TOO_LARGE);
    uint64_t reference[9] = {0};
    assert_int_equal(
        IOConnectCallAsyncScalarMethod(connection, 0, 1, reference, 9, NULL, 0, NULL, NULL),
        MIG_ARRAY_TOO_LARGE);
    assert_int_equal(host.seen[WIRE_CALL], 0);
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, input, 16, NULL, NULL), 0);
    assert_int_equal(script.scalars_in, 16);
}

static void null_arguments_with_a_count_are_refused(void **state)
{
    uint32_t count = 1;
    uint64_t output = 7;
    size_t bytes = 8;
    (void)state;
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 1, NULL, NULL),
                     kIOReturnBadArgument);
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, &count),
                     kIOReturnBadArgument);
    assert_int_equal(IOConnectCallStructMethod(connection, 0, NULL, 8, NULL, NULL),
                     kIOReturnBadArgument);
    assert_int_equal(IOConnectCallStructMethod(connection, 0, NULL, 0, NULL, &bytes),
                     kIOReturnBadArgument);
    assert_int_equal(IOConnectCallAsyncScalarMethod(connection, 0, 1, NULL, 3, NULL, 0, NULL, NULL),
                     kIOReturnBadArgument);
    assert_int_equal(
        IOConnectCallAsyncScalarMethod(connection, 0, 1, &output, 0, NULL, 0, NULL, NULL),
        kIOReturnBadArgument);
    bytes = (size_t)-3;
    assert_int_equal(IOConnectCallStructMethod(connection, 0, NULL, 0, &output, &bytes),
                     kIOReturnUnsupported);
    assert_int_equal(bytes, (size_t)-3);
    assert_int_equal(host.seen[WIRE_CALL], 0);
}

static void structures_end_at_the_limit_of_a_frame(void **state)
{
    void *big = calloc(1, WIRE_MAX_STRUCT + 1);
    size_t bytes = (size_t)WIRE_MAX_STRUCT + 1;
    (void)state;
    assert_int_equal(IOConnectCallStructMethod(connection, 0, big, bytes, NULL, NULL),
                     kIOReturnIPCError);
    assert_int_equal(IOConnectCallStructMethod(connection, 0, NULL, 0, big, &bytes),
                     kIOReturnIPCError);
    assert_int_equal(host.seen[WIRE_CALL], 0);
    assert_int_equal(IOConnectCallStructMethod(connection, 0, big, WIRE_MAX_STRUCT, NULL, NULL), 0);
    assert_int_equal(script.struct_in, WIRE_MAX_STRUCT);
    free(big);
}

static void capacity_is_clipped_to_sixteen(void **state)
{
    uint64_t output[20] = {0};
    uint32_t count = 20;
    (void)state;
    script.scalars = 3;
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, output, &count), 0);
    assert_int_equal(script.scalars_out, 16);
    assert_int_equal(count, 3);
    assert_int_equal(output[2], 102);
    assert_int_equal(output[3], 0);
}

static void a_failure_changes_nothing(void **state)
{
    uint64_t output[2] = {7, 8};
    uint32_t count = 2;
    uint8_t structure[8] = {9};
    size_t bytes = sizeof(structure);
    (void)state;
    script.scalars = 2;
    script.bytes = 8;
    script.status = kIOReturnNotReady;
    assert_int_equal(
        IOConnectCallMethod(connection, 0, NULL, 0, NULL, 0, output, &count, structure, &bytes),
        kIOReturnNotReady);
    assert_int_equal(count, 2);
    assert_int_equal(bytes, 8);
    assert_int_equal(output[0], 7);
    assert_int_equal(structure[0], 9);
}

static void more_scalars_than_room_fill_the_room_and_say_so(void **state)
{
    uint64_t output[3] = {0, 0, 55};
    uint32_t count = 2;
    (void)state;
    script.scalars = 5;
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, output, &count),
                     MIG_ARRAY_TOO_LARGE);
    assert_int_equal(count, 5);
    assert_int_equal(output[0], 100);
    assert_int_equal(output[1], 101);
    assert_int_equal(output[2], 55);
}

static void a_structure_longer_than_room_changes_nothing(void **state)
{
    uint64_t output = 7;
    uint32_t count = 1;
    uint8_t structure[16] = {9};
    size_t bytes = 8;
    (void)state;
    script.scalars = 1;
    script.bytes = 9;
    assert_int_equal(
        IOConnectCallMethod(connection, 0, NULL, 0, NULL, 0, &output, &count, structure, &bytes),
        kIOReturnBadArgument);
    assert_int_equal(output, 7);
    assert_int_equal(bytes, 8);
    assert_int_equal(structure[0], 9);
}

static void only_structures_within_4096_bytes_report_their_length(void **state)
{
    uint8_t structure[4097] = {0};
    size_t bytes = 4096;
    (void)state;
    script.bytes = 10;
    assert_int_equal(IOConnectCallStructMethod(connection, 0, NULL, 0, structure, &bytes), 0);
    assert_int_equal(bytes, 10);
    bytes = 4097;
    memset(structure, 0, sizeof(structure));
    assert_int_equal(IOConnectCallStructMethod(connection, 0, NULL, 0, structure, &bytes), 0);
    assert_int_equal(bytes, 4097);
    assert_int_equal(structure[9], 0x5a);
    assert_int_equal(structure[10], 0);
}

static void references_travel_and_an_absent_port_makes_a_plain_call(void **state)
{
    uint64_t reference[kIOAsyncCalloutCount] = {1, 2, 3};
    (void)state;
    assert_int_equal(
        IOConnectCallAsyncScalarMethod(connection, 0, 77, reference, 3, NULL, 0, NULL, NULL), 0);
    assert_int_equal(script.flags, WIRE_CALL_ASYNC);
    assert_int_equal(script.wake_port, 77);
    assert_int_equal(script.reference[2], 3);
    assert_int_equal(script.reference[3], 0);
    assert_int_equal(IOConnectCallAsyncScalarMethod(connection, 0, MACH_PORT_NULL, reference, 3,
                                                    NULL, 0, NULL, NULL),
                     0);
    assert_int_equal(script.flags, 0);
}

static void a_reply_that_lies_about_itself_is_an_ipc_error(void **state)
{
    static const struct script lies[] = {
        {.scalars = 2, .cut = 1},
        {.scalars = 2, .bytes = 8, .cut = 9},
        {.scalars = 2, .more = 1},
        {.scalars = 17},
        {.scalars = UINT32_MAX},
        {.scalars = 1, .bytes = UINT64_MAX},
        {.scalars = 1, .bytes = 8193},
        {.scalars = 1, .bytes = WIRE_MAX_STRUCT + UINT64_C(1)},
        {.cut = 16},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint64_t output[2] = {7, 8};
        uint32_t count = 2;
        uint8_t structure[8] = {9};
        size_t bytes = sizeof(structure);
        script = lies[i];
        assert_int_equal(
            IOConnectCallMethod(connection, 0, NULL, 0, NULL, 0, output, &count, structure, &bytes),
            kIOReturnIPCError);
        assert_int_equal(count, 2);
        assert_int_equal(bytes, 8);
        assert_int_equal(output[0], 7);
        assert_int_equal(structure[0], 9);
    }
}

static void what_the_channel_says_is_told_apart(void **state)
{
    static const struct {
        int error;
        kern_return_t status;
    } rows[] = {
        {-ENOTCONN, MACH_SEND_INVALID_DEST},
        {-ECONNRESET, MIG_SERVER_DIED},
        {-ENOMEM, kIOReturnNoMemory},
        {-EBADMSG, kIOReturnIPCError},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script.error = rows[i].error;
        assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL),
                         rows[i].status);
    }
}

static void a_huge_call_does_not_keep_its_buffer(void **state)
{
    void *big = calloc(1, WIRE_MAX_STRUCT);
    (void)state;
    /* The next calls find the thread's buffers small or empty, and work. */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(IOConnectCallStructMethod(connection, 0, big, WIRE_MAX_STRUCT, NULL, NULL),
                         0);
        assert_int_equal(IOConnectCallStructMethod(connection, 0, big, 8, NULL, NULL), 0);
        assert_int_equal(script.struct_in, 8);
    }
    free(big);
}

/* What a host says of a call whose structures it fetches, and what it saw of it. */
static struct {
    int32_t status;
    uint16_t count;
    unsigned seen;
    struct wire_words request;
} fetched;

static int fetching_call(struct fake_host *self, struct wire_words *words)
{
    (void)self;
    if (words->type != WIRE_CALL_AT) {
        return -EAGAIN;
    }
    fetched.seen++;
    fetched.request = *words;
    const uint64_t bytes = words->words[2] >> WIRE_CALL_AT_ROOM_SHIFT;
    memset((void *)(uintptr_t)words->words[3], 0x3c, bytes);
    words->status = fetched.status;
    words->count = fetched.count;
    words->words[0] = bytes;
    words->words[1] = 77;
    return 0;
}

static void structures_may_be_fetched_and_stored_by_the_host(void **state)
{
    const char in[24] = {1};
    const uint64_t input[] = {5, 6};
    char out[16] = {0};
    uint64_t output = 0;
    uint32_t count = 1;
    size_t bytes = sizeof(out);
    (void)state;
    memset(&fetched, 0, sizeof(fetched));
    fetched.count = 2;
    host.small = fetching_call;
    assert_int_equal(
        IOConnectCallMethod(connection, 9, input, 2, in, sizeof(in), &output, &count, out, &bytes),
        0);
    assert_int_equal(host.seen[WIRE_CALL], 0);
    assert_int_equal(fetched.request.count, WIRE_CALL_AT_WORDS + 2);
    assert_int_equal(fetched.request.words[0], wire_call_word(9, 2, 1));
    assert_int_equal(fetched.request.words[1], (uintptr_t)in);
    assert_int_equal(fetched.request.words[2], sizeof(in) | sizeof(out) << 32);
    assert_int_equal(fetched.request.words[WIRE_CALL_AT_WORDS + 1], 6);
    assert_int_equal(output, 77);
    assert_int_equal(bytes, sizeof(out));
    assert_int_equal(out[15], 0x3c);
}

static void what_the_host_refuses_to_fetch_goes_by_frame_from_then_on(void **state)
{
    char out[16] = {0};
    size_t bytes = sizeof(out);
    (void)state;
    memset(&fetched, 0, sizeof(fetched));
    fetched.status = kIOReturnIPCError;
    host.small = fetching_call;
    script.bytes = 3;
    for (unsigned i = 1; i <= 3; i++) {
        bytes = sizeof(out);
        assert_int_equal(IOConnectCallStructMethod(connection, 9, NULL, 0, out, &bytes), 0);
        assert_int_equal(host.seen[WIRE_CALL], i);
        assert_int_equal(fetched.seen, 1);
        assert_int_equal(bytes, 3);
        assert_int_equal(out[2], 0x5a);
    }
}

static void what_was_fetched_and_refused_is_not_called_again(void **state)
{
    char out[16] = {0};
    size_t bytes = sizeof(out);
    (void)state;
    memset(&fetched, 0, sizeof(fetched));
    fetched.status = kIOReturnIPCError;
    fetched.count = 1;
    host.small = fetching_call;
    assert_int_equal(IOConnectCallStructMethod(connection, 9, NULL, 0, out, &bytes),
                     kIOReturnIPCError);
    fetched.status = 0;
    fetched.count = 0; /* success, without the length that it must come with */
    assert_int_equal(IOConnectCallStructMethod(connection, 9, NULL, 0, out, &bytes),
                     kIOReturnIPCError);
    assert_int_equal(host.seen[WIRE_CALL], 0);
    assert_int_equal(fetched.seen, 2);
    assert_int_equal(out[0], 0); /* what the host stored stays out of sight */
}

static void other_handles_are_no_connections(void **state)
{
    io_service_t service =
        IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
    (void)state;
    assert_int_equal(IOConnectCallScalarMethod(service, 0, NULL, 0, NULL, NULL),
                     kIOReturnBadArgument);
    assert_int_equal(IOServiceClose(service), kIOReturnBadArgument);
    IOObjectRelease(service);
    assert_int_equal(IOConnectCallScalarMethod(service, 0, NULL, 0, NULL, NULL),
                     MACH_SEND_INVALID_DEST);
    assert_int_equal(IOConnectCallScalarMethod(0, 0, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
    assert_int_equal(IOServiceClose(0), MACH_SEND_INVALID_DEST);
    io_service_t none = 7;
    assert_int_equal(IOConnectGetService(connection, &none), kIOReturnUnsupported);
    assert_int_equal(none, 0);
    assert_int_equal(IOConnectSetNotificationPort(connection, 0, 0, 0), kIOReturnUnsupported);
}

static void close_is_final_though_references_are_left(void **state)
{
    (void)state;
    assert_int_equal(IOConnectAddRef(connection), 0);
    assert_int_equal(IOServiceClose(connection), 0);
    assert_int_equal(host.seen[WIRE_CLOSE], 1);
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL),
                     MACH_SEND_INVALID_DEST);
    io_service_t none;
    assert_int_equal(IOConnectGetService(connection, &none), MACH_SEND_INVALID_DEST);
    assert_int_equal(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
    assert_int_equal(host.seen[WIRE_CLOSE], 1);
    assert_int_equal(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
}

static void the_last_reference_closes(void **state)
{
    (void)state;
    assert_int_equal(IOObjectRelease(connection), 0);
    assert_int_equal(host.seen[WIRE_CLOSE], 1);
    assert_int_equal(IOObjectRelease(connection), KERN_INVALID_NAME);
}

#define CALL_TEST(name) cmocka_unit_test_setup_teardown(name, open_connection, close_connection)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(too_many_scalars_are_refused_before_anything_is_sent),
        CALL_TEST(null_arguments_with_a_count_are_refused),
        CALL_TEST(structures_end_at_the_limit_of_a_frame),
        CALL_TEST(capacity_is_clipped_to_sixteen),
        CALL_TEST(a_failure_changes_nothing),
        CALL_TEST(more_scalars_than_room_fill_the_room_and_say_so),
        CALL_TEST(a_structure_longer_than_room_changes_nothing),
        CALL_TEST(only_structures_within_4096_bytes_report_their_length),
        CALL_TEST(references_travel_and_an_absent_port_makes_a_plain_call),
        CALL_TEST(a_reply_that_lies_about_itself_is_an_ipc_error),
        CALL_TEST(what_the_channel_says_is_told_apart),
        CALL_TEST(a_huge_call_does_not_keep_its_buffer),
        CALL_TEST(structures_may_be_fetched_and_stored_by_the_host),
        CALL_TEST(what_the_host_refuses_to_fetch_goes_by_frame_from_then_on),
        CALL_TEST(what_was_fetched_and_refused_is_not_called_again),
        CALL_TEST(other_handles_are_no_connections),
        CALL_TEST(close_is_final_though_references_are_left),
        CALL_TEST(the_last_reference_closes),
    };
    return cmocka_run_group_tests_name("iokit_call", tests, NULL, NULL);
}

/*
 * Unit tests of payloads: what is put is what is got, limits, and who owns descriptors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/message.h"

static int open_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void put_is_got(void **state)
{
    struct wire_message message;
    char text[8];
    wire_message_init(&message);
    wire_put_u32(&message, 0xfedcba98);
    wire_put_u64(&message, UINT64_MAX);
    wire_put_string(&message, "text");
    wire_put_string(&message, NULL);
    wire_put_bytes(&message, "\0\1", 2);
    assert_int_equal(message.length, 4 + 8 + 4 + 4 + 4 + 2);
    assert_memory_equal(message.payload, "\x98\xba\xdc\xfe\xff\xff\xff\xff", 8);
    assert_int_equal(wire_get_u32(&message), 0xfedcba98);
    assert_true(wire_get_u64(&message) == UINT64_MAX);
    wire_get_string(&message, text, sizeof(text));
    assert_string_equal(text, "text");
    wire_get_string(&message, text, sizeof(text));
    assert_string_equal(text, "");
    assert_false(wire_is_consumed(&message));
    assert_memory_equal(wire_get_bytes(&message, 2), "\0\1", 2);
    assert_true(wire_is_consumed(&message));
    wire_message_destroy(&message);
}

static void no_bytes_are_no_failure(void **state)
{
    struct wire_message message;
    wire_message_init(&message);
    assert_non_null(wire_get_bytes(&message, 0)); /* before there is a buffer */
    assert_non_null(wire_put_space(&message, 0));
    wire_put_bytes(&message, NULL, 0);
    assert_int_equal(message.length, 0);
    assert_true(wire_is_consumed(&message));
    assert_null(wire_get_bytes(&message, 1));
    assert_true(message.is_bad);
    wire_message_destroy(&message);
}

static void reading_past_the_end_gives_nothing(void **state)
{
    struct wire_message message;
    wire_message_init(&message);
    assert_true(wire_is_consumed(&message));
    wire_put_u32(&message, 7);
    assert_true(wire_get_u64(&message) == 0);
    assert_true(message.is_bad);
    assert_int_equal(wire_get_u32(&message), 0); /* bad stays bad */
    assert_null(wire_get_bytes(&message, 0));
    assert_false(wire_is_consumed(&message));
    wire_message_reset(&message, 3);
    assert_false(message.is_bad);
    assert_null(wire_get_bytes(&message, SIZE_MAX));
    assert_true(message.is_bad);
    wire_message_destroy(&message);
}

/* A length that lies, text that does not fit, text with a NUL. */
static void strings_are_checked(void **state)
{
    struct wire_message message;
    char text[5];
    wire_message_init(&message);
    wire_put_u32(&message, UINT32_MAX);
    wire_get_string(&message, text, sizeof(text));
    assert_true(message.is_bad);
    assert_string_equal(text, "");
    wire_message_reset(&message, 0);
    wire_put_string(&message, "four");
    wire_put_string(&message, "fives");
    wire_get_string(&message, text, sizeof(text));
    assert_string_equal(text, "four");
    assert_false(message.is_bad);
    wire_get_string(&message, text, sizeof(text));
    assert_string_equal(text, "");
    assert_true(message.is_bad);
    wire_message_reset(&message, 0);
    wire_put_u32(&message, 3);
    wire_put_bytes(&message, "a\0b", 3);
    wire_get_string(&message, text, sizeof(text));
    assert_true(message.is_bad);
    assert_string_equal(text, "");
    wire_message_destroy(&message);
}

static void payload_has_a_limit(void **state)
{
    struct wire_message message;
    wire_message_init(&message);
    assert_non_null(wire_put_space(&message, WIRE_MAX_PAYLOAD - 4));
    wire_put_u32(&message, 1);
    assert_int_equal(message.length, WIRE_MAX_PAYLOAD);
    assert_false(message.is_bad);
    assert_null(wire_put_space(&message, 1));
    assert_true(message.is_bad);
    assert_int_equal(message.length, WIRE_MAX_PAYLOAD);
    wire_message_reset(&message, 0);
    assert_null(wire_put_space(&message, SIZE_MAX));
    assert_null(wire_put_space(&message, 0)); /* bad stays bad */
    assert_int_equal(message.length, 0);
    wire_message_destroy(&message);
    assert_null(message.payload);
}

static void growth_keeps_what_was_put(void **state)
{
    struct wire_message message;
    wire_message_init(&message);
    for (uint32_t i = 0; i < 10000; i++) {
        wire_put_u32(&message, i);
    }
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(wire_get_u32(&message), i);
    }
    size_t capacity = message.capacity;
    wire_message_reset(&message, 0);
    assert_int_equal(message.capacity, capacity);
    wire_message_destroy(&message);
}

static void answer_repeats_the_request(void **state)
{
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, 17);
    request.header.sequence = 5;
    request.header.call_id = UINT64_MAX;
    request.header.status = 1;
    wire_put_u32(&reply, 1);
    wire_message_answer(&reply, &request);
    assert_int_equal(reply.header.magic, WIRE_MAGIC);
    assert_int_equal(reply.header.type, 17);
    assert_int_equal(reply.header.sequence, 5);
    assert_true(reply.header.call_id == UINT64_MAX);
    assert_int_equal(reply.header.status, 0);
    assert_int_equal(reply.length, 0);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
}

static void descriptors_belong_to_the_message(void **state)
{
    struct wire_message message;
    int fds[WIRE_MAX_FDS + 1];
    wire_message_init(&message);
    for (int i = 0; i < WIRE_MAX_FDS; i++) {
        fds[i] = open_fd();
        wire_put_fd(&message, fds[i]);
    }
    assert_false(message.is_bad);
    fds[WIRE_MAX_FDS] = open_fd();
    wire_put_fd(&message, fds[WIRE_MAX_FDS]); /* one too many */
    assert_true(message.is_bad);
    assert_false(is_open(fds[WIRE_MAX_FDS]));
    assert_int_equal(wire_take_fd(&message, 2), fds[2]);
    assert_int_equal(wire_take_fd(&message, 2), -1);
    assert_int_equal(wire_take_fd(&message, WIRE_MAX_FDS), -1);
    wire_message_reset(&message, 0);
    for (int i = 0; i < WIRE_MAX_FDS; i++) {
        assert_int_equal(is_open(fds[i]), i == 2);
    }
    close(fds[2]);
    int last = open_fd();
    wire_put_fd(&message, last);
    wire_message_destroy(&message);
    assert_false(is_open(last));
}

static void no_descriptor_is_bad(void **state)
{
    struct wire_message message;
    wire_message_init(&message);
    wire_put_fd(&message, -1);
    assert_true(message.is_bad);
    assert_int_equal(message.fd_count, 0);
    wire_message_destroy(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_is_got),
        cmocka_unit_test(no_bytes_are_no_failure),
        cmocka_unit_test(reading_past_the_end_gives_nothing),
        cmocka_unit_test(strings_are_checked),
        cmocka_unit_test(payload_has_a_limit),
        cmocka_unit_test(growth_keeps_what_was_put),
        cmocka_unit_test(answer_repeats_the_request),
        cmocka_unit_test(descriptors_belong_to_the_message),
        cmocka_unit_test(no_descriptor_is_bad),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}

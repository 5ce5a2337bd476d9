/*
 * Unit tests of frames on a stream: pieces, ends, lies, descriptors, and links over them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/link.h"
#include "wire/message.h"

struct stream {
    int ends[2];
    unsigned fds; /* open ones before */
    size_t part;  /* of a reply, before the peer dies */
    struct wire_message out;
    struct wire_message in;
};

static unsigned count_fds(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static int set_up(void **state)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    stream->fds = count_fds();
    wire_message_init(&stream->out);
    wire_message_init(&stream->in);
    *state = stream;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream->ends);
}

static int tear_down(void **state)
{
    struct stream *stream = *state;
    wire_message_destroy(&stream->out);
    wire_message_destroy(&stream->in);
    close(stream->ends[0]);
    close(stream->ends[1]);
    int result = count_fds() == stream->fds ? 0 : -1; /* none kept, whatever happened */
    free(stream);
    return result;
}

static void fill(struct wire_message *message, uint16_t type, size_t length)
{
    wire_message_reset(message, type);
    if (length > 0) {
        memset(wire_put_space(message, length), type, length);
    }
}

static void frames_come_as_they_were_sent(void **state)
{
    struct stream *stream = *state;
    for (uint16_t type = 1; type < 20; type++) {
        fill(&stream->out, type, type * 100 - 100);
        stream->out.header.sequence = type;
        stream->out.header.call_id = UINT64_MAX;
        stream->out.header.status = -type;
        assert_int_equal(wire_send(stream->ends[0], &stream->out), 0);
    }
    for (uint16_t type = 1; type < 20; type++) {
        assert_int_equal(wire_receive(stream->ends[1], &stream->in), 0);
        assert_int_equal(stream->in.header.type, type);
        assert_int_equal(stream->in.header.sequence, type);
        assert_int_equal(stream->in.header.status, -type);
        assert_int_equal(stream->in.length, type * 100 - 100);
        assert_int_equal(stream->in.header.payload_bytes, stream->in.length);
        for (size_t i = 0; i < stream->in.length; i++) {
            assert_int_equal(stream->in.payload[i], type);
        }
    }
}

static void *send_out(void *opaque)
{
    struct stream *stream = opaque;
    return (void *)(intptr_t)wire_send(stream->ends[0], &stream->out);
}

/* Larger than any socket buffer: both ends go on in pieces, a non-blocking sender too. */
static void a_large_frame_is_sent_in_pieces(void **state)
{
    struct stream *stream = *state;
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        pthread_t thread;
        void *result;
        fcntl(stream->ends[0], F_SETFL, flags);
        fill(&stream->out, 9, WIRE_MAX_PAYLOAD);
        assert_int_equal(pthread_create(&thread, NULL, send_out, stream), 0);
        assert_int_equal(wire_receive(stream->ends[1], &stream->in), 0);
        pthread_join(thread, &result);
        assert_int_equal((intptr_t)result, 0);
        assert_int_equal(stream->in.length, WIRE_MAX_PAYLOAD);
        assert_int_equal(stream->in.payload[WIRE_MAX_PAYLOAD - 1], 9);
    }
}

static void a_full_stream_takes_nothing_or_all(void **state)
{
    struct stream *stream = *state;
    unsigned sent = 0;
    int error;
    fcntl(stream->ends[0], F_SETFL, O_NONBLOCK);
    fill(&stream->out, 5, 200);
    while ((error = wire_send(stream->ends[0], &stream->out)) == 0) {
        sent++;
    }
    assert_int_equal(error, -EAGAIN);
    assert_true(sent > 10);
    for (unsigned i = 0; i < sent; i++) {
        assert_int_equal(wire_receive(stream->ends[1], &stream->in), 0);
    }
    assert_int_equal(wire_send(stream->ends[0], &stream->out), 0);
    assert_int_equal(wire_receive(stream->ends[1], &stream->in), 0);
    assert_int_equal(stream->in.length, 200);
}

static void descriptors_travel(void **state)
{
    struct stream *stream = *state;
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    fill(&stream->out, 1, 10);
    wire_put_fd(&stream->out, ends[1]);
    assert_int_equal(wire_send(stream->ends[0], &stream->out), 0);
    wire_message_reset(&stream->out, 0);
    assert_int_equal(wire_receive(stream->ends[1], &stream->in), 0);
    assert_int_equal(stream->in.fd_count, 1);
    int fd = wire_take_fd(&stream->in, 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(fd);
    close(ends[0]);
}

/* Raw bytes, with descriptors of this process (which keeps its own). */
static void send_raw(int socket_fd, const void *bytes, size_t length, unsigned fd_count)
{
    char control[CMSG_SPACE(sizeof(int) * 16)] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        *cmsg = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * fd_count),
                                 .cmsg_level = SOL_SOCKET,
                                 .cmsg_type = SCM_RIGHTS};
        for (unsigned i = 0; i < fd_count; i++) {
            memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
        }
    }
    assert_int_equal(sendmsg(socket_fd, &header, 0), length);
}

static const struct wire_header good = {.magic = WIRE_MAGIC, .type = 1, .payload_bytes = 4};

static void check_bad(struct stream *stream, struct wire_header header, unsigned fd_count)
{
    int ends[2];
    uint8_t frame[sizeof(header) + 4] = {0};
    memcpy(frame, &header, sizeof(header));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    send_raw(ends[0], frame, sizeof(frame), fd_count);
    assert_int_equal(wire_receive(ends[1], &stream->in), -EBADMSG);
    assert_int_equal(stream->in.fd_count, 0);
    assert_int_equal(stream->in.length, 0);
    close(ends[0]);
    close(ends[1]);
}

static void headers_that_lie(void **state)
{
    struct wire_header header = good;
    header.magic++;
    check_bad(*state, header, 0);
    header = good;
    header.payload_bytes = WIRE_MAX_PAYLOAD + 1;
    check_bad(*state, header, 0);
    header.payload_bytes = UINT32_MAX;
    check_bad(*state, header, 0);
    header = good;
    header.fd_count = 1;
    check_bad(*state, header, 0);
    check_bad(*state, header, 2);
    header.fd_count = WIRE_MAX_FDS + 1;
    check_bad(*state, header, 8);
    check_bad(*state, header, 9);
    header.fd_count = UINT16_MAX;
    check_bad(*state, header, 1);
    check_bad(*state, good, 1);
    check_bad(*state, good, 16);
}

static void every_end_of_a_stream(void **state)
{
    struct stream *stream = *state;
    uint8_t frame[sizeof(good) + 4] = {0};
    memcpy(frame, &good, sizeof(good));
    for (size_t length = 0; length <= sizeof(frame); length++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        for (size_t i = 0; i < length; i++) {
            send_raw(ends[0], frame + i, 1, 0);
        }
        close(ends[0]);
        int error = wire_receive(ends[1], &stream->in);
        assert_int_equal(error, length == 0 ? -ECONNRESET : length < sizeof(frame) ? -EBADMSG : 0);
        assert_int_equal(wire_receive(ends[1], &stream->in), -ECONNRESET);
        close(ends[1]);
    }
}

static void the_guard_cuts_a_wait_short(void **state)
{
    struct stream *stream = *state;
    int guard[2];
    assert_int_equal(pipe(guard), 0);
    fcntl(stream->ends[1], F_SETFL, O_NONBLOCK);
    fill(&stream->out, 1, 100);
    assert_int_equal(wire_send(stream->ends[0], &stream->out), 0);
    assert_int_equal(wire_receive_guarded(stream->ends[1], guard[0], &stream->in), 0);
    send_raw(stream->ends[0], &good, 20, 1);
    assert_int_equal(write(guard[1], "x", 1), 1);
    assert_int_equal(wire_receive_guarded(stream->ends[1], guard[0], &stream->in), -ECANCELED);
    assert_int_equal(stream->in.fd_count, 0);
    close(guard[0]);
    close(guard[1]);
}

/* Whatever has come or gone by then: nothing, a part of a frame, a socket full of them. */
static void a_deadline_ends_a_wait(void **state)
{
    const uint64_t patience = 50000000;
    struct stream *stream = *state;
    fcntl(stream->ends[0], F_SETFL, O_NONBLOCK);
    fcntl(stream->ends[1], F_SETFL, O_NONBLOCK);
    fill(&stream->out, 3, 1000);
    uint64_t begin = wire_now_ns();
    assert_int_equal(wire_send_until(stream->ends[0], begin + patience, &stream->out), 0);
    assert_int_equal(wire_receive_until(stream->ends[1], begin + patience, &stream->in), 0);
    assert_int_equal(stream->in.length, 1000);
    /* In the past there is still what is there already. */
    assert_int_equal(wire_send_until(stream->ends[0], 1, &stream->out), 0);
    assert_int_equal(wire_receive_until(stream->ends[1], 1, &stream->in), 0);
    for (int has_part = 0; has_part <= 1; has_part++) {
        begin = wire_now_ns();
        if (has_part) {
            send_raw(stream->ends[0], &good, 20, 1);
        }
        assert_int_equal(wire_receive_until(stream->ends[1], begin + patience, &stream->in),
                         -ETIMEDOUT);
        assert_true(wire_now_ns() - begin >= patience);
        assert_int_equal(stream->in.fd_count, 0);
    }
    fill(&stream->out, 3, WIRE_MAX_PAYLOAD);
    begin = wire_now_ns();
    assert_int_equal(wire_send_until(stream->ends[0], begin + patience, &stream->out), -ETIMEDOUT);
    assert_true(wire_now_ns() - begin >= patience);
    /* Full, it does not even begin. */
    begin = wire_now_ns();
    assert_int_equal(wire_send_until(stream->ends[0], begin + patience, &stream->out), -ETIMEDOUT);
    assert_true(wire_now_ns() - begin >= patience);
}

static void a_bad_message_is_not_sent(void **state)
{
    struct stream *stream = *state;
    wire_put_space(&stream->out, SIZE_MAX);
    assert_int_equal(wire_send(stream->ends[0], &stream->out), -EBADMSG);
    wire_message_reset(&stream->out, 0);
    close(stream->ends[1]);
    assert_int_equal(wire_send(stream->ends[0], &stream->out), -EPIPE);
    stream->ends[1] = dup(stream->ends[0]);
}

/* The other end of a link: repeats requests, wrongly where it is told to by their type. */
static void *serve(void *opaque)
{
    int fd = *(int *)opaque;
    struct wire_message message;
    wire_message_init(&message);
    while (wire_receive(fd, &message) == 0) {
        message.header.sequence += message.header.type == 2;
        if (wire_send(fd, &message)) {
            break;
        }
    }
    wire_message_destroy(&message);
    close(fd);
    return NULL;
}

struct calls {
    struct wire_link *link;
    unsigned wrong;
};

static void *call_often(void *opaque)
{
    struct calls *calls = opaque;
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t number = (uintptr_t)calls + i;
        wire_message_reset(&request, 1);
        wire_put_u64(&request, number);
        calls->wrong += calls->link->ops->call(calls->link, &request, &reply) != 0 ||
                        wire_get_u64(&reply) != number;
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return NULL;
}

static void a_link_keeps_calls_of_threads_apart(void **state)
{
    struct stream *stream = *state;
    pthread_t server;
    pthread_t threads[4];
    struct calls calls[4];
    int fd = dup(stream->ends[1]);
    struct wire_link *link = wire_link_from_socket(dup(stream->ends[0]));
    assert_non_null(link);
    assert_int_equal(pthread_create(&server, NULL, serve, &fd), 0);
    for (int i = 0; i < 4; i++) {
        calls[i] = (struct calls){.link = link};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &calls[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(calls[i].wrong, 0);
    }
    /* After a reply to something else nothing on this link can be believed. */
    wire_message_reset(&stream->out, 2);
    assert_int_equal(link->ops->call(link, &stream->out, &stream->in), -EBADMSG);
    wire_message_reset(&stream->out, 1);
    assert_int_equal(link->ops->call(link, &stream->out, &stream->in), -ENOTCONN);
    link->ops->close(link);
    shutdown(stream->ends[0], SHUT_RDWR);
    pthread_join(server, NULL);
}

static void a_link_whose_other_end_is_gone(void **state)
{
    struct stream *stream = *state;
    struct wire_link *link = wire_link_from_socket(stream->ends[0]);
    assert_non_null(link);
    wire_put_space(&stream->out, SIZE_MAX);
    assert_int_equal(link->ops->call(link, &stream->out, &stream->in), -ENOMEM);
    shutdown(stream->ends[1], SHUT_RDWR);
    wire_message_reset(&stream->out, 1);
    assert_int_equal(link->ops->call(link, &stream->out, &stream->in), -ENOTCONN); /* was dead */
    assert_int_equal(link->ops->call(link, &stream->out, &stream->in), -ENOTCONN);
    link->ops->close(link);
    stream->ends[0] = dup(stream->ends[1]);
}

/* Reads one request and ends: before the reply, or inside it. */
static void *die_in_a_call(void *opaque)
{
    struct stream *stream = opaque;
    struct wire_message request;
    wire_message_init(&request);
    wire_receive(stream->ends[1], &request);
    if (write(stream->ends[1], &request.header, stream->part) < 0) {
        return opaque;
    }
    wire_message_destroy(&request);
    shutdown(stream->ends[1], SHUT_RDWR);
    return NULL;
}

static void a_link_whose_other_end_dies_in_a_call(void **state)
{
    struct stream *stream = *state;
    for (stream->part = 0; stream->part < sizeof(struct wire_header); stream->part += 16) {
        pthread_t peer;
        void *wrong;
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        close(stream->ends[1]);
        stream->ends[1] = ends[1];
        struct wire_link *link = wire_link_from_socket(ends[0]);
        assert_int_equal(pthread_create(&peer, NULL, die_in_a_call, stream), 0);
        wire_message_reset(&stream->out, 1);
        assert_int_equal(link->ops->call(link, &stream->out, &stream->in), -ECONNRESET);
        pthread_join(peer, &wrong);
        assert_null(wrong);
        link->ops->close(link);
    }
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(frames_come_as_they_were_sent),
        STREAM_TEST(a_large_frame_is_sent_in_pieces),
        STREAM_TEST(a_full_stream_takes_nothing_or_all),
        STREAM_TEST(descriptors_travel),
        STREAM_TEST(headers_that_lie),
        STREAM_TEST(every_end_of_a_stream),
        STREAM_TEST(the_guard_cuts_a_wait_short),
        STREAM_TEST(a_deadline_ends_a_wait),
        STREAM_TEST(a_bad_message_is_not_sent),
        STREAM_TEST(a_link_keeps_calls_of_threads_apart),
        STREAM_TEST(a_link_whose_other_end_is_gone),
        STREAM_TEST(a_link_whose_other_end_dies_in_a_call),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}

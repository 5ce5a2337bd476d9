/*
 * Unit tests of the framing: messages however they are cut or joined, and whose descriptors are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfiouser/channel.h"

struct pair {
    struct vu_channel channel;
    int peer;
};

static int open_pair(void **state)
{
    static struct pair pair;
    int ends[2];
    memset(&pair, 0, sizeof(pair));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pair.peer = ends[1];
    *state = &pair;
    return vu_channel_open(&pair.channel, ends[0]);
}

static int close_pair(void **state)
{
    struct pair *pair = *state;
    vu_channel_close(&pair->channel);
    if (pair->peer >= 0) {
        close(pair->peer);
    }
    return 0;
}

static size_t build(uint8_t *out, uint16_t id, uint16_t command, size_t payload)
{
    const struct vu_header header = {
        .id = id, .command = command, .size = (uint32_t)(VU_HEADER_BYTES + payload)};
    memcpy(out, &header, sizeof(header));
    for (size_t i = 0; i < payload; i++) {
        out[VU_HEADER_BYTES + i] = (uint8_t)(id + i);
    }
    return VU_HEADER_BYTES + payload;
}

static void send_with(int fd, const void *bytes, size_t count, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(32 * sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr to = {.msg_iov = &vector, .msg_iovlen = 1};
    if (fd_count > 0) {
        to.msg_control = control.bytes;
        to.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *first = CMSG_FIRSTHDR(&to);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(first), fds, fd_count * sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &to, 0), count);
}

static void expect(struct pair *pair, uint16_t id, size_t payload, size_t fds)
{
    struct vu_message message;
    assert_int_equal(vu_channel_receive(&pair->channel, &message), 0);
    assert_int_equal(message.header.id, id);
    assert_int_equal(message.header.size, VU_HEADER_BYTES + payload);
    for (size_t i = 0; i < payload; i++) {
        assert_int_equal(message.payload[i], (uint8_t)(id + i));
    }
    assert_int_equal(message.fd_count, fds);
    vu_message_close(&message);
}

/* Every way of joining short messages: none bleeds into the next. */
static void test_joined(void **state)
{
    static const size_t payloads[] = {0, 0, 4, 16, 0, 20, 3, 0, 32, 15, 0, 0, 0, 17, 1000, 0, 8};
    const size_t count = sizeof(payloads) / sizeof(*payloads);
    struct pair *pair = *state;
    uint8_t bytes[4096];
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += build(bytes + length, (uint16_t)(100 + i), VU_DEVICE_RESET, payloads[i]);
    }
    send_with(pair->peer, bytes, length, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        expect(pair, (uint16_t)(100 + i), payloads[i], 0);
    }
}

struct dribble {
    int fd;
    size_t step;
};

static void *send_in_pieces(void *opaque)
{
    const struct dribble *dribble = opaque;
    uint8_t bytes[256];
    size_t length = build(bytes, 7, VU_REGION_WRITE, 20);
    length += build(bytes + length, 8, VU_DEVICE_RESET, 0);
    length += build(bytes + length, 9, VU_REGION_READ, 16);
    for (size_t at = 0; at < length; at += dribble->step) {
        size_t count = length - at < dribble->step ? length - at : dribble->step;
        send_with(dribble->fd, bytes + at, count, NULL, 0);
        usleep(200);
    }
    return NULL;
}

static void test_cut(void **state)
{
    struct pair *pair = *state;
    for (size_t step = 1; step < 40; step += 6) {
        struct dribble dribble = {pair->peer, step};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, send_in_pieces, &dribble), 0);
        expect(pair, 7, 20, 0);
        expect(pair, 8, 0, 0);
        expect(pair, 9, 16, 0);
        pthread_join(thread, NULL);
    }
}

/* Behind a message that is shorter than one read, and behind one that is not. */
static void test_descriptors_are_their_messages(void **state)
{
    struct pair *pair = *state;
    const int fds[2] = {STDIN_FILENO, STDERR_FILENO};
    uint8_t bytes[128];
    send_with(pair->peer, bytes, build(bytes, 1, VU_DEVICE_RESET, 0), NULL, 0);
    send_with(pair->peer, bytes, build(bytes, 2, VU_DMA_MAP, 32), fds, 1);
    send_with(pair->peer, bytes, build(bytes, 3, VU_DMA_MAP, 32), fds, 2);
    send_with(pair->peer, bytes, build(bytes, 4, VU_REGION_READ, 16), NULL, 0);
    send_with(pair->peer, bytes, build(bytes, 5, VU_DEVICE_RESET, 0), fds, 2);
    send_with(pair->peer, bytes, build(bytes, 6, VU_DEVICE_RESET, 0), NULL, 0);
    send_with(pair->peer, bytes, build(bytes, 7, VU_DMA_MAP, 32), fds, 1);
    expect(pair, 1, 0, 0);
    expect(pair, 2, 32, 1);
    expect(pair, 3, 32, 2);
    expect(pair, 4, 16, 0);
    expect(pair, 5, 0, 2);
    expect(pair, 6, 0, 0);
    expect(pair, 7, 32, 1);
}

static void test_descriptors_kept_and_closed(void **state)
{
    struct pair *pair = *state;
    struct vu_message message;
    struct stat status;
    uint8_t bytes[64];
    int many[20];
    for (size_t i = 0; i < 20; i++) {
        many[i] = STDIN_FILENO;
    }
    send_with(pair->peer, bytes, build(bytes, 1, VU_DMA_MAP, 32), many, 20);
    assert_int_equal(vu_channel_receive(&pair->channel, &message), 0);
    assert_int_equal(message.fd_count, 20);
    int first = message.fds[0];
    int second = message.fds[1];
    assert_int_equal(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    message.fds[0] = -1; /* taken */
    vu_message_close(&message);
    assert_int_equal(fstat(first, &status), 0);
    assert_int_equal(fstat(second, &status), -1);
    close(first);
}

/* What was read ahead is closed with the channel: the leak checker of descriptors is the test. */
static void test_closed_with_descriptors_ahead(void **state)
{
    struct pair *pair = *state;
    struct vu_message message;
    const int fd = STDIN_FILENO;
    uint8_t bytes[64];
    int before = dup(STDIN_FILENO);
    close(before);
    send_with(pair->peer, bytes, build(bytes, 1, VU_DEVICE_RESET, 0), NULL, 0);
    send_with(pair->peer, bytes, build(bytes, 2, VU_DMA_MAP, 32), &fd, 1);
    assert_int_equal(vu_channel_receive(&pair->channel, &message), 0);
    assert_int_equal(message.header.id, 1);
    vu_channel_close(&pair->channel);
    int after = dup(STDIN_FILENO);
    close(after);
    assert_true(after <= before);
}

static void test_ends(void **state)
{
    struct pair *pair = *state;
    struct vu_message message;
    uint8_t bytes[64];
    build(bytes, 1, VU_REGION_READ, 16);
    send_with(pair->peer, bytes, 20, NULL, 0);
    shutdown(pair->peer, SHUT_WR);
    assert_int_equal(vu_channel_receive(&pair->channel, &message), -EPROTO);
    assert_int_equal(vu_channel_receive(&pair->channel, &message), -ENOTCONN);
}

static void test_impossible_sizes(void **state)
{
    struct pair *pair = *state;
    struct vu_message message;
    struct vu_header header = {.id = 5, .size = 15};
    send_with(pair->peer, &header, sizeof(header), NULL, 0);
    assert_int_equal(vu_channel_receive(&pair->channel, &message), -EBADMSG);
    assert_int_equal(message.header.id, 5);
    header.size = VU_MAX_MESSAGE + 1;
    send_with(pair->peer, &header, sizeof(header), NULL, 0);
    assert_int_equal(vu_channel_receive(&pair->channel, &message), -EBADMSG);
}

static void test_send(void **state)
{
    struct pair *pair = *state;
    struct vu_header header = {.id = 3, .command = VU_REGION_READ, .flags = VU_HEADER_REPLY};
    struct vu_header seen;
    char bytes[8];
    assert_int_equal(vu_channel_send(&pair->channel, &header, "abcd", 4, "efgh", 4, STDIN_FILENO),
                     0);
    assert_int_equal(recv(pair->peer, &seen, sizeof(seen), 0), sizeof(seen));
    assert_int_equal(seen.size, 24);
    assert_int_equal(recv(pair->peer, bytes, sizeof(bytes), MSG_WAITALL), 8);
    assert_memory_equal(bytes, "abcdefgh", 8);
}

int main(void)
{
#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        CHANNEL_TEST(test_joined),
        CHANNEL_TEST(test_cut),
        CHANNEL_TEST(test_descriptors_are_their_messages),
        CHANNEL_TEST(test_descriptors_kept_and_closed),
        CHANNEL_TEST(test_closed_with_descriptors_ahead),
        CHANNEL_TEST(test_ends),
        CHANNEL_TEST(test_impossible_sizes),
        CHANNEL_TEST(test_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

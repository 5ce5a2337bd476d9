/*
 * Unit tests of the link: asking a client for its memory while its commands come in.
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
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vfiouser/link.h"
#include "vfiouser/share_check.h"

#define PATIENCE_MS 120000 /* for answers that come */
#define SHORT_MS    100    /* for those that do not */
#define ADDRESS     UINT64_C(0x123456000)
#define PIECE       64

struct ask {
    struct vu_link *link;
    pthread_t thread;
    bool is_write;
    uint8_t buffer[3 * VU_LINK_MAX_READ];
    size_t length;
    int result;
    atomic_bool is_done;
};

struct world {
    struct vu_link link;
    struct vu_channel client;
    struct ask ask;
};

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static void world_connect(struct world *world, unsigned minor, uint64_t max_transfer)
{
    const struct vu_version peer = {.minor = (uint16_t)minor,
                                    .capabilities = {.max_transfer = max_transfer}};
    int ends[2];
    int twin;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(vu_channel_open(&world->client, ends[0]), 0);
    assert_int_equal(vu_link_open(&world->link, ends[1]), 0);
    assert_int_equal(vu_link_agree(&world->link, &peer, false, &twin), 0);
    assert_int_equal(twin, -1);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    vu_link_init(&world->link, NULL);
    world->link.patience_ms = PATIENCE_MS;
    world->link.sync_patience_ms = PATIENCE_MS;
    world_connect(world, 0, VU_MAX_TRANSFER);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    vu_link_destroy(&world->link);
    vu_channel_close(&world->client);
    free(world);
    return 0;
}

static void *ask_main(void *opaque)
{
    struct ask *ask = opaque;
    ask->result = vu_link_ask(ask->link, ask->is_write, ADDRESS, ask->buffer, ask->length);
    ask->is_done = true;
    return NULL;
}

static void ask_start(struct world *world, bool is_write, size_t length)
{
    world->ask.link = &world->link;
    world->ask.is_write = is_write;
    world->ask.length = length;
    world->ask.is_done = false;
    assert_int_equal(pthread_create(&world->ask.thread, NULL, ask_main, &world->ask), 0);
}

static int ask_end(struct world *world)
{
    pthread_join(world->ask.thread, NULL);
    return world->ask.result;
}

static void client_sends(struct world *world, uint16_t id, uint16_t command, uint32_t flags,
                         const void *payload, size_t bytes)
{
    struct vu_header header = {.id = id, .command = command, .flags = flags};
    assert_int_equal(vu_channel_send(&world->client, &header, payload, bytes, NULL, 0, -1), 0);
}

/* The client takes a request and checks it; its id. */
static uint16_t client_is_asked(struct world *world, uint64_t address, uint64_t count)
{
    struct vu_message message;
    struct vu_dma_access access;
    assert_int_equal(vu_channel_receive(&world->client, &message), 0);
    assert_int_equal(message.header.command, world->ask.is_write ? VU_DMA_WRITE : VU_DMA_READ);
    assert_int_equal(message.header.flags, VU_HEADER_COMMAND);
    memcpy(&access, message.payload, sizeof(access));
    assert_true(access.address == address && access.count == count);
    return message.header.id;
}

static void client_answers(struct world *world, uint16_t id, uint64_t address, uint64_t count,
                           uint8_t byte)
{
    static uint8_t payload[sizeof(struct vu_dma_access) + VU_LINK_MAX_READ];
    const struct vu_dma_access access = {address, count};
    memcpy(payload, &access, sizeof(access));
    memset(payload + sizeof(access), byte, count);
    client_sends(world, id, world->ask.is_write ? VU_DMA_WRITE : VU_DMA_READ, VU_HEADER_REPLY,
                 payload, sizeof(access) + (world->ask.is_write ? 0 : count));
}

/* The session takes its next message, which is this one. */
static void session_gets(struct world *world, uint16_t id)
{
    struct vu_message message;
    assert_int_equal(vu_link_receive(&world->link, &message), 0);
    assert_int_equal(message.header.id, id);
    vu_link_done(&world->link, &message.header);
    vu_message_close(&message);
}

static void pieces_of_a_long_read(void **state)
{
    struct world *world = *state;
    ask_start(world, false, 2 * VU_LINK_MAX_READ + 5);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t count = i < 2 ? VU_LINK_MAX_READ : 5;
        uint64_t address = ADDRESS + i * VU_LINK_MAX_READ;
        client_answers(world, client_is_asked(world, address, count), address, count,
                       (uint8_t)(i + 1));
    }
    assert_int_equal(ask_end(world), 0);
    assert_int_equal(world->ask.buffer[0], 1);
    assert_int_equal(world->ask.buffer[VU_LINK_MAX_READ], 2);
    assert_int_equal(world->ask.buffer[2 * VU_LINK_MAX_READ + 4], 3);
}

static void what_the_client_takes_is_the_most(void **state)
{
    struct world *world = *state;
    vu_link_close(&world->link);
    vu_channel_close(&world->client);
    world_connect(world, 0, 48);
    ask_start(world, true, 50);
    client_answers(world, client_is_asked(world, ADDRESS, 48), ADDRESS, 48, 0);
    client_answers(world, client_is_asked(world, ADDRESS + 48, 2), ADDRESS + 48, 2, 0);
    assert_int_equal(ask_end(world), 0);
    vu_link_close(&world->link);
    vu_channel_close(&world->client);
    world_connect(world, 0, 0);
    assert_int_equal(vu_link_ask(&world->link, false, ADDRESS, world->ask.buffer, 1), -EMSGSIZE);
}

/* The session reads: it hands the answer over, and goes on to its own message. */
static void *session_main(void *opaque)
{
    session_gets(opaque, 7);
    return NULL;
}

static void the_session_hands_answers_over(void **state)
{
    struct world *world = *state;
    pthread_t session;
    assert_int_equal(pthread_create(&session, NULL, session_main, world), 0);
    sleep_ms(20);
    ask_start(world, false, PIECE);
    client_answers(world, client_is_asked(world, ADDRESS, PIECE), ADDRESS, PIECE, 0x5a);
    assert_int_equal(ask_end(world), 0);
    assert_int_equal(world->ask.buffer[PIECE - 1], 0x5a);
    client_sends(world, 7, VU_DEVICE_RESET, VU_HEADER_NO_REPLY, NULL, 0);
    pthread_join(session, NULL);
}

/* Commands before the answer are kept for the session, in order, with what is in them. */
static void commands_are_kept(void **state)
{
    struct world *world = *state;
    struct vu_message message;
    ask_start(world, false, PIECE);
    uint16_t id = client_is_asked(world, ADDRESS, PIECE);
    for (uint16_t i = 0; i < 1000; i++) {
        client_sends(world, i, VU_REGION_WRITE, VU_HEADER_NO_REPLY, &i, sizeof(i));
    }
    client_answers(world, id, ADDRESS, PIECE, 1);
    assert_int_equal(ask_end(world), 0);
    for (uint16_t i = 0; i < 1000; i++) {
        assert_int_equal(vu_link_receive(&world->link, &message), 0);
        assert_int_equal(message.header.id, i);
        assert_memory_equal(message.payload, &i, sizeof(i));
    }
    client_sends(world, 7, VU_DEVICE_RESET, 0, NULL, 0);
    session_gets(world, 7);
}

static void *flood_main(void *opaque)
{
    struct world *world = opaque;
    static const uint8_t payload[1 << 20];
    for (uint16_t i = 0; i < 40; i++) {
        client_sends(world, i, VU_REGION_WRITE, VU_HEADER_NO_REPLY, payload, sizeof(payload));
    }
    return NULL;
}

/* No more is kept than there is room for: the answer behind it is not seen in time. */
static void what_is_kept_has_a_limit(void **state)
{
    struct world *world = *state;
    pthread_t flood;
    world->link.patience_ms = SHORT_MS;
    ask_start(world, false, PIECE);
    client_is_asked(world, ADDRESS, PIECE);
    assert_int_equal(pthread_create(&flood, NULL, flood_main, world), 0);
    assert_int_equal(ask_end(world), -ETIMEDOUT);
    assert_true(world->link.kept_bytes < VU_LINK_MAX_KEPT_BYTES + (2u << 20));
    for (uint16_t i = 0; i < 40; i++) {
        session_gets(world, i);
    }
    assert_int_equal(world->link.kept_bytes, 0);
    pthread_join(flood, NULL);
}

static void nothing_is_asked_while_a_command_is_in_hands(void **state)
{
    struct world *world = *state;
    struct vu_message message;
    char byte;
    world->link.sync_patience_ms = SHORT_MS;
    client_sends(world, 1, VU_DEVICE_RESET, 0, NULL, 0);
    assert_int_equal(vu_link_receive(&world->link, &message), 0);
    ask_start(world, false, PIECE);
    assert_int_equal(ask_end(world), -EDEADLK);
    assert_int_equal(recv(world->client.fd, &byte, 1, MSG_DONTWAIT), -1);
    /* Once that is answered, it is asked. */
    world->link.sync_patience_ms = PATIENCE_MS;
    ask_start(world, false, PIECE);
    sleep_ms(20);
    assert_int_equal(recv(world->client.fd, &byte, 1, MSG_DONTWAIT), -1);
    vu_link_done(&world->link, &message.header);
    client_answers(world, client_is_asked(world, ADDRESS, PIECE), ADDRESS, PIECE, 1);
    assert_int_equal(ask_end(world), 0);
}

/* A command that comes while we wait for the answer: it may wait for this very access. */
static void a_command_ends_the_wait(void **state)
{
    struct world *world = *state;
    world->link.sync_patience_ms = SHORT_MS;
    ask_start(world, false, PIECE);
    uint16_t id = client_is_asked(world, ADDRESS, PIECE);
    client_sends(world, 1, VU_DEVICE_RESET, 0, NULL, 0);
    assert_int_equal(ask_end(world), -EDEADLK);
    session_gets(world, 1);
    /* Late, the answer is nobody's; the next question is another. */
    ask_start(world, false, PIECE);
    uint16_t next = client_is_asked(world, ADDRESS, PIECE);
    assert_int_not_equal(next, id);
    client_answers(world, id, ADDRESS, PIECE, 1);
    client_answers(world, next, ADDRESS, PIECE, 2);
    assert_int_equal(ask_end(world), 0);
    assert_int_equal(world->ask.buffer[0], 2);
}

static void who_answers_meanwhile_is_asked_meanwhile(void **state)
{
    struct world *world = *state;
    struct vu_message message;
    ask_start(world, false, PIECE);
    uint16_t id = client_is_asked(world, ADDRESS, PIECE);
    client_sends(world, 1, VU_DEVICE_RESET, 0, NULL, 0);
    client_answers(world, id, ADDRESS, PIECE, 1);
    assert_int_equal(ask_end(world), 0);
    assert_int_equal(vu_link_receive(&world->link, &message), 0); /* and no answer yet */
    ask_start(world, false, PIECE);
    client_answers(world, client_is_asked(world, ADDRESS, PIECE), ADDRESS, PIECE, 1);
    assert_int_equal(ask_end(world), 0);
    vu_link_done(&world->link, &message.header);
}

static void one_that_is_deaf_is_asked_once(void **state)
{
    struct world *world = *state;
    char byte;
    world->link.patience_ms = SHORT_MS;
    ask_start(world, false, PIECE);
    uint16_t id = client_is_asked(world, ADDRESS, PIECE);
    assert_int_equal(ask_end(world), -ETIMEDOUT);
    assert_int_equal(vu_link_ask(&world->link, false, ADDRESS, world->ask.buffer, 1), -ETIMEDOUT);
    assert_int_equal(recv(world->client.fd, &byte, 1, MSG_DONTWAIT), -1);
    client_answers(world, id, ADDRESS, PIECE, 1);
    client_sends(world, 3, VU_DEVICE_RESET, 0, NULL, 0);
    session_gets(world, 3); /* the answer before it was taken on the way */
    world->link.patience_ms = PATIENCE_MS;
    ask_start(world, false, PIECE);
    client_answers(world, client_is_asked(world, ADDRESS, PIECE), ADDRESS, PIECE, 1);
    assert_int_equal(ask_end(world), 0);
}

/* Whoever reads when the stream ends, the session has what came before, and then the end. */
static void the_end_comes_last(void **state)
{
    struct world *world = *state;
    struct vu_message message;
    const struct vu_header bad = {.id = 9, .command = VU_DEVICE_RESET, .size = 3};
    ask_start(world, false, PIECE);
    client_is_asked(world, ADDRESS, PIECE);
    client_sends(world, 5, VU_DEVICE_RESET, VU_HEADER_NO_REPLY, NULL, 0);
    assert_int_equal(send(world->client.fd, &bad, sizeof(bad), 0), sizeof(bad));
    assert_int_equal(ask_end(world), -EBADMSG);
    session_gets(world, 5);
    assert_int_equal(vu_link_receive(&world->link, &message), -EBADMSG);
    assert_int_equal(message.header.id, 9);
    assert_int_equal(vu_link_ask(&world->link, false, ADDRESS, world->ask.buffer, 1), -EBADMSG);
}

static void closing_ends_a_wait(void **state)
{
    struct world *world = *state;
    ask_start(world, false, PIECE);
    client_is_asked(world, ADDRESS, PIECE);
    vu_link_close(&world->link);
    assert_true(world->ask.is_done || world->link.channel.fd < 0);
    assert_int_equal(ask_end(world), -ENOTCONN);
    assert_int_equal(vu_link_ask(&world->link, false, ADDRESS, world->ask.buffer, 1), -ENOTCONN);
    vu_link_close(&world->link);
    /* The next client starts afresh. */
    vu_channel_close(&world->client);
    world_connect(world, 1, VU_MAX_TRANSFER);
    ask_start(world, true, PIECE);
    client_answers(world, client_is_asked(world, ADDRESS, PIECE), ADDRESS, PIECE, 0);
    assert_int_equal(ask_end(world), 0);
}

/* Ids that wait for a late answer are not used again, nor is the one of another question. */
static void ids_are_not_used_twice(void **state)
{
    struct world *world = *state;
    memset(world->link.given_up, 0xff, sizeof(world->link.given_up));
    world->link.given_up[0x1234 / 8] &= (uint8_t) ~(1u << 0x1234 % 8);
    world->link.given_up[VU_SHARE_MESSAGE_ID / 8] &= (uint8_t) ~(1u << VU_SHARE_MESSAGE_ID % 8);
    world->link.next_id = VU_SHARE_MESSAGE_ID - 1;
    ask_start(world, false, PIECE);
    uint16_t id = client_is_asked(world, ADDRESS, PIECE);
    assert_int_equal(id, 0x1234);
    client_answers(world, id, ADDRESS, PIECE, 1);
    assert_int_equal(ask_end(world), 0);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(pieces_of_a_long_read),
        LINK_TEST(what_the_client_takes_is_the_most),
        LINK_TEST(the_session_hands_answers_over),
        LINK_TEST(commands_are_kept),
        LINK_TEST(what_is_kept_has_a_limit),
        LINK_TEST(nothing_is_asked_while_a_command_is_in_hands),
        LINK_TEST(a_command_ends_the_wait),
        LINK_TEST(who_answers_meanwhile_is_asked_meanwhile),
        LINK_TEST(one_that_is_deaf_is_asked_once),
        LINK_TEST(the_end_comes_last),
        LINK_TEST(closing_ends_a_wait),
        LINK_TEST(ids_are_not_used_twice),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}

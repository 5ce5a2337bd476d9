/*
 * A scalar call on the wire: as frames over a socket, and in a call slot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/socket.h>
#include <unistd.h>

#include "paths.h"
#include "wire/message.h"
#include "wire/protocol.h"
#include "wire/slots.h"

#define SELECTOR 8
#define ANSWER   UINT64_C(0x12345678)

static int ends[2];
static struct wire_message request, received, reply, answered;
static struct wire_slot_client *client;
static struct wire_slot_host host;

static void begin(void)
{
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "making a socket pair");
    wire_message_init(&request);
    wire_message_init(&received);
    wire_message_init(&reply);
    wire_message_init(&answered);
}

static void begin_slots(void)
{
    int fd = -1;
    must(wire_slot_host_create(&host, &fd) == 0, "making call slots");
    client = wire_slot_client_create(fd);
    must(client != NULL, "mapping call slots");
    close(fd);
    wire_slot_host_set_awake(&host, WIRE_HOST_SOMEWHERE);
}

static void end_slots(void)
{
    wire_slot_client_destroy(client);
    wire_slot_host_destroy(&host);
}

static void end(void)
{
    wire_message_destroy(&request);
    wire_message_destroy(&received);
    wire_message_destroy(&reply);
    wire_message_destroy(&answered);
    close(ends[0]);
    close(ends[1]);
}

/* Two scalars in, one out: a config read. */
static void put_request(void)
{
    static const uint64_t nothing[11]; /* structures, wake port, reference */
    static const uint64_t scalars[] = {0, 4};
    wire_message_reset(&request, WIRE_CALL);
    wire_put_u32(&request, SELECTOR);
    wire_put_u32(&request, 0);
    wire_put_u32(&request, 2);
    wire_put_u32(&request, 1);
    wire_put_bytes(&request, nothing, sizeof(nothing));
    wire_put_bytes(&request, scalars, sizeof(scalars));
}

static void get_request(void)
{
    must(wire_get_u32(&received) == SELECTOR, "the selector of a request");
    for (int i = 0; i < 3; i++) {
        wire_get_u32(&received);
    }
    wire_get_bytes(&received, 11 * sizeof(uint64_t));
    for (int i = 0; i < 2; i++) {
        wire_get_u64(&received);
    }
    must(wire_is_consumed(&received), "reading a request");
}

static void put_reply(void)
{
    wire_message_answer(&reply, &received);
    wire_put_u32(&reply, 1);
    wire_put_u32(&reply, 0);
    wire_put_u64(&reply, 0);
    wire_put_u64(&reply, ANSWER);
}

static void get_reply(void)
{
    wire_get_u32(&answered);
    wire_get_u32(&answered);
    wire_get_u64(&answered);
    must(wire_get_u64(&answered) == ANSWER && wire_is_consumed(&answered), "reading a reply");
}

static void call_by_frames(void)
{
    put_request();
    must(wire_send(ends[0], &request) == 0 && wire_receive(ends[1], &received) == 0,
         "sending a request");
    get_request();
    put_reply();
    must(wire_send(ends[1], &reply) == 0 && wire_receive(ends[0], &answered) == 0,
         "sending a reply");
    get_reply();
}

/* One thread is both ends: the client finds its answer before the host has taken the request. */
static void answer_before(void)
{
    struct wire_slot *slot = &host.shared->slots[0];
    slot->reply.mark = (slot->request.number + 1) << WIRE_SLOT_MARK_SHIFT;
}

static void call_by_slot(void)
{
    struct wire_words words = {.type = WIRE_CALL, .count = 3};
    unsigned where = 0;
    words.words[0] = wire_call_word(SELECTOR, 2, 1);
    words.words[1] = 0;
    words.words[2] = 4;
    must(wire_slot_client_call(client, -1, NULL, NULL, &words) == 0, "calling by slot");
    must(wire_slot_host_has(&host, 0) && wire_slot_host_take(&host, 0, &words, &where),
         "taking a request");
    must(words.count == 3 && wire_call_word_selector(words.words[0]) == SELECTOR,
         "the selector of a request");
    words.count = 1;
    words.words[0] = ANSWER;
    wire_slot_host_answer(&host, 0, &words);
}

const struct path wire_paths[] = {
    {"wire-call-by-frames", begin, NULL, call_by_frames, end},
    {"wire-call-by-slot", begin_slots, answer_before, call_by_slot, end_slots},
    {NULL, NULL, NULL, NULL, NULL},
};

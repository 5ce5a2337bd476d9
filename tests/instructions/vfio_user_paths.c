/*
 * A region read as vfio-user frames: what the server does beside carrying it out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "paths.h"
#include "vfiouser/channel.h"
#include "vfiouser/codec.h"

static struct vu_channel channel;
static int peer;

static void begin(void)
{
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "making a socket pair");
    must(vu_channel_open(&channel, ends[0]) == 0, "opening a channel");
    peer = ends[1];
}

static void end(void)
{
    vu_channel_close(&channel);
    close(peer);
}

static void send_request(void)
{
    struct {
        struct vu_header header;
        struct vu_access access;
    } request = {.header = {.id = 7, .command = VU_REGION_READ, .size = sizeof(request)},
                 .access = {.offset = 0x10, .region = 0, .count = 4}};
    must(write(peer, &request, sizeof(request)) == sizeof(request), "sending a request");
}

static void region_read(void)
{
    static const uint32_t value = 0x12345678;
    struct vu_message message;
    struct vu_request request;

    must(vu_channel_receive(&channel, &message) == 0, "receiving a request");
    must(vu_request_decode(&message.header, message.payload, message.fd_count, &request) == 0 &&
             request.access.count == sizeof(value),
         "decoding a request");
    struct vu_header header = {
        .id = message.header.id, .command = message.header.command, .flags = VU_HEADER_REPLY};
    must(vu_channel_send(&channel, &header, &request.access, sizeof(request.access), &value,
                         sizeof(value), -1) == 0,
         "sending a reply");
    vu_message_close(&message);
}

static void send_and_drain(void)
{
    uint8_t reply[64];
    static bool has_reply;
    if (has_reply) {
        must(read(peer, reply, sizeof(reply)) ==
                 (ssize_t)(VU_HEADER_BYTES + sizeof(struct vu_access) + 4),
             "reading a reply");
    }
    has_reply = true;
    send_request();
}

const struct path vfio_user_paths[] = {
    {"vfio-user-region-read", begin, send_and_drain, region_read, end},
    {NULL, NULL, NULL, NULL, NULL},
};

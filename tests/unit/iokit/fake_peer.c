/*
 * The scripted host at the other end of a socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "fake_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <IOKit/IOReturn.h>

struct fake_socket {
    struct fake_peer *peer;
    int fd;
};

static void peer_serve_socket(struct fake_peer *peer, int fd);

/* One end of a new pair goes into the reply, the other is returned. */
static int peer_put_socket(struct wire_message *reply)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    wire_put_fd(reply, ends[1]);
    return ends[0];
}

static void peer_fill(struct fake_peer *peer, const struct wire_message *request,
                      struct wire_message *reply)
{
    bool has_fd = peer->manner[request->header.type] != FAKE_NO_FD;
    switch (request->header.type) {
    case WIRE_HELLO:
        wire_put_u32(reply, WIRE_VERSION);
        wire_put_u32(reply, 4096);
        if (has_fd) {
            int before = atomic_exchange(&peer->event_fd, peer_put_socket(reply));
            if (before >= 0) {
                close(before);
            }
        }
        break;
    case WIRE_MATCH:
        wire_put_u32(reply, 1);
        wire_put_u64(reply, 1000);
        break;
    case WIRE_OPEN:
        wire_put_u64(reply, 1);
        if (has_fd) {
            peer_serve_socket(peer, peer_put_socket(reply));
        }
        break;
    case WIRE_MEMORY_OPEN:
        wire_put_u64(reply, 77);
        if (has_fd) {
            peer->memory_fd = peer_put_socket(reply);
        }
        break;
    case WIRE_CALL:
        wire_put_u32(reply, 0);
        wire_put_u32(reply, 0);
        wire_put_u64(reply, 0);
        break;
    case WIRE_SLOTS: /* a file that is no memory of slots */
        wire_put_u32(reply, 31);
        if (has_fd) {
            wire_put_fd(reply, open("/dev/null", O_RDWR | O_CLOEXEC));
        }
        break;
    default:
        break;
    }
}

/* false: hang up. */
static bool peer_answer(struct fake_peer *peer, int fd, const struct wire_message *request,
                        struct wire_message *reply)
{
    static const char rubbish[256] = "no frame";
    int manner = peer->manner[request->header.type];
    peer->seen[request->header.type]++;
    wire_message_answer(reply, request);
    switch (manner) {
    case FAKE_HANG_UP_ONCE:
        peer->manner[request->header.type] = FAKE_PLAIN;
        return false;
    case FAKE_HANG_UP:
        return false;
    case FAKE_DIE_IN_FRAME:
        assert_int_equal(write(fd, &reply->header, 16), 16);
        return false;
    case FAKE_STALL:
        assert_int_equal(write(fd, &reply->header, 16), 16);
        return true;
    case FAKE_SILENT:
        return true;
    case FAKE_RUBBISH:
        assert_int_equal(write(fd, rubbish, sizeof(rubbish)), sizeof(rubbish));
        return true;
    case FAKE_REFUSE:
        reply->header.status = kIOReturnUnsupported;
        break;
    case FAKE_OTHER_REPLY:
        reply->header.sequence++;
        break;
    default:
        peer_fill(peer, request, reply);
        break;
    }
    return wire_send(fd, reply) == 0;
}

static void *peer_socket_main(void *opaque)
{
    struct fake_socket socket = *(struct fake_socket *)opaque;
    struct wire_message request;
    struct wire_message reply;
    free(opaque);
    wire_message_init(&request);
    wire_message_init(&reply);
    while (wire_receive(socket.fd, &request) == 0 &&
           peer_answer(socket.peer, socket.fd, &request, &reply)) {
        wire_message_reset(&reply, 0);
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    close(socket.fd);
    socket.peer->threads--;
    return NULL;
}

static void peer_serve_socket(struct fake_peer *peer, int fd)
{
    pthread_t thread;
    struct fake_socket *socket = malloc(sizeof(*socket));
    *socket = (struct fake_socket){.peer = peer, .fd = fd};
    peer->threads++;
    assert_int_equal(pthread_create(&thread, NULL, peer_socket_main, socket), 0);
    pthread_detach(thread);
}

static void *peer_main(void *opaque)
{
    struct fake_peer *peer = opaque;
    int fd;
    while ((fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        peer->clients++;
        peer_serve_socket(peer, fd);
    }
    return NULL;
}

void fake_peer_start(struct fake_peer *peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(peer, 0, sizeof(*peer));
    peer->event_fd = -1;
    peer->memory_fd = -1;
    strcpy(peer->directory, "/tmp/fake-peer-XXXXXX");
    assert_non_null(mkdtemp(peer->directory));
    snprintf(peer->path, sizeof(peer->path), "%s/host", peer->directory);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", peer->path);
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(peer->listener, 5), 0);
    setenv("DEXTLINK_SOCKET", peer->path, 1);
    setenv("DEXTLINK_PATIENCE", "3600", 1);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
}

void fake_peer_hang_up_events(struct fake_peer *peer)
{
    int fd = atomic_exchange(&peer->event_fd, -1);
    if (fd >= 0) {
        close(fd);
    }
}

void fake_peer_stop(struct fake_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    unlink(peer->path);
    rmdir(peer->directory);
    fake_peer_hang_up_events(peer);
}

/*
 * Finding a host in another process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/greeting.h"

#include <IOKit/IOReturn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/patience.h"
#include "wire/message.h"
#include "wire/no_host.h"
#include "wire/protocol.h"
#include "wire/socket_path.h"

#define NS_PER_MS 1000000u

/* A host greets within milliseconds; one on a machine out of breath within this. */
#define GREETING_MS 10000

static atomic_uint greeting_set_ms; /* 0: not set */

void io_greeting_set_patience_ms(unsigned wait_ms)
{
    greeting_set_ms = wait_ms;
}

static unsigned greeting_wait_ms(void)
{
    unsigned set_ms = greeting_set_ms;
    return set_ms ? set_ms : patience_ms(GREETING_MS);
}

static unsigned greeting_seconds(void)
{
    return (greeting_wait_ms() + 999) / 1000;
}

/* The time that is left is the socket's for sending, which connect goes by where the queue of the
 * listener is full. 0 or -errno; -EAGAIN: the queue was full all the time. */
static int greeting_connect_until(int fd, const struct sockaddr_un *address, uint64_t deadline_ns)
{
    const struct timeval none = {0};
    for (;;) {
        uint64_t now = wire_now_ns();
        uint64_t left = deadline_ns > now ? deadline_ns - now : NS_PER_MS;
        const struct timeval patience = {.tv_sec = (time_t)(left / 1000000000),
                                         .tv_usec = (suseconds_t)(left % 1000000000 / 1000)};
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0) {
            return -errno;
        }
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
            return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none)) < 0 ? -errno : 0;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

static void greeting_let_host_in(int fd)
{
    struct ucred host;
    socklen_t length = sizeof(host);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &host, &length) == 0 && host.pid > 0) {
        /* Where only parents may look into a process, the host may look into this one: it carries
         * out the device's DMA. */
        prctl(PR_SET_PTRACER, (unsigned long)host.pid, 0, 0, 0);
    }
}

/* HELLO and its reply, which is the caller's to read. */
static int greeting_exchange(int fd, uint64_t deadline_ns, struct wire_message *reply)
{
    struct wire_message request;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -errno;
    }
    wire_message_init(&request);
    wire_message_reset(&request, WIRE_HELLO);
    wire_put_u32(&request, WIRE_VERSION);
    int error = request.is_bad ? -ENOMEM : wire_send_until(fd, deadline_ns, &request);
    wire_message_destroy(&request);
    if (!error || error == -EPIPE) { /* whom it refuses it tells why before it hangs up */
        error = wire_receive_until(fd, deadline_ns, reply);
    }
    if (!error && (reply->header.type != WIRE_HELLO || reply->header.sequence != 0)) {
        error = -EBADMSG;
    }
    return error ? error : fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

/* What is wrong with the other end, by how it answered. */
static const char *greeting_cause(int error)
{
    switch (error) {
    case -ECONNRESET:
    case -EPIPE:
        return "it hangs up: it serves other users, or is no dextd";
    case -EBADMSG:
        return "what answers there is no dextd";
    default:
        return strerror(-error);
    }
}

static int greeting_read(struct wire_message *reply, struct io_greeting *greeting)
{
    wire_get_u32(reply);
    greeting->page_size = wire_get_u32(reply);
    greeting->event_fd = wire_take_fd(reply, 0);
    return wire_is_consumed(reply) && greeting->event_fd >= 0 ? 0 : -EBADMSG;
}

static int greeting_talk(int fd, const char *path, uint64_t deadline_ns,
                         struct io_greeting *greeting)
{
    struct wire_message reply;
    wire_message_init(&reply);
    int error = greeting_exchange(fd, deadline_ns, &reply);
    if (!error && reply.header.status) {
        wire_no_host_note("the dextd at %s refuses this program: %s", path,
                          reply.header.status == kIOReturnUnsupported
                              ? "it speaks another version; install both from one release"
                              : "it has no room for another channel of this "
                                "client (dextd --per-client), or no descriptors left");
        error = -EPROTO;
    } else if (!error) {
        error = greeting_read(&reply, greeting);
    }
    wire_message_destroy(&reply);
    if (error == -ETIMEDOUT) {
        wire_no_host_note("%s: somebody takes connections there but does not answer within %u s: "
                          "a dextd that hangs, or no dextd",
                          path, greeting_seconds());
    } else if (error && error != -EPROTO) {
        wire_no_host_note("%s: %s", path, greeting_cause(error));
    }
    return error;
}

/* The reason has been noted: it is logged as well, and the caller told what it may act on. */
static int greeting_fail(int error)
{
    char reason[256];
    wire_no_host_text(reason, sizeof(reason));
    log_line(error == -ENOTCONN ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "iokit", "%s", reason);
    return error == -ETIMEDOUT ? error : -ENOTCONN;
}

/* Why nobody takes a connection there. */
static void greeting_note_absence(const char *path, int error)
{
    struct stat status;
    if (error == -EACCES) {
        wire_no_host_note("%s: %s: a dextd there serves other users", path, strerror(-error));
    } else if (error == -ECONNREFUSED && stat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        wire_no_host_note("no dextd at %s: it is no socket", path);
    } else if (error == -ECONNREFUSED) {
        wire_no_host_note("no dextd at %s: %s: the one that made it has died", path,
                          strerror(-error));
    } else {
        wire_no_host_note("no dextd at %s: %s", path, strerror(-error));
    }
}

int io_greet(struct io_greeting *greeting)
{
    struct sockaddr_un address;
    const char *path = address.sun_path;
    uint64_t deadline_ns = wire_now_ns() + (uint64_t)greeting_wait_ms() * NS_PER_MS;

    *greeting = (struct io_greeting){.control_fd = -1, .event_fd = -1};
    int error = wire_socket_address(NULL, false, &address);
    if (error) {
        wire_no_host_note("no path to look for a dextd at: %s", wire_socket_address_cause(error));
        return greeting_fail(-ENOTCONN);
    }
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    error = fd < 0 ? -errno : greeting_connect_until(fd, &address, deadline_ns);
    if (error == -EAGAIN) {
        wire_no_host_note("%s: somebody listens there but takes no connections within %u s: "
                          "a dextd that hangs, or no dextd",
                          path, greeting_seconds());
        return greeting_fail(-ETIMEDOUT);
    }
    if (error) {
        greeting_note_absence(path, error);
        return greeting_fail(-ENOTCONN);
    }
    greeting_let_host_in(fd);
    error = greeting_talk(fd, path, deadline_ns, greeting);
    if (error) {
        return greeting_fail(error);
    }
    greeting->control_fd = steal_fd(&fd);
    return 0;
}

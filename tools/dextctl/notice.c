/*
 * The interrupt notice as a pipe: its handler writes a byte, the waiter polls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "notice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

#define BYTE_WAKE 'w'
#define BYTE_STOP 's'
#define LOOK_MS   500 /* how often an idle waiter asks whether the device is still there */

/* A full pipe drops the byte: then there are wake-ups enough to be read. */
static void put(struct notice *notice, char byte)
{
    int saved = errno;
    ssize_t written = write(notice->pipe[1], &byte, 1);
    (void)written;
    errno = saved;
}

static void on_interrupt(void *opaque)
{
    put(opaque, BYTE_WAKE);
}

void notice_stop(struct notice *notice)
{
    put(notice, BYTE_STOP);
}

static int open_pipe(struct notice *notice)
{
    if (pipe(notice->pipe) != 0) {
        notice->pipe[0] = notice->pipe[1] = -1;
        return failure(notice->session->name, "cannot make a pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        fcntl(notice->pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(notice->pipe[i], F_SETFL, O_NONBLOCK);
    }
    return STATUS_OK;
}

int notice_open(struct notice *notice, const struct session *session)
{
    *notice = (struct notice){.session = session, .pipe = {-1, -1}};
    kern_return_t code = apple_dext_setup_interrupts(session->connection, &notice->vectors);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot set up interrupts");
    }
    int status = open_pipe(notice);
    if (status != STATUS_OK) {
        return status;
    }
    notice->notify = apple_dext_interrupt_notify_create(session->connection, on_interrupt, notice);
    if (!notice->notify) {
        notice_close(notice);
        return failure(session->name, "cannot arm the interrupt notice");
    }
    return STATUS_OK;
}

void notice_close(struct notice *notice)
{
    apple_dext_interrupt_notify_destroy(notice->notify);
    notice->notify = NULL;
    for (int i = 0; i < 2; i++) {
        if (notice->pipe[i] >= 0) {
            close(notice->pipe[i]);
            notice->pipe[i] = -1;
        }
    }
}

/* Empty the pipe; whether a stop was in it. */
static bool drain(struct notice *notice)
{
    char bytes[64];
    ssize_t count;
    bool stop = false;
    while ((count = read(notice->pipe[0], bytes, sizeof(bytes))) > 0) {
        stop = stop || memchr(bytes, BYTE_STOP, (size_t)count);
    }
    return stop;
}

/* Drain first, then arm again: what fires in between completes the new wait at once. */
static kern_return_t collect(struct notice *notice, uint64_t pending[4])
{
    kern_return_t code = apple_dext_read_pending_irqs(notice->session->connection, pending);
    return code == KERN_SUCCESS ? apple_dext_interrupt_notify_rearm(notice->notify) : code;
}

/* An armed notice of a driver that ends stays silent, so somebody has to look. */
static kern_return_t look_alive(const struct notice *notice)
{
    AppleDextDeviceState state;
    kern_return_t code = apple_dext_get_device_state(notice->session->connection, &state);
    if (code != KERN_SUCCESS) {
        return code;
    }
    return state.presence == APPLE_DEXT_REMOVED ? kIOReturnNoDevice : KERN_SUCCESS;
}

/* Wait for the pipe, at most until deadline_ms and not for longer than one look at the device. */
static int wait_for_pipe(const struct notice *notice, double deadline_ms)
{
    struct pollfd readable = {.fd = notice->pipe[0], .events = POLLIN};
    double left_ms = deadline_ms - now_ms();
    if (left_ms > LOOK_MS) {
        left_ms = LOOK_MS;
    }
    int ready = poll(&readable, 1, left_ms > 0 ? (int)left_ms + 1 : 0);
    return ready < 0 && errno == EINTR ? 0 : ready;
}

enum notice_result notice_wait(struct notice *notice, double seconds, uint64_t pending[4],
                               kern_return_t *code)
{
    double deadline_ms = now_ms() + seconds * 1e3;
    for (;;) {
        int ready = wait_for_pipe(notice, deadline_ms);
        if (ready > 0 && drain(notice)) {
            return NOTICE_STOPPED;
        }
        if (ready < 0) {
            *code = kIOReturnError;
        } else {
            *code = ready > 0 ? collect(notice, pending) : look_alive(notice);
        }
        if (*code != KERN_SUCCESS) {
            return NOTICE_FAILED;
        }
        if (pending[0] | pending[1] | pending[2] | pending[3]) {
            return NOTICE_PENDING;
        }
        if (ready == 0 && now_ms() >= deadline_ms) {
            return NOTICE_TIMEOUT;
        }
    }
}

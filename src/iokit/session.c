/*
 * Finding a host and talking to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/session.h"

#include <IOKit/IOReturn.h>
#include <errno.h>
#include <fcntl.h>
#include <mach/mach.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/patience.h"
#include "base/trace.h"
#include "iokit/event.h"
#include "iokit/object.h"
#include "iokit/page_size.h"
#include "iokit/wake.h"
#include "wire/socket_path.h"

/* A host greets within milliseconds; one on a machine out of breath within this. */
#define GREETING_MS 5000

struct io_session {
    _Atomic unsigned references;
    _Atomic bool is_gone;
    struct wire_link *control;
    int event_fd; /* -1 with a host inside the process */
    struct io_wake_pool wakes;
};

static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;
static struct io_session *session_current; /* counted; under session_lock */
static bool session_in_fork;               /* under session_lock: a host here is the parent's */
static pthread_once_t session_once = PTHREAD_ONCE_INIT;

struct io_session *io_session_get(struct io_session *session)
{
    session->references++;
    return session;
}

void io_session_put(struct io_session *session)
{
    if (session && --session->references == 0) {
        if (session->control) {
            session->control->ops->close(session->control);
        }
        if (session->event_fd >= 0) {
            close(session->event_fd);
        }
        io_wake_pool_fini(&session->wakes);
        free(session);
    }
}

struct io_wake_pool *io_session_wakes(struct io_session *session)
{
    return session->event_fd >= 0 ? &session->wakes : NULL;
}

bool io_session_is_gone(const struct io_session *session)
{
    return session->is_gone;
}

/* Called by whoever notices, which may be several; with a host inside the process, under the host's
 * locks. */
static void session_gone(void *context)
{
    struct io_session *session = context;
    if (!atomic_exchange(&session->is_gone, true)) {
        log_info("iokit", "the host has gone: its services and connections are dead");
        if (session->event_fd >= 0) {
            shutdown(session->event_fd, SHUT_RDWR); /* where a thread may still be waiting */
        }
        io_names_die_with(session);
        io_event_host_gone(session);
    }
}

static void session_event(void *context, struct wire_message *message)
{
    io_event_dispatch(context, message);
}

static void *session_event_main(void *opaque)
{
    struct io_session *session = opaque; /* counted */
    struct wire_message message;
    wire_message_init(&message);
    while (wire_receive(session->event_fd, &message) == 0) {
        session_event(session, &message);
    }
    session_gone(session);
    wire_message_destroy(&message);
    io_session_put(session);
    return NULL;
}

/* The event thread runs none of the program's signal handlers and dies with the session. */
static int session_start_events(struct io_session *session)
{
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    io_session_get(session);
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, session_event_main, session);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        io_session_put(session);
        return -error;
    }
    pthread_detach(thread);
    return 0;
}

static bool session_connect_to(int fd, const struct sockaddr_un *address)
{
    int error;
    do {
        error = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    } while (error < 0 && errno == EINTR);
    return error == 0;
}

static int session_connect_socket(void)
{
    struct sockaddr_un address;
    if (wire_socket_address(NULL, false, &address)) {
        return -1;
    }
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !session_connect_to(fd, &address)) {
        log_info("iokit", "no host at %s: %s", address.sun_path, strerror(errno));
        return -1;
    }
    struct ucred host;
    socklen_t length = sizeof(host);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &host, &length) == 0 && host.pid > 0) {
        /* Where only parents may look into a process, the host may look into this one: it carries
         * out the device's DMA. */
        prctl(PR_SET_PTRACER, (unsigned long)host.pid, 0, 0, 0);
    }
    return steal_fd(&fd);
}

/* A descriptor that is readable once the host has had its time to greet; -1 with errno. */
static int session_start_clock(uint32_t wait_ms)
{
    const struct itimerspec patience = {.it_value.tv_sec = wait_ms / 1000};
    cleanup_close int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0 || timerfd_settime(fd, 0, &patience, NULL) < 0) {
        return -1;
    }
    return steal_fd(&fd);
}

/* HELLO and its reply. A program that takes connections and never answers is no host; once greeted,
 * calls take as long as they take. */
static int session_exchange_hello(int fd, struct wire_message *reply)
{
    struct wire_message request;
    const uint32_t wait_ms = patience_ms(GREETING_MS);
    cleanup_close int clock_fd = session_start_clock(wait_ms);
    int flags = fcntl(fd, F_GETFL);
    if (clock_fd < 0 || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -errno;
    }
    wire_message_init(&request);
    wire_message_reset(&request, WIRE_HELLO);
    wire_put_u32(&request, WIRE_VERSION);
    int error = request.is_bad ? -ENOMEM : wire_send(fd, &request);
    wire_message_destroy(&request);
    if (!error) {
        error = wire_receive_guarded(fd, clock_fd, reply);
    }
    if (error == -ECANCELED) {
        log_error("iokit", "the host takes connections but does not answer within %u s",
                  wait_ms / 1000);
    }
    if (!error && (reply->header.type != WIRE_HELLO || reply->header.sequence != 0)) {
        error = -EBADMSG;
    }
    return error ? error : fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

static int session_greet(struct io_session *session, int fd, uint32_t *page_size)
{
    struct wire_message reply;
    wire_message_init(&reply);
    int error = session_exchange_hello(fd, &reply);
    if (!error && reply.header.status) {
        log_error("iokit", "the host refuses this client: %s",
                  reply.header.status == kIOReturnUnsupported ? "it speaks another version"
                                                              : "it has no descriptors left");
        error = -EPROTO;
    }
    if (!error) {
        wire_get_u32(&reply);
        *page_size = wire_get_u32(&reply);
        session->event_fd = wire_take_fd(&reply, 0);
        error = wire_is_consumed(&reply) && session->event_fd >= 0 ? 0 : -EBADMSG;
    }
    wire_message_destroy(&reply);
    return error;
}

/* 0 and session->control, with its events coming in. */
static int session_connect(struct io_session *session, uint32_t *page_size)
{
    cleanup_close int fd = session_connect_socket();
    if (fd < 0) {
        return -ENOTCONN;
    }
    int error = session_greet(session, fd, page_size);
    if (error) {
        return error;
    }
    session->control = wire_link_from_socket(steal_fd(&fd));
    return session->control ? session_start_events(session) : -ENOMEM;
}

static struct io_session *session_create(void)
{
    uint32_t page_size = 0;
    struct io_session *session = calloc(1, sizeof(*session));
    if (!session) {
        return NULL;
    }
    session->references = 1;
    session->event_fd = -1;
    io_wake_pool_init(&session->wakes);
    if (!session_in_fork) {
        session->control = wire_local_connect(session_event, session_gone, session, &page_size);
    }
    if (!session->control && session_connect(session, &page_size)) {
        io_session_put(session);
        return NULL;
    }
    if (page_size != vm_page_size && iokit_page_size_set(page_size)) {
        log_warning("iokit", "the host names an odd page size, %u", page_size);
    }
    return session;
}

static void session_before_fork(void)
{
    pthread_mutex_lock(&session_lock);
    io_names_lock();
}

static void session_after_fork(void)
{
    io_names_unlock();
    pthread_mutex_unlock(&session_lock);
}

/* Handles do not survive into a child; what they stand for is left alone, it is the parent's. */
static void session_in_child(void)
{
    if (session_current) {
        session_current->is_gone = true; /* whatever still leads there: not on to the host */
    }
    session_current = NULL;
    session_in_fork = true;
    io_names_forget_all();
    session_after_fork();
}

static void session_watch_forks(void)
{
    pthread_atfork(session_before_fork, session_after_fork, session_in_child);
}

struct io_session *io_session_current(void)
{
    struct io_session *ended = NULL;
    pthread_once(&session_once, session_watch_forks);
    pthread_mutex_lock(&session_lock);
    if (session_current && session_current->is_gone) {
        ended = session_current;
        session_current = NULL;
    }
    if (!session_current) {
        session_current = session_create();
    }
    struct io_session *session = session_current ? io_session_get(session_current) : NULL;
    pthread_mutex_unlock(&session_lock);
    io_session_put(ended);
    return session;
}

kern_return_t io_status_of_link(int error)
{
    switch (error) {
    case 0:
        return KERN_SUCCESS;
    case -ENOTCONN:
        return MACH_SEND_INVALID_DEST;
    case -ECONNRESET:
        return MIG_SERVER_DIED;
    case -ENOMEM:
        return kIOReturnNoMemory;
    default:
        return kIOReturnIPCError;
    }
}

kern_return_t io_session_request(struct io_session *session, struct wire_message *request,
                                 struct wire_message *reply)
{
    if (session->is_gone) {
        return MACH_SEND_INVALID_DEST;
    }
    request->header.call_id = trace_current_call();
    int error = session->control->ops->call(session->control, request, reply);
    if (error && error != -ENOMEM) {
        session_gone(session); /* nothing more comes through: the next call looks for a host anew */
    }
    return error ? io_status_of_link(error) : reply->header.status;
}

kern_return_t io_session_open(struct io_session *session, uint64_t entry_id, uint32_t type,
                              struct wire_link **out)
{
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_OPEN);
    wire_put_u64(&request, entry_id);
    wire_put_u32(&request, type);
    kern_return_t status = io_session_request(session, &request, &reply);
    if (status == KERN_SUCCESS) {
        uint64_t connection_id = wire_get_u64(&reply);
        *out = wire_is_consumed(&reply)
                   ? session->control->ops->accept(session->control, &reply, connection_id)
                   : NULL;
        status = *out ? KERN_SUCCESS : kIOReturnIPCError;
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return status;
}

kern_return_t io_session_describe(struct io_session *session, uint64_t entry_id,
                                  struct wire_value **out)
{
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_ENTRY);
    wire_put_u64(&request, entry_id);
    kern_return_t status = io_session_request(session, &request, &reply);
    if (status == kIOReturnNotFound) {
        status = MACH_SEND_INVALID_DEST;
    }
    if (status == KERN_SUCCESS) {
        *out = wire_get_value(&reply);
        if (!*out || (*out)->type != WIRE_VALUE_DICTIONARY) {
            wire_value_free(*out);
            *out = NULL;
            status = kIOReturnIPCError;
        }
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return status;
}

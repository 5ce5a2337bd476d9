/*
 * The session with the host there is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/session.h"

#include <IOKit/IOReturn.h>
#include <errno.h>
#include <mach/mach.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/trace.h"
#include "iokit/event.h"
#include "iokit/greeting.h"
#include "iokit/object.h"
#include "iokit/page_size.h"
#include "iokit/wake.h"
#include "wire/no_host.h"

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

/* 0 and session->control, with its events coming in. -errno as io_greet, -ENOMEM. */
static int session_connect(struct io_session *session, uint32_t *page_size)
{
    struct io_greeting greeting;
    int error = io_greet(&greeting);
    if (error) {
        return error;
    }
    *page_size = greeting.page_size;
    session->event_fd = greeting.event_fd;
    session->control = wire_link_from_socket(greeting.control_fd);
    return session->control ? session_start_events(session) : -ENOMEM;
}

static int session_create(struct io_session **out)
{
    uint32_t page_size = 0;
    struct io_session *session = calloc(1, sizeof(*session));
    if (!session) {
        return -ENOMEM;
    }
    session->references = 1;
    session->event_fd = -1;
    io_wake_pool_init(&session->wakes);
    if (!session_in_fork) {
        session->control = wire_local_connect(session_event, session_gone, session, &page_size);
    }
    int error = session->control ? 0 : session_connect(session, &page_size);
    if (error) {
        io_session_put(session);
        return error;
    }
    wire_no_host_note("%s", "");
    if (page_size != vm_page_size && iokit_page_size_set(page_size)) {
        log_warning("iokit", "the host names an odd page size, %u", page_size);
    }
    *out = session;
    return 0;
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

struct io_session *io_session_current(kern_return_t *why)
{
    struct io_session *ended = NULL;
    int error = 0;
    pthread_once(&session_once, session_watch_forks);
    pthread_mutex_lock(&session_lock);
    if (session_current && session_current->is_gone) {
        ended = session_current;
        session_current = NULL;
    }
    if (!session_current) {
        error = session_create(&session_current);
    }
    struct io_session *session = session_current ? io_session_get(session_current) : NULL;
    pthread_mutex_unlock(&session_lock);
    io_session_put(ended);
    *why = error == -ETIMEDOUT ? kIOReturnTimeout
           : error == -ENOMEM  ? kIOReturnNoMemory
                               : kIOReturnNoDevice;
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

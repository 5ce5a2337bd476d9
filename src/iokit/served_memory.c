/*
 * The service thread of served memory, and the ranges it answers for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/served_memory.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/status.h"
#include "base/trace.h"
#include "iokit/session.h"

struct range {
    RB_ENTRY(range) link;
    uint64_t address, bytes;
    const struct iokit_served_ops *ops;
    void *context;
    bool is_in_use;  /* a callback of it is running */
    bool is_leaving; /* no callback is to run any more */
};

RB_HEAD(ranges, range);

struct iokit_served {
    struct io_session *session; /* counted */
    uint64_t channel;
    int fd;
    pid_t process; /* a forked child has the object, but neither thread nor session */
    pthread_t thread;
    pthread_mutex_t lock; /* ranges; never held during a callback or a request */
    pthread_cond_t changed;
    struct ranges ranges;
};

static int range_compare(const struct range *a, const struct range *b)
{
    return a->address < b->address ? -1 : a->address > b->address;
}

/* RB_GENERATE_STATIC, whose spelling of "may be unused" glibc does not have. */
RB_GENERATE_INTERNAL(ranges, range, link, range_compare, __attribute__((unused)) static)

static uint64_t range_reserved_bytes(const struct range *range)
{
    return align_up(range->bytes, (uint64_t)sysconf(_SC_PAGESIZE));
}

/* Requests on the control channel; answered as -errno. */
static int served_ask(struct iokit_served *served, uint16_t type, const uint64_t *words,
                      size_t count, struct wire_message *reply)
{
    struct wire_message request;
    wire_message_init(&request);
    wire_message_reset(&request, type);
    wire_put_bytes(&request, words, count * sizeof(*words));
    kern_return_t status = io_session_request(served->session, &request, reply);
    wire_message_destroy(&request);
    if (status == MACH_SEND_INVALID_DEST || status == MIG_SERVER_DIED) {
        return -ENOTCONN;
    }
    return status ? status_to_errno(status) : 0;
}

static int served_tell(struct iokit_served *served, uint16_t type, const uint64_t *words,
                       size_t count)
{
    struct wire_message reply;
    wire_message_init(&reply);
    int error = served_ask(served, type, words, count, &reply);
    wire_message_destroy(&reply);
    return error;
}

static int served_open(struct iokit_served *served)
{
    struct wire_message reply;
    wire_message_init(&reply);
    int error = served_ask(served, WIRE_MEMORY_OPEN, NULL, 0, &reply);
    if (!error) {
        served->channel = wire_get_u64(&reply);
        served->fd = wire_take_fd(&reply, 0);
        error = wire_is_consumed(&reply) && served->fd >= 0 ? 0 : -EBADMSG;
    }
    wire_message_destroy(&reply);
    return error;
}

/* The service thread. */

/* The range around [address, address + length), marked in use; NULL when there is none. */
static struct range *served_enter(struct iokit_served *served, uint64_t address, uint64_t length)
{
    struct range key = {.address = address};
    pthread_mutex_lock(&served->lock);
    struct range *range = RB_NFIND(ranges, &served->ranges, &key);
    if (!range || range->address != address) {
        range = range ? RB_PREV(ranges, &served->ranges, range) : RB_MAX(ranges, &served->ranges);
    }
    if (range &&
        (range->is_leaving || !range_is_within(address - range->address, length, range->bytes))) {
        range = NULL;
    }
    if (range) {
        range->is_in_use = true;
    }
    pthread_mutex_unlock(&served->lock);
    return range;
}

static void served_leave(struct iokit_served *served, struct range *range)
{
    pthread_mutex_lock(&served->lock);
    range->is_in_use = false;
    pthread_cond_broadcast(&served->changed);
    pthread_mutex_unlock(&served->lock);
}

static int served_call(const struct range *range, struct wire_message *request, uint64_t offset,
                       uint64_t length, struct wire_message *reply)
{
    if (request->header.type == WIRE_MEMORY_WRITE) {
        return range->ops->write(range->context, offset, wire_get_bytes(request, length), length);
    }
    void *space = wire_put_space(reply, length);
    return space ? range->ops->read(range->context, offset, space, length) : -ENOMEM;
}

static void served_answer(struct iokit_served *served, struct wire_message *request,
                          struct wire_message *reply)
{
    int error = -EBADMSG;
    bool is_write = request->header.type == WIRE_MEMORY_WRITE;
    uint64_t address = wire_get_u64(request);
    uint64_t length = wire_get_u64(request);
    wire_message_answer(reply, request);
    trace_set_current_call(request->header.call_id);
    if ((is_write || request->header.type == WIRE_MEMORY_READ) && !request->is_bad && length >= 1 &&
        length <= WIRE_MAX_MEMORY && request->fd_count == 0 &&
        request->length - request->position == (is_write ? length : 0)) {
        struct range *range = served_enter(served, address, length);
        error = -EFAULT;
        if (range) {
            error = served_call(range, request, address - range->address, length, reply);
            served_leave(served, range);
        }
    }
    trace_hop("iokit", "served %s 0x%llx, %llu bytes (%d)", is_write ? "write" : "read",
              (unsigned long long)address, (unsigned long long)length, error);
    trace_set_current_call(0);
    if (error) {
        wire_message_answer(reply, request);
        reply->header.status = status_from_errno(error);
    }
}

static void *served_main(void *opaque)
{
    struct iokit_served *served = opaque;
    struct wire_message request;
    struct wire_message reply;
    int error;
    wire_message_init(&request);
    wire_message_init(&reply);
    while ((error = wire_receive(served->fd, &request)) == 0) {
        served_answer(served, &request, &reply);
        error = wire_send(served->fd, &reply);
        if (error) {
            break;
        }
    }
    shutdown(served->fd, SHUT_RDWR); /* a host that asks on is told */
    log_debug("iokit", "served memory: the service has ended (%d)", error);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return NULL;
}

/* The program's signal handlers run on threads of its own. */
static int served_start(struct iokit_served *served)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&served->thread, NULL, served_main, served);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

/* Also what was never started. */
static void served_free(struct iokit_served *served)
{
    if (served->fd >= 0) {
        close(served->fd);
    }
    io_session_put(served->session);
    pthread_cond_destroy(&served->changed);
    pthread_mutex_destroy(&served->lock);
    free(served);
}

int iokit_served_create(struct iokit_served **out)
{
    *out = NULL;
    struct iokit_served *served = calloc(1, sizeof(*served));
    if (!served) {
        return -ENOMEM;
    }
    served->fd = -1;
    served->process = getpid();
    RB_INIT(&served->ranges);
    pthread_mutex_init(&served->lock, NULL);
    pthread_cond_init(&served->changed, NULL);
    kern_return_t why;
    served->session = io_session_current(&why);
    int error = served->session ? served_open(served) : -ENOTCONN;
    if (!error) {
        error = served_start(served);
        if (error) {
            served_tell(served, WIRE_MEMORY_CLOSE, &served->channel, 1);
        }
    }
    if (error) {
        served_free(served);
        return error;
    }
    *out = served;
    return 0;
}

/* Take it off the table once no callback of it runs; NULL when there is none at address. */
static struct range *range_take(struct iokit_served *served, uint64_t address)
{
    struct range key = {.address = address};
    pthread_mutex_lock(&served->lock);
    struct range *range = RB_FIND(ranges, &served->ranges, &key);
    if (range && range->is_leaving) {
        range = NULL; /* another thread is at it */
    }
    if (range) {
        range->is_leaving = true;
        while (range->is_in_use) {
            pthread_cond_wait(&served->changed, &served->lock);
        }
        RB_REMOVE(ranges, &served->ranges, range);
    }
    pthread_mutex_unlock(&served->lock);
    return range;
}

static void range_free(struct range *range)
{
    munmap((void *)(uintptr_t)range->address, range_reserved_bytes(range));
    free(range);
}

static struct range *range_create(uint64_t bytes, const struct iokit_served_ops *ops, void *context)
{
    struct range *range = calloc(1, sizeof(*range));
    if (!range) {
        return NULL;
    }
    *range = (struct range){.bytes = bytes, .ops = ops, .context = context};
    void *place = mmap(NULL, range_reserved_bytes(range), PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) {
        free(range);
        return NULL;
    }
    range->address = (uintptr_t)place;
    return range;
}

int iokit_served_add(struct iokit_served *served, uint64_t bytes,
                     const struct iokit_served_ops *ops, void *context, uint64_t *address)
{
    if (bytes == 0 || bytes > INT64_MAX) {
        return -EINVAL;
    }
    struct range *range = range_create(bytes, ops, context);
    if (!range) {
        return -ENOMEM;
    }
    const uint64_t words[3] = {served->channel, range->address, bytes};
    pthread_mutex_lock(&served->lock);
    RB_INSERT(ranges, &served->ranges, range);
    pthread_mutex_unlock(&served->lock);
    int error = served_tell(served, WIRE_MEMORY_SERVE, words, 3);
    if (error) {
        range_free(range_take(served, words[1]));
        return error == -ENOENT ? -ENOTCONN : error;
    }
    *address = words[1];
    return 0;
}

int iokit_served_remove(struct iokit_served *served, uint64_t address)
{
    struct range *range = range_take(served, address);
    if (!range) {
        return -ENOENT;
    }
    served_tell(served, WIRE_MEMORY_WITHDRAW, &address, 1);
    range_free(range);
    return 0;
}

void iokit_served_destroy(struct iokit_served *served)
{
    struct range *range;
    if (!served) {
        return;
    }
    if (served->process == getpid()) {
        served_tell(served, WIRE_MEMORY_CLOSE, &served->channel, 1);
        shutdown(served->fd, SHUT_RDWR);
        pthread_join(served->thread, NULL);
    }
    while ((range = RB_MIN(ranges, &served->ranges)) != NULL) {
        RB_REMOVE(ranges, &served->ranges, range);
        range_free(range);
    }
    served_free(served);
}

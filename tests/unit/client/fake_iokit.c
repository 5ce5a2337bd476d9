/*
 * A scripted IOKit: connections, calls, mappings, notification ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dispatch/dispatch.h>
#include <mach/mach.h>

#include "fake_iokit.h"
#include "fake_watch.h"

struct fake fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static atomic_uint_fast64_t slept_ns;
static atomic_uint_fast64_t stopped_ns; /* 0: it goes on */

#define HANG_NS UINT64_C(60000000000) /* longer than any deadline of the client */

struct IONotificationPort {
    atomic_int references;
    atomic_bool is_destroyed;
    dispatch_queue_t queue;
};

/* ---- Time ---- */

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int result = __real_clock_gettime(clock, out);

    if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) {
        uint64_t ns = atomic_load(&stopped_ns);
        ns = ns ? ns : (uint64_t)out->tv_sec * 1000000000 + (uint64_t)out->tv_nsec;
        ns += atomic_load(&slept_ns);
        out->tv_sec = (time_t)(ns / 1000000000);
        out->tv_nsec = (long)(ns % 1000000000);
    }
    return result;
}

void fake_stop_time(void)
{
    struct timespec now;

    __real_clock_gettime(CLOCK_MONOTONIC, &now);
    atomic_store(&stopped_ns, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
}

void fake_start_time(void)
{
    atomic_store(&stopped_ns, 0);
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    atomic_fetch_add(&slept_ns, (uint64_t)wanted->tv_sec * 1000000000 + (uint64_t)wanted->tv_nsec);
    return 0;
}

/* ---- Scripts ---- */

static void reply_append(uint32_t selector, struct fake_reply reply)
{
    pthread_mutex_lock(&fake.lock);
    fake.script[selector][fake.script_length[selector]++] = reply;
    pthread_mutex_unlock(&fake.lock);
}

void fake_script(enum dext_selector selector, struct fake_reply reply)
{
    reply_append((uint32_t)selector, reply);
}

void fake_script_value(enum dext_selector selector, uint64_t value)
{
    reply_append((uint32_t)selector, (struct fake_reply){.values = {value}});
}

void fake_script_status(enum dext_selector selector, kern_return_t status)
{
    reply_append((uint32_t)selector, (struct fake_reply){.status = status});
}

void fake_unscript(enum dext_selector selector)
{
    pthread_mutex_lock(&fake.lock);
    fake.script_length[selector] = fake.script_next[selector] = 0;
    pthread_mutex_unlock(&fake.lock);
}

unsigned fake_calls_of(enum dext_selector selector)
{
    unsigned count = 0;

    pthread_mutex_lock(&fake.lock);
    for (unsigned i = 0; i < fake.call_count && i < FAKE_CALLS; i++) {
        count += fake.calls[i].selector == (uint32_t)selector;
    }
    pthread_mutex_unlock(&fake.lock);
    return count;
}

struct fake_call fake_call_at(enum dext_selector selector, unsigned index)
{
    for (unsigned i = 0; i < fake.call_count && i < FAKE_CALLS; i++) {
        if (fake.calls[i].selector == (uint32_t)selector && index-- == 0) {
            return fake.calls[i];
        }
    }
    fail_msg("selector %d was not called so often", (int)selector);
    return (struct fake_call){0};
}

/* ---- Connections ---- */

static bool port_is_valid(io_connect_t port)
{
    return port >= FAKE_FIRST_PORT && port - FAKE_FIRST_PORT < fake.ports &&
           fake.port_is_open[port - FAKE_FIRST_PORT];
}

static void hang_while(const bool *is_hanging)
{
    if (*is_hanging && fake.is_hanging) {
        atomic_fetch_add(&slept_ns, HANG_NS);
    }
    while (*is_hanging && fake.is_hanging) {
        pthread_cond_wait(&fake.changed, &fake.lock);
    }
}

void fake_release_hangs(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.is_hanging = false;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

kern_return_t IOServiceOpen(io_service_t service, task_port_t owningTask, uint32_t type,
                            io_connect_t *connect)
{
    kern_return_t status;

    pthread_mutex_lock(&fake.lock);
    struct fake_entry *entry = &fake.entries[service - FAKE_FIRST_ENTRY];
    entry->opens++;
    hang_while(&entry->open_hangs);
    status = owningTask != mach_task_self() ? kIOReturnBadArgument
             : type != 0                    ? kIOReturnUnsupported
                                            : entry->open_status;
    if (status == kIOReturnSuccess) {
        fake.port_entry[fake.ports] = (int)(service - FAKE_FIRST_ENTRY);
        fake.port_is_open[fake.ports] = true;
        *connect = FAKE_FIRST_PORT + fake.ports++;
    }
    pthread_mutex_unlock(&fake.lock);
    return status;
}

kern_return_t IOServiceClose(io_connect_t connect)
{
    kern_return_t status = MACH_SEND_INVALID_DEST;

    pthread_mutex_lock(&fake.lock);
    if (port_is_valid(connect)) {
        fake.port_is_open[connect - FAKE_FIRST_PORT] = false;
        for (unsigned type = 0; type < 8; type++) {
            fake.memory[type].is_mapped = false;
        }
        status = kIOReturnSuccess;
    }
    pthread_mutex_unlock(&fake.lock);
    return status;
}

static void config_copy(uint64_t offset, uint64_t width, uint64_t *value, bool is_write)
{
    for (uint64_t i = 0; i < width; i++) {
        if (is_write) {
            fake.config[offset + i] = (uint8_t)(*value >> (8 * i));
        } else {
            *value |= (uint64_t)fake.config[offset + i] << (8 * i);
        }
    }
}

/* What the device answers while nothing is scripted. */
static kern_return_t default_reply(io_connect_t port, uint32_t selector, const uint64_t *in,
                                   uint64_t *out)
{
    switch (selector) {
    case DEXT_SEL_GET_IDENTITY:
        memcpy(out, fake.entries[fake.port_entry[port - FAKE_FIRST_PORT]].identity, 6 * 8);
        return kIOReturnSuccess;
    case DEXT_SEL_CONFIG_READ:
        config_copy(in[0], in[1], &out[0], false);
        return kIOReturnSuccess;
    case DEXT_SEL_CONFIG_WRITE: {
        uint64_t value = in[2];
        config_copy(in[0], in[1], &value, true);
        return kIOReturnSuccess;
    }
    case DEXT_SEL_GET_BAR_INFO:
        memcpy(out, fake.bars[in[0]].values, sizeof(fake.bars[0].values));
        return fake.bars[in[0]].status;
    case DEXT_SEL_MMIO_READ:
        out[0] = fake.mmio_value;
        return kIOReturnSuccess;
    case DEXT_SEL_CHECK_INTERRUPT:
        memcpy(out, fake.pending, sizeof(fake.pending));
        memset(fake.pending, 0, sizeof(fake.pending));
        return kIOReturnSuccess;
    default:
        return selector < 18 ? kIOReturnSuccess : kIOReturnUnsupported;
    }
}

static kern_return_t reply_to(io_connect_t port, uint32_t selector, const uint64_t *in,
                              uint64_t *out, uint32_t *count)
{
    unsigned length = fake.script_length[selector];

    if (length == 0) {
        return default_reply(port, selector, in, out);
    }
    const struct fake_reply *reply = &fake.script[selector][fake.script_next[selector]];
    if (fake.script_next[selector] + 1 < length) {
        fake.script_next[selector]++;
    }
    if (reply->hangs) {
        atomic_fetch_add(&slept_ns, HANG_NS);
    }
    if (reply->status != kIOReturnSuccess) {
        return reply->status;
    }
    if (reply->is_short) {
        *count = reply->count;
    }
    memcpy(out, reply->values, *count * sizeof(*out));
    return kIOReturnSuccess;
}

kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input,
                                  uint32_t inputCnt, const void *inputStruct, size_t inputStructCnt,
                                  uint64_t *output, uint32_t *outputCnt, void *outputStruct,
                                  size_t *outputStructCnt)
{
    uint64_t out[FAKE_SCALARS] = {0};
    uint32_t count = outputCnt != NULL ? *outputCnt : 0;
    kern_return_t status = MACH_SEND_INVALID_DEST;

    pthread_mutex_lock(&fake.lock);
    struct fake_call *call = &fake.calls[fake.call_count++ % FAKE_CALLS];
    *call = (struct fake_call){.port = connection,
                               .selector = selector,
                               .in_count = inputCnt,
                               .out_capacity = count,
                               .struct_in_bytes = inputStructCnt};
    if (inputCnt > 0) {
        memcpy(call->in, input, inputCnt * sizeof(*input));
    }
    if (port_is_valid(connection)) {
        hang_while(&fake.entries[fake.port_entry[connection - FAKE_FIRST_PORT]].call_hangs);
        status = (inputStructCnt > 0 || outputStruct != NULL) && fake.structure_fn
                     ? fake.structure_fn(selector, input, inputStruct, inputStructCnt, out,
                                         outputStruct, outputStructCnt)
                     : reply_to(connection, selector, input, out, &count);
    }
    pthread_mutex_unlock(&fake.lock);
    if (status == kIOReturnSuccess && outputCnt != NULL) {
        memcpy(output, out, (count < *outputCnt ? count : *outputCnt) * sizeof(*out));
        *outputCnt = count;
    }
    return status;
}

kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector,
                                        const uint64_t *input, uint32_t inputCnt, uint64_t *output,
                                        uint32_t *outputCnt)
{
    return IOConnectCallMethod(connection, selector, input, inputCnt, NULL, 0, output, outputCnt,
                               NULL, NULL);
}

/* ---- Mappings: one a type, as IOKit keeps them ---- */

kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t memoryType, task_port_t intoTask,
                                   mach_vm_address_t *atAddress, mach_vm_size_t *ofSize,
                                   IOOptionBits options)
{
    kern_return_t status = MACH_SEND_INVALID_DEST;

    pthread_mutex_lock(&fake.lock);
    if (port_is_valid(connect)) {
        struct fake_memory *memory = &fake.memory[memoryType];
        bool is_bad = intoTask != mach_task_self() || (options & kIOMapAnywhere) == 0;
        status = is_bad ? kIOReturnBadArgument : memory->map_status;
        memory->maps++;
        memory->options = options;
        if (status == kIOReturnSuccess) {
            memory->is_mapped = true;
            *atAddress = memory->address;
            *ofSize = memory->bytes;
        }
    }
    pthread_mutex_unlock(&fake.lock);
    return status;
}

kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t memoryType,
                                     task_port_t fromTask, mach_vm_address_t atAddress)
{
    kern_return_t status = MACH_SEND_INVALID_DEST;

    (void)atAddress; /* IOKit ignores it too */
    pthread_mutex_lock(&fake.lock);
    if (port_is_valid(connect)) {
        struct fake_memory *memory = &fake.memory[memoryType];
        memory->unmaps++;
        status = fromTask != mach_task_self() || !memory->is_mapped ? kIOReturnBadArgument
                                                                    : memory->unmap_status;
        if (status == kIOReturnSuccess) {
            memory->is_mapped = false;
        }
    }
    pthread_mutex_unlock(&fake.lock);
    return status;
}

/* ---- Asynchronous completions ---- */

static void port_drop(struct IONotificationPort *port)
{
    if (atomic_fetch_sub(&port->references, 1) == 1) {
        if (port->queue != NULL) {
            dispatch_release(port->queue);
        }
        free(port);
        pthread_mutex_lock(&fake.lock);
        fake.notification_ports--;
        pthread_mutex_unlock(&fake.lock);
    }
}

IONotificationPortRef IONotificationPortCreate(mach_port_t mainPort)
{
    struct IONotificationPort *port = calloc(1, sizeof(*port));

    (void)mainPort;
    if (port != NULL) {
        atomic_init(&port->references, 1);
        atomic_init(&port->is_destroyed, false);
        pthread_mutex_lock(&fake.lock);
        fake.notification_ports++;
        pthread_mutex_unlock(&fake.lock);
    }
    return port;
}

void IONotificationPortSetDispatchQueue(IONotificationPortRef notify, dispatch_queue_t queue)
{
    dispatch_retain(queue);
    notify->queue = queue;
}

/* The newest port made; the fake needs no names for ports. */
static struct IONotificationPort *wake_port_of(mach_port_t name);

static struct IONotificationPort *ports_by_name[4096];
static unsigned port_names;

static struct IONotificationPort *wake_port_of(mach_port_t name)
{
    return ports_by_name[name % 4096];
}

mach_port_t IONotificationPortGetMachPort(IONotificationPortRef notify)
{
    pthread_mutex_lock(&fake.lock);
    unsigned name = ++port_names;
    ports_by_name[name % 4096] = notify;
    pthread_mutex_unlock(&fake.lock);
    return name;
}

void IONotificationPortDestroy(IONotificationPortRef notify)
{
    pthread_mutex_lock(&fake.lock);
    atomic_store(&notify->is_destroyed, true);
    fake_watch_port_destroyed(notify);
    if (fake.has_waiter && fake.waiter_port == notify) {
        fake.has_waiter = false;
    }
    pthread_mutex_unlock(&fake.lock);
    port_drop(notify);
}

struct completion {
    struct IONotificationPort *port;
    IOAsyncCallback0 callback;
    void *refcon;
};

/* As IOKit does: a message for a destroyed port is dropped, and destroy waits for nothing. */
static void deliver(void *opaque)
{
    struct completion *completion = opaque;

    if (!atomic_load(&completion->port->is_destroyed)) {
        completion->callback(completion->refcon, kIOReturnSuccess);
    }
    port_drop(completion->port);
    free(completion);
}

static void complete_if_pending(void)
{
    if (!fake.has_waiter ||
        (fake.pending[0] | fake.pending[1] | fake.pending[2] | fake.pending[3]) == 0) {
        return;
    }
    struct completion *completion = malloc(sizeof(*completion));
    if (completion == NULL) {
        return;
    }
    fake.has_waiter = false;
    completion->port = fake.waiter_port;
    completion->callback =
        (IOAsyncCallback0)(uintptr_t)fake.waiter_reference[kIOAsyncCalloutFuncIndex];
    completion->refcon = (void *)(uintptr_t)fake.waiter_reference[kIOAsyncCalloutRefconIndex];
    atomic_fetch_add(&completion->port->references, 1);
    dispatch_async_f(completion->port->queue, completion, deliver);
}

void fake_raise(unsigned word, uint64_t bits)
{
    pthread_mutex_lock(&fake.lock);
    fake.pending[word] |= bits;
    complete_if_pending();
    pthread_mutex_unlock(&fake.lock);
}

kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector,
                                             mach_port_t wake_port, uint64_t *reference,
                                             uint32_t referenceCnt, const uint64_t *input,
                                             uint32_t inputCnt, uint64_t *output,
                                             uint32_t *outputCnt)
{
    kern_return_t status = MACH_SEND_INVALID_DEST;

    (void)input;
    (void)output;
    pthread_mutex_lock(&fake.lock);
    if (port_is_valid(connection)) {
        bool is_bad = selector != DEXT_SEL_WAIT_INTERRUPT || wake_port == MACH_PORT_NULL ||
                      referenceCnt != kIOAsyncCalloutCount || inputCnt != 0 || outputCnt != NULL;
        status = is_bad ? kIOReturnBadArgument : fake.wait_status;
        fake.waits++;
        if (status == kIOReturnSuccess) {
            fake.has_waiter = true;
            fake.waiter_port = wake_port_of(wake_port);
            memcpy(fake.waiter_reference, reference, referenceCnt * sizeof(*reference));
            complete_if_pending();
        }
    }
    pthread_mutex_unlock(&fake.lock);
    return status;
}

/* ---- Other messages ---- */

struct fake_post {
    struct IONotificationPort *port;
    void (*run)(void *context);
    void (*drop)(void *context);
    void *context;
};

static void run_post(void *opaque)
{
    struct fake_post *post = opaque;

    if (!atomic_load(&post->port->is_destroyed)) {
        post->run(post->context);
    }
    post->drop(post->context);
    port_drop(post->port);
    free(post);
}

void fake_port_post(IONotificationPortRef port, void (*run)(void *context),
                    void (*drop)(void *context), void *context)
{
    struct fake_post *post = malloc(sizeof(*post));

    if (post == NULL) {
        drop(context);
        return;
    }
    *post = (struct fake_post){port, run, drop, context};
    atomic_fetch_add(&port->references, 1);
    dispatch_async_f(port->queue, post, run_post);
}

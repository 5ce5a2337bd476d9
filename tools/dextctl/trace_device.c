/*
 * Following the calls of devices: each driver's record is read again and again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "trace_device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "embedded.h"
#include "instance.h"
#include "output.h"
#include "session.h"
#include "ticker.h"
#include "trace_record.h"

#define LOOK_S       0.01                        /* while little happens */
#define MUCH         (APPLE_DEXT_CALLS_KEPT / 4) /* look again at once */
#define ROUNDS_MAX   64                          /* then see whether it is to end */
#define FOLLOWED_MAX 64

struct followed {
    struct session session; /* no connection: over */
    char name[INSTANCE_TEXT_BYTES + ADDRESS_ROOT_BYTES];
    uint64_t cursor;
    uint64_t lost; /* not told yet */
};

struct follower {
    const struct options *options;
    struct followed devices[FOLLOWED_MAX];
    size_t count;
    bool prints; /* each call as it comes */
    bool has_origin;
    uint64_t origin_ns;
    struct trace_records records;
    AppleDextCall calls[APPLE_DEXT_CALLS_KEPT];
};

bool trace_is_device(const char *argument)
{
    struct address address;
    return (address_parse(argument, &address) || address_is_name(argument)) &&
           access(argument, F_OK) != 0;
}

static bool is_open(const struct followed *device)
{
    return device->session.connection != IO_OBJECT_NULL;
}

static void take(struct follower *follower, const struct trace_record *record)
{
    if (!follower->has_origin) {
        follower->has_origin = true;
        follower->origin_ns = record->call.start_ns;
    }
    if (follower->prints) {
        trace_record_print(stdout, record, follower->origin_ns, follower->options->json);
    } else {
        trace_records_add(&follower->records, record);
    }
}

/* What this program did itself is not what anybody asks for. */
static bool is_wanted(const struct follower *follower, const AppleDextCall *call)
{
    return call->process != (uint32_t)getpid() && (!(follower->options->given & OPTION_CLIENT) ||
                                                   call->process == follower->options->client);
}

/* A gap has no time of its own: the call behind it says where it is. */
static void take_all(struct follower *follower, struct followed *device, size_t count)
{
    if (device->lost && count) {
        take(follower, &(struct trace_record){.call = follower->calls[0],
                                              .lost = device->lost,
                                              .device = device->name});
        device->lost = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(follower, &follower->calls[i])) {
            take(follower,
                 &(struct trace_record){.call = follower->calls[i], .device = device->name});
        }
    }
}

static kern_return_t read_once(struct follower *follower, struct followed *device, size_t *count)
{
    uint64_t lost;
    uint64_t from = device->cursor;

    *count = APPLE_DEXT_CALLS_KEPT;
    kern_return_t code = apple_dext_read_calls(device->session.connection, &device->cursor,
                                               follower->calls, count, &lost);
    if (code == KERN_SUCCESS) {
        /* What was before the record began is no loss. */
        device->lost += from == 0 ? 0 : lost;
        take_all(follower, device, *count);
    }
    return code;
}

/* Read what there is; a driver that is gone is left. */
static void read_device(struct follower *follower, struct followed *device)
{
    size_t count = APPLE_DEXT_CALLS_KEPT;

    for (int i = 0; i < ROUNDS_MAX && count >= MUCH && is_open(device); i++) {
        kern_return_t code = read_once(follower, device, &count);
        if (code != KERN_SUCCESS) {
            fprintf(stderr, "dextctl: %s: its calls end here: %s\n", device->name, code_text(code));
            session_close(&device->session);
        }
    }
}

static bool read_devices(struct follower *follower)
{
    bool any = false;
    for (size_t i = 0; i < follower->count; i++) {
        read_device(follower, &follower->devices[i]);
        any = any || is_open(&follower->devices[i]);
    }
    fflush(stdout);
    return any;
}

/* Find the place to begin at; a driver without a record is said to be one. */
static int begin(struct follower *follower, struct followed *device)
{
    uint64_t lost;
    size_t count = 1;

    device->cursor = APPLE_DEXT_CALLS_NEW;
    kern_return_t code = apple_dext_read_calls(device->session.connection, &device->cursor,
                                               follower->calls, &count, &lost);
    if (code == KERN_SUCCESS) {
        if (follower->options->given & OPTION_RECENT) {
            device->cursor = 0;
        }
        return STATUS_OK;
    }
    int status =
        code == kIOReturnUnsupported
            ? failure(device->name, "this driver keeps no record of calls, as the real one keeps "
                                    "none; dextctl trace -- COMMAND shows a program's own")
            : session_failure(&device->session, code, "cannot read its calls");
    session_close(&device->session);
    return status;
}

static int add_device(struct follower *follower, const char *address)
{
    if (follower->count == FOLLOWED_MAX) {
        return usage_error("trace: at most %d devices", FOLLOWED_MAX);
    }
    struct followed *device = &follower->devices[follower->count];
    snprintf(device->name, sizeof(device->name), "%s", address);
    int status = session_open(&device->session, device->name, SESSION_LOOK);
    if (status == STATUS_OK) {
        follower->count++;
        status = begin(follower, device);
    }
    return status;
}

/* With its root where another has the same address. */
static void name_device(const AppleDextInstance *instance, const AppleDextInstance *all,
                        size_t count, char *name, size_t bytes)
{
    char address[INSTANCE_TEXT_BYTES];
    char other[INSTANCE_TEXT_BYTES];
    size_t same = 0;

    instance_address_text(instance, address);
    for (size_t i = 0; i < count; i++) {
        same += strcmp(instance_address_text(&all[i], other), address) == 0;
    }
    snprintf(name, bytes, "%s%s%s", same > 1 ? instance->root : "", same > 1 ? "/" : "", address);
}

/* All there are. One that keeps no record is told of; the others are followed. */
static int add_all(struct follower *follower)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;
    bool any = false;

    kern_return_t code = apple_dext_list(&instances, &count);
    if (code != KERN_SUCCESS) {
        return list_failure(code);
    }
    if (count == 0) {
        return failure(NULL, "%s", embedded_hint());
    }
    for (size_t i = 0; i < count; i++) {
        char name[INSTANCE_TEXT_BYTES + ADDRESS_ROOT_BYTES];
        if (instances[i].has_address) {
            name_device(&instances[i], instances, count, name, sizeof(name));
            any = add_device(follower, name) == STATUS_OK || any;
        }
    }
    apple_dext_free_list(instances);
    return any ? STATUS_OK : STATUS_FAILED;
}

static int report(struct follower *follower)
{
    const struct options *options = follower->options;
    const struct trace_extent extent = {"records", follower->records.calls, follower->records.lost};
    struct trace_spans spans;
    int status = STATUS_OK;

    if (extent.lost) {
        fprintf(stderr,
                "dextctl: %zu calls were lost: they came faster than they were read, or "
                "are more than are kept\n",
                extent.lost);
    }
    if (options->given & OPTION_SUMMARY) {
        if (!trace_records_spans(&follower->records, &spans)) {
            return failure(NULL, "out of memory");
        }
        trace_print_summary(stdout, &extent, &spans, options->json);
        trace_spans_clear(&spans);
    }
    if (options->output) {
        int error = trace_records_export(options->output, &follower->records);
        status = error ? failure(options->output, "%s", strerror(-error)) : STATUS_OK;
    }
    return status;
}

/* --recent alone is what there is; anything else goes on until it is ended. */
static void follow(struct follower *follower)
{
    const struct options *options = follower->options;
    bool goes_on =
        !(options->given & OPTION_RECENT) || (options->given & (OPTION_FOLLOW | OPTION_SECONDS));
    struct ticker ticker;

    if (!goes_on) {
        read_devices(follower);
        return;
    }
    ticker_begin(&ticker, options, LOOK_S);
    while (ticker_next(&ticker) && read_devices(follower)) {
    }
    ticker_end(&ticker);
    read_devices(follower); /* what came since the last look */
}

int trace_devices(const struct options *options, int count, char **arguments)
{
    struct follower *follower = calloc(1, sizeof(*follower));
    int status = STATUS_OK;

    if (!follower) {
        return failure(NULL, "out of memory");
    }
    follower->options = options;
    follower->prints = !options->output && !(options->given & OPTION_SUMMARY);
    for (int i = 0; i < count && status == STATUS_OK; i++) {
        status = add_device(follower, arguments[i]);
    }
    if (count == 0) {
        status = add_all(follower);
    }
    if (status == STATUS_OK) {
        follow(follower);
        status = report(follower);
    }
    for (size_t i = 0; i < follower->count; i++) {
        session_close(&follower->devices[i].session);
    }
    trace_records_clear(&follower->records);
    free(follower);
    return status;
}

/*
 * The monitor's samples: by the calls that need no claim and touch no device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor.h"

#include <mach/mig_errors.h>
#include <string.h>

static struct monitor_device *find(struct monitor *monitor, const AppleDextInstance *instance)
{
    for (size_t i = 0; i < monitor->count; i++) {
        struct monitor_device *device = &monitor->devices[i];
        if (!device->is_gone && device->instance.entry_id == instance->entry_id &&
            strcmp(device->instance.name, instance->name) == 0) {
            return device;
        }
    }
    return NULL;
}

static void close_device(struct monitor_device *device)
{
    if (device->connection != IO_OBJECT_NULL) {
        apple_dext_disconnect(device->connection);
        device->connection = IO_OBJECT_NULL;
    }
}

static void open_device(struct monitor_device *device)
{
    const AppleDextInstance *it = &device->instance;
    device->connection =
        it->has_address
            ? apple_dext_connect_with_root(it->bus, it->device, it->function, it->root, NULL)
            : IO_OBJECT_NULL;
    device->samples = 0;
    if (device->connection != IO_OBJECT_NULL) {
        apple_dext_get_capabilities(device->connection, &device->limits);
    }
}

/* The place of one that has gone, when it comes back; else a new one, or that of any gone. */
static struct monitor_device *place_for(struct monitor *monitor, const AppleDextInstance *instance)
{
    struct monitor_device *gone = NULL;
    for (size_t i = 0; i < monitor->count; i++) {
        struct monitor_device *device = &monitor->devices[i];
        if (device->is_gone && strcmp(device->instance.name, instance->name) == 0) {
            return device;
        }
        gone = device->is_gone ? device : gone;
    }
    return monitor->count < MONITOR_DEVICES_MAX ? &monitor->devices[monitor->count++] : gone;
}

static void update_devices(struct monitor *monitor, const AppleDextInstance *instances,
                           size_t count)
{
    bool is_there[MONITOR_DEVICES_MAX] = {false};
    for (size_t i = 0; i < count; i++) {
        struct monitor_device *device = find(monitor, &instances[i]);
        if (!device && (device = place_for(monitor, &instances[i])) != NULL) {
            *device = (struct monitor_device){.instance = instances[i]};
            open_device(device);
        } else if (device && device->connection == IO_OBJECT_NULL) {
            open_device(device);
        }
        if (device) {
            is_there[device - monitor->devices] = true;
        }
    }
    for (size_t i = 0; i < monitor->count; i++) {
        if (!is_there[i]) {
            monitor->devices[i].is_gone = true;
            close_device(&monitor->devices[i]);
        }
    }
}

static void sample(struct monitor_device *device)
{
    struct monitor_sample *now = &device->now;

    device->before = *now;
    *now = (struct monitor_sample){.time_ms = now_ms()};
    now->code = apple_dext_get_statistics(device->connection, &now->statistics);
    now->has_statistics = now->code == KERN_SUCCESS;
    now->has_state = apple_dext_get_device_state(device->connection, &now->state) == KERN_SUCCESS;
    now->has_counts = true;
    for (unsigned int first = 0; first < MONITOR_SELECTORS; first += APPLE_DEXT_CALL_COUNTS) {
        now->has_counts =
            now->has_counts && apple_dext_get_call_counts(device->connection, first,
                                                          now->counts + first) == KERN_SUCCESS;
    }
    if (!now->has_statistics && now->code != kIOReturnUnsupported) {
        close_device(device); /* its driver ended: the next look finds a new one, or none */
    }
    device->samples++;
}

kern_return_t monitor_look(struct monitor *monitor)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;
    kern_return_t code = apple_dext_list(&instances, &count);

    /* A host that ends while it is asked has no devices; the next look finds what is there then. */
    if (code != KERN_SUCCESS && code != MACH_SEND_INVALID_DEST && code != MIG_SERVER_DIED) {
        return code;
    }
    update_devices(monitor, instances, count);
    apple_dext_free_list(instances);
    for (size_t i = 0; i < monitor->count; i++) {
        if (monitor->devices[i].connection != IO_OBJECT_NULL) {
            sample(&monitor->devices[i]);
        }
    }
    return KERN_SUCCESS;
}

void monitor_close(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->count; i++) {
        close_device(&monitor->devices[i]);
    }
}

double monitor_rate(const struct monitor_device *device, uint64_t before, uint64_t now)
{
    double ms = device->now.time_ms - device->before.time_ms;
    return device->samples < 2 || now < before || ms <= 0 ? 0 : (double)(now - before) * 1e3 / ms;
}

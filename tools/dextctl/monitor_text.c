/*
 * The monitor's lines: five a device, and what a driver does not tell is said.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "capability.h"
#include "monitor.h"
#include "trace.h"

#define GAUGE_WIDTH 20

struct page {
    char (*lines)[MONITOR_LINE_BYTES];
    size_t count;
};

/* Append to the line that is being written. */
static void add(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct page *page, const char *format, ...)
{
    char *line = page->lines[page->count];
    size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, MONITOR_LINE_BYTES - used, format, arguments);
    va_end(arguments);
}

static void end_line(struct page *page)
{
    page->count++;
}

static const char *state_text(const struct monitor_device *device)
{
    static const char *const texts[] = {"present", "removed", "resetting"};
    if (device->is_gone) {
        return "gone";
    }
    if (device->connection == IO_OBJECT_NULL) {
        return "cannot be opened";
    }
    return device->now.has_state && (unsigned int)device->now.state.presence < 3
               ? texts[device->now.state.presence]
               : "state unknown";
}

static uint64_t calls_of_clients(const struct monitor_sample *sample)
{
    uint64_t sum = 0;
    for (unsigned int i = 0; i < MONITOR_SELECTORS; i++) {
        sum += sample->counts[i];
    }
    return sum;
}

static void add_calls(struct page *page, const struct monitor_device *device)
{
    const struct monitor_sample *now = &device->now;
    const struct monitor_sample *before = &device->before;
    char name[TRACE_NAME_BYTES];

    if (!now->has_counts) {
        add(page, "  calls    this driver does not count them");
        end_line(page);
        return;
    }
    add(page, "  calls    %10.1f/s",
        monitor_rate(device, calls_of_clients(before), calls_of_clients(now)));
    for (unsigned int i = 0; i < MONITOR_SELECTORS; i++) {
        double rate = monitor_rate(device, before->counts[i], now->counts[i]);
        if (rate > 0) {
            add(page, "  %s %.1f", trace_selector_name(i, name), rate);
        }
    }
    end_line(page);
}

static void add_dma(struct page *page, const struct monitor_device *device)
{
    const AppleDextStatistics *now = &device->now.statistics;
    uint64_t budget = device->limits.aperture_bytes;
    double part = budget ? (double)now->live_bytes / (double)budget : 0;
    int filled = (int)(part * GAUGE_WIDTH + 0.5);
    char live[SIZE_TEXT_BYTES];
    char all[SIZE_TEXT_BYTES];

    filled = filled > GAUGE_WIDTH ? GAUGE_WIDTH : filled;
    add(page, "  dma      %10" PRIu64 " regions  %s of %s [%.*s%.*s] %.0f%%", now->live_regions,
        size_text(now->live_bytes, live), size_text(budget, all), filled, "####################",
        GAUGE_WIDTH - filled, "....................", part * 100);
    end_line(page);
}

static void add_counters(struct page *page, const struct monitor_device *device)
{
    const AppleDextStatistics *now = &device->now.statistics;
    const AppleDextStatistics *before = &device->before.statistics;

    if (!device->now.has_statistics) {
        add(page, "  irq      this driver keeps no statistics: interrupts, DMA and faults unknown");
        end_line(page);
        return;
    }
    add(page, "  irq      %10.1f/s  dropped %.1f/s  (%" PRIu64 " of %" PRIu64 " delivered)",
        monitor_rate(device, before->irqs_delivered, now->irqs_delivered),
        monitor_rate(device, before->irqs_dropped, now->irqs_dropped), now->irqs_delivered,
        now->irqs_raised);
    end_line(page);
    add_dma(page, device);
    add(page, "  faults   %10" PRIu64, now->faults);
    if (now->faults && device->now.has_state) {
        add(page, "  the last at 0x%" PRIx64, device->now.state.last_fault);
    }
    end_line(page);
}

static void add_device(struct page *page, const struct monitor_device *device)
{
    const AppleDextInstance *instance = &device->instance;
    char address[INSTANCE_TEXT_BYTES];
    char ids[INSTANCE_TEXT_BYTES];

    add(page, "%s/%s  %s  %s", instance->root, instance_address_text(instance, address),
        instance_ids_text(instance, ids), state_text(device));
    if (device->now.has_statistics) {
        add(page, "  %" PRIu64 " claim%s", device->now.statistics.claims,
            device->now.statistics.claims == 1 ? "" : "s");
    }
    if (device->now.has_state && device->now.state.link_width) {
        add(page, "  link %" PRIu64 " x%" PRIu64, device->now.state.link_speed,
            device->now.state.link_width);
    }
    end_line(page);
    if (!device->is_gone && device->connection != IO_OBJECT_NULL) {
        add_calls(page, device);
        add_counters(page, device);
    }
}

size_t monitor_text(const struct monitor *monitor,
                    char lines[MONITOR_LINES_MAX][MONITOR_LINE_BYTES])
{
    struct page page = {.lines = lines};

    memset(lines, 0, sizeof(lines[0]) * MONITOR_LINES_MAX);
    for (size_t i = 0; i < monitor->count; i++) {
        add_device(&page, &monitor->devices[i]);
    }
    if (monitor->count == 0) {
        add(&page, "no devices");
        end_line(&page);
    }
    return page.count;
}

static void add_rate(json_object *object, const char *key, double rate)
{
    char text[40];
    snprintf(text, sizeof(text), "%.3f", rate);
    json_object_object_add(object, key, json_object_new_double_s(rate, text));
}

static json_object *statistics_json(const struct monitor_device *device)
{
    const AppleDextStatistics *now = &device->now.statistics;
    const AppleDextStatistics *before = &device->before.statistics;
    json_object *object = json_object_new_object();

    json_add_number(object, "claims", now->claims);
    add_rate(object, "irqs_per_s",
             monitor_rate(device, before->irqs_delivered, now->irqs_delivered));
    add_rate(object, "irqs_dropped_per_s",
             monitor_rate(device, before->irqs_dropped, now->irqs_dropped));
    json_add_number(object, "dma_regions", now->live_regions);
    json_add_number(object, "dma_bytes", now->live_bytes);
    json_add_number(object, "dma_budget_bytes", device->limits.aperture_bytes);
    json_add_number(object, "faults", now->faults);
    return object;
}

static json_object *calls_json(const struct monitor_device *device)
{
    json_object *object = json_object_new_object();
    char name[TRACE_NAME_BYTES];
    for (unsigned int i = 0; i < MONITOR_SELECTORS; i++) {
        double rate = monitor_rate(device, device->before.counts[i], device->now.counts[i]);
        if (rate > 0) {
            add_rate(object, trace_selector_name(i, name), rate);
        }
    }
    return object;
}

json_object *monitor_json(const struct monitor *monitor)
{
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < monitor->count; i++) {
        const struct monitor_device *device = &monitor->devices[i];
        bool is_open = !device->is_gone && device->connection != IO_OBJECT_NULL;
        json_object *object = instance_json(&device->instance);
        json_add_text(object, "state", state_text(device));
        json_object_object_add(object, "statistics",
                               is_open && device->now.has_statistics ? statistics_json(device)
                                                                     : NULL);
        json_object_object_add(object, "calls_per_s",
                               is_open && device->now.has_counts ? calls_json(device) : NULL);
        json_object_array_add(array, object);
    }
    json_object *top = json_object_new_object();
    json_object_object_add(top, "devices", array);
    return top;
}

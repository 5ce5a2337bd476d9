/*
 * Times and their percentiles.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "samples.h"

#include <stdlib.h>
#include <time.h>

bool samples_create(struct samples *samples, size_t capacity)
{
    *samples = (struct samples){.capacity = capacity};
    samples->ns = calloc(capacity, sizeof(*samples->ns));
    return samples->ns != NULL;
}

void samples_destroy(struct samples *samples)
{
    free(samples->ns);
    *samples = (struct samples){0};
}

void samples_add(struct samples *samples, uint64_t ns)
{
    if (samples->count < samples->capacity) {
        samples->ns[samples->count++] = ns;
    }
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The smallest sample that percent of all samples do not exceed. */
static double percentile_us(const struct samples *samples, size_t percent)
{
    if (samples->count == 0) {
        return 0;
    }
    size_t rank = (samples->count * percent + 99) / 100;
    return (double)samples->ns[rank > 0 ? rank - 1 : 0] / 1e3;
}

json_object *samples_json(struct samples *samples)
{
    json_object *object = json_object_new_object();

    qsort(samples->ns, samples->count, sizeof(*samples->ns), compare);
    json_object_object_add(object, "p50_us", json_object_new_double(percentile_us(samples, 50)));
    json_object_object_add(object, "p99_us", json_object_new_double(percentile_us(samples, 99)));
    json_object_object_add(object, "count", json_object_new_uint64(samples->count));
    return object;
}

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * Times and their percentiles.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

bool samples_create(struct samples *samples, size_t capacity)
{
    *samples = (struct samples){.capacity = capacity};
    samples->us = calloc(capacity, sizeof(*samples->us));
    return samples->us != NULL;
}

void samples_destroy(struct samples *samples)
{
    free(samples->us);
    *samples = (struct samples){0};
}

void samples_add(struct samples *samples, double us)
{
    if (samples->count < samples->capacity) {
        samples->us[samples->count++] = us;
    }
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The smallest sample that so many in a thousand of all samples do not exceed. */
static double percentile_us(const struct samples *samples, size_t thousandths)
{
    if (samples->count == 0) {
        return 0;
    }
    size_t rank = (samples->count * thousandths + 999) / 1000;
    return samples->us[rank > 0 ? rank - 1 : 0];
}

json_object *figure_json(double value)
{
    char text[32];
    snprintf(text, sizeof(text), "%.4f", value); /* more digits would be noise */
    return json_object_new_double_s(value, text);
}

json_object *samples_json(struct samples *samples)
{
    json_object *object = json_object_new_object();

    qsort(samples->us, samples->count, sizeof(*samples->us), compare);
    json_object_object_add(object, "p50_us", figure_json(percentile_us(samples, 500)));
    json_object_object_add(object, "p99_us", figure_json(percentile_us(samples, 990)));
    json_object_object_add(object, "p99_9_us", figure_json(percentile_us(samples, 999)));
    json_object_object_add(object, "count", json_object_new_uint64(samples->count));
    return object;
}

double clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

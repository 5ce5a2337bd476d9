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

/* The smallest sample that so many in a hundred thousand of all samples do not exceed. */
static double quantile_us(const struct samples *samples, size_t hundred_thousandths)
{
    if (samples->count == 0) {
        return 0;
    }
    size_t rank = (samples->count * hundred_thousandths + 99999) / 100000;
    return samples->us[rank > 0 ? rank - 1 : 0];
}

json_object *figure_json(double value)
{
    char text[32];
    snprintf(text, sizeof(text), "%.4f", value); /* more digits would be noise */
    return json_object_new_double_s(value, text);
}

/* What part of the samples is at most as long, finer towards the end: what a plot of the
 * distribution is drawn from. */
static json_object *distribution_json(const struct samples *samples)
{
    static const unsigned hundred_thousandths[] = {0,     1000,  2000,  5000,  10000, 20000, 30000,
                                                   40000, 50000, 60000, 70000, 75000, 80000, 85000,
                                                   90000, 92500, 95000, 97500, 98000, 99000, 99500,
                                                   99800, 99900, 99950, 99980, 99990, 100000};
    json_object *rows = json_object_new_array();

    for (size_t i = 0; i < sizeof(hundred_thousandths) / sizeof(*hundred_thousandths); i++) {
        json_object *row = json_object_new_array();
        json_object_array_add(row, figure_json(hundred_thousandths[i] / 1e3));
        json_object_array_add(row, figure_json(quantile_us(samples, hundred_thousandths[i])));
        json_object_array_add(rows, row);
    }
    return rows;
}

json_object *samples_json(struct samples *samples)
{
    json_object *object = json_object_new_object();

    qsort(samples->us, samples->count, sizeof(*samples->us), compare);
    json_object_object_add(object, "p50_us", figure_json(quantile_us(samples, 50000)));
    json_object_object_add(object, "p99_us", figure_json(quantile_us(samples, 99000)));
    json_object_object_add(object, "p99_9_us", figure_json(quantile_us(samples, 99900)));
    json_object_object_add(object, "distribution", distribution_json(samples));
    json_object_object_add(object, "count", json_object_new_uint64(samples->count));
    return object;
}

double clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

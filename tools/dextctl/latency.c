/*
 * Latencies, kept one by one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "latency.h"

#include <stdio.h>
#include <stdlib.h>

#include "output.h"

#define BAR_COLUMNS 40

void latency_add(struct latency *latency, double microseconds)
{
    if (latency->count == latency->room) {
        size_t room = latency->room ? 2 * latency->room : 256;
        double *grown = realloc(latency->samples_us, room * sizeof(*grown));
        if (!grown) {
            latency->dropped++;
            return;
        }
        latency->samples_us = grown;
        latency->room = room;
    }
    latency->samples_us[latency->count++] = microseconds;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The sample that part of all are not above; sorted, and at least one. */
static double percentile(const struct latency *latency, double part)
{
    size_t index = (size_t)(part * (double)(latency->count - 1) + 0.5);
    return latency->samples_us[index];
}

static void count_buckets(const struct latency *latency, size_t buckets[LATENCY_BUCKETS])
{
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        buckets[i] = 0;
    }
    for (size_t i = 0; i < latency->count; i++) {
        size_t bucket = 0;
        for (double end = 1; latency->samples_us[i] >= end && bucket + 1 < LATENCY_BUCKETS;
             end *= 2) {
            bucket++;
        }
        buckets[bucket]++;
    }
}

/* Sort, count, and find the buckets in use: from *first up to, not including, the result. */
static size_t prepare(struct latency *latency, size_t buckets[LATENCY_BUCKETS], size_t *first)
{
    size_t end = LATENCY_BUCKETS;

    qsort(latency->samples_us, latency->count, sizeof(*latency->samples_us), compare);
    count_buckets(latency, buckets);
    *first = 0;
    while (buckets[*first] == 0) {
        ++*first;
    }
    while (buckets[end - 1] == 0) {
        end--;
    }
    return end;
}

void latency_print(struct latency *latency, const char *what)
{
    static const char hashes[] = "########################################";
    size_t buckets[LATENCY_BUCKETS];
    size_t most = 1;
    size_t first;

    if (latency->count == 0) {
        return;
    }
    size_t end = prepare(latency, buckets, &first);
    printf("%s: min %.1f us, p50 %.1f us, p99 %.1f us, max %.1f us\n", what, latency->samples_us[0],
           percentile(latency, 0.5), percentile(latency, 0.99),
           latency->samples_us[latency->count - 1]);
    for (size_t i = first; i < end; i++) {
        most = buckets[i] > most ? buckets[i] : most;
    }
    for (size_t i = first; i < end; i++) {
        int columns = (int)((buckets[i] * BAR_COLUMNS + most - 1) / most);
        printf("  below %8lu us %6zu%s%.*s\n", 1ul << i, buckets[i], columns ? " " : "", columns,
               hashes);
    }
}

json_object *latency_json(struct latency *latency)
{
    size_t buckets[LATENCY_BUCKETS];
    size_t first;

    if (latency->count == 0) {
        return NULL;
    }
    size_t end = prepare(latency, buckets, &first);
    json_object *object = json_object_new_object();
    json_object *histogram = json_object_new_array();
    json_add_ms(object, "min", latency->samples_us[0]);
    json_add_ms(object, "p50", percentile(latency, 0.5));
    json_add_ms(object, "p99", percentile(latency, 0.99));
    json_add_ms(object, "max", latency->samples_us[latency->count - 1]);
    for (size_t i = first; i < end; i++) {
        json_object *bucket = json_object_new_object();
        json_add_number(bucket, "below", UINT64_C(1) << i);
        json_add_number(bucket, "count", buckets[i]);
        json_object_array_add(histogram, bucket);
    }
    json_object_object_add(object, "histogram", histogram);
    return object;
}

void latency_clear(struct latency *latency)
{
    free(latency->samples_us);
    *latency = (struct latency){0};
}

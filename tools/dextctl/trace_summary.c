/*
 * What each kind of call did, out of a trace.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "trace.h"

static int compare_spans(const void *first, const void *second)
{
    const struct trace_span *a = *(const struct trace_span *const *)first;
    const struct trace_span *b = *(const struct trace_span *const *)second;
    int names = strcmp(a->name, b->name);
    uint64_t a_ns = a->end_ns - a->start_ns;
    uint64_t b_ns = b->end_ns - b->start_ns;
    if (names != 0) {
        return names;
    }
    if (a->has_end != b->has_end) {
        return a->has_end ? -1 : 1;
    }
    return a_ns < b_ns ? -1 : a_ns > b_ns;
}

struct row {
    const char *name;
    size_t count, timed, errors;
    double p50_us, p99_us, most_us;
};

/* Nearest rank. The spans are sorted by time, those with one first. */
static double percentile_us(struct trace_span *const *spans, size_t count, unsigned int percent)
{
    size_t rank = (count * percent + 99) / 100;
    const struct trace_span *span = spans[rank ? rank - 1 : 0];
    return (double)(span->end_ns - span->start_ns) / 1e3;
}

static struct row make_row(struct trace_span *const *spans, size_t count)
{
    struct row row = {.name = spans[0]->name, .count = count};
    for (size_t i = 0; i < count; i++) {
        row.timed += spans[i]->has_end;
        row.errors += spans[i]->code != 0;
    }
    if (row.timed) {
        row.p50_us = percentile_us(spans, row.timed, 50);
        row.p99_us = percentile_us(spans, row.timed, 99);
        row.most_us = percentile_us(spans, row.timed, 100);
    }
    return row;
}

static void print_row(FILE *file, const struct row *row)
{
    if (row->timed) {
        fprintf(file, "%-24s %9zu %9zu %12.1f %12.1f %12.1f\n", row->name, row->count, row->errors,
                row->p50_us, row->p99_us, row->most_us);
    } else {
        fprintf(file, "%-24s %9zu %9zu %12s %12s %12s\n", row->name, row->count, row->errors, "-",
                "-", "-");
    }
}

static void add_us(json_object *object, const char *key, const struct row *row, double value)
{
    char text[40];
    snprintf(text, sizeof(text), "%.3f", value);
    json_object_object_add(object, key, row->timed ? json_object_new_double_s(value, text) : NULL);
}

static json_object *row_json(const struct row *row)
{
    json_object *object = json_object_new_object();
    json_add_text(object, "call", row->name);
    json_add_number(object, "count", row->count);
    json_add_number(object, "errors", row->errors);
    add_us(object, "p50_us", row, row->p50_us);
    add_us(object, "p99_us", row, row->p99_us);
    add_us(object, "max_us", row, row->most_us);
    return object;
}

static void print_rows(FILE *file, const struct trace_extent *extent,
                       struct trace_span *const *sorted, size_t count, bool json)
{
    json_object *calls = json_object_new_array();
    if (!json) {
        fprintf(file, "%-24s %9s %9s %12s %12s %12s\n", "CALL", "COUNT", "ERRORS", "P50 us",
                "P99 us", "MAX us");
    }
    for (size_t start = 0, end; start < count; start = end) {
        end = start + 1;
        while (end < count && strcmp(sorted[end]->name, sorted[start]->name) == 0) {
            end++;
        }
        struct row row = make_row(sorted + start, end - start);
        if (json) {
            json_object_array_add(calls, row_json(&row));
        } else {
            print_row(file, &row);
        }
    }
    json_object *top = json_object_new_object();
    json_object_object_add(top, "calls", calls);
    json_add_number(top, extent->unit, extent->kept);
    json_add_number(top, "lost", extent->lost);
    if (json) {
        fprintf(
            file, "%s\n",
            json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
    }
    json_object_put(top);
}

void trace_print_summary(FILE *file, const struct trace_extent *extent,
                         const struct trace_spans *spans, bool json)
{
    struct trace_span **sorted = calloc(spans->count + 1, sizeof(struct trace_span *));
    size_t count = 0;

    for (size_t i = 0; sorted && i < spans->count; i++) {
        if (!spans->list[i].is_wire) {
            sorted[count++] = &spans->list[i];
        }
    }
    if (count) {
        qsort(sorted, count, sizeof(*sorted), compare_spans);
    }
    if (sorted) {
        print_rows(file, extent, sorted, count, json);
    }
    free(sorted);
}

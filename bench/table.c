/*
 * Tables of times.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "table.h"

#include <stdio.h>

#include "figures.h"

#define LABEL "%-34s"

/* As many digits as mean something. */
static void print_number(double value)
{
    int decimals = value < 0.1 ? 4 : value < 1 ? 3 : value < 100 ? 2 : value < 10000 ? 1 : 0;
    printf(" %8.*f", decimals, value);
}

void table_head(const char *title, const char *left, const char *right)
{
    printf("\n" LABEL " %8s", title, left);
    if (right) {
        printf("%25s%8s", "", right);
    }
    printf("\n" LABEL " %8s %8s %8s %6s", "", "p50", "p99", "p99.9", "floor");
    if (right) {
        printf("  %8s %8s %8s %6s", "p50", "p99", "p99.9", "floor");
    }
    puts("");
}

static void print_times(json_object *times, json_object *floor)
{
    print_number(number_of(times, "p50_us"));
    print_number(number_of(times, "p99_us"));
    print_number(number_of(times, "p99_9_us"));
    if (number_of(floor, "p50_us") > 0) {
        double ratio = number_of(times, "p50_us") / number_of(floor, "p50_us");
        printf(" %5.*fx", ratio < 10 ? 2 : 1, ratio);
    } else {
        printf(" %6s", "");
    }
}

void table_times(const char *label, json_object *left, json_object *left_floor, json_object *right,
                 json_object *right_floor)
{
    printf(LABEL, label);
    print_times(left, left_floor);
    if (right) {
        printf(" ");
        print_times(right, right_floor);
    }
    puts("");
}

void table_rows(const struct table_row *rows, size_t count, json_object *left, json_object *right)
{
    for (size_t i = 0; i < count; i++) {
        const char *floor = rows[i].floor;
        table_times(rows[i].label, member(left, rows[i].key), floor ? member(left, floor) : NULL,
                    member(right, rows[i].key), floor ? member(right, floor) : NULL);
    }
}

void table_figure(const char *label, json_object *left, json_object *right, const char *key)
{
    printf(LABEL, label);
    print_number(number_of(left, key));
    if (right) {
        printf("%26s", "");
        print_number(number_of(right, key));
    }
    puts("");
}

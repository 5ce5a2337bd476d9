/*
 * bar watch: shows what changes in a stretch of a BAR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bar_verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "output.h"
#include "place.h"
#include "ticker.h"

#define DEFAULT_BYTES    64
#define WATCH_MAX        4096 /* bytes; reads of a device are slow */
#define DEFAULT_INTERVAL 0.5
#define ROW_BYTES        16
#define CHANGED          "\033[7m"
#define NORMAL           "\033[0m"

struct watch {
    struct place place;
    const struct options *options;
    struct ticker ticker;
    bool draws; /* a terminal: the values in place, changed ones marked */
    size_t count;
    uint64_t *now;
    uint64_t *before;
    uint64_t changes;
};

static int look(struct watch *watch)
{
    uint64_t *old = watch->before;
    int status = STATUS_OK;
    bool only_ones = true;

    watch->before = watch->now;
    watch->now = old;
    for (size_t i = 0; i < watch->count && status == STATUS_OK; i++) {
        status = place_read(&watch->place, i * watch->place.width, &watch->now[i]);
        only_ones = only_ones && watch->now[i] == place_ones(&watch->place);
    }
    return status == STATUS_OK && only_ones ? place_confirm_ones(&watch->place) : status;
}

static void report(const struct watch *watch, size_t i)
{
    uint64_t offset = watch->place.offset + i * watch->place.width;
    int digits = (int)watch->place.width * 2;

    if (!watch->options->json) {
        printf("%12.3f ms  %06" PRIx64 ": 0x%0*" PRIx64 " -> 0x%0*" PRIx64 "\n",
               ticker_time_ms(&watch->ticker), offset, digits, watch->before[i], digits,
               watch->now[i]);
        output_flush();
        return;
    }
    json_object *object = json_object_new_object();
    json_add_ms(object, "time_ms", ticker_time_ms(&watch->ticker));
    json_add_hex(object, "offset", offset, 1);
    json_add_hex(object, "before", watch->before[i], digits);
    json_add_hex(object, "after", watch->now[i], digits);
    json_print_line(object);
}

static size_t values_a_row(const struct watch *watch)
{
    return ROW_BYTES / watch->place.width;
}

static void draw(const struct watch *watch)
{
    size_t row = values_a_row(watch);

    for (size_t i = 0; i < watch->count; i++) {
        bool changed = watch->ticker.ticks > 1 && watch->now[i] != watch->before[i];
        if (i % row == 0) {
            printf("%06" PRIx64 ":", watch->place.offset + i * watch->place.width);
        }
        printf(" %s%0*" PRIx64 "%s", changed ? CHANGED : "", (int)watch->place.width * 2,
               watch->now[i], changed ? NORMAL : "");
        if (i % row == row - 1 || i + 1 == watch->count) {
            putchar('\n');
        }
    }
    printf("%8.1f s, %" PRIu64 " changes\033[K\n", ticker_time_ms(&watch->ticker) / 1e3,
           watch->changes);
    output_flush();
}

static void draw_again(const struct watch *watch)
{
    size_t row = values_a_row(watch);
    printf("\033[%zuA", (watch->count + row - 1) / row + 1);
    draw(watch);
}

static int watch_loop(struct watch *watch)
{
    while (ticker_next(&watch->ticker)) {
        int status = look(watch);
        if (status != STATUS_OK) {
            return status;
        }
        bool is_first = watch->ticker.ticks == 1;
        for (size_t i = 0; i < watch->count && !is_first; i++) {
            if (watch->now[i] != watch->before[i]) {
                watch->changes++;
                if (!watch->draws) {
                    report(watch, i);
                }
            }
        }
        if (watch->draws && is_first) {
            draw(watch);
        } else if (watch->draws) {
            draw_again(watch);
        }
    }
    return STATUS_OK;
}

static void announce(const struct watch *watch)
{
    if (!watch->options->json) {
        printf("watching 0x%" PRIx64 " bytes at 0x%" PRIx64 " of BAR %u of %s\n",
               watch->place.bytes, watch->place.offset, watch->place.bar.index,
               watch->place.session->name);
        output_flush();
    }
}

static void conclude(const struct watch *watch)
{
    if (watch->options->json) {
        json_object *object = json_object_new_object();
        json_add_number(object, "looks", watch->ticker.ticks);
        json_add_number(object, "changes", watch->changes);
        json_print_line(object);
    } else {
        printf("%" PRIu64 " change%s in %" PRIu64 " look%s\n", watch->changes,
               watch->changes == 1 ? "" : "s", watch->ticker.ticks,
               watch->ticker.ticks == 1 ? "" : "s");
    }
}

int bar_check_watch(const struct options *options, const struct arguments *arguments)
{
    (void)options;
    return arguments->length > WATCH_MAX ? usage_error("bar watch: at most %d bytes", WATCH_MAX)
                                         : STATUS_OK;
}

int bar_run_watch(const struct session *session, const struct options *options,
                  const struct arguments *arguments)
{
    struct watch watch = {.options = options, .draws = !options->json && output_is_colourful()};

    int status =
        place_open(&watch.place, session, options, arguments, arguments->length, DEFAULT_BYTES);
    if (status != STATUS_OK) {
        return status;
    }
    watch.count = (size_t)(watch.place.bytes / watch.place.width);
    watch.now = calloc(watch.count, sizeof(*watch.now));
    watch.before = calloc(watch.count, sizeof(*watch.before));
    if (!watch.now || !watch.before) {
        status = failure(session->name, "out of memory");
    } else {
        ticker_begin(&watch.ticker, options, DEFAULT_INTERVAL);
        announce(&watch);
        status = watch_loop(&watch);
        conclude(&watch);
        ticker_end(&watch.ticker);
    }
    free(watch.now);
    free(watch.before);
    place_close(&watch.place);
    return status;
}

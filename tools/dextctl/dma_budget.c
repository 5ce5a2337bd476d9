/*
 * dma budget: what is mapped for DMA against what can be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dma_verbs.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"
#include "ticker.h"

#define WARN_PERCENT     80.0
#define DEFAULT_INTERVAL 1.0
#define METER_CELLS      30

struct budget {
    AppleDextCapabilities limits;
    AppleDextStatistics now;
    bool has_statistics;
};

static kern_return_t look(const struct session *session, struct budget *budget)
{
    kern_return_t code = apple_dext_get_statistics(session->connection, &budget->now);
    budget->has_statistics = code == KERN_SUCCESS;
    return code == kIOReturnUnsupported ? KERN_SUCCESS : code;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* The scarcer of the two: how full it is. */
static double fullness(const struct budget *budget)
{
    double bytes = percent(budget->now.live_bytes, budget->limits.aperture_bytes);
    double regions = percent(budget->now.live_regions, budget->limits.max_regions);
    return bytes > regions ? bytes : regions;
}

static void add_use(json_object *object, const struct budget *budget)
{
    static const char *const keys[] = {"regions", "peak_regions", "bytes", "peak_bytes", "faults"};
    const uint64_t values[] = {budget->now.live_regions, budget->now.peak_regions,
                               budget->now.live_bytes, budget->now.peak_bytes, budget->now.faults};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (budget->has_statistics) {
            json_add_number(object, keys[i], values[i]);
        } else {
            json_object_object_add(object, keys[i], NULL);
        }
    }
}

static json_object *budget_json(const struct session *session, const struct budget *budget)
{
    json_object *object = json_object_new_object();

    json_add_text(object, "address", session->name);
    json_add_bool(object, "limits_asked", budget->limits.interface_version != 0);
    json_add_number(object, "max_regions", budget->limits.max_regions);
    json_add_number(object, "aperture_bytes", budget->limits.aperture_bytes);
    json_add_number(object, "granule_bytes", budget->limits.granule_bytes);
    add_use(object, budget);
    return object;
}

static void print_limits(const struct session *session, const struct budget *budget)
{
    char aperture[SIZE_TEXT_BYTES];
    char granule[SIZE_TEXT_BYTES];

    printf("%s: at most %s in %" PRIu64 " regions, in units of %s%s\n", session->name,
           size_text(budget->limits.aperture_bytes, aperture), budget->limits.max_regions,
           size_text(budget->limits.granule_bytes, granule),
           budget->limits.interface_version ? ""
                                            : " (known limits: this driver does not tell its own)");
    if (!budget->has_statistics) {
        puts("what is in use cannot be known: this driver keeps no statistics");
    }
}

static void print_use(const struct budget *budget)
{
    const AppleDextStatistics *now = &budget->now;

    printf("regions  %12" PRIu64 "  %5.1f %%   at most %" PRIu64 " so far\n", now->live_regions,
           percent(now->live_regions, budget->limits.max_regions), now->peak_regions);
    printf("bytes    %12" PRIu64 "  %5.1f %%   at most %" PRIu64 " so far\n", now->live_bytes,
           percent(now->live_bytes, budget->limits.aperture_bytes), now->peak_bytes);
    printf("faults   %12" PRIu64 "\n", now->faults);
    if (fullness(budget) >= WARN_PERCENT) {
        printf("warning: %.0f %% of the budget is used; registering fails when it is full\n",
               fullness(budget));
    }
}

/* On a terminal one line that stays, else a line a look. */
static void print_look(const struct budget *budget, const struct ticker *ticker, bool draws)
{
    const AppleDextStatistics *now = &budget->now;
    double full = fullness(budget);

    if (draws) {
        char cells[METER_CELLS + 1];
        int filled = (int)(full * METER_CELLS / 100 + 0.5);
        for (int i = 0; i < METER_CELLS; i++) {
            cells[i] = i < filled ? '#' : '.';
        }
        cells[METER_CELLS] = '\0';
        printf("\r%s[%s]\033[0m %5.1f %%  %" PRIu64 " regions  %" PRIu64 " bytes\033[K",
               full >= WARN_PERCENT ? "\033[1;31m" : "\033[32m", cells, full, now->live_regions,
               now->live_bytes);
    } else {
        printf("%10.3f s  regions %" PRIu64 "  bytes %" PRIu64 "  %5.1f %%%s\n",
               ticker_time_ms(ticker) / 1e3, now->live_regions, now->live_bytes, full,
               full >= WARN_PERCENT ? "  warning" : "");
    }
    output_flush();
}

static int meter(const struct session *session, const struct options *options,
                 struct budget *budget)
{
    bool draws = !options->json && output_is_colourful();
    struct ticker ticker;
    int status = STATUS_OK;

    ticker_begin(&ticker, options, DEFAULT_INTERVAL);
    while (status == STATUS_OK && ticker_next(&ticker)) {
        kern_return_t code = look(session, budget);
        if (code != KERN_SUCCESS) {
            status = session_failure(session, code, "cannot get its statistics");
        } else if (options->json) {
            json_object *line = budget_json(session, budget);
            json_add_ms(line, "time_ms", ticker_time_ms(&ticker));
            json_print_line(line);
        } else {
            print_look(budget, &ticker, draws);
        }
    }
    if (draws) {
        putchar('\n');
    }
    ticker_end(&ticker);
    return status;
}

int dma_run_budget(const struct session *session, const struct options *options,
                   const struct arguments *arguments)
{
    bool is_live = (options->given & (OPTION_INTERVAL | OPTION_COUNT | OPTION_SECONDS)) != 0;
    struct budget budget = {.has_statistics = false};

    (void)arguments;
    kern_return_t code = apple_dext_get_capabilities(session->connection, &budget.limits);
    if (code == KERN_SUCCESS) {
        code = look(session, &budget);
    }
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get its limits");
    }
    if (!options->json) {
        print_limits(session, &budget);
    }
    if (is_live && budget.has_statistics) {
        return meter(session, options, &budget);
    }
    if (options->json) {
        json_print(budget_json(session, &budget));
    } else if (budget.has_statistics) {
        print_use(&budget);
    }
    return STATUS_OK;
}

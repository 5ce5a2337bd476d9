/*
 * dma soak: registers, copies and unregisters at random, and looks for what is left behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dma_verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"
#include "output.h"
#include "region.h"
#include "ticker.h"

#define REGIONS         16
#define REGION_MAX      (64u * 1024)
#define IOVA_FIRST      UINT64_C(0x10000000)
#define IOVA_STEP       UINT64_C(0x100000)
#define DEFAULT_SECONDS 10.0

struct soak {
    const struct session *session;
    struct engine engine;
    uint64_t random; /* state of the generator */
    struct region regions[REGIONS];
    uint8_t *expected; /* REGION_MAX bytes: a target as it must be */
    uint64_t operations;
    uint64_t registrations;
    uint64_t copies;
    uint64_t copied_bytes;
    AppleDextStatistics before;
    bool has_statistics;
    struct ticker ticker;
};

/* xorshift64*: the same seed gives the same run everywhere. */
static uint64_t draw(struct soak *soak, uint64_t end)
{
    soak->random ^= soak->random >> 12;
    soak->random ^= soak->random << 25;
    soak->random ^= soak->random >> 27;
    return (soak->random * UINT64_C(0x2545f4914f6cdd1d) >> 16) % end;
}

/* Small sizes as often as large ones. */
static size_t draw_size(struct soak *soak, size_t most)
{
    size_t limit = (size_t)1 << (1 + draw(soak, 16));
    return 1 + (size_t)draw(soak, limit < most ? limit : most);
}

static int soak_register(struct soak *soak, unsigned int slot)
{
    struct region *region = &soak->regions[slot];
    size_t bytes = draw_size(soak, REGION_MAX);

    kern_return_t code = region_open(region, soak->session, IOVA_FIRST + slot * IOVA_STEP, bytes);
    if (code != KERN_SUCCESS) {
        return session_failure(soak->session, code,
                               "operation %" PRIu64 ": cannot register %zu bytes", soak->operations,
                               bytes);
    }
    pattern_fill(region->memory, bytes, (uint32_t)draw(soak, UINT32_MAX));
    soak->registrations++;
    return STATUS_OK;
}

static int soak_unregister(struct soak *soak, unsigned int slot)
{
    kern_return_t code = region_close(&soak->regions[slot], soak->session);
    return code == KERN_SUCCESS
               ? STATUS_OK
               : session_failure(soak->session, code, "operation %" PRIu64 ": cannot unregister",
                                 soak->operations);
}

/* All of the target is compared: what was copied, and what must have stayed. */
static int soak_copy(struct soak *soak, const struct region *source, const struct region *target)
{
    size_t most = source->bytes < target->bytes ? source->bytes : target->bytes;
    size_t bytes = draw_size(soak, most);
    size_t from = (size_t)draw(soak, source->bytes - bytes + 1);
    size_t to = (size_t)draw(soak, target->bytes - bytes + 1);

    memcpy(soak->expected, target->memory, target->bytes);
    memcpy(soak->expected + to, source->memory + from, bytes);
    const char *cause = soak->engine.ops->copy(&soak->engine, source->bus_address + from,
                                               target->bus_address + to, bytes);
    if (cause) {
        return failure(soak->session->name, "operation %" PRIu64 ": %s", soak->operations, cause);
    }
    for (size_t i = 0; i < target->bytes; i++) {
        if (target->memory[i] != soak->expected[i]) {
            return failure(soak->session->name,
                           "operation %" PRIu64 ": byte %zu of %zu is 0x%02x, want 0x%02x, after "
                           "a copy of %zu bytes from %zu to %zu",
                           soak->operations, i, target->bytes, target->memory[i], soak->expected[i],
                           bytes, from, to);
        }
    }
    soak->copies++;
    soak->copied_bytes += bytes;
    return STATUS_OK;
}

/* The driver sees the same word as the process. */
static int soak_probe(struct soak *soak, const struct region *region)
{
    uint64_t word = 0, mine;

    if (region->bytes < sizeof(mine)) {
        return STATUS_OK;
    }
    size_t at = (size_t)draw(soak, region->bytes - sizeof(mine) + 1);
    kern_return_t code = apple_dext_probe_dma(soak->session->connection, region->iova, at, &word);
    if (code != KERN_SUCCESS) {
        return session_failure(soak->session, code, "operation %" PRIu64 ": cannot probe",
                               soak->operations);
    }
    memcpy(&mine, region->memory + at, sizeof(mine));
    return word == mine ? STATUS_OK
                        : failure(soak->session->name,
                                  "operation %" PRIu64 ": the driver sees 0x%016" PRIx64
                                  ", the memory has 0x%016" PRIx64,
                                  soak->operations, word, mine);
}

static int operate(struct soak *soak)
{
    unsigned int slot = (unsigned int)draw(soak, REGIONS);
    struct region *region = &soak->regions[slot];
    const struct region *other = &soak->regions[draw(soak, REGIONS)];
    uint64_t choice = draw(soak, 8);

    soak->operations++;
    if (!region->memory) {
        return soak_register(soak, slot);
    }
    if (choice == 0) {
        return soak_unregister(soak, slot);
    }
    if (choice == 1 || !soak->engine.ops || !other->memory || other == region) {
        return soak_probe(soak, region);
    }
    return soak_copy(soak, region, other);
}

static int close_all(struct soak *soak, int status)
{
    for (unsigned int slot = 0; slot < REGIONS; slot++) {
        int closed = soak_unregister(soak, slot);
        status = status == STATUS_OK ? closed : status;
    }
    return status;
}

/* Other clients may come and go meanwhile, so what is left is named, with how it was. */
static int check_leaks(const struct soak *soak, AppleDextStatistics *after)
{
    if (!soak->has_statistics) {
        return STATUS_OK;
    }
    kern_return_t code = apple_dext_get_statistics(soak->session->connection, after);
    if (code != KERN_SUCCESS) {
        return session_failure(soak->session, code, "cannot get its statistics");
    }
    if (after->faults != soak->before.faults) {
        return failure(soak->session->name, "%" PRIu64 " DMA faults during the run",
                       after->faults - soak->before.faults);
    }
    if (after->live_regions > soak->before.live_regions ||
        after->live_bytes > soak->before.live_bytes) {
        return failure(soak->session->name,
                       "left behind: %" PRIu64 " regions and %" PRIu64 " bytes, before %" PRIu64
                       " and %" PRIu64 " (of all clients)",
                       after->live_regions, after->live_bytes, soak->before.live_regions,
                       soak->before.live_bytes);
    }
    return STATUS_OK;
}

static void conclude(const struct soak *soak, const struct options *options, uint64_t seed,
                     const AppleDextStatistics *after)
{
    double seconds = ticker_time_ms(&soak->ticker) / 1e3;

    if (!options->json) {
        printf("%" PRIu64 " operations in %.1f s: %" PRIu64 " registrations, %" PRIu64
               " copies of %" PRIu64 " bytes in all%s\n",
               soak->operations, seconds, soak->registrations, soak->copies, soak->copied_bytes,
               soak->engine.ops ? "" : " (no engine dextctl knows)");
        if (soak->has_statistics) {
            printf("nothing left behind: %" PRIu64 " live regions, as before; no faults\n",
                   after->live_regions);
        } else {
            puts("leaks cannot be known: this driver keeps no statistics");
        }
        return;
    }
    json_object *object = json_object_new_object();
    json_add_text(object, "address", soak->session->name);
    json_add_number(object, "seed", seed);
    json_add_number(object, "operations", soak->operations);
    json_add_number(object, "registrations", soak->registrations);
    json_add_number(object, "copies", soak->copies);
    json_add_number(object, "copied_bytes", soak->copied_bytes);
    json_add_ms(object, "time_ms", seconds * 1e3);
    json_object_object_add(object, "leaks_checked", json_object_new_boolean(soak->has_statistics));
    json_print(object);
}

static int open_soak(struct soak *soak)
{
    const struct session *session = soak->session;
    AppleDextInstance instance;

    kern_return_t code = apple_dext_get_identity(session->connection, &instance);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get its identity");
    }
    soak->expected = malloc(REGION_MAX);
    if (!soak->expected) {
        return failure(session->name, "out of memory");
    }
    soak->has_statistics =
        apple_dext_get_statistics(session->connection, &soak->before) == KERN_SUCCESS;
    const struct engine_ops *ops = engine_find(instance.vendor_id, instance.device_id);
    return ops ? engine_open(&soak->engine, ops, session) : STATUS_OK;
}

static int run(struct soak *soak, const struct options *options, uint64_t seed)
{
    struct options ends = *options;
    AppleDextStatistics after = {0};
    int status = STATUS_OK;

    if (!(ends.given & (OPTION_COUNT | OPTION_SECONDS))) {
        ends.given |= OPTION_SECONDS;
        ends.seconds = DEFAULT_SECONDS;
    }
    soak->random = seed * 2 + 1; /* never 0, where the generator would stay */
    ticker_begin(&soak->ticker, &ends, 0);
    if (!options->json) { /* said first: a run that hangs can be repeated too */
        printf("seed %" PRIu64 "\n", seed);
        output_flush();
    }
    while (status == STATUS_OK && ticker_next(&soak->ticker)) {
        status = operate(soak);
    }
    status = close_all(soak, status);
    status = status == STATUS_OK ? check_leaks(soak, &after) : status;
    if (status == STATUS_OK) {
        conclude(soak, options, seed, &after);
    }
    ticker_end(&soak->ticker);
    return status;
}

int dma_run_soak(const struct session *session, const struct options *options,
                 const struct arguments *arguments)
{
    struct soak soak = {.session = session};
    uint64_t seed = options->given & OPTION_SEED ? options->seed : (uint64_t)time(NULL);

    (void)arguments;
    int status = open_soak(&soak);
    if (status == STATUS_OK) {
        status = run(&soak, options, seed);
    }
    engine_close(&soak.engine);
    free(soak.expected);
    return status;
}

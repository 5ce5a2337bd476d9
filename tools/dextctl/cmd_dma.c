/*
 * dextctl dma: registers own memory and has the device copy it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <mach/mach.h>
#include <stdio.h>
#include <string.h>

#include "dextctl.h"
#include "engine.h"
#include "output.h"
#include "region.h"
#include "session.h"
#include "verb.h"

#define IOVA_SOURCE UINT64_C(0x10000000)
#define IOVA_TARGET UINT64_C(0x80000000)
#define PROBE_BYTES 8
#define SIZE_COUNT  4

/* One size: what was done with it. */
struct round {
    uint64_t bytes;
    uint32_t seed;
    struct region source;
    struct region target;
    double register_ms;
    double copy_ms;
    bool copied;
};

static int registering_failed(const struct session *session, kern_return_t code, uint64_t bytes)
{
    char size[SIZE_TEXT_BYTES];
    return session_failure(session, code, "cannot register %s of memory", size_text(bytes, size));
}

/* The driver's view of the first and last word must be ours. */
static int probe(const struct session *session, const struct region *region)
{
    const uint64_t offsets[] = {0, region->bytes - PROBE_BYTES};
    for (size_t i = 0; i < 2; i++) {
        uint64_t word;
        uint64_t mine;
        kern_return_t code =
            apple_dext_probe_dma(session->connection, region->iova, offsets[i], &word);
        if (code != KERN_SUCCESS) {
            return session_failure(session, code, "cannot probe the region at 0x%" PRIx64,
                                   offsets[i]);
        }
        memcpy(&mine, region->memory + offsets[i], sizeof(mine));
        if (word != mine) {
            return failure(session->name,
                           "the driver sees 0x%016" PRIx64 " at 0x%" PRIx64
                           " of the region, the memory has 0x%016" PRIx64,
                           word, offsets[i], mine);
        }
    }
    return STATUS_OK;
}

static int copy(const struct session *session, struct engine *engine, struct round *round)
{
    double start = now_ms();
    const char *cause = engine->ops->copy(engine, round->source.bus_address,
                                          round->target.bus_address, round->bytes);
    round->copy_ms = now_ms() - start;
    if (cause) {
        return failure(session->name, "%s", cause);
    }
    size_t good = pattern_compare(round->target.memory, (size_t)round->bytes, round->seed);
    if (good < round->bytes) {
        char size[SIZE_TEXT_BYTES];
        return failure(
            session->name,
            "the copy of %s differs at byte %zu: 0x%02x, want 0x%02x; DEXTLINK_LOG=warning "
            "names accesses that were refused",
            size_text(round->bytes, size), good, round->target.memory[good],
            pattern_byte(good, round->seed));
    }
    for (size_t i = (size_t)round->bytes; i < round->target.bytes; i++) {
        if (round->target.memory[i] != 0) {
            char size[SIZE_TEXT_BYTES];
            return failure(session->name, "the copy of %s wrote on, at byte %zu",
                           size_text(round->bytes, size), i);
        }
    }
    round->copied = true;
    return STATUS_OK;
}

static int open_regions(const struct session *session, struct round *round)
{
    double start = now_ms();
    kern_return_t code = region_open(&round->source, session, IOVA_SOURCE, (size_t)round->bytes);
    if (code == KERN_SUCCESS) {
        code = region_open(&round->target, session, IOVA_TARGET, (size_t)round->bytes);
    }
    round->register_ms = now_ms() - start;
    if (code != KERN_SUCCESS) {
        region_close(&round->source, session);
        return registering_failed(session, code, round->bytes);
    }
    return STATUS_OK;
}

static int run_round(const struct session *session, struct engine *engine, struct round *round)
{
    int status = open_regions(session, round);
    if (status != STATUS_OK) {
        return status;
    }
    pattern_fill(round->source.memory, round->source.bytes, round->seed);
    status = probe(session, &round->source);
    if (status == STATUS_OK && engine->ops) {
        status = copy(session, engine, round);
    }
    struct region source = round->source; /* for the report: closing clears them */
    struct region target = round->target;
    kern_return_t code = region_close(&round->target, session);
    kern_return_t first = region_close(&round->source, session);
    code = code == KERN_SUCCESS ? first : code;
    if (status == STATUS_OK && code != KERN_SUCCESS) {
        status = session_failure(session, code, "cannot unregister the memory");
    }
    round->source = source;
    round->target = target;
    return status;
}

#define REPORT_COLUMNS "%-12s  %-12s %-12s"

static void report_head(void)
{
    printf(REPORT_COLUMNS " %12s %12s  %s\n", "SIZE", "SOURCE BUS", "TARGET BUS", "REGISTERED",
           "COPIED", "RESULT");
}

static void report(const struct round *round)
{
    char size[SIZE_TEXT_BYTES];
    char source[24];
    char target[24];

    snprintf(source, sizeof(source), "0x%" PRIx64, round->source.bus_address);
    snprintf(target, sizeof(target), "0x%" PRIx64, round->target.bus_address);
    printf(REPORT_COLUMNS " %9.3f ms", size_text(round->bytes, size), source, target,
           round->register_ms);
    if (round->copied) {
        printf(" %9.3f ms  all equal\n", round->copy_ms);
    } else {
        printf(" %12s  probed\n", "-");
    }
    fflush(stdout);
}

static json_object *report_json(const struct round *round)
{
    json_object *object = json_object_new_object();
    json_add_number(object, "bytes", round->bytes);
    json_add_hex(object, "source_bus_address", round->source.bus_address, 1);
    json_add_hex(object, "target_bus_address", round->target.bus_address, 1);
    json_add_ms(object, "register_ms", round->register_ms);
    json_add_bool(object, "copied", round->copied);
    if (round->copied) {
        json_add_ms(object, "copy_ms", round->copy_ms);
    } else {
        json_object_object_add(object, "copy_ms", NULL);
    }
    return object;
}

static int run_rounds(const struct session *session, const struct options *options,
                      struct engine *engine, json_object *results)
{
    const uint64_t page = (uint64_t)vm_page_size;
    const uint64_t defaults[SIZE_COUNT] = {1, page, 4 * page + 123, 16 * page};
    const uint64_t *sizes = options->size_count ? options->sizes : defaults;
    size_t count = options->size_count ? options->size_count : SIZE_COUNT;
    int status = STATUS_OK;

    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        struct round round = {.bytes = sizes[i], .seed = (uint32_t)i + 1};
        status = run_round(session, engine, &round);
        if (status == STATUS_OK && results) {
            json_object_array_add(results, report_json(&round));
        } else if (status == STATUS_OK) {
            if (i == 0) {
                report_head();
            }
            report(&round);
        }
    }
    return status;
}

static void conclude(const struct session *session, const struct options *options,
                     const struct engine *engine, const AppleDextInstance *instance,
                     json_object *results)
{
    if (options->json) {
        json_object *top = json_object_new_object();
        json_add_text(top, "address", session->name);
        json_object_object_add(top, "engine",
                               engine->ops ? json_object_new_string(engine->ops->name) : NULL);
        json_object_object_add(top, "rounds", json_object_get(results));
        json_print(top);
    } else if (!engine->ops) {
        printf("%04x:%04x has no engine dextctl knows (%s): nothing was copied\n",
               instance->vendor_id, instance->device_id, engine_names());
    }
}

static int run_test(const struct session *session, const struct options *options,
                    const struct arguments *arguments)
{
    AppleDextInstance instance;
    struct engine engine = {0};
    int status = STATUS_OK;

    (void)arguments;
    kern_return_t code = apple_dext_get_identity(session->connection, &instance);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get its identity");
    }
    const struct engine_ops *ops = engine_find(instance.vendor_id, instance.device_id);
    if (ops) {
        status = engine_open(&engine, ops, session);
    }
    json_object *results = options->json ? json_object_new_array() : NULL;
    if (status == STATUS_OK) {
        status = run_rounds(session, options, &engine, results);
    }
    if (status == STATUS_OK) {
        conclude(session, options, &engine, &instance, results);
    }
    json_object_put(results);
    engine_close(&engine);
    return status;
}

static const struct verb verbs[] = {
    {
        .name = "test",
        .synopsis = "dma test ADDR [--size BYTES]...",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_SIZE,
        .access = SESSION_CLAIM,
        .run = run_test,
    },
    {NULL},
};

static int run(const struct options *options, int argc, char **argv)
{
    return verb_run(command_dma.name, verbs, options, argc, argv);
}

const struct command command_dma = {
    .name = "dma",
    .summary = "register memory and have the device copy it",
    .synopsis = "test ADDR",
    .details =
        "For each size: register two buffers of this process, check that the driver sees what is\n"
        "in them, have the device's own engine copy a pattern from one to the other, compare "
        "every\n"
        "byte, and unregister. edu and testdev have an engine; of other devices only registering\n"
        "is tested, as nobody knows how to make them copy.\n"
        "\n"
        "Examples:\n"
        "  dextctl dma test 01:00.0\n"
        "  dextctl dma test 01:00.0 --size 4096 --size 1M --json\n"
        "  dextctl dma test 01:00.0 --device edu,addr=01:00.0 --page-size 16384\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_SIZE,
    .arguments_min = 1,
    .arguments_max = 8, /* the verb knows */
    .run = run,
};

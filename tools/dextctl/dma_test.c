/*
 * dma test: registers own memory, has the device copy it, and tells what was seen of the addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dma_verbs.h"

#include <inttypes.h>
#include <mach/mach.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "dma_round.h"
#include "engine.h"
#include "output.h"

#define SIZE_COUNT      5
#define FULL_FIRST      (UINT64_C(2) << 20) /* where --full starts to double */
#define BUFFER_BYTES    8192
#define IOVA_PROBE      UINT64_C(0x4000)

#define UNALIGNED_AT    100
#define UNALIGNED_BYTES 1000
#define UNTOUCHED       0xa5

/* What is known after the rounds. */
struct test {
    const struct session *session;
    const struct options *options;
    AppleDextInstance instance;
    AppleDextCapabilities limits;
    AppleDextStatistics before;
    bool has_statistics;
    struct engine engine;
    struct checks checks;
    json_object *rounds;
    unsigned int regions;
    uint64_t lowest;
    uint64_t highest; /* last byte */
    unsigned int alignments[64];
    unsigned int copies;
    uint64_t copied_bytes;
};

#define REPORT_COLUMNS "%-12s  %-12s %-12s"

static void report(const struct round *round)
{
    char size[SIZE_TEXT_BYTES];
    char source[24];
    char target[24];

    snprintf(source, sizeof(source), "0x%" PRIx64, round->source_bus);
    snprintf(target, sizeof(target), "0x%" PRIx64, round->target_bus);
    printf(REPORT_COLUMNS " %9.3f ms", size_text(round->bytes, size), source, target,
           round->register_ms);
    if (round->patterns) {
        printf(" %9.3f ms  %u pattern%s, all equal\n", round->copy_ms, round->patterns,
               round->patterns == 1 ? "" : "s");
    } else {
        printf(" %12s  probed\n", "-");
    }
    output_flush();
}

static json_object *report_json(const struct round *round)
{
    json_object *object = json_object_new_object();
    json_add_number(object, "bytes", round->bytes);
    json_add_hex(object, "source_bus_address", round->source_bus, 1);
    json_add_hex(object, "target_bus_address", round->target_bus, 1);
    json_add_ms(object, "register_ms", round->register_ms);
    json_add_bool(object, "copied", round->patterns > 0);
    json_add_number(object, "patterns", round->patterns);
    if (round->patterns) {
        json_add_ms(object, "copy_ms", round->copy_ms);
    } else {
        json_object_object_add(object, "copy_ms", NULL);
    }
    return object;
}

static void note_address(struct test *test, uint64_t address, uint64_t bytes)
{
    unsigned int shift = 0;

    while (shift < 63 && (address >> shift & 1) == 0) {
        shift++;
    }
    test->lowest = test->regions == 0 || address < test->lowest ? address : test->lowest;
    test->highest = address + bytes - 1 > test->highest ? address + bytes - 1 : test->highest;
    test->alignments[shift]++;
    test->regions++;
}

static int run_round(struct test *test, uint64_t bytes, bool edges_only)
{
    struct round round = {.bytes = bytes, .edges_only = edges_only, .seed = test->regions + 1};

    int status = round_run(&round, test->session, &test->engine);
    if (status != STATUS_OK) {
        return status;
    }
    note_address(test, round.source_bus, bytes);
    note_address(test, round.target_bus, bytes);
    test->copies += round.patterns;
    test->copied_bytes += round.copied_bytes;
    if (test->rounds) {
        json_object_array_add(test->rounds, report_json(&round));
        return STATUS_OK;
    }
    if (test->regions == 2) {
        printf(REPORT_COLUMNS " %12s %12s  %s\n", "SIZE", "SOURCE BUS", "TARGET BUS", "REGISTERED",
               "COPIED", "RESULT");
    }
    report(&round);
    return STATUS_OK;
}

static int run_sizes(struct test *test)
{
    const uint64_t page = (uint64_t)vm_page_size;
    const uint64_t defaults[SIZE_COUNT] = {1, 7, page, 4 * page + 123, 16 * page};
    const struct options *options = test->options;
    const uint64_t *sizes = options->size_count ? options->sizes : defaults;
    size_t count = options->size_count ? options->size_count : SIZE_COUNT;
    int status = STATUS_OK;

    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = run_round(test, sizes[i], false);
    }
    return status;
}

/* What two regions may still have each, in whole granules. */
static uint64_t half_budget(const struct test *test)
{
    /* memory that starts inside a granule takes one more */
    uint64_t used =
        2 * test->limits.granule_bytes + (test->has_statistics ? test->before.live_bytes : 0);
    uint64_t left = test->limits.aperture_bytes > used ? test->limits.aperture_bytes - used : 0;
    return left / 2 / test->limits.granule_bytes * test->limits.granule_bytes;
}

/* Doubling up to what the aperture holds; then it must be full, with the code for that. */
static int run_full(struct test *test)
{
    uint64_t last = half_budget(test);
    int status = STATUS_OK;

    for (uint64_t bytes = FULL_FIRST; bytes < last && status == STATUS_OK; bytes *= 2) {
        status = run_round(test, bytes, true);
    }
    if (status == STATUS_OK && last > 0) {
        status = run_round(test, last, true);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct region region;
    kern_return_t code =
        region_open(&region, test->session, IOVA_PROBE,
                    (size_t)(test->limits.aperture_bytes + test->limits.granule_bytes));
    if (code == KERN_SUCCESS) {
        region_close(&region, test->session);
    }
    checks_add(&test->checks,
               code == kIOReturnNoSpace || code == kIOReturnNotAligned ? CHECK_OK : CHECK_WARNING,
               "full", "one granule more than the aperture: %s",
               code == KERN_SUCCESS ? "mapped all the same" : code_text(code));
    return STATUS_OK;
}

static void check_addresses(struct test *test)
{
    char text[256] = "";
    size_t used = 0;
    unsigned int bits = 0;

    checks_add(&test->checks, CHECK_OK, "contiguous",
               "%u of %u regions are one bus segment as long as asked", test->regions,
               test->regions);
    for (uint64_t rest = test->highest; rest; rest >>= 1) {
        bits++;
    }
    checks_add(&test->checks, CHECK_NOTE, "address width",
               "0x%" PRIx64 " to 0x%" PRIx64 ": a device must drive %u bits", test->lowest,
               test->highest, bits);
    for (unsigned int shift = 0; shift < 64 && used < sizeof(text) - 48; shift++) {
        char size[SIZE_TEXT_BYTES];
        if (test->alignments[shift]) {
            used +=
                (size_t)snprintf(text + used, sizeof(text) - used, "%s%u of %s", used ? ", " : "",
                                 test->alignments[shift], size_text(UINT64_C(1) << shift, size));
        }
    }
    checks_add(&test->checks, CHECK_NOTE, "alignment", "%s; more than a page's is luck", text);
}

static void check_directions(struct test *test)
{
    char size[SIZE_TEXT_BYTES];

    if (!test->engine.ops) {
        checks_add(&test->checks, CHECK_SKIPPED, "device access",
                   "%04x:%04x has no engine dextctl knows (%s): nothing was copied",
                   test->instance.vendor_id, test->instance.device_id, engine_names());
        return;
    }
    size_text(test->copied_bytes, size);
    checks_add(&test->checks, CHECK_OK, "device reads",
               "%s in %u copies; it saw what was written after registering", size, test->copies);
    checks_add(&test->checks, CHECK_OK, "device writes",
               "%s landed and were seen by the process; nothing behind their end", size);
}

/* Copy half of a region that starts inside a page to its other half; NULL, or what went wrong. */
static const char *copy_inside(struct test *test, uint8_t *page, uint64_t bus)
{
    size_t half = UNALIGNED_BYTES / 2;

    memset(page, UNTOUCHED, UNALIGNED_AT + 2 * UNALIGNED_BYTES);
    pattern_fill(page + UNALIGNED_AT, half, 78);
    const char *cause = test->engine.ops->copy(&test->engine, bus, bus + half, half);
    if (cause) {
        return cause;
    }
    if (pattern_compare(page + UNALIGNED_AT + half, half, 78) < half) {
        return "what the device copied inside it did not arrive";
    }
    return page[UNALIGNED_AT - 1] == UNTOUCHED && page[UNALIGNED_AT + UNALIGNED_BYTES] == UNTOUCHED
               ? NULL
               : "the device wrote next to it";
}

/* Memory that is not whole pages. */
static void check_unaligned(struct test *test)
{
    const struct session *session = test->session;
    struct region pages;
    uint64_t bus = 0, length = 0;
    const char *cause = NULL;

    if (region_open(&pages, session, IOVA_PROBE, (size_t)vm_page_size) != KERN_SUCCESS) {
        return;
    }
    uint8_t *memory = pages.memory + UNALIGNED_AT;
    apple_dext_unregister_dma(session->connection, IOVA_PROBE);
    kern_return_t code = apple_dext_register_dma(session->connection, IOVA_PROBE, (uintptr_t)memory,
                                                 UNALIGNED_BYTES, &bus, &length);
    if (code == KERN_SUCCESS) {
        cause = test->engine.ops ? copy_inside(test, pages.memory, bus) : NULL;
        checks_add(&test->checks, cause ? CHECK_FAILED : CHECK_OK, "unaligned",
                   "%d bytes inside a page, at bus 0x%" PRIx64 ": %s", UNALIGNED_BYTES, bus,
                   cause ? cause : "registered, and nothing next to them touched");
    } else {
        checks_add(&test->checks, CHECK_NOTE, "unaligned",
                   "memory inside a page is refused, register whole pages: %s", code_text(code));
    }
    region_close(&pages, session);
}

/* The memory that the driver allocates: the device must reach it too. */
static void check_buffer(struct test *test)
{
    const struct session *session = test->session;
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    uint64_t bus = 0, length = 0;
    size_t half = BUFFER_BYTES / 2;

    kern_return_t code = apple_dext_allocate_dma_buffer(session->connection, BUFFER_BYTES, 0, &bus,
                                                        &length, &address, &size);
    if (code != KERN_SUCCESS) {
        checks_add(&test->checks, CHECK_FAILED, "driver's buffer", "cannot allocate it: %s",
                   code_text(code));
        return;
    }
    uint8_t *memory = (uint8_t *)(uintptr_t)address;
    if (!test->engine.ops) {
        checks_add(&test->checks, CHECK_OK, "driver's buffer",
                   "allocated and mapped at bus 0x%" PRIx64, bus);
    } else {
        pattern_fill(memory, half, 77);
        memset(memory + half, 0, half);
        const char *cause = test->engine.ops->copy(&test->engine, bus, bus + half, half);
        bool equal = pattern_compare(memory + half, half, 77) == half;
        checks_add(&test->checks, cause || !equal ? CHECK_FAILED : CHECK_OK, "driver's buffer",
                   "%s",
                   cause   ? cause
                   : equal ? "the device reads and writes it"
                           : "what the device copied inside it did not arrive");
    }
    code = apple_dext_free_dma_buffer(session->connection, address);
    if (code != KERN_SUCCESS) {
        checks_add(&test->checks, CHECK_FAILED, "driver's buffer", "cannot free it: %s",
                   code_text(code));
    }
}

static void check_statistics(struct test *test)
{
    AppleDextStatistics now;

    if (!test->has_statistics ||
        apple_dext_get_statistics(test->session->connection, &now) != KERN_SUCCESS) {
        checks_add(&test->checks, CHECK_SKIPPED, "faults and leaks",
                   "this driver keeps no statistics: refused accesses and regions left behind "
                   "cannot be known");
        return;
    }
    uint64_t faults = now.faults - test->before.faults;
    checks_add(&test->checks, faults ? CHECK_FAILED : CHECK_OK, "faults",
               "%" PRIu64 " accesses outside live regions during the test", faults);
    checks_add(&test->checks,
               now.live_regions > test->before.live_regions ? CHECK_WARNING : CHECK_OK, "leaks",
               "%" PRIu64 " live regions, %" PRIu64 " before (of all clients)", now.live_regions,
               test->before.live_regions);
}

static int run_all(struct test *test)
{
    int status = run_sizes(test);

    if (status == STATUS_OK && (test->options->given & OPTION_FULL)) {
        status = run_full(test);
    }
    if (status == STATUS_OK) {
        check_addresses(test);
        check_directions(test);
        check_unaligned(test);
        check_buffer(test);
        check_statistics(test);
    }
    return status;
}

static void print_json(struct test *test)
{
    json_object *top = json_object_new_object();

    json_add_text(top, "address", test->session->name);
    json_object_object_add(
        top, "engine", test->engine.ops ? json_object_new_string(test->engine.ops->name) : NULL);
    json_object_object_add(top, "rounds", test->rounds);
    json_object_object_add(top, "checks", checks_end(&test->checks));
    json_print(top);
    test->rounds = NULL;
}

static int open_test(struct test *test)
{
    const struct session *session = test->session;

    kern_return_t code = apple_dext_get_identity(session->connection, &test->instance);
    if (code == KERN_SUCCESS) {
        code = apple_dext_get_capabilities(session->connection, &test->limits);
    }
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get its identity and limits");
    }
    test->has_statistics =
        apple_dext_get_statistics(session->connection, &test->before) == KERN_SUCCESS;
    const struct engine_ops *ops = engine_find(test->instance.vendor_id, test->instance.device_id);
    return ops ? engine_open(&test->engine, ops, session) : STATUS_OK;
}

int dma_run_test(const struct session *session, const struct options *options,
                 const struct arguments *arguments)
{
    struct test test = {.session = session, .options = options};

    (void)arguments;
    int status = open_test(&test);
    if (status != STATUS_OK) {
        return status;
    }
    test.rounds = options->json ? json_object_new_array() : NULL;
    checks_begin(&test.checks, options->json);
    status = run_all(&test);
    if (status == STATUS_OK && options->json) {
        print_json(&test);
    }
    if (status == STATUS_OK && test.checks.failed) {
        status = failure(session->name, "%u check%s failed", test.checks.failed,
                         test.checks.failed == 1 ? "" : "s");
    }
    json_object_put(test.rounds);
    json_object_put(checks_end(&test.checks));
    engine_close(&test.engine);
    return status;
}

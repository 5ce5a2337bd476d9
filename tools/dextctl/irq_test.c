/*
 * irq test: fires every vector it can, and tells what was asked for, granted, lost and dropped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "irq_verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capability.h"
#include "checks.h"
#include "engine.h"
#include "latency.h"
#include "notice.h"
#include "output.h"
#include "patience.h"

#define CAP_ID_MSI     0x05
#define CAP_ID_MSIX    0x11
#define CAPABILITY_MAX 64
#define ARRIVE_SECONDS 1.0 /* for the last of the fired vectors */
#define SILENCE_SECONDS                                                                            \
    0.05 /* how long nothing must arrive, and for one before the next is fired */
#define DEFAULT_ROUNDS 3

enum kind { KIND_NONE, KIND_MSI, KIND_MSIX };

static const char *const kind_names[] = {"none", "MSI", "MSI-X"};

struct test {
    const struct session *session;
    AppleDextInstance instance;
    struct engine engine;
    struct notice notice;
    struct checks checks;
    struct latency latency;
    enum kind offered;
    enum kind granted; /* what is enabled after setting up */
    uint32_t asked;
    uint64_t rounds;
    unsigned int fired[IRQ_VECTORS];
    unsigned int arrived[IRQ_VECTORS];
    double fired_ms[IRQ_VECTORS];
    unsigned int strays; /* vectors that nobody fired */
    AppleDextStatistics before;
    bool has_statistics;
};

/* Both message capabilities: what they offer, and which is enabled. */
static kern_return_t look_at_config(struct test *test, bool is_set_up)
{
    struct capability list[CAPABILITY_MAX];
    struct config_image image = {.length = CONFIG_BYTES_PLAIN};
    kern_return_t code =
        apple_dext_config_read_block(test->session->connection, 0, image.bytes, CONFIG_BYTES_PLAIN);

    size_t count = code == KERN_SUCCESS ? capability_list(&image, list, CAPABILITY_MAX) : 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t control = config_u16(&image, list[i].offset + 2u);
        if (list[i].extended || (list[i].id != CAP_ID_MSI && list[i].id != CAP_ID_MSIX)) {
            continue;
        }
        enum kind kind = list[i].id == CAP_ID_MSIX ? KIND_MSIX : KIND_MSI;
        bool enabled = kind == KIND_MSIX ? (control & 0x8000) != 0 : (control & 1) != 0;
        if (is_set_up && enabled && kind > test->granted) {
            test->granted = kind;
        }
        if (!is_set_up && kind > test->offered) {
            test->offered = kind;
            test->asked = kind == KIND_MSIX ? (control & 0x7ffu) + 1 : 1u << ((control >> 1) & 7);
        }
    }
    return code;
}

static int open_test(struct test *test)
{
    const struct session *session = test->session;

    kern_return_t code = apple_dext_get_identity(session->connection, &test->instance);
    if (code == KERN_SUCCESS) {
        code = look_at_config(test, false);
    }
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot read its config space");
    }
    test->has_statistics =
        apple_dext_get_statistics(session->connection, &test->before) == KERN_SUCCESS;
    const struct engine_ops *ops = engine_find(test->instance.vendor_id, test->instance.device_id);
    int status = ops ? engine_open(&test->engine, ops, session) : STATUS_OK;
    if (status == STATUS_OK) {
        status = notice_open(&test->notice, session);
    }
    if (status == STATUS_OK && (code = look_at_config(test, true)) != KERN_SUCCESS) {
        status = session_failure(session, code, "cannot read its config space");
    }
    return status;
}

static void check_granted(struct test *test)
{
    uint32_t granted = test->notice.vectors;
    uint32_t most = test->asked < IRQ_VECTORS ? test->asked : IRQ_VECTORS;

    checks_add(&test->checks, test->granted == test->offered ? CHECK_OK : CHECK_WARNING, "kind",
               test->granted == test->offered ? "%s, as the device offers%s"
                                              : "%s, but the device offers %s: the host refused "
                                                "that, and the driver fell back",
               kind_names[test->granted],
               test->granted == test->offered ? "" : kind_names[test->offered]);
    if (test->offered == KIND_NONE) {
        checks_add(&test->checks, CHECK_WARNING, "vectors",
                   "the device has no messages, and the driver knows no INTx");
    } else if (test->granted != test->offered) {
        checks_add(&test->checks, CHECK_NOTE, "vectors",
                   "%" PRIu32 " granted, which is all the driver asks for when MSI-X is refused",
                   granted);
    } else if (granted < most) {
        checks_add(&test->checks, CHECK_WARNING, "vectors",
                   "%" PRIu32 " granted of %" PRIu32
                   " asked for: an earlier user of the device, or "
                   "a shortage; replugging it may help",
                   granted, test->asked);
    } else {
        checks_add(&test->checks, CHECK_OK, "vectors", "%" PRIu32 " granted of %" PRIu32 "%s",
                   granted, test->asked,
                   test->asked > IRQ_VECTORS ? ", the driver serves 256 at most" : "");
    }
}

/* Count what came; whether the wanted vector is among it. */
static bool take(struct test *test, const uint64_t pending[4], uint32_t wanted)
{
    bool found = false;

    for (uint32_t vector = 0; vector < IRQ_VECTORS; vector++) {
        if ((pending[vector / 64] >> (vector % 64) & 1) == 0) {
            continue;
        }
        test->engine.ops->acknowledge(&test->engine, vector);
        found = found || vector == wanted;
        if (test->arrived[vector] < test->fired[vector]) {
            test->arrived[vector]++;
            latency_add(&test->latency, (now_ms() - test->fired_ms[vector]) * 1e3);
        } else {
            test->strays += vector != wanted;
        }
    }
    return found;
}

/* Wait for a vector; false when time is up. A driver that goes is a failure of the test. */
static bool wait_for(struct test *test, uint32_t vector, double seconds, kern_return_t *code)
{
    double end_ms = now_ms() + seconds * 1e3;

    do {
        uint64_t pending[4] = {0};
        enum notice_result result =
            notice_wait(&test->notice, (end_ms - now_ms()) / 1e3, pending, code);
        if (result == NOTICE_PENDING && take(test, pending, vector)) {
            return true;
        }
        if (result == NOTICE_FAILED) {
            return false;
        }
    } while (now_ms() < end_ms);
    return false;
}

/* Fire each vector and give it a moment: one that is late arrives with the others, and where the
 * last one is there and it is not, it is lost. Only the last is waited for, or 256 silent vectors
 * would take minutes. */
static kern_return_t fire_round(struct test *test)
{
    uint32_t last = test->notice.vectors - 1;
    kern_return_t code = KERN_SUCCESS;

    for (uint32_t vector = 0; vector <= last && code == KERN_SUCCESS; vector++) {
        test->fired[vector]++;
        test->fired_ms[vector] = now_ms();
        test->engine.ops->fire(&test->engine, vector);
        wait_for(test, vector, SILENCE_SECONDS, &code);
    }
    if (code == KERN_SUCCESS && test->arrived[last] < test->fired[last]) {
        wait_for(test, last, patience(ARRIVE_SECONDS), &code);
    }
    /* The words of pending vectors are not read all at once: what came between is there now. */
    uint64_t pending[4] = {0};
    if (code == KERN_SUCCESS) {
        code = apple_dext_read_pending_irqs(test->session->connection, pending);
        take(test, pending, IRQ_VECTORS);
    }
    return code;
}

static uint64_t count_arrived(const struct test *test)
{
    uint64_t sum = 0;

    for (uint32_t vector = 0; vector < IRQ_VECTORS; vector++) {
        sum += test->arrived[vector];
    }
    return sum;
}

static int fire_all(struct test *test)
{
    uint64_t before;
    uint64_t round = 0;

    if (test->notice.vectors == 0) {
        return STATUS_OK;
    }
    do {
        before = count_arrived(test);
        kern_return_t code = fire_round(test);
        if (code != KERN_SUCCESS) {
            return session_failure(test->session, code, "cannot wait for interrupts");
        }
        /* A second round after a silent one would tell nothing. */
    } while (++round < test->rounds && count_arrived(test) > before);
    return STATUS_OK;
}

static void check_arrived(struct test *test)
{
    char list[160] = "";
    size_t used = 0;
    unsigned int lost = 0, fired = 0;

    for (uint32_t vector = 0; vector < test->notice.vectors; vector++) {
        unsigned int missing = test->fired[vector] - test->arrived[vector];
        fired += test->fired[vector];
        lost += missing;
        if (missing > 0 && used < sizeof(list) - 16) {
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%" PRIu32,
                                     used ? ", " : ": vectors ", vector);
        }
    }
    checks_add(&test->checks, lost ? CHECK_FAILED : CHECK_OK, "arrived",
               "%u of %u fired on %" PRIu32 " vectors%s", fired - lost, fired, test->notice.vectors,
               lost ? list : "");
    checks_add(&test->checks, test->strays ? CHECK_WARNING : CHECK_OK, "only those",
               "%u vectors that were not fired here", test->strays);
}

/* Fire while masked: it must not arrive. Then unmask: does the driver still know of it? */
static int check_masked(struct test *test)
{
    const uint64_t none[4] = {0};
    const uint64_t all[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    io_connect_t connection = test->session->connection;
    uint32_t vector = test->notice.vectors - 1;
    kern_return_t wait_code = KERN_SUCCESS;

    if (test->arrived[vector] == 0) {
        checks_add(&test->checks, CHECK_SKIPPED, "mask", "vector %" PRIu32 " never arrived",
                   vector);
        return STATUS_OK;
    }
    kern_return_t code = apple_dext_set_irq_mask(connection, none);
    if (code != KERN_SUCCESS) {
        return session_failure(test->session, code, "cannot mask its interrupts");
    }
    test->engine.ops->fire(&test->engine, vector);
    bool early = wait_for(test, vector, SILENCE_SECONDS, &wait_code);
    code = apple_dext_set_irq_mask(connection, all);
    if (code != KERN_SUCCESS || wait_code != KERN_SUCCESS) {
        return session_failure(test->session, code != KERN_SUCCESS ? code : wait_code,
                               "cannot unmask its interrupts");
    }
    bool late = !early && wait_for(test, vector, SILENCE_SECONDS, &wait_code);
    test->engine.ops->acknowledge(&test->engine, vector);
    test->engine.ops->fire(&test->engine, vector);
    bool again = wait_for(test, vector, patience(ARRIVE_SECONDS), &wait_code);
    checks_add(&test->checks, early || !again ? CHECK_FAILED : CHECK_OK, "mask",
               early    ? "vector %" PRIu32 " arrived although it was masked"
               : !again ? "vector %" PRIu32 " does not arrive any more after unmasking"
                        : "vector %" PRIu32 " is silent while masked, and back when unmasked",
               vector);
    checks_add(&test->checks, CHECK_NOTE, "fired masked",
               late ? "kept, and delivered at unmasking"
                    : "dropped: whoever unmasks must look at the device itself");
    return STATUS_OK;
}

static void check_statistics(struct test *test)
{
    AppleDextStatistics now;

    if (!test->has_statistics ||
        apple_dext_get_statistics(test->session->connection, &now) != KERN_SUCCESS) {
        checks_add(&test->checks, CHECK_SKIPPED, "driver's counts",
                   "this driver keeps no statistics: what it dropped cannot be known");
        return;
    }
    checks_add(&test->checks, CHECK_NOTE, "driver's counts",
               "%" PRIu64 " raised, %" PRIu64 " delivered, %" PRIu64 " dropped while masked "
               "(of all clients)",
               now.irqs_raised - test->before.irqs_raised,
               now.irqs_delivered - test->before.irqs_delivered,
               now.irqs_dropped - test->before.irqs_dropped);
}

static int run_checks(struct test *test)
{
    int status = STATUS_OK;

    check_granted(test);
    if (!test->engine.ops) {
        checks_add(&test->checks, CHECK_SKIPPED, "arrived",
                   "%04x:%04x cannot be made to fire: dextctl knows how with %s",
                   test->instance.vendor_id, test->instance.device_id, engine_names());
        return STATUS_OK;
    }
    status = fire_all(test);
    if (status == STATUS_OK) {
        check_arrived(test);
        status = check_masked(test);
    }
    if (status == STATUS_OK) {
        check_statistics(test);
    }
    return status;
}

static json_object *vectors_json(const struct test *test)
{
    json_object *array = json_object_new_array();

    for (uint32_t vector = 0; vector < test->notice.vectors && test->engine.ops; vector++) {
        json_object *object = json_object_new_object();
        json_add_number(object, "vector", vector);
        json_add_number(object, "fired", test->fired[vector]);
        json_add_number(object, "arrived", test->arrived[vector]);
        json_object_array_add(array, object);
    }
    return array;
}

static void print_result(struct test *test, bool json)
{
    if (!json) {
        latency_print(&test->latency, "latency, from firing to the process");
        return;
    }
    json_object *top = json_object_new_object();
    json_add_text(top, "address", test->session->name);
    json_add_text(top, "offered", kind_names[test->offered]);
    json_add_text(top, "kind", kind_names[test->granted]);
    json_add_number(top, "asked", test->asked);
    json_add_number(top, "granted", test->notice.vectors);
    json_object_object_add(top, "vectors", vectors_json(test));
    json_object_object_add(top, "latency_us", latency_json(&test->latency));
    json_object_object_add(top, "checks", checks_end(&test->checks));
    json_print(top);
}

int irq_run_test(const struct session *session, const struct options *options,
                 const struct arguments *arguments)
{
    struct test test = {.session = session, .notice = {.pipe = {-1, -1}}};

    (void)arguments;
    test.rounds = options->count ? options->count : DEFAULT_ROUNDS;
    checks_begin(&test.checks, options->json);
    int status = open_test(&test);
    if (status == STATUS_OK) {
        status = run_checks(&test);
    }
    if (status == STATUS_OK) {
        print_result(&test, options->json);
        if (test.checks.failed) {
            status = failure(session->name, "%u check%s failed", test.checks.failed,
                             test.checks.failed == 1 ? "" : "s");
        }
    }
    json_object_put(checks_end(&test.checks));
    latency_clear(&test.latency);
    notice_close(&test.notice);
    engine_close(&test.engine);
    return status;
}

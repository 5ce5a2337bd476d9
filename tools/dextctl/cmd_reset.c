/*
 * dextctl reset: says what a reset hits, resets, and verifies that the device is what it was.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checks.h"
#include "dextctl.h"
#include "output.h"
#include "reset_plan.h"
#include "session.h"

#define COMMAND_BITS   0x0006u /* memory, bus master: the driver puts them back */
#define BAR_FIRST      0x10
#define BAR_END        0x28
#define CAPABILITY_MAX 64
#define FEATURE_STATE  0x2u /* of AppleDextCapabilities.features */

/* A device before and after. */
struct reset {
    const struct session *session;
    const struct options *options;
    struct reset_plan plan;
    AppleDextDeviceState before;
    bool has_state;
    double took_ms;
    uint64_t ids;
    struct checks checks;
};

/* true: go on. A script says --yes; a person is asked. */
static bool ask(const struct reset *reset)
{
    char answer[8] = "";

    fprintf(stderr, "Reset %s? [y/N] ", reset->session->name);
    fflush(stderr);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int get_consent(const struct reset *reset)
{
    if ((reset->options->given & OPTION_YES) || !reset_plan_needs_consent(&reset->plan)) {
        return STATUS_OK;
    }
    if (!isatty(STDIN_FILENO)) {
        return failure(reset->session->name,
                       "not reset: others are hit, or it may not come back (--dry-run says who "
                       "and why); --yes does it all the same");
    }
    return ask(reset) ? STATUS_OK : failure(reset->session->name, "not reset");
}

static int carry_out(struct reset *reset)
{
    const struct session *session = reset->session;

    reset->has_state =
        apple_dext_get_device_state(session->connection, &reset->before) == KERN_SUCCESS;
    double start = now_ms();
    kern_return_t code = apple_dext_reset_device(session->connection);
    reset->took_ms = now_ms() - start;
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "reset failed after %.1f ms", reset->took_ms);
    }
    code = apple_dext_config_read(session->connection, 0, 4, &reset->ids);
    return code == KERN_SUCCESS ? STATUS_OK
                                : session_failure(session, code, "does not answer after the reset");
}

static void check_ids(struct reset *reset)
{
    uint16_t vendor = reset->plan.instance.vendor_id;
    uint16_t device = reset->plan.instance.device_id;
    unsigned int now_vendor = (unsigned int)(reset->ids & 0xffff);
    unsigned int now_device = (unsigned int)(reset->ids >> 16);

    if (!reset->plan.instance.has_ids) {
        checks_add(&reset->checks, CHECK_NOTE, "ids", "%04x:%04x; what it was is not known",
                   now_vendor, now_device);
    } else if (now_vendor == vendor && now_device == device) {
        checks_add(&reset->checks, CHECK_OK, "ids", "%04x:%04x, as before", vendor, device);
    } else {
        checks_add(&reset->checks, CHECK_FAILED, "ids", "%04x:%04x, was %04x:%04x", now_vendor,
                   now_device, vendor, device);
    }
}

static void check_generation(struct reset *reset)
{
    AppleDextDeviceState now;

    if (!reset->has_state || !(reset->plan.ability.limits.features & FEATURE_STATE) ||
        apple_dext_get_device_state(reset->session->connection, &now) != KERN_SUCCESS) {
        checks_add(&reset->checks, CHECK_SKIPPED, "generation",
                   "this driver does not count resets");
        return;
    }
    checks_add(&reset->checks, now.generation > reset->before.generation ? CHECK_OK : CHECK_WARNING,
               "generation", "%" PRIu64 ", was %" PRIu64, now.generation, reset->before.generation);
}

/* What the driver and the host promise to put back. */
static void check_config(struct reset *reset, const struct config_image *now)
{
    const struct config_image *before = &reset->plan.image;
    uint16_t command = config_u16(now, 0x04) & COMMAND_BITS;
    uint16_t wanted = config_u16(before, 0x04) & COMMAND_BITS;

    checks_add(&reset->checks, command == wanted ? CHECK_OK : CHECK_FAILED, "decoding",
               "memory space %s, bus master %s%s", command & 2 ? "on" : "off",
               command & 4 ? "on" : "off", command == wanted ? ", as before" : ": not as before");
    bool same = memcmp(now->bytes + BAR_FIRST, before->bytes + BAR_FIRST, BAR_END - BAR_FIRST) == 0;
    checks_add(&reset->checks, same ? CHECK_OK : CHECK_FAILED, "base addresses", "%s",
               same ? "as before" : "not as before: the device does not answer where it should");
}

static void check_link(struct reset *reset, const struct config_image *now)
{
    const struct ability *before = &reset->plan.ability;
    struct capability capabilities[CAPABILITY_MAX];
    struct ability after;
    size_t count = capability_list(now, capabilities, CAPABILITY_MAX);

    if (!before->has_link ||
        ability_get(&after, reset->session, now, capabilities, count) != KERN_SUCCESS) {
        return;
    }
    bool same = after.now.speed == before->now.speed && after.now.width == before->now.width;
    checks_add(&reset->checks, same ? CHECK_OK : CHECK_WARNING, "link",
               "generation %u x%u, was generation %u x%u", after.now.speed, after.now.width,
               before->now.speed, before->now.width);
}

static int verify(struct reset *reset)
{
    struct config_image now;

    check_ids(reset);
    check_generation(reset);
    kern_return_t code = config_image_read(reset->session, &now);
    if (code != KERN_SUCCESS) {
        return session_failure(reset->session, code, "does not answer after the reset");
    }
    if (reset->plan.is_alive) {
        check_config(reset, &now);
        check_link(reset, &now);
    } else {
        checks_add(&reset->checks, CHECK_SKIPPED, "config space",
                   "it did not answer before: there is nothing to compare with");
    }
    return STATUS_OK;
}

static void print_json(struct reset *reset, bool was_reset)
{
    json_object *object = json_object_new_object();

    json_add_text(object, "address", reset->session->name);
    reset_plan_add_json(object, &reset->plan);
    json_add_bool(object, "was_reset", was_reset);
    if (was_reset) {
        json_add_hex(object, "vendor_id", reset->ids & 0xffff, 4);
        json_add_hex(object, "device_id", reset->ids >> 16, 4);
        json_add_ms(object, "time_ms", reset->took_ms);
        json_object_object_add(object, "checks", checks_end(&reset->checks));
    }
    json_print(object);
}

static int reset_and_verify(struct reset *reset)
{
    bool json = reset->options->json;

    int status = carry_out(reset);
    if (status != STATUS_OK) {
        return status;
    }
    if (!json) {
        printf("%s: reset in %.3f ms, %04x:%04x answers\n", reset->session->name, reset->took_ms,
               (unsigned)(reset->ids & 0xffff), (unsigned)(reset->ids >> 16));
    }
    checks_begin(&reset->checks, json);
    status = verify(reset);
    if (status == STATUS_OK && json) {
        print_json(reset, true);
    }
    json_object_put(checks_end(&reset->checks));
    return status == STATUS_OK && reset->checks.failed
               ? failure(reset->session->name, "is not what it was before the reset")
               : status;
}

static int run(const struct options *options, int argc, char **argv)
{
    struct session session;
    struct reset reset = {.session = &session, .options = options};

    (void)argc;
    int status = session_open(&session, argv[0], SESSION_CLAIM);
    if (status != STATUS_OK) {
        return status;
    }
    status = reset_plan_make(&reset.plan, &session);
    if (status == STATUS_OK && !options->json) {
        reset_plan_print(&reset.plan, &session);
    }
    if (status == STATUS_OK && (options->given & OPTION_DRY_RUN)) {
        if (options->json) {
            print_json(&reset, false);
        } else {
            puts("  nothing was done (--dry-run)");
        }
    } else if (status == STATUS_OK) {
        status = get_consent(&reset);
        status = status == STATUS_OK ? reset_and_verify(&reset) : status;
    }
    session_close(&session);
    return status;
}

const struct command command_reset = {
    .name = "reset",
    .summary = "reset a device and check that it came back",
    .synopsis = "ADDR [--dry-run] [--yes]",
    .details =
        "Say what the reset will use and whom it hits, reset, and check that the device answers\n"
        "with its ids and is set up as before.\n"
        "\n"
        "The driver tries a function-level reset, then D3hot to D0, then a hot reset, as far as\n"
        "the device has them, until it answers. A hot reset hits every function below the port;\n"
        "other clients see the device reset under them. So where there are other functions, other\n"
        "claims or live DMA regions, or the device is known to stay dead after a function-level\n"
        "reset, a person is asked; without a terminal --yes is needed. --dry-run only says it.\n"
        "\n"
        "Examples:\n"
        "  dextctl reset 01:00.0 --dry-run\n"
        "  dextctl reset 01:00.0 --yes\n"
        "  dextctl reset 01:00.0 --device edu,addr=01:00.0 --json\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_DRY_RUN | OPTION_YES,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};

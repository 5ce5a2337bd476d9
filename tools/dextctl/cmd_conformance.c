/*
 * dextctl conformance: the contract of the dext's interface as a tool, for whoever has a real one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"
#include "dextctl.h"
#include "embedded.h"
#include "instance.h"
#include "output.h"
#include "patience.h"

static const struct conformance_group *const groups[] = {
    &conformance_look,   &conformance_counts,  &conformance_config, &conformance_bar,
    &conformance_client, &conformance_records, &conformance_dma,    &conformance_batch,
    &conformance_irq,    &conformance_reset,
};
#define GROUP_COUNT (sizeof(groups) / sizeof(*groups))

/* What a level does to the device, beyond those before it. */
static const char *const deeds[LEVEL_COUNT] = {
    NULL,
    "claims the device: it is powered, memory space and bus master are turned on; writes its "
    "interrupt line register and puts it back; maps its BARs",
    "registers memory of this process for DMA, and takes it back",
    "sets interrupts up",
    "resets it, several times; a hot reset hits the other functions below its port and every "
    "client (dextctl reset --dry-run says whom)",
    "ends the driver of this device for every client; it is not there any more then",
};

/* What is to be done: the tests up to a level, or one. */
struct selection {
    enum level level;
    const struct conformance_test *only;
};

static int parse_level(const char *name, enum level *level)
{
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(name, conformance_level_names[i]) == 0) {
            *level = (enum level)i;
            return STATUS_OK;
        }
    }
    return usage_error(
        "--level \"%s\": want read-only, claimed, dma, interrupts, reset or terminate", name);
}

static const struct conformance_test *find_test(const char *name)
{
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        for (size_t j = 0; j < groups[i]->count; j++) {
            if (strcmp(groups[i]->tests[j].name, name) == 0) {
                return &groups[i]->tests[j];
            }
        }
    }
    return NULL;
}

static int select_tests(struct selection *selection, const struct options *options)
{
    *selection = (struct selection){.level = LEVEL_READ_ONLY};
    if (options->json && (options->given & OPTION_TAP)) {
        return usage_error("--json and --tap: want one of them");
    }
    int status = options->level ? parse_level(options->level, &selection->level) : STATUS_OK;
    if (status != STATUS_OK || !options->only) {
        return status;
    }
    selection->only = find_test(options->only);
    if (!selection->only) {
        return usage_error("--only \"%s\": no such test; --list prints those there are",
                           options->only);
    }
    if (options->level && selection->only->level > selection->level) {
        return usage_error("--only \"%s\": a test of level %s", options->only,
                           conformance_level_names[selection->only->level]);
    }
    selection->level = selection->only->level;
    return STATUS_OK;
}

/* Where there is one device, it needs no address. */
static int choose_device(char address[ADDRESS_ROOT_BYTES + INSTANCE_TEXT_BYTES])
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;
    char text[INSTANCE_TEXT_BYTES];

    kern_return_t code = apple_dext_list(&instances, &count);
    if (code != KERN_SUCCESS) {
        return list_failure(code);
    }
    int status = STATUS_OK;
    if (count == 0) {
        status = failure(NULL, "%s", embedded_hint());
    } else if (count > 1) {
        status = usage_error("conformance: there are %zu devices, want the address of one", count);
    } else {
        snprintf(address, ADDRESS_ROOT_BYTES + INSTANCE_TEXT_BYTES, "%s/%s", instances[0].root,
                 instance_address_text(&instances[0], text));
    }
    apple_dext_free_list(instances);
    return status;
}

static void say_deeds(const struct conformance *run, const struct selection *selection)
{
    const AppleDextInstance *instance = &run->instance;

    fprintf(stderr, "dextctl: %s: level %s:\n", run->session.name,
            conformance_level_names[selection->level]);
    for (int i = 0; i <= (int)selection->level; i++) {
        if (deeds[i]) {
            fprintf(stderr, "  %-11s %s\n", conformance_level_names[i], deeds[i]);
        }
    }
    if (instance->has_claims && instance->claims > 0) {
        fprintf(stderr, "  others have claimed it: %s\n", instance->claimed_by);
    }
}

/* A simulated device of this process is nobody else's. */
static int get_consent(const struct conformance *run, const struct selection *selection,
                       const struct options *options)
{
    char answer[8] = "";

    if (selection->level == LEVEL_READ_ONLY || options->device_count > 0) {
        return STATUS_OK;
    }
    say_deeds(run, selection);
    if (options->given & OPTION_YES) {
        return STATUS_OK;
    }
    if (!isatty(STDIN_FILENO)) {
        return failure(run->session.name, "not done: level %s changes the device; --yes does it",
                       conformance_level_names[selection->level]);
    }
    fputs("Go on? [y/N] ", stderr);
    fflush(stderr);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y')
               ? STATUS_OK
               : failure(run->session.name, "not done");
}

static bool is_selected(const struct selection *selection, const struct conformance_test *test,
                        enum level level)
{
    return test->level == level && level <= selection->level &&
           (!selection->only || selection->only == test);
}

static size_t count_selected(const struct selection *selection)
{
    size_t count = 0;
    for (int level = 0; level < LEVEL_COUNT; level++) {
        for (size_t i = 0; i < GROUP_COUNT; i++) {
            for (size_t j = 0; j < groups[i]->count; j++) {
                count += is_selected(selection, &groups[i]->tests[j], (enum level)level);
            }
        }
    }
    return count;
}

/* Level by level, so that the harmless is known before the rest is done. */
static int run_selected(struct conformance *run, const struct selection *selection, bool json)
{
    struct conformance_report *report =
        conformance_report_begin(run, json, selection->level, count_selected(selection));
    if (!report) {
        return failure(NULL, "out of memory");
    }
    conformance_patience = patience(conformance_patience);
    for (int level = 0; level < LEVEL_COUNT; level++) {
        for (size_t i = 0; i < GROUP_COUNT; i++) {
            for (size_t j = 0; j < groups[i]->count; j++) {
                const struct conformance_test *test = &groups[i]->tests[j];
                if (is_selected(selection, test, (enum level)level)) {
                    double start = now_ms();
                    conformance_run(run, test);
                    conformance_report_add(report, run, now_ms() - start);
                }
            }
        }
    }
    return conformance_report_end(report) ? STATUS_FAILED : STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
    char address[ADDRESS_ROOT_BYTES + INSTANCE_TEXT_BYTES];
    struct selection selection;
    struct conformance conformance;

    int status = select_tests(&selection, options);
    if (status != STATUS_OK) {
        return status;
    }
    if (options->given & OPTION_LIST) {
        conformance_print_list(groups, GROUP_COUNT, options->json,
                               options->level ? selection.level : LEVEL_TERMINATE);
        return STATUS_OK;
    }
    status = argc > 0 ? STATUS_OK : choose_device(address);
    if (status == STATUS_OK) {
        status = conformance_begin(&conformance, argc > 0 ? argv[0] : address,
                                   options->given & OPTION_DEVICE_IS_SAFE);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = get_consent(&conformance, &selection, options);
    if (status == STATUS_OK) {
        status = run_selected(&conformance, &selection, options->json);
    }
    conformance_end(&conformance);
    return status;
}

const struct command command_conformance = {
    .name = "conformance",
    .summary = "compare the driver with the interface's description",
    .synopsis = "[ADDR] [--level NAME]",
    .details =
        "Run tests of the driver's interface, each tied to a row of docs/dext.md, and print TAP.\n"
        "The same tests in the same order for every device, so that a run on a real driver can\n"
        "be compared line by line with one on the software's.\n"
        "\n"
        "Levels, each with those before: read-only (nothing is claimed), claimed, dma, "
        "interrupts,\n"
        "reset, terminate (the driver is ended). Above read-only the device changes: what will be\n"
        "done is said, and a person is asked; without a terminal --yes is needed. Registers are\n"
        "touched, and what a driver without checks would hand to the hardware is asked for, only\n"
        "where the device is edu or testdev, or with --device-is-safe.\n"
        "\n"
        "What the real driver is known to do otherwise is no failure: \"not ok\" with the "
        "directive\n"
        "for expected failures and \"known difference\". The exit status is 1 when a test failed.\n"
        "\n"
        "Examples:\n"
        "  dextctl conformance --list\n"
        "  dextctl conformance 01:00.0\n"
        "  dextctl conformance 01:00.0 --level interrupts --yes --json\n"
        "  dextctl conformance --device testdev,addr=01:00.0 --level reset\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_TAP | OPTION_LEVEL | OPTION_LIST | OPTION_ONLY |
               OPTION_YES | OPTION_DEVICE_IS_SAFE,
    .arguments_min = 0,
    .arguments_max = 1,
    .run = run,
};

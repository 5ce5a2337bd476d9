/*
 * dextctl doctor: looks at host, driver and device step by step, and names what is wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "dextctl.h"
#include "doctor.h"
#include "embedded.h"

/* Cheapest and harmless first (field notes, 12b). */
static const struct doctor_check checks[] = {
    {"registry", 0, NEED_REGISTRY, doctor_check_registry},
    {"open", NEED_REGISTRY, NEED_OPEN, doctor_check_open},
    {"driver", NEED_OPEN, NEED_OPEN, doctor_check_driver},
    {"claim", NEED_OPEN, NEED_CLAIM, doctor_check_claim},
    {"config", NEED_CLAIM, NEED_CONFIG, doctor_check_config},
    {"power", NEED_CONFIG, NEED_POWER, doctor_check_power},
    {"capabilities", NEED_CONFIG, 0, doctor_check_capabilities},
    {"errors", NEED_CONFIG, 0, doctor_check_errors},
    {"link", NEED_CONFIG, 0, doctor_check_link},
    {"decode", NEED_CONFIG | NEED_POWER, NEED_DECODE, doctor_check_decode},
    {"bars", NEED_CONFIG | NEED_DECODE, NEED_BARS, doctor_check_bars},
    {"map", NEED_BARS, NEED_MAP, doctor_check_map},
    {"dma", NEED_CONFIG | NEED_POWER, 0, doctor_check_dma},
    {"interrupts", NEED_CONFIG | NEED_POWER, 0, doctor_check_interrupts},
    {"reset", NEED_CONFIG, 0, doctor_check_reset},
};
#define CHECK_COUNT (sizeof(checks) / sizeof(*checks))

static void run_check(struct doctor_report *report, struct patient *patient,
                      const struct doctor_check *check)
{
    struct doctor_step step = {.name = check->name};
    double start = now_ms();

    if (check->needs & patient->broken) {
        doctor_skip(&step, "needs what %s did not find well", patient->broken_by);
    } else {
        check->run(patient, &step);
    }
    if (step.result == DOCTOR_FAILED && check->gives && !patient->broken_by) {
        patient->broken_by = check->name;
    }
    if (step.result == DOCTOR_FAILED || step.result == DOCTOR_SKIPPED) {
        patient->broken |= check->gives;
    }
    step.ms = now_ms() - start;
    doctor_report_step(report, &step);
}

/* Everything there is, listed once. */
struct instances {
    AppleDextInstance *all;
    size_t count;
};

/* Other functions of the same slot: they share its fate in a reset (field notes B6, F8). */
static unsigned int count_siblings(const struct instances *instances,
                                   const AppleDextInstance *instance)
{
    unsigned int siblings = 0;

    for (size_t i = 0; i < instances->count; i++) {
        const AppleDextInstance *it = &instances->all[i];
        siblings += it->has_address && it->bus == instance->bus && it->device == instance->device &&
                    it->function != instance->function && strcmp(it->root, instance->root) == 0;
    }
    return siblings;
}

static void examine(struct doctor_report *report, const struct instances *instances, size_t index,
                    struct bundle *bundle)
{
    const AppleDextInstance *instance = &instances->all[index];
    struct patient *patient = calloc(1, sizeof(*patient));
    char address[INSTANCE_TEXT_BYTES];
    char title[ADDRESS_ROOT_BYTES + INSTANCE_TEXT_BYTES + 16];

    if (!patient) {
        failure(NULL, "out of memory");
        report->counts[DOCTOR_FAILED]++;
        return;
    }
    patient->instance = *instance;
    patient->siblings = count_siblings(instances, instance);
    snprintf(patient->name, sizeof(patient->name), "%s/%s", instance->root,
             instance_address_text(instance, address));
    patient->session.name = patient->name;
    snprintf(title, sizeof(title), "device %s", patient->name);
    doctor_report_section(report, instance, title);
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        run_check(report, patient, &checks[i]);
        if (bundle && patient->is_open) {
            doctor_records_read(&patient->records, patient->session.connection);
        }
    }
    bundle_add_device(bundle, patient);
    if (patient->is_open) {
        session_close(&patient->session);
    }
    doctor_records_clear(&patient->records);
    free(patient);
}

static void report_missing(struct doctor_report *report, enum doctor_finding finding,
                           const char *text)
{
    struct doctor_step step = {.name = "registry"};
    AppleDextInstance nothing = {0};
    doctor_report_section(report, &nothing, "device");
    doctor_fail(&step, finding, "%s", text);
    doctor_report_step(report, &step);
}

static bool is_wanted(const AppleDextInstance *instance, const char *name,
                      const struct address *address)
{
    if (!name || strcmp(instance->name, name) == 0) {
        return true;
    }
    return address && instance->has_address && instance->bus == address->bus &&
           instance->device == address->device && instance->function == address->function &&
           (!address->root[0] || strcmp(instance->root, address->root) == 0);
}

static void examine_all(struct doctor_report *report, const char *name,
                        const struct address *address, struct bundle *bundle)
{
    struct instances instances = {0};
    unsigned int found = 0;

    kern_return_t code = apple_dext_list(&instances.all, &instances.count);
    if (code != KERN_SUCCESS || instances.count == 0) {
        bool is_silent = code == kIOReturnTimeout;
        report_missing(report, is_silent ? FINDING_HOST_SILENT : FINDING_NO_DEVICES,
                       is_silent || code == KERN_SUCCESS ? embedded_hint() : code_text(code));
        return;
    }
    for (size_t i = 0; i < instances.count; i++) {
        if (is_wanted(&instances.all[i], name, address)) {
            examine(report, &instances, i, bundle);
            found++;
        }
    }
    apple_dext_free_list(instances.all);
    if (!found) {
        char text[96];
        snprintf(text, sizeof(text), "no device is at %.64s", name);
        report_missing(report, FINDING_NOT_FOUND, text);
    }
}

/* "BB:DD.F", or with the domain in front of it, as lspci -D prints it. */
static int check_vfio(const char *text)
{
    struct address address;
    const char *colon = strchr(text, ':');
    const char *rest = colon && colon != strrchr(text, ':') ? colon + 1 : text;

    if (strlen(text) <= strlen("0000:00:00.0") && !strchr(text, '/') &&
        strspn(text, "0123456789abcdefABCDEF") == (size_t)(colon ? colon - text : 0) &&
        address_parse(rest, &address)) {
        return STATUS_OK;
    }
    return usage_error("--vfio \"%s\": want the host's address of a device, as 0000:01:00.0", text);
}

static int check_usage(const struct options *options, int argc, char **argv,
                       struct address *address, bool *has_address)
{
    *has_address = argc && address_parse(argv[0], address);
    if (argc && !*has_address && !address_is_name(argv[0])) {
        return usage_error("\"%s\" is no address: want BB:DD.F or ROOT/BB:DD.F, in hexadecimal, "
                           "as in 01:00.0, or a name of dextctl list",
                           argv[0]);
    }
    if ((options->given & OPTION_WITH_SERIALS) && !options->bundle) {
        return usage_error("--with-serials needs --bundle");
    }
    return options->vfio ? check_vfio(options->vfio) : STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
    struct address address;
    bool has_address = false;
    struct doctor_report report;
    struct bundle *bundle = NULL;

    int status = check_usage(options, argc, argv, &address, &has_address);
    if (status == STATUS_OK && options->bundle) {
        status = bundle_open(options, &bundle);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (!doctor_report_open(&report, options->json)) {
        bundle_discard(bundle);
        return failure(NULL, "out of memory");
    }
    doctor_host(&report, options);
    examine_all(&report, argc ? argv[0] : NULL, has_address ? &address : NULL, bundle);
    status = doctor_report_finish(&report);
    if (bundle) {
        int written = bundle_write(bundle, report.top);
        status = written == STATUS_OK ? status : written;
    }
    doctor_report_close(&report);
    return status;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "examine host, driver and devices, and name what is wrong",
    .synopsis = "[ADDR]",
    .details =
        "Examine one device, or all of them, from the harmless to the telling: registry, driver,\n"
        "claim, config space, power, capabilities, errors, link, BARs, DMA, interrupts. Each\n"
        "step is a line: ok, warning, failed or skipped. A finding has its cause, what to do,\n"
        "and where docs/doctor.md explains it. Nothing is reset; a device that another client\n"
        "has claimed is not made to copy or fire. On Linux the host comes first: dextd's\n"
        "socket, page size, and what VFIO needs, which --vfio asks for a device of the host.\n"
        "\n"
        "--bundle writes what a bug report needs as a tar archive: versions, settings, config\n"
        "dumps, statistics, findings, the library's log. Serial numbers, the names that\n"
        "survive replug and paths are masked; --with-serials leaves the first two in.\n"
        "\n"
        "Exit status 1 when a step failed; a warning is none.\n"
        "\n"
        "Examples:\n"
        "  dextctl doctor\n"
        "  dextctl doctor 01:00.0 --json | jq '.devices[].steps[] | select(.result != \"ok\")'\n"
        "  dextctl doctor --bundle report.tar\n"
        "  dextctl doctor --vfio 0000:03:00.0\n"
        "  dextctl doctor --device edu,addr=01:00.0,fault=decode\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_BUNDLE | OPTION_WITH_SERIALS | OPTION_VFIO |
               OPTION_HOST_ROOT,
    .arguments_max = 1,
    .run = run,
};

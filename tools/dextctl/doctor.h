/*
 * What the parts of the doctor share: steps, findings, and the device under examination.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_DOCTOR_H
#define DEXTLINK_DEXTCTL_DOCTOR_H

#include <stdbool.h>

#include "bar.h"
#include "capability.h"
#include "doctor_finding.h"
#include "doctor_records.h"
#include "instance.h"
#include "options.h"
#include "output.h"
#include "session.h"

enum doctor_result {
    DOCTOR_OK,
    DOCTOR_WARNING, /* works, but not as one would expect */
    DOCTOR_FAILED,
    DOCTOR_SKIPPED,
};

#define DOCTOR_FINDINGS_MAX 4

/* One line: what was looked at, and what was seen. */
struct doctor_step {
    const char *name;
    enum doctor_result result;
    char text[256];
    enum doctor_finding findings[DOCTOR_FINDINGS_MAX];
    size_t finding_count;
    double ms;
};

/* Say what is well, or why a step was skipped. */
void doctor_say(struct doctor_step *step, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void doctor_skip(struct doctor_step *step, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Say what was found; what a step says last is its line, a failure outlives a warning. */
void doctor_warn(struct doctor_step *step, enum doctor_finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_fail(struct doctor_step *step, enum doctor_finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Everything said so far, printed as it comes or kept as JSON. */
struct doctor_report {
    bool json;
    bool colourful;
    unsigned int counts[DOCTOR_SKIPPED + 1];
    double start_ms;
    json_object *top;     /* owned */
    json_object *section; /* borrowed: array of steps, where the next step goes */
};

bool doctor_report_open(struct doctor_report *report, bool json);
/** Begin the steps of the host (NULL) or of a device. */
void doctor_report_section(struct doctor_report *report, const AppleDextInstance *instance,
                           const char *title);
void doctor_report_step(struct doctor_report *report, const struct doctor_step *step);
/** Print the end. Returns an exit status; the JSON stays for whoever wants it. */
int doctor_report_finish(struct doctor_report *report);
void doctor_report_close(struct doctor_report *report);

/* Steps that later ones may need; a step that failed or was skipped leaves its bit. */
enum doctor_need {
    NEED_REGISTRY = 1 << 0,
    NEED_OPEN = 1 << 1,
    NEED_CLAIM = 1 << 2,
    NEED_CONFIG = 1 << 3,
    NEED_POWER = 1 << 4,
    NEED_DECODE = 1 << 5,
    NEED_BARS = 1 << 6,
    NEED_MAP = 1 << 7,
};

#define DOCTOR_CAPABILITIES_MAX 128

/* A device and what has been learnt about it. */
struct patient {
    AppleDextInstance instance;
    unsigned int siblings;                               /* other functions of its slot */
    char name[ADDRESS_ROOT_BYTES + INSTANCE_TEXT_BYTES]; /* as address_parse takes it */
    struct session session;
    unsigned int broken; /* of enum doctor_need */
    const char *broken_by;
    bool is_open;
    bool has_extensions;
    bool has_statistics;
    bool has_image;
    bool may_disturb; /* nobody else has a claim, as far as the driver tells */
    AppleDextCapabilities limits;
    AppleDextStatistics statistics; /* before anything was done */
    AppleDextDeviceState state;
    struct config_image image;
    struct bar bars[BAR_COUNT];
    struct capability capabilities[DOCTOR_CAPABILITIES_MAX];
    size_t capability_count;
    struct doctor_records records; /* read while there is an archive */
};

struct doctor_check {
    const char *name;
    unsigned int needs;
    unsigned int gives; /* the bit that stays when it fails */
    void (*run)(struct patient *patient, struct doctor_step *step);
};

/** Offset of a capability of the patient, 0 when it has none. */
unsigned int patient_capability(const struct patient *patient, uint16_t id, bool extended);

/* doctor_driver.c, doctor_config.c, doctor_bars.c, doctor_dma.c, doctor_irq.c */
void doctor_check_registry(struct patient *patient, struct doctor_step *step);
void doctor_check_open(struct patient *patient, struct doctor_step *step);
void doctor_check_driver(struct patient *patient, struct doctor_step *step);
void doctor_check_claim(struct patient *patient, struct doctor_step *step);
void doctor_check_config(struct patient *patient, struct doctor_step *step);
void doctor_check_power(struct patient *patient, struct doctor_step *step);
void doctor_check_capabilities(struct patient *patient, struct doctor_step *step);
void doctor_check_errors(struct patient *patient, struct doctor_step *step);
void doctor_check_link(struct patient *patient, struct doctor_step *step);
void doctor_check_decode(struct patient *patient, struct doctor_step *step);
void doctor_check_bars(struct patient *patient, struct doctor_step *step);
void doctor_check_map(struct patient *patient, struct doctor_step *step);
void doctor_check_dma(struct patient *patient, struct doctor_step *step);
void doctor_check_interrupts(struct patient *patient, struct doctor_step *step);
void doctor_check_reset(struct patient *patient, struct doctor_step *step);

/** Examine the machine: what the tool needs of it, and VFIO. One file a system. */
void doctor_host(struct doctor_report *report, const struct options *options);

#endif

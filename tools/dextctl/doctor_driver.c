/*
 * The doctor's first questions: is the device known, does its driver answer, may we have it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "doctor.h"

#define BUDGET_WARN_PERCENT 80 /* field note D5 */

void doctor_check_registry(struct patient *patient, struct doctor_step *step)
{
    const AppleDextInstance *instance = &patient->instance;
    char ids[INSTANCE_TEXT_BYTES];

    doctor_say(step, "%s %s under %s%s", instance_ids_text(instance, ids),
               instance->has_ids ? class_text(instance->class_code) : "device", instance->root,
               patient->siblings ? ", beside other functions of its slot" : "");
}

void doctor_check_open(struct patient *patient, struct doctor_step *step)
{
    const AppleDextInstance *instance = &patient->instance;
    char *cause = NULL;
    double start = now_ms();

    io_connect_t connection = apple_dext_connect_with_root(
        instance->bus, instance->device, instance->function, instance->root, &cause);
    if (connection == IO_OBJECT_NULL) {
        doctor_fail(step, FINDING_OPEN_FAILED, "%s", cause ? cause : "out of memory");
        free(cause);
        return;
    }
    patient->session.connection = connection;
    patient->is_open = true;
    doctor_say(step, "in %.1f ms", now_ms() - start);
}

static void check_budget(const struct patient *patient, struct doctor_step *step)
{
    uint64_t used = patient->statistics.live_bytes;
    uint64_t all = patient->limits.aperture_bytes;
    char text[SIZE_TEXT_BYTES];

    if (all && used >= all / 100 * BUDGET_WARN_PERCENT) {
        doctor_warn(step, FINDING_DMA_BUDGET, "%" PRIu64 " of %s are mapped for DMA already", used,
                    size_text(all, text));
    }
    if (patient->statistics.faults) {
        doctor_warn(step, FINDING_FAULTS_SEEN,
                    "%" PRIu64 " DMA faults since the driver started, the last at 0x%" PRIx64,
                    patient->statistics.faults, patient->state.last_fault);
    }
}

void doctor_check_driver(struct patient *patient, struct doctor_step *step)
{
    io_connect_t connection = patient->session.connection;
    kern_return_t code = apple_dext_get_capabilities(connection, &patient->limits);
    char text[SIZE_TEXT_BYTES];

    if (code != KERN_SUCCESS) {
        doctor_fail(step, FINDING_OPEN_FAILED, "it does not answer: %s", code_text(code));
        return;
    }
    patient->has_extensions = patient->limits.interface_version != 0;
    patient->has_statistics =
        apple_dext_get_statistics(connection, &patient->statistics) == KERN_SUCCESS;
    if (patient->has_extensions) {
        apple_dext_get_device_state(connection, &patient->state);
    }
    patient->may_disturb = patient->has_statistics && patient->statistics.claims == 0;
    doctor_say(step, "interface version %" PRIu64 "%s, %" PRIu64 " regions, %s for DMA%s",
               patient->limits.interface_version,
               patient->has_extensions ? "" : " (no statistics, no state, other users unknown)",
               patient->limits.max_regions, size_text(patient->limits.aperture_bytes, text),
               patient->has_statistics && !patient->may_disturb ? ", in use by another client"
                                                                : "");
    check_budget(patient, step);
}

void doctor_check_claim(struct patient *patient, struct doctor_step *step)
{
    kern_return_t code = apple_dext_claim(patient->session.connection);
    if (code == kIOReturnNotOpen || code == kIOReturnExclusiveAccess) {
        doctor_fail(step, FINDING_DEVICE_HELD, "%s", code_text(code));
    } else if (code == kIOReturnNoDevice) {
        doctor_fail(step, FINDING_DEVICE_GONE, "%s", code_text(code));
    } else if (code != KERN_SUCCESS) {
        doctor_fail(step, FINDING_CLAIM_FAILED, "%s", code_text(code));
    } else {
        doctor_say(step, "granted");
    }
}

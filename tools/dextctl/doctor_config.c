/*
 * The doctor on config space: does it answer, is it awake, are its lists and its link sound.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"

#define CONFIG_STATUS       0x06
#define CONFIG_CAPABILITIES 0x34
#define STATUS_CAP_LIST     0x10
#define VENDOR_RETRY        0x0001 /* Configuration Request Retry Status, as software sees it */
#define CAP_ID_POWER        0x01
#define CAP_ID_EXPRESS      0x10
#define POWER_CONTROL       0x04
#define EXPRESS_DEVICE_CAPS 0x04
#define EXPRESS_LINK_CAPS   0x0c
#define EXPRESS_LINK_STATUS 0x12
#define DEVICE_CAPS_FLR     (1u << 28)
#define AER_ID              0x0001
#define AER_UNCORRECTABLE   0x04
#define AER_CORRECTABLE     0x10
#define CONFIG_HEADER_BYTES 0x40

unsigned int patient_capability(const struct patient *patient, uint16_t id, bool extended)
{
    for (size_t i = 0; i < patient->capability_count; i++) {
        const struct capability *it = &patient->capabilities[i];
        if (it->id == id && it->extended == extended) {
            return it->offset;
        }
    }
    return 0;
}

/* Ones: the driver may know whether the device is still there (field notes C3, F2). */
static void blame_ones(struct patient *patient, struct doctor_step *step)
{
    AppleDextDeviceState state;
    kern_return_t code = apple_dext_get_device_state(patient->session.connection, &state);
    bool is_there =
        patient->has_extensions && code == KERN_SUCCESS && state.presence != APPLE_DEXT_REMOVED;

    if (is_there) {
        doctor_fail(step, FINDING_CONFIG_ONES, "reads give ones; the driver says it is there");
    } else {
        doctor_fail(step, FINDING_DEVICE_GONE, "reads give ones: %s", code_text(kIOReturnNoDevice));
    }
}

void doctor_check_config(struct patient *patient, struct doctor_step *step)
{
    io_connect_t connection = patient->session.connection;
    const AppleDextInstance *instance = &patient->instance;
    uint64_t ids = 0;

    kern_return_t code = apple_dext_config_read(connection, 0, 4, &ids);
    if (code == kIOReturnNoDevice) {
        blame_ones(patient, step);
        return;
    }
    if (code == KERN_SUCCESS && (ids & 0xffff) == VENDOR_RETRY) {
        doctor_fail(step, FINDING_CONFIG_RETRY, "vendor id reads 0x0001 (retry)");
        return;
    }
    if (code == KERN_SUCCESS) {
        code = config_image_read(&patient->session, &patient->image);
    }
    if (code == kIOReturnNoDevice) {
        blame_ones(patient, step);
        return;
    }
    if (code != KERN_SUCCESS) {
        doctor_fail(step, FINDING_CONFIG_ONES, "cannot be read: %s", code_text(code));
        return;
    }
    patient->has_image = true;
    patient->capability_count =
        capability_list(&patient->image, patient->capabilities, DOCTOR_CAPABILITIES_MAX);
    if (instance->has_ids && ids != (instance->vendor_id | (uint64_t)instance->device_id << 16)) {
        doctor_fail(step, FINDING_CONFIG_MISMATCH,
                    "reads %04" PRIx64 ":%04" PRIx64 ", the registry has %04x:%04x", ids & 0xffff,
                    ids >> 16, instance->vendor_id, instance->device_id);
        return;
    }
    doctor_say(step, "%04" PRIx64 ":%04" PRIx64 " answers, %zu bytes", ids & 0xffff, ids >> 16,
               patient->image.length);
}

void doctor_check_power(struct patient *patient, struct doctor_step *step)
{
    unsigned int power = patient_capability(patient, CAP_ID_POWER, false);
    if (!power) {
        doctor_say(step, "no power management capability: always on");
        return;
    }
    unsigned int state = config_u16(&patient->image, power + POWER_CONTROL) & 3u;
    if (state != 0) {
        doctor_fail(step, FINDING_POWER_STATE, "in D%u%s", state, state == 3 ? "hot" : "");
    } else {
        doctor_say(step, "D0");
    }
}

/* Walk the list as it is, with a mark on every place it comes by. */
static const char *standard_flaw(const struct config_image *image, unsigned int *count)
{
    bool seen[CONFIG_BYTES_PLAIN / 4] = {false};
    unsigned int at = config_u16(image, CONFIG_STATUS) & STATUS_CAP_LIST
                          ? config_u8(image, CONFIG_CAPABILITIES) & ~3u
                          : 0;
    while (at != 0) {
        if (at < CONFIG_HEADER_BYTES) {
            return "points into the header";
        }
        if (seen[at / 4]) {
            return "comes back to where it was";
        }
        if (config_u16(image, at) == UINT16_MAX) {
            return "points to ones";
        }
        seen[at / 4] = true;
        (*count)++;
        at = config_u8(image, at + 1) & ~3u;
    }
    return NULL;
}

static const char *extended_flaw(const struct config_image *image, unsigned int *count)
{
    bool seen[CONFIG_BYTES / 4] = {false};
    unsigned int at = image->length > CONFIG_BYTES_PLAIN ? CONFIG_BYTES_PLAIN : 0;
    while (at != 0) {
        uint32_t header = config_u32(image, at);
        if (header == 0 && at == CONFIG_BYTES_PLAIN) {
            return NULL; /* none */
        }
        if (at < CONFIG_BYTES_PLAIN) {
            return "(extended) leaves its space";
        }
        if (seen[at / 4]) {
            return "(extended) comes back to where it was";
        }
        if (header == UINT32_MAX) {
            return "(extended) points to ones";
        }
        seen[at / 4] = true;
        (*count)++;
        at = (header >> 20) & ~3u;
    }
    return NULL;
}

void doctor_check_capabilities(struct patient *patient, struct doctor_step *step)
{
    unsigned int standard = 0;
    unsigned int extended = 0;
    const char *flaw = standard_flaw(&patient->image, &standard);
    const char *other = extended_flaw(&patient->image, &extended);

    if (flaw || other) {
        doctor_warn(step, FINDING_CAPABILITY_CHAIN, "the list %s", flaw ? flaw : other);
    } else {
        doctor_say(step, "%u standard, %u extended", standard, extended);
    }
}

void doctor_check_errors(struct patient *patient, struct doctor_step *step)
{
    unsigned int aer = patient_capability(patient, AER_ID, true);
    unsigned int express = patient_capability(patient, CAP_ID_EXPRESS, false);
    const struct config_image *image = &patient->image;

    if (!aer) {
        doctor_skip(step, "the device has no Advanced Error Reporting%s",
                    express ? "" : ", it is not PCI Express");
        return;
    }
    uint32_t uncorrectable = config_u32(image, aer + AER_UNCORRECTABLE);
    uint32_t correctable = config_u32(image, aer + AER_CORRECTABLE);
    if (uncorrectable) {
        doctor_warn(step, FINDING_AER_ERRORS,
                    "uncorrectable 0x%08" PRIx32 ", correctable 0x%08" PRIx32, uncorrectable,
                    correctable);
    } else {
        doctor_say(step, "none uncorrectable, correctable 0x%08" PRIx32, correctable);
    }
}

void doctor_check_link(struct patient *patient, struct doctor_step *step)
{
    unsigned int express = patient_capability(patient, CAP_ID_EXPRESS, false);
    if (!express) {
        doctor_skip(step, "the device is not PCI Express");
        return;
    }
    uint32_t most = config_u32(&patient->image, express + EXPRESS_LINK_CAPS);
    uint32_t now = config_u16(&patient->image, express + EXPRESS_LINK_STATUS);
    unsigned int width = (now >> 4) & 0x3f;
    unsigned int width_most = (most >> 4) & 0x3f;
    if (width == 0 || width_most == 0) {
        doctor_skip(step, "the device does not tell its link");
    } else if ((now & 0xf) < (most & 0xf) || width < width_most) {
        doctor_warn(step, FINDING_LINK_DEGRADED, "generation %u x%u, the device can do %u x%u",
                    now & 0xf, width, most & 0xf, width_most);
    } else {
        doctor_say(step, "generation %u x%u, its most", now & 0xf, width);
    }
}

void doctor_check_reset(struct patient *patient, struct doctor_step *step)
{
    unsigned int express = patient_capability(patient, CAP_ID_EXPRESS, false);
    bool flr =
        express && config_u32(&patient->image, express + EXPRESS_DEVICE_CAPS) & DEVICE_CAPS_FLR;
    doctor_skip(step,
                "not rehearsed unasked (dextctl reset); the device has %s function-level reset",
                flr ? "a" : "no");
}

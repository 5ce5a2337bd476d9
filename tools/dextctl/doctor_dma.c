/*
 * The doctor on DMA: registration with the device held off the bus, then a copy by the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "engine.h"
#include "region.h"

#define CONFIG_COMMAND 0x04
#define COMMAND_MASTER 0x4u
#define IOVA_SOURCE    UINT64_C(0x10000000)
#define IOVA_TARGET    UINT64_C(0x80000000)
#define COPY_BYTES     10007 /* prime: ends in the middle of everything */
#define COPY_SEED      0x5eed
#define PROBE_BYTES    8

static const size_t dry_sizes[] = {4096, 65536, 4 << 20};
#define DRY_COUNT (sizeof(dry_sizes) / sizeof(*dry_sizes))

static void blame_register(struct doctor_step *step, kern_return_t code, uint64_t bytes)
{
    char text[SIZE_TEXT_BYTES];
    enum doctor_finding finding = code == kIOReturnNoSpace      ? FINDING_DMA_BUDGET
                                  : code == kIOReturnNotAligned ? FINDING_DMA_FRAGMENTED
                                                                : FINDING_DMA_REGISTER;
    doctor_fail(step, finding, "%s cannot be registered: %s", size_text(bytes, text),
                code_text(code));
}

/* The driver must see what we wrote (field note D25). */
static bool probe_agrees(const struct patient *patient, const struct region *region)
{
    uint64_t word = 0;
    uint64_t mine = 0;
    uint64_t offset = region->bytes - PROBE_BYTES;
    kern_return_t code =
        apple_dext_probe_dma(patient->session.connection, region->iova, offset, &word);
    memcpy(&mine, region->memory + offset, sizeof(mine));
    return code == KERN_SUCCESS && word == mine;
}

/* Map and unmap; *lowest_bit gathers the alignment of the addresses the host chose. */
static bool dry_run(struct patient *patient, struct doctor_step *step, uint64_t *addresses)
{
    for (size_t i = 0; i < DRY_COUNT; i++) {
        struct region region;
        kern_return_t code = region_open(&region, &patient->session, IOVA_SOURCE, dry_sizes[i]);
        if (code != KERN_SUCCESS) {
            blame_register(step, code, dry_sizes[i]);
            return false;
        }
        pattern_fill(region.memory, region.bytes, COPY_SEED);
        *addresses |= region.bus_address;
        bool agrees = probe_agrees(patient, &region);
        code = region_close(&region, &patient->session);
        if (!agrees || code != KERN_SUCCESS) {
            doctor_fail(step, FINDING_DMA_REGISTER, "%s",
                        agrees ? code_text(code) : "the driver sees other bytes than we wrote");
            return false;
        }
    }
    return true;
}

static void set_command(const struct patient *patient, uint16_t command)
{
    apple_dext_config_write(patient->session.connection, CONFIG_COMMAND, 2, command);
}

static bool has_new_faults(const struct patient *patient, uint64_t *last)
{
    AppleDextStatistics now;
    AppleDextDeviceState state = {0};
    if (!patient->has_statistics ||
        apple_dext_get_statistics(patient->session.connection, &now) != KERN_SUCCESS) {
        return false;
    }
    apple_dext_get_device_state(patient->session.connection, &state);
    *last = state.last_fault;
    return now.faults > patient->statistics.faults;
}

static void judge_copy(const struct patient *patient, struct doctor_step *step, const char *cause,
                       const struct region *target)
{
    uint64_t last = 0;
    size_t good = pattern_compare(target->memory, COPY_BYTES, COPY_SEED);
    if (has_new_faults(patient, &last)) {
        doctor_fail(step, FINDING_DMA_FAULT, "the device reached for 0x%" PRIx64, last);
    } else if (cause) {
        doctor_fail(step, FINDING_DMA_LOST, "%s", cause);
    } else if (good < COPY_BYTES) {
        doctor_fail(step, FINDING_DMA_LOST,
                    "of %d bytes the device copied, byte %zu is the first that is wrong",
                    COPY_BYTES, good);
    }
}

static void copy(struct patient *patient, struct doctor_step *step, struct engine *engine)
{
    struct region source = {0};
    struct region target = {0};

    kern_return_t code = region_open(&source, &patient->session, IOVA_SOURCE, COPY_BYTES);
    if (code == KERN_SUCCESS) {
        code = region_open(&target, &patient->session, IOVA_TARGET, COPY_BYTES);
    }
    if (code != KERN_SUCCESS) {
        blame_register(step, code, COPY_BYTES);
    } else {
        pattern_fill(source.memory, COPY_BYTES, COPY_SEED);
        const char *cause =
            engine->ops->copy(engine, source.bus_address, target.bus_address, COPY_BYTES);
        judge_copy(patient, step, cause, &target);
    }
    region_close(&target, &patient->session);
    region_close(&source, &patient->session);
}

void doctor_check_dma(struct patient *patient, struct doctor_step *step)
{
    const struct engine_ops *ops =
        engine_find(patient->instance.vendor_id, patient->instance.device_id);
    uint16_t command = config_u16(&patient->image, CONFIG_COMMAND);
    struct engine engine = {0};
    uint64_t addresses = 0;

    /* Somebody else's device must stay on the bus. */
    if (patient->may_disturb) {
        set_command(patient, (uint16_t)(command & ~COMMAND_MASTER));
    }
    double start = now_ms();
    bool ok = dry_run(patient, step, &addresses);
    double each_us = (now_ms() - start) * 1e3 / DRY_COUNT;
    if (patient->may_disturb) {
        set_command(patient, command);
    }
    if (!ok) {
        return;
    }
    bool copies = ops && patient->may_disturb && !(patient->broken & NEED_MAP) &&
                  engine_open(&engine, ops, &patient->session) == STATUS_OK;
    doctor_say(step,
               "%zu sizes to 4 MiB registered%s, %.0f us each, addresses aligned to 0x%" PRIx64
               "; %s",
               DRY_COUNT, patient->may_disturb ? " with bus mastering off" : "", each_us,
               addresses & (~addresses + 1),
               copies                 ? "the device copied"
               : !ops                 ? "no copy: its engine is not known here"
               : patient->may_disturb ? "no copy: its registers cannot be mapped"
                                      : "no copy: it may be in use");
    if (copies) {
        copy(patient, step, &engine);
        engine_close(&engine);
    }
}

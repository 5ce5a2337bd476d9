/*
 * The doctor on BARs: decoding, addresses, sizes, mappings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>

#include "doctor.h"

#define CONFIG_COMMAND   0x04
#define CONFIG_BAR       0x10
#define COMMAND_MEMORY   0x2
#define BAR_TYPE_64BIT   0x4
#define BAR_MEMORY_FLAGS 0xfu

void doctor_check_decode(struct patient *patient, struct doctor_step *step)
{
    uint16_t command = config_u16(&patient->image, CONFIG_COMMAND);
    if (command & COMMAND_MEMORY) {
        doctor_say(step, "memory decoding is on, command 0x%04x", command);
    } else {
        doctor_fail(step, FINDING_DECODE_OFF, "claimed, and still off: command 0x%04x", command);
    }
}

/* Where the register says the BAR is; the image has the registers as they are. */
static uint64_t bar_address(const struct config_image *image, const struct bar *bar)
{
    size_t offset = CONFIG_BAR + 4u * bar->index;
    uint64_t address = config_u32(image, offset) & ~BAR_MEMORY_FLAGS;
    if (bar->type & BAR_TYPE_64BIT) {
        address |= (uint64_t)config_u32(image, offset + 4) << 32;
    }
    return address;
}

void doctor_check_bars(struct patient *patient, struct doctor_step *step)
{
    unsigned int memory = 0;
    uint64_t bytes = 0;
    char text[SIZE_TEXT_BYTES];

    for (uint8_t i = 0; i < BAR_COUNT; i++) {
        struct bar *bar = &patient->bars[i];
        kern_return_t code = bar_get(&patient->session, i, bar);
        if (code != KERN_SUCCESS) {
            doctor_fail(step, FINDING_BARS_NONE, "BAR %u cannot be asked about: %s", i,
                        code_text(code));
            return;
        }
        if (!bar->exists || (bar->type & BAR_TYPE_IO)) {
            continue;
        }
        if (bar->size == 0 || bar_address(&patient->image, bar) == 0) {
            doctor_fail(step, FINDING_BARS_UNASSIGNED, "BAR %u of %s has no address", i,
                        size_text(bar->size, text));
        }
        memory++;
        bytes += bar->size;
    }
    if (memory == 0) {
        patient->broken |= NEED_BARS | NEED_MAP;
        patient->broken_by = patient->broken_by ? patient->broken_by : step->name;
        doctor_warn(step, FINDING_BARS_NONE, "no memory BAR");
    } else {
        doctor_say(step, "%u memory BAR%s, %s, each with an address", memory,
                   memory == 1 ? "" : "s", size_text(bytes, text));
    }
}

void doctor_check_map(struct patient *patient, struct doctor_step *step)
{
    unsigned int mapped = 0;
    char text[SIZE_TEXT_BYTES];

    for (uint8_t i = 0; i < BAR_COUNT; i++) {
        const struct bar *bar = &patient->bars[i];
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        uint8_t type = 0;
        if (!bar->exists || (bar->type & BAR_TYPE_IO)) {
            continue;
        }
        kern_return_t code =
            apple_dext_map_bar(patient->session.connection, i, &address, &size, &type);
        if (code == kIOReturnUnderrun) {
            doctor_fail(step, FINDING_BAR_WINDOW, "BAR %u of %s can be mapped in part only", i,
                        size_text(bar->size, text));
        } else if (code != KERN_SUCCESS) {
            doctor_fail(step, FINDING_BAR_MAP, "BAR %u of %s cannot be mapped: %s", i,
                        size_text(bar->size, text), code_text(code));
        } else {
            apple_dext_unmap_bar(patient->session.connection, i, address);
            mapped++;
        }
    }
    doctor_say(step, "%u mapped and unmapped", mapped);
}

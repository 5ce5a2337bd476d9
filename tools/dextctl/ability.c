/*
 * What can be had of a device: link, resets, interrupts, DMA.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ability.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CAP_ID_PM    0x01
#define CAP_ID_MSI   0x05
#define CAP_ID_PCIE  0x10
#define CAP_ID_MSIX  0x11

#define MOST_VECTORS 256 /* that the driver registers */

static void look_at_express(struct ability *ability, const struct config_image *image, size_t at)
{
    uint32_t capable = config_u32(image, at + 0x0c);
    uint16_t status = config_u16(image, at + 0x12);

    ability->has_function_reset = (config_u32(image, at + 0x04) >> 28 & 1) != 0;
    ability->most = (struct link_rate){capable & 0xf, capable >> 4 & 0x3f};
    ability->now = (struct link_rate){status & 0xf, status >> 4 & 0x3f};
    ability->has_link = ability->most.width != 0;
}

static void look_at(struct ability *ability, const struct config_image *image,
                    const struct capability *cap)
{
    uint16_t control = config_u16(image, cap->offset + 2u);
    switch (cap->id) {
    case CAP_ID_PM:
        ability->has_power_reset = (config_u16(image, cap->offset + 4u) & 0x8) == 0;
        break;
    case CAP_ID_MSI:
        ability->msi = 1u << (control >> 1 & 7);
        break;
    case CAP_ID_MSIX:
        ability->msix = (control & 0x7ffu) + 1;
        break;
    case CAP_ID_PCIE:
        look_at_express(ability, image, cap->offset);
        break;
    default:
        break;
    }
}

kern_return_t ability_get(struct ability *ability, const struct session *session,
                          const struct config_image *image, const struct capability *capabilities,
                          size_t count)
{
    *ability = (struct ability){.has_pin = config_u8(image, 0x3d) != 0};
    for (size_t i = 0; i < count; i++) {
        if (!capabilities[i].extended) {
            look_at(ability, image, &capabilities[i]);
        }
    }
    ability->has_statistics =
        apple_dext_get_statistics(session->connection, &ability->statistics) == KERN_SUCCESS;
    return apple_dext_get_capabilities(session->connection, &ability->limits);
}

/* What the driver would take: MSI-X, else MSI, else the pin. */
static unsigned int usable_vectors(const struct ability *ability)
{
    unsigned int vectors = ability->msix ? ability->msix : ability->msi;
    if (vectors == 0) {
        return ability->has_pin;
    }
    return vectors < MOST_VECTORS ? vectors : MOST_VECTORS;
}

static void print_interrupts(const struct ability *ability)
{
    const char *separator = "";

    printf("  %-10s ", "interrupts");
    if (ability->msix) {
        printf("MSI-X %u", ability->msix);
        separator = ", ";
    }
    if (ability->msi) {
        printf("%sMSI %u", separator, ability->msi);
        separator = ", ";
    }
    if (ability->has_pin) {
        printf("%spin", separator);
        separator = ", ";
    }
    unsigned int usable = usable_vectors(ability);
    if (usable) {
        printf("; the driver offers %u vector%s\n", usable, usable == 1 ? "" : "s");
    } else {
        puts("none");
    }
}

static void print_dma(const struct ability *ability)
{
    char live[SIZE_TEXT_BYTES];
    char aperture[SIZE_TEXT_BYTES];
    char granule[SIZE_TEXT_BYTES];
    const AppleDextCapabilities *limits = &ability->limits;

    size_text(limits->aperture_bytes, aperture);
    size_text(limits->granule_bytes, granule);
    if (ability->has_statistics) {
        printf("  %-10s %s of %s mapped, %" PRIu64 " of %" PRIu64 " regions, in units of %s\n",
               "dma", size_text(ability->statistics.live_bytes, live), aperture,
               ability->statistics.live_regions, limits->max_regions, granule);
    } else {
        printf("  %-10s at most %s mapped and %" PRIu64 " regions, in units of %s\n", "dma",
               aperture, limits->max_regions, granule);
    }
}

void ability_print(const struct ability *ability)
{
    if (ability->has_link) {
        printf("  %-10s %s x%u now, %s x%u at most\n", "link", link_speed_text(ability->now.speed),
               ability->now.width, link_speed_text(ability->most.speed), ability->most.width);
    }
    printf("  %-10s %s%shot (hits every function below the port)\n", "resets",
           ability->has_function_reset ? "function-level, " : "",
           ability->has_power_reset ? "power management, " : "");
    print_interrupts(ability);
    print_dma(ability);
}

static json_object *link_json(const struct ability *ability)
{
    if (!ability->has_link) {
        return NULL;
    }
    json_object *object = json_object_new_object();
    json_add_number(object, "speed", ability->now.speed);
    json_add_text(object, "speed_text", link_speed_text(ability->now.speed));
    json_add_number(object, "width", ability->now.width);
    json_add_number(object, "max_speed", ability->most.speed);
    json_add_text(object, "max_speed_text", link_speed_text(ability->most.speed));
    json_add_number(object, "max_width", ability->most.width);
    return object;
}

static json_object *dma_json(const struct ability *ability)
{
    json_object *object = json_object_new_object();
    json_add_number(object, "aperture_bytes", ability->limits.aperture_bytes);
    json_add_number(object, "max_regions", ability->limits.max_regions);
    json_add_number(object, "granule_bytes", ability->limits.granule_bytes);
    if (ability->has_statistics) {
        json_add_number(object, "live_bytes", ability->statistics.live_bytes);
        json_add_number(object, "live_regions", ability->statistics.live_regions);
    } else {
        json_object_object_add(object, "live_bytes", NULL);
        json_object_object_add(object, "live_regions", NULL);
    }
    return object;
}

void ability_add_json(json_object *object, const struct ability *ability)
{
    json_object *resets = json_object_new_array();
    if (ability->has_function_reset) {
        json_object_array_add(resets, json_object_new_string("function"));
    }
    if (ability->has_power_reset) {
        json_object_array_add(resets, json_object_new_string("power"));
    }
    json_object_array_add(resets, json_object_new_string("hot"));

    json_object *interrupts = json_object_new_object();
    json_add_number(interrupts, "msix", ability->msix);
    json_add_number(interrupts, "msi", ability->msi);
    json_add_bool(interrupts, "pin", ability->has_pin);
    json_add_number(interrupts, "usable", usable_vectors(ability));

    json_object_object_add(object, "link", link_json(ability));
    json_object_object_add(object, "resets", resets);
    json_object_object_add(object, "interrupts", interrupts);
    json_object_object_add(object, "dma", dma_json(ability));
}

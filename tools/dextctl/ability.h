/*
 * What can be had of a device: its link, resets, interrupts, and room for DMA.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_ABILITY_H
#define DEXTLINK_DEXTCTL_ABILITY_H

#include "capability.h"
#include "output.h"
#include "session.h"

struct link_rate {
    unsigned int speed; /* PCIe generation */
    unsigned int width; /* lanes */
};

struct ability {
    bool has_link; /* false: no PCI Express, or an endpoint inside the root complex */
    struct link_rate now, most;
    bool has_function_reset, has_power_reset;
    unsigned int msix, msi; /* vectors, 0: none */
    bool has_pin;
    AppleDextCapabilities limits;
    bool has_statistics;
    AppleDextStatistics statistics;
};

/** Look at a claimed device and ask its driver. KERN_SUCCESS or what asking for the limits said. */
kern_return_t ability_get(struct ability *ability, const struct session *session,
                          const struct config_image *image, const struct capability *capabilities,
                          size_t count);

void ability_print(const struct ability *ability);

/** Add "link", "resets", "interrupts" and "dma". */
void ability_add_json(json_object *object, const struct ability *ability);

#endif

/*
 * The capabilities a model's config space may carry, each placed behind the last with its reset
 * values and write masks (PCI Express Base Specification, chapters 5 and 7). MSI and MSI-X come
 * with their behaviour in msi.h and msix.h.
 *
 * Every builder returns the capability's offset, 0 when it does not fit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_CONFIG_CAPABILITY_H
#define DEXTLINK_MODEL_CONFIG_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

struct config_space;

struct config_pcie {
    bool has_flr;
    uint8_t link_speed; /* generation: 1 = 2.5 GT/s … 5 = 32 GT/s; best and present */
    uint8_t link_width; /* lanes; best and present */
};

/** PCI Express endpoint, capability version 2. */
unsigned config_add_pcie(struct config_space *config, const struct config_pcie *pcie);

/** Power management with D0 and D3hot. no_soft_reset: D3hot to D0 keeps the state. */
unsigned config_add_power(struct config_space *config, bool no_soft_reset);

/** Vendor-specific: length byte and count bytes of body (at most 252). */
unsigned config_add_vendor(struct config_space *config, const void *body, unsigned count);

/** Advanced error reporting. */
unsigned config_add_aer(struct config_space *config);

/** Device serial number. */
unsigned config_add_serial(struct config_space *config, uint64_t serial);

/** Vendor-specific extended: id, revision (4 bits) and count bytes of body. */
unsigned config_add_vendor_extended(struct config_space *config, uint16_t id, uint8_t revision,
                                    const void *body, unsigned count);

/** The write masks of a capability that is there, at base; beyond the end of config space, or of
 * its first 256 bytes, it gets none. MSI and MSI-X: msi.h, msix.h. */
void config_mask_pcie(struct config_space *config, unsigned base);
void config_mask_power(struct config_space *config, unsigned base);
void config_mask_aer(struct config_space *config, unsigned base);

/** Show or hide Transactions Pending in Device Status. */
void config_set_transactions_pending(struct config_space *config, bool is_pending);

enum config_power_change {
    CONFIG_POWER_SAME,
    CONFIG_POWER_SLEPT,      /* D0 to D3hot */
    CONFIG_POWER_WOKE,       /* D3hot to D0, state kept (No_Soft_Reset) */
    CONFIG_POWER_WOKE_RESET, /* D3hot to D0: the host resets the function next */
};

/** What a config write did to the power state. *state (0 or 3) is the state so far and is updated.
 * A write of D1 or D2, which the function does not have, is undone. */
enum config_power_change config_power_written(struct config_space *config, uint8_t *state);

#endif

/*
 * Config space as a guest sees it. What the guest may decide reaches the device; what the host owns
 * (BAR addresses, STATUS, MSI and MSI-X enable and addresses, Device Control, power state) is kept
 * here and never written to the device, which a guest's value would kill (field note C15). There is
 * no interrupt pin and no expansion ROM.
 *
 * One thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_CONFIG_VIEW_H
#define DEXTLINK_VFIOUSER_CONFIG_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfiouser/report.h"

#define VU_CONFIG_MAX_BYTES 4096
#define VU_BAR_COUNT        6

/* The device's config space: the client library; a fake in tests. Aligned, width 1, 2 or 4. */
struct vu_config_ops {
    /* 0; -ENODEV the device does not answer (*value is ones); -errno. */
    int (*read)(void *opaque, unsigned offset, unsigned width, uint32_t *value);
    int (*write)(void *opaque, unsigned offset, unsigned width, uint32_t value);
};

/* What config space alone does not tell. */
struct vu_config_shape {
    struct {
        uint64_t bytes; /* 0: not shown */
        uint8_t type;   /* low bits of the BAR register */
    } bars[VU_BAR_COUNT];
    unsigned vectors; /* granted; 0: MSI and MSI-X are not shown */
};

/* Where the device keeps a structure of MSI-X. */
struct vu_msix_place {
    unsigned bar;
    uint64_t offset, bytes;
};

/* What a write asks the caller to do, bits. */
#define VU_CONFIG_RESET      1u /* reset the device; vu_config_reset is for the caller to call */
#define VU_CONFIG_BUS_MASTER 2u /* vu_config_is_master has changed */

struct vu_config {
    const struct vu_config_ops *ops;
    void *opaque;
    const struct vu_report *report;
    unsigned bytes;                 /* 256 or 4096 */
    unsigned msi_count, msix_count; /* vectors shown */
    struct vu_msix_place table, pba;
    unsigned pm, msi, msix, pcie, af; /* capabilities; 0 = none */
    bool has_pcie_flr, has_af_flr;
    bool is_reset_by_power;                    /* D3hot to D0 loses the device's state */
    bool is_master;                            /* as of the last write */
    uint8_t is_ours[VU_CONFIG_MAX_BYTES];      /* bits answered from value, not by the device */
    uint8_t is_stored[VU_CONFIG_MAX_BYTES];    /* of those: bits a guest may set */
    uint8_t is_forwarded[VU_CONFIG_MAX_BYTES]; /* bits whose writes reach the device */
    uint8_t value[VU_CONFIG_MAX_BYTES];
    uint8_t initial[VU_CONFIG_MAX_BYTES]; /* of value */
};

/**
 * Look at a device's config space and decide who answers what.
 *
 * @ops, @opaque, @report: borrowed while the view is in use
 *
 * 0, or the -errno of the first read that failed.
 */
int vu_config_init(struct vu_config *config, const struct vu_config_ops *ops, void *opaque,
                   const struct vu_config_shape *shape, const struct vu_report *report);

/** Read [offset, offset + count), inside config->bytes. A device that is gone reads ones; -errno.
 */
int vu_config_read(struct vu_config *config, unsigned offset, unsigned count, uint8_t *out);

/** Write; *effects gets bits of VU_CONFIG_*. */
int vu_config_write(struct vu_config *config, unsigned offset, unsigned count, const uint8_t *in,
                    unsigned *effects);

/** The guest's registers as after a reset. */
void vu_config_reset(struct vu_config *config);

/** Whether the guest has not put the function to sleep: then its BARs answer nothing. */
bool vu_config_is_awake(const struct vu_config *config);

/** Whether the guest lets the device use the bus: bus mastering on, and not asleep. */
bool vu_config_is_master(const struct vu_config *config);

#endif

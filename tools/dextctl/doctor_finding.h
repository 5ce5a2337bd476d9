/*
 * What the doctor can find: a name, which is the anchor in docs/doctor.md, the cause, what to do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_DOCTOR_FINDING_H
#define DEXTLINK_DEXTCTL_DOCTOR_FINDING_H

enum doctor_finding {
    FINDING_NO_DEVICES,
    FINDING_NOT_FOUND,
    FINDING_OPEN_FAILED,
    FINDING_DEVICE_HELD,
    FINDING_CLAIM_FAILED,
    FINDING_FAULTS_SEEN,
    FINDING_DEVICE_GONE,
    FINDING_CONFIG_ONES,
    FINDING_CONFIG_RETRY,
    FINDING_CONFIG_MISMATCH,
    FINDING_POWER_STATE,
    FINDING_CAPABILITY_CHAIN,
    FINDING_AER_ERRORS,
    FINDING_LINK_DEGRADED,
    FINDING_DECODE_OFF,
    FINDING_BARS_NONE,
    FINDING_BARS_UNASSIGNED,
    FINDING_BAR_WINDOW,
    FINDING_BAR_MAP,
    FINDING_DMA_BUDGET,
    FINDING_DMA_FRAGMENTED,
    FINDING_DMA_REGISTER,
    FINDING_DMA_FAULT,
    FINDING_DMA_LOST,
    FINDING_IRQ_LEGACY,
    FINDING_IRQ_NONE,
    FINDING_IRQ_FALLBACK,
    FINDING_IRQ_FEWER,
    FINDING_IRQ_LOST,
    FINDING_SOCKET_MISSING,
    FINDING_SOCKET_PERMISSION,
    FINDING_HOST_SILENT,
    FINDING_IOMMU_OFF,
    FINDING_VFIO_MISSING,
    FINDING_VFIO_PERMISSION,
    FINDING_VFIO_NO_DEVICE,
    FINDING_VFIO_BINDING,
    FINDING_VFIO_GROUP,
    FINDING_MEMLOCK,
    FINDING_COUNT,
};

struct finding_text {
    const char *id;
    const char *cause;
    const char *advice;
};

/* Indexed by enum doctor_finding. */
extern const struct finding_text finding_texts[FINDING_COUNT];

/** Where the documentation explains it, as "docs/doctor.md#bars-unassigned". Returns text. */
#define FINDING_PLACE_BYTES 64
const char *finding_place(enum doctor_finding finding, char text[FINDING_PLACE_BYTES]);

#endif

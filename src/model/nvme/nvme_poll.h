/*
 * How often the doorbell page is looked at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_NVME_POLL_H
#define DEXTLINK_MODEL_NVME_POLL_H

#include "model/model.h"

/* The longest sleep of a controller that is ready. */
#define NVME_POLL_LONGEST_NS UINT64_C(5000000)

enum nvme_poll_found {
    NVME_POLL_NOTHING,
    NVME_POLL_WAITING, /* nothing, and operations under way will have the doorbells looked at */
    NVME_POLL_SOME,    /* there was work, and it is done */
    NVME_POLL_MORE,    /* there is more that can be done now */
};

/* Zeroed at first. */
struct nvme_poll {
    uint64_t busy_ns;  /* when there was work last */
    uint64_t sleep_ns; /* what comes next when there is none */
    uint64_t pause_ns; /* how long the driver takes to go on, lately; 0: not known, or long */
};

/** What was under way was answered at now_ns: the driver is about to go on. */
void nvme_poll_answered(struct nvme_poll *poll, uint64_t now_ns);

/** After a look at now_ns that found this: ns until the next, as ops->poll returns them. */
uint64_t nvme_poll_next(struct nvme_poll *poll, uint64_t now_ns, enum nvme_poll_found found);

#endif

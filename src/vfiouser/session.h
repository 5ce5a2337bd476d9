/*
 * One client's time with the device: from its first message to its last.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_SESSION_H
#define DEXTLINK_VFIOUSER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "vfiouser/codec.h"
#include "vfiouser/device.h"
#include "vfiouser/share_check.h"

struct vu_session {
    struct vu_device *device;
    struct vu_link *link; /* the device's */
    const struct vu_report *report;
    uint8_t *reply;         /* room for the largest payload */
    struct vu_version peer; /* as negotiated */
    bool is_negotiated;
    bool is_probed;    /* has been told what the device is */
    bool lacks_memory; /* a file of its was not taken before that */
    bool is_in_use;    /* its guest has let the device master the bus */
    struct vu_share_check share_check;
};

/**
 * Serve one client until it goes, its connection is shut down, or it must be refused.
 *
 * @fd: taken; report: borrowed
 *
 * What it held of the device is not released here. 0: it went; -EPROTO: refused for breaking the
 * protocol; -EPERM: refused for memory the device cannot share; -errno of the socket; -ENOMEM.
 */
int vu_session_run(struct vu_device *device, const struct vu_report *report, int fd);

#endif

/*
 * What the steps of the demo work on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_DEMO_STEPS_H
#define DEXTLINK_DEXTCTL_DEMO_STEPS_H

#include "edu.h"
#include "notice.h"
#include "region.h"
#include "step.h"

#define DEMO_ADDRESS "01:00.0"

/* Filled step by step; what is open is closed by demo_close, in reverse. */
struct demo {
    struct session session;
    struct engine engine;
    struct region source;
    struct region target;
    struct notice notice;
    bool has_host;
    bool has_notice;
};

extern const struct step demo_steps[];
extern const size_t demo_step_count;

/** Close what the steps have opened and not closed yet. */
void demo_close(struct demo *demo);

#endif

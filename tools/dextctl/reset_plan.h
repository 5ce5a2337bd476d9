/*
 * What a reset of a device will use, and whom it hits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_RESET_PLAN_H
#define DEXTLINK_DEXTCTL_RESET_PLAN_H

#include "ability.h"
#include "session.h"

#define PLAN_NEIGHBOURS 8

struct reset_plan {
    AppleDextInstance instance;
    bool is_alive; /* false: it does not answer, and what follows from config space is unknown */
    struct config_image image;
    struct ability ability;
    bool breaks_by_function_reset;                 /* known to stay dead after one */
    AppleDextInstance neighbours[PLAN_NEIGHBOURS]; /* other functions below the same port */
    size_t neighbour_count;                        /* all of them, also those not kept */
    char clients[128];                             /* who else holds a claim; "" nobody known */
    bool knows_clients;
};

/** Look at a claimed device. Prints one line on failure. */
int reset_plan_make(struct reset_plan *plan, const struct session *session);

/** Whether somebody else is hit, or the device may not come back: then a person must agree. */
bool reset_plan_needs_consent(const struct reset_plan *plan);

void reset_plan_print(const struct reset_plan *plan, const struct session *session);

/** Add "alive", "steps", "functions", "clients", "regions", "bytes" and "needs_consent". */
void reset_plan_add_json(json_object *object, const struct reset_plan *plan);

#endif

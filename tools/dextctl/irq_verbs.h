/*
 * Verbs of dextctl irq, a file each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_IRQ_VERBS_H
#define DEXTLINK_DEXTCTL_IRQ_VERBS_H

#include "verb.h"

#define IRQ_VECTORS 256 /* the dext serves no more */

/* As struct verb has it. */
int irq_run_watch(const struct session *session, const struct options *options,
                  const struct arguments *arguments);
int irq_run_test(const struct session *session, const struct options *options,
                 const struct arguments *arguments);

#endif

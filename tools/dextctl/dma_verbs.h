/*
 * Verbs of dextctl dma, a file each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_DMA_VERBS_H
#define DEXTLINK_DEXTCTL_DMA_VERBS_H

#include "verb.h"

/* As struct verb has it. */
int dma_run_test(const struct session *session, const struct options *options,
                 const struct arguments *arguments);
int dma_run_budget(const struct session *session, const struct options *options,
                   const struct arguments *arguments);
int dma_run_soak(const struct session *session, const struct options *options,
                 const struct arguments *arguments);

#endif

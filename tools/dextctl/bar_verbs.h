/*
 * Verbs of dextctl bar that live in files of their own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_BAR_VERBS_H
#define DEXTLINK_DEXTCTL_BAR_VERBS_H

#include "verb.h"

/* As struct verb has it. */
int bar_run_dump(const struct session *session, const struct options *options,
                 const struct arguments *arguments);
int bar_run_fill(const struct session *session, const struct options *options,
                 const struct arguments *arguments);
int bar_run_watch(const struct session *session, const struct options *options,
                  const struct arguments *arguments);
int bar_check_watch(const struct options *options, const struct arguments *arguments);

#endif

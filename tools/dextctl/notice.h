/*
 * Waiting for interrupts: the library's notice turned into something to wait on with a deadline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_NOTICE_H
#define DEXTLINK_DEXTCTL_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "session.h"

struct notice {
    const struct session *session; /* borrowed */
    AppleDextInterruptNotify *notify;
    uint32_t vectors;
    int pipe[2]; /* one byte a wake-up; closed when [0] is -1 */
};

enum notice_result {
    NOTICE_PENDING, /* vectors arrived */
    NOTICE_TIMEOUT,
    NOTICE_STOPPED, /* notice_stop */
    NOTICE_FAILED,  /* the device or its driver has gone */
};

/**
 * Set up the interrupts of a claimed device and arm the notice. notice stays where it is until
 * notice_close. Prints one line on failure.
 */
int notice_open(struct notice *notice, const struct session *session);
void notice_close(struct notice *notice);

/**
 * Wait at most seconds for vectors; pending, zeroed by the caller, gets them, one bit each. Returns
 * what happened, with *code set on NOTICE_FAILED: also when the device goes while nothing arrives.
 */
enum notice_result notice_wait(struct notice *notice, double seconds, uint64_t pending[4],
                               kern_return_t *code);

/** End a notice_wait, this one or the next. Fit for a signal handler. */
void notice_stop(struct notice *notice);

#endif

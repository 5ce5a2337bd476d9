/*
 * The client library's log, for whoever asks for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_LOG_H
#define DEXTLINK_DEXTCTL_LOG_H

/**
 * Send the log to stderr as DEXTLINK_LOG wants it (error, warning, info or debug); nowhere when
 * that is not set. Returns STATUS_USAGE, and says so, when it is something else.
 */
int log_start(void);

#endif

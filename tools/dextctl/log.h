/*
 * The client library's log on stderr, and kept for the doctor's archive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_LOG_H
#define DEXTLINK_DEXTCTL_LOG_H

/** Print the library's log as far as DEXTLINK_LOG says, which main has looked at. */
void log_start(void);

/** Keep all of the log from here on, the first 256 KiB of it. */
void log_keep_start(void);

/** End that. Returns what was kept, for the caller to free; NULL when nothing was. */
char *log_keep_end(void);

#endif

/*
 * What the programs that serve have in common on their command lines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TOOLS_DAEMON_H
#define DEXTLINK_TOOLS_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

/** Say in one line on stderr that a value cannot be used, and what is wanted. */
void daemon_say_wrong(const char *program, const char *what, const char *value, const char *want);

/** The value of --ready-fd: an open descriptor. False after a line on stderr. */
bool daemon_parse_ready_fd(const char *program, const char *text, int *fd);

/** The value of --page-size: 4096 or 16384. False after a line on stderr. */
bool daemon_parse_page_size(const char *program, const char *text, uint32_t *bytes);

/** Write out what was printed on stdout. False after a line on stderr: it is not all there. */
bool daemon_finish_output(const char *program);

/** Tell whoever waits at fd (-1: nobody) that the program serves; closes fd unless it is one of
 * the standard three. 0, -errno of writing: fd stays open then. */
int daemon_announce(int fd);

#endif

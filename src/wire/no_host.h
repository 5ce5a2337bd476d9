/*
 * Why this process found no host when it last looked for one: a line for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_NO_HOST_H
#define DEXTLINK_WIRE_NO_HOST_H

#include <stddef.h>

/** Note the reason, with the socket's path in it; "" when a host was found. Any thread. */
void wire_no_host_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Copy the reason, cut to bytes; "" while none was looked for, too. Any thread. */
void wire_no_host_text(char *text, size_t bytes);

#endif

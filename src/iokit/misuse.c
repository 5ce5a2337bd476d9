/*
 * The deliberate end of a process that misuses CoreFoundation or dispatch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/misuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void misuse(const char *function, const char *what)
{
    /* One write, no stdio: its locks may be held by the thread that is in trouble. */
    char line[256];
    snprintf(line, sizeof(line), "%s: %s\n", function, what);
    ssize_t ignored = write(STDERR_FILENO, line, strlen(line));
    (void)ignored;
    abort();
}

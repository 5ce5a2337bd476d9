/*
 * Values of options that several servers take, and how they say that they serve.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void daemon_say_wrong(const char *program, const char *what, const char *value, const char *want)
{
    fprintf(stderr, "%s: %s \"%s\": %s\n", program, what, value, want);
}

bool daemon_parse_ready_fd(const char *program, const char *text, int *fd)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > INT_MAX) {
        daemon_say_wrong(program, "--ready-fd", text, "want the number of an open file descriptor");
        return false;
    }
    if (fcntl((int)number, F_GETFD) < 0) {
        daemon_say_wrong(program, "--ready-fd", text, "no such open file descriptor");
        return false;
    }
    *fd = (int)number;
    return true;
}

bool daemon_parse_page_size(const char *program, const char *text, uint32_t *bytes)
{
    if (strcmp(text, "4096") != 0 && strcmp(text, "16384") != 0) {
        daemon_say_wrong(program, "--page-size", text, "want 4096 or 16384");
        return false;
    }
    *bytes = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

bool daemon_finish_output(const char *program)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    fprintf(stderr, "%s: cannot write the output: %s\n", program,
            errno ? strerror(errno) : "it failed before");
    return false;
}

int daemon_announce(int fd)
{
    if (fd < 0) {
        return 0;
    }
    if (write(fd, "\n", 1) != 1) {
        return -errno;
    }
    if (fd > STDERR_FILENO) {
        close(fd);
    }
    return 0;
}

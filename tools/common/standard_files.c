/*
 * Closed standard descriptors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "standard_files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void standard_files_occupy(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The lowest free number is fd. Opened the wrong way round: reading from input and
             * writing to output stay errors. */
            int opened = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
            (void)opened;
        }
    }
}

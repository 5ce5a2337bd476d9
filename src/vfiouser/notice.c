/*
 * Kinds of descriptors for interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/notice.h"

#include <sys/stat.h>

bool vu_notice_fits(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return false;
    }
    /* An eventfd is of no kind at all. */
    return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || (status.st_mode & S_IFMT) == 0;
}

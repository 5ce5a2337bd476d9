/*
 * Whose process a client is, and looking into it with no more rights than that user has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_CLIENT_OWNER_H
#define DEXTLINK_HOST_CLIENT_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* As the kernel said when it connected. */
struct client_owner {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/** A process of this one's user. */
struct client_owner client_owner_own(pid_t pid);

/** Whether it is another user's than this process's. */
bool client_owner_is_foreign(const struct client_owner *owner);

/**
 * Open /proc/PID/NAME. Of another user's process only when that user might, whatever rights this
 * process has: a process that has become more than its user, or another of the same number, stays
 * closed. The descriptor names the address space that the process has now for ever.
 *
 * Any thread. A descriptor; -EACCES the user might not; -ESRCH, -ENOENT there is no such process;
 * -errno.
 */
int client_owner_open(const struct client_owner *owner, const char *name, int flags);

#endif

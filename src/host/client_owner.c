/*
 * Opening a client's files in /proc with the rights of its user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/client_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of one thread: what these calls change is each thread's own. */
struct lent_rights {
    struct __user_cap_data_struct before[_LINUX_CAPABILITY_U32S_3];
    bool has_before;
};

struct client_owner client_owner_own(pid_t pid)
{
    return (struct client_owner){.pid = pid, .uid = geteuid(), .gid = getegid()};
}

bool client_owner_is_foreign(const struct client_owner *owner)
{
    return owner->uid != geteuid();
}

static struct __user_cap_header_struct capability_header(void)
{
    return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
}

/* To open files as that user: neither may this thread look into any process then. false: it may
 * still. */
static bool rights_lend(const struct client_owner *owner, struct lent_rights *lent)
{
    struct __user_cap_header_struct header = capability_header();
    struct __user_cap_data_struct less[_LINUX_CAPABILITY_U32S_3];
    lent->has_before = syscall(SYS_capget, &header, lent->before) == 0;
    if (!lent->has_before) {
        return false;
    }
    memcpy(less, lent->before, sizeof(less));
    less[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
    header = capability_header();
    if (syscall(SYS_capset, &header, less) != 0) {
        return false;
    }
    setfsgid(owner->gid);
    setfsuid(owner->uid);
    return true;
}

static void rights_return(const struct lent_rights *lent)
{
    struct __user_cap_header_struct header = capability_header();
    setfsuid(geteuid());
    setfsgid(getegid());
    if (lent->has_before) {
        syscall(SYS_capset, &header, lent->before);
    }
}

int client_owner_open(const struct client_owner *owner, const char *name, int flags)
{
    char path[64];
    struct lent_rights lent = {.has_before = false};
    bool is_foreign = client_owner_is_foreign(owner);
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)owner->pid, name);
    int fd = -1;
    int error = is_foreign && !rights_lend(owner, &lent) ? -EACCES : 0;
    if (error == 0) {
        fd = open(path, flags | O_CLOEXEC);
        error = fd < 0 ? -errno : 0;
    }
    if (is_foreign) {
        rights_return(&lent);
    }
    return error ? error : fd;
}

/*
 * Opening a client's files, through /proc/PID/fd, pidfd_getfd and /proc/PID/map_files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/client_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Ours to run out of: no other way to the file will do better. */
static bool is_exhausted(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static bool file_is_right(int fd, const struct client_mapping *mapping)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_dev == mapping->device &&
           status.st_ino == mapping->inode;
}

/* Looked at before it is opened: opening a device or a pipe has effects. Not synchronised, so that
 * no file server can keep us waiting. */
static bool link_is_right(int directory, const char *name, const struct client_mapping *mapping)
{
    struct statx status;
    return statx(directory, name, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &status) == 0 &&
           S_ISREG(status.stx_mode) && status.stx_ino == mapping->inode &&
           makedev(status.stx_dev_major, status.stx_dev_minor) == mapping->device;
}

/* The client's own open file, where we may not open the file anew (its mode is for another user).
 */
static int file_duplicate(pid_t pid, int number, const struct client_mapping *mapping)
{
    cleanup_close int process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0) {
        return -errno;
    }
    cleanup_close int fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);
    if (fd < 0) {
        return -errno;
    }
    int flags = fcntl(fd, F_GETFL);
    /* An appending file ignores where we write to, a direct one wants aligned buffers. */
    bool fits = flags >= 0 && !(flags & (O_APPEND | O_DIRECT | O_PATH)) &&
                (flags & O_ACCMODE) != O_WRONLY &&
                (!mapping->is_writable || (flags & O_ACCMODE) == O_RDWR);
    return fits && file_is_right(fd, mapping) ? steal_fd(&fd) : -ENOENT;
}

/* A new open file first: a duplicate would share the client's file locks and keep them held. */
static int link_open(int directory, const char *name, const struct client_mapping *mapping)
{
    int mode = mapping->is_writable ? O_RDWR : O_RDONLY;
    cleanup_close int fd = openat(directory, name, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    return file_is_right(fd, mapping) ? steal_fd(&fd) : -ENOENT;
}

static int number_open(pid_t pid, int directory, const char *name,
                       const struct client_mapping *mapping)
{
    if (!link_is_right(directory, name, mapping)) {
        return -ENOENT;
    }
    int fd = link_open(directory, name, mapping);
    return fd == -EACCES || fd == -EPERM ? file_duplicate(pid, atoi(name), mapping) : fd;
}

static int descriptors_scan(pid_t pid, DIR *descriptors, const struct client_mapping *mapping,
                            int *hint)
{
    const struct dirent *entry;
    while ((entry = readdir(descriptors)) != NULL) {
        int fd = number_open(pid, dirfd(descriptors), entry->d_name, mapping);
        if (fd >= 0) {
            *hint = atoi(entry->d_name);
            return fd;
        }
        if (is_exhausted(fd)) {
            return fd;
        }
    }
    return -ENOENT;
}

static int through_descriptors(pid_t pid, const struct client_mapping *mapping, int *hint)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *descriptors = opendir(path);
    if (!descriptors) {
        return -errno;
    }
    int fd = -ENOENT;
    if (*hint >= 0) {
        snprintf(path, sizeof(path), "%d", *hint);
        fd = number_open(pid, dirfd(descriptors), path, mapping);
    }
    if (fd < 0) {
        fd = descriptors_scan(pid, descriptors, mapping, hint);
    }
    closedir(descriptors);
    return fd;
}

static int through_mapping(pid_t pid, const struct client_mapping *mapping)
{
    char path[96];
    snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid,
             (unsigned long long)mapping->map_start, (unsigned long long)mapping->map_end);
    return link_is_right(AT_FDCWD, path, mapping) ? link_open(AT_FDCWD, path, mapping) : -ENOENT;
}

int client_file_open(pid_t pid, const struct client_mapping *mapping, int *hint)
{
    int fd = through_descriptors(pid, mapping, hint);
    if (fd < 0 && !is_exhausted(fd)) {
        fd = through_mapping(pid, mapping);
    }
    return fd >= 0 || is_exhausted(fd) ? fd : -ENOENT;
}

/*
 * process_vm_readv and process_vm_writev, or /proc/PID/mem.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/client_space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/checked.h"

void client_space_init(struct client_space *space, const struct client_owner *owner)
{
    *space = (struct client_space){
        .owner = *owner, .is_foreign = client_owner_is_foreign(owner), .memory = -1};
    pthread_mutex_init(&space->lock, NULL);
    client_maps_init(&space->maps, owner);
}

void client_space_close(struct client_space *space)
{
    if (space->memory >= 0) {
        close(space->memory);
    }
    client_maps_close(&space->maps);
    pthread_mutex_destroy(&space->lock);
}

/* The kernel copies piece by piece: the last word of a write comes after the rest. */
static size_t last_word(uint64_t address, size_t length, bool is_write)
{
    return is_write && length > 8 && is_aligned(address + length, 8) ? 8 : 0;
}

static int copy_by_number(const struct client_space *space, uint64_t address, void *buffer,
                          size_t length, bool is_write)
{
    size_t last = last_word(address, length, is_write);
    struct iovec local[2] = {
        {.iov_base = buffer, .iov_len = length - last},
        {.iov_base = (uint8_t *)buffer + length - last, .iov_len = last},
    };
    struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = length};
    pid_t pid = space->owner.pid;
    ssize_t copied = is_write ? process_vm_writev(pid, local, 2, &remote, 1, 0)
                              : process_vm_readv(pid, local, 1, &remote, 1, 0);
    return copied == (ssize_t)length ? 0 : -EFAULT;
}

/* Whether the pages allow it, which also opens both files of the process. */
static int space_allows(struct client_space *space, uint64_t address, size_t length, bool is_write)
{
    int error = 0;
    pthread_mutex_lock(&space->lock);
    if (space->memory < 0) {
        int fd = client_owner_open(&space->owner, "mem", O_RDWR);
        space->memory = fd < 0 ? -1 : fd;
        error = fd == -EACCES ? -EPERM : fd < 0 ? fd : 0;
    }
    if (!error) {
        error = client_maps_allow(&space->maps, address, length, is_write);
    }
    pthread_mutex_unlock(&space->lock);
    return error;
}

static int copy_by_file(struct client_space *space, uint64_t address, uint8_t *buffer,
                        size_t length, bool is_write)
{
    size_t first = length - last_word(address, length, is_write);
    int error = space_allows(space, address, length, is_write);
    for (size_t done = 0; !error && done < length;) {
        size_t part = (done < first ? first : length) - done;
        off_t at = (off_t)(address + done);
        ssize_t copied = is_write ? pwrite(space->memory, buffer + done, part, at)
                                  : pread(space->memory, buffer + done, part, at);
        if (copied <= 0 && !(copied < 0 && errno == EINTR)) {
            error = -EFAULT;
        }
        done += copied > 0 ? (size_t)copied : 0;
    }
    return error;
}

int client_space_copy(struct client_space *space, uint64_t address, void *buffer, size_t length,
                      bool is_write)
{
    return space->is_foreign ? copy_by_file(space, address, buffer, length, is_write)
                             : copy_by_number(space, address, buffer, length, is_write);
}

int client_space_touch(struct client_space *space, const struct iovec *places, unsigned count)
{
    uint8_t sink[CLIENT_SPACE_PLACES];
    struct iovec local = {.iov_base = sink, .iov_len = count};
    int error = count > CLIENT_SPACE_PLACES ? -EINVAL : 0;
    if (!space->is_foreign) {
        ssize_t got = 0;
        if (count > 0 && !error) {
            got = process_vm_readv(space->owner.pid, &local, 1, places, count, 0);
        }
        return error ? error : got < 0 ? -errno : got != (ssize_t)count ? -EFAULT : 0;
    }
    for (unsigned i = 0; !error && i < count; i++) {
        error = copy_by_file(space, (uintptr_t)places[i].iov_base, sink, 1, false);
    }
    return error;
}

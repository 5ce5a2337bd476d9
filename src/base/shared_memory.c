/*
 * Sealed memfds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "base/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"

/* The largest page size a host may show to clients: a mapping never ends inside a page of theirs.
 */
#define SHARED_MEMORY_GRANULE 16384

int shared_memory_create(const char *name, uint64_t bytes, struct shared_memory *out)
{
    *out = SHARED_MEMORY_NONE;
    if (bytes == 0 || bytes > INT64_MAX - SHARED_MEMORY_GRANULE) {
        return -EINVAL;
    }
    uint64_t length = align_up(bytes, SHARED_MEMORY_GRANULE);
    cleanup_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return -errno;
    }
    if (ftruncate(fd, (off_t)length) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        return -errno;
    }
    void *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        return -errno;
    }
    *out = (struct shared_memory){.fd = steal_fd(&fd), .address = address, .bytes = length};
    return 0;
}

void shared_memory_destroy(struct shared_memory *memory)
{
    if (memory->address) {
        munmap(memory->address, memory->bytes);
    }
    if (memory->fd >= 0) {
        close(memory->fd);
    }
    *memory = SHARED_MEMORY_NONE;
}

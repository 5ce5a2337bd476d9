/*
 * One file as storage: opened with an exclusive lock, read, written, zeroed and made durable.
 *
 * A failed fdatasync may have dropped what it could not write, and the next one would not know:
 * from then on everything but reading fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "backend/sim_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

static int lock_and_measure(int fd, uint64_t *bytes)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return -EINVAL;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0) {
        return -errno;
    }
    *bytes = (uint64_t)end;
    return 0;
}

/* A file system whose files are memory has nothing to wait for, and does not take RWF_NOWAIT. */
static bool is_memory(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

int sim_file_open(struct sim_storage_file *file, const char *path, unsigned flags, uint64_t *bytes)
{
    bool is_read_only = (flags & MODEL_STORAGE_READ_ONLY) != 0;
    int access = is_read_only ? O_RDONLY : O_RDWR;
    cleanup_close int fd = open(path, access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    int result = lock_and_measure(fd, bytes);
    if (result < 0) {
        return result;
    }
    *file = (struct sim_storage_file){.fd = fd,
                                      .is_read_only = is_read_only,
                                      .sync = PTHREAD_MUTEX_INITIALIZER,
                                      .now_flags = is_memory(fd) ? 0 : RWF_NOWAIT};
    if (flags & MODEL_STORAGE_UNCACHED) {
        result = sim_file_uncache(file, *bytes);
        if (result == -EDOM) {
            *bytes = file->unit;
        }
        if (result < 0) {
            return result;
        }
    }
    steal_fd(&fd);
    return 0;
}

int sim_file_transfer(const struct sim_storage_file *file, struct iovec *pieces, int count,
                      uint64_t offset, bool is_write)
{
    while (count > 0) {
        ssize_t done = is_write ? pwritev(file->fd, pieces, count, (off_t)offset)
                                : preadv(file->fd, pieces, count, (off_t)offset);
        if (done == 0) {
            return -EIO; /* of a read: somebody made the file shorter */
        }
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return -errno;
        }
        offset += (uint64_t)done;
        while (count > 0 && (size_t)done >= pieces->iov_len) {
            done -= (ssize_t)pieces->iov_len;
            pieces++;
            count--;
        }
        if (done > 0) {
            pieces->iov_base = (uint8_t *)pieces->iov_base + done;
            pieces->iov_len -= (size_t)done;
        }
        if (file->unit > 0 && ((uint64_t)done & (file->unit - 1)) != 0) {
            return -EIO; /* it ends within a unit */
        }
    }
    return 0;
}

static int transfer(const struct sim_storage_file *file, struct iovec *pieces, int count,
                    uint64_t offset, uint64_t bytes, bool is_write, uint8_t *bounce)
{
    return file->unit > 0
               ? sim_file_transfer_uncached(file, pieces, count, offset, bytes, is_write, bounce)
               : sim_file_transfer(file, pieces, count, offset, is_write);
}

static int zero(const struct sim_storage_file *file, uint64_t offset, uint64_t bytes,
                uint8_t *bounce)
{
    static _Alignas(4096) uint8_t zeros[65536]; /* only ever read */
    int result;
    do {
        result = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                           (off_t)bytes);
    } while (result < 0 && errno == EINTR);
    if (result == 0) {
        return 0;
    }
    while (bytes > 0) {
        uint64_t count = bytes < sizeof(zeros) ? bytes : sizeof(zeros);
        struct iovec piece = {.iov_base = zeros, .iov_len = count};
        result = transfer(file, &piece, 1, offset, count, true, bounce);
        if (result < 0) {
            return result;
        }
        offset += count;
        bytes -= count;
    }
    return 0;
}

static int sync_once(struct sim_storage_file *file)
{
    int result;
    if (file->is_broken) {
        return -EIO;
    }
    do {
        result = fdatasync(file->fd);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        result = -errno;
        file->is_broken = true;
    }
    return result;
}

static int make_durable(struct sim_storage_file *file)
{
    if (file->is_read_only) {
        return 0;
    }
    pthread_mutex_lock(&file->sync);
    int result = sync_once(file);
    pthread_mutex_unlock(&file->sync);
    return result;
}

bool sim_file_read_now(const struct sim_storage_file *file, const struct iovec *pieces, int count,
                       uint64_t offset)
{
    ssize_t wanted = 0;
    for (int i = 0; i < count; i++) {
        wanted += (ssize_t)pieces[i].iov_len;
    }
    return preadv2(file->fd, pieces, count, (off_t)offset, file->now_flags) == wanted;
}

int sim_file_run(struct sim_storage_file *file, const struct model_storage_request *request,
                 struct iovec *pieces, int count, uint8_t *bounce)
{
    bool is_read = request->action == MODEL_STORAGE_READ;
    int result = 0;
    if (!is_read && file->is_broken) {
        return -EIO;
    }
    if (is_read && request->is_durable) {
        result = make_durable(file);
    }
    if (result < 0) {
        return result;
    }
    switch (request->action) {
    case MODEL_STORAGE_READ:
    case MODEL_STORAGE_WRITE:
        result = transfer(file, pieces, count, request->offset, request->bytes, !is_read, bounce);
        break;
    case MODEL_STORAGE_ZERO:
        result = zero(file, request->offset, request->bytes, bounce);
        break;
    case MODEL_STORAGE_FLUSH:
        return make_durable(file);
    }
    return result == 0 && !is_read && request->is_durable ? make_durable(file) : result;
}

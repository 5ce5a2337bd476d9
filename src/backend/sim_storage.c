/*
 * Files as a model's storage: opened with an exclusive lock, worked on by one thread a device in
 * the order of submission, away from the device's lock.
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
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define ZEROS_BYTES 65536

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

int sim_storage_open(struct sim *sim, const char *path, bool is_read_only, unsigned *storage,
                     uint64_t *bytes)
{
    struct sim_storage *all = &sim->storage;
    if (all->file_count == SIM_STORAGE_FILES) {
        return -EMFILE;
    }
    int access = is_read_only ? O_RDONLY : O_RDWR;
    cleanup_close int fd = open(path, access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    int result = lock_and_measure(fd, bytes);
    if (result < 0) {
        return result;
    }
    *storage = all->file_count++;
    all->files[*storage] = (struct sim_storage_file){.is_read_only = is_read_only,
                                                     .now_flags = is_memory(fd) ? 0 : RWF_NOWAIT};
    all->files[*storage].fd = steal_fd(&fd);
    return 0;
}

/* All of the pieces, which are used up. */
static int file_transfer(const struct sim_storage_file *file, struct iovec *pieces, int count,
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
    }
    return 0;
}

static int file_zero(const struct sim_storage_file *file, uint64_t offset, uint64_t bytes)
{
    static uint8_t zeros[ZEROS_BYTES]; /* only ever read */
    int result;
    do {
        result = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                           (off_t)bytes);
    } while (result < 0 && errno == EINTR);
    if (result == 0) {
        return 0;
    }
    while (bytes > 0) {
        uint64_t count = bytes < ZEROS_BYTES ? bytes : ZEROS_BYTES;
        struct iovec piece = {.iov_base = zeros, .iov_len = count};
        result = file_transfer(file, &piece, 1, offset, true);
        if (result < 0) {
            return result;
        }
        offset += count;
        bytes -= count;
    }
    return 0;
}

static int file_sync(struct sim_storage_file *file)
{
    if (file->is_read_only) {
        return 0;
    }
    int result;
    do {
        result = fdatasync(file->fd);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        file->is_broken = true;
        return -errno;
    }
    return 0;
}

static int operation_transfer(const struct sim_storage_file *file,
                              struct sim_storage_operation *operation)
{
    const struct model_storage_request *request = &operation->request;
    bool is_write = request->action == MODEL_STORAGE_WRITE;
    struct iovec buffer = {.iov_base = request->buffer, .iov_len = request->bytes};
    return operation->pins.count > 0
               ? file_transfer(file, operation->pins.pieces, operation->pins.count, request->offset,
                               is_write)
               : file_transfer(file, &buffer, 1, request->offset, is_write);
}

static int operation_run(struct sim_storage_file *file, struct sim_storage_operation *operation)
{
    const struct model_storage_request *request = &operation->request;
    bool is_read = request->action == MODEL_STORAGE_READ;
    int result = 0;
    if (!is_read && file->is_broken) {
        return -EIO;
    }
    if (is_read && request->is_durable) {
        result = file->is_broken ? -EIO : file_sync(file);
    }
    if (result < 0) {
        return result;
    }
    switch (request->action) {
    case MODEL_STORAGE_READ:
        return operation_transfer(file, operation);
    case MODEL_STORAGE_WRITE:
        result = operation_transfer(file, operation);
        break;
    case MODEL_STORAGE_ZERO:
        result = file_zero(file, request->offset, request->bytes);
        break;
    case MODEL_STORAGE_FLUSH:
        return file_sync(file);
    }
    return result == 0 && request->is_durable ? file_sync(file) : result;
}

static void failure_log(const struct sim *sim, const struct model_storage_request *request,
                        int result)
{
    static const char *const actions[] = {[MODEL_STORAGE_READ] = "read",
                                          [MODEL_STORAGE_WRITE] = "write",
                                          [MODEL_STORAGE_ZERO] = "zeroing",
                                          [MODEL_STORAGE_FLUSH] = "flush"};
    log_warning("backend", "%s: storage %u: %s at 0x%" PRIx64 ", %" PRIu64 " bytes: %s",
                sim->model->ops->name, request->storage, actions[request->action], request->offset,
                request->bytes, strerror(-result));
}

/* The first of the ring, which stays there meanwhile. */
static void run_first_locked(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    struct sim_storage_operation *operation = &all->ring[all->head];
    const unsigned tag = operation->request.tag;
    int result = -ECANCELED; /* nobody waits for the answer */
    if (!all->is_stopping) {
        sim_unlock(sim);
        result = operation_run(&all->files[operation->request.storage], operation);
        sim_lock(sim);
    }
    sim_pins_drop(sim, &operation->pins);
    if (result < 0 && result != -ECANCELED) {
        failure_log(sim, &operation->request, result);
    }
    all->head = (all->head + 1) % all->capacity;
    all->count--;
    sim->model->ops->storage_done(sim->model, tag, result);
}

static void *storage_thread(void *context)
{
    struct sim *sim = context;
    struct sim_storage *all = &sim->storage;
    sim_lock(sim);
    for (;;) {
        while (all->count == 0 && !all->is_stopping) {
            pthread_cond_wait(&all->changed, &sim->lock);
        }
        if (all->count == 0) {
            break;
        }
        run_first_locked(sim);
    }
    sim_unlock(sim);
    return NULL;
}

/* Where the next operation goes. */
static struct sim_storage_operation *next_locked(struct sim_storage *all)
{
    return &all->ring[(all->head + all->count) % all->capacity];
}

static void begin_next_locked(struct sim_storage *all, const struct model_storage_request *request)
{
    next_locked(all)->request = *request;
    if (all->count++ == 0) {
        pthread_cond_signal(&all->changed);
    }
}

void sim_storage_submit_locked(struct sim *sim, const struct model_storage_request *request)
{
    struct sim_storage *all = &sim->storage;
    next_locked(all)->pins.count = 0;
    begin_next_locked(all, request);
}

bool sim_storage_submit_direct_locked(struct sim *sim, const struct model_storage_request *request)
{
    struct sim_storage *all = &sim->storage;
    if (!sim_pins_take(sim, request->segments, request->segment_count, false,
                       &next_locked(all)->pins)) {
        return false;
    }
    begin_next_locked(all, request);
    return true;
}

int sim_storage_start(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    if (all->file_count == 0) {
        return 0;
    }
    all->capacity = sim->model->shape.storage_operations;
    all->ring = calloc(all->capacity, sizeof(*all->ring));
    if (!all->ring) {
        return -ENOMEM;
    }
    int result = -pthread_cond_init(&all->changed, NULL);
    if (result < 0) {
        return result;
    }
    result = sim_thread_start(sim, &all->thread, storage_thread);
    if (result < 0) {
        pthread_cond_destroy(&all->changed);
        return result;
    }
    all->is_started = true;
    return 0;
}

void sim_storage_stop(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    if (all->is_started) {
        sim_lock(sim);
        all->is_stopping = true;
        pthread_cond_signal(&all->changed);
        sim_unlock(sim);
        pthread_join(all->thread, NULL);
        pthread_cond_destroy(&all->changed);
    }
    free(all->ring);
    for (unsigned i = 0; i < all->file_count; i++) {
        close(all->files[i].fd);
    }
    *all = (struct sim_storage){0};
}

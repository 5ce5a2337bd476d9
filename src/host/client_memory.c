/*
 * Client memory: asked for where the client serves it, shared through its file, else
 * process_vm_readv and process_vm_writev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/client_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "dart/dart.h"

struct client_memory {
    struct dma_memory memory;
    struct client_process *process;
    uint64_t address;         /* the client's; unused when shared */
    struct shared_file *file; /* NULL when copied */
    uint64_t file_offset;
    bool is_writable;
};

struct client_process *client_process_create(pid_t pid)
{
    struct client_process *process = calloc(1, sizeof(*process));
    if (process) {
        process->references = 1;
        process->pid = pid;
        pthread_mutex_init(&process->lock, NULL);
        client_maps_init(&process->maps, pid);
        shared_files_init(&process->files);
        served_memories_init(&process->served, pid, SERVED_PATIENCE_NS);
    }
    return process;
}

struct client_process *client_process_get(struct client_process *process)
{
    atomic_fetch_add(&process->references, 1);
    return process;
}

void client_process_put(struct client_process *process)
{
    if (process && atomic_fetch_sub(&process->references, 1) == 1) {
        served_memories_destroy(&process->served);
        client_maps_close(&process->maps);
        pthread_mutex_destroy(&process->lock);
        free(process);
    }
}

void client_process_cut(struct client_process *process)
{
    served_memories_cut(&process->served);
}

static int client_memory_copy(struct client_memory *self, uint64_t offset, void *buffer,
                              size_t length, bool is_write)
{
    /* The kernel copies piece by piece: the last word of a write comes after the rest. */
    size_t last = is_write && length > 8 && is_aligned(self->address + offset + length, 8) ? 8 : 0;
    struct iovec local[2] = {
        {.iov_base = buffer, .iov_len = length - last},
        {.iov_base = (uint8_t *)buffer + length - last, .iov_len = last},
    };
    struct iovec remote = {.iov_base = (void *)(uintptr_t)(self->address + offset),
                           .iov_len = length};
    if (atomic_load(&self->process->is_gone)) {
        return -EFAULT;
    }
    ssize_t copied = is_write ? process_vm_writev(self->process->pid, local, 2, &remote, 1, 0)
                              : process_vm_readv(self->process->pid, local, 1, &remote, 1, 0);
    return copied == (ssize_t)length ? 0 : -EFAULT;
}

static int client_memory_read(struct dma_memory *memory, uint64_t offset, void *buffer,
                              size_t length)
{
    return client_memory_copy((struct client_memory *)memory, offset, buffer, length, false);
}

static int client_memory_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                               size_t length)
{
    /* The copy call takes its source as a plain pointer and only reads it. */
    return client_memory_copy((struct client_memory *)memory, offset, (void *)(uintptr_t)buffer,
                              length, true);
}

static void client_memory_release(struct dma_memory *memory)
{
    struct client_memory *self = (struct client_memory *)memory;
    if (self->file) {
        pthread_mutex_lock(&self->process->lock);
        shared_files_put(&self->process->files, self->file);
        pthread_mutex_unlock(&self->process->lock);
    }
    client_process_put(self->process);
    free(self);
}

static const struct dma_memory_ops client_memory_ops = {
    .read = client_memory_read,
    .write = client_memory_write,
    .release = client_memory_release,
};

static int client_memory_shared_read(struct dma_memory *memory, uint64_t offset, void *buffer,
                                     size_t length)
{
    const struct client_memory *self = (struct client_memory *)memory;
    return shared_file_read(self->file, self->file_offset + offset, buffer, length);
}

static int client_memory_shared_write(struct dma_memory *memory, uint64_t offset,
                                      const void *buffer, size_t length)
{
    const struct client_memory *self = (struct client_memory *)memory;
    return self->is_writable
               ? shared_file_write(self->file, self->file_offset + offset, buffer, length)
               : -EFAULT;
}

static void *client_memory_shared_point(struct dma_memory *memory, uint64_t offset, size_t length,
                                        bool is_write)
{
    const struct client_memory *self = (struct client_memory *)memory;
    return is_write && !self->is_writable
               ? NULL
               : shared_file_point(self->file, self->file_offset + offset, is_write);
}

static const struct dma_memory_ops client_memory_shared_ops = {
    .read = client_memory_shared_read,
    .write = client_memory_shared_write,
    .point = client_memory_shared_point,
    .release = client_memory_release,
};

#define TOUCH_BATCH 512

/* Read one byte of each page: what wiring does on a Mac, and the only way to find holes. */
static int client_memory_touch(pid_t pid, uint64_t address, uint64_t bytes)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint8_t sink[TOUCH_BATCH];
    struct iovec remote[TOUCH_BATCH];
    uint64_t at = address;
    const uint64_t last = address + (bytes - 1);
    bool is_done = false;
    while (!is_done) {
        unsigned count = 0;
        while (count < TOUCH_BATCH && !is_done) {
            remote[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = 1};
            uint64_t next = (at & ~(page - 1)) + page;
            is_done = next == 0 || next > last;
            at = next;
        }
        struct iovec local = {.iov_base = sink, .iov_len = count};
        ssize_t got = process_vm_readv(pid, &local, 1, remote, count, 0);
        if (got < 0) {
            return -errno;
        }
        if (got != (ssize_t)count) {
            return -EFAULT;
        }
    }
    return 0;
}

/* Called with the process's lock held. On failure nothing is held. */
static int share_file(struct client_process *process, uint64_t address, uint64_t bytes,
                      struct client_mapping *mapping, struct shared_file **out)
{
    bool is_new = false;
    struct client_mapping again;
    int error = client_maps_find(&process->maps, address, bytes, mapping);
    if (!error) {
        error = shared_files_get(&process->files, process->pid, mapping, bytes, out, &is_new);
    }
    /* An inode number may pass to another file before we open it, never while we hold it: what the
     * client maps now is what we opened, and with these rights. */
    if (!error && is_new) {
        error = client_maps_find(&process->maps, address, bytes, &again);
        if (!error && (again.device != mapping->device || again.inode != mapping->inode ||
                       again.file_offset != mapping->file_offset ||
                       again.is_writable != mapping->is_writable)) {
            error = -EAGAIN;
        }
        if (error) {
            shared_files_put(&process->files, *out);
        }
    }
    return error;
}

static int client_memory_share(struct client_memory *self, uint64_t address)
{
    struct client_process *process = self->process;
    struct client_mapping mapping;
    struct shared_file *file = NULL;
    pthread_mutex_lock(&process->lock);
    int error = share_file(process, address, self->memory.bytes, &mapping, &file);
    pthread_mutex_unlock(&process->lock);
    if (error) {
        return error;
    }
    self->memory.ops = &client_memory_shared_ops;
    self->file = file;
    self->file_offset = mapping.file_offset;
    self->is_writable = mapping.is_writable;
    return 0;
}

static void log_path(const struct client_memory *self, uint64_t address, int share_error)
{
    const char *path = "copied, not a file to share";
    if (self->file) {
        path = shared_file_is_mapped(self->file) ? "shared file, mapped"
                                                 : "shared file, read and written";
    }
    log_debug("host", "client %d: 0x%llx, %llu bytes: %s (%d)", (int)self->process->pid,
              (unsigned long long)address, (unsigned long long)self->memory.bytes, path,
              share_error);
}

static void log_unreachable(const struct client_process *process, uint64_t address, uint64_t bytes,
                            int error)
{
    log_warning("host", "memory of process %d at 0x%llx, %llu bytes: cannot be reached (%d)",
                (int)process->pid, (unsigned long long)address, (unsigned long long)bytes, error);
}

/* Memory that is there, in a file or not. */
static int client_memory_create_plain(struct client_process *process, uint64_t address,
                                      uint64_t bytes, struct dma_memory **out)
{
    struct client_memory *self = calloc(1, sizeof(*self));
    if (!self) {
        return -ENOMEM;
    }
    self->memory = (struct dma_memory){.ops = &client_memory_ops,
                                       .bytes = bytes,
                                       .page_offset = address & (DART_GRANULE_BYTES - 1)};
    self->process = process;
    self->address = address;
    int share_error = atomic_load(&process->is_gone) ? -ESRCH : client_memory_share(self, address);
    int error = share_error == -ESRCH ? -ESRCH : 0;
    if (!error && share_error) {
        error = client_memory_touch(process->pid, address, bytes);
    }
    if (error) {
        free(self);
        return error;
    }
    client_process_get(process);
    log_path(self, address, share_error);
    *out = &self->memory;
    return 0;
}

int client_memory_create(struct client_process *process, uint64_t address, uint64_t bytes,
                         struct dma_memory **out)
{
    *out = NULL;
    int error = served_memory_create(&process->served, address, bytes, out);
    if (!error) {
        log_debug("host", "client %d: 0x%llx, %llu bytes: served by the client", (int)process->pid,
                  (unsigned long long)address, (unsigned long long)bytes);
    }
    if (error == -ENOENT) {
        error = client_memory_create_plain(process, address, bytes, out);
    }
    if (error && error != -ENOMEM) {
        log_unreachable(process, address, bytes, error);
    }
    return error;
}

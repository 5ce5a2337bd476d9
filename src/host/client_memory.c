/*
 * Client memory: asked for where the client serves it, shared through its file, else copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/client_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/patience.h"
#include "dart/dart.h"

/*
 * Memory of a client as the DART sees it, one object for all regions in it: a file, or the address
 * space. A file's lies in pages like the client's mapping of it, which bus addresses follow.
 */
struct client_view {
    struct dma_memory memory; /* first; begins at offset 0 of the file, or at address 0 */
    LIST_ENTRY(client_view) link;
    struct client_process *process; /* counted by each region, as is the file */
    struct shared_file *file;       /* NULL: the address space, copied */
    unsigned references;            /* regions; under the process's lock */
    bool is_writable;
};

struct client_process *client_process_create(const struct client_owner *owner)
{
    struct client_process *process = calloc(1, sizeof(*process));
    if (process) {
        process->references = 1;
        process->pid = owner->pid;
        pthread_mutex_init(&process->lock, NULL);
        client_maps_init(&process->maps, owner);
        client_space_init(&process->space, owner);
        shared_files_init(&process->files);
        LIST_INIT(&process->views);
        served_memories_init(&process->served, owner->pid,
                             patience_ms(SERVED_PATIENCE_MS) * UINT64_C(1000000));
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
        client_space_close(&process->space);
        client_maps_close(&process->maps);
        pthread_mutex_destroy(&process->lock);
        free(process);
    }
}

void client_process_cut(struct client_process *process)
{
    served_memories_cut(&process->served);
}

int client_process_copy(struct client_process *process, uint64_t address, void *buffer,
                        size_t length, bool is_write)
{
    return atomic_load(&process->is_gone)
               ? -EFAULT
               : client_space_copy(&process->space, address, buffer, length, is_write);
}

static int client_memory_read(struct dma_memory *memory, uint64_t offset, void *buffer,
                              size_t length)
{
    return client_process_copy(((struct client_view *)memory)->process, offset, buffer, length,
                               false);
}

static int client_memory_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                               size_t length)
{
    /* The copy call takes its source as a plain pointer and only reads it. */
    return client_process_copy(((struct client_view *)memory)->process, offset,
                               (void *)(uintptr_t)buffer, length, true);
}

static void client_memory_release(struct dma_memory *memory)
{
    struct client_view *view = (struct client_view *)memory;
    struct client_process *process = view->process;
    pthread_mutex_lock(&process->lock);
    if (view->file) {
        shared_files_put(&process->files, view->file);
    }
    bool is_last = --view->references == 0;
    if (is_last) {
        LIST_REMOVE(view, link);
    }
    pthread_mutex_unlock(&process->lock);
    if (is_last) {
        free(view);
    }
    client_process_put(process);
}

static const struct dma_memory_ops client_memory_ops = {
    .read = client_memory_read,
    .write = client_memory_write,
    .release = client_memory_release,
};

static int client_memory_shared_read(struct dma_memory *memory, uint64_t offset, void *buffer,
                                     size_t length)
{
    return shared_file_read(((struct client_view *)memory)->file, offset, buffer, length);
}

static int client_memory_shared_write(struct dma_memory *memory, uint64_t offset,
                                      const void *buffer, size_t length)
{
    const struct client_view *view = (struct client_view *)memory;
    return view->is_writable ? shared_file_write(view->file, offset, buffer, length) : -EFAULT;
}

static void *client_memory_shared_point(struct dma_memory *memory, uint64_t offset, size_t length,
                                        bool is_write)
{
    const struct client_view *view = (struct client_view *)memory;
    return is_write && !view->is_writable ? NULL : shared_file_point(view->file, offset, is_write);
}

static const struct dma_memory_ops client_memory_shared_ops = {
    .read = client_memory_shared_read,
    .write = client_memory_shared_write,
    .point = client_memory_shared_point,
    .release = client_memory_release,
};

/* One reference to the view of a file (NULL: of the address space), made where there is none.
 * Called with the process's lock held. NULL when out of memory. */
static struct client_view *view_get(struct client_process *process, struct shared_file *file,
                                    bool is_writable, uint64_t page_offset)
{
    struct client_view *view;
    LIST_FOREACH (view, &process->views, link) {
        if (view->file == file && view->is_writable == is_writable &&
            view->memory.page_offset == page_offset) {
            break;
        }
    }
    if (view && view == LIST_FIRST(&process->views)) {
        view->references++;
        return view;
    }
    if (view) {
        LIST_REMOVE(view, link);
    } else if ((view = calloc(1, sizeof(*view))) != NULL) {
        view->memory =
            (struct dma_memory){.ops = file ? &client_memory_shared_ops : &client_memory_ops,
                                .bytes = UINT64_MAX,
                                .page_offset = page_offset};
        view->process = process;
        view->file = file;
        view->is_writable = is_writable;
    } else {
        return NULL;
    }
    LIST_INSERT_HEAD(&process->views, view, link);
    view->references++;
    return view;
}

/* Pages to be read one byte of, in as few calls as may be. */
struct touch {
    struct client_space *space;
    uint64_t page_bytes;
    unsigned count;
    struct iovec remote[CLIENT_SPACE_PLACES];
};

static int touch_flush(struct touch *touch)
{
    int error = client_space_touch(touch->space, touch->remote, touch->count);
    touch->count = 0;
    return error;
}

/* What wiring does on a Mac, and the only way to find holes. The range does not wrap. */
static int touch_add(struct touch *touch, uint64_t address, uint64_t bytes)
{
    const uint64_t last = address + (bytes - 1);
    uint64_t at = address;
    bool is_done = false;
    while (!is_done) {
        int error = touch->count == CLIENT_SPACE_PLACES ? touch_flush(touch) : 0;
        if (error) {
            return error;
        }
        touch->remote[touch->count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = 1};
        uint64_t next = (at & ~(touch->page_bytes - 1)) + touch->page_bytes;
        is_done = next == 0 || next > last;
        at = next;
    }
    return 0;
}

/* Every entry of a batch at once. Any failure leaves it to who looks at them one by one. */
static void touch_held(struct client_process *process, struct client_hold *hold)
{
    struct touch touch = {.space = &process->space, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE)};
    int error = 0;
    for (size_t i = 0; !error && i < hold->count; i++) {
        struct dext_dma_request request;
        memcpy(&request, (const char *)hold->requests + i * sizeof(request), sizeof(request));
        error = request.bytes == 0 || range_wraps(request.address, request.bytes)
                    ? -EINVAL
                    : touch_add(&touch, request.address, request.bytes);
    }
    error = error ? error : touch_flush(&touch);
    hold->is_touched = !error;
    hold->is_untouchable = error != 0;
}

static int client_memory_touch(struct client_process *process, struct client_hold *hold,
                               uint64_t address, uint64_t bytes)
{
    if (hold && !hold->is_touched && !hold->is_untouchable) {
        touch_held(process, hold);
    }
    if (hold && hold->is_touched) {
        return 0;
    }
    struct touch touch = {.space = &process->space, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE)};
    int error = touch_add(&touch, address, bytes);
    return error ? error : touch_flush(&touch);
}

static bool hold_covers(const struct client_hold *hold, uint64_t address, uint64_t bytes)
{
    return hold && address >= hold->mapping.map_start && address < hold->mapping.map_end &&
           bytes <= hold->mapping.map_end - address;
}

/* What lies at an address: as it was found for another entry of the batch, else asked. */
static int mapping_find(struct client_process *process, struct client_hold *hold, uint64_t address,
                        uint64_t bytes, struct client_mapping *mapping)
{
    if (hold_covers(hold, address, bytes)) {
        *mapping = hold->mapping;
        mapping->file_offset += address - hold->address;
        return mapping->inode ? 0 : -ENOENT;
    }
    int error = client_maps_find(&process->maps, address, bytes, mapping);
    if (hold && (error == 0 || error == -ENOENT)) {
        hold->mapping = *mapping;
        hold->address = address;
    }
    return error;
}

/* Called with the process's lock held. On failure nothing is held. */
static int share_file(struct client_process *process, struct client_hold *hold, uint64_t address,
                      uint64_t bytes, struct client_mapping *mapping, struct shared_file **out)
{
    bool is_new = false;
    struct client_mapping again;
    int error = mapping_find(process, hold, address, bytes, mapping);
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

/* 0 with *out and *offset, one reference; else why there is no file to share. */
static int client_memory_share(struct client_process *process, struct client_hold *hold,
                               uint64_t address, uint64_t bytes, struct client_view **out,
                               uint64_t *offset)
{
    struct client_mapping mapping;
    struct shared_file *file = NULL;
    pthread_mutex_lock(&process->lock);
    int error = share_file(process, hold, address, bytes, &mapping, &file);
    if (!error) {
        *offset = mapping.file_offset;
        *out = view_get(process, file, mapping.is_writable,
                        (address - mapping.file_offset) & (DART_GRANULE_BYTES - 1));
    }
    if (!error && !*out) {
        shared_files_put(&process->files, file);
        error = -ENOMEM;
    }
    pthread_mutex_unlock(&process->lock);
    return error;
}

static int client_memory_view_all(struct client_process *process, struct client_hold *hold,
                                  uint64_t address, uint64_t bytes, struct client_view **out)
{
    int error = client_memory_touch(process, hold, address, bytes);
    if (error) {
        return error;
    }
    pthread_mutex_lock(&process->lock);
    *out = view_get(process, NULL, true, 0);
    pthread_mutex_unlock(&process->lock);
    return *out ? 0 : -ENOMEM;
}

static void log_path(const struct client_view *view, uint64_t address, uint64_t bytes,
                     int share_error)
{
    const char *path = "copied, not a file to share";
    if (!log_is_enabled(LOG_LEVEL_DEBUG)) {
        return; /* before each region is put in words */
    }
    if (view->file) {
        path = shared_file_is_mapped(view->file) ? "shared file, mapped"
                                                 : "shared file, read and written";
    }
    log_debug("host", "client %d: 0x%llx, %llu bytes: %s (%d)", (int)view->process->pid,
              (unsigned long long)address, (unsigned long long)bytes, path, share_error);
}

static void log_unreachable(const struct client_process *process, uint64_t address, uint64_t bytes,
                            int error)
{
    log_warning("host", "memory of process %d at 0x%llx, %llu bytes: cannot be reached (%d)",
                (int)process->pid, (unsigned long long)address, (unsigned long long)bytes, error);
}

/* Memory that is there, in a file or not. */
static int client_memory_create_plain(struct client_process *process, struct client_hold *hold,
                                      uint64_t address, uint64_t bytes, struct dma_memory **out,
                                      uint64_t *offset)
{
    struct client_view *view = NULL;
    if (atomic_load(&process->is_gone)) {
        return -ESRCH;
    }
    int share_error = client_memory_share(process, hold, address, bytes, &view, offset);
    if (share_error == -ESRCH) {
        return share_error;
    }
    if (share_error) {
        int error = client_memory_view_all(process, hold, address, bytes, &view);
        if (error) {
            return error;
        }
        *offset = address;
    }
    client_process_get(process);
    log_path(view, address, bytes, share_error);
    *out = &view->memory;
    return 0;
}

int client_memory_create(struct client_process *process, struct client_hold *hold, uint64_t address,
                         uint64_t bytes, struct dma_memory **out, uint64_t *offset)
{
    struct client_hold *held = hold && hold->requests ? hold : NULL;
    *out = NULL;
    *offset = 0;
    int error = served_memory_create(&process->served, address, bytes, out);
    if (!error) {
        log_debug("host", "client %d: 0x%llx, %llu bytes: served by the client", (int)process->pid,
                  (unsigned long long)address, (unsigned long long)bytes);
    }
    if (error == -ENOENT) {
        error = client_memory_create_plain(process, held, address, bytes, out, offset);
    }
    if (error && error != -ENOMEM) {
        log_unreachable(process, address, bytes, error);
    }
    return error;
}

/*
 * Files as a model's storage: worked on by one thread a device in the order of submission, away
 * from the device's lock.
 *
 * A read that goes straight to a client's memory is DMA: it is not begun once the device may do
 * none, and whoever takes that right away waits for the one under way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

int sim_storage_open(struct sim *sim, const char *path, unsigned flags, unsigned *storage,
                     uint64_t *bytes)
{
    struct sim_storage *all = &sim->storage;
    if (all->file_count == SIM_STORAGE_FILES) {
        return -EMFILE;
    }
    int result = sim_file_open(&all->files[all->file_count], path, flags, bytes);
    if (result < 0) {
        return result;
    }
    *storage = all->file_count++;
    return 0;
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

/* Nobody else touches it while it is the first of the ring. */
static int operation_run(struct sim_storage *all, struct sim_storage_operation *operation)
{
    const struct model_storage_request *request = &operation->request;
    struct iovec buffer = {.iov_base = request->buffer, .iov_len = request->bytes};
    bool has_pins = operation->pins.count > 0;
    return sim_file_run(&all->files[request->storage], request,
                        has_pins ? operation->pins.pieces : &buffer,
                        has_pins ? operation->pins.count : 1, all->bounce);
}

/* The first of the ring, which stays there meanwhile. */
static void run_first_locked(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    struct sim_storage_operation *operation = &all->ring[all->head];
    const unsigned tag = operation->request.tag;
    int result = -ECANCELED;
    if (!all->is_stopping && !operation->is_revoked) {
        all->is_running = true;
        sim_unlock(sim);
        result = operation_run(all, operation);
        sim_lock(sim);
        all->is_running = false;
    }
    sim_pins_drop(sim, &operation->pins);
    if (operation->is_revoked) {
        pthread_cond_broadcast(&all->settled);
    }
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

static struct sim_storage_operation *at_locked(struct sim_storage *all, unsigned index)
{
    return &all->ring[(all->head + index) % all->capacity];
}

/* Where the next operation goes. */
static struct sim_storage_operation *next_locked(struct sim_storage *all)
{
    return at_locked(all, all->count);
}

static void begin_next_locked(struct sim_storage *all, const struct model_storage_request *request)
{
    next_locked(all)->request = *request;
    next_locked(all)->is_revoked = false;
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
    if (!sim_pins_take(sim, request->segments, request->segment_count,
                       request->action == MODEL_STORAGE_READ, &next_locked(all)->pins)) {
        return false;
    }
    begin_next_locked(all, request);
    return true;
}

void sim_storage_revoke_locked(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    for (unsigned i = 0; i < all->count; i++) {
        struct sim_storage_operation *operation = at_locked(all, i);
        operation->is_revoked |=
            operation->pins.count > 0 && operation->request.action == MODEL_STORAGE_READ;
    }
}

void sim_storage_settle_locked(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    while (all->is_running && at_locked(all, 0)->is_revoked) {
        pthread_cond_wait(&all->settled, &sim->lock);
    }
}

static bool has_units(const struct sim_storage *all)
{
    for (unsigned i = 0; i < all->file_count; i++) {
        if (all->files[i].unit > 0) {
            return true;
        }
    }
    return false;
}

int sim_storage_start(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    if (all->file_count == 0) {
        return 0;
    }
    all->capacity = sim->model->shape.storage_operations;
    all->ring = calloc(all->capacity, sizeof(*all->ring));
    all->bounce = has_units(all) ? aligned_alloc(SIM_UNIT_MAX, SIM_BOUNCE_BYTES) : NULL;
    if (!all->ring || (has_units(all) && !all->bounce)) {
        return -ENOMEM;
    }
    int result = -pthread_cond_init(&all->changed, NULL);
    if (result < 0) {
        return result;
    }
    result = -pthread_cond_init(&all->settled, NULL);
    if (result < 0) {
        goto destroy_changed;
    }
    result = sim_thread_start(sim, &all->thread, storage_thread);
    if (result < 0) {
        goto destroy_settled;
    }
    all->is_started = true;
    return 0;

destroy_settled:
    pthread_cond_destroy(&all->settled);
destroy_changed:
    pthread_cond_destroy(&all->changed);
    return result;
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
        pthread_cond_destroy(&all->settled);
        pthread_cond_destroy(&all->changed);
    }
    free(all->bounce);
    free(all->ring);
    for (unsigned i = 0; i < all->file_count; i++) {
        close(all->files[i].fd);
    }
    *all = (struct sim_storage){0};
}

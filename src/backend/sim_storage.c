/*
 * Files as a model's storage: operations wait here for a worker, in the order of submission.
 *
 * What goes straight to or from a client's memory is DMA: it is not begun once the device may do
 * none, and whoever takes that right away waits for those under way. A write that went on would
 * store whatever the client has there by then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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

/* There is one: the model has no more under way than it said. */
static struct sim_storage_operation *next_locked(struct sim_storage *all)
{
    return TAILQ_FIRST(&all->unused);
}

static void begin_next_locked(struct sim_storage *all, const struct model_storage_request *request)
{
    struct sim_storage_operation *operation = next_locked(all);
    TAILQ_REMOVE(&all->unused, operation, link);
    operation->request = *request;
    operation->is_revoked = false;
    operation->state = SIM_OPERATION_WAITING;
    TAILQ_INSERT_TAIL(&all->live, operation, link);
    all->waiting_count++;
    if (all->idle_count > 0 && !all->is_polling) {
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
    struct sim_storage_operation *operation;
    TAILQ_FOREACH (operation, &all->live, link) {
        if (operation->pins.count > 0) {
            operation->is_revoked = true;
        }
    }
}

static bool has_revoked_locked(const struct sim_storage *all)
{
    struct sim_storage_operation *operation;
    TAILQ_FOREACH (operation, &all->live, link) {
        if (operation->is_revoked && operation->state == SIM_OPERATION_TAKEN) {
            return true;
        }
    }
    return false;
}

void sim_storage_settle_locked(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    while (has_revoked_locked(all)) {
        pthread_cond_wait(&all->settled, &sim->lock);
    }
}

static int lists_make(struct sim_storage *all, unsigned count)
{
    all->operations = calloc(count, sizeof(*all->operations));
    all->results = calloc(count, sizeof(*all->results));
    if (!all->operations || !all->results) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        TAILQ_INSERT_TAIL(&all->unused, &all->operations[i], link);
    }
    return 0;
}

int sim_storage_start(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    TAILQ_INIT(&all->unused);
    TAILQ_INIT(&all->live);
    if (all->file_count == 0) {
        return 0;
    }
    int result = lists_make(all, sim->model->shape.storage_operations);
    if (result < 0) {
        return result;
    }
    result = -pthread_cond_init(&all->changed, NULL);
    if (result < 0) {
        return result;
    }
    result = -pthread_cond_init(&all->settled, NULL);
    if (result < 0) {
        pthread_cond_destroy(&all->changed);
        return result;
    }
    all->is_started = true;
    return sim_storage_workers_start(sim);
}

void sim_storage_stop(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    if (all->is_started) {
        sim_storage_workers_stop(sim);
        pthread_cond_destroy(&all->settled);
        pthread_cond_destroy(&all->changed);
    }
    free(all->results);
    free(all->operations);
    for (unsigned i = 0; i < all->file_count; i++) {
        pthread_mutex_destroy(&all->files[i].sync);
        close(all->files[i].fd);
    }
    *all = (struct sim_storage){0};
}

/*
 * The threads that carry out storage operations, away from the device's lock: one for files with
 * the page cache, where it would be the processors that wait, more for files without.
 *
 * What ended is told to the model together: by a worker for all that others have finished by then,
 * and for the batch it took itself. A batch is what needs no waiting but for its first operation,
 * and no more than half of what there is: the driver goes on with one half while the other is done.
 *
 * A write that the page cache takes is done sooner than a worker wakes up: one that is alone is
 * carried out by the thread that polls, when it has found it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/pause.h"

#define LOOKS       256   /* for what comes next: some 20 us */
#define BATCH_BYTES 65536 /* a copy of more takes longer than telling of it */

/* After a write that took the polling thread so long a worker has the next one, and twice as many
 * after each that follows: there are doorbells to look at. */
#define SLOW_NS   UINT64_C(500000)
#define SLOW_MOST 63

struct batch {
    struct sim_storage_operation *operations[SIM_BATCH];
    unsigned count;
};

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

static bool has_range(const struct model_storage_request *request)
{
    return request->action != MODEL_STORAGE_FLUSH;
}

/* Whether they have bytes in common, or units of the file, and one of them changes those. */
static bool is_conflict(const struct sim_storage *all, const struct model_storage_request *a,
                        const struct model_storage_request *b)
{
    if (a->storage != b->storage || !has_range(a) || !has_range(b) ||
        (a->action == MODEL_STORAGE_READ && b->action == MODEL_STORAGE_READ)) {
        return false;
    }
    uint64_t unit = all->files[a->storage].unit > 0 ? all->files[a->storage].unit : 1;
    uint64_t a_end = align_up(a->offset + a->bytes, unit);
    uint64_t b_end = align_up(b->offset + b->bytes, unit);
    return a->offset / unit * unit < b_end && b->offset / unit * unit < a_end;
}

static bool must_wait_locked(const struct sim_storage *all,
                             const struct sim_storage_operation *operation)
{
    const struct sim_storage_operation *earlier;
    TAILQ_FOREACH (earlier, &all->live, link) {
        if (earlier == operation) {
            break;
        }
        if (earlier->state != SIM_OPERATION_ENDED &&
            is_conflict(all, &earlier->request, &operation->request)) {
            return true;
        }
    }
    return false;
}

/* Whether all is done by one thread, in the order of submission. */
static bool is_one_by_one(const struct sim_storage *all)
{
    return all->worker_count == 1 && !all->is_helping;
}

/* The first that can be done now; NULL: there is none. */
static struct sim_storage_operation *first_locked(const struct sim_storage *all)
{
    struct sim_storage_operation *operation;
    TAILQ_FOREACH (operation, &all->live, link) {
        if (operation->state == SIM_OPERATION_WAITING &&
            (is_one_by_one(all) || !must_wait_locked(all, operation))) {
            return operation;
        }
    }
    return NULL;
}

static bool is_quick(const struct sim_storage *all, const struct sim_storage_operation *operation)
{
    const struct model_storage_request *request = &operation->request;
    return all->files[request->storage].unit == 0 && !request->is_durable &&
           (request->action == MODEL_STORAGE_READ || request->action == MODEL_STORAGE_WRITE);
}

static void take_locked(struct sim_storage *all, struct batch *batch)
{
    struct sim_storage_operation *operation = first_locked(all);
    unsigned most = all->waiting_count / 2 < SIM_BATCH ? all->waiting_count / 2 : SIM_BATCH;
    uint64_t bytes = 0;
    batch->count = 0;
    while (operation && (batch->count == 0 || (is_one_by_one(all) && batch->count < most &&
                                               bytes < BATCH_BYTES && is_quick(all, operation)))) {
        operation->state = SIM_OPERATION_TAKEN;
        batch->operations[batch->count++] = operation;
        bytes += operation->request.bytes;
        operation = TAILQ_NEXT(operation, link);
    }
    all->waiting_count -= batch->count;
    if (batch->count > 0 && all->waiting_count > 0 && all->idle_count > 0) {
        pthread_cond_signal(&all->changed);
    }
}

/* False: it would have to wait, and is as it was. */
static bool operation_run(struct sim_storage_worker *worker,
                          struct sim_storage_operation *operation, bool may_wait)
{
    struct sim_storage *all = &worker->sim->storage;
    const struct model_storage_request *request = &operation->request;
    struct sim_storage_file *file = &all->files[request->storage];
    struct iovec buffer = {.iov_base = request->buffer, .iov_len = request->bytes};
    struct iovec *pieces = operation->pins.count > 0 ? operation->pins.pieces : &buffer;
    int count = operation->pins.count > 0 ? operation->pins.count : 1;
    if (all->is_stopping || operation->is_revoked) {
        operation->result = -ECANCELED;
    } else if (may_wait || request->action != MODEL_STORAGE_READ) {
        operation->result = sim_file_run(file, request, pieces, count, worker->bounce);
    } else if (sim_file_read_now(file, pieces, count, request->offset)) {
        operation->result = 0;
    } else {
        return false;
    }
    operation->state = SIM_OPERATION_ENDED;
    return true;
}

/* Those it leaves are nobody's again. */
static void run_batch_locked(struct sim_storage_worker *worker, struct batch *batch)
{
    unsigned done = 0;
    sim_unlock(worker->sim);
    while (done < batch->count && operation_run(worker, batch->operations[done], done == 0)) {
        done++;
    }
    sim_lock(worker->sim);
    worker->sim->storage.waiting_count += batch->count - done;
    for (; done < batch->count; done++) {
        batch->operations[done]->state = SIM_OPERATION_WAITING;
    }
}

static void tell_model_locked(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    struct sim_storage_operation *operation, *next;
    unsigned count = 0;
    bool has_revoked = false;
    TAILQ_FOREACH_SAFE (operation, &all->live, link, next) {
        if (operation->state != SIM_OPERATION_ENDED) {
            continue;
        }
        int result = operation->result;
        sim_pins_drop(sim, &operation->pins);
        if (result < 0 && result != -ECANCELED) {
            failure_log(sim, &operation->request, result);
        }
        has_revoked |= operation->is_revoked;
        all->results[count++] = (struct model_storage_result){operation->request.tag, result};
        TAILQ_REMOVE(&all->live, operation, link);
        TAILQ_INSERT_HEAD(&all->unused, operation, link);
    }
    if (has_revoked) {
        pthread_cond_broadcast(&all->settled);
    }
    if (count > 0) {
        sim->model->ops->storage_done(sim->model, all->results, count);
    }
}

/* The only one there is, if the polling thread is to carry it out; NULL. */
static struct sim_storage_operation *quick_write_locked(struct sim_storage *all)
{
    struct sim_storage_operation *operation = TAILQ_FIRST(&all->live);
    if (!operation || TAILQ_NEXT(operation, link) || operation->state != SIM_OPERATION_WAITING ||
        operation->request.action != MODEL_STORAGE_WRITE || !is_quick(all, operation)) {
        return NULL;
    }
    if (all->skips > 0) {
        all->skips--;
        return NULL;
    }
    return operation;
}

static void help_locked(struct sim *sim, struct sim_storage_operation *operation)
{
    struct sim_storage *all = &sim->storage;
    struct sim_storage_worker self = {.sim = sim};
    struct batch batch = {.operations = {operation}, .count = 1};
    const uint64_t begin = sim_now_ns();
    operation->state = SIM_OPERATION_TAKEN;
    all->waiting_count--;
    all->is_helping = true;
    run_batch_locked(&self, &batch);
    all->is_helping = false;
    if (sim_now_ns() - begin <= SLOW_NS) {
        all->slowness /= 2;
    } else if (all->slowness < SLOW_MOST) {
        all->slowness = 2 * all->slowness + 1;
    }
    all->skips = all->slowness;
    tell_model_locked(sim);
}

bool sim_storage_polled_locked(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    struct sim_storage_operation *operation = NULL;
    all->is_polling = false;
    if (all->waiting_count > 0) {
        operation = quick_write_locked(all);
    }
    if (operation) {
        help_locked(sim, operation);
    }
    if (all->waiting_count > 0 && all->idle_count > 0) {
        pthread_cond_signal(&all->changed);
    }
    return operation != NULL;
}

/* The next operation is likely to be near, as a driver that waits for each answers at once; to be
 * there saves two wake-ups. One of the workers is enough; with the page cache who polls helps. */
static void look_out(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    const struct model *model = sim->model;
    if (all->worker_count == 1 || all->has_lookout || !model->ops->peek) {
        return;
    }
    all->has_lookout = true;
    bool is_rung = false;
    sim_unlock(sim);
    for (unsigned i = 0; i < LOOKS && !is_rung && all->waiting_count == 0 && !all->is_stopping;
         i++) {
        is_rung = model->ops->peek(model);
        pause_processor();
    }
    sim_lock(sim);
    all->has_lookout = false;
    if (is_rung && !sim_is_removed(sim)) {
        all->is_polling = true; /* the first of what comes is ours */
        uint64_t wait_ns = model->ops->poll(sim->model);
        all->is_polling = false;
        if (wait_ns == 0) {
            sim_poll_wake_locked(sim);
        }
    }
}

static void *worker_thread(void *context)
{
    struct sim_storage_worker *worker = context;
    struct sim_storage *all = &worker->sim->storage;
    struct batch batch;
    bool was_busy = false;
    sim_lock(worker->sim);
    for (;;) {
        take_locked(all, &batch);
        if (batch.count > 0) {
            run_batch_locked(worker, &batch);
            tell_model_locked(worker->sim);
            was_busy = true;
        } else if (all->is_stopping) {
            break;
        } else if (was_busy) {
            was_busy = false;
            look_out(worker->sim);
        } else {
            all->idle_count++;
            pthread_cond_wait(&all->changed, &worker->sim->lock);
            all->idle_count--;
        }
    }
    sim_unlock(worker->sim);
    return NULL;
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

static int worker_start(struct sim *sim, struct sim_storage_worker *worker, bool has_bounce)
{
    worker->sim = sim;
    if (has_bounce) {
        worker->bounce = aligned_alloc(SIM_UNIT_MAX, SIM_BOUNCE_BYTES);
        if (!worker->bounce) {
            return -ENOMEM;
        }
    }
    int result = sim_thread_start(worker, &worker->thread, worker_thread);
    if (result < 0) {
        free(worker->bounce);
        worker->bounce = NULL;
    }
    return result;
}

/* Nothing has been submitted yet. */
int sim_storage_workers_start(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    bool has_bounce = has_units(all);
    unsigned wanted = has_bounce ? SIM_WORKERS : 1;
    int result = 0;
    sim_lock(sim); /* they look at worker_count */
    while (result == 0 && all->worker_count < wanted) {
        result = worker_start(sim, &all->workers[all->worker_count], has_bounce);
        all->worker_count += result == 0 ? 1 : 0;
    }
    sim_unlock(sim);
    return result;
}

void sim_storage_workers_stop(struct sim *sim)
{
    struct sim_storage *all = &sim->storage;
    sim_lock(sim);
    all->is_stopping = true;
    pthread_cond_broadcast(&all->changed);
    sim_unlock(sim);
    for (unsigned i = 0; i < all->worker_count; i++) {
        pthread_join(all->workers[i].thread, NULL);
        free(all->workers[i].bounce);
    }
}

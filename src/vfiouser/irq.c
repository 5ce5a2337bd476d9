/*
 * Vectors and the descriptors they are told by.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/irq.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/checked.h"
#include "vfiouser/notice.h"

int vu_irqs_create(struct vu_irqs *irqs, const unsigned counts[VU_IRQ_COUNT])
{
    pthread_mutex_init(&irqs->lock, NULL);
    pthread_mutex_init(&irqs->fd_lock, NULL);
    for (unsigned i = 0; i < VU_IRQ_COUNT; i++) {
        struct vu_irq_kind *kind = &irqs->kinds[i];
        *kind = (struct vu_irq_kind){.count = counts[i]};
        kind->vectors = calloc(counts[i] ? counts[i] : 1, sizeof(*kind->vectors));
        if (!kind->vectors) {
            kind->count = 0;
            vu_irqs_destroy(irqs);
            return -ENOMEM;
        }
        for (unsigned v = 0; v < counts[i]; v++) {
            kind->vectors[v].fd = -1;
        }
    }
    return 0;
}

unsigned vu_irqs_count(const struct vu_irqs *irqs, unsigned index)
{
    return irqs->kinds[index].count;
}

static void vector_give(struct vu_irqs *irqs, struct vu_vector *vector, int fd)
{
    pthread_mutex_lock(&irqs->fd_lock);
    if (vector->fd >= 0) {
        close(vector->fd);
    }
    vector->fd = fd;
    pthread_mutex_unlock(&irqs->fd_lock);
    vector->may_block = fd >= 0 && vu_notice_may_block(fd);
}

/* An eventfd's count, or eight bytes into a pipe. A reader that does not read must not hold up the
 * device: what does not fit now is in there already. One that makes it block on purpose does, until
 * vu_irqs_let_go. */
static void vector_write(struct vu_vector *vector)
{
    const uint64_t one = 1;
    struct pollfd writable = {.fd = vector->fd, .events = POLLOUT};
    if (vector->fd < 0 || (vector->may_block && poll(&writable, 1, 0) != 1)) {
        return;
    }
    ssize_t written = write(vector->fd, &one, sizeof(one));
    (void)written;
}

/* Hardware keeps a message that cannot be sent yet, and so does this. */
static void vector_fire(struct vu_vector *vector)
{
    if (vector->fd < 0 || vector->is_masked) {
        vector->is_pending = true;
    } else {
        vector_write(vector);
    }
}

static void vector_settle(struct vu_vector *vector)
{
    if (vector->is_pending && vector->fd >= 0 && !vector->is_masked) {
        vector->is_pending = false;
        vector_write(vector);
    }
}

static void kind_disable(struct vu_irqs *irqs, struct vu_irq_kind *kind)
{
    for (unsigned v = 0; v < kind->count; v++) {
        vector_give(irqs, &kind->vectors[v], -1);
        kind->vectors[v].is_masked = false;
        kind->vectors[v].is_pending = false;
    }
    kind->used = 0;
    kind->is_enabled = false;
}

static void kind_count_used(struct vu_irq_kind *kind)
{
    unsigned used = kind->count;
    while (used > 0 && kind->vectors[used - 1].fd < 0) {
        used--;
    }
    kind->used = used;
}

/* Without descriptors the vectors lose theirs; the kind is enabled all the same. */
static void kind_assign(struct vu_irqs *irqs, struct vu_irq_kind *kind,
                        const struct vu_irq_set *set, int *fds, size_t fd_count)
{
    kind->is_enabled = true;
    for (uint32_t i = 0; i < set->count; i++) {
        struct vu_vector *vector = &kind->vectors[set->start + i];
        vector_give(irqs, vector, fd_count > 0 ? fds[i] : -1);
        if (fd_count > 0) {
            fds[i] = -1;
        }
        vector_settle(vector);
    }
    kind_count_used(kind);
}

static void vector_act(struct vu_vector *vector, uint32_t action)
{
    switch (action) {
    case VU_IRQ_ACTION_MASK:
        vector->is_masked = true;
        break;
    case VU_IRQ_ACTION_UNMASK:
        vector->is_masked = false;
        vector_settle(vector);
        break;
    default: /* a loop back: whoever asks wants to see it, masked or not */
        vector_write(vector);
        break;
    }
}

static int kind_set(struct vu_irqs *irqs, struct vu_irq_kind *kind,
                    const struct vu_request *request, int *fds, size_t fd_count)
{
    const struct vu_irq_set *set = &request->irq_set;
    uint32_t action = set->flags & VU_IRQ_ACTION;

    if (set->count == 0) {
        kind_disable(irqs, kind);
        return 0;
    }
    if (set->flags & VU_IRQ_DATA_EVENTFD) {
        if (action != VU_IRQ_ACTION_TRIGGER) {
            return -EINVAL; /* descriptors that unmask are for level interrupts, which are not had
                             */
        }
        kind_assign(irqs, kind, set, fds, fd_count);
        return 0;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if ((set->flags & VU_IRQ_DATA_NONE) || request->data[i]) {
            vector_act(&kind->vectors[set->start + i], action);
        }
    }
    return 0;
}

static bool all_fit(const int *fds, size_t fd_count)
{
    for (size_t i = 0; i < fd_count; i++) {
        if (!vu_notice_fits(fds[i])) {
            return false;
        }
    }
    return true;
}

int vu_irqs_set(struct vu_irqs *irqs, const struct vu_request *request, int *fds, size_t fd_count)
{
    const struct vu_irq_set *set = &request->irq_set;
    struct vu_irq_kind *kind = &irqs->kinds[set->index];
    bool is_notice = set->index == VU_IRQ_ERR || set->index == VU_IRQ_REQ;

    if (fd_count > VU_MAX_FDS || (is_notice && !(set->flags & VU_IRQ_ACTION_TRIGGER)) ||
        set->start >= kind->count || !range_is_within(set->start, set->count, kind->count) ||
        !all_fit(fds, fd_count)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&irqs->lock);
    int error = kind_set(irqs, kind, request, fds, fd_count);
    pthread_mutex_unlock(&irqs->lock);
    return error;
}

void vu_irqs_fire(struct vu_irqs *irqs, unsigned vector)
{
    pthread_mutex_lock(&irqs->lock);
    struct vu_irq_kind *kind = &irqs->kinds[VU_IRQ_MSIX];
    if (!kind->is_enabled) {
        kind = &irqs->kinds[VU_IRQ_MSI];
        /* A function that is granted fewer messages than it has folds them. */
        vector = kind->used > 0 ? vector % kind->used : vector;
    }
    if (kind->is_enabled && vector < kind->count) {
        vector_fire(&kind->vectors[vector]);
    }
    pthread_mutex_unlock(&irqs->lock);
}

bool vu_irqs_notify(struct vu_irqs *irqs, enum vu_irq_index index)
{
    struct vu_irq_kind *kind = &irqs->kinds[index];
    pthread_mutex_lock(&irqs->lock);
    bool is_heard = kind->count > 0 && kind->vectors[0].fd >= 0;
    if (is_heard) {
        vector_write(&kind->vectors[0]);
    }
    pthread_mutex_unlock(&irqs->lock);
    return is_heard;
}

void vu_irqs_let_go(struct vu_irqs *irqs)
{
    pthread_mutex_lock(&irqs->fd_lock);
    for (unsigned i = 0; i < VU_IRQ_COUNT; i++) {
        for (unsigned v = 0; v < irqs->kinds[i].count; v++) {
            if (irqs->kinds[i].vectors[v].fd >= 0) {
                vu_notice_drain(irqs->kinds[i].vectors[v].fd);
            }
        }
    }
    pthread_mutex_unlock(&irqs->fd_lock);
}

void vu_irqs_release(struct vu_irqs *irqs)
{
    pthread_mutex_lock(&irqs->lock);
    for (unsigned i = 0; i < VU_IRQ_COUNT; i++) {
        kind_disable(irqs, &irqs->kinds[i]);
    }
    pthread_mutex_unlock(&irqs->lock);
}

void vu_irqs_destroy(struct vu_irqs *irqs)
{
    if (!irqs->kinds[0].vectors) {
        return;
    }
    vu_irqs_release(irqs);
    for (unsigned i = 0; i < VU_IRQ_COUNT; i++) {
        free(irqs->kinds[i].vectors);
        irqs->kinds[i].vectors = NULL;
    }
    pthread_mutex_destroy(&irqs->fd_lock);
    pthread_mutex_destroy(&irqs->lock);
}

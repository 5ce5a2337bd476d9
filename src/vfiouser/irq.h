/*
 * Interrupts towards a peer: which descriptor is written for which vector. Any thread: vectors are
 * fired by the client library's, set by the server's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_IRQ_H
#define DEXTLINK_VFIOUSER_IRQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfiouser/codec.h"

struct vu_vector {
    int fd;         /* -1: nobody listens; given under both locks */
    bool may_block; /* there is a look before each write */
    bool is_masked;
    bool is_pending; /* fired while nobody listened, or masked */
};

struct vu_irq_kind {
    unsigned count; /* vectors there are */
    unsigned used;  /* vectors from 0 up to the last that was given a descriptor; 0 = disabled */
    bool is_enabled;
    struct vu_vector *vectors;
};

struct vu_irqs {
    pthread_mutex_t lock;    /* the kinds are under it; held while a descriptor is written */
    pthread_mutex_t fd_lock; /* a leaf: no descriptor changes, whoever writes to it */
    struct vu_irq_kind kinds[VU_IRQ_COUNT];
};

/** counts: vectors of each kind, at most 2048. 0; -ENOMEM. */
int vu_irqs_create(struct vu_irqs *irqs, const unsigned counts[VU_IRQ_COUNT]);

/** Takes what was zeroed and never created. */
void vu_irqs_destroy(struct vu_irqs *irqs);

unsigned vu_irqs_count(const struct vu_irqs *irqs, unsigned index);

/**
 * Do what a SET_IRQS asks for.
 *
 * @request: decoded; fds: fd_count of them, those taken are set to -1
 *
 * -EINVAL: vectors there are not; masking of ERR and REQ; descriptors of the wrong kind.
 */
int vu_irqs_set(struct vu_irqs *irqs, const struct vu_request *request, int *fds, size_t fd_count);

/** The device's vector fired: tell whoever listens, by MSI-X or MSI, whichever is enabled. */
void vu_irqs_fire(struct vu_irqs *irqs, unsigned vector);

/** Tell who listens to vector 0 of ERR or REQ. Whether anybody did. */
bool vu_irqs_notify(struct vu_irqs *irqs, enum vu_irq_index index);

/** Let go who is in a write to a descriptor that takes no more. Any thread, does not wait. */
void vu_irqs_let_go(struct vu_irqs *irqs);

/** Nobody listens any more: close everything, forget masks and what is pending. */
void vu_irqs_release(struct vu_irqs *irqs);

#endif

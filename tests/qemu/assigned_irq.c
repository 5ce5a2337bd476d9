/*
 * Interrupts of an assigned device: from the notice, by way of the main loop, to a guest's
 * eventfds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "assigned.h"

enum { WORDS = 4, WORD_BITS = 64 };

static void signal_fd(int fd)
{
    static const uint64_t one = 1;
    ssize_t written;

    do {
        written = write(fd, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
}

/* On a thread of the library: it wakes the main loop and does nothing else. */
static void wake(void *opaque)
{
    const struct assigned_device *device = opaque;

    signal_fd(device->wake_fd);
}

int assigned_irq_start(struct assigned_device *device)
{
    if (apple_dext_setup_interrupts(device->connection, &device->vectors) != KERN_SUCCESS) {
        return -EIO;
    }
    device->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (device->wake_fd < 0) {
        return -errno;
    }
    device->notify = apple_dext_interrupt_notify_create(device->connection, wake, device);
    if (device->notify == NULL) {
        return -EIO;
    }
    return 0;
}

void assigned_irq_stop(struct assigned_device *device)
{
    apple_dext_interrupt_notify_destroy(device->notify);
    device->notify = NULL;
    if (device->wake_fd >= 0) {
        close(device->wake_fd);
        device->wake_fd = -1;
    }
}

int assigned_irq_use(struct assigned_device *device, uint32_t vector, int fd)
{
    uint64_t mask[WORDS] = {0};

    if (vector >= device->vectors) {
        return -EINVAL;
    }
    device->vector_fds[vector] = fd;
    for (uint32_t i = 0; i < device->vectors; i++) {
        if (device->vector_fds[i] >= 0) {
            mask[i / WORD_BITS] |= UINT64_C(1) << (i % WORD_BITS);
        }
    }
    return apple_dext_set_irq_mask(device->connection, mask) == KERN_SUCCESS ? 0 : -EIO;
}

static void hand_on(struct assigned_device *device, const uint64_t pending[WORDS])
{
    for (unsigned word = 0; word < WORDS; word++) {
        for (uint64_t bits = pending[word]; bits != 0; bits &= bits - 1) {
            unsigned vector = word * WORD_BITS + (unsigned)__builtin_ctzll(bits);

            if (device->vector_fds[vector] >= 0) {
                signal_fd(device->vector_fds[vector]);
            }
        }
    }
}

int assigned_irq_turn(struct assigned_device *device, int timeout_ms)
{
    struct pollfd waited = {.fd = device->wake_fd, .events = POLLIN};
    uint64_t pending[WORDS];
    uint64_t count;
    int ready = poll(&waited, 1, timeout_ms);

    if (ready <= 0) {
        return ready < 0 ? -errno : -ETIMEDOUT;
    }
    if (read(device->wake_fd, &count, sizeof(count)) != sizeof(count)) {
        return -errno;
    }
    if (apple_dext_read_pending_irqs(device->connection, pending) == KERN_SUCCESS) {
        hand_on(device, pending);
    }
    return apple_dext_interrupt_notify_rearm(device->notify) == KERN_SUCCESS ? 0 : -EIO;
}

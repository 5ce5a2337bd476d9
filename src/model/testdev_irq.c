/*
 * The test device's interrupts: a vector at will, and vectors on a timer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/testdev_device.h"

#define CONTROL_RUN   0x1u
#define CONTROL_STORM 0x2u
#define SHORTEST_NS   1000 /* a period below it counts as this much, so that nothing spins */

uint32_t testdev_irq_mode(const struct testdev *dev)
{
    return msix_is_enabled(&dev->msix) ? 2 : msi_is_enabled(&dev->msi) ? 1 : 0;
}

__attribute__((hot)) void testdev_fire(struct testdev *dev, uint32_t vector)
{
    enum message_result result = MESSAGE_LOST;

    /* The message first: who waits for it does not wait for what is counted here. */
    dev->regs.fired_at = testdev_now(dev);
    if (vector < dev->options.vectors) {
        result = msix_is_enabled(&dev->msix) ? msix_fire(&dev->msix, vector)
                                             : msi_fire(&dev->msi, vector);
        dev->regs.fired_by_vector[vector]++;
    }
    dev->regs.fired++;
    dev->regs.fire_result = result;
    if (result == MESSAGE_SENT)
        dev->regs.sent++;
    else if (result == MESSAGE_PENDING)
        dev->regs.pending++;
    else
        dev->regs.lost++;
}

static uint64_t period_of(const struct testdev *dev)
{
    return dev->regs.timer_period < SHORTEST_NS ? SHORTEST_NS : dev->regs.timer_period;
}

static uint64_t later(uint64_t start_ns, uint64_t period_ns)
{
    return period_ns > UINT64_MAX - start_ns ? UINT64_MAX : start_ns + period_ns;
}

static void arm_at(struct testdev *dev, uint64_t deadline_ns)
{
    dev->regs.timer_deadline = deadline_ns;
    testdev_arm(dev, TESTDEV_TIMER_IRQ, deadline_ns);
}

void testdev_timer_written(struct testdev *dev)
{
    if ((dev->regs.timer_control & CONTROL_RUN) == 0) {
        testdev_cancel(dev, TESTDEV_TIMER_IRQ);
        return;
    }
    dev->regs.timer_ticks = 0;
    arm_at(dev, later(testdev_now(dev), period_of(dev)));
}

void testdev_timer_resume(struct testdev *dev)
{
    if ((dev->regs.timer_control & CONTROL_RUN) != 0)
        arm_at(dev, later(testdev_now(dev), period_of(dev)));
}

__attribute__((hot)) void testdev_timer_tick(struct testdev *dev)
{
    struct testdev_registers *regs = &dev->regs;

    if ((regs->timer_control & CONTROL_RUN) == 0)
        return;
    uint32_t span = regs->timer_span == 0 ? 1 : regs->timer_span;
    if (span > MSIX_MAX_VECTORS)
        span = MSIX_MAX_VECTORS;
    if ((regs->timer_control & CONTROL_STORM) != 0) {
        for (uint32_t i = 0; i < span; i++)
            testdev_fire(dev, regs->timer_first + i);
    } else {
        testdev_fire(dev, regs->timer_first + regs->timer_ticks % span);
    }

    regs->timer_ticks++;
    if (regs->timer_count != 0 && regs->timer_ticks >= regs->timer_count) {
        regs->timer_control &= ~CONTROL_RUN;
        return;
    }
    /* Keep the beat, but do not try to catch up with ticks that were missed. */
    uint64_t now = testdev_now(dev);
    uint64_t next = later(regs->timer_deadline, period_of(dev));
    arm_at(dev, next < now ? later(now, period_of(dev)) : next);
}

/*
 * When to look at the doorbells again: at once while there is work, closely for a while after the
 * last, then ever less often. A driver that goes on within SPIN_FOR_NS pays no wake-up; one that
 * pauses waits a millisecond at most; and as a wake-up costs tens of microseconds of a processor, a
 * controller that nobody has used for a while is looked at a few hundred times a second only.
 *
 * A driver on a slow processor, in an emulated guest for one, takes longer to go on, and about the
 * same time each time: half of it is slept through, then it is waited for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/nvme/nvme_poll.h"

#define SPIN_FOR_NS    UINT64_C(100000)
#define FIRST_SLEEP_NS UINT64_C(50000)     /* less costs as much as it saves */
#define STEADY_NS      UINT64_C(600000)    /* longer pauses are not waited for */
#define PAUSE_NS       UINT64_C(100000000) /* of no work; longer is disuse */
#define PAUSE_SLEEP_NS UINT64_C(1000000)

static void note_work(struct nvme_poll *poll, uint64_t now_ns)
{
    uint64_t pause = now_ns - poll->busy_ns;

    if (pause >= 2 * STEADY_NS)
        poll->pause_ns = 0;
    else if (pause >= SPIN_FOR_NS / 2 || poll->pause_ns != 0)
        poll->pause_ns = poll->pause_ns == 0 ? pause : (3 * poll->pause_ns + pause) / 4;
    poll->busy_ns = now_ns;
    poll->sleep_ns = FIRST_SLEEP_NS;
}

void nvme_poll_answered(struct nvme_poll *poll, uint64_t now_ns)
{
    poll->busy_ns = now_ns;
    poll->sleep_ns = FIRST_SLEEP_NS;
}

/* Of a driver that goes on after about pause_ns; 0: it does not, or this time it takes longer. */
static uint64_t wait_steadily(const struct nvme_poll *poll, uint64_t idle_ns)
{
    uint64_t half = poll->pause_ns / 2;

    if (poll->pause_ns > STEADY_NS || idle_ns >= 2 * poll->pause_ns)
        return 0;
    if (half < FIRST_SLEEP_NS || idle_ns + FIRST_SLEEP_NS / 2 >= half)
        return MODEL_POLL_SPIN_NS;
    return half - idle_ns;
}

uint64_t nvme_poll_next(struct nvme_poll *poll, uint64_t now_ns, enum nvme_poll_found found)
{
    if (found == NVME_POLL_SOME || found == NVME_POLL_MORE) {
        note_work(poll, now_ns);
        return found == NVME_POLL_MORE ? 0 : MODEL_POLL_SPIN_NS;
    }
    uint64_t idle = now_ns - poll->busy_ns;
    if (poll->sleep_ns == 0)
        poll->sleep_ns = FIRST_SLEEP_NS;
    uint64_t steadily = found == NVME_POLL_NOTHING ? wait_steadily(poll, idle) : 0;
    if (steadily != 0)
        return steadily;
    if (found == NVME_POLL_NOTHING && idle < SPIN_FOR_NS)
        return MODEL_POLL_SPIN_NS;
    if (idle >= PAUSE_NS)
        return NVME_POLL_LONGEST_NS;
    uint64_t wait = poll->sleep_ns;
    poll->sleep_ns = wait < PAUSE_SLEEP_NS / 2 ? wait * 2 : PAUSE_SLEEP_NS;
    return wait;
}

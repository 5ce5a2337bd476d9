/*
 * When to look at the doorbells again: at once while there is work, closely for a while after the
 * last, then ever less often. A driver that goes on within SPIN_FOR_NS pays no wake-up; one that
 * pauses waits a millisecond at most; and as a wake-up costs tens of microseconds of a processor, a
 * controller that nobody has used for a while is looked at a few hundred times a second only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/nvme/nvme_poll.h"

#define SPIN_FOR_NS    UINT64_C(100000)
#define FIRST_SLEEP_NS UINT64_C(50000)     /* less costs as much as it saves */
#define PAUSE_NS       UINT64_C(100000000) /* of no work; longer is disuse */
#define PAUSE_SLEEP_NS UINT64_C(1000000)

uint64_t nvme_poll_next(struct nvme_poll *poll, uint64_t now_ns, enum nvme_poll_found found)
{
    if (found == NVME_POLL_SOME || found == NVME_POLL_MORE) {
        poll->busy_ns = now_ns;
        poll->sleep_ns = FIRST_SLEEP_NS;
        return found == NVME_POLL_MORE ? 0 : MODEL_POLL_SPIN_NS;
    }
    if (poll->sleep_ns == 0)
        poll->sleep_ns = FIRST_SLEEP_NS;
    if (found == NVME_POLL_NOTHING && now_ns - poll->busy_ns < SPIN_FOR_NS)
        return MODEL_POLL_SPIN_NS;
    if (now_ns - poll->busy_ns >= PAUSE_NS)
        return NVME_POLL_LONGEST_NS;
    uint64_t wait = poll->sleep_ns;
    poll->sleep_ns = wait < PAUSE_SLEEP_NS / 2 ? wait * 2 : PAUSE_SLEEP_NS;
    return wait;
}

/*
 * What the waits before say about the next. One short wait is enough to begin with; each attempt in
 * vain doubles what the next one wants, each that paid takes one off, so that a peer whose pauses
 * are just too long, or a machine that is full, is asked ever less often.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/lookout.h"

bool vu_lookout_begin(struct vu_lookout *lookout, uint64_t now_ns)
{
    lookout->begin_ns = lookout->last_ns = now_ns;
    lookout->was_in_vain = false;
    lookout->is_looking = lookout->shorts > 0 && lookout->shorts >= lookout->wanted;
    return lookout->is_looking;
}

static void note_in_vain(struct vu_lookout *lookout)
{
    unsigned wanted = lookout->wanted > 0 ? 2 * lookout->wanted : 2;
    lookout->wanted = wanted < VU_LOOKOUT_MOST_WANTED ? wanted : VU_LOOKOUT_MOST_WANTED;
    lookout->shorts = 0;
    lookout->is_looking = false;
    lookout->was_in_vain = true;
}

bool vu_lookout_again(struct vu_lookout *lookout, uint64_t now_ns)
{
    if (now_ns - lookout->begin_ns > VU_LOOKOUT_NS ||
        now_ns - lookout->last_ns > VU_LOOKOUT_AWAY_NS) {
        note_in_vain(lookout);
    }
    lookout->last_ns = now_ns;
    return lookout->is_looking;
}

void vu_lookout_end(struct vu_lookout *lookout, uint64_t now_ns)
{
    bool is_short = now_ns - lookout->begin_ns <= VU_LOOKOUT_NS;
    if (lookout->was_in_vain) {
        return;
    }
    if (lookout->is_looking && now_ns - lookout->last_ns > VU_LOOKOUT_AWAY_NS) {
        note_in_vain(lookout);
    } else if (!is_short) {
        lookout->shorts = 0;
    } else {
        lookout->shorts += lookout->shorts < VU_LOOKOUT_MOST_WANTED;
        lookout->wanted -= lookout->is_looking && lookout->wanted > 1;
    }
}

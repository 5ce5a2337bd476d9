/*
 * What the two files of the link share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_LINK_INTERNAL_H
#define DEXTLINK_VFIOUSER_LINK_INTERNAL_H

#include "vfiouser/link.h"

uint64_t vu_link_now_ms(void);

/** Let the memory thread look again; link->lock held. */
void vu_link_wake_locked(struct vu_link *link);

/** A message was read: an answer to a question of ours goes there, and true. Lock held. */
bool vu_link_take_answer_locked(struct vu_link *link, const struct vu_message *message);

/** Count a command that the client waits for; lock held. */
void vu_link_count_locked(struct vu_link *link, const struct vu_header *header);

/** Keep a message for the session, descriptors too. 0; -ENOMEM. Lock held. */
int vu_link_keep_locked(struct vu_link *link, struct vu_message *message);

#endif

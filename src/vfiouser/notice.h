/*
 * Descriptors that a peer hands over for interrupts: an eventfd, or the end of a pipe or socket.
 *
 * Whether writing to one blocks is up to its open file, which the peer has too: it may change at
 * any moment. So nothing but the peer's own interrupts may depend on it, and who waits in a write
 * can be let go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_NOTICE_H
#define DEXTLINK_VFIOUSER_NOTICE_H

#include <stdbool.h>

/** Whether it is of a kind that takes notices: writing to files and devices may wait for anything.
 */
bool vu_notice_fits(int fd);

/** Whether to ask before each write if there is room, rather than be let go afterwards. */
bool vu_notice_may_block(int fd);

/** If it takes no more: make room, so that whoever waits to write there goes on. What is lost is
 * the peer's. Does not wait. */
void vu_notice_drain(int fd);

#endif

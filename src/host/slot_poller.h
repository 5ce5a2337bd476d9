/*
 * Threads that look at the call slots of connections with traffic, without sleeping. A poller is
 * nobody's own thread: whoever it has no time for serves himself again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SLOT_POLLER_H
#define DEXTLINK_HOST_SLOT_POLLER_H

struct slot_pollers;
struct slot_server;
struct thread_group;

/** The pollers of a host, none of which runs yet: at most half as many as there are processors, so
 * that those they poll for have one to run on. threads is borrowed. NULL when out of memory. */
struct slot_pollers *slot_pollers_create(struct thread_group *threads);

/** Ask that a poller takes a server over. It may not, or later, or give it back at any time. */
void slot_pollers_offer(struct slot_pollers *pollers, struct slot_server *server);

/** Their threads end, and take nothing over any more. NULL is fine, as below. */
void slot_pollers_end(struct slot_pollers *pollers);

/** After the threads have ended. */
void slot_pollers_destroy(struct slot_pollers *pollers);

#endif

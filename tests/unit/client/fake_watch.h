/*
 * Inside the scripted IOKit: matching and interest notifications.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_CLIENT_FAKE_WATCH_H
#define DEXTLINK_TESTS_CLIENT_FAKE_WATCH_H

#include <IOKit/IOKitLib.h>

/** The next service of a notification's iterator, with a reference; 0 at the end, which arms it. */
io_object_t fake_watch_next(io_iterator_t iterator);

/** A handle was released; with the fake's lock held. */
void fake_watch_released(io_object_t object);

/** Nothing is posted to this port any more. Called with fake.lock held. */
void fake_watch_port_destroyed(IONotificationPortRef port);

/** Run a function on a port's queue, unless the port has been destroyed by then; drop runs in any
 * case. */
void fake_port_post(IONotificationPortRef port, void (*run)(void *context),
                    void (*drop)(void *context), void *context);

#endif

/*
 * libdispatch for plain C: queues, semaphores, time.
 *
 * Objects are counted; releasing the last reference frees them later, once the work that was handed
 * in is done. Misuse that is fatal on macOS ends the process here too, with a line on standard
 * error. Every function may be called from any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DISPATCH_DISPATCH_H
#define DEXTLINK_DISPATCH_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include <dispatch/base.h>
#include <dispatch/object.h>
#include <dispatch/time.h>
#include <dispatch/queue.h>
#include <dispatch/semaphore.h>

#endif

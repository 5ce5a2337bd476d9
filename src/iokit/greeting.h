/*
 * Finding a host in another process: its socket, HELLO and the reply.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_GREETING_H
#define DEXTLINK_IOKIT_GREETING_H

#include <stdint.h>

/* What a host that was found gives; the descriptors are the caller's. */
struct io_greeting {
    int control_fd;
    int event_fd;
    uint32_t page_size; /* as it names it */
};

/**
 * Connect and greet. Blocks while there is patience: a program that takes connections and never
 * answers is no host, one that hangs with a full queue would keep a caller for ever; once greeted,
 * calls take as long as they take. Why there is none is noted for people (wire/no_host.h).
 * 0; -ETIMEDOUT somebody listens and says nothing; -ENOTCONN nobody serves, or not this client.
 */
int io_greet(struct io_greeting *greeting);

/** For tests, which cannot wait as long as DEXTLINK_PATIENCE (base/patience.h) says; 0: by that. */
void io_greeting_set_patience_ms(unsigned wait_ms);

#endif

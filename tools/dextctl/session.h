/*
 * A device that a subcommand works on, and errors that name it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_SESSION_H
#define DEXTLINK_DEXTCTL_SESSION_H

#include "apple-dext-client.h"
#include "dextctl.h"

struct session {
    const char *name; /* the address as the user wrote it, borrowed */
    struct address address;
    io_connect_t connection;
};

enum session_access {
    SESSION_LOOK,  /* without a claim */
    SESSION_CLAIM, /* with one: config, BARs, DMA, interrupts, reset */
};

/**
 * Connect to the device at an address ("BB:DD.F", "ROOT/BB:DD.F") or of a stable name. Returns
 * STATUS_OK, or STATUS_USAGE (neither) or STATUS_FAILED with one line printed. Close it only after
 * STATUS_OK.
 */
int session_open(struct session *session, const char *address, enum session_access access);
void session_close(struct session *session);

/** Print "ADDRESS: what: cause" for a code of the client library; returns STATUS_FAILED. */
int session_failure(const struct session *session, kern_return_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** What a code means, in one line. Static storage. */
/** Print why devices cannot be listed; STATUS_FAILED. */
int list_failure(kern_return_t code);

const char *code_text(kern_return_t code);

#endif

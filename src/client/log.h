/*
 * The client's log: lines for the process's log callback.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_LOG_H
#define DEXTLINK_CLIENT_LOG_H

#include "apple-dext-client.h"

/**
 * Write one line, without newline. Any thread. Locks of the client may be held: the callback is
 * forbidden to call the library. Keeps errno.
 */
void client_log(AppleDextLogLevel level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

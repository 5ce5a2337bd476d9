/*
 * One call to the driver: scalars in and out, with the counts its interface promises.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_CALL_H
#define DEXTLINK_CLIENT_CALL_H

#include "abi/dext_abi.h"
#include "client/connection.h"

enum { CLIENT_SCALARS_MAX = 16 }; /* what IOKit carries in each direction */

/**
 * Call a selector that is not asynchronous. Blocks until the driver answers.
 *
 * in: as many as the selector's row says, NULL for none
 * out: room for CLIENT_SCALARS_MAX, NULL when the row has none; zero where the call failed
 *
 * kIOReturnUnderrun the reply has fewer outputs than its row; else the driver's or IOKit's code.
 */
kern_return_t client_call(struct client_connection *connection, enum dext_selector selector,
                          const uint64_t *in, uint64_t *out);

/**
 * The code to report for one of IOKit's. A connection that died while it had mappings answers
 * kIOReturnBadArgument; the one mapping its owner never asked for must not hide the death.
 */
kern_return_t client_call_status(struct client_connection *connection, kern_return_t status);

/* What a call carries beside its scalars. */
struct client_structures {
    const void *in;
    size_t in_bytes;
    void *out; /* what it holds after a failure is not said */
    size_t out_bytes;
    size_t *out_got; /* NULL: all of out_bytes must come; else how many came */
};

/** The same for selectors that take and give structures; kIOReturnUnderrun also where the reply has
 * fewer than out_bytes. */
kern_return_t client_call_structures(struct client_connection *connection,
                                     enum dext_selector selector, const uint64_t *in, uint64_t *out,
                                     const struct client_structures *structures);

#endif

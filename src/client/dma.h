/*
 * DMA regions one at a time, for what is built on them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_DMA_H
#define DEXTLINK_CLIENT_DMA_H

#include <stdbool.h>

#include "client/connection.h"

/** Whether the real driver, which looks at less, may be asked for it. */
bool client_dma_request_is_good(const AppleDextDmaRequest *request);

/** apple_dext_register_dma for a connection that is entered; checks the request. result is written
 * in any case. Returns its status. */
kern_return_t client_dma_register(struct client_connection *connection,
                                  const AppleDextDmaRequest *request, AppleDextDmaResult *result);

/** Take a region back that was registered after all; what goes wrong is logged. */
void client_dma_undo(struct client_connection *connection, uint64_t iova);

#endif

/*
 * Asking the driver about BARs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_BAR_H
#define DEXTLINK_CLIENT_BAR_H

#include "client/connection.h"

/**
 * Ask for BAR index (0 to 5) and remember the answer.
 * kIOReturnNotFound there is no such BAR (also remembered); else the code of the call.
 */
kern_return_t client_bar_ask(struct client_connection *connection, unsigned index,
                             struct client_bar *out);

/**
 * The memory BAR that has this memory index, from what is remembered, asking where need be.
 * kIOReturnBadArgument none has; else the code of asking.
 */
kern_return_t client_bar_find(struct client_connection *connection, uint8_t memory_index,
                              struct client_bar *out);

#endif

/*
 * Who is at the other end, from the driver's own answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_IDENTITY_H
#define DEXTLINK_CLIENT_IDENTITY_H

#include "apple-dext-client.h"

/**
 * Take over the address of a GetIdentity reply, and its IDs unless they are known already or are
 * the ones that an unclaimed device reads as.
 */
void client_identity_from_reply(const uint64_t reply[6], AppleDextInstance *instance);

#endif

/*
 * Clients inside the host's own process: links that call instead of sending.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_LOCAL_H
#define DEXTLINK_HOST_LOCAL_H

struct DextHost;
struct local_host;

/** Make host the one IOKit calls of this process go to. 0 and *out; -EBUSY there is one; -ENOMEM.
 */
int local_host_start(struct DextHost *host, struct local_host **out);

/** Let no new call in, wait for those under way, cut all links. The sessions must be ended after.
 * NULL is fine. */
void local_host_stop(struct local_host *local);

#endif

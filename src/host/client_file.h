/*
 * A descriptor of our own for a file that a client has mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_CLIENT_FILE_H
#define DEXTLINK_HOST_CLIENT_FILE_H

#include <sys/types.h>

#include "host/client_mapping.h"

/**
 * Open the file behind mapping, for writing too when the client's mapping is writable: through a
 * descriptor the client still has, else through the mapping itself where the kernel allows that
 * (CAP_CHECKPOINT_RESTORE). The client may have put another file there meanwhile: the descriptor is
 * of mapping's device and inode, but whether the client still maps it is for the caller to ask.
 *
 * *hint is the client's descriptor that served last time, or -1; looked at first, and updated.
 *
 * The descriptor, owned by the caller; -ENOENT when there is no way to the file; -ENOMEM, -EMFILE.
 */
int client_file_open(pid_t pid, const struct client_mapping *mapping, int *hint);

#endif

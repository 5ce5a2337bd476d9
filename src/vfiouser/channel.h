/*
 * One connected socket that carries vfio-user messages: framing and descriptors. Blocking; ended
 * from another thread by shutdown(2) on its fd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_CHANNEL_H
#define DEXTLINK_VFIOUSER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfiouser/lookout.h"
#include "vfiouser/protocol.h"

struct vu_channel {
    int fd;           /* owned */
    uint8_t *payload; /* room for the payload of the largest message; aligned to 8 */
    struct vu_lookout lookout;
    /* The start of the next message, read with the one before it, and what came along. */
    size_t ahead_bytes;
    uint8_t ahead[VU_HEADER_BYTES];
    bool has_lost_ahead;
    size_t ahead_fd_count;
    int ahead_fds[VU_MAX_FDS];
};

/* A received message. Descriptors are the taker's, who sets what he takes to -1. */
struct vu_message {
    struct vu_header header;
    const uint8_t *payload; /* borrowed, valid until the next receive */
    size_t fd_count;        /* may be more than the fds here: those were closed */
    bool has_lost_fds;      /* some could not be taken: too many are open */
    int fds[VU_MAX_FDS];
};

/** Take fd, also on failure; the channel is zeroed. 0; -ENOMEM. */
int vu_channel_open(struct vu_channel *channel, int fd);

/** Takes a channel that was zeroed and never opened with fd -1. */
void vu_channel_close(struct vu_channel *channel);

/**
 * Wait for the next message and read it whole, however it was cut.
 *
 * 0; -ENOTCONN the peer has closed the connection between two messages; -EPROTO it did so inside
 * one; -EBADMSG the header's size is impossible (message->header is filled, there is no payload,
 * and nothing more can be read); -errno of recvmsg. On failure there are no descriptors.
 */
int vu_channel_receive(struct vu_channel *channel, struct vu_message *message);

/** Close what descriptors are left in a message. */
void vu_message_close(struct vu_message *message);

/**
 * Send one message by one sendmsg.
 *
 * @header: size is set here; payload, more: two pieces, each may be empty; fd: -1 = none
 *
 * 0; -errno of sendmsg.
 */
int vu_channel_send(struct vu_channel *channel, struct vu_header *header, const void *payload,
                    size_t payload_bytes, const void *more, size_t more_bytes, int fd);

#endif

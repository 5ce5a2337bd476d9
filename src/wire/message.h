/*
 * Frames between a client process and a host, and the bytes inside them. One frame is a header, a
 * payload and up to WIRE_MAX_FDS file descriptors. Knows neither PCI nor IOKit: what a payload
 * means stands in wire/protocol.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_MESSAGE_H
#define DEXTLINK_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC       UINT32_C(0x314c5844) /* "DXL1" in memory order */
#define WIRE_MAX_PAYLOAD (UINT32_C(4) * 1024 * 1024 + 65536)
#define WIRE_MAX_FDS     8

/* In the host's byte order; both ends are on one machine. */
struct wire_header {
    uint32_t magic;
    uint16_t type;          /* enum wire_type */
    uint16_t fd_count;      /* <= WIRE_MAX_FDS */
    uint32_t payload_bytes; /* <= WIRE_MAX_PAYLOAD */
    int32_t status;         /* replies: an IOReturn; requests and events: 0 */
    uint64_t call_id;       /* of the trace; a reply repeats its request's */
    uint64_t sequence;      /* a reply repeats its request's */
};
_Static_assert(sizeof(struct wire_header) == 32, "frame header is 32 bytes");

/* One frame in memory. The buffer grows and is kept for the next frame. Owns the fds in it. */
struct wire_message {
    struct wire_header header; /* payload_bytes and fd_count are set on the way out */
    uint8_t *payload;
    size_t length;     /* bytes of payload in use */
    size_t capacity;   /* bytes allocated */
    size_t position;   /* next byte a get reads */
    bool is_bad;       /* a put ran out of memory or room, or a get ran past the end */
    bool has_lost_fds; /* descriptors came along that this process had no room for */
    int fds[WIRE_MAX_FDS];
    unsigned fd_count;
};

/** An empty message; no allocation. */
void wire_message_init(struct wire_message *message);

/** Empty it for the next frame: closes fds still in it, keeps the buffer. */
void wire_message_reset(struct wire_message *message, uint16_t type);

/** The same for the reply to a request: it repeats type, sequence and call id. */
void wire_message_answer(struct wire_message *reply, const struct wire_message *request);

/** A message to send whose payload is the caller's: not to be put into, reset or destroyed. */
static inline struct wire_message wire_message_borrowing(uint16_t type, void *payload,
                                                         size_t length)
{
    return (struct wire_message){
        .header = {.magic = WIRE_MAGIC, .type = type}, .payload = payload, .length = length};
}

/** Free what it owns; usable again after wire_message_init. */
void wire_message_destroy(struct wire_message *message);

/** Append to the payload. A failure (no memory, over WIRE_MAX_PAYLOAD) sets is_bad. */
void wire_put_u32(struct wire_message *message, uint32_t value);
void wire_put_u64(struct wire_message *message, uint64_t value);
void wire_put_bytes(struct wire_message *message, const void *bytes, size_t length);
/** Length and bytes of a string; NULL counts as "". */
void wire_put_string(struct wire_message *message, const char *text);
/** Append length bytes that the caller fills; NULL when is_bad. Valid until the next put. */
void *wire_put_space(struct wire_message *message, size_t length);
/** Hand a descriptor over: owned by the message from here on, also on failure (is_bad). */
void wire_put_fd(struct wire_message *message, int fd);

/** Read on. Past the end: zeroes (NULL) and is_bad. Pointers are borrowed: valid until reset. */
uint32_t wire_get_u32(struct wire_message *message);
uint64_t wire_get_u64(struct wire_message *message);
const void *wire_get_bytes(struct wire_message *message, size_t length);
/** A string as put by wire_put_string, NUL-terminated copy in buffer; is_bad when it does not fit
 * or holds a NUL. */
void wire_get_string(struct wire_message *message, char *buffer, size_t size);
/** Take descriptor number index out: owned by the caller; -1 when there is none. */
int wire_take_fd(struct wire_message *message, unsigned index);

/** Everything read, nothing failed: what a receiver asks after its last get. */
bool wire_is_consumed(const struct wire_message *message);

/**
 * Send a frame on a stream socket, whole. Blocks unless the socket is non-blocking. The message
 * keeps its fds (they are duplicated by the kernel).
 * 0; -EAGAIN nothing was sent (non-blocking only); -EBADMSG message is_bad; -EPIPE or -ECONNRESET
 * the peer is gone; other -errno. After any error but -EAGAIN the stream is unusable.
 */
int wire_send(int socket_fd, struct wire_message *message);

/**
 * Receive a frame, whole; blocks. Stray descriptors, wrong magic, too large a payload or a stream
 * that ends inside a frame are -EBADMSG, and no descriptor is kept.
 * -EMFILE: descriptors came that this process had no room for; the next frame can be received.
 * 0; -ECONNRESET the peer closed between frames; -ENOMEM; other -errno.
 */
int wire_receive(int socket_fd, struct wire_message *message);

/**
 * The same on a non-blocking socket, waiting for guard_fd too: -ECANCELED as soon as there is
 * something to wait for and guard_fd is readable. -1: no guard.
 */
int wire_receive_guarded(int socket_fd, int guard_fd, struct wire_message *message);

/** CLOCK_MONOTONIC: what deadlines are counted in. */
uint64_t wire_now_ns(void);

/**
 * Send or receive a whole frame on a non-blocking socket before a deadline, not 0. As wire_send and
 * wire_receive; -ETIMEDOUT, after which the stream is unusable like after any error.
 */
int wire_send_until(int socket_fd, uint64_t deadline_ns, struct wire_message *message);
int wire_receive_until(int socket_fd, uint64_t deadline_ns, struct wire_message *message);

#endif

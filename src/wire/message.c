/*
 * Building and reading the payload of a frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void wire_message_init(struct wire_message *message)
{
    memset(message, 0, sizeof(*message));
    message->header.magic = WIRE_MAGIC;
}

static void wire_close_fds(struct wire_message *message)
{
    for (unsigned i = 0; i < message->fd_count; i++) {
        if (message->fds[i] >= 0) {
            close(message->fds[i]);
        }
    }
    message->fd_count = 0;
}

void wire_message_reset(struct wire_message *message, uint16_t type)
{
    wire_close_fds(message);
    memset(&message->header, 0, sizeof(message->header));
    message->header.magic = WIRE_MAGIC;
    message->header.type = type;
    message->length = 0;
    message->position = 0;
    message->is_bad = false;
    message->has_lost_fds = false;
}

void wire_message_answer(struct wire_message *reply, const struct wire_message *request)
{
    wire_message_reset(reply, request->header.type);
    reply->header.sequence = request->header.sequence;
    reply->header.call_id = request->header.call_id;
}

void wire_message_destroy(struct wire_message *message)
{
    wire_close_fds(message);
    free(message->payload);
    wire_message_init(message);
}

static bool wire_reserve(struct wire_message *message, size_t more)
{
    if (message->is_bad || more > WIRE_MAX_PAYLOAD - message->length) {
        message->is_bad = true;
        return false;
    }
    size_t wanted = message->length + more;
    if (message->payload && wanted <= message->capacity) {
        return true;
    }
    size_t capacity = message->capacity ? message->capacity : 512;
    while (capacity < wanted) {
        capacity *= 2;
    }
    uint8_t *grown = realloc(message->payload, capacity);
    if (!grown) {
        message->is_bad = true;
        return false;
    }
    message->payload = grown;
    message->capacity = capacity;
    return true;
}

void *wire_put_space(struct wire_message *message, size_t length)
{
    if (!wire_reserve(message, length)) {
        return NULL;
    }
    void *space = message->payload + message->length;
    message->length += length;
    return space;
}

void wire_put_bytes(struct wire_message *message, const void *bytes, size_t length)
{
    void *space = wire_put_space(message, length);
    if (space && length > 0) {
        memcpy(space, bytes, length);
    }
}

void wire_put_u32(struct wire_message *message, uint32_t value)
{
    wire_put_bytes(message, &value, sizeof(value));
}

void wire_put_u64(struct wire_message *message, uint64_t value)
{
    wire_put_bytes(message, &value, sizeof(value));
}

void wire_put_string(struct wire_message *message, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    wire_put_u32(message, (uint32_t)length);
    wire_put_bytes(message, text, length);
}

void wire_put_fd(struct wire_message *message, int fd)
{
    if (fd < 0 || message->fd_count == WIRE_MAX_FDS) {
        message->is_bad = true;
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    message->fds[message->fd_count++] = fd;
}

const void *wire_get_bytes(struct wire_message *message, size_t length)
{
    if (message->is_bad || length > message->length - message->position) {
        message->is_bad = true;
        return NULL;
    }
    static const uint8_t nothing; /* of an empty payload, which has no address */
    const void *bytes = message->payload ? message->payload + message->position : &nothing;
    message->position += length;
    return bytes;
}

uint32_t wire_get_u32(struct wire_message *message)
{
    uint32_t value = 0;
    const void *bytes = wire_get_bytes(message, sizeof(value));
    if (bytes) {
        memcpy(&value, bytes, sizeof(value));
    }
    return value;
}

uint64_t wire_get_u64(struct wire_message *message)
{
    uint64_t value = 0;
    const void *bytes = wire_get_bytes(message, sizeof(value));
    if (bytes) {
        memcpy(&value, bytes, sizeof(value));
    }
    return value;
}

void wire_get_string(struct wire_message *message, char *buffer, size_t size)
{
    uint32_t length = wire_get_u32(message);
    const void *bytes = wire_get_bytes(message, length);
    buffer[0] = '\0';
    if (!bytes) {
        return;
    }
    if (length >= size || memchr(bytes, '\0', length)) {
        message->is_bad = true;
        return;
    }
    memcpy(buffer, bytes, length);
    buffer[length] = '\0';
}

int wire_take_fd(struct wire_message *message, unsigned index)
{
    if (index >= message->fd_count) {
        return -1;
    }
    int fd = message->fds[index];
    message->fds[index] = -1;
    return fd;
}

bool wire_is_consumed(const struct wire_message *message)
{
    return !message->is_bad && message->position == message->length;
}

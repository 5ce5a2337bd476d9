/*
 * The scripted host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

struct fake_link {
    struct wire_link link;
    struct fake_host *host;
};

static void fake_put_entries(struct fake_host *host, struct wire_message *reply)
{
    wire_put_u32(reply, (uint32_t)host->entry_count);
    for (size_t i = 0; i < host->entry_count; i++) {
        wire_put_u64(reply, FAKE_FIRST_ENTRY + i);
    }
}

static void fake_describe(struct wire_message *request, struct wire_message *reply)
{
    uint64_t id = wire_get_u64(request);
    struct wire_value *entry = wire_value_dictionary();
    struct wire_value *properties = wire_value_dictionary();
    wire_value_set(properties, "id", wire_value_number((int64_t)id, 64));
    wire_value_set(entry, WIRE_ENTRY_NAME, wire_value_string("fake"));
    wire_value_set(entry, WIRE_ENTRY_CLASS, wire_value_string("IOUserService"));
    wire_value_set(entry, WIRE_ENTRY_PROPERTIES, properties);
    wire_put_value(reply, entry);
    wire_value_free(entry);
}

/* As many scalars as there is room for, each its index; as many bytes too. */
static void fake_call(struct wire_message *request, struct wire_message *reply)
{
    wire_get_u64(request);
    wire_get_u32(request);
    uint32_t scalars = wire_get_u32(request);
    wire_get_u64(request);
    uint64_t bytes = wire_get_u64(request);
    wire_put_u32(reply, scalars);
    wire_put_u32(reply, 0);
    wire_put_u64(reply, bytes);
    for (uint32_t i = 0; i < scalars; i++) {
        wire_put_u64(reply, i);
    }
    if (bytes > 0) {
        memset(wire_put_space(reply, bytes), 0x5a, bytes);
    }
}

/* Two pages of the host's page size: the first direct, the second trapped. */
static void fake_map(struct fake_host *host, struct wire_message *reply)
{
    wire_put_u64(reply, 2 * (uint64_t)host->page_size);
    wire_put_u32(reply, 0);
    wire_put_u32(reply, 1);
    fake_put_range(reply, 0, host->page_size, 0, 0);
    wire_put_fd(reply, fake_host_memory(host->page_size));
}

static void fake_answer(struct fake_host *host, struct wire_message *request,
                        struct wire_message *reply)
{
    switch (request->header.type) {
    case WIRE_MATCH:
        fake_put_entries(host, reply);
        break;
    case WIRE_ENTRY:
        fake_describe(request, reply);
        break;
    case WIRE_OPEN:
        wire_put_u64(reply, 1);
        break;
    case WIRE_NOTIFY_ADD:
        host->last_token = wire_get_u64(request);
        fake_put_entries(host, reply);
        break;
    case WIRE_INTEREST_ADD:
        host->last_token = wire_get_u64(request);
        break;
    case WIRE_CALL:
        fake_call(request, reply);
        break;
    case WIRE_MAP:
        fake_map(host, reply);
        break;
    case WIRE_ACCESS:
        wire_put_u64(reply, 0x1122334455667788);
        break;
    default:
        break;
    }
}

static int fake_link_call(struct wire_link *link, struct wire_message *request,
                          struct wire_message *reply)
{
    struct fake_host *host = ((struct fake_link *)link)->host;
    uint16_t type = request->header.type;
    if (request->is_bad) {
        return -ENOMEM;
    }
    if (host->is_dead) {
        return -ENOTCONN;
    }
    host->seen[type]++;
    request->position = 0;
    wire_message_answer(reply, request);
    if (host->answer[type]) {
        int error = host->answer[type](host, request, reply);
        if (error) {
            return error;
        }
    } else {
        fake_answer(host, request, reply);
    }
    reply->position = 0;
    return 0;
}

static int fake_link_call_small(struct wire_link *link, struct wire_words *words)
{
    struct fake_host *host = ((struct fake_link *)link)->host;
    return host->small && !host->is_dead ? host->small(host, words) : -EAGAIN;
}

static struct wire_link *fake_link_create(struct fake_host *host);

static struct wire_link *fake_link_accept(struct wire_link *control, struct wire_message *reply,
                                          uint64_t connection_id)
{
    (void)reply;
    return connection_id == 1 ? fake_link_create(((struct fake_link *)control)->host) : NULL;
}

static void fake_link_close(struct wire_link *link)
{
    struct fake_host *host = ((struct fake_link *)link)->host;
    host->links--;
    free(link);
}

static const struct wire_link_ops fake_link_ops = {
    .call = fake_link_call,
    .call_small = fake_link_call_small,
    .accept = fake_link_accept,
    .close = fake_link_close,
};

static struct wire_link *fake_link_create(struct fake_host *host)
{
    struct fake_link *self = calloc(1, sizeof(*self));
    self->link.ops = &fake_link_ops;
    self->host = host;
    host->links++;
    return &self->link;
}

static struct wire_link *fake_connect(void *opaque, wire_event_fn on_event, wire_gone_fn on_gone,
                                      void *context, uint32_t *page_size)
{
    struct fake_host *host = opaque;
    pthread_mutex_lock(&host->lock);
    host->on_event = on_event;
    host->on_gone = on_gone;
    host->sink = context;
    pthread_mutex_unlock(&host->lock);
    *page_size = host->page_size;
    return fake_link_create(host);
}

void fake_host_start(struct fake_host *host)
{
    if (!host->page_size) {
        host->page_size = 4096;
    }
    pthread_mutex_init(&host->lock, NULL);
    host->entry = (struct wire_local_host){.connect = fake_connect, .host = host};
    setenv("DEXTLINK_SOCKET", "/nonexistent/dextlink.sock", 1);
    assert_int_equal(wire_local_set(&host->entry), 0);
}

void fake_host_die(struct fake_host *host)
{
    pthread_mutex_lock(&host->lock);
    if (!atomic_exchange(&host->is_dead, true) && host->on_gone) {
        host->on_gone(host->sink);
    }
    pthread_mutex_unlock(&host->lock);
}

void fake_host_stop(struct fake_host *host)
{
    wire_local_set(NULL);
    fake_host_die(host);
    /* The client looks for a host anew, finds none, and lets go of the session that ended. */
    CFDictionaryRef matching = IOServiceMatching("IOService");
    assert_int_equal(IOServiceGetMatchingService(kIOMainPortDefault, matching), IO_OBJECT_NULL);
    assert_int_equal(host->links, 0);
    pthread_mutex_destroy(&host->lock);
}

void fake_host_send(struct fake_host *host, struct wire_message *event)
{
    pthread_mutex_lock(&host->lock);
    if (!host->is_dead && host->on_event) {
        host->on_event(host->sink, event);
    }
    pthread_mutex_unlock(&host->lock);
}

static void fake_send_and_free(struct fake_host *host, struct wire_message *event)
{
    fake_host_send(host, event);
    wire_message_destroy(event);
}

static struct wire_message fake_event(uint16_t type, uint64_t first)
{
    struct wire_message event;
    wire_message_init(&event);
    wire_message_reset(&event, type);
    wire_put_u64(&event, first);
    return event;
}

void fake_host_send_match(struct fake_host *host, uint64_t token, uint64_t entry_id)
{
    struct wire_message event = fake_event(WIRE_EVENT_MATCH, token);
    wire_put_u64(&event, entry_id);
    fake_send_and_free(host, &event);
}

void fake_host_send_dead(struct fake_host *host, uint64_t entry_id)
{
    struct wire_message event = fake_event(WIRE_EVENT_DEAD, entry_id);
    fake_send_and_free(host, &event);
}

void fake_host_send_interest(struct fake_host *host, uint64_t token, uint64_t entry_id,
                             uint32_t type)
{
    struct wire_message event = fake_event(WIRE_EVENT_INTEREST, token);
    wire_put_u64(&event, entry_id);
    wire_put_u32(&event, type);
    wire_put_u32(&event, 0);
    wire_put_u64(&event, 0);
    fake_send_and_free(host, &event);
}

void fake_host_send_completion(struct fake_host *host, uint64_t wake_port,
                               const uint64_t reference[8], uint32_t status,
                               const uint64_t *arguments, uint32_t count)
{
    struct wire_message event = fake_event(WIRE_EVENT_COMPLETION, wake_port);
    wire_put_bytes(&event, reference, 8 * sizeof(uint64_t));
    wire_put_u32(&event, status);
    wire_put_u32(&event, count);
    wire_put_bytes(&event, arguments, count * sizeof(uint64_t));
    fake_send_and_free(host, &event);
}

int fake_host_memory(size_t bytes)
{
    int fd = memfd_create("fake", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    for (uint64_t offset = 0; offset < bytes; offset += sizeof(offset)) {
        assert_int_equal(pwrite(fd, &offset, sizeof(offset), (off_t)offset), sizeof(offset));
    }
    return fd;
}

void fake_put_range(struct wire_message *reply, uint64_t offset, uint64_t bytes, uint64_t fd_offset,
                    uint32_t index)
{
    wire_put_u64(reply, offset);
    wire_put_u64(reply, bytes);
    wire_put_u64(reply, fd_offset);
    wire_put_u32(reply, index);
    wire_put_u32(reply, 0);
}

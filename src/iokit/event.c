/*
 * Event frames to ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/event.h"

#include <IOKit/IOKitLib.h>
#include <IOKit/OSMessageNotification.h>
#include <string.h>

#include "base/log.h"
#include "iokit/notify.h"
#include "iokit/object.h"
#include "iokit/port.h"
#include "iokit/wake.h"

/*
 * The form of the callback follows from the number of arguments alone. Where there is an array it
 * is, as in the kernel's message, aligned to 4 bytes only and gone after the call.
 */
static void event_deliver_completion(struct port_message *message)
{
    uint64_t aligned[PORT_MAX_ARGUMENTS + 1];
    uint8_t *misaligned = (uint8_t *)aligned + 4;
    uintptr_t function = (uintptr_t)message->reference[kIOAsyncCalloutFuncIndex];
    void *refcon = (void *)(uintptr_t)message->reference[kIOAsyncCalloutRefconIndex];
    void *first = (void *)(uintptr_t)message->arguments[0];
    void *second = (void *)(uintptr_t)message->arguments[1];
    switch (message->count) {
    case 0:
        ((IOAsyncCallback0)function)(refcon, message->status);
        break;
    case 1:
        ((IOAsyncCallback1)function)(refcon, message->status, first);
        break;
    case 2:
        ((IOAsyncCallback2)function)(refcon, message->status, first, second);
        break;
    default:
        memcpy(misaligned, message->arguments, message->count * sizeof(uint64_t));
        ((IOAsyncCallback)function)(refcon, message->status, (void **)(void *)misaligned,
                                    message->count);
        break;
    }
}

static void event_completion(struct wire_message *event)
{
    kern_return_t status;
    uint64_t wake_port = wire_get_u64(event);
    const void *reference = wire_get_bytes(event, sizeof(uint64_t) * WIRE_MAX_REFERENCES);
    uint32_t result = wire_get_u32(event);
    uint32_t count = wire_get_u32(event);
    if (event->is_bad || count > PORT_MAX_ARGUMENTS) {
        event->is_bad = true;
        return;
    }
    const void *arguments = wire_get_bytes(event, count * sizeof(uint64_t));
    mach_port_t name = wake_port <= UINT32_MAX ? (mach_port_t)wake_port : MACH_PORT_NULL;
    struct io_object *port = io_name_find(name, IO_KIND_PORT, &status);
    struct port_message *message =
        port && arguments ? port_message_create(event_deliver_completion) : NULL;
    if (message) {
        memcpy(message->reference, reference, sizeof(message->reference));
        message->reference[kIOAsyncReservedIndex] = 0;
        message->status = (int32_t)result;
        message->count = count;
        memcpy(message->arguments, arguments, count * sizeof(uint64_t));
        port_enqueue(port_of_object(port), message);
    }
    io_object_put(port);
}

static void event_wake(struct io_session *session, struct wire_message *event)
{
    uint32_t number = wire_get_u32(event);
    wire_get_u32(event);
    if (!event->is_bad) {
        io_wake_look(session, number);
    }
}

static void event_match(struct io_session *session, struct wire_message *event)
{
    uint64_t token = wire_get_u64(event);
    uint64_t entry_id = wire_get_u64(event);
    if (!event->is_bad) {
        notify_matched(session, token, entry_id);
    }
}

static void event_dead(struct io_session *session, struct wire_message *event)
{
    uint64_t entry_id = wire_get_u64(event);
    if (!event->is_bad) {
        io_names_die(session, entry_id);
    }
}

static void event_interest(struct io_session *session, struct wire_message *event)
{
    uint64_t token = wire_get_u64(event);
    wire_get_u64(event);
    uint32_t type = wire_get_u32(event);
    wire_get_u32(event);
    uint64_t argument = wire_get_u64(event);
    if (!event->is_bad) {
        notify_interest(session, token, type, argument);
    }
}

void io_event_dispatch(struct io_session *session, struct wire_message *message)
{
    switch (message->header.type) {
    case WIRE_EVENT_COMPLETION:
        event_completion(message);
        break;
    case WIRE_EVENT_WAKE:
        event_wake(session, message);
        break;
    case WIRE_EVENT_MATCH:
        event_match(session, message);
        break;
    case WIRE_EVENT_DEAD:
        event_dead(session, message);
        break;
    case WIRE_EVENT_INTEREST:
        event_interest(session, message);
        break;
    default:
        message->is_bad = true;
        break;
    }
    if (message->is_bad) {
        log_warning("iokit", "the host sent an event that cannot be read (type %u)",
                    message->header.type);
    }
}

void io_event_host_gone(struct io_session *session)
{
    notify_all_terminated(session);
}

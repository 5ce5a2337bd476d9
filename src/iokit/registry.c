/*
 * Matching, iterators and registry entries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOKitLib.h>
#include <CoreFoundation/CoreFoundation.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iokit/cf_internal.h"
#include "iokit/notify.h"
#include "iokit/object.h"
#include "iokit/session.h"
#include "iokit/value.h"

/* A snapshot of what matched. */
struct iterator {
    struct io_object object;
    pthread_mutex_t lock; /* position */
    size_t position;
    size_t count;
    uint64_t entry_ids[];
};

static void iterator_free(struct io_object *object)
{
    struct iterator *iterator = (struct iterator *)object;
    pthread_mutex_destroy(&iterator->lock);
    io_object_fini(object);
    free(iterator);
}

static const struct io_class iterator_class = {
    .kind = IO_KIND_ITERATOR,
    .destroy = iterator_free,
};

/* ---- Objects ---- */

kern_return_t IOMainPort(mach_port_t bootstrapPort, mach_port_t *mainPort)
{
    (void)bootstrapPort;
    if (!mainPort) {
        return kIOReturnBadArgument;
    }
    *mainPort = kIOMainPortDefault;
    return KERN_SUCCESS;
}

kern_return_t IOObjectRelease(io_object_t object)
{
    return object == MACH_PORT_NULL || object == MACH_PORT_DEAD ? KERN_SUCCESS
                                                                : io_name_release(object);
}

kern_return_t IOObjectRetain(io_object_t object)
{
    return io_name_retain(object);
}

boolean_t IOObjectIsEqualTo(io_object_t object, io_object_t anObject)
{
    return object == anObject;
}

/* What the host knows of the entry behind a handle; *session (optional) counted on success. */
static kern_return_t entry_describe(io_registry_entry_t entry, struct wire_value **out,
                                    struct io_session **session)
{
    kern_return_t status;
    struct io_object *object = io_name_find(entry, IO_KIND_SERVICE, &status);
    if (!object) {
        return status;
    }
    status = io_session_describe(object->session, object->entry_id, out);
    if (status == KERN_SUCCESS && session) {
        *session = io_session_get(object->session);
    }
    io_object_put(object);
    return status;
}

/* A string of an entry into a fixed buffer. */
static kern_return_t entry_copy_text(io_registry_entry_t entry, const char *key, char *buffer,
                                     size_t size, kern_return_t when_absent)
{
    struct wire_value *description = NULL;
    kern_return_t status = entry_describe(entry, &description, NULL);
    if (status != KERN_SUCCESS) {
        return status;
    }
    const struct wire_value *text = wire_value_get(description, key);
    if (!text || text->type != WIRE_VALUE_STRING) {
        status = when_absent;
    } else if (text->length >= size) {
        status = kIOReturnBadArgument;
    } else {
        memcpy(buffer, text->text, text->length + 1);
    }
    wire_value_free(description);
    return status;
}

kern_return_t IOObjectGetClass(io_object_t object, io_name_t className)
{
    kern_return_t status;
    struct io_object *found = io_name_find(
        object, IO_KIND_CONNECTION | IO_KIND_ITERATOR | IO_KIND_NOTIFICATION | IO_KIND_INTEREST,
        &status);
    if (found) {
        const char *name = found->class->kind == IO_KIND_CONNECTION ? "IOUserUserClient"
                           : found->class->kind == IO_KIND_ITERATOR ? "IOUserIterator"
                                                                    : "IOUserNotification";
        snprintf(className, sizeof(io_name_t), "%s", name);
        io_object_put(found);
        return KERN_SUCCESS;
    }
    return entry_copy_text(object, WIRE_ENTRY_CLASS, className, sizeof(io_name_t),
                           kIOReturnInternalError);
}

boolean_t IOObjectConformsTo(io_object_t object, const io_name_t className)
{
    struct wire_value *description = NULL;
    boolean_t conforms = 0;
    if (entry_describe(object, &description, NULL) != KERN_SUCCESS) {
        return 0;
    }
    const struct wire_value *classes = wire_value_get(description, WIRE_ENTRY_CONFORMS);
    for (size_t i = 0; classes && i < classes->count && !conforms; i++) {
        conforms = wire_value_is_string(classes->items[i], className);
    }
    wire_value_free(description);
    return conforms;
}

/* ---- Iterators ---- */

static uint64_t iterator_next_id(struct io_object *object)
{
    struct iterator *iterator = (struct iterator *)object;
    pthread_mutex_lock(&iterator->lock);
    uint64_t id =
        iterator->position < iterator->count ? iterator->entry_ids[iterator->position++] : 0;
    pthread_mutex_unlock(&iterator->lock);
    return id;
}

io_object_t IOIteratorNext(io_iterator_t iterator)
{
    kern_return_t status;
    struct io_object *object =
        io_name_find(iterator, IO_KIND_ITERATOR | IO_KIND_NOTIFICATION, &status);
    if (!object) {
        return IO_OBJECT_NULL;
    }
    uint64_t id =
        object->class->kind == IO_KIND_ITERATOR ? iterator_next_id(object) : notify_next(object);
    io_object_t next = id ? io_name_of_service(object->session, id) : IO_OBJECT_NULL;
    io_object_put(object);
    return next;
}

void IOIteratorReset(io_iterator_t iterator)
{
    kern_return_t status;
    struct io_object *object = io_name_find(iterator, IO_KIND_ITERATOR, &status);
    if (object) {
        struct iterator *self = (struct iterator *)object;
        pthread_mutex_lock(&self->lock);
        self->position = 0;
        pthread_mutex_unlock(&self->lock);
        io_object_put(object);
    }
}

boolean_t IOIteratorIsValid(io_iterator_t iterator)
{
    kern_return_t status;
    struct io_object *object =
        io_name_find(iterator, IO_KIND_ITERATOR | IO_KIND_NOTIFICATION, &status);
    io_object_put(object);
    return object != NULL;
}

/* ---- Matching ---- */

/* Ask the host; the reply then holds u32 count and the ids. */
static kern_return_t matching_request(struct io_session *session, CFDictionaryRef matching,
                                      struct wire_message *reply)
{
    struct wire_value *value = value_from_cf(matching);
    if (!value) {
        return kIOReturnUnsupported;
    }
    struct wire_message request;
    wire_message_init(&request);
    wire_message_reset(&request, WIRE_MATCH);
    wire_put_value(&request, value);
    kern_return_t status = io_session_request(session, &request, reply);
    wire_message_destroy(&request);
    wire_value_free(value);
    return status;
}

static kern_return_t iterator_create(struct io_session *session, struct wire_message *reply,
                                     io_iterator_t *out)
{
    uint32_t count = wire_get_u32(reply);
    if (reply->is_bad || count > (reply->length - reply->position) / sizeof(uint64_t)) {
        return kIOReturnIPCError;
    }
    if (count == 0) {
        return KERN_SUCCESS; /* no services: success without an iterator */
    }
    struct iterator *iterator = calloc(1, sizeof(*iterator) + count * sizeof(uint64_t));
    if (!iterator) {
        return kIOReturnNoMemory;
    }
    io_object_init(&iterator->object, &iterator_class, session, 0);
    pthread_mutex_init(&iterator->lock, NULL);
    for (uint32_t i = 0; i < count; i++) {
        iterator->entry_ids[i] = wire_get_u64(reply);
    }
    iterator->count = count;
    *out = io_name_add(&iterator->object);
    if (!*out) {
        io_object_put(&iterator->object);
        return kIOReturnNoMemory;
    }
    return KERN_SUCCESS;
}

/* One question to the host there is. *has_gone: it went before it answered. */
static kern_return_t matching_ask(CFDictionaryRef matching, io_iterator_t *existing, bool *has_gone)
{
    struct wire_message reply;
    kern_return_t status;
    struct io_session *session = io_session_current(&status);
    *has_gone = false;
    if (!session) { /* nothing matches where there is no host */
        return status == kIOReturnNoDevice ? KERN_SUCCESS : status;
    }
    wire_message_init(&reply);
    status = matching_request(session, matching, &reply);
    if (status == KERN_SUCCESS) {
        status = iterator_create(session, &reply, existing);
    } else {
        *has_gone = io_session_is_gone(session);
    }
    wire_message_destroy(&reply);
    io_session_put(session);
    return status;
}

kern_return_t IOServiceGetMatchingServices(mach_port_t mainPort, CFDictionaryRef matching,
                                           io_iterator_t *existing)
{
    (void)mainPort;
    bool has_gone;
    if (!matching) {
        return kIOReturnBadArgument;
    }
    if (!existing) {
        CFRelease(matching); /* consumed whatever comes of it */
        return kIOReturnBadArgument;
    }
    *existing = IO_OBJECT_NULL;
    kern_return_t status = matching_ask(matching, existing, &has_gone);
    if (has_gone) { /* replaced, it may be, and this was the first to notice */
        status = matching_ask(matching, existing, &has_gone);
    }
    CFRelease(matching);
    return status;
}

io_service_t IOServiceGetMatchingService(mach_port_t mainPort, CFDictionaryRef matching)
{
    io_iterator_t iterator = IO_OBJECT_NULL;
    if (IOServiceGetMatchingServices(mainPort, matching, &iterator) != KERN_SUCCESS) {
        return IO_OBJECT_NULL;
    }
    io_service_t service = IOIteratorNext(iterator);
    IOObjectRelease(iterator);
    return service;
}

kern_return_t IOServiceMatchPropertyTable(io_service_t service, CFDictionaryRef matching,
                                          boolean_t *matches)
{
    kern_return_t status;
    struct wire_message reply;
    if (!matching || !matches) {
        return kIOReturnBadArgument;
    }
    struct io_object *object = io_name_find(service, IO_KIND_SERVICE, &status);
    if (!object) {
        return status;
    }
    wire_message_init(&reply);
    status = matching_request(object->session, matching, &reply);
    if (status == KERN_SUCCESS) {
        *matches = 0;
        for (uint32_t left = wire_get_u32(&reply); left > 0 && !reply.is_bad; left--) {
            *matches |= wire_get_u64(&reply) == object->entry_id;
        }
    }
    wire_message_destroy(&reply);
    io_object_put(object);
    return status;
}

/* ---- Entries ---- */

static bool plane_is_service(const char *plane)
{
    return plane && strcmp(plane, kIOServicePlane) == 0;
}

kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name)
{
    return entry_copy_text(entry, WIRE_ENTRY_NAME, name, sizeof(io_name_t), kIOReturnInternalError);
}

kern_return_t IORegistryEntryGetNameInPlane(io_registry_entry_t entry, const io_name_t plane,
                                            io_name_t name)
{
    (void)plane; /* entries have one name, whatever the plane */
    return IORegistryEntryGetName(entry, name);
}

kern_return_t IORegistryEntryGetLocationInPlane(io_registry_entry_t entry, const io_name_t plane,
                                                io_name_t location)
{
    (void)plane;
    return entry_copy_text(entry, WIRE_ENTRY_LOCATION, location, sizeof(io_name_t),
                           kIOReturnNotFound);
}

kern_return_t IORegistryEntryGetPath(io_registry_entry_t entry, const io_name_t plane,
                                     io_string_t path)
{
    return plane_is_service(plane) ? entry_copy_text(entry, WIRE_ENTRY_PATH, path,
                                                     sizeof(io_string_t), kIOReturnBadArgument)
                                   : kIOReturnBadArgument;
}

kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entryID)
{
    kern_return_t status;
    struct io_object *object = io_name_find(entry, IO_KIND_SERVICE, &status);
    *entryID = object ? object->entry_id : 0;
    io_object_put(object);
    return status;
}

/* Id of the entry above, 0 at the root. */
static uint64_t entry_parent(const struct wire_value *description)
{
    const struct wire_value *parent = wire_value_get(description, WIRE_ENTRY_PARENT);
    return parent && parent->type == WIRE_VALUE_NUMBER ? (uint64_t)parent->number : 0;
}

kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const io_name_t plane,
                                            io_registry_entry_t *parent)
{
    struct wire_value *description = NULL;
    struct io_session *session = NULL;
    *parent = IO_OBJECT_NULL;
    if (!plane_is_service(plane)) {
        return kIOReturnBadArgument;
    }
    kern_return_t status = entry_describe(entry, &description, &session);
    if (status != KERN_SUCCESS) {
        return status;
    }
    uint64_t id = entry_parent(description);
    if (!id) {
        status = kIOReturnNoDevice;
    } else {
        *parent = io_name_of_service(session, id);
        status = *parent ? KERN_SUCCESS : kIOReturnNoMemory;
    }
    wire_value_free(description);
    io_session_put(session);
    return status;
}

kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry,
                                                CFMutableDictionaryRef *properties,
                                                CFAllocatorRef allocator, IOOptionBits options)
{
    (void)allocator;
    (void)options;
    struct wire_value *description = NULL;
    kern_return_t status = entry_describe(entry, &description, NULL);
    if (status != KERN_SUCCESS) {
        return status;
    }
    const struct wire_value *all = wire_value_get(description, WIRE_ENTRY_PROPERTIES);
    *properties = all && all->type == WIRE_VALUE_DICTIONARY
                      ? (CFMutableDictionaryRef)(uintptr_t)value_to_cf(all)
                      : NULL;
    wire_value_free(description);
    return *properties ? KERN_SUCCESS : kIOReturnInternalError;
}

/* One property of an entry the host describes; NULL when it has none. */
static CFTypeRef entry_property(const struct wire_value *description, CFStringRef key)
{
    const struct wire_value *value = wire_value_get(
        wire_value_get(description, WIRE_ENTRY_PROPERTIES), cf_string_utf8(key, NULL));
    return value ? value_to_cf(value) : NULL;
}

CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key,
                                          CFAllocatorRef allocator, IOOptionBits options)
{
    (void)allocator;
    (void)options;
    struct wire_value *description = NULL;
    if (!key || entry_describe(entry, &description, NULL) != KERN_SUCCESS) {
        return NULL;
    }
    CFTypeRef property = entry_property(description, key);
    wire_value_free(description);
    return property;
}

/* What a search looks at before it gives up: a host may name a loop, or a tree without end. */
#define SEARCH_MAX_DEPTH   32
#define SEARCH_MAX_ENTRIES 65536

static CFTypeRef search_upwards(struct io_session *session, uint64_t entry_id, CFStringRef key)
{
    CFTypeRef found = NULL;
    for (unsigned depth = 0; !found && entry_id && depth < SEARCH_MAX_DEPTH; depth++) {
        struct wire_value *description = NULL;
        if (io_session_describe(session, entry_id, &description) != KERN_SUCCESS) {
            break;
        }
        found = entry_property(description, key);
        entry_id = entry_parent(description);
        wire_value_free(description);
    }
    return found;
}

/* left: entries that may still be looked at. */
static CFTypeRef search_downwards(struct io_session *session, uint64_t entry_id, CFStringRef key,
                                  unsigned depth, unsigned *left)
{
    struct wire_value *description = NULL;
    if (depth == SEARCH_MAX_DEPTH || *left == 0) {
        return NULL;
    }
    --*left;
    if (io_session_describe(session, entry_id, &description) != KERN_SUCCESS) {
        return NULL;
    }
    CFTypeRef found = entry_property(description, key);
    const struct wire_value *children = wire_value_get(description, WIRE_ENTRY_CHILDREN);
    for (size_t i = 0; !found && children && i < children->count; i++) {
        found =
            search_downwards(session, (uint64_t)children->items[i]->number, key, depth + 1, left);
    }
    wire_value_free(description);
    return found;
}

CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const io_name_t plane,
                                          CFStringRef key, CFAllocatorRef allocator,
                                          IOOptionBits options)
{
    kern_return_t status;
    CFTypeRef found;
    unsigned left = SEARCH_MAX_ENTRIES;
    if (!key || !plane_is_service(plane)) {
        return NULL;
    }
    if (!(options & kIORegistryIterateRecursively)) {
        return IORegistryEntryCreateCFProperty(entry, key, allocator, 0);
    }
    struct io_object *object = io_name_find(entry, IO_KIND_SERVICE, &status);
    if (!object) {
        return NULL;
    }
    found = options & kIORegistryIterateParents
                ? search_upwards(object->session, object->entry_id, key)
                : search_downwards(object->session, object->entry_id, key, 0, &left);
    io_object_put(object);
    return found;
}

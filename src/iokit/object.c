/*
 * The table of names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/object.h"

#include <IOKit/IOReturn.h>
#include <mach/mach.h>
#include <pthread.h>
#include <stdlib.h>

#include "iokit/session.h"

/* A name: index in the table and a generation, so that a name that was released is not soon another
 * object's. Indices start high: no name is small, or the task's own. */
#define NAME_GENERATION_BITS 8
#define NAME_FIRST_INDEX     16
#define NAME_MAX_COUNT       (1U << 22)

struct name_slot {
    struct io_object *object; /* counted; NULL: free */
    uint32_t user_references;
    uint8_t generation;
    bool is_dead;
    uint32_t next_free; /* slot number + 1 */
};

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static struct name_slot *names; /* this and the three below: under names_lock */
static uint32_t names_count;
static uint32_t names_room;
static uint32_t names_free; /* slot number + 1, 0: none */

void io_object_init(struct io_object *object, const struct io_class *class,
                    struct io_session *session, uint64_t entry_id)
{
    object->class = class;
    object->references = 1;
    object->session = session ? io_session_get(session) : NULL;
    object->entry_id = entry_id;
}

void io_object_fini(struct io_object *object)
{
    io_session_put(object->session);
    object->session = NULL;
}

void io_object_get(struct io_object *object)
{
    object->references++;
}

void io_object_put(struct io_object *object)
{
    if (object && --object->references == 0) {
        object->class->destroy(object);
    }
}

static mach_port_t name_make(uint32_t slot)
{
    return ((slot + NAME_FIRST_INDEX) << NAME_GENERATION_BITS) | names[slot].generation;
}

/* The slot of a name that is in use, or NULL. */
static struct name_slot *name_slot(mach_port_t name)
{
    uint32_t index = name >> NAME_GENERATION_BITS;
    if (index < NAME_FIRST_INDEX || index - NAME_FIRST_INDEX >= names_count) {
        return NULL;
    }
    struct name_slot *slot = &names[index - NAME_FIRST_INDEX];
    return slot->object && slot->generation == (uint8_t)name ? slot : NULL;
}

static bool names_grow(void)
{
    uint32_t room = names_room ? names_room * 2 : 64;
    if (names_count < names_room) {
        return true;
    }
    if (room > NAME_MAX_COUNT) {
        return false;
    }
    struct name_slot *grown = realloc(names, room * sizeof(*grown));
    if (!grown) {
        return false;
    }
    names = grown;
    names_room = room;
    return true;
}

static mach_port_t name_add_locked(struct io_object *object)
{
    uint32_t index;
    if (names_free) {
        index = names_free - 1;
        names_free = names[index].next_free;
    } else {
        if (!names_grow()) {
            return MACH_PORT_NULL;
        }
        index = names_count++;
        names[index] = (struct name_slot){0};
    }
    struct name_slot *slot = &names[index];
    slot->object = object;
    slot->user_references = 1;
    slot->is_dead = false;
    slot->generation++;
    return name_make(index);
}

mach_port_t io_name_add(struct io_object *object)
{
    pthread_mutex_lock(&names_lock);
    mach_port_t name = name_add_locked(object);
    pthread_mutex_unlock(&names_lock);
    return name;
}

static void service_destroy(struct io_object *object)
{
    io_object_fini(object);
    free(object);
}

static const struct io_class service_class = {
    .kind = IO_KIND_SERVICE,
    .destroy = service_destroy,
};

mach_port_t io_name_of_service(struct io_session *session, uint64_t entry_id)
{
    struct io_object *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        return MACH_PORT_NULL;
    }
    io_object_init(fresh, &service_class, session, entry_id);
    mach_port_t name = MACH_PORT_NULL;
    pthread_mutex_lock(&names_lock);
    for (uint32_t i = 0; i < names_count && !name; i++) {
        struct name_slot *slot = &names[i];
        if (slot->object && !slot->is_dead && slot->object->class == &service_class &&
            slot->object->session == session && slot->object->entry_id == entry_id) {
            slot->user_references++;
            name = name_make(i);
        }
    }
    if (!name && (name = name_add_locked(fresh)) != MACH_PORT_NULL) {
        fresh = NULL;
    }
    pthread_mutex_unlock(&names_lock);
    io_object_put(fresh);
    return name;
}

static struct io_object *name_find(mach_port_t name, unsigned kinds, bool dead_too,
                                   kern_return_t *status)
{
    struct io_object *object = NULL;
    *status = MACH_SEND_INVALID_DEST;
    pthread_mutex_lock(&names_lock);
    struct name_slot *slot = name_slot(name);
    if (slot && (dead_too || !slot->is_dead)) {
        if (slot->object->class->kind & kinds) {
            object = slot->object;
            io_object_get(object);
            *status = KERN_SUCCESS;
        } else {
            *status = kIOReturnBadArgument;
        }
    }
    pthread_mutex_unlock(&names_lock);
    return object;
}

struct io_object *io_name_find(mach_port_t name, unsigned kinds, kern_return_t *status)
{
    return name_find(name, kinds, false, status);
}

struct io_object *io_name_find_dead_too(mach_port_t name, unsigned kinds, kern_return_t *status)
{
    return name_find(name, kinds, true, status);
}

bool io_name_is_dead(mach_port_t name)
{
    pthread_mutex_lock(&names_lock);
    struct name_slot *slot = name_slot(name);
    bool is_dead = slot && slot->is_dead;
    pthread_mutex_unlock(&names_lock);
    return is_dead;
}

kern_return_t io_name_retain(mach_port_t name)
{
    kern_return_t status = KERN_INVALID_NAME;
    pthread_mutex_lock(&names_lock);
    struct name_slot *slot = name_slot(name);
    if (slot) {
        status = slot->user_references == UINT32_MAX ? KERN_UREFS_OVERFLOW : KERN_SUCCESS;
        slot->user_references += status == KERN_SUCCESS;
    }
    pthread_mutex_unlock(&names_lock);
    return status;
}

kern_return_t io_name_release(mach_port_t name)
{
    struct io_object *last = NULL;
    kern_return_t status = KERN_INVALID_NAME;
    pthread_mutex_lock(&names_lock);
    struct name_slot *slot = name_slot(name);
    if (slot) {
        status = KERN_SUCCESS;
        if (--slot->user_references == 0) {
            last = slot->object;
            slot->object = NULL;
            slot->next_free = names_free;
            names_free = (uint32_t)(slot - names) + 1;
        }
    }
    pthread_mutex_unlock(&names_lock);
    if (last) {
        if (last->class->released) {
            last->class->released(last);
        }
        io_object_put(last);
    }
    return status;
}

void io_names_die(struct io_session *session, uint64_t entry_id)
{
    pthread_mutex_lock(&names_lock);
    for (uint32_t i = 0; i < names_count; i++) {
        struct io_object *object = names[i].object;
        if (object && object->session == session && object->entry_id == entry_id &&
            (object->class->kind & (IO_KIND_SERVICE | IO_KIND_CONNECTION))) {
            names[i].is_dead = true;
        }
    }
    pthread_mutex_unlock(&names_lock);
}

void io_names_die_with(struct io_session *session)
{
    pthread_mutex_lock(&names_lock);
    for (uint32_t i = 0; i < names_count; i++) {
        struct io_object *object = names[i].object;
        if (object && object->session == session &&
            (object->class->kind & (IO_KIND_SERVICE | IO_KIND_CONNECTION))) {
            names[i].is_dead = true;
        }
    }
    pthread_mutex_unlock(&names_lock);
}

void io_names_each(struct io_session *session, unsigned kinds,
                   void (*fn)(struct io_object *object, void *context), void *context)
{
    pthread_mutex_lock(&names_lock);
    for (uint32_t i = 0; i < names_count; i++) {
        struct io_object *object = names[i].object;
        if (object && object->session == session && (object->class->kind & kinds)) {
            fn(object, context);
        }
    }
    pthread_mutex_unlock(&names_lock);
}

void io_names_lock(void)
{
    pthread_mutex_lock(&names_lock);
}

void io_names_unlock(void)
{
    pthread_mutex_unlock(&names_lock);
}

void io_names_forget_all(void)
{
    for (uint32_t i = 0; i < names_count; i++) {
        names[i].is_dead = true;
    }
}

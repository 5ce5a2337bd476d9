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
static struct name_slot *names; /* this and the four below: under names_lock */
static uint32_t names_count;
static uint32_t names_room;
static uint32_t names_free;  /* slot number + 1, 0: none */
static uint32_t names_start; /* slots before this one are of the process that forked this one */

/* Named objects that stand for a registry entry: entry, session, kind. Several of one kind may be
 * there: connections, and services whose other names are dead. */
RB_HEAD(entry_tree, io_object);
static struct entry_tree names_by_entry = RB_INITIALIZER(&names_by_entry); /* under names_lock */

static int number_compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int entry_compare(struct io_object *a, struct io_object *b)
{
    int order = number_compare(a->entry_id, b->entry_id);
    if (order == 0) {
        order = number_compare((uintptr_t)a->session, (uintptr_t)b->session);
    }
    if (order == 0) {
        order = number_compare(a->class->kind, b->class->kind);
    }
    return order ? order : number_compare(a->name, b->name);
}

/* RB_GENERATE_STATIC, whose spelling of "may be unused" glibc does not have. */
RB_GENERATE_INTERNAL(entry_tree, io_object, by_entry, entry_compare, __attribute__((unused)) static)

void io_object_init(struct io_object *object, const struct io_class *class,
                    struct io_session *session, uint64_t entry_id)
{
    object->class = class;
    object->references = 1;
    object->session = session ? io_session_get(session) : NULL;
    object->entry_id = entry_id;
    object->name = MACH_PORT_NULL;
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
    if (index < NAME_FIRST_INDEX + names_start || index - NAME_FIRST_INDEX >= names_count) {
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
    object->name = name_make(index);
    if (object->entry_id) {
        RB_INSERT(entry_tree, &names_by_entry, object);
    }
    return object->name;
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

/* The first named object of an entry, of that kind or a later one; names_lock held. */
static struct io_object *entry_first(struct io_session *session, uint64_t entry_id,
                                     const struct io_class *class)
{
    struct io_object wanted = {.class = class, .session = session, .entry_id = entry_id};
    struct io_object *object = RB_NFIND(entry_tree, &names_by_entry, &wanted);
    return object && object->session == session && object->entry_id == entry_id ? object : NULL;
}

static struct io_object *entry_next(struct io_object *object)
{
    struct io_object *next = RB_NEXT(entry_tree, &names_by_entry, object);
    return next && next->session == object->session && next->entry_id == object->entry_id ? next
                                                                                          : NULL;
}

/* The live name of a service, with a user reference more; 0 when it has none. names_lock held. */
static mach_port_t service_name_again(struct io_session *session, uint64_t entry_id)
{
    struct io_object *object = entry_first(session, entry_id, &service_class);
    for (; object && object->class == &service_class; object = entry_next(object)) {
        struct name_slot *slot = name_slot(object->name);
        if (!slot->is_dead && slot->user_references < UINT32_MAX) {
            slot->user_references++;
            return object->name;
        }
    }
    return MACH_PORT_NULL;
}

mach_port_t io_name_of_service(struct io_session *session, uint64_t entry_id)
{
    pthread_mutex_lock(&names_lock);
    mach_port_t name = service_name_again(session, entry_id);
    pthread_mutex_unlock(&names_lock);
    if (name) {
        return name;
    }
    struct io_object *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        return MACH_PORT_NULL;
    }
    io_object_init(fresh, &service_class, session, entry_id);
    pthread_mutex_lock(&names_lock);
    name = service_name_again(session, entry_id); /* another thread may have been faster */
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

void io_name_die(mach_port_t name)
{
    pthread_mutex_lock(&names_lock);
    struct name_slot *slot = name_slot(name);
    if (slot) {
        slot->is_dead = true;
    }
    pthread_mutex_unlock(&names_lock);
}

void io_name_visit(mach_port_t name, unsigned kinds,
                   void (*fn)(struct io_object *object, void *context), void *context)
{
    pthread_mutex_lock(&names_lock);
    struct name_slot *slot = name_slot(name);
    if (slot && !slot->is_dead && (slot->object->class->kind & kinds)) {
        fn(slot->object, context);
    }
    pthread_mutex_unlock(&names_lock);
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
            if (last->entry_id) {
                RB_REMOVE(entry_tree, &names_by_entry, last);
            }
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
    struct io_object *object = entry_first(session, entry_id, &service_class);
    for (; object; object = entry_next(object)) {
        name_slot(object->name)->is_dead = true;
    }
    pthread_mutex_unlock(&names_lock);
}

void io_names_die_with(struct io_session *session)
{
    pthread_mutex_lock(&names_lock);
    for (uint32_t i = names_start; i < names_count; i++) {
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
    for (uint32_t i = names_start; i < names_count; i++) {
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
    names_start = names_count;
    names_free = 0;
    RB_INIT(&names_by_entry);
}

/*
 * Handles: 32-bit names with reference counts of their own, as Mach ports have in a process, over
 * counted objects.
 *
 * A name is dead once its object has gone; it stays taken until the user released it as often as he
 * got it. Names are reused after that, with another generation part.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_OBJECT_H
#define DEXTLINK_IOKIT_OBJECT_H

#include <bsd/sys/tree.h>
#include <mach/mach.h>
#include <stdbool.h>
#include <stdint.h>

enum io_kind {
    IO_KIND_SERVICE = 1 << 0,
    IO_KIND_CONNECTION = 1 << 1,
    IO_KIND_ITERATOR = 1 << 2,
    IO_KIND_NOTIFICATION = 1 << 3, /* matching: an iterator too */
    IO_KIND_INTEREST = 1 << 4,
    IO_KIND_PORT = 1 << 5,
};

struct io_object;
struct io_session;

struct io_class {
    enum io_kind kind;
    /* The user released the last reference of the name (or the name died and was released). Called
     * without locks. Optional. */
    void (*released)(struct io_object *object);
    /* The last internal reference has gone: free it. Called without locks. */
    void (*destroy)(struct io_object *object);
};

/* First member of each kind of object. */
struct io_object {
    const struct io_class *class;
    _Atomic unsigned references;
    struct io_session *session;   /* counted; the host it belongs to; NULL for ports */
    uint64_t entry_id;            /* services, connections: the registry entry; else 0 */
    mach_port_t name;             /* 0 until it gets one; stays when the name is released */
    RB_ENTRY(io_object) by_entry; /* while it has a name and an entry id; the table's lock */
};

/** Fill the head; one internal reference. Takes a reference of session (may be NULL). */
void io_object_init(struct io_object *object, const struct io_class *class,
                    struct io_session *session, uint64_t entry_id);
/** Release what the head holds; for destroy functions. */
void io_object_fini(struct io_object *object);

void io_object_get(struct io_object *object);
void io_object_put(struct io_object *object); /* NULL is fine */

/** Give object a name with one user reference; the name takes over the caller's internal reference.
 * 0 when out of memory: the reference stays the caller's. */
mach_port_t io_name_add(struct io_object *object);

/** The name of a service: the one it has, with a user reference more, else a new one. 0 when out of
 * memory. */
mach_port_t io_name_of_service(struct io_session *session, uint64_t entry_id);

/**
 * The live object behind a name, with an internal reference (io_object_put gives it back). kinds: a
 * mask. NULL and *status: MACH_SEND_INVALID_DEST for 0, unknown and dead names,
 * kIOReturnBadArgument for another kind.
 */
struct io_object *io_name_find(mach_port_t name, unsigned kinds, kern_return_t *status);

/** The same for names of a dead object too (to close or release it). */
struct io_object *io_name_find_dead_too(mach_port_t name, unsigned kinds, kern_return_t *status);

bool io_name_is_dead(mach_port_t name);

/** A dead name from now; its object lives on until the name is released. */
void io_name_die(mach_port_t name);

/**
 * Call fn for the live object behind a name, if it is of one of the kinds, under the table's lock:
 * fn must not block or use names. For events, which must never drop a last reference: the name
 * keeps the object while fn runs.
 */
void io_name_visit(mach_port_t name, unsigned kinds,
                   void (*fn)(struct io_object *object, void *context), void *context);

/** One user reference more (less). KERN_INVALID_NAME for a name nobody has. */
kern_return_t io_name_retain(mach_port_t name);
kern_return_t io_name_release(mach_port_t name);

/** Services and connections of this registry entry are dead names from now. */
void io_names_die(struct io_session *session, uint64_t entry_id);

/** All names of a session are dead; interests and notifications of it stay. */
void io_names_die_with(struct io_session *session);

/** io_name_visit for each object of the kinds that belongs to session. */
void io_names_each(struct io_session *session, unsigned kinds,
                   void (*fn)(struct io_object *object, void *context), void *context);

/* Around fork: handles do not survive into a child. The parent's names are unknown there, and what
 * they stand for is left as it is: its locks may be held by threads that the child does not have.
 */
void io_names_lock(void);
void io_names_unlock(void);
void io_names_forget_all(void); /* with the lock held */

#endif

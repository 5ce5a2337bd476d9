/*
 * The host's I/O registry: entries in one tree (the IOService plane), matching, and who wants to
 * hear of arrivals and departures.
 *
 * Entries are known by id; everything else stays inside. Threads: any; one leaf lock, under which
 * watchers are told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_REGISTRY_H
#define DEXTLINK_HOST_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/value.h"

struct registry;

/* What a new entry is; all borrowed but properties. */
struct registry_description {
    const char *name;
    const char *const *classes; /* own class first, then superclasses; NULL-terminated, static */
    const char *location;       /* may be NULL */
    uint64_t parent;            /* id; 0 = below the root */
    struct wire_value
        *properties; /* dictionary, taken over also on failure; NULL = out of memory */
};

struct registry *registry_create(void); /* with its root; NULL when out of memory */
void registry_destroy(struct registry *registry);

/** Add an entry, at once visible to matching, and tell watchers. Its id, 0 when out of memory or
 * the parent is unknown. */
uint64_t registry_add(struct registry *registry, const struct registry_description *description);

/** Take an entry out of matching and tell watchers of departures. It can still be looked at for a
 * while (the last REGISTRY_RETIRED_MAX). Unknown or retired ids are ignored. */
#define REGISTRY_RETIRED_MAX 256
void registry_retire(struct registry *registry, uint64_t id);

/** Id of the active entry called name directly below parent; 0 when there is none. */
uint64_t registry_child(struct registry *registry, uint64_t parent, const char *name);

/**
 * Ids of the active entries that match a matching dictionary.
 * 0 and *ids (malloc'ed, caller frees; may be NULL when *count is 0); -ENOMEM.
 */
int registry_match(struct registry *registry, const struct wire_value *matching, uint64_t **ids,
                   size_t *count);

/** A dictionary with the keys WIRE_ENTRY_* of wire/protocol.h, owned by the caller. NULL: unknown
 * id (*error -ENOENT) or -ENOMEM. */
struct wire_value *registry_describe(struct registry *registry, uint64_t id, int *error);

/** Set one property of an active entry; value is taken over, also on failure. Watchers are not
 * told. 0; -ENOENT; -ENOMEM, with the property as before. */
int registry_set_property(struct registry *registry, uint64_t id, const char *key,
                          struct wire_value *value);

bool registry_is_active(struct registry *registry, uint64_t id);

enum registry_event {
    REGISTRY_ARRIVED,
    REGISTRY_DEPARTED,
};

/* Tells owner that an entry it watches came or went. Called with the registry's lock held: must not
 * call the registry, must not block. */
typedef void (*registry_watch_fn)(void *owner, uint64_t token, uint64_t entry_id);

/**
 * Watch for entries that match. matching is taken over, also on failure. The entries that match
 * already are returned as by registry_match (none for departures), without a gap or an overlap to
 * what the watcher hears. 0, -ENOMEM; -EMFILE the owner has as many watches as one may.
 */
int registry_watch(struct registry *registry, enum registry_event event,
                   struct wire_value *matching, void *owner, uint64_t token, registry_watch_fn tell,
                   uint64_t **ids, size_t *count);

/** End one watch, or all of an owner. After return its tell is not called. */
void registry_unwatch(struct registry *registry, void *owner, uint64_t token);
void registry_unwatch_all(struct registry *registry, void *owner);

#endif

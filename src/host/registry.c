/*
 * Registry entries, matching and watchers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/registry.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/matching.h"
#include "wire/protocol.h"

/* Entry ids start above 2^32, as the kernel's do: code that keeps 32 bits of one must fail. */
#define REGISTRY_FIRST_ID UINT64_C(0x100000100)

struct entry {
    TAILQ_ENTRY(entry) link; /* in active or retired, oldest first */
    uint64_t id;
    uint64_t parent; /* id, 0 for the root */
    char *name;
    char *location;
    char *path;
    const char *const *classes;
    struct wire_value *properties;
};
TAILQ_HEAD(entry_list, entry);

struct watcher {
    TAILQ_ENTRY(watcher) link;
    enum registry_event event;
    struct wire_value *matching;
    void *owner;
    uint64_t token;
    registry_watch_fn tell;
};

struct registry {
    pthread_mutex_t lock; /* everything below */
    struct entry_list active;
    struct entry_list retired;
    size_t retired_count;
    uint64_t next_id;
    TAILQ_HEAD(, watcher) watchers;
};

static const char *const registry_root_classes[] = {"IORegistryEntry", NULL};

static void entry_free(struct entry *entry)
{
    if (entry) {
        wire_value_free(entry->properties);
        free(entry->path);
        free(entry->location);
        free(entry->name);
        free(entry);
    }
}

static struct entry *entry_find(struct entry_list *list, uint64_t id)
{
    struct entry *entry;
    TAILQ_FOREACH (entry, list, link) {
        if (entry->id == id) {
            return entry;
        }
    }
    return NULL;
}

static bool entry_matches(const struct entry *entry, const struct wire_value *matching)
{
    struct matching_subject subject = {.id = entry->id,
                                       .name = entry->name,
                                       .classes = entry->classes,
                                       .location = entry->location,
                                       .properties = entry->properties};
    /* The root is no service: the kernel matches services only. */
    return entry->parent != 0 && matching_holds(matching, &subject);
}

static char *entry_make_path(const struct entry *parent, const struct entry *entry)
{
    char *path = NULL;
    int length;
    if (!parent) {
        length = asprintf(&path, "IOService:/");
    } else {
        const char *separator = parent->parent == 0 ? "" : "/";
        length = entry->location ? asprintf(&path, "%s%s%s@%s", parent->path, separator,
                                            entry->name, entry->location)
                                 : asprintf(&path, "%s%s%s", parent->path, separator, entry->name);
    }
    return length < 0 ? NULL : path;
}

static struct entry *entry_create(const struct registry_description *description,
                                  const struct entry *parent)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        wire_value_free(description->properties);
        return NULL;
    }
    entry->properties = description->properties;
    entry->classes = description->classes;
    entry->parent = parent ? parent->id : 0;
    entry->name = strdup(description->name);
    entry->location = description->location ? strdup(description->location) : NULL;
    if (entry->name) {
        entry->path = entry_make_path(parent, entry);
    }
    if (!entry->path || !entry->properties || (description->location && !entry->location)) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

struct registry *registry_create(void)
{
    struct registry *registry = calloc(1, sizeof(*registry));
    if (!registry) {
        return NULL;
    }
    TAILQ_INIT(&registry->active);
    TAILQ_INIT(&registry->retired);
    TAILQ_INIT(&registry->watchers);
    registry->next_id = REGISTRY_FIRST_ID;
    pthread_mutex_init(&registry->lock, NULL);
    struct registry_description description = {
        .name = "Root", .classes = registry_root_classes, .properties = wire_value_dictionary()};
    struct entry *root = entry_create(&description, NULL);
    if (!root) {
        registry_destroy(registry);
        return NULL;
    }
    root->id = registry->next_id++;
    TAILQ_INSERT_TAIL(&registry->active, root, link);
    return registry;
}

static void watcher_free(struct watcher *watcher)
{
    wire_value_free(watcher->matching);
    free(watcher);
}

static void entries_free(struct entry_list *list)
{
    struct entry *entry;
    struct entry *next;
    TAILQ_FOREACH_SAFE (entry, list, link, next) {
        entry_free(entry);
    }
}

void registry_destroy(struct registry *registry)
{
    if (!registry) {
        return;
    }
    struct watcher *watcher;
    struct watcher *next;
    TAILQ_FOREACH_SAFE (watcher, &registry->watchers, link, next) {
        watcher_free(watcher);
    }
    entries_free(&registry->active);
    entries_free(&registry->retired);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static void registry_tell(struct registry *registry, enum registry_event event,
                          const struct entry *entry)
{
    struct watcher *watcher;
    TAILQ_FOREACH (watcher, &registry->watchers, link) {
        if (watcher->event == event && entry_matches(entry, watcher->matching)) {
            watcher->tell(watcher->owner, watcher->token, entry->id);
        }
    }
}

uint64_t registry_add(struct registry *registry, const struct registry_description *description)
{
    uint64_t id = 0;
    pthread_mutex_lock(&registry->lock);
    struct entry *root = TAILQ_FIRST(&registry->active);
    struct entry *parent =
        description->parent ? entry_find(&registry->active, description->parent) : root;
    struct entry *entry = NULL;
    if (parent) {
        entry = entry_create(description, parent);
    } else {
        wire_value_free(description->properties);
    }
    if (entry) {
        id = entry->id = registry->next_id++;
        TAILQ_INSERT_TAIL(&registry->active, entry, link);
        registry_tell(registry, REGISTRY_ARRIVED, entry);
    }
    pthread_mutex_unlock(&registry->lock);
    return id;
}

void registry_retire(struct registry *registry, uint64_t id)
{
    pthread_mutex_lock(&registry->lock);
    struct entry *entry = entry_find(&registry->active, id);
    if (entry) {
        TAILQ_REMOVE(&registry->active, entry, link);
        TAILQ_INSERT_TAIL(&registry->retired, entry, link);
        registry_tell(registry, REGISTRY_DEPARTED, entry);
        if (++registry->retired_count > REGISTRY_RETIRED_MAX) {
            struct entry *oldest = TAILQ_FIRST(&registry->retired);
            TAILQ_REMOVE(&registry->retired, oldest, link);
            entry_free(oldest);
            registry->retired_count--;
        }
    }
    pthread_mutex_unlock(&registry->lock);
}

uint64_t registry_child(struct registry *registry, uint64_t parent, const char *name)
{
    uint64_t id = 0;
    pthread_mutex_lock(&registry->lock);
    uint64_t wanted = parent ? parent : TAILQ_FIRST(&registry->active)->id;
    struct entry *entry;
    TAILQ_FOREACH (entry, &registry->active, link) {
        if (entry->parent == wanted && strcmp(entry->name, name) == 0) {
            id = entry->id;
            break;
        }
    }
    pthread_mutex_unlock(&registry->lock);
    return id;
}

static int registry_match_locked(struct registry *registry, const struct wire_value *matching,
                                 uint64_t **ids, size_t *count)
{
    size_t room = 0;
    struct entry *entry;
    *ids = NULL;
    *count = 0;
    TAILQ_FOREACH (entry, &registry->active, link) {
        if (!entry_matches(entry, matching)) {
            continue;
        }
        if (*count == room) {
            room = room ? room * 2 : 8;
            uint64_t *grown = realloc(*ids, room * sizeof(**ids));
            if (!grown) {
                free(*ids);
                *ids = NULL;
                *count = 0;
                return -ENOMEM;
            }
            *ids = grown;
        }
        (*ids)[(*count)++] = entry->id;
    }
    return 0;
}

int registry_match(struct registry *registry, const struct wire_value *matching, uint64_t **ids,
                   size_t *count)
{
    pthread_mutex_lock(&registry->lock);
    int error = registry_match_locked(registry, matching, ids, count);
    pthread_mutex_unlock(&registry->lock);
    return error;
}

static struct wire_value *entry_children(struct registry *registry, uint64_t id)
{
    struct wire_value *children = wire_value_array();
    struct entry *entry;
    int error = 0;
    TAILQ_FOREACH (entry, &registry->active, link) {
        if (entry->parent == id) {
            error |= wire_value_append(children, wire_value_number((int64_t)entry->id, 64));
        }
    }
    if (error) {
        wire_value_free(children);
        return NULL;
    }
    return children;
}

static int entry_describe_into(struct registry *registry, const struct entry *entry,
                               struct wire_value *out)
{
    int error = wire_value_set(out, WIRE_ENTRY_NAME, wire_value_string(entry->name));
    error |= wire_value_set(out, WIRE_ENTRY_CLASS, wire_value_string(entry->classes[0]));
    struct wire_value *conforms = wire_value_array();
    for (const char *const *class = entry->classes; *class; class ++) {
        error |= wire_value_append(conforms, wire_value_string(*class));
    }
    error |= wire_value_set(out, WIRE_ENTRY_CONFORMS, conforms);
    error |= wire_value_set(out, WIRE_ENTRY_PATH, wire_value_string(entry->path));
    if (entry->location) {
        error |= wire_value_set(out, WIRE_ENTRY_LOCATION, wire_value_string(entry->location));
    }
    if (entry->parent) {
        error |=
            wire_value_set(out, WIRE_ENTRY_PARENT, wire_value_number((int64_t)entry->parent, 64));
    }
    error |= wire_value_set(out, WIRE_ENTRY_CHILDREN, entry_children(registry, entry->id));
    error |= wire_value_set(out, WIRE_ENTRY_PROPERTIES, wire_value_copy(entry->properties));
    return error ? -ENOMEM : 0;
}

struct wire_value *registry_describe(struct registry *registry, uint64_t id, int *error)
{
    struct wire_value *out = NULL;
    pthread_mutex_lock(&registry->lock);
    struct entry *entry = entry_find(&registry->active, id);
    if (!entry) {
        entry = entry_find(&registry->retired, id);
    }
    *error = entry ? 0 : -ENOENT;
    if (entry) {
        out = wire_value_dictionary();
        *error = out ? entry_describe_into(registry, entry, out) : -ENOMEM;
    }
    pthread_mutex_unlock(&registry->lock);
    if (*error) {
        wire_value_free(out);
        out = NULL;
    }
    return out;
}

int registry_set_property(struct registry *registry, uint64_t id, const char *key,
                          struct wire_value *value)
{
    if (!value) {
        return -ENOMEM;
    }
    pthread_mutex_lock(&registry->lock);
    struct entry *entry = entry_find(&registry->active, id);
    int error = entry ? wire_value_set(entry->properties, key, value) : -ENOENT;
    pthread_mutex_unlock(&registry->lock);
    if (!entry) {
        wire_value_free(value);
    }
    return error;
}

bool registry_is_active(struct registry *registry, uint64_t id)
{
    pthread_mutex_lock(&registry->lock);
    bool is_active = entry_find(&registry->active, id) != NULL;
    pthread_mutex_unlock(&registry->lock);
    return is_active;
}

static bool has_room_locked(const struct registry *registry, const void *owner)
{
    const struct watcher *watcher;
    unsigned count = 0;
    TAILQ_FOREACH (watcher, &registry->watchers, link) {
        count += watcher->owner == owner;
    }
    return count < WIRE_MAX_WATCHES;
}

int registry_watch(struct registry *registry, enum registry_event event,
                   struct wire_value *matching, void *owner, uint64_t token, registry_watch_fn tell,
                   uint64_t **ids, size_t *count)
{
    *ids = NULL;
    *count = 0;
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher) {
        wire_value_free(matching);
        return -ENOMEM;
    }
    *watcher = (struct watcher){
        .event = event, .matching = matching, .owner = owner, .token = token, .tell = tell};
    pthread_mutex_lock(&registry->lock);
    int error = has_room_locked(registry, owner) ? 0 : -EMFILE;
    if (!error && event == REGISTRY_ARRIVED) {
        error = registry_match_locked(registry, matching, ids, count);
    }
    if (!error) {
        TAILQ_INSERT_TAIL(&registry->watchers, watcher, link);
    }
    pthread_mutex_unlock(&registry->lock);
    if (error) {
        watcher_free(watcher);
    }
    return error;
}

static void registry_unwatch_where(struct registry *registry, void *owner, const uint64_t *token)
{
    pthread_mutex_lock(&registry->lock);
    struct watcher *watcher;
    struct watcher *next;
    TAILQ_FOREACH_SAFE (watcher, &registry->watchers, link, next) {
        if (watcher->owner == owner && (!token || watcher->token == *token)) {
            TAILQ_REMOVE(&registry->watchers, watcher, link);
            watcher_free(watcher);
        }
    }
    pthread_mutex_unlock(&registry->lock);
}

void registry_unwatch(struct registry *registry, void *owner, uint64_t token)
{
    registry_unwatch_where(registry, owner, &token);
}

void registry_unwatch_all(struct registry *registry, void *owner)
{
    registry_unwatch_where(registry, owner, NULL);
}

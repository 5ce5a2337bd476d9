/*
 * Wake channels: a ring of completions in shared memory, and a bell.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "wire/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/shared_memory.h"

#define WAKE_SLOTS 32

/* As docs/wire.md has it: what each side writes has cache lines of its own. */
struct wake_page {
    _Alignas(64) struct wire_bell bell;
    _Alignas(64) _Atomic uint32_t put;   /* by the host: completions so far */
    _Alignas(64) _Atomic uint32_t taken; /* by the client: of these */
    _Atomic uint32_t attended;           /* by the client: 1 = a thread waits on the bell */
    _Alignas(256) struct {
        _Alignas(256) struct wire_completion completion;
    } slots[WAKE_SLOTS];
};
_Static_assert(offsetof(struct wake_page, put) == 64, "layout");
_Static_assert(offsetof(struct wake_page, taken) == 128, "layout");
_Static_assert(offsetof(struct wake_page, slots) == 256, "layout");
_Static_assert(sizeof(struct wake_page) == 256 + 256 * WAKE_SLOTS, "layout");

struct wire_wake_host {
    struct shared_memory memory; /* its descriptor went to the client */
    uint32_t put;                /* ours: the client could change what is in the page */
};

struct wire_wake_client {
    struct wake_page *page;
    _Atomic uint32_t taken;
};

int wire_wake_host_create(struct wire_wake_host **out, int *fd)
{
    struct wire_wake_host *host = calloc(1, sizeof(*host));
    if (!host) {
        return -ENOMEM;
    }
    int error = shared_memory_create("dext-wake", sizeof(struct wake_page), &host->memory);
    if (error) {
        free(host);
        return error;
    }
    *fd = host->memory.fd;
    host->memory.fd = -1;
    *out = host;
    return 0;
}

void wire_wake_host_destroy(struct wire_wake_host *host)
{
    if (host) {
        shared_memory_destroy(&host->memory);
        free(host);
    }
}

enum wire_wake_result wire_wake_put(struct wire_wake_host *host,
                                    const struct wire_completion *completion)
{
    struct wake_page *page = host->memory.address;
    uint32_t taken = atomic_load_explicit(&page->taken, memory_order_acquire);
    if (host->put - taken >= WAKE_SLOTS) {
        return WIRE_WAKE_FULL;
    }
    memcpy(&page->slots[host->put % WAKE_SLOTS].completion, completion,
           wire_completion_bytes(completion));
    atomic_store(&page->put, ++host->put);
    if (wire_bell_advance(&page->bell)) {
        wire_bell_wake(&page->bell, true);
    }
    return atomic_load(&page->attended) ? WIRE_WAKE_PUT : WIRE_WAKE_UNSEEN;
}

/* A file that could shrink would be a bus error one day. */
static bool wake_file_is_sound(int fd)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    return fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof(struct wake_page) &&
           seals >= 0 && (seals & F_SEAL_SHRINK);
}

struct wire_wake_client *wire_wake_client_create(int fd)
{
    struct wire_wake_client *client = calloc(1, sizeof(*client));
    if (!client || !wake_file_is_sound(fd)) {
        free(client);
        return NULL;
    }
    void *page = mmap(NULL, sizeof(struct wake_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        free(client);
        return NULL;
    }
    client->page = page;
    return client;
}

void wire_wake_client_destroy(struct wire_wake_client *client)
{
    if (client) {
        munmap(client->page, sizeof(*client->page));
        free(client);
    }
}

void wire_wake_set_attended(struct wire_wake_client *client, bool is_attended)
{
    atomic_store(&client->page->attended, is_attended);
}

struct wire_bell *wire_wake_bell(struct wire_wake_client *client)
{
    return &client->page->bell;
}

bool wire_wake_has_completion(struct wire_wake_client *client)
{
    return atomic_load(&client->page->put) != client->taken;
}

bool wire_wake_take(struct wire_wake_client *client, struct wire_completion *completion)
{
    if (!wire_wake_has_completion(client)) {
        return false;
    }
    memcpy(completion, &client->page->slots[client->taken % WAKE_SLOTS].completion,
           sizeof(*completion));
    client->taken++;
    atomic_store_explicit(&client->page->taken, client->taken, memory_order_release);
    if (completion->count > WIRE_MAX_ARGUMENTS) {
        completion->count = 0;
        completion->wake_port = 0; /* nobody's */
    }
    return true;
}

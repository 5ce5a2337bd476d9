/*
 * A device that does with its file what the test wants, for tests of storage.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_UNIT_BACKEND_STORAGE_FIXTURE_H
#define DEXTLINK_TESTS_UNIT_BACKEND_STORAGE_FIXTURE_H

#include "sim_fixture.h"

#include "model/config_space.h"

#define FILE_BYTES 65536
#define OPERATIONS 16

/* A model that opens its option "drive" and submits what the test wants on a register write. */
struct model_of_storage {
    struct model model;
    struct config_space config;
    unsigned storage;
    uint64_t bytes;
};

extern struct model_of_storage *device; /* the last that was made */
extern char path[];

/* The operations that the next submit starts, with their number as tag, and how they ended. */
extern struct model_storage_request wanted[OPERATIONS];
extern unsigned wanted_count;
extern unsigned done_count, done_calls; /* calls of storage_done */
extern unsigned done_tags[OPERATIONS];
extern int done_results[OPERATIONS];

/* Setup and teardown: a file of FILE_BYTES at path. */
int file_make(void **state);
int file_remove(void **state);

/** option: "readonly", "direct", or NULL. As backend_sim_create. */
int open_sim(struct pci_provider **out, const char *file, const char *option);
/** A device on path, ready to use. */
struct pci_provider *start(const char *option);

/** Submit what is wanted and wait for it all. */
void submit_any(struct pci_provider *provider, unsigned count);
/** The same, of operations that come to an end in order. */
void submit(struct pci_provider *provider, unsigned count);
/** One that is durable; its result. */
int submit_one(struct pci_provider *provider, enum model_storage_action action, uint64_t offset,
               uint64_t bytes, void *buffer);

#endif

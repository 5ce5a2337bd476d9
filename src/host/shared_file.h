/*
 * Files of a client that the host shares: one object a file serves all regions in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SHARED_FILE_H
#define DEXTLINK_HOST_SHARED_FILE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "host/client_mapping.h"

struct shared_file;

/* The files of one client process. Not locked: the caller does. */
struct shared_files {
    LIST_HEAD(, shared_file) list; /* most recently used first */
    unsigned count;
    uint64_t mapped_bytes;
    int hint; /* for client_file_open */
    bool has_missing;
    struct client_mapping missing; /* the last file there was no way to: not looked for again */
};

/* What one client may take of the host's descriptors and address space; regions beyond are
 * reached by copy calls (files) or by pread and pwrite (bytes). */
#define SHARED_FILES_MAX          64
#define SHARED_FILES_MAPPED_BYTES (UINT64_C(1) << 42)

void shared_files_init(struct shared_files *files);

/**
 * The file behind mapping, good for bytes from mapping->file_offset: one reference to *out, to be
 * given back with shared_files_put. *is_new says that it was opened just now, so that the caller
 * looks whether the client still maps it.
 *
 * 0; -ENOENT no way to the file; -EOPNOTSUPP its file system does not promise that mappings and
 * pread see the same bytes; -ENXIO the range ends past the file; -EPERM sealed against writing;
 * -EFBIG beyond our own file size limit; -EMFILE too many files; -ENOMEM.
 */
int shared_files_get(struct shared_files *files, pid_t pid, const struct client_mapping *mapping,
                     uint64_t bytes, struct shared_file **out, bool *is_new);

/** Give one reference back; the last one unmaps and closes the file. */
void shared_files_put(struct shared_files *files, struct shared_file *file);

/** Whether plain memory is shared; else each access is a pread or pwrite. */
bool shared_file_is_mapped(const struct shared_file *file);

/** Where the byte at offset lies as plain memory, as long as the file is held; NULL when it is read
 * and written by calls, or may not be written. */
void *shared_file_point(const struct shared_file *file, uint64_t offset, bool is_write);

/**
 * Copy length bytes at offset of the file. Any thread, several at once, without the caller's lock.
 * The range lies in one asked for with shared_files_get. 0, or -EFAULT: the client cut the file
 * short, or the file system failed.
 */
int shared_file_read(const struct shared_file *file, uint64_t offset, void *buffer, size_t length);
int shared_file_write(const struct shared_file *file, uint64_t offset, const void *buffer,
                      size_t length);

#endif

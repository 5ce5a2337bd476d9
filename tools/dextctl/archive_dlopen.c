/*
 * libarchive's functions, with libarchive loaded by the first of them: it brings seven libraries
 * along, which would make every command start slowly, and one option of one command needs it.
 *
 * Where it cannot be loaded archive_write_new returns NULL, and the others are not reached.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define LIBRARY "libarchive.so.13"

#define CALLS(X)                                                                                   \
    X(archive_entry_free)                                                                          \
    X(archive_entry_new)                                                                           \
    X(archive_entry_set_filetype)                                                                  \
    X(archive_entry_set_mtime)                                                                     \
    X(archive_entry_set_pathname)                                                                  \
    X(archive_entry_set_perm)                                                                      \
    X(archive_entry_set_size)                                                                      \
    X(archive_error_string)                                                                        \
    X(archive_version_string)                                                                      \
    X(archive_write_close)                                                                         \
    X(archive_write_data)                                                                          \
    X(archive_write_free)                                                                          \
    X(archive_write_header)                                                                        \
    X(archive_write_new)                                                                           \
    X(archive_write_open_fd)                                                                       \
    X(archive_write_set_format_ustar)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    CALLS(MEMBER)
#undef MEMBER
} library;

static bool load(void)
{
    static bool is_loaded;
    void *handle = is_loaded ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    void *found;

    if (!handle) {
        return is_loaded;
    }
    is_loaded = true; /* for as long as the process lives */
#define FIND(name)                                                                                 \
    found = dlsym(handle, #name);                                                                  \
    is_loaded = is_loaded && found;                                                                \
    memcpy(&library.name, &found, sizeof(found));
    CALLS(FIND)
#undef FIND
    return is_loaded;
}

void archive_entry_free(struct archive_entry *entry)
{
    library.archive_entry_free(entry);
}

struct archive_entry *archive_entry_new(void)
{
    return library.archive_entry_new();
}

void archive_entry_set_filetype(struct archive_entry *entry, unsigned int type)
{
    library.archive_entry_set_filetype(entry, type);
}

void archive_entry_set_mtime(struct archive_entry *entry, time_t seconds, long ns)
{
    library.archive_entry_set_mtime(entry, seconds, ns);
}

void archive_entry_set_pathname(struct archive_entry *entry, const char *path)
{
    library.archive_entry_set_pathname(entry, path);
}

void archive_entry_set_perm(struct archive_entry *entry, __LA_MODE_T mode)
{
    library.archive_entry_set_perm(entry, mode);
}

void archive_entry_set_size(struct archive_entry *entry, la_int64_t bytes)
{
    library.archive_entry_set_size(entry, bytes);
}

const char *archive_error_string(struct archive *archive)
{
    return library.archive_error_string(archive);
}

const char *archive_version_string(void)
{
    return library.archive_version_string();
}

int archive_write_close(struct archive *archive)
{
    return library.archive_write_close(archive);
}

la_ssize_t archive_write_data(struct archive *archive, const void *data, size_t bytes)
{
    return library.archive_write_data(archive, data, bytes);
}

int archive_write_free(struct archive *archive)
{
    return library.archive_write_free(archive);
}

int archive_write_header(struct archive *archive, struct archive_entry *entry)
{
    return library.archive_write_header(archive, entry);
}

struct archive *archive_write_new(void)
{
    return load() ? library.archive_write_new() : NULL;
}

int archive_write_open_fd(struct archive *archive, int fd)
{
    return library.archive_write_open_fd(archive, fd);
}

int archive_write_set_format_ustar(struct archive *archive)
{
    return library.archive_write_set_format_ustar(archive);
}

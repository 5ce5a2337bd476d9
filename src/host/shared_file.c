/*
 * Files shared with a client: mapped here when they cannot shrink, else read and written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "host/client_file.h"
#include "host/shared_copy.h"

#define SHARED_FILE_PAGE_BYTES 4096
#define SHARED_FILE_MAP_BYTES  (UINT64_C(1) << 40) /* the largest single mapping */

/* Immutable after it was made, but for what the list's lock guards. */
struct shared_file {
    LIST_ENTRY(shared_file) link;
    unsigned references;  /* under the list's lock */
    uint64_t known_bytes; /* under the list's lock: the file has been seen to hold that much */
    dev_t device;
    ino_t inode;
    int fd;
    bool is_writable;
    bool can_shrink;
    unsigned char *address; /* NULL: pread and pwrite */
    uint64_t mapped_bytes;  /* a power of two, may reach past the end of the file */
};

void shared_files_init(struct shared_files *files)
{
    *files = (struct shared_files){.hint = -1};
    LIST_INIT(&files->list);
}

bool shared_file_is_mapped(const struct shared_file *file)
{
    return file->address != NULL;
}

/* Page cache file systems, where a mapping, pread and pwrite are the same bytes and pread waits for
 * nobody's server. Left out on purpose: hugetlbfs (a page may be missing later: SIGBUS), FUSE,
 * network file systems, sysfs. */
static bool file_system_fits(int fd)
{
    struct statfs system;
    if (fstatfs(fd, &system) < 0) {
        return false;
    }
    switch ((unsigned long)system.f_type) {
    case TMPFS_MAGIC: /* memfd too */
    case RAMFS_MAGIC:
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

static bool mapping_is_same_file(const struct client_mapping *mapping, dev_t device, ino_t inode)
{
    return mapping->device == device && mapping->inode == inode;
}

/* Whether the file holds everything up to end now. One that cannot shrink is asked once. */
static bool file_holds(struct shared_file *file, uint64_t end)
{
    struct stat status;
    if (!file->can_shrink && end <= file->known_bytes) {
        return true;
    }
    if (fstat(file->fd, &status) < 0) {
        return false;
    }
    file->known_bytes = (uint64_t)status.st_size;
    return end <= file->known_bytes;
}

static void file_free(struct shared_file *file)
{
    if (file->address) {
        munmap(file->address, file->mapped_bytes);
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    free(file);
}

/* Under strict overcommit a page of a hole may be refused, by SIGBUS: not for plain pointers. */
static bool holes_may_be_refused(void)
{
    char mode = '2';
    cleanup_close int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
    return fd < 0 || read(fd, &mode, 1) != 1 || mode == '2';
}

/* Only what cannot shrink may be touched through a pointer: past a cut end waits SIGBUS. Mapped to
 * the next power of two, so that a file that grows page by page needs few further mappings. Where
 * mapping fails, pread and pwrite serve as well. */
static void file_map(struct shared_file *file, const struct shared_files *files)
{
    uint64_t bytes = SHARED_FILE_PAGE_BYTES;
    while (bytes < file->known_bytes && bytes < SHARED_FILE_MAP_BYTES) {
        bytes *= 2;
    }
    if (file->can_shrink || bytes < file->known_bytes ||
        bytes > SHARED_FILES_MAPPED_BYTES - files->mapped_bytes || holes_may_be_refused()) {
        return;
    }
    int protection = file->is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *address = mmap(NULL, bytes, protection, MAP_SHARED, file->fd, 0);
    if (address != MAP_FAILED) {
        /* A client's memory: in no core file of ours, in no child of an embedded host. */
        madvise(address, bytes, MADV_DONTDUMP);
        madvise(address, bytes, MADV_DONTFORK);
        file->address = address;
        file->mapped_bytes = bytes;
    }
}

/* Takes over fd, also on failure. */
static int file_create(struct shared_files *files, int fd, const struct client_mapping *mapping,
                       uint64_t end, struct shared_file **out)
{
    struct shared_file *file = calloc(1, sizeof(*file));
    if (!file) {
        close(fd);
        return -ENOMEM;
    }
    int seals = fcntl(fd, F_GET_SEALS);
    seals = seals < 0 ? 0 : seals;
    *file = (struct shared_file){.device = mapping->device,
                                 .inode = mapping->inode,
                                 .fd = fd,
                                 .is_writable = mapping->is_writable,
                                 .can_shrink = !(seals & F_SEAL_SHRINK)};
    int error = 0;
    if (!file_system_fits(fd)) {
        error = -EOPNOTSUPP;
    } else if (file->is_writable && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
        /* The client's old mapping may still write; we could not. */
        error = -EPERM;
    } else if (!file_holds(file, end)) {
        error = -ENXIO;
    }
    if (error) {
        file_free(file);
        return error;
    }
    file_map(file, files);
    *out = file;
    return 0;
}

/* A write past our own RLIMIT_FSIZE would not fail but send SIGXFSZ. */
static bool is_beyond_own_limit(const struct shared_file *file, uint64_t end)
{
    struct rlimit limit;
    return !file->address && file->is_writable && getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur;
}

/* One that serves the range, else NULL and *other is one of the same file that is too short. */
static struct shared_file *files_find(struct shared_files *files,
                                      const struct client_mapping *mapping, uint64_t end,
                                      struct shared_file **other)
{
    struct shared_file *file;
    *other = NULL;
    LIST_FOREACH (file, &files->list, link) {
        if (mapping_is_same_file(mapping, file->device, file->inode) &&
            file->is_writable >= mapping->is_writable) {
            if (!file->address || end <= file->mapped_bytes) {
                return file;
            }
            *other = file;
        }
    }
    return NULL;
}

static int files_open(struct shared_files *files, pid_t pid, const struct client_mapping *mapping,
                      const struct shared_file *other)
{
    if (files->count >= SHARED_FILES_MAX) {
        return -EMFILE;
    }
    if (other) {
        int fd = fcntl(other->fd, F_DUPFD_CLOEXEC, 0);
        return fd < 0 ? -errno : fd;
    }
    const struct client_mapping *missing = &files->missing;
    if (files->has_missing && missing->is_writable == mapping->is_writable &&
        mapping_is_same_file(mapping, missing->device, missing->inode)) {
        return -ENOENT;
    }
    int fd = client_file_open(pid, mapping, &files->hint);
    if (fd == -ENOENT) {
        files->has_missing = true;
        files->missing = *mapping;
    }
    return fd;
}

static int files_add(struct shared_files *files, pid_t pid, const struct client_mapping *mapping,
                     uint64_t end, const struct shared_file *other, struct shared_file **out)
{
    int fd = files_open(files, pid, mapping, other);
    if (fd < 0) {
        return fd;
    }
    int error = file_create(files, fd, mapping, end, out);
    if (error) {
        return error;
    }
    LIST_INSERT_HEAD(&files->list, *out, link);
    files->count++;
    files->mapped_bytes += (*out)->mapped_bytes;
    return 0;
}

int shared_files_get(struct shared_files *files, pid_t pid, const struct client_mapping *mapping,
                     uint64_t bytes, struct shared_file **out, bool *is_new)
{
    if (range_wraps(mapping->file_offset, bytes) ||
        mapping->file_offset + bytes > (uint64_t)INT64_MAX) {
        return -ENXIO;
    }
    uint64_t end = mapping->file_offset + bytes;
    struct shared_file *other;
    struct shared_file *file = files_find(files, mapping, end, &other);
    *is_new = !file;
    if (file && !file_holds(file, end)) {
        return -ENXIO;
    }
    if (file && file != LIST_FIRST(&files->list)) {
        LIST_REMOVE(file, link);
        LIST_INSERT_HEAD(&files->list, file, link);
    }
    int error = file ? 0 : files_add(files, pid, mapping, end, other, &file);
    if (error) {
        return error;
    }
    file->references++;
    if (is_beyond_own_limit(file, end)) {
        shared_files_put(files, file);
        return -EFBIG;
    }
    *out = file;
    return 0;
}

void shared_files_put(struct shared_files *files, struct shared_file *file)
{
    if (--file->references == 0) {
        LIST_REMOVE(file, link);
        files->count--;
        files->mapped_bytes -= file->mapped_bytes;
        file_free(file);
    }
}

void *shared_file_point(const struct shared_file *file, uint64_t offset, bool is_write)
{
    return file->address && (file->is_writable || !is_write) ? file->address + offset : NULL;
}

int shared_file_read(const struct shared_file *file, uint64_t offset, void *buffer, size_t length)
{
    if (file->address) {
        shared_copy_from(buffer, file->address + offset, length);
        return 0;
    }
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(file->fd, (char *)buffer + done, length - done, (off_t)(offset + done));
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            return -EFAULT;
        }
    }
    return 0;
}

/* pwrite makes a file longer: what the client cut off must stay off. A cut between the look and the
 * write is the client's own race, and harmless to the host. */
static bool file_is_cut(const struct shared_file *file, uint64_t end)
{
    struct stat status;
    return file->can_shrink && (fstat(file->fd, &status) < 0 || end > (uint64_t)status.st_size);
}

int shared_file_write(const struct shared_file *file, uint64_t offset, const void *buffer,
                      size_t length)
{
    if (!file->is_writable) {
        return -EFAULT;
    }
    if (file->address) {
        shared_copy_to(file->address + offset, buffer, length);
        return 0;
    }
    if (file_is_cut(file, offset + length)) {
        return -EFAULT;
    }
    for (size_t done = 0; done < length;) {
        ssize_t put =
            pwrite(file->fd, (const char *)buffer + done, length - done, (off_t)(offset + done));
        if (put > 0) {
            done += (size_t)put;
        } else if (put == 0 || errno != EINTR) {
            return -EFAULT;
        }
    }
    return 0;
}

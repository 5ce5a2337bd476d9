/*
 * The mappings of a client, from /proc/PID/maps: one query a mapping, or its text on older kernels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/client_mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* linux/fs.h has these from 6.11 on; the headers here may be older than the kernel. */
struct maps_query {
    uint64_t size;
    uint64_t flags;
    uint64_t address;
    uint64_t start, end;
    uint64_t protection;
    uint64_t page_bytes;
    uint64_t offset;
    uint64_t inode;
    uint32_t major, minor;
    uint32_t name_bytes, build_id_bytes;
    uint64_t name, build_id;
};
#define MAPS_QUERY          _IOWR('f', 17, struct maps_query)
#define MAPS_QUERY_READABLE 0x1
#define MAPS_QUERY_WRITABLE 0x2
#define MAPS_QUERY_SHARED   0x8

#define MAPS_LINE_BYTES     128 /* what stands before the path always fits */
#define MAPS_READ_BYTES     8192

/* One mapping of the process. */
struct vma {
    uint64_t start, end;
    uint64_t offset;
    dev_t device;
    ino_t inode;
    bool is_readable, is_writable, is_shared;
};

/* A range being put together from mappings, lowest address first. */
struct search {
    /* The mapping that covers or follows at; -errno when the range cannot be had. */
    int (*take)(struct search *search, const struct vma *vma);
    uint64_t at, last; /* the first byte not covered yet, and the last one wanted */
    bool has_first;
    bool is_done;
    bool wants_write; /* of search_pass */
    uint64_t offset;  /* in the file, of at */
    struct client_mapping found;
};

void client_maps_init(struct client_maps *maps, const struct client_owner *owner)
{
    *maps = (struct client_maps){.owner = *owner, .fd = -1};
}

void client_maps_close(struct client_maps *maps)
{
    if (maps->fd >= 0) {
        close(maps->fd);
    }
    maps->fd = -1;
}

static int client_maps_open(struct client_maps *maps)
{
    int fd = client_owner_open(&maps->owner, "maps", O_RDONLY);
    maps->fd = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* Whether the mapping that covers search->at continues the range; -ENOENT when it does not. */
static int search_take(struct search *search, const struct vma *vma)
{
    struct client_mapping *found = &search->found;
    if (vma->start > search->at || !vma->is_shared || !vma->is_readable || vma->inode == 0) {
        if (!search->has_first && vma->start <= search->at) {
            *found = (struct client_mapping){.map_start = vma->start, .map_end = vma->end};
        }
        return -ENOENT;
    }
    uint64_t offset = vma->offset + (search->at - vma->start);
    if (!search->has_first) {
        search->has_first = true;
        *found = (struct client_mapping){.device = vma->device,
                                         .inode = vma->inode,
                                         .file_offset = offset,
                                         .map_start = vma->start,
                                         .map_end = vma->end,
                                         .is_writable = vma->is_writable};
    } else if (vma->device != found->device || vma->inode != found->inode ||
               vma->is_writable != found->is_writable || offset != search->offset) {
        return -ENOENT;
    }
    search->is_done = vma->end > search->last;
    search->offset = offset + (vma->end - search->at);
    search->at = vma->end;
    return 0;
}

/* Whether the mapping that covers search->at may be used so. */
static int search_pass(struct search *search, const struct vma *vma)
{
    if (vma->start > search->at || !(search->wants_write ? vma->is_writable : vma->is_readable)) {
        return -ENOENT;
    }
    search->is_done = vma->end > search->last;
    search->at = vma->end;
    return 0;
}

static int maps_query(int fd, uint64_t address, struct vma *out)
{
    struct maps_query query = {.size = sizeof(query), .address = address};
    if (ioctl(fd, MAPS_QUERY, &query) < 0) {
        return -errno;
    }
    *out = (struct vma){.start = query.start,
                        .end = query.end,
                        .offset = query.offset,
                        .device = makedev(query.major, query.minor),
                        .inode = query.inode,
                        .is_readable = query.protection & MAPS_QUERY_READABLE,
                        .is_writable = query.protection & MAPS_QUERY_WRITABLE,
                        .is_shared = query.protection & MAPS_QUERY_SHARED};
    return 0;
}

static int find_by_query(struct client_maps *maps, struct search *search)
{
    while (!search->is_done) {
        struct vma vma = {0};
        int error = maps_query(maps->fd, search->at, &vma);
        error = error ? error : search->take(search, &vma);
        if (error) {
            return error;
        }
    }
    return 0;
}

static bool vma_parse(const char *line, struct vma *out)
{
    unsigned long long start, end, offset, inode;
    unsigned major, minor;
    char protection[5];
    if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &start, &end, protection, &offset, &major,
               &minor, &inode) != 7 ||
        strlen(protection) != 4) {
        return false;
    }
    *out = (struct vma){.start = start,
                        .end = end,
                        .offset = offset,
                        .device = makedev(major, minor),
                        .inode = inode,
                        .is_readable = protection[0] == 'r',
                        .is_writable = protection[1] == 'w',
                        .is_shared = protection[3] == 's'};
    return true;
}

static int search_take_line(struct search *search, const char *line)
{
    struct vma vma = {0};
    if (!vma_parse(line, &vma)) {
        return -EPROTO;
    }
    return vma.end <= search->at ? 0 : search->take(search, &vma);
}

static int find_by_text(struct client_maps *maps, struct search *search)
{
    char chunk[MAPS_READ_BYTES];
    char line[MAPS_LINE_BYTES];
    size_t length = 0;
    off_t offset = 0;
    for (;;) {
        ssize_t got = pread(maps->fd, chunk, sizeof(chunk), offset);
        if (got <= 0) {
            /* A process that has gone has an empty list. */
            return got < 0 ? -errno : offset == 0 ? -ESRCH : -ENOENT;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (chunk[i] != '\n') {
                if (length < sizeof(line) - 1) {
                    line[length++] = chunk[i];
                }
                continue;
            }
            line[length] = '\0';
            length = 0;
            int error = search_take_line(search, line);
            if (error || search->is_done) {
                return error;
            }
        }
        offset += got;
    }
}

int client_maps_find(struct client_maps *maps, uint64_t address, uint64_t bytes,
                     struct client_mapping *out)
{
    int error = maps->fd < 0 ? client_maps_open(maps) : 0;
    if (error) {
        *out = (struct client_mapping){0};
        return error;
    }
    const struct search start = {.take = search_take, .at = address, .last = address + (bytes - 1)};
    struct search search = start;
    *out = (struct client_mapping){0};
    if (!maps->is_text_only) {
        error = find_by_query(maps, &search);
        maps->is_text_only = error == -ENOTTY;
    }
    if (maps->is_text_only) {
        search = start;
        error = bytes < CLIENT_MAPS_TEXT_MIN_BYTES ? -EOPNOTSUPP : find_by_text(maps, &search);
    }
    if (!error || (error == -ENOENT && !search.has_first)) {
        *out = search.found;
    }
    return error;
}

int client_maps_allow(struct client_maps *maps, uint64_t address, uint64_t bytes, bool is_write)
{
    int error = maps->fd < 0 ? client_maps_open(maps) : 0;
    const struct search start = {
        .take = search_pass, .at = address, .last = address + (bytes - 1), .wants_write = is_write};
    struct search search = start;
    if (!error && !maps->is_text_only) {
        error = find_by_query(maps, &search);
        maps->is_text_only = error == -ENOTTY;
    }
    if (maps->is_text_only) {
        search = start;
        error = find_by_text(maps, &search);
    }
    return error == -ENOENT ? -EFAULT : error == -EACCES ? -EPERM : error;
}

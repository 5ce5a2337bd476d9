/*
 * What the tests of client memory share: describing a region, and looking at it from both sides.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TEST_CLIENT_MEMORY_FIXTURE_H
#define DEXTLINK_TEST_CLIENT_MEMORY_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "host/client_memory.h"

/* The smallest region that takes the same path with older kernels. */
#define UNIT     CLIENT_MAPS_TEXT_MIN_BYTES
#define MAPPED   "shared file, mapped"
#define FILED    "shared file, read and written"
#define COPIED   "copied, not a file to share"
#define ANY_PATH ""

static _Thread_local char last_line[256];
static bool is_text_only;

/* As on this kernel, or as on one before 6.11. */
static inline struct client_process *process_create(pid_t pid)
{
    const struct client_owner owner = client_owner_own(pid);
    struct client_process *process = client_process_create(&owner);
    assert_non_null(process);
    process->maps.is_text_only = is_text_only;
    return process;
}

static inline void keep_line(void *opaque, enum log_level level, const char *hop, const char *line)
{
    (void)opaque, (void)level, (void)hop;
    snprintf(last_line, sizeof(last_line), "%s", line);
}

static inline int start(void **state)
{
    log_set_sink(keep_line, NULL, LOG_LEVEL_DEBUG);
    *state = process_create(getpid());
    return 0;
}

static inline int finish(void **state)
{
    client_process_put(*state);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

static inline unsigned count_fds(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static inline unsigned count_mappings(const char *name)
{
    char line[512];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        count += strstr(line, name) != NULL;
    }
    fclose(maps);
    return count;
}

static inline int make_memfd(const char *name, size_t bytes, int seals)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static inline unsigned char *map_file(int fd, size_t bytes, int protection, off_t offset)
{
    unsigned char *address = mmap(NULL, bytes, protection, MAP_SHARED, fd, offset);
    assert_ptr_not_equal(address, MAP_FAILED);
    return address;
}

/* One region of what client_memory_create gives, from its first byte on. */
struct described {
    struct dma_memory memory;
    struct dma_memory *whole;
    uint64_t offset;
};

static inline int described_read(struct dma_memory *memory, uint64_t offset, void *buffer,
                                 size_t length)
{
    const struct described *self = (struct described *)memory;
    return self->whole->ops->read(self->whole, self->offset + offset, buffer, length);
}

static inline int described_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                                  size_t length)
{
    const struct described *self = (struct described *)memory;
    return self->whole->ops->write(self->whole, self->offset + offset, buffer, length);
}

static inline void *described_point(struct dma_memory *memory, uint64_t offset, size_t length,
                                    bool is_write)
{
    const struct described *self = (struct described *)memory;
    return self->whole->ops->point
               ? self->whole->ops->point(self->whole, self->offset + offset, length, is_write)
               : NULL;
}

static inline void described_release(struct dma_memory *memory)
{
    struct described *self = (struct described *)memory;
    self->whole->ops->release(self->whole);
    free(self);
}

static const struct dma_memory_ops described_ops = {
    .read = described_read,
    .write = described_write,
    .point = described_point,
    .release = described_release,
};

static inline int try_describe_held(struct client_process *process, struct client_hold *hold,
                                    const void *address, uint64_t bytes, struct dma_memory **out)
{
    struct described *self = calloc(1, sizeof(*self));
    assert_non_null(self);
    int error =
        client_memory_create(process, hold, (uintptr_t)address, bytes, &self->whole, &self->offset);
    if (error) {
        free(self);
        return error;
    }
    /* Bus addresses follow the client's own. */
    assert_int_equal((self->whole->page_offset + self->offset) & 16383, (uintptr_t)address & 16383);
    assert_true(self->whole->bytes - self->offset >= bytes);
    self->memory = (struct dma_memory){.ops = &described_ops, .bytes = bytes};
    *out = &self->memory;
    return 0;
}

static inline int try_describe(struct client_process *process, const void *address, uint64_t bytes,
                               struct dma_memory **out)
{
    return try_describe_held(process, NULL, address, bytes, out);
}

static inline struct dma_memory *describe(struct client_process *process, const void *address,
                                          uint64_t bytes, const char *path)
{
    struct dma_memory *memory = NULL;
    last_line[0] = '\0';
    assert_int_equal(try_describe(process, address, bytes, &memory), 0);
    if (!strstr(last_line, path)) {
        fail_msg("wanted \"%s\", got \"%s\"", path, last_line);
    }
    return memory;
}

static inline void release(struct dma_memory *memory)
{
    memory->ops->release(memory);
}

static inline int device_reads(struct dma_memory *memory, uint64_t offset)
{
    unsigned char byte = 0;
    int error = memory->ops->read(memory, offset, &byte, 1);
    return error ? error : byte;
}

static inline int device_writes(struct dma_memory *memory, uint64_t offset, unsigned char byte)
{
    return memory->ops->write(memory, offset, &byte, 1);
}

/* Both directions, first and last byte; address is this process's. */
static inline void assert_same_bytes(struct dma_memory *memory, volatile unsigned char *address)
{
    uint64_t last = memory->bytes - 1;
    address[0] = 0x11;
    address[last] = 0x22;
    assert_int_equal(device_reads(memory, 0), 0x11);
    assert_int_equal(device_reads(memory, last), 0x22);
    assert_int_equal(device_writes(memory, 0, 0x33), 0);
    assert_int_equal(device_writes(memory, last, 0x44), 0);
    assert_int_equal(address[0], 0x33);
    assert_int_equal(address[last], 0x44);
}

#endif

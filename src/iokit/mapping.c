/*
 * Mapping driver memory: direct ranges as shared file mappings, the rest trapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/mapping.h"

#include <IOKit/IOKitLib.h>
#include <IOKit/IOMapTypes.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/trace.h"
#include "iokit/connection.h"
#include "iokit/direct.h"
#include "iokit/session.h"
#include "iokit/trap.h"

#define MAPPING_MAX_RANGES WIRE_MAX_FDS

/* Ranges come in units of the smallest pages there are. */
#define MAPPING_RANGE_UNIT 4096

/* What the driver says a memory type is made of. */
struct memory_range {
    uint64_t offset, bytes, fd_offset; /* bytes 0: none of it can be mapped here */
    int fd;                            /* in the reply */
};
struct memory {
    uint64_t bytes;
    bool is_read_only;
    uint32_t range_count;
    struct memory_range ranges[MAPPING_MAX_RANGES];
    size_t mapped_bytes; /* whole pages */
    uint64_t direct_bytes;
};

static void memory_get_range(struct wire_message *reply, struct memory_range *range)
{
    range->offset = wire_get_u64(reply);
    range->bytes = wire_get_u64(reply);
    range->fd_offset = wire_get_u64(reply);
    uint32_t index = wire_get_u32(reply);
    wire_get_u32(reply);
    range->fd = index < reply->fd_count ? reply->fds[index] : -1;
}

/* A driver's buffer comes in units of the largest pages there are; smaller pages need less. */
static void memory_clip_range(const struct memory *memory, struct memory_range *range)
{
    if (range->offset < memory->mapped_bytes &&
        range->bytes > memory->mapped_bytes - range->offset) {
        range->bytes = memory->mapped_bytes - range->offset;
    }
}

/* A file must be as long as the range: memory behind its end would be a bus error. What is no file
 * (a device) has no length, and maps what it has only. */
static bool memory_range_is_valid(const struct memory *memory, const struct memory_range *range)
{
    struct stat status;
    return range->fd >= 0 && is_aligned(range->offset, MAPPING_RANGE_UNIT) &&
           is_aligned(range->fd_offset, MAPPING_RANGE_UNIT) && range->bytes > 0 &&
           range_is_within(range->offset, range->bytes, align_up(memory->bytes, vm_page_size)) &&
           fstat(range->fd, &status) == 0 &&
           (!S_ISREG(status.st_mode) ||
            range_is_within(range->fd_offset, range->bytes, (uint64_t)status.st_size));
}

/* Whether it shares a byte with one of those before it. */
static bool memory_range_overlaps(const struct memory *memory, uint32_t index)
{
    const struct memory_range *range = &memory->ranges[index];
    for (uint32_t i = 0; i < index; i++) {
        const struct memory_range *other = &memory->ranges[i];
        if (range->offset < other->offset + other->bytes &&
            other->offset < range->offset + range->bytes) {
            return true;
        }
    }
    return false;
}

/* What of a range lies in no whole page of this process, or cannot lie on a page of the file, is
 * trapped like a register: the driver knows it as memory all the same. */
static void memory_trim_range(struct memory_range *range)
{
    uint64_t start = align_up(range->offset, vm_page_size);
    uint64_t end = (range->offset + range->bytes) & ~(uint64_t)(vm_page_size - 1);
    if (start >= end || !is_aligned(range->fd_offset + (start - range->offset), vm_page_size)) {
        range->bytes = 0;
        return;
    }
    range->fd_offset += start - range->offset;
    range->offset = start;
    range->bytes = end - start;
}

static bool memory_get(struct wire_message *reply, struct memory *memory)
{
    memory->bytes = wire_get_u64(reply);
    memory->is_read_only = wire_get_u32(reply) != 0;
    memory->range_count = wire_get_u32(reply);
    if (reply->is_bad || memory->bytes == 0 || memory->bytes > (UINT64_C(1) << 46) ||
        memory->range_count > MAPPING_MAX_RANGES) {
        return false;
    }
    memory->mapped_bytes = align_up(memory->bytes, vm_page_size);
    memory->direct_bytes = 0;
    for (uint32_t i = 0; i < memory->range_count; i++) {
        memory_get_range(reply, &memory->ranges[i]);
        memory_clip_range(memory, &memory->ranges[i]);
        if (!memory_range_is_valid(memory, &memory->ranges[i]) ||
            memory_range_overlaps(memory, i)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < memory->range_count; i++) {
        memory_trim_range(&memory->ranges[i]);
        memory->direct_bytes += memory->ranges[i].bytes;
    }
    return wire_is_consumed(reply);
}

/* Ask the driver; the kernel does so on every map and every unmap. Exclusive lock held. */
static kern_return_t mapping_ask(struct io_connection *connection, uint32_t type,
                                 struct wire_message *reply, struct memory *memory)
{
    struct wire_message request;
    wire_message_init(&request);
    wire_message_reset(&request, WIRE_MAP);
    wire_put_u64(&request, type);
    kern_return_t status = io_connection_request(connection, &request, reply);
    wire_message_destroy(&request);
    if (status != KERN_SUCCESS) {
        return status;
    }
    return memory_get(reply, memory) ? KERN_SUCCESS : kIOReturnIPCError;
}

static kern_return_t mapping_access_by_frame(struct io_mapping *mapping, struct wire_words *words)
{
    struct io_exchange *exchange = io_exchange_begin(IO_EXCHANGE_TRAP, WIRE_ACCESS);
    if (!exchange) {
        return MACH_SEND_INVALID_DEST;
    }
    wire_put_u64(&exchange->request, words->words[0]);
    wire_put_u64(&exchange->request, words->words[1]);
    wire_put_u32(&exchange->request, (uint32_t)words->words[2]);
    wire_put_u32(&exchange->request, (uint32_t)(words->words[2] >> WIRE_ACCESS_WRITE_SHIFT));
    wire_put_u64(&exchange->request, words->words[3]);
    kern_return_t status = io_exchange_send(mapping->connection, exchange);
    words->words[0] = wire_get_u64(&exchange->reply);
    words->count = !exchange->reply.is_bad;
    return status;
}

/* The load or store of a thread that hit a trapped page. */
static void mapping_access(void *context, uint64_t offset, unsigned width, bool is_write,
                           uint64_t *value)
{
    struct io_mapping *mapping = context;
    kern_return_t status = MACH_SEND_INVALID_DEST;
    uint64_t result = ones_of_width(width);
    uint64_t outer = trace_current_call();
    if (trace_is_on()) {
        trace_set_current_call(trace_new_call());
        trace_hop("iokit", "trapped %s type=%u offset=0x%llx width=%u", is_write ? "store" : "load",
                  mapping->type, (unsigned long long)offset, width);
    }
    struct wire_words words = {
        .type = WIRE_ACCESS,
        .count = WIRE_ACCESS_WORDS,
        .words = {mapping->type, offset, width | (uint64_t)is_write << WIRE_ACCESS_WRITE_SHIFT,
                  is_write ? *value : 0},
    };
    /* A forked child has no host: the lock may be held for ever, by a thread of its parent. */
    if (!io_session_is_gone(mapping->connection->object.session) &&
        !io_connection_request_small(mapping->connection, &words, &status)) {
        status = mapping_access_by_frame(mapping, &words);
    }
    if (status == KERN_SUCCESS) {
        result &= words.count == 1 ? words.words[0] : result;
    } else {
        log_debug("iokit", "access to a mapping failed: 0x%x", (unsigned)status);
    }
    trace_end_call(outer);
    if (!is_write) {
        *value = result;
    }
}

static void mapping_free(struct io_mapping *mapping)
{
    trap_region_remove(mapping->trap);
    if (mapping->address) {
        munmap(mapping->address, mapping->mapped_bytes);
    }
    free(mapping);
}

void mapping_remove_all(struct io_connection *connection)
{
    struct io_mapping *mapping;
    while ((mapping = TAILQ_FIRST(&connection->mappings)) != NULL) {
        TAILQ_REMOVE(&connection->mappings, mapping, link);
        mapping_free(mapping);
    }
}

/* Reserve address space that faults; at wanted when that is not NULL. Pages larger than the
 * machine's are simulated: the address is a multiple of vm_page_size all the same. */
static uint8_t *mapping_reserve(size_t bytes, void *wanted)
{
    size_t slack = wanted ? 0 : vm_page_size;
    uint8_t *address = mmap(
        wanted, bytes + slack, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (wanted ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (address == MAP_FAILED) {
        return NULL;
    }
    if (wanted && address != wanted) { /* an old kernel takes the address as a hint */
        munmap(address, bytes);
        return NULL;
    }
    if (slack) {
        uint8_t *start = (uint8_t *)align_up((uintptr_t)address, vm_page_size);
        size_t before = (size_t)(start - address);
        if (before) {
            munmap(address, before);
        }
        if (slack > before) {
            munmap(start + bytes, slack - before);
        }
        address = start;
    }
    madvise(address, bytes, MADV_DONTFORK); /* handles and mappings do not survive into a child */
    return address;
}

static bool mapping_fill(struct io_mapping *mapping, const struct memory *memory)
{
    int protection = PROT_READ | (memory->is_read_only ? 0 : PROT_WRITE);
    for (uint32_t i = 0; i < memory->range_count; i++) {
        const struct memory_range *range = &memory->ranges[i];
        void *where = mapping->address + range->offset;
        if (range->bytes == 0) {
            continue;
        }
        if (mmap(where, range->bytes, protection, MAP_SHARED | MAP_FIXED, range->fd,
                 (off_t)range->fd_offset) == MAP_FAILED) {
            return false;
        }
        madvise(where, range->bytes, MADV_DONTFORK);
    }
    if (memory->direct_bytes >= memory->bytes) {
        return true;
    }
    int error = trap_region_add(mapping->address, mapping->mapped_bytes, mapping_access, mapping,
                                &mapping->trap);
    if (error == -ENOTSUP) {
        log_error("iokit", "memory type %u has registers, which cannot be trapped on this machine",
                  mapping->type);
    }
    return error == 0;
}

/* Which memory it is: the same file is the same memory; what has no file is known by its type. */
static void mapping_identify(struct io_mapping *mapping, const struct memory *memory)
{
    struct stat status;
    mapping->has_file = memory->range_count > 0 && fstat(memory->ranges[0].fd, &status) == 0;
    if (mapping->has_file) {
        mapping->device = status.st_dev;
        mapping->inode = status.st_ino;
    }
}

static bool mapping_is_same(const struct io_mapping *a, const struct io_mapping *b)
{
    return a->type == b->type && a->cache_mode == b->cache_mode && a->bytes == b->bytes &&
           a->has_file == b->has_file &&
           (!a->has_file || (a->device == b->device && a->inode == b->inode));
}

static struct io_mapping *mapping_find(struct io_connection *connection,
                                       const struct io_mapping *like)
{
    struct io_mapping *mapping;
    TAILQ_FOREACH (mapping, &connection->mappings, link) {
        if (mapping_is_same(mapping, like)) {
            return mapping;
        }
    }
    return NULL;
}

static kern_return_t mapping_make(struct io_connection *connection, const struct memory *memory,
                                  const struct io_mapping *wanted, void *at,
                                  struct io_mapping **out)
{
    struct io_mapping *mapping = malloc(sizeof(*mapping));
    if (!mapping) {
        return kIOReturnBadArgument; /* as the kernel: every failure to map is this */
    }
    *mapping = *wanted;
    mapping->mapped_bytes = memory->mapped_bytes;
    mapping->address = mapping_reserve(memory->mapped_bytes, at);
    if (!mapping->address || !mapping_fill(mapping, memory)) {
        mapping_free(mapping);
        return kIOReturnBadArgument;
    }
    TAILQ_INSERT_TAIL(&connection->mappings, mapping, link);
    *out = mapping;
    return KERN_SUCCESS;
}

static kern_return_t mapping_map(struct io_connection *connection, uint32_t type,
                                 IOOptionBits options, mach_vm_address_t at,
                                 struct io_mapping **out)
{
    struct wire_message reply;
    struct memory memory;
    bool is_anywhere = (options & kIOMapAnywhere) != 0;
    wire_message_init(&reply);
    kern_return_t status = mapping_ask(connection, type, &reply, &memory);
    if (status == KERN_SUCCESS) {
        struct io_mapping wanted = {.connection = connection,
                                    .type = type,
                                    .cache_mode = options & kIOMapCacheMask,
                                    .bytes = memory.bytes};
        mapping_identify(&wanted, &memory);
        *out = is_anywhere ? mapping_find(connection, &wanted) : NULL;
        if (!*out && !is_anywhere && (at == 0 || !is_aligned(at, vm_page_size))) {
            status = kIOReturnBadArgument;
        } else if (!*out) {
            status = mapping_make(connection, &memory, &wanted,
                                  is_anywhere ? NULL : (void *)(uintptr_t)at, out);
        }
    } else if (status != MACH_SEND_INVALID_DEST && status != MIG_SERVER_DIED) {
        log_info("iokit", "mapping memory type %u: the driver says 0x%x", type, (unsigned)status);
        status = kIOReturnBadArgument; /* the driver's own code is lost, as in the kernel */
    }
    wire_message_destroy(&reply);
    return status;
}

kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t memoryType, task_port_t intoTask,
                                   mach_vm_address_t *atAddress, mach_vm_size_t *ofSize,
                                   IOOptionBits options)
{
    kern_return_t status;
    struct io_mapping *mapping = NULL;
    if (!atAddress || !ofSize || intoTask != mach_task_self()) {
        return kIOReturnBadArgument;
    }
    mach_vm_address_t wanted = *atAddress;
    struct io_connection *connection = connection_find(connect, &status);
    if (!connection) {
        return status;
    }
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    uint64_t outer = trace_begin_call();
    trace_hop("iokit", "IOConnectMapMemory64 type=%u options=0x%x", memoryType, options);
    pthread_rwlock_wrlock(&connection->lock);
    status = mapping_map(connection, memoryType, options, wanted, &mapping);
    if (status == KERN_SUCCESS) {
        address = (uintptr_t)mapping->address;
        size = mapping->bytes;
    }
    pthread_rwlock_unlock(&connection->lock);
    connection_release(connection);
    trace_hop("iokit", "type=%u -> 0x%x", memoryType, (unsigned)status);
    trace_end_call(outer);
    if (status == KERN_SUCCESS) {
        *atAddress = address;
        *ofSize = size;
    }
    return status;
}

kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t memoryType,
                                     task_port_t fromTask, mach_vm_address_t atAddress)
{
    kern_return_t status;
    struct wire_message reply;
    struct memory memory;
    (void)atAddress; /* the kernel goes by type alone */
    if (fromTask != mach_task_self()) {
        return kIOReturnBadArgument;
    }
    struct io_connection *connection = connection_find(connect, &status);
    if (!connection) {
        return status;
    }
    uint64_t outer = trace_begin_call();
    trace_hop("iokit", "IOConnectUnmapMemory64 type=%u", memoryType);
    wire_message_init(&reply);
    pthread_rwlock_wrlock(&connection->lock);
    status = mapping_ask(connection, memoryType, &reply, &memory);
    if (status == KERN_SUCCESS) {
        struct io_mapping like = {.type = memoryType, .bytes = memory.bytes};
        struct io_mapping *mapping;
        struct io_mapping *found = NULL;
        mapping_identify(&like, &memory);
        TAILQ_FOREACH (mapping, &connection->mappings, link) {
            like.cache_mode = mapping->cache_mode; /* any compatible mapping of that memory */
            if (!found && mapping_is_same(mapping, &like)) {
                found = mapping;
            }
        }
        if (found) {
            TAILQ_REMOVE(&connection->mappings, found, link);
            mapping_free(found);
        }
        status = found ? KERN_SUCCESS : kIOReturnBadArgument;
    }
    pthread_rwlock_unlock(&connection->lock);
    wire_message_destroy(&reply);
    connection_release(connection);
    trace_end_call(outer);
    return status;
}

/* A copy of each descriptor: the reply's own are closed with it. */
static size_t direct_copy(const struct memory *memory, struct iokit_direct_range *ranges,
                          size_t maximum)
{
    size_t count = 0;
    for (uint32_t i = 0; i < memory->range_count && count < maximum; i++) {
        const struct memory_range *range = &memory->ranges[i];
        int fd = fcntl(range->fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0) {
            ranges[count++] = (struct iokit_direct_range){.offset = range->offset,
                                                          .bytes = range->bytes,
                                                          .fd_offset = range->fd_offset,
                                                          .fd = fd};
        }
    }
    return count;
}

size_t iokit_direct_ranges(io_connect_t connect, uint32_t memory_type,
                           struct iokit_direct_range *ranges, size_t maximum)
{
    kern_return_t status;
    struct wire_message reply;
    struct memory memory;
    size_t count = 0;
    struct io_connection *connection = connection_find(connect, &status);
    if (!connection) {
        return 0;
    }
    wire_message_init(&reply);
    pthread_rwlock_wrlock(&connection->lock);
    status = mapping_ask(connection, memory_type, &reply, &memory);
    pthread_rwlock_unlock(&connection->lock);
    if (status == KERN_SUCCESS && !memory.is_read_only) {
        count = direct_copy(&memory, ranges, maximum);
    }
    wire_message_destroy(&reply);
    connection_release(connection);
    return count;
}

/*
 * Conformance of the DMA buffer and of DMA regions. Every region is given back before its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOKitLib.h>
#include <inttypes.h>
#include <mach/mach.h>
#include <string.h>
#include <sys/mman.h>

#include "conformance.h"
#include "region.h"

#define IOVA         CONFORMANCE_IOVA
#define IOVA_SECOND  (CONFORMANCE_IOVA + 0x100000)
#define CHUNK_BYTES  (UINT64_C(1536) << 20) /* 1.5 GiB: the longest bus segment */
#define CHUNKS_MAX   128
#define BUFFER_BYTES UINT64_C(20000)
#define COPY_BYTES   4096

static struct conformance_call do_register(io_connect_t client, uint64_t iova, const void *memory,
                                           uint64_t bytes)
{
    const uint64_t in[] = {iova, (uintptr_t)memory, bytes};
    return conformance_ask(client, SEL_REGISTER_REGION, in);
}

static kern_return_t do_unregister(io_connect_t client, uint64_t iova)
{
    return conformance_ask(client, SEL_UNREGISTER_REGION, &iova).code;
}

static struct conformance_call do_probe(io_connect_t client, uint64_t iova, uint64_t offset)
{
    const uint64_t in[] = {iova, offset};
    return conformance_ask(client, SEL_PROBE_REGION, in);
}

static struct conformance_call do_allocate(io_connect_t client, uint64_t bytes, uint64_t alignment)
{
    const uint64_t in[] = {bytes, alignment};
    return conformance_ask(client, SEL_ALLOCATE_BUFFER, in);
}

/* A claimed client and memory to register; false when the test has failed. */
static bool begin(struct conformance *run, io_connect_t *client, uint8_t **memory)
{
    *client = conformance_claim_own(run);
    *memory = *client == IO_OBJECT_NULL ? NULL : conformance_memory(run);
    return *memory != NULL;
}

/* begin, and a region at IOVA of this many bytes. */
static bool begin_region(struct conformance *run, io_connect_t *client, uint8_t **memory,
                         uint64_t bytes)
{
    if (!begin(run, client, memory)) {
        return false;
    }
    struct conformance_call call = do_register(*client, IOVA, *memory, bytes);
    return want_code(run, call.code, KERN_SUCCESS, "RegisterDMARegion");
}

/* The buffer */

static bool map_buffer(struct conformance *run, io_connect_t client, mach_vm_size_t *size,
                       mach_vm_address_t *address)
{
    *address = 0;
    *size = 0;
    kern_return_t code =
        IOConnectMapMemory64(client, 0, mach_task_self(), address, size, kIOMapAnywhere);
    return want_code(run, code, KERN_SUCCESS, "mapping the buffer");
}

static void buffer_good(struct conformance *run)
{
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = do_allocate(client, BUFFER_BYTES, 0);
    if (!want_reply(run, &call)) {
        return;
    }
    want(run, call.out[0] >= BUFFER_BYTES, "%" PRIu64 " bytes", call.out[0]);
    want(run, call.out[2] == 1, "%" PRIu64 " segments", call.out[2]);
    want(run, call.out[3] != 0 && call.out[4] >= BUFFER_BYTES,
         "the first is 0x%" PRIx64 " bytes at 0x%" PRIx64, call.out[4], call.out[3]);
    want(run, call.out[5] == run->instance.class_code, "class code %06" PRIx64, call.out[5]);
}

static void buffer_memory(struct conformance *run)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = do_allocate(client, BUFFER_BYTES, 0);
    if (!want_code(run, call.code, KERN_SUCCESS, "AllocateDMABuffer") ||
        !map_buffer(run, client, &size, &address)) {
        return;
    }
    if (want(run, size >= BUFFER_BYTES, "the mapping has %" PRIu64 " bytes", (uint64_t)size)) {
        volatile uint8_t *bytes = (volatile uint8_t *)(uintptr_t)address;
        bytes[BUFFER_BYTES - 1] = 0x5a;
        want(run, bytes[BUFFER_BYTES - 1] == 0x5a, "its last byte does not keep a value");
    }
    IOConnectUnmapMemory64(client, 0, mach_task_self(), address);
}

static void buffer_size(struct conformance *run)
{
    static const uint64_t sizes[] = {0, CHUNK_BYTES + 1, UINT64_C(1) << 40, UINT64_MAX};
    io_connect_t client = conformance_claim_own(run);
    for (size_t i = 0; client != IO_OBJECT_NULL && i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct conformance_call call = do_allocate(client, sizes[i], 0);
        want_code(run, call.code, kIOReturnBadArgument, "0x%" PRIx64 " bytes", sizes[i]);
    }
}

static void buffer_alignment(struct conformance *run)
{
    static const uint64_t alignments[] = {3, 4097, UINT64_MAX};
    io_connect_t client = conformance_claim_own(run);
    for (size_t i = 0; client != IO_OBJECT_NULL && i < 3; i++) {
        struct conformance_call call = do_allocate(client, 4096, alignments[i]);
        want_code(run, call.code, kIOReturnBadArgument, "alignment 0x%" PRIx64, alignments[i]);
    }
}

static void buffer_again(struct conformance *run)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call one = do_allocate(client, 4096, 0);
    struct conformance_call two = do_allocate(client, 10 * UINT64_C(16384), 0);
    if (want_reply(run, &one) && want_reply(run, &two) &&
        map_buffer(run, client, &size, &address)) {
        want(run, size >= 10 * UINT64_C(16384), "the mapping has %" PRIu64 " bytes: the first's",
             (uint64_t)size);
        IOConnectUnmapMemory64(client, 0, mach_task_self(), address);
    }
}

static void buffer_each_its_own(struct conformance *run)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    io_connect_t one = conformance_claim_own(run);
    io_connect_t two = one == IO_OBJECT_NULL ? one : conformance_claim_own(run);
    if (two == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call of_one = do_allocate(one, 4096, 0);
    struct conformance_call of_two = do_allocate(two, 4096, 0);
    if (!want_reply(run, &of_one) || !want_reply(run, &of_two) ||
        !want(run, of_one.out[3] != of_two.out[3], "both are at 0x%" PRIx64, of_one.out[3])) {
        return;
    }
    want_code(run, conformance_ask(two, SEL_FREE_BUFFER, NULL).code, KERN_SUCCESS, "FreeDMABuffer");
    if (map_buffer(run, one, &size, &address)) {
        IOConnectUnmapMemory64(one, 0, mach_task_self(), address);
    }
}

static void buffer_absent(struct conformance *run, io_connect_t client, const char *when)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    kern_return_t code =
        IOConnectMapMemory64(client, 0, mach_task_self(), &address, &size, kIOMapAnywhere);
    if (!want(run, code != KERN_SUCCESS, "memory type 0 can be mapped %s", when)) {
        IOConnectUnmapMemory64(client, 0, mach_task_self(), address);
    }
}

static void buffer_none(struct conformance *run)
{
    io_connect_t client = conformance_claim_own(run);
    if (client != IO_OBJECT_NULL) {
        buffer_absent(run, client, "before there is a buffer");
    }
}

static void free_good(struct conformance *run)
{
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = do_allocate(client, 4096, 0);
    want_code(run, call.code, KERN_SUCCESS, "AllocateDMABuffer");
    struct conformance_call end = conformance_ask(client, SEL_FREE_BUFFER, NULL);
    if (want_reply(run, &end)) {
        buffer_absent(run, client, "after it was freed");
    }
}

static void free_none(struct conformance *run)
{
    io_connect_t client = conformance_claim_own(run);
    for (int i = 0; client != IO_OBJECT_NULL && i < 2; i++) {
        struct conformance_call call = conformance_ask(client, SEL_FREE_BUFFER, NULL);
        want_reply(run, &call);
    }
}

/* Regions */

static void register_good(struct conformance *run)
{
    static const uint64_t sizes[] = {1, 4096, 16384, 2 * 16384 + 24};
    io_connect_t client;
    uint8_t *memory;
    if (!begin(run, &client, &memory)) {
        return;
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && run->outcome == OUTCOME_OK; i++) {
        struct conformance_call call = do_register(client, IOVA, memory, sizes[i]);
        if (!want_reply(run, &call)) {
            return;
        }
        want(run, call.out[0] == 1, "%" PRIu64 " segments", call.out[0]);
        want(run, call.out[1] != 0 && call.out[2] >= sizes[i],
             "0x%" PRIx64 " bytes became 0x%" PRIx64 " at 0x%" PRIx64, sizes[i], call.out[2],
             call.out[1]);
        want_code(run, do_unregister(client, IOVA), KERN_SUCCESS, "UnregisterDMARegion");
    }
}

/* Registering that must be refused; where it is not, the region is taken back. */
static void refuse_register(struct conformance *run, io_connect_t client, uint64_t iova,
                            const void *memory, uint64_t bytes, kern_return_t wanted)
{
    struct conformance_call call = do_register(client, iova, memory, bytes);
    if (call.code == KERN_SUCCESS) {
        do_unregister(client, iova);
    }
    if (run->test->known && call.code == KERN_SUCCESS) {
        differs(run);
    } else {
        want_code(run, call.code, wanted, "0x%" PRIx64 " bytes at iova 0x%" PRIx64, bytes, iova);
    }
}

static void register_size_0(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (begin(run, &client, &memory)) {
        refuse_register(run, client, IOVA, memory, 0, kIOReturnBadArgument);
    }
}

static void register_address_0(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (begin(run, &client, &memory)) {
        refuse_register(run, client, IOVA, NULL, 4096, kIOReturnBadArgument);
    }
}

static void register_iova_wraps(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (begin(run, &client, &memory)) {
        refuse_register(run, client, UINT64_MAX - 10, memory, 4096, kIOReturnBadArgument);
    }
}

/* The real dext gives the system's code for memory that cannot be described. */
static void register_address_wraps(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (!begin(run, &client, &memory)) {
        return;
    }
    struct conformance_call call =
        do_register(client, IOVA, (const void *)(UINTPTR_MAX - 10), 4096);
    if (want(run, call.code != KERN_SUCCESS, "memory that wraps was registered") &&
        call.code != kIOReturnBadArgument) {
        differs(run);
    }
}

static void register_same_iova(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (begin_region(run, &client, &memory, 4096)) {
        struct conformance_call call = do_register(client, IOVA, memory + 16384, 16);
        want_code(run, call.code, kIOReturnStillOpen, "a second region at one iova");
        want_code(run, do_unregister(client, IOVA), KERN_SUCCESS, "UnregisterDMARegion");
        want_code(run, do_unregister(client, IOVA), kIOReturnNotFound, "and again");
    }
}

static void register_overlap(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (!begin(run, &client, &memory)) {
        return;
    }
    struct conformance_call one = do_register(client, IOVA, memory, 8192);
    if (!want_reply(run, &one)) {
        return;
    }
    struct conformance_call two = do_register(client, IOVA + 4096, memory + 16384, 8192);
    if (one.out[1] == IOVA) { /* where iovas are bus addresses, overlap is impossible */
        want_code(run, two.code, kIOReturnStillOpen, "a region inside another, iova for iova");
    } else if (want_reply(run, &two)) {
        want(run, one.out[1] != two.out[1], "both have the bus address 0x%" PRIx64, one.out[1]);
    }
}

static void register_too_long(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (begin(run, &client, &memory)) {
        refuse_register(run, client, IOVA, memory, CHUNKS_MAX * CHUNK_BYTES + 1, kIOReturnNoSpace);
    }
}

/* Where the budget allows more than one segment; a Mac's does not, and it would pin the memory. */
static void register_chunks(struct conformance *run)
{
    AppleDextCapabilities limits;
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL || apple_dext_get_capabilities(client, &limits) != KERN_SUCCESS ||
        limits.interface_version == 0 || limits.aperture_bytes <= CHUNK_BYTES) {
        skip(run, "more than 1.5 GiB cannot be mapped here");
        return;
    }
    void *memory = mmap(NULL, CHUNK_BYTES + 65536, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    if (!want(run, memory != MAP_FAILED, "no memory")) {
        return;
    }
    struct conformance_call call = do_register(client, IOVA, memory, CHUNK_BYTES + 1);
    if (want_reply(run, &call)) {
        want(run, call.out[0] == 1 && call.out[2] == CHUNK_BYTES,
             "%" PRIu64 " segments, the first of 0x%" PRIx64 " bytes", call.out[0], call.out[2]);
        want_code(run, do_unregister(client, IOVA), KERN_SUCCESS, "UnregisterDMARegion");
    }
    munmap(memory, CHUNK_BYTES + 65536);
}

static void register_no_memory(struct conformance *run)
{
    uintptr_t page = (uintptr_t)vm_page_size;
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    void *hole = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (!want(run, hole != MAP_FAILED, "no memory")) {
        return;
    }
    uintptr_t at = ((uintptr_t)hole + page - 1) / page * page;
    munmap(hole, 2 * page);
    struct conformance_call call = do_register(client, IOVA, (const void *)at, page);
    want(run, call.code != KERN_SUCCESS, "memory that is not there was registered");
    want_code(run, do_unregister(client, IOVA), kIOReturnNotFound, "unregistering it");
}

static void register_each_its_own(struct conformance *run)
{
    io_connect_t one;
    uint8_t *memory;
    if (!begin_region(run, &one, &memory, 4096)) {
        return;
    }
    io_connect_t two = conformance_claim_own(run);
    if (two == IO_OBJECT_NULL) {
        return;
    }
    want_code(run, do_unregister(two, IOVA), kIOReturnNotFound, "another client's region");
    want_code(run, do_probe(two, IOVA, 0).code, kIOReturnNotFound, "another client's region");
    struct conformance_call call = do_probe(one, IOVA, 0);
    want_reply(run, &call);
}

static void register_ends_with_client(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (!begin_region(run, &client, &memory, 4096)) {
        return;
    }
    conformance_leave(run, client);
    if (begin_region(run, &client, &memory, 4096)) {
        want_code(run, do_unregister(client, IOVA), KERN_SUCCESS, "UnregisterDMARegion");
    }
}

static void unregister_good(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    for (int i = 0; i < 2 && run->outcome == OUTCOME_OK; i++) {
        if (begin_region(run, &client, &memory, 4096)) {
            struct conformance_call call = {
                .selector = SEL_UNREGISTER_REGION, .in_count = 1, .in = {IOVA}};
            conformance_call(client, &call);
            want_reply(run, &call);
            want_code(run, do_probe(client, IOVA, 0).code, kIOReturnNotFound, "probing it then");
        }
    }
}

static void unregister_not_found(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (begin_region(run, &client, &memory, 8192)) {
        want_code(run, do_unregister(client, IOVA_SECOND), kIOReturnNotFound, "no region there");
        want_code(run, do_unregister(client, IOVA + 4096), kIOReturnNotFound, "inside a region");
        want_code(run, do_unregister(client, IOVA), KERN_SUCCESS, "UnregisterDMARegion");
        want_code(run, do_unregister(client, IOVA), kIOReturnNotFound, "the same again");
    }
}

static void probe_good(struct conformance *run)
{
    static const uint64_t offsets[] = {0, 1, 500, 992};
    io_connect_t client;
    uint8_t *memory = conformance_memory(run);
    uint64_t word;
    if (!memory) {
        return;
    }
    pattern_fill(memory, 1000, 1);
    if (!begin_region(run, &client, &memory, 1000)) {
        return;
    }
    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        struct conformance_call call = do_probe(client, IOVA, offsets[i]);
        memcpy(&word, memory + offsets[i], sizeof(word));
        if (want_reply(run, &call)) {
            want(run, call.out[0] == word, "at %" PRIu64 " 0x%" PRIx64 ", want 0x%" PRIx64,
                 offsets[i], call.out[0], word);
        }
    }
    memset(memory, 0x33, 8);
    struct conformance_call call = do_probe(client, IOVA, 0);
    want(run, call.out[0] == UINT64_C(0x3333333333333333), "what was written later is not seen");
}

static void probe_overrun(struct conformance *run)
{
    static const uint64_t offsets[] = {993, 999, 1000, UINT64_C(1) << 40};
    io_connect_t client;
    uint8_t *memory;
    if (!begin_region(run, &client, &memory, 1000)) {
        return;
    }
    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        want_code(run, do_probe(client, IOVA, offsets[i]).code, kIOReturnOverrun,
                  "offset 0x%" PRIx64 " of 1000 bytes", offsets[i]);
    }
}

static void probe_not_found(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    if (begin_region(run, &client, &memory, 1000)) {
        want_code(run, do_probe(client, IOVA_SECOND, 0).code, kIOReturnNotFound, "no region there");
        want_code(run, do_probe(client, IOVA + 8, 0).code, kIOReturnNotFound, "inside a region");
    }
}

/* The device copies from one region to the other. */
static void device_copies(struct conformance *run)
{
    io_connect_t client;
    uint8_t *memory;
    struct engine engine;
    struct session session;
    if (!begin(run, &client, &memory) || !conformance_engine(run, &engine, &session, client)) {
        return;
    }
    uint8_t *target = memory + 2 * 16384;
    struct conformance_call one = do_register(client, IOVA, memory, COPY_BYTES);
    struct conformance_call two = do_register(client, IOVA_SECOND, target, COPY_BYTES);
    if (want_reply(run, &one) && want_reply(run, &two)) {
        pattern_fill(memory, COPY_BYTES, 7);
        memset(target, 0, COPY_BYTES);
        const char *cause = engine.ops->copy(&engine, one.out[1], two.out[1], COPY_BYTES);
        want(run, !cause, "%s", cause);
        want(run, pattern_compare(target, COPY_BYTES, 7) == COPY_BYTES,
             "what the device copied is not what was there");
    }
    do_unregister(client, IOVA);
    do_unregister(client, IOVA_SECOND);
    engine_close(&engine);
}

static const struct conformance_test tests[] = {
    {"AllocateDMABuffer.good", LEVEL_DMA, "sel.3",
     "one segment of at least the size, and the class code", buffer_good, NULL, 0},
    {"AllocateDMABuffer.size", LEVEL_DMA, "buffer.size",
     "kIOReturnBadArgument for 0 and above 1.5 GiB", buffer_size, NULL, 0},
    {"AllocateDMABuffer.alignment", LEVEL_DMA, "buffer.alignment",
     "kIOReturnBadArgument but for powers of two", buffer_alignment, NULL, 0},
    {"AllocateDMABuffer.again", LEVEL_DMA, "buffer.one", "a second buffer takes the first's place",
     buffer_again, NULL, 0},
    {"AllocateDMABuffer.each-its-own", LEVEL_DMA, "buffer.one",
     "each client has a buffer of its own", buffer_each_its_own, NULL, 0},
    {"Memory.no-buffer", LEVEL_DMA, "mem.0", "type 0 cannot be mapped without a buffer",
     buffer_none, NULL, 0},
    {"Memory.buffer", LEVEL_DMA, "mem.0", "type 0 is the buffer", buffer_memory, NULL, 0},
    {"FreeDMABuffer.good", LEVEL_DMA, "sel.4", "success; type 0 cannot be mapped then", free_good,
     NULL, 0},
    {"FreeDMABuffer.none", LEVEL_DMA, "buffer.none", "success without a buffer", free_none, NULL,
     0},
    {"RegisterDMARegion.good", LEVEL_DMA, "sel.5", "one segment of at least the size",
     register_good, NULL, 0},
    {"RegisterDMARegion.size-0", LEVEL_DMA, "dma.size-0", "kIOReturnBadArgument", register_size_0,
     NULL, 0},
    {"RegisterDMARegion.address-0", LEVEL_DMA, "dma.address-0", "kIOReturnBadArgument",
     register_address_0, NULL, 0},
    {"RegisterDMARegion.iova-wraps", LEVEL_DMA, "dma.iova-wraps", "kIOReturnBadArgument",
     register_iova_wraps, "success: an iova is a name to it", 0},
    {"RegisterDMARegion.address-wraps", LEVEL_DMA, "dma.address-wraps", "kIOReturnBadArgument",
     register_address_wraps, "the system's code for memory that cannot be described", 0},
    {"RegisterDMARegion.same-iova", LEVEL_DMA, "dma.same-iova",
     "kIOReturnStillOpen, and the first region stays", register_same_iova, NULL, 0},
    {"RegisterDMARegion.overlap", LEVEL_DMA, "dma.overlap",
     "regions that overlap but start apart are two; StillOpen where bus addresses are iovas",
     register_overlap, NULL, 0},
    {"RegisterDMARegion.too-long", LEVEL_DMA, "dma.too-long",
     "kIOReturnNoSpace above 128 chunks of 1.5 GiB", register_too_long, NULL, 0},
    {"RegisterDMARegion.chunks", LEVEL_DMA, "dma.chunks",
     "above 1.5 GiB success with the first chunk's length", register_chunks, NULL, 0},
    {"RegisterDMARegion.no-memory", LEVEL_DMA, "dma.no-memory",
     "an error for memory that is not there, and no region", register_no_memory, NULL, 0},
    {"RegisterDMARegion.each-its-own", LEVEL_DMA, "dma.each-its-own",
     "kIOReturnNotFound for another client's region", register_each_its_own, NULL, 0},
    {"RegisterDMARegion.ends-with-client", LEVEL_DMA, "dma.ends-with-client",
     "a region goes with its client", register_ends_with_client, NULL, 0},
    {"UnregisterDMARegion.good", LEVEL_DMA, "sel.6", "success; the iova is free again",
     unregister_good, NULL, 0},
    {"UnregisterDMARegion.not-found", LEVEL_DMA, "dma.not-found",
     "kIOReturnNotFound where no region starts", unregister_not_found, NULL, 0},
    {"ProbeDMARegion.good", LEVEL_DMA, "sel.7", "8 bytes of the memory as it is now", probe_good,
     NULL, 0},
    {"ProbeDMARegion.overrun", LEVEL_DMA, "dma.overrun",
     "kIOReturnOverrun where the 8 bytes pass the end", probe_overrun, NULL, 0},
    {"ProbeDMARegion.not-found", LEVEL_DMA, "dma.not-found",
     "kIOReturnNotFound where no region starts", probe_not_found, NULL, 0},
    {"Device.copies", LEVEL_DMA, "dma.device",
     "the device reads one region and writes another at their bus addresses", device_copies, NULL,
     0},
};

const struct conformance_group conformance_dma = {tests, sizeof(tests) / sizeof(*tests)};

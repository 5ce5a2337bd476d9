/*
 * VFIOUserPCIDriver in C: one struct dext a PCI function, one struct dext_client a user client.
 * Knows nothing of processes, sockets or frames: what DriverKit gives a dext arrives as
 * dext_host_ops, so dispatch runs in-process, in dextd and under a fuzzer.
 *
 * Threads: any. Calls are serialised per dext, as on DriverKit's default queue, but for those that
 * only look (GetCapabilities and the telemetry): they answer while a reset runs.
 * Lock order: the dext's lock, then the provider's, then the dext's interrupt lock (leaf).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_DEXT_H
#define DEXTLINK_DEXT_DEXT_H

#include <IOKit/IOReturn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shared_memory.h"
#include "provider/pci_provider.h"

struct dext;
struct dext_client;

/* What DriverKit offers a dext. client_context is what dext_client_open was given. */
struct dext_host_ops {
    /* Describe [address, address + bytes) of the client's memory (CreateMemoryDescriptorFromClient
     * and wiring): it lies at *offset of *out. Range checked for wrap by the caller. Called with
     * the dext's lock held. 0 and *out (one ops->release for each call; several calls may give the
     * same object); -EFAULT when any page is not there; -ENOMEM; -ESRCH client gone. */
    int (*client_memory)(void *client_context, uint64_t address, uint64_t bytes,
                         struct dma_memory **out, uint64_t *offset);

    /* The calls of client_memory up to the next one with NULL are for these entries, count times
     * struct dext_dma_request (not aligned, borrowed till then), and parts of one request: all may
     * be answered from what the client had mapped at the first. Who maps something else meanwhile
     * cannot say which of both he meant. Called with the dext's lock held. Optional. */
    void (*client_hold)(void *client_context, const void *requests, size_t count);

    /* Complete the asynchronous call that came with this token: send status and count arguments
     * (WaitInterrupt: success and none). May come before the call that brought the token returns;
     * at most once a token, never for one that a newer wait replaced. Called on any thread with the
     * interrupt lock held: must not block or call the dext. */
    void (*async_complete)(void *client_context, uint64_t token, IOReturn status,
                           const uint64_t *arguments, unsigned count);

    /* The dext wants its service terminated (selector 2). Must return at once and act later on
     * another thread: it is called with the dext's lock held. */
    void (*terminate)(void *dext_context);

    /* Optional. Whose the client is, for the record of its calls: a process id, 0 unknown. Called
     * when it opens, without a lock. */
    uint32_t (*client_process)(void *client_context);
};

struct dext_options {
    bool access_open;           /* the real dext's rule for unclaimed clients */
    bool no_extensions;         /* selectors from 64 on are unsupported, as on the real dext */
    bool refuses_clients;       /* every open is NotPermitted, as without the entitlement (A3) */
    uint32_t reset_deadline_ms; /* per step of a reset, for the device to answer; 0 = 1000 */
};

/* Arguments of one external method; the layout follows IOUserClientMethodArguments. */
struct dext_arguments {
    const uint64_t *scalar_in;
    uint32_t scalar_in_count;
    const void *struct_in;
    size_t struct_in_bytes;
    uint64_t *scalar_out;      /* zeroed by the caller */
    uint32_t scalar_out_count; /* in: capacity; out: unchanged, or what the method produced */
    void *struct_out;
    size_t struct_out_bytes; /* in: capacity; out: bytes produced */
    size_t struct_out_room;  /* for the method: the capacity, while struct_out_bytes is 0 */
    bool has_completion;
    uint64_t completion_token; /* valid when has_completion */
};

/* What a memory type is made of. */
struct dext_memory {
    uint64_t bytes; /* exact length to report; the one range of types 0 and 7 is whole granules */
    struct pci_direct_range ranges[PCI_MAX_RANGES];
    unsigned range_count; /* what is in no range is trapped */
    bool is_read_only;
};

/** Make one for a provider. ops, provider and dext_context are borrowed and outlive it.
 * 0, -ENOMEM. */
int dext_create(struct pci_provider *provider, const struct dext_host_ops *ops, void *dext_context,
                const struct dext_options *options, struct dext **out);

/** NULL is fine. All clients must have been stopped. */
void dext_destroy(struct dext *dext);

/** NewUserClient. type must be DEXT_USER_CLIENT_TYPE, else kIOReturnUnsupported;
 * kIOReturnNoMemory; kIOReturnNoDevice when the device is gone. */
IOReturn dext_client_open(struct dext *dext, uint32_t type, void *client_context,
                          struct dext_client **out);

/**
 * Stop and free a user client: releases claim, DMA, interrupts, buffer; when it was the last claim,
 * bus mastering goes off before any memory is let go. After it returns the host ops are not called
 * for it again and no device access reaches its memory. No call for this client may be under way or
 * begin. May block for accesses under way and for another client's reset. NULL is fine.
 */
void dext_client_stop(struct dext_client *client);

/** ExternalMethod. Codes: protocol of the selector; kIOReturnUnsupported unknown selector;
 * kIOReturnBadArgument too few scalars. May block (reset, claim). */
IOReturn dext_client_external_method(struct dext_client *client, uint64_t selector,
                                     struct dext_arguments *arguments);

/** CopyClientMemoryForType. fds in *out are borrowed: valid while the client is open; for type 0
 * until the buffer is freed. kIOReturnNotReady, NotOpen, BadArgument (type), NotFound, Unsupported
 * (I/O BAR). */
IOReturn dext_client_memory_for_type(struct dext_client *client, uint64_t type,
                                     struct dext_memory *out);

/** A load or store that hit a trapped part of memory type type, a BAR (kIOReturnBadArgument for
 * other types: nothing of them is trapped; also for width, alignment and range). Checks as for
 * mapping, but a device that is gone gives ones with success. A read always stores *value (ones
 * when it fails). */
IOReturn dext_client_memory_access(struct dext_client *client, uint64_t type, uint64_t offset,
                                   uint64_t width, bool is_write, uint64_t *value);

/** The device has gone (surprise removal): completes nothing, fails what comes, ends a reset under
 * way. Does not tell the provider (provider_remove does) nor wait for any call. */
void dext_device_removed(struct dext *dext);

#endif

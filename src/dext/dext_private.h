/*
 * What the files of the dext share: the two structs, their locks, and one function a method.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_DEXT_PRIVATE_H
#define DEXTLINK_DEXT_DEXT_PRIVATE_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>

#include "abi/dext_abi.h"
#include "base/shared_memory.h"
#include "dext/call_ring.h"
#include "dext/dext.h"
#include "dext/region_table.h"

/*
 * Lock order, outermost first: dext.lock, the provider's locks, the DART's lock, dext.irq_lock.
 *
 * dext.lock      one call at a time, as on DriverKit's default queue. Held over everything but the
 *                calls that only look (LOCK_NONE in dispatch.c).
 * dext.irq_lock  leaf. The interrupt handler takes it while the back end holds its device lock, so
 *                nobody may call the provider or take dext.lock with it held. Guards subscribers
 *                and client.irq, and counts; host ops->async_complete is called under it.
 */

/* Command register bits (PCI Local Bus 3.0, 6.2.2) that a claim sets and a release clears. */
#define DEXT_COMMAND_OFFSET     0x04
#define DEXT_COMMAND_MEMORY     0x2u
#define DEXT_COMMAND_BUS_MASTER 0x4u

/* The DMA buffer of a client; its dma_memory is what the DART sees. */
struct dext_buffer {
    struct dma_memory memory; /* first member */
    struct shared_memory shared;
    struct dart_mapping *mapping;
};

/* Guarded by irq_lock. */
struct dext_client_irq {
    TAILQ_ENTRY(dext_client) link;
    bool is_set_up;
    struct shared_memory page; /* struct dext_irq_state */
    bool is_waiting;
    uint64_t token; /* of the wait, when is_waiting */
};

/* Guarded by dext.lock but for irq. */
struct dext_client {
    struct dext *dext;
    void *host_context;
    uint64_t id; /* owner tag in the DART; starts at 1 */
    uint32_t process;
    TAILQ_ENTRY(dext_client) link;
    bool is_claimed;
    struct dext_region_table regions;
    struct dext_buffer *buffer; /* NULL when there is none */
    struct dext_client_irq irq;
};

TAILQ_HEAD(dext_client_list, dext_client);

#define DEXT_SELECTOR_ROOM 80 /* more than the highest selector */

struct dext {
    struct pci_provider *provider;
    const struct dext_host_ops *ops;
    void *host_context;
    struct dext_options options;

    pthread_mutex_t lock;
    struct dext_client_list clients;
    uint64_t last_client_id;
    bool is_terminating;
    bool irq_is_configured; /* the provider delivers vectors to us */
    unsigned irq_vectors;

    pthread_mutex_t irq_lock;
    struct dext_client_list subscribers;                /* clients that did SetupInterrupts */
    uint64_t irqs_raised, irqs_delivered, irqs_dropped; /* under irq_lock */
    _Atomic(struct dext_irq_state *) irq_newest; /* to prefetch, never to look into: may be gone */

    /* Read without a lock by the calls that only look. */
    _Atomic bool is_removed;
    _Atomic bool is_resetting;
    _Atomic uint64_t generation;
    _Atomic uint64_t claim_count; /* changes under lock */
    _Atomic uint64_t calls;
    _Atomic uint64_t calls_of[DEXT_SELECTOR_ROOM];
    struct call_ring ring; /* the last calls; has no lock */
};

/* One method: called with its scalars counted, its claim checked and (but for the calls that only
 * look) dext.lock held. Outputs count only with kIOReturnSuccess. */
typedef IOReturn (*dext_method_fn)(struct dext_client *client, struct dext_arguments *arguments);

/* Log a refusal, one line, and hand the code on. The layers below answer without a word: this is
 * the hop that tells. kIOReturnSuccess passes silently. */
IOReturn dext_refuse(IOReturn code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Keep a call that has just ended in the ring. record: all but sequence, duration, client and
 * process; its start is ticks_now's, as are times in the ring. */
void dext_call_record(struct dext_client *client, struct dext_call_record *record);

/** Whether the device has gone, whoever noticed first. Any thread. */
bool dext_is_removed(struct dext *dext);

/** May this client touch the device now? kIOReturnSuccess or kIOReturnNotOpen. dext.lock held. */
IOReturn dext_claim_check(struct dext_client *client, const char *what);

/** Clear Bus Master, ahead of everything else that a last claim's release lets go. */
void dext_claim_quiesce(struct dext *dext);
/** Drop the client's claim; the last one closes the provider. No-op when unclaimed. */
void dext_claim_release(struct dext_client *client);

/** Whether a provider's error shows as ones or silence with success: the kernel serves accesses
 * only while the device is open, and a dead device answers nothing. */
bool dext_error_is_silent(int error);
/** Raw register; ones when it cannot be had. */
uint32_t dext_config_raw(struct dext *dext, unsigned offset, unsigned width);
/** BAR index checked: kIOReturnBadArgument (above 5), NotFound (unused, upper half; not
 * logged). */
IOReturn dext_bar_info(struct dext *dext, uint64_t bar, struct pci_bar_info *info);
/** Sizes and alignment of one access to a BAR of these bytes: success or kIOReturnBadArgument. */
IOReturn dext_bar_check_access(const struct pci_bar_info *info, uint64_t offset, uint64_t width);
/** Carry out an access whose sizes were checked; dead or closed: ones or nothing, with success. */
IOReturn dext_bar_read(struct dext *dext, unsigned bar, uint64_t offset, uint64_t width,
                       uint64_t *value);
IOReturn dext_bar_write(struct dext *dext, unsigned bar, uint64_t offset, uint64_t width,
                        uint64_t value);

/* How a region is added. */
enum dext_dma_shape {
    DMA_FIRST_CHUNK, /* may become several bus segments, of which the first is told */
    DMA_ONE_SEGMENT, /* else kIOReturnNotAligned */
    DMA_SEGMENTS,    /* as few as there is room for, at most so many, else kIOReturnOverrun */
};
/** Register one region, as RegisterDMARegion. Codes of that selector; refusals are logged. *out
 * stays as it is but with success, and is good until the region goes. */
IOReturn dext_dma_add(struct dext_client *client, const struct dext_dma_request *request,
                      enum dext_dma_shape shape, unsigned most, struct dext_region *out);
/** End the region that starts at iova. kIOReturnNotFound, logged. */
IOReturn dext_dma_remove(struct dext_client *client, iova_t iova);

/** Unmap and free every region and the buffer of a client. Blocks for accesses under way. */
void dext_dma_release(struct dext_client *client);
void dext_buffer_free(struct dext_client *client);
bool dext_buffer_is_memory_of(const struct dma_memory *memory);

/** No vector reaches the client any more; its page is gone. */
void dext_irq_release(struct dext_client *client);
/** The device has gone, or the dext will: every client's page says so. */
void dext_irq_end(struct dext *dext);
/** The last claim goes: the provider stops delivering. */
void dext_irq_release_provider(struct dext *dext);

/* One function a row of DEXT_SELECTORS. */
IOReturn dext_config_identity(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_claim_take(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_client_terminate(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_buffer_allocate(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_buffer_release(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_dma_register(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_dma_unregister(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_dma_probe(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_dma_register_segments(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_dma_register_batch(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_dma_unregister_batch(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_config_read(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_config_write(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_bar_get_info(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_bar_ranges(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_bar_mmio_read(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_bar_mmio_write(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_irq_setup(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_irq_check(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_irq_wait(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_irq_set_mask(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_reset_device(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_statistics_capabilities(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_statistics_counters(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_statistics_state(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_statistics_calls(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_calls_read(struct dext_client *client, struct dext_arguments *arguments);
IOReturn dext_dma_list(struct dext_client *client, struct dext_arguments *arguments);

#endif

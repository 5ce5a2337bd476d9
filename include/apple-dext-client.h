/*
 * Client of the VFIOUserPCIDriver DriverKit extension: one PCI function on macOS, driven from user
 * space through IOKit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VFIO_APPLE_DEXT_CLIENT_H
#define HW_VFIO_APPLE_DEXT_CLIENT_H

#include <IOKit/IOKitLib.h>
#include <stdint.h>

/*
 * DOC: conventions, stated once
 *
 * Connection. An io_connect_t from apple_dext_connect is one user client of one driver instance.
 * It is opened, not claimed: an unclaimed connection may ask for identity, BAR information,
 * capabilities, statistics, state and records; what touches the device needs apple_dext_claim.
 * What a connection holds (claim, DMA regions, buffer, interrupts, mappings) ends with
 * apple_dext_disconnect. A connection opened by IOServiceOpen elsewhere may be used as well.
 *
 * Codes. Functions return kIOReturnSuccess or the code of the first thing that failed; the codes
 * of IOKit pass through unchanged, and apple_dext_status_text says what each means here. Outputs
 * are written on success only, unless a function says otherwise. On every function:
 *   kIOReturnBadArgument   the connection is IO_OBJECT_NULL, an output pointer is NULL (unless the
 *                          function says that it may be), or an argument is out of the range given
 *                          with the function; also what the system says for a connection that died
 *                          while it had mappings, unless interrupts were set up on
 *                          it: then it is MACH_SEND_INVALID_DEST
 *   kIOReturnUnderrun      the driver's reply was shorter than its interface promises
 *   kIOReturnNotOpen       the function needs a claim that this connection does not have
 *   MACH_SEND_INVALID_DEST the connection is closed, being closed, or its driver has gone
 *   MIG_SERVER_DIED        the driver died during the call
 *
 * Dead is not ones. Hardware that is gone, or not yet claimed, reads as ones. When a config or
 * MMIO read gives all ones the vendor ID is read too; if that is ones as well, the read returns
 * kIOReturnNoDevice (kIOReturnNotOpen on a connection without its own claim) and still stores the
 * ones. Writes on a connection without its own claim are verified in the same way.
 *
 * Numbers. Offsets, sizes and addresses are in bytes; values are in host byte order, in the low
 * bytes of a uint64_t. An iova is the address the caller gives a region to name it; a bus address
 * is what the device must use, chosen by the host: do not assume that they are equal.
 *
 * Threads. Every function may be called from any thread, on one connection side by side. Calls
 * block until the driver answers; a driver that hangs hangs its callers, except in connect, which
 * has a deadline. apple_dext_disconnect waits for calls on that connection that are under way.
 */

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* ---- Connection ------------------------------------------------------------------------------ */

/**
 * Open the driver instance of the function at bus:device.function.
 *
 * Instances are chosen by their registry properties; only the chosen one is opened. An instance
 * whose registry entry does not give its address is asked for it, with a deadline.
 *
 * @bus, @device (0-31), @function (0-7): PCI address
 *
 * Returns the connection, for apple_dext_disconnect; IO_OBJECT_NULL when there is no such instance,
 * when several have this address (apple_dext_connect_with_root tells them apart), when opening
 * fails, or when the driver does not answer within some seconds. The log says which.
 */
io_connect_t apple_dext_connect(uint8_t bus, uint8_t device, uint8_t function);

/**
 * Close a connection and release all it holds; addresses of its mappings are invalid at once.
 *
 * @connection: transferred; IO_OBJECT_NULL is fine
 *
 * Waits for calls under way on the connection. Interrupt notifies created on it stay the caller's
 * to destroy, before or after. Must also be called for a connection whose driver has gone.
 */
void apple_dext_disconnect(io_connect_t connection);

/**
 * Claim the device: from here on the connection may touch it. The first claim powers the device
 * and enables memory decoding and bus mastering; later claims, of any client, share it. Repeating
 * it is success.
 *
 * kIOReturnNotOpen, kIOReturnExclusiveAccess: another driver holds the device.
 * May block for 10 seconds while the device powers up.
 */
kern_return_t apple_dext_claim(io_connect_t connection);

/* ---- DMA ------------------------------------------------------------------------------------- */

/**
 * Map memory of this process for the device, readable and writable by it.
 *
 * @iova: the region's name in later calls; no two live regions start at one iova
 * @client_va: borrowed until the region is unregistered; the memory must stay mapped till then
 * @size: bytes, more than 0
 * @out_bus_addr, @out_bus_len: the one bus segment the region became; the length is at least @size;
 * each may be NULL
 *
 * kIOReturnBadArgument: size or address 0, or iova + size or client_va + size wraps.
 * kIOReturnNotAligned: the host could not map the region as one bus segment (it is fragmented, or
 * larger than 1.5 GiB); nothing stays registered. kIOReturnStillOpen: a region starts at this iova.
 * kIOReturnNoSpace: no slot left, or less aperture than that (1.5 GiB when nothing is mapped).
 */
kern_return_t apple_dext_register_dma(io_connect_t connection, uint64_t iova, uint64_t client_va,
                                      uint64_t size, uint64_t *out_bus_addr, uint64_t *out_bus_len);

/**
 * End a region; when this returns the device can no longer reach the memory.
 *
 * @iova: where the region starts
 *
 * kIOReturnNotFound: no region starts there.
 */
kern_return_t apple_dext_unregister_dma(io_connect_t connection, uint64_t iova);

/**
 * Read 8 bytes of a region as the driver sees them, to check that both see the same memory.
 *
 * @iova: where the region starts; @offset: bytes into it
 *
 * kIOReturnNotFound: no region starts there. kIOReturnOverrun: the 8 bytes pass its end.
 * kIOReturnBadArgument: iova + offset + 8 wraps.
 */
kern_return_t apple_dext_probe_dma(io_connect_t connection, uint64_t iova, uint64_t offset,
                                   uint64_t *out_word);

/* ---- Config space ---------------------------------------------------------------------------- */

/**
 * Read config space.
 *
 * @offset: naturally aligned, offset + width at most 4096; @width: 1, 2 or 4
 *
 * An aligned 4-byte read of a BAR register (0x10-0x24) gives the BAR's type bits with address 0;
 * the host owns the addresses. kIOReturnNoDevice: the device does not answer; *out_value is ones.
 */
kern_return_t apple_dext_config_read(io_connect_t connection, uint64_t offset, uint64_t width,
                                     uint64_t *out_value);

/** Write the low @width bytes of @value; limits as for apple_dext_config_read. */
kern_return_t apple_dext_config_write(io_connect_t connection, uint64_t offset, uint64_t width,
                                      uint64_t value);

/**
 * Read any range of config space, by the widest naturally aligned access at each step.
 *
 * @buf: borrowed; @len: bytes, may be 0; offset + len at most 4096, else kIOReturnBadArgument and
 * @buf is left alone
 *
 * When a read fails its code is returned, with everything from there on zeroed in @buf. When the
 * device does not answer (kIOReturnNoDevice) everything from there on is ones, and it is not
 * touched further.
 */
kern_return_t apple_dext_config_read_block(io_connect_t connection, uint64_t offset, void *buf,
                                           size_t len);

/* ---- BARs ------------------------------------------------------------------------------------ */

/**
 * Describe a BAR. Needs no claim.
 *
 * @bar: 0-5
 * @out_mem_idx: memory index for apple_dext_mmio_read and _write; not the BAR's number; of no use
 * for an I/O BAR
 * @out_size: bytes
 * @out_type: low bits of the BAR register: 0x0 memory, 0x1 I/O, 0x4 64-bit, 0x8 prefetchable, 0xc
 * Each of the three may be NULL.
 *
 * kIOReturnNotFound: unused, without address space, or the upper half of a 64-bit BAR.
 */
kern_return_t apple_dext_get_bar_info(io_connect_t connection, uint8_t bar, uint8_t *out_mem_idx,
                                      uint64_t *out_size, uint8_t *out_type);

/**
 * Map a memory BAR into this process; prefetchable BARs write-combining, others uncached.
 *
 * @out_addr: valid until the matching apple_dext_unmap_bar or apple_dext_disconnect; access it with
 * naturally aligned loads and stores of 1, 2, 4 or 8 bytes, never by memcpy or munmap
 * @out_size: the BAR's size; @out_type: as for apple_dext_get_bar_info, may be NULL
 *
 * A BAR may be mapped several times: all get one address, each needs its own unmap.
 * kIOReturnUnsupported: an I/O BAR, or this host cannot map this BAR. kIOReturnNotFound: as for
 * apple_dext_get_bar_info. kIOReturnUnderrun: the host maps less than the whole BAR.
 * kIOReturnNoDevice: refused, and the device does not answer. kIOReturnBadArgument: also every
 * other refusal by the system. Waits for other calls on the connection.
 */
kern_return_t apple_dext_map_bar(io_connect_t connection, uint8_t bar, mach_vm_address_t *out_addr,
                                 mach_vm_size_t *out_size, uint8_t *out_type);

/**
 * Undo one apple_dext_map_bar. @addr: what it returned for this BAR on this connection, and not yet
 * unmapped as often as mapped, else kIOReturnBadArgument.
 */
kern_return_t apple_dext_unmap_bar(io_connect_t connection, uint8_t bar, mach_vm_address_t addr);

/**
 * Read a memory BAR by a call to the driver.
 *
 * @mem_idx: from apple_dext_get_bar_info, of a memory BAR (ports are out of the driver's reach:
 * kIOReturnBadArgument); @offset: naturally aligned and inside the BAR
 * @width: 1, 2, 4 or 8
 *
 * kIOReturnNoDevice: the device does not answer; *out_value is ones.
 */
kern_return_t apple_dext_mmio_read(io_connect_t connection, uint8_t mem_idx, uint64_t offset,
                                   uint64_t width, uint64_t *out_value);

/** Write the low @width bytes of @value; limits as for apple_dext_mmio_read. */
kern_return_t apple_dext_mmio_write(io_connect_t connection, uint8_t mem_idx, uint64_t offset,
                                    uint64_t width, uint64_t value);

/* ---- Interrupts ------------------------------------------------------------------------------ */

/**
 * Register the device's interrupt vectors; all start enabled. Once a connection.
 *
 * On a connection that this library opened it maps the driver's IRQ state (memory type 7) as well,
 * until apple_dext_disconnect: the next two functions then need no call to the driver. Do not unmap
 * that type, nor close the connection by other means; where there is no such memory, and on
 * connections opened elsewhere, they are calls.
 *
 * @out_num_vectors: how many were granted, at most 256; may be fewer than the device has; may be
 * NULL
 *
 * kIOReturnStillOpen: done before. kIOReturnUnsupported: no vectors to be had.
 */
kern_return_t apple_dext_setup_interrupts(io_connect_t connection, uint32_t *out_num_vectors);

/**
 * Choose the vectors that are delivered; one that is not enabled when it fires is dropped.
 *
 * @mask: borrowed; vector v is bit v % 64 of word v / 64, one bit a vector
 *
 * kIOReturnNotReady: before apple_dext_setup_interrupts. A mask written without a call may meet a
 * driver that has gone, with success: apple_dext_read_pending_irqs tells.
 */
kern_return_t apple_dext_set_irq_mask(io_connect_t connection, const uint64_t mask[4]);

/**
 * Read and clear the pending vectors, one bit a vector as in apple_dext_set_irq_mask. Each is
 * handed to one caller, however many look at a time.
 *
 * Fit for polling: without a call while vectors are pending. When none is, the driver is asked
 * unless it has answered within the last 100 ms, so that a driver that has gone is told by its code
 * after that time at the latest; what was pending when it went is handed out first.
 *
 * kIOReturnNotReady: before apple_dext_setup_interrupts.
 */
kern_return_t apple_dext_read_pending_irqs(io_connect_t connection, uint64_t pending[4]);

/** One-shot notice that a vector is pending. */
typedef struct AppleDextInterruptNotify AppleDextInterruptNotify;

/**
 * Call @handler_fn when a vector becomes pending. Armed when this returns, even if one is pending
 * already. After each call the notice sleeps until apple_dext_interrupt_notify_rearm.
 *
 * @handler_fn: runs on a thread of the library, never twice at a time; it may use every function
 * here, rearm and destroy of its own notice included. It may run before this function returns, and
 * may find nothing pending.
 * @opaque: borrowed until apple_dext_interrupt_notify_destroy has done its work
 *
 * Returns NULL when there is nothing to wait for (before apple_dext_setup_interrupts), when the
 * connection is dead, or out of memory; the log says which. One live notice a connection: the
 * driver serves the newest.
 */
AppleDextInterruptNotify *apple_dext_interrupt_notify_create(io_connect_t connection,
                                                             void (*handler_fn)(void *opaque),
                                                             void *opaque);

/**
 * Wait for the next pending vector; when one is pending already the handler runs at once, so drain
 * first, then rearm. Several calls for one wake-up do no harm.
 *
 * kIOReturnBadArgument: NULL. kIOReturnAborted: destroy has begun, or is done.
 */
kern_return_t apple_dext_interrupt_notify_rearm(AppleDextInterruptNotify *notify);

/**
 * End a notice: when this returns its handler is not running and will not run again. Called from
 * the handler itself it returns at once and that run is the last.
 *
 * @notify: transferred; NULL is fine
 *
 * Waits for a running handler: do not call it with a lock held that the handler takes, nor from
 * another queue on which the handler waits.
 */
void apple_dext_interrupt_notify_destroy(AppleDextInterruptNotify *notify);

/* ---- Reset ----------------------------------------------------------------------------------- */

/**
 * Reset the device and wait until it answers with its vendor ID.
 *
 * kIOReturnNotResponding: the reset was done but the device did not come back within 5 seconds.
 * kIOReturnUnsupported: the device has no reset that the host can do. Mappings and DMA regions
 * stay; config space is what the reset left.
 */
kern_return_t apple_dext_reset_device(io_connect_t connection);

/* ==== Additions =============================================================================== */

/*
 * What the first callers of this interface do not have. Of the extensions of the software driver
 * each function says what it does where the driver knows none, as the real one.
 */

/* ---- Finding devices ------------------------------------------------------------------------- */

/** One driver instance, that is one PCI function, as the registry describes it. */
typedef struct AppleDextInstance {
    uint64_t entry_id;   /* registry entry ID: this attachment, until replug or reboot; 0 unknown */
    char name[256];      /* place below the root port, e.g. "pci-bridge0/00.0": survives replug */
    char root[128];      /* name of the root port, or of the nub's parent where there is none */
    uint8_t has_address; /* 0: the registry does not say; the next three are 0 */
    uint8_t bus;         /* 0-255, may change when things are plugged elsewhere */
    uint8_t device;      /* 0-31 */
    uint8_t function;    /* 0-7 */
    uint8_t has_ids;     /* 0: the registry does not say; the next five are 0 */
    uint8_t revision_id;
    uint16_t vendor_id;
    uint16_t device_id;
    uint32_t class_code;          /* 24 bits */
    uint16_t subsystem_vendor_id; /* 0 where the device has none */
    uint16_t subsystem_id;
    uint8_t has_claims; /* 0: unknown: the real driver's registry does not say; set by a listing */
    uint32_t claims;    /* clients that held a claim when the registry was read */
    char claimed_by[128]; /* who they are, "pid 12, qemu; pid 13, dextctl", cut where it is full */
} AppleDextInstance;

/**
 * List the driver instances there are, without opening any.
 *
 * @out_instances: array of *out_count, for apple_dext_free_list; NULL when there are none, which
 * is success. Ordered by root name, then address.
 *
 * kIOReturnNoMemory; kIOReturnTimeout where a software host does not answer.
 */
kern_return_t apple_dext_list(AppleDextInstance **out_instances, size_t *out_count);

/** Free what apple_dext_list returned. NULL is fine. */
void apple_dext_free_list(AppleDextInstance *instances);

typedef enum AppleDextEvent {
    APPLE_DEXT_ARRIVED = 0,
    APPLE_DEXT_DEPARTED = 1 /* also while connections to it are open: they are dead now */
} AppleDextEvent;

/** Watch over arrivals and departures of driver instances. */
typedef struct AppleDextWatch AppleDextWatch;

/**
 * Report each instance that arrives, and each of those that departs, without opening any. Instances
 * that are there already arrive first, ordered as in apple_dext_list.
 *
 * @handler_fn: runs on a thread of the library, never twice at a time; it may use every function
 * here, destroy of its own watch included. It may run before this function returns. @instance is
 * borrowed for the call: at a departure it is what was known at the arrival.
 * @opaque: borrowed until apple_dext_watch_destroy has done its work
 *
 * Every departure had its arrival. An instance that goes before the library could look at it is not
 * reported. A host that ends takes its instances with it, and those of the next one are not seen.
 *
 * Returns NULL when there is no host to watch, or out of memory; the log says which.
 */
AppleDextWatch *apple_dext_watch_create(void (*handler_fn)(void *opaque, AppleDextEvent event,
                                                           const AppleDextInstance *instance),
                                        void *opaque);

/**
 * End a watch: when this returns its handler is not running and will not run again. Called from the
 * handler itself it returns at once and that run is the last.
 *
 * @watch: transferred; NULL is fine
 *
 * Waits for a running handler: do not call it with a lock held that the handler takes.
 */
void apple_dext_watch_destroy(AppleDextWatch *watch);

/**
 * What is at the other end of a connection, as the registry described it when it was opened. For a
 * connection opened elsewhere the driver is asked. IDs that are not known are never ones: has_ids
 * is 0 instead.
 */
kern_return_t apple_dext_get_identity(io_connect_t connection, AppleDextInstance *out_instance);

/**
 * apple_dext_connect for hosts where an address is not unique.
 *
 * @host_root: borrowed; name of the root port the device hangs under, as AppleDextInstance.root;
 * NULL means any
 * @errp: NULL, or set on failure to one line of text that says why and, for an ambiguous address,
 * which roots there are; malloc'ed, the caller frees it (NULL when even that has no memory)
 */
io_connect_t apple_dext_connect_with_root(uint8_t bus, uint8_t device, uint8_t function,
                                          const char *host_root, char **errp);

/**
 * End the driver instance, for all its clients: their connections die, and the device is left to
 * whichever driver matches next. It returns before that is done: calls may succeed a moment longer.
 * The connection must still be disconnected.
 */
kern_return_t apple_dext_terminate(io_connect_t connection);

/* ---- More of DMA ----------------------------------------------------------------------------- */

/**
 * Have the driver allocate memory that device and process share, and map it. One buffer a
 * connection.
 *
 * @size: 1 byte to 1.5 GiB; @alignment: of the memory, a power of two, 0 = 4096
 * @out_bus_addr, @out_bus_len: its one bus segment, at least @size
 * @out_addr, @out_size: where it is mapped, till apple_dext_free_dma_buffer or disconnect
 *
 * kIOReturnStillOpen: this connection has a buffer already; the driver would free that one under
 * its user. kIOReturnNotAligned: the memory is not one bus segment. kIOReturnUnderrun: the mapping
 * is shorter than @size. On failure no buffer is left.
 */
kern_return_t apple_dext_allocate_dma_buffer(io_connect_t connection, uint64_t size,
                                             uint64_t alignment, uint64_t *out_bus_addr,
                                             uint64_t *out_bus_len, mach_vm_address_t *out_addr,
                                             mach_vm_size_t *out_size);

/** Unmap and free the buffer. @addr: what allocation returned, else kIOReturnBadArgument. */
kern_return_t apple_dext_free_dma_buffer(io_connect_t connection, mach_vm_address_t addr);

/** Where the device finds a part of a region. */
typedef struct AppleDextBusSegment {
    uint64_t bus_addr;
    uint64_t bus_len;
} AppleDextBusSegment;

/**
 * apple_dext_register_dma for memory that may become several bus segments: larger than 1.5 GiB, or
 * fragmented. It is one region: apple_dext_unregister_dma ends all of it.
 *
 * @out_segments: *@count of them, in the region's order; their lengths add up to @size; what is
 * there after a failure is not said
 * @count: room, of which 4096 are used; written on success: how many there are
 *
 * kIOReturnOverrun: more segments than there is room for. kIOReturnNotAligned: several segments,
 * and the driver tells no more than the first one, as the real one. In both cases nothing is
 * registered.
 */
kern_return_t apple_dext_register_dma_segments(io_connect_t connection, uint64_t iova,
                                               uint64_t client_va, uint64_t size,
                                               AppleDextBusSegment *out_segments, size_t *count);

/** One region of a batch; arguments as for apple_dext_register_dma. */
typedef struct AppleDextDmaRequest {
    uint64_t iova;
    uint64_t client_va;
    uint64_t size;
} AppleDextDmaRequest;

/** What became of it. */
typedef struct AppleDextDmaResult {
    kern_return_t status;
    uint64_t bus_addr; /* its one bus segment; both 0 but with success */
    uint64_t bus_len;
} AppleDextDmaResult;

/* Register every region that can be; without it, all or none. */
#define APPLE_DEXT_DMA_EACH (1u << 0)

/**
 * Map many pieces of memory for the device in as few calls as the driver allows, in order. A driver
 * that knows no batches is called once for each.
 *
 * @requests: @count of them, borrowed for the call; the memory as for apple_dext_register_dma
 * @count: any number; 0 is success
 * @flags: 0 or APPLE_DEXT_DMA_EACH
 * @out_results: @count of them, written also on failure: each has a code of apple_dext_register_dma
 *
 * Returns the code of the first region that failed. Without APPLE_DEXT_DMA_EACH nothing stays
 * registered then, and the results of the others are kIOReturnAborted. The device sees the regions
 * come one by one. kIOReturnBadArgument without a result written: a pointer is NULL, or flags.
 */
kern_return_t apple_dext_register_dma_batch(io_connect_t connection,
                                            const AppleDextDmaRequest *requests, size_t count,
                                            uint32_t flags, AppleDextDmaResult *out_results);

/**
 * End many regions; when this returns the device can no longer reach the memory of any.
 *
 * @iovas: @count of them, where each region starts; borrowed for the call
 * @out_statuses: NULL, or @count codes of apple_dext_unregister_dma, written also on failure
 *
 * Every one is tried. Returns the code of the first that failed.
 */
kern_return_t apple_dext_unregister_dma_batch(io_connect_t connection, const uint64_t *iovas,
                                              size_t count, kern_return_t *out_statuses);

/* ---- More of BARs ---------------------------------------------------------------------------- */

#define APPLE_DEXT_BAR_RANGES 4

/** Part of a BAR, in bytes. */
typedef struct AppleDextBarRange {
    uint64_t offset, bytes;
} AppleDextBarRange;

/**
 * Which parts of a BAR are direct, plain memory in a mapping of it; an access to the rest is
 * trapped and carried out by the driver. Needs a claim.
 *
 * @bar: 0-5
 * @out_ranges: the first *out_count of them, ascending and apart
 * @out_count: 0: all of it is trapped, as an I/O BAR always is
 *
 * kIOReturnUnsupported: the driver does not tell; the real one maps every memory BAR whole.
 * kIOReturnNotFound: as for apple_dext_get_bar_info. kIOReturnInternalError: the driver's answer
 * does not fit the BAR. kIOReturnNotOpen: no claim. Else why the BAR cannot be mapped.
 */
kern_return_t apple_dext_get_bar_ranges(io_connect_t connection, uint8_t bar,
                                        AppleDextBarRange out_ranges[APPLE_DEXT_BAR_RANGES],
                                        uint32_t *out_count);

/* ---- What the driver tells ------------------------------------------------------------------- */

/** What the driver can do. */
typedef struct AppleDextCapabilities {
    uint64_t
        interface_version;   /* 0: the driver knows no extensions; the rest are its known limits */
    uint64_t features;       /* bit 0: statistics, bit 1: device state */
    uint64_t max_regions;    /* live DMA regions */
    uint64_t aperture_bytes; /* mapped for DMA at a time */
    uint64_t granule_bytes;  /* unit in which DMA memory is mapped */
    uint64_t max_batch;      /* regions a call carries; 1: the driver knows no batches */
} AppleDextCapabilities;

/** Ask for limits and features. A driver without the extension is described by its known limits. */
kern_return_t apple_dext_get_capabilities(io_connect_t connection,
                                          AppleDextCapabilities *out_capabilities);

typedef enum AppleDextPresence {
    APPLE_DEXT_PRESENT = 0,
    APPLE_DEXT_REMOVED = 1,
    APPLE_DEXT_RESETTING = 2
} AppleDextPresence;

typedef struct AppleDextDeviceState {
    AppleDextPresence presence;
    uint64_t generation; /* counts resets and returns of the device; 0 unknown */
    uint64_t link_speed; /* PCIe generation 1-6; 0 unknown */
    uint64_t link_width; /* lanes; 0 unknown */
    uint64_t last_fault; /* bus address of the last DMA fault; 0 none, or unknown */
} AppleDextDeviceState;

/**
 * Dead or alive. For a driver without the extension presence is what a read of the vendor ID says,
 * which needs a claim (kIOReturnNotOpen), and the rest is unknown. A terminated driver is not an
 * answer: MACH_SEND_INVALID_DEST.
 */
kern_return_t apple_dext_get_device_state(io_connect_t connection, AppleDextDeviceState *out_state);

/** Counts since the driver instance started, all its clients together. */
typedef struct AppleDextStatistics {
    uint64_t live_regions; /* DMA regions registered now */
    uint64_t peak_regions;
    uint64_t live_bytes; /* bytes registered now */
    uint64_t peak_bytes;
    uint64_t calls;
    uint64_t irqs_raised;
    uint64_t irqs_delivered;
    uint64_t irqs_dropped; /* fired while not enabled */
    uint64_t faults;       /* device accesses outside live regions, or against their direction */
    uint64_t claims;       /* clients that hold a claim now */
} AppleDextStatistics;

/** kIOReturnUnsupported: the driver keeps none. */
kern_return_t apple_dext_get_statistics(io_connect_t connection,
                                        AppleDextStatistics *out_statistics);

#define APPLE_DEXT_CALL_COUNTS 16

/**
 * How often each selector of the driver was called since it started, by all clients together;
 * refused calls count too.
 *
 * @first: number of the first selector
 * @out_counts: of the selectors first, first + 1 and so on; 0 for numbers the driver does not know
 *
 * kIOReturnUnsupported: the driver keeps no such counts.
 */
kern_return_t apple_dext_get_call_counts(io_connect_t connection, uint64_t first,
                                         uint64_t out_counts[APPLE_DEXT_CALL_COUNTS]);

typedef enum AppleDextCallKind {
    APPLE_DEXT_CALL_METHOD = 0, /* of a selector; inputs: its scalars */
    APPLE_DEXT_CALL_LOAD = 1,   /* through a mapped BAR, trapped; memory type, offset, width */
    APPLE_DEXT_CALL_STORE = 2,  /* the same, and the value */
    APPLE_DEXT_CALL_MAP = 3     /* of memory; its type */
} AppleDextCallKind;

#define APPLE_DEXT_CALL_INPUTS 4

/** A call that the driver served. */
typedef struct AppleDextCall {
    uint64_t sequence;    /* calls are numbered from 0 in the order in which they ended */
    uint64_t start_ns;    /* of the monotonic clock where the driver runs */
    uint64_t duration_ns; /* with the wait for other clients' calls */
    uint64_t inputs[APPLE_DEXT_CALL_INPUTS]; /* the first; 0 where hidden, or none */
    uint32_t selector;                       /* of a method, else 0 */
    kern_return_t code;
    uint32_t client;     /* number of the connection at this driver, from 1 */
    uint32_t process;    /* process id of that client; 0 unknown */
    uint8_t kind;        /* AppleDextCallKind, or one that came later */
    uint8_t input_count; /* as many as the call had, also above APPLE_DEXT_CALL_INPUTS */
    uint8_t hidden;      /* bit i: input i is an address in the client's process, not told */
} AppleDextCall;

#define APPLE_DEXT_CALLS_KEPT 1024
#define APPLE_DEXT_CALLS_NEW  UINT64_MAX

/**
 * Read what clients called of late, all of them together. The driver keeps the last
 * APPLE_DEXT_CALLS_KEPT calls, always; calls of this function are not among them. Whoever may
 * connect sees them, values written to registers too; nothing that was read, and no memory.
 *
 * @cursor: the number to begin at, and then the one to go on with: 0 for all there are,
 * APPLE_DEXT_CALLS_NEW for what comes from now on
 * @out_calls: room for *count, ascending
 * @count: room, at least 1, and then how many came; 0: there is nothing new
 * @out_lost: how many from the cursor on had been overwritten
 *
 * kIOReturnUnsupported: the driver keeps no record, as the real one.
 */
kern_return_t apple_dext_read_calls(io_connect_t connection, uint64_t *cursor,
                                    AppleDextCall *out_calls, size_t *count, uint64_t *out_lost);

/** A bus segment that is mapped for the device; a region is one, or several. */
typedef struct AppleDextDmaSegment {
    uint64_t iova;     /* as registered; 0 for a buffer */
    uint64_t bus_addr; /* where the device finds it */
    uint64_t bus_len;
    uint32_t client;   /* whose it is, as in AppleDextCall */
    uint8_t is_buffer; /* of apple_dext_allocate_dma_buffer */
} AppleDextDmaSegment;

/**
 * List what all clients have mapped for the device, lowest bus address first. Where the memory lies
 * in a client's process is not told. What comes or goes between two calls may be missed.
 *
 * @cursor: 0 to begin; then where to go on, 0: the list is complete
 * @out_segments: room for *count
 * @count: room, at least 1, and then how many came
 *
 * kIOReturnUnsupported: the driver does not tell. kIOReturnInternalError: its answer makes no
 * sense.
 */
kern_return_t apple_dext_list_dma_segments(io_connect_t connection, uint64_t *cursor,
                                           AppleDextDmaSegment *out_segments, size_t *count);

/* ---- Texts ----------------------------------------------------------------------------------- */

/** What a code means here, in one line: static storage, never NULL, for every code. */
const char *apple_dext_status_text(kern_return_t code);

typedef enum AppleDextLogLevel {
    APPLE_DEXT_LOG_ERROR = 0,   /* something asked for could not be done */
    APPLE_DEXT_LOG_WARNING = 1, /* done, but not as one would expect */
    APPLE_DEXT_LOG_INFO = 2,    /* connect, claim, reset, disconnect */
    APPLE_DEXT_LOG_DEBUG = 3    /* every call that failed, with its arguments */
} AppleDextLogLevel;

/**
 * Receive the library's log, which otherwise goes nowhere. One callback a process.
 *
 * @log_fn: NULL stops. It gets one line without newline, borrowed for the call; it runs on
 * whichever thread is calling, several at a time, and must not call this library.
 * @opaque: borrowed until the callback is replaced; a line on its way may still reach the old one
 * @level: the most detailed level wanted
 */
void apple_dext_set_log_callback(void (*log_fn)(void *opaque, AppleDextLogLevel level,
                                                const char *line),
                                 void *opaque, AppleDextLogLevel level);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* HW_VFIO_APPLE_DEXT_CLIENT_H */

/*
 * THE seam: one PCI function as PCIDriverKit's IOPCIDevice offers it, whoever implements it. The
 * struct of ops is the porting guide for back ends; the functions below it are the only callers of
 * the ops and the only thing the dext sees.
 *
 * Errors: 0 or -errno. Threads: calls arrive from any thread, several at once; a back end locks for
 * itself. Lock order: dext, then back end, then DART, then the dext's interrupt lock (leaf).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_PROVIDER_PCI_PROVIDER_H
#define DEXTLINK_PROVIDER_PCI_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dart/dart.h"

#define PCI_BAR_COUNT  6
#define PCI_MAX_RANGES 4

struct pci_address {
    uint8_t bus, device, function; /* device < 32, function < 8 */
};

struct pci_identity {
    struct pci_address address;
    uint16_t vendor_id, device_id;
    uint16_t subsystem_vendor_id, subsystem_id;
    uint8_t revision;
    uint32_t class_code; /* 24 bits */
};

struct pci_bar_info {
    uint8_t memory_index; /* counts BARs in order, I/O BARs too, upper halves not; filled in by
                           * provider_bar_info, back ends leave it */
    uint64_t bytes;
    uint8_t type; /* DEXT_BAR_TYPE_* */
};

/* Part of a BAR that may be mapped directly: bytes at fd_offset of fd. Multiples of 4096
 * bytes; a client with larger pages maps the whole pages of it. The ranges of a BAR have one fd,
 * with fd_offset the offset in the BAR, where the back end can choose. */
struct pci_direct_range {
    uint64_t offset, bytes;
    int fd; /* borrowed, valid while the provider lives */
    uint64_t fd_offset;
};

struct pci_bar_memory {
    uint64_t bytes; /* of the whole BAR; what is in no range is trapped; ranges ascend */
    unsigned range_count;
    struct pci_direct_range ranges[PCI_MAX_RANGES];
};

enum pci_reset_kind {
    PCI_RESET_FUNCTION, /* function-level reset */
    PCI_RESET_POWER,    /* D3hot to D0 */
    PCI_RESET_HOT,      /* hot reset of everything below the port */
};

enum pci_interrupt_kind {
    PCI_INTERRUPT_MSI,
    PCI_INTERRUPT_MSIX,
};

/* Vector fired. Called by the back end on any thread with its device lock held: must not call the
 * provider, must not block. */
typedef void (*pci_interrupt_fn)(void *context, unsigned vector);

struct pci_link_state {
    uint8_t speed, width; /* as in the Link Status register, 0 = unknown */
};

struct pci_provider;

/* What a back end implements. All called through the functions below, which have checked what each
 * comment says. "device gone" is -ENODEV everywhere. */
struct pci_provider_ops {
    const char *name; /* "sim" */

    /* Start a session, as IOPCIDevice::Open. Never called while open. May block (power-up, at most
     * 10 s). -EBUSY another driver holds it, -ENODEV gone. Does not touch the command register. */
    int (*open)(struct pci_provider *provider);

    /* End it. Clears Memory Space and Bus Master; frees interrupts. Only called while open. */
    void (*close)(struct pci_provider *provider);

    /* Checked: open, width 1/2/4, naturally aligned, offset + width <= 4096. Raw registers: the
     * BAR synthesis of the dext happens above. A dead device gives ones with 0. */
    int (*config_read)(struct pci_provider *provider, unsigned offset, unsigned width,
                       uint32_t *value);
    int (*config_write)(struct pci_provider *provider, unsigned offset, unsigned width,
                        uint32_t value);

    /* Checked: bar < 6. Works while closed. -ENOENT for unused BARs and upper halves. */
    int (*bar_info)(struct pci_provider *provider, unsigned bar, struct pci_bar_info *info);

    /* Checked: open, bar exists, width 1/2/4/8, naturally aligned, inside the BAR. Covers direct
     * and trapped ranges, I/O BARs too (-ENOTSUP for 8-byte access there). Dead: ones with 0. */
    int (*memory_read)(struct pci_provider *provider, unsigned bar, uint64_t offset, unsigned width,
                       uint64_t *value);
    int (*memory_write)(struct pci_provider *provider, unsigned bar, uint64_t offset,
                        unsigned width, uint64_t value);

    /* Checked: open, bar is a memory BAR. What of it may be mapped directly. */
    int (*bar_memory)(struct pci_provider *provider, unsigned bar, struct pci_bar_memory *memory);

    /* Checked: open, 1 <= wanted <= 256, handler. Allocate vectors 0 .. *granted - 1 of this kind
     * (MSI: rounded up to a power of two, so *granted may exceed wanted; field note E4) and deliver
     * them to handler until release_interrupts or close; a further call replaces the handler. The
     * first allocation is kept for the life of the provider: later ones get the same kind and at
     * most as many (field note E5). -ENOTSUP the device has no such kind or the kept allocation is
     * of the other kind. */
    int (*configure_interrupts)(struct pci_provider *provider, enum pci_interrupt_kind kind,
                                unsigned wanted, pci_interrupt_fn handler, void *context,
                                unsigned *granted);

    /* Stop delivery. After it returns the handler does not run and will not. */
    void (*release_interrupts)(struct pci_provider *provider);

    /* Checked: open. Carry the reset out and restore config space as the kernel does; does not
     * verify that the device came back (the caller does). May block. -ENOTSUP kind not there. */
    int (*reset)(struct pci_provider *provider, enum pci_reset_kind kind);

    /* A mapping was made in (is about to leave) the DART; optional: back ends whose device is real
     * pass it on to the kernel. map: -errno undoes the mapping. */
    int (*dma_map)(struct pci_provider *provider, const struct dart_mapping *mapping,
                   struct dma_memory *memory, uint64_t offset, enum dart_direction direction);
    void (*dma_unmap)(struct pci_provider *provider, const struct dart_mapping *mapping);

    /* Present link speed and width; optional. */
    int (*link_state)(struct pci_provider *provider, struct pci_link_state *state);

    /* Surprise removal, now: from here on reads give ones, writes vanish, no DMA, no interrupt.
     * Must not block on device work. Idempotent. */
    void (*remove)(struct pci_provider *provider);

    /* Free everything. Closed before. */
    void (*destroy)(struct pci_provider *provider);
};

/* A back end embeds it as its first member and fills it before handing it out. */
struct pci_provider {
    const struct pci_provider_ops *ops;
    struct pci_identity identity; /* fixed */
    struct dart *dart;            /* owned by the back end, destroyed by ops->destroy */
    _Atomic bool is_open;         /* kept by provider_open and provider_close */
    _Atomic bool is_removed;      /* kept by provider_remove */
};

/* Open, close and destroy of one provider do not run side by side (the dext's lock sees to it);
 * they may run beside everything else. provider_open: -EBUSY when open already, -ENODEV removed. */
int provider_open(struct pci_provider *provider);
void provider_close(struct pci_provider *provider); /* no-op when closed */
void provider_remove(struct pci_provider *provider);
void provider_destroy(struct pci_provider *provider); /* closes first; NULL is fine */

/*
 * Access. -EINVAL width, alignment or range, -ENOENT no such BAR, else -ENOTCONN not open. *value
 * is always written by reads: ones of the width when they fail.
 *
 * A removed device answers reads with ones and 0; where there is nothing to read (bar_memory,
 * configure_interrupts, reset, link_state, dma_map) it is -ENODEV. bar_memory of an I/O BAR:
 * -ENOTSUP.
 */
int provider_config_read(struct pci_provider *provider, uint64_t offset, uint64_t width,
                         uint32_t *value);
int provider_config_write(struct pci_provider *provider, uint64_t offset, uint64_t width,
                          uint32_t value);
int provider_bar_info(struct pci_provider *provider, uint64_t bar, struct pci_bar_info *info);
/** BAR index for a memory index; -ENOENT. */
int provider_bar_of_memory_index(struct pci_provider *provider, uint64_t memory_index);
int provider_memory_read(struct pci_provider *provider, uint64_t bar, uint64_t offset,
                         uint64_t width, uint64_t *value);
int provider_memory_write(struct pci_provider *provider, uint64_t bar, uint64_t offset,
                          uint64_t width, uint64_t value);
int provider_bar_memory(struct pci_provider *provider, uint64_t bar, struct pci_bar_memory *memory);

/** Offset of a standard capability, 0 when there is none; ends on looped lists. */
unsigned provider_find_capability(struct pci_provider *provider, uint8_t id);

int provider_configure_interrupts(struct pci_provider *provider, enum pci_interrupt_kind kind,
                                  unsigned wanted, pci_interrupt_fn handler, void *context,
                                  unsigned *granted);
void provider_release_interrupts(struct pci_provider *provider);
int provider_reset(struct pci_provider *provider, enum pci_reset_kind kind);
int provider_link_state(struct pci_provider *provider, struct pci_link_state *state);

/** dart_map plus the back end's part; codes of both. */
int provider_dma_map(struct pci_provider *provider, struct dma_memory *memory, uint64_t offset,
                     uint64_t bytes, iova_t wanted, enum dart_direction direction, uint64_t owner,
                     struct dart_mapping **out);
void provider_dma_unmap(struct pci_provider *provider, struct dart_mapping *mapping);

#endif

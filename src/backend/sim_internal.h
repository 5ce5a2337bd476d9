/*
 * What the files of the sim back end share. One device, one lock: whatever ends in _locked is
 * called with it held, and so is every op of the model.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BACKEND_SIM_INTERNAL_H
#define DEXTLINK_BACKEND_SIM_INTERNAL_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "backend/sim.h"
#include "base/shared_memory.h"
#include "model/config_space.h"
#include "model/model.h"
#include "provider/pci_registers.h"

/* Where the "kernel" tells devices to send messages to; below 4 GiB for 32-bit MSI. */
#define SIM_DOORBELL UINT64_C(0xfffff000)

/* Ways to be broken: X(constant, name of the option's value). */
#define SIM_FAULTS(X)                                                                              \
    X(POWER_UP, "power-up")       /* does not power up within the time an open waits (A15) */      \
    X(HELD, "held")               /* another driver has it */                                      \
    X(GONE, "gone")               /* pulled out when it is first touched */                        \
    X(ONES, "ones")               /* config space and BARs read ones, though it is there */        \
    X(RETRY, "retry")             /* vendor id 0x0001 for good: never ready (field note F4) */     \
    X(MISMATCH, "mismatch")       /* its ids are not what was enumerated */                        \
    X(CHAIN, "chain")             /* the capability list is a ring (B8) */                         \
    X(D3, "d3")                   /* does not leave D3hot (F14) */                                 \
    X(AER, "aer")                 /* an uncorrectable error is logged (F19) */                     \
    X(LINK, "link")               /* trained to one lane at 2.5 GT/s (F1) */                       \
    X(DECODE, "decode")           /* Memory Space cannot be turned on (C1) */                      \
    X(NO_BARS, "no-bars")         /* the host found none (C1) */                                   \
    X(BARS, "bars")               /* no BAR got an address (C1) */                                 \
    X(WINDOW, "window")           /* half of each large BAR is behind the bridge's window (C7) */  \
    X(MAP, "map")                 /* no BAR can be mapped into a process (C6) */                   \
    X(REGISTER, "register")       /* memory cannot be mapped for DMA */                            \
    X(FRAGMENTED, "fragmented")   /* no region becomes one bus segment (D11) */                    \
    X(DMA, "dma")                 /* what the device writes does not land (D14) */                 \
    X(DMA_ADDRESS, "dma-address") /* it puts a wrong address on the bus (D1) */                    \
    X(VECTORS, "vectors")         /* no vectors to be had */                                       \
    X(MSIX, "msix")               /* MSI-X is not to be had, MSI is (E2) */                        \
    X(FEWER, "fewer-vectors")     /* an earlier user asked for half of them, for good (E5) */      \
    X(INTERRUPTS, "interrupts")   /* vectors are granted, none arrives */                          \
    X(OPEN, "open")               /* its driver lets no client in; the host sees to it (A3) */

enum sim_fault {
    SIM_FAULT_NONE,
#define SIM_FAULT_CONSTANT(constant, name) SIM_FAULT_##constant,
    SIM_FAULTS(SIM_FAULT_CONSTANT)
#undef SIM_FAULT_CONSTANT
};

struct sim_bar {
    uint64_t address; /* given by the "kernel" at creation; 0 = no room was left */
    /* Of all direct ranges, at the offsets they have in the BAR; 0 bytes when there are none. */
    struct shared_memory direct;
};

struct sim_timer {
    bool is_armed;
    uint64_t deadline_ns;
};

struct sim_timers {
    bool is_started;
    pthread_t thread;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    bool is_stopping;
    unsigned count;
    struct sim_timer *timers;
};

struct sim_interrupts {
    bool is_allocated; /* once, for good (field note E5) */
    enum pci_interrupt_kind kind;
    unsigned allocated;
    unsigned granted;         /* by the configuration in force */
    pci_interrupt_fn handler; /* NULL: nobody listens */
    void *context;
};

#define SIM_SAVED_MAX 8

struct sim_saved_register {
    unsigned offset, width;
    uint32_t value;
};

/* What the "kernel" puts back once a device answers after a reset. */
struct sim_saved {
    bool is_due;
    uint32_t command;
    unsigned count;
    struct sim_saved_register registers[SIM_SAVED_MAX];
};

#define SIM_STORAGE_FILES 8

/* Files without the page cache: what the kernel may ask for in alignment, and the memory through
 * which transfers go that do not have it. */
#define SIM_UNIT_MAX     65536u
#define SIM_BOUNCE_BYTES (4 * SIM_UNIT_MAX)

struct sim_storage_file {
    int fd;
    bool is_read_only;
    _Atomic bool is_broken; /* data may have been lost: nothing is written any more */
    pthread_mutex_t sync;   /* one fdatasync at a time: the kernel tells of an error once */
    int now_flags;          /* of preadv2, for a read that does not wait */
    uint32_t unit;          /* not through the page cache, but in multiples of this; else 0 */
    uint32_t memory_unit;   /* with unit: alignment of memory. Powers of two, both */
};

#define SIM_PINS_MAX 40

/* Memory within the device's reach, kept there while it is used without a copy. */
struct sim_pins {
    int count;
    struct iovec pieces[SIM_PINS_MAX]; /* whoever uses them may take them off from the front */
    struct dart_mapping *mappings[SIM_PINS_MAX];
};

enum sim_operation_state {
    SIM_OPERATION_WAITING,
    SIM_OPERATION_TAKEN, /* by a worker, who looks at it without the lock */
    SIM_OPERATION_ENDED, /* and the model does not know yet */
};

struct sim_storage_operation {
    TAILQ_ENTRY(sim_storage_operation) link;
    struct model_storage_request request;
    struct sim_pins pins; /* none: the data is in request.buffer */
    _Atomic enum sim_operation_state state;
    _Atomic bool is_revoked; /* it would reach memory that the device no longer may */
    int result;
};

TAILQ_HEAD(sim_operations, sim_storage_operation);

/* Without the page cache every operation waits for the disk, which can do many at a time. */
#define SIM_WORKERS 8
#define SIM_BATCH   16 /* operations that a worker takes at a time */

struct sim_storage_worker {
    struct sim *sim;
    pthread_t thread;
    uint8_t *bounce; /* SIM_BOUNCE_BYTES where a file has a unit */
};

struct sim_storage {
    bool is_started; /* the conditions are there */
    _Atomic bool is_stopping;
    struct sim_storage_worker workers[SIM_WORKERS];
    unsigned worker_count, idle_count;
    bool is_polling;        /* who polls looks at what waits when it has done so: wake nobody */
    bool is_helping;        /* and carries out one of them */
    unsigned skips;         /* writes that the workers are to have all the same */
    unsigned slowness;      /* of those that they did not */
    pthread_cond_t changed; /* something waits, or it is time to stop */
    pthread_cond_t settled; /* an operation that was revoked has ended */
    unsigned file_count;
    struct sim_storage_file files[SIM_STORAGE_FILES];
    struct sim_storage_operation *operations; /* shape.storage_operations */
    struct sim_operations unused, live;       /* live: in the order of submission */
    _Atomic unsigned waiting_count;           /* changed under the lock, looked at without */
    _Atomic bool has_lookout;                 /* a worker who stays awake for what comes next */
    struct model_storage_result *results;     /* as many; of whoever has the lock */
};

struct sim_poll {
    bool is_started, is_stopping;
    _Atomic bool is_woken; /* set under the lock, looked at without */
    pthread_t thread;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
};

struct sim {
    struct pci_provider provider; /* first */
    pthread_mutex_t turn;         /* held while waiting for lock: a busy thread that gives the lock
                                   * back and wants it again comes behind who waits */
    pthread_mutex_t lock;
    struct model_host host;
    struct model *model;
    unsigned power_capability; /* its offset, 0: none. No model and no fault moves it */
    struct sim_bar bars[PCI_BAR_COUNT];
    struct sim_timers timers;
    struct sim_poll poll;
    struct sim_interrupts interrupts;
    struct sim_saved saved;
    struct sim_storage storage;
    enum sim_fault fault; /* fixed once somebody uses the device */
};

static inline struct sim *sim_of(struct pci_provider *provider)
{
    return (struct sim *)provider;
}

static inline bool sim_is_removed(struct sim *sim)
{
    return atomic_load(&sim->provider.is_removed);
}

/* sim_thread.c */
void sim_lock(struct sim *sim);
void sim_unlock(struct sim *sim);
uint64_t sim_now_ns(void);
/** A condition with the monotonic clock. 0, -errno. */
int sim_condition_init(pthread_cond_t *condition);
/** False when the deadline (sim_now_ns time base) passed. */
bool sim_condition_wait_locked(struct sim *sim, pthread_cond_t *condition, uint64_t deadline_ns);
/** 0, -errno of pthread_create. run gets context. */
int sim_thread_start(void *context, pthread_t *thread, void *(*run)(void *));

/* sim_config.c */
static inline uint32_t sim_config_get_locked(struct sim *sim, unsigned offset, unsigned width)
{
    return config_space_get(sim->model->config, offset, width);
}

static inline uint32_t sim_power_state_locked(struct sim *sim)
{
    unsigned power = sim->power_capability;
    return power ? sim_config_get_locked(sim, power + PCI_POWER_CONTROL, 2) & PCI_POWER_STATE_MASK
                 : PCI_POWER_STATE_D0;
}

static inline bool sim_is_in_d0_locked(struct sim *sim)
{
    return sim_power_state_locked(sim) == PCI_POWER_STATE_D0;
}

/** Whether the device may send requests of its own: present, D0, bus master. */
static inline bool sim_may_master_locked(struct sim *sim)
{
    return !sim_is_removed(sim) && sim_is_in_d0_locked(sim) &&
           (sim_config_get_locked(sim, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER) != 0;
}

/** A config write from the bus with everything it sets off: model side effects and resets. */
void sim_config_write_locked(struct sim *sim, unsigned offset, unsigned width, uint32_t value);
/** Whether config reads get the vendor ID: neither ones nor retry status. */
bool sim_answers_locked(struct sim *sim);
/** Offset of a capability, 0 when there is none; from the device's own chain. */
unsigned sim_capability_locked(struct sim *sim, uint8_t id);
bool sim_has_flr_locked(struct sim *sim);
int sim_config_read(struct pci_provider *provider, unsigned offset, unsigned width,
                    uint32_t *value);
int sim_config_write(struct pci_provider *provider, unsigned offset, unsigned width,
                     uint32_t value);

/* sim_memory.c */
/** Give each BAR an address and write it to its register. */
void sim_assign_bars(struct sim *sim);
void sim_write_bars_locked(struct sim *sim);
void sim_memory_write_locked(struct sim *sim, unsigned bar, uint64_t offset, unsigned width,
                             uint64_t value);
int sim_bar_info(struct pci_provider *provider, unsigned bar, struct pci_bar_info *info);
int sim_bar_memory(struct pci_provider *provider, unsigned bar, struct pci_bar_memory *memory);
int sim_memory_read(struct pci_provider *provider, unsigned bar, uint64_t offset, unsigned width,
                    uint64_t *value);
int sim_memory_write(struct pci_provider *provider, unsigned bar, uint64_t offset, unsigned width,
                     uint64_t value);

/* sim_host.c */
extern const struct model_host_ops sim_host_ops; /* context: struct sim */

/* sim_timers.c */
/** Start the thread when the model has timers. 0, -ENOMEM, -errno of pthread_create. */
int sim_timers_start(struct sim *sim);
/** Stop and join; takes what was never started. Not with the lock held. */
void sim_timers_stop(struct sim *sim);
void sim_timer_arm_locked(struct sim *sim, unsigned timer, uint64_t deadline_ns);
void sim_timer_cancel_locked(struct sim *sim, unsigned timer);
void sim_timers_cancel_all_locked(struct sim *sim);

/* sim_poll.c */
/** Start the thread when the model polls. 0, -errno of pthread_create. */
int sim_poll_start(struct sim *sim);
/** Stop and join; takes what was never started. Not with the lock held. */
void sim_poll_stop(struct sim *sim);
void sim_poll_wake_locked(struct sim *sim);

/* sim_file.c */
/** Open, lock and measure; as the host operation storage_open. */
int sim_file_open(struct sim_storage_file *file, const char *path, unsigned flags, uint64_t *bytes);
/** Carry out an operation: 0, -errno. pieces: what it reads to or writes from, used up. bounce: as
 * in struct sim_storage_worker, the caller's alone meanwhile. Any thread; not two operations at a
 * time that the model wants one after the other. */
int sim_file_run(struct sim_storage_file *file, const struct model_storage_request *request,
                 struct iovec *pieces, int count, uint8_t *bounce);
/** A read of what is at hand, all of it or false. pieces stay. */
bool sim_file_read_now(const struct sim_storage_file *file, const struct iovec *pieces, int count,
                       uint64_t offset);
/** All of the pieces, which are used up: 0, -errno; -EIO where the file ends before. */
int sim_file_transfer(const struct sim_storage_file *file, struct iovec *pieces, int count,
                      uint64_t offset, bool is_write);

/* sim_file_uncached.c */
/** Turn the page cache off for a file that is open and find its units: 0; -ENOTBLK where the file
 * system cannot; -EDOM when bytes is no multiple of the unit; -errno. */
int sim_file_uncache(struct sim_storage_file *file, uint64_t bytes);
/** sim_file_transfer of a file with a unit; through bounce where the alignment is another. */
int sim_file_transfer_uncached(const struct sim_storage_file *file, struct iovec *pieces, int count,
                               uint64_t offset, uint64_t bytes, bool is_write, uint8_t *bounce);

/* sim_storage_worker.c */
/** Start workers as the files need them. 0, -ENOMEM, -errno of pthread_create; those started are
 * for sim_storage_workers_stop. */
int sim_storage_workers_start(struct sim *sim);
/** Stop and join; what has not begun ends with -ECANCELED. Not with the lock held. */
void sim_storage_workers_stop(struct sim *sim);

/* sim_storage.c */
/** As the host operation; while the model is being created. */
int sim_storage_open(struct sim *sim, const char *path, unsigned flags, unsigned *storage,
                     uint64_t *bytes);
void sim_storage_submit_locked(struct sim *sim, const struct model_storage_request *request);
/** As the host operation; bus mastering is on. */
bool sim_storage_submit_direct_locked(struct sim *sim, const struct model_storage_request *request);
/** The device has lost the right to reach memory: operations that would end without. */
void sim_storage_revoke_locked(struct sim *sim);
/** Wait for the end of one that had begun before, with the lock given back meanwhile. */
void sim_storage_settle_locked(struct sim *sim);
/** The model has been polled, with storage.is_polling set. Whether a write was carried out, without
 * the lock meanwhile. */
bool sim_storage_polled_locked(struct sim *sim);
/** Start the workers when the model opened something. 0, -ENOMEM, -errno of pthread_create. */
int sim_storage_start(struct sim *sim);
/** Stop the workers and close. Takes what was never started. Not with the lock held; the model
 * still exists. */
void sim_storage_stop(struct sim *sim);

/* sim_pins.c */
/** Pin all segments, in order, for the device to write or to read. False: none is pinned, as some
 * of it is not plain memory. */
bool sim_pins_take(struct sim *sim, const struct model_segment *segments, unsigned count,
                   bool is_write, struct sim_pins *pins);
/** Any thread. */
void sim_pins_drop(struct sim *sim, struct sim_pins *pins);

/* sim_storage_now.c */
/** As the host operation; bus mastering is on. */
bool sim_storage_read_now_locked(struct sim *sim, unsigned storage, uint64_t offset,
                                 const struct model_segment *segments, unsigned count);

/* sim_interrupts.c */
int sim_configure_interrupts(struct pci_provider *provider, enum pci_interrupt_kind kind,
                             unsigned wanted, pci_interrupt_fn handler, void *context,
                             unsigned *granted);
/* As after a user who took half the vectors of the device; -ENOTSUP: fewer than two. */
int sim_interrupts_halve_locked(struct sim *sim);
void sim_release_interrupts(struct pci_provider *provider);
void sim_interrupts_release_locked(struct sim *sim);
/** Write what is configured to the device (again). */
void sim_interrupts_program_locked(struct sim *sim);
/** A message with this data reached the doorbell. */
void sim_interrupts_deliver_locked(struct sim *sim, uint32_t data);

/* sim_fault.c; each does nothing on a device without that fault */
void sim_fault_config_touched(struct sim *sim);
/** After a write to config space, before its effects. */
void sim_fault_config_written_locked(struct sim *sim);
/** Bytes of a BAR that are inside the window of the bridge. */
uint64_t sim_fault_window(const struct sim *sim, unsigned bar);
uint64_t sim_fault_dma_address(const struct sim *sim, uint64_t bus_address);

/* sim_reset.c */
int sim_reset(struct pci_provider *provider, enum pci_reset_kind kind);
void sim_reset_model_locked(struct sim *sim, enum model_reset kind);
/** Put saved registers back if that is due and the device answers. */
void sim_restore_if_ready_locked(struct sim *sim);

#endif

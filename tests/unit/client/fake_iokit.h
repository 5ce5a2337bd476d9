/*
 * A scripted IOKit for the client's unit tests: the functions the client calls, over tables that a
 * test fills in. CoreFoundation and dispatch are the real ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_CLIENT_FAKE_IOKIT_H
#define DEXTLINK_TESTS_CLIENT_FAKE_IOKIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "apple-dext-client.h"
#include "abi/dext_abi.h"

enum {
    FAKE_ENTRIES = 24,
    FAKE_PORTS = 32,
    FAKE_CALLS = 4096,
    FAKE_SELECTORS = 96,
    FAKE_SCRIPT = 8,
    FAKE_SCALARS = 16,
    FAKE_NO_PARENT = -1,
    FAKE_FIRST_ENTRY = 0x100, /* handle of entry 0 */
    FAKE_FIRST_PORT = 0x1000, /* handle of the first connection */
};

/* One registry entry. Zero fields mean that the entry has no such property. */
struct fake_entry {
    int parent; /* index, or FAKE_NO_PARENT */
    const char *class_name;
    const char *name;
    const char *user_class;
    const char *pcidebug;
    uint32_t vendor, device, class_code, revision; /* vendor 0: no ids */
    unsigned id_bytes;                             /* length of the id properties; 0 means 4 */
    bool ids_are_strings;
    kern_return_t open_status;
    bool open_hangs; /* until fake_release_hangs */
    bool call_hangs; /* every call on its connections, likewise */
    uint64_t identity[6];
    const char *claimed_by[4]; /* NULL-ended; with has_claims, also when there is none */
    bool has_claims;
    bool is_gone; /* by fake_depart: not found any more */
    bool interest_is_refused;
    int references; /* handles given out and not released */
    unsigned opens;
};

/* One answer of a selector. */
struct fake_reply {
    kern_return_t status;
    bool hangs;    /* the client's clock is past any deadline before it comes */
    bool is_short; /* outputs: count instead of as many as asked for */
    uint32_t count;
    uint64_t values[FAKE_SCALARS];
};

struct fake_call {
    io_connect_t port;
    uint32_t selector;
    uint64_t in[FAKE_SCALARS];
    uint32_t in_count;
    uint32_t out_capacity;
    size_t struct_in_bytes;
};

/* Answers calls that carry structures; *struct_bytes is the room, and what is given. */
typedef kern_return_t (*fake_structure_fn)(uint32_t selector, const uint64_t *in,
                                           const void *struct_in, size_t struct_in_bytes,
                                           uint64_t *out, void *struct_out, size_t *struct_bytes);

struct fake_bar {
    kern_return_t status;
    uint64_t values[3]; /* memory index, bytes, type */
};

struct fake_memory {
    kern_return_t map_status, unmap_status;
    mach_vm_address_t address;
    mach_vm_size_t bytes;
    unsigned maps, unmaps;
    bool is_mapped;
    IOOptionBits options;
};

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fake_entry entries[FAKE_ENTRIES];
    unsigned entry_count;
    kern_return_t search_status;
    int iterator_references;

    int port_entry[FAKE_PORTS]; /* entry of each connection */
    bool port_is_open[FAKE_PORTS];
    unsigned ports;
    bool is_hanging;

    struct fake_reply script[FAKE_SELECTORS][FAKE_SCRIPT]; /* in order; the last one stays */
    unsigned script_length[FAKE_SELECTORS], script_next[FAKE_SELECTORS];
    fake_structure_fn structure_fn; /* NULL: such calls are answered like the others */
    struct fake_call calls[FAKE_CALLS];
    unsigned call_count;

    uint8_t config[DEXT_CONFIG_BYTES]; /* what ConfigRead reads while it has no script */
    struct fake_bar bars[DEXT_BAR_COUNT];
    uint64_t mmio_value;
    struct fake_memory memory[8];

    uint64_t pending[4];
    bool has_waiter;
    void *waiter_port; /* of the newest WaitInterrupt */
    uint64_t waiter_reference[8];
    kern_return_t wait_status;
    unsigned waits;
    int notification_ports;

    kern_return_t watch_status; /* of IOServiceAddMatchingNotification */
    struct fake_watch *watch;   /* the one there may be at a time */
    int interests;              /* registered and not released */

    char log[8192]; /* every line so far */
    unsigned log_lines;
};

extern struct fake fake;

/* Empty tables; one device at 01:00.0 under pci-bridge0 with IDs 1234:11e8, as entries 0 to 2. */
void fake_reset(void);

/* Fails the test when a handle, connection or notification port was leaked. */
void fake_check_balance(void);

/* Add an entry, returning its index. */
int fake_add(struct fake_entry entry);

/* A root port with one device below it; the service's index. */
int fake_add_device(const char *root, const char *pcidebug, uint32_t vendor, uint32_t device);

/* Append a reply. */
void fake_script(enum dext_selector selector, struct fake_reply reply);
void fake_script_value(enum dext_selector selector, uint64_t value);
void fake_script_status(enum dext_selector selector, kern_return_t status);
void fake_unscript(enum dext_selector selector);

/* How often a selector was called, and its index-th call. */
unsigned fake_calls_of(enum dext_selector selector);
struct fake_call fake_call_at(enum dext_selector selector, unsigned index);

/* Set pending bits, completing the wait there is. */
void fake_raise(unsigned word, uint64_t bits);

void fake_release_hangs(void);

/* Arrivals and departures for whoever watches: tell of an entry that was added after the watch
 * began; end one, with several messages about it. */
void fake_arrive(int entry);
void fake_depart(int entry);

/* Time of the client: nanosleep returns at once and lets it pass, and whoever hangs lets all
 * deadlines pass. Once stopped, till the end of the test, nothing else does: who answers is in
 * time. */
void fake_stop_time(void);
void fake_start_time(void);

/* A connection to the standard device, claimed or not. */
io_connect_t fake_connect(bool is_claimed);

bool fake_log_contains(const char *text);

#endif

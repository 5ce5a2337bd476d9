/*
 * A fake device behind the provider seam and a fake host for the dext's tests. Both write what
 * happens to one list of events, so that a test can check orders.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TEST_DEXT_FAKE_H
#define DEXTLINK_TEST_DEXT_FAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "abi/dext_abi.h"
#include "dext/dext.h"

/* Letters of the event list. */
#define EVENT_OPEN       'O'
#define EVENT_CLOSE      'C'
#define EVENT_MASTER_ON  'B'
#define EVENT_MASTER_OFF 'b'
#define EVENT_IRQ_ON     'I'
#define EVENT_IRQ_OFF    'i'
#define EVENT_MAP        'U'
#define EVENT_UNMAP      'u'
#define EVENT_FREE       'm' /* client memory given back */

struct fake_device {
    struct pci_provider provider; /* first */
    uint8_t config[4096];
    uint8_t bar[6][0x10000];
    bool is_dead;     /* accesses give -ENODEV */
    bool has_no_link; /* link_state fails */
    int open_error, config_error, map_error;
    unsigned map_fails_after; /* maps that succeed before map_error strikes */

    int reset_error[3];     /* by kind */
    int reset_polls[3];     /* id reads after it until the device answers; negative: never */
    uint32_t reset_answer;  /* what the ids read until then */
    unsigned resets[3];     /* times tried */
    int polls_left;         /* now; 0: answers */
    void (*on_reset)(void); /* runs inside a reset */
    void (*on_poll)(void);  /* runs inside an id read that is not answered */

    int irq_error[2];    /* by kind */
    unsigned irq_most;   /* granted at most */
    unsigned irq_wanted; /* last asked */
    enum pci_interrupt_kind irq_kind;
    pthread_mutex_t lock; /* the device lock: handlers run under it */
    pci_interrupt_fn handler;
    void *handler_context;

    char events[64]; /* under lock; the first 63 */
    unsigned event_count;
};

struct fake_host {
    struct fake_device *device; /* whose event list is written */
    _Atomic int memories;       /* described and not given back */
    _Atomic int terminations;
    int memory_error;
    bool is_memory_gone; /* reads of described memory give -EFAULT */
};

/* What a client is opened with. */
struct fake_client {
    struct fake_host *host;
    _Atomic unsigned completions;
    _Atomic uint64_t last_token;
    IOReturn last_status;
    unsigned last_count;
    _Atomic bool is_stopped; /* a call after that is a bug of the dext */
};

/* One device, one dext, one host, up to four clients. */
struct fixture {
    struct fake_device *device;
    struct fake_host host;
    struct dext *dext;
    struct fake_client contexts[4];
    struct dext_client *clients[4]; /* NULL when not open */
};

extern const struct dext_host_ops fake_host_ops;

/* Defaults for NULL. Aborts the test on failure. */
void fixture_set_up(struct fixture *fixture, const struct dext_options *options,
                    const struct dart_options *dart);
/* Stops what is open and checks that nothing is held any more. */
void fixture_tear_down(struct fixture *fixture);
struct dext_client *fixture_open(struct fixture *fixture, unsigned index);
struct dext_client *fixture_open_claimed(struct fixture *fixture, unsigned index);
void fixture_stop(struct fixture *fixture, unsigned index);

struct fake_device *fake_device_create(const struct dart_options *dart);
void fake_device_fire(struct fake_device *device, unsigned vector);
void fake_device_event(struct fake_device *device, char event);
/* Forget the events so far. */
void fake_device_clear_events(struct fake_device *device);

#define FAKE_OUT 16

/* External method with scalars and room for 16 outputs, zeroed before. */
IOReturn fake_call(struct dext_client *client, uint64_t selector, const uint64_t *in,
                   uint32_t in_count, uint64_t out[FAKE_OUT]);
/* WaitInterrupt. */
IOReturn fake_wait(struct dext_client *client, uint64_t token);

#define CALL(client, selector, out, ...)                                                           \
    fake_call(client, selector, (const uint64_t[]){__VA_ARGS__},                                   \
              sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), out)
#define CALL0(client, selector, out) fake_call(client, selector, NULL, 0, out)

#define assert_code(call, code)      assert_int_equal((uint32_t)(call), (uint32_t)(code))
#define assert_u64(value, expected)  assert_true((uint64_t)(value) == (uint64_t)(expected))

/* The word that fake client memory holds at a client address. */
uint64_t fake_memory_word(uint64_t address);

#endif

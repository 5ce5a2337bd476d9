/*
 * Conformance of interrupts: setting up, pending words, mask, waits, the page that driver and
 * client share. Vectors are fired where the device can be told to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOKitLib.h>
#include <inttypes.h>
#include <mach/mach.h>
#include <string.h>
#include <time.h>

#include "conformance.h"

#define WORDS       4
#define VECTORS_MAX 256
#define PAGE_BYTES  16384
#define MEMORY_TYPE 7
#define SILENCE_NS  50000000 /* how long what must not come is looked for */

/* A client with interrupts, and the registers to fire them by. */
struct firing {
    io_connect_t client;
    uint64_t vectors;
    struct engine engine;
    struct session session;
    uint64_t *page; /* memory type 7; NULL until mapped */
};

static io_connect_t set_up(struct conformance *run, uint64_t *vectors)
{
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL) {
        return client;
    }
    struct conformance_call call = conformance_ask(client, SEL_SETUP_INTERRUPTS, NULL);
    *vectors = call.out[0];
    return want_reply(run, &call) ? client : IO_OBJECT_NULL;
}

static bool begin(struct conformance *run, struct firing *firing)
{
    *firing = (struct firing){0};
    firing->client = set_up(run, &firing->vectors);
    if (firing->client == IO_OBJECT_NULL) {
        return false;
    }
    struct conformance_call call = conformance_ask(firing->client, SEL_CHECK_INTERRUPT, NULL);
    return want_reply(run, &call) &&
           conformance_engine(run, &firing->engine, &firing->session, firing->client);
}

static void finish(struct firing *firing)
{
    if (firing->engine.registers) {
        engine_close(&firing->engine);
    }
}

static void pause_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* Add what is pending for a client; false when it cannot be read. */
static bool take(struct conformance *run, io_connect_t client, uint64_t words[WORDS])
{
    struct conformance_call call = conformance_ask(client, SEL_CHECK_INTERRUPT, NULL);
    for (int i = 0; want_reply(run, &call) && i < WORDS; i++) {
        words[i] |= call.out[i];
    }
    return run->outcome == OUTCOME_OK;
}

static bool has(const uint64_t words[WORDS], uint64_t vector)
{
    return words[vector / 64] >> (vector % 64) & 1;
}

struct arrival {
    struct conformance *run;
    io_connect_t client;
    uint64_t vector;
    uint64_t words[WORDS];
};

/* Also when the test has failed: then there is nothing to wait for. */
static bool has_arrived(void *opaque)
{
    struct arrival *arrival = opaque;
    return !take(arrival->run, arrival->client, arrival->words) ||
           has(arrival->words, arrival->vector);
}

/* Wait for a vector and check that it comes alone. */
static void want_vector(struct conformance *run, io_connect_t client, uint64_t vector)
{
    struct arrival arrival = {.run = run, .client = client, .vector = vector};
    uint64_t *words = arrival.words;

    if (want(run, conformance_eventually(has_arrived, &arrival) && run->outcome == OUTCOME_OK,
             "vector %" PRIu64 " did not arrive", vector)) {
        words[vector / 64] &= ~(UINT64_C(1) << (vector % 64));
        want(run, !(words[0] | words[1] | words[2] | words[3]),
             "others arrived with vector %" PRIu64 ": 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64
             " 0x%" PRIx64,
             vector, words[0], words[1], words[2], words[3]);
    }
}

static void want_silence(struct conformance *run, io_connect_t client, const char *when)
{
    uint64_t words[WORDS] = {0};
    pause_ns(SILENCE_NS);
    if (take(run, client, words)) {
        want(run, !(words[0] | words[1] | words[2] | words[3]),
             "%s: pending 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64, when, words[0],
             words[1], words[2], words[3]);
    }
}

static void fire(struct firing *firing, uint64_t vector)
{
    firing->engine.ops->fire(&firing->engine, (uint32_t)vector);
}

static void quiet(struct firing *firing, uint64_t vector)
{
    firing->engine.ops->acknowledge(&firing->engine, (uint32_t)vector);
}

static void set_mask(struct conformance *run, io_connect_t client, uint64_t vector, bool is_on)
{
    uint64_t mask[WORDS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    if (!is_on) {
        mask[vector / 64] &= ~(UINT64_C(1) << (vector % 64));
    }
    struct conformance_call call = conformance_ask(client, SEL_SET_IRQ_MASK, mask);
    want_reply(run, &call);
}

static bool map_page(struct conformance *run, struct firing *firing)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    kern_return_t code = IOConnectMapMemory64(firing->client, MEMORY_TYPE, mach_task_self(),
                                              &address, &size, kIOMapAnywhere);
    if (!want_code(run, code, KERN_SUCCESS, "mapping the page") ||
        !want(run, size == PAGE_BYTES, "the page has %" PRIu64 " bytes", (uint64_t)size)) {
        return false;
    }
    firing->page = (uint64_t *)(uintptr_t)address;
    return true;
}

/* Tests */

static void setup_good(struct conformance *run)
{
    uint64_t vectors = 0;
    if (set_up(run, &vectors) != IO_OBJECT_NULL) {
        want(run, vectors >= 1 && vectors <= VECTORS_MAX, "%" PRIu64 " vectors", vectors);
    }
}

static void setup_again(struct conformance *run)
{
    uint64_t vectors = 0;
    io_connect_t client = set_up(run, &vectors);
    if (client != IO_OBJECT_NULL) {
        struct conformance_call call = conformance_ask(client, SEL_SETUP_INTERRUPTS, NULL);
        want_code(run, call.code, kIOReturnStillOpen, "a second time");
    }
}

static void setup_anew(struct conformance *run)
{
    uint64_t vectors = 0;
    uint64_t again = 0;
    io_connect_t client = set_up(run, &vectors);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    conformance_leave(run, client);
    if (set_up(run, &again) != IO_OBJECT_NULL) {
        want(run, again == vectors, "%" PRIu64 " vectors, then %" PRIu64, vectors, again);
    }
}

static void not_ready(struct conformance *run)
{
    static const uint64_t none[WORDS];
    io_connect_t client = conformance_claim_own(run);
    if (client != IO_OBJECT_NULL) {
        struct conformance_call call = conformance_ask(client, run->test->selector, none);
        want_code(run, call.code, kIOReturnNotReady, "before SetupInterrupts");
    }
}

static void wait_not_ready(struct conformance *run)
{
    io_connect_t client = conformance_claim_own(run);
    struct conformance_wait *wait = conformance_wait_create();
    if (client != IO_OBJECT_NULL && want(run, wait != NULL, "no memory")) {
        want_code(run, conformance_wait_arm(wait, client), kIOReturnNotReady,
                  "before SetupInterrupts");
    }
    conformance_wait_destroy(wait);
}

static void page_not_ready(struct conformance *run)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    kern_return_t code = IOConnectMapMemory64(client, MEMORY_TYPE, mach_task_self(), &address,
                                              &size, kIOMapAnywhere);
    if (!want(run, code != KERN_SUCCESS, "the page can be mapped before SetupInterrupts")) {
        IOConnectUnmapMemory64(client, MEMORY_TYPE, mach_task_self(), address);
    }
}

static void wait_no_completion(struct conformance *run)
{
    uint64_t vectors = 0;
    io_connect_t client = set_up(run, &vectors);
    if (client != IO_OBJECT_NULL) {
        struct conformance_call call = conformance_ask(client, SEL_WAIT_INTERRUPT, NULL);
        want_code(run, call.code, kIOReturnBadArgument, "a call without a completion");
    }
}

/* Bits of vectors that were not granted must not be there; others may be, of a device in use. */
static void check_good(struct conformance *run)
{
    uint64_t words[WORDS] = {0};
    uint64_t vectors = 0;
    io_connect_t client = set_up(run, &vectors);
    if (client == IO_OBJECT_NULL || !take(run, client, words)) {
        return;
    }
    for (uint64_t vector = vectors; vector < VECTORS_MAX; vector++) {
        want(run, !has(words, vector), "vector %" PRIu64 " of %" PRIu64 " is pending", vector,
             vectors);
    }
}

static void page_layout(struct conformance *run)
{
    static const uint64_t mask[WORDS] = {1, 2, 3, 4};
    struct firing firing = {0};
    uint64_t *enabled;

    firing.client = set_up(run, &firing.vectors);
    if (firing.client == IO_OBJECT_NULL || !map_page(run, &firing)) {
        return;
    }
    enabled = firing.page + WORDS;
    for (int i = 0; i < WORDS; i++) {
        uint64_t word = __atomic_load_n(&enabled[i], __ATOMIC_ACQUIRE);
        want(run, word == UINT64_MAX, "enabled word %d starts as 0x%" PRIx64, i, word);
    }
    struct conformance_call call = conformance_ask(firing.client, SEL_SET_IRQ_MASK, mask);
    want_reply(run, &call);
    for (int i = 0; i < WORDS; i++) {
        uint64_t word = __atomic_load_n(&enabled[i], __ATOMIC_ACQUIRE);
        want(run, word == mask[i], "enabled word %d is 0x%" PRIx64 " after SetIRQMask", i, word);
    }
}

static void each_vector(struct conformance *run)
{
    struct firing firing;
    bool can = begin(run, &firing);
    for (uint64_t v = 0; can && v < firing.vectors && run->outcome == OUTCOME_OK; v++) {
        fire(&firing, v);
        want_vector(run, firing.client, v);
        quiet(&firing, v);
    }
    finish(&firing);
}

static void reading_clears(struct conformance *run)
{
    struct firing firing;
    if (begin(run, &firing)) {
        fire(&firing, 0);
        want_vector(run, firing.client, 0);
        want_silence(run, firing.client, "after it was read");
        quiet(&firing, 0);
    }
    finish(&firing);
}

static void masked_is_dropped(struct conformance *run)
{
    struct firing firing;
    if (begin(run, &firing)) {
        set_mask(run, firing.client, 0, false);
        fire(&firing, 0);
        want_silence(run, firing.client, "masked");
        quiet(&firing, 0);
        set_mask(run, firing.client, 0, true);
        want_silence(run, firing.client, "masked when it fired, then unmasked");
        fire(&firing, 0);
        want_vector(run, firing.client, 0);
        quiet(&firing, 0);
    }
    finish(&firing);
}

static void each_client(struct conformance *run)
{
    struct firing firing;
    uint64_t vectors = 0;
    if (begin(run, &firing)) {
        io_connect_t other = set_up(run, &vectors);
        if (other != IO_OBJECT_NULL) {
            fire(&firing, 0);
            want_vector(run, firing.client, 0);
            want_vector(run, other, 0);
            quiet(&firing, 0);
        }
    }
    finish(&firing);
}

static void mask_each_its_own(struct conformance *run)
{
    struct firing firing;
    uint64_t vectors = 0;
    if (begin(run, &firing)) {
        io_connect_t other = set_up(run, &vectors);
        if (other != IO_OBJECT_NULL) {
            set_mask(run, other, 0, false);
            fire(&firing, 0);
            want_vector(run, firing.client, 0);
            want_silence(run, other, "masked by this client");
            quiet(&firing, 0);
        }
    }
    finish(&firing);
}

struct bit {
    uint64_t *word; /* of the page */
    uint64_t mask;
};

static bool is_set(void *opaque)
{
    const struct bit *bit = opaque;
    return __atomic_load_n(bit->word, __ATOMIC_ACQUIRE) & bit->mask;
}

static void page_pending(struct conformance *run)
{
    struct firing firing;
    if (begin(run, &firing) && map_page(run, &firing)) {
        uint64_t last = firing.vectors - 1;
        struct bit bit = {&firing.page[last / 64], UINT64_C(1) << (last % 64)};
        fire(&firing, last);
        want(run, conformance_eventually(is_set, &bit), "the bit does not come in the page");
        __atomic_exchange_n(bit.word, 0, __ATOMIC_ACQ_REL);
        quiet(&firing, last);
        want_silence(run, firing.client, "after the client cleared it in the page");
    }
    finish(&firing);
}

static void page_mask(struct conformance *run)
{
    struct firing firing;
    if (begin(run, &firing) && map_page(run, &firing)) {
        __atomic_store_n(&firing.page[WORDS], ~UINT64_C(1), __ATOMIC_RELEASE);
        fire(&firing, 0);
        want_silence(run, firing.client, "masked in the page");
        quiet(&firing, 0);
        __atomic_store_n(&firing.page[WORDS], UINT64_MAX, __ATOMIC_RELEASE);
        fire(&firing, 0);
        want_vector(run, firing.client, 0);
        quiet(&firing, 0);
    }
    finish(&firing);
}

static void wait_completes(struct conformance *run)
{
    struct firing firing;
    struct conformance_wait *wait = conformance_wait_create();
    if (want(run, wait != NULL, "no memory") && begin(run, &firing)) {
        want_code(run, conformance_wait_arm(wait, firing.client), KERN_SUCCESS, "WaitInterrupt");
        pause_ns(SILENCE_NS);
        want(run, conformance_wait_count(wait, 0) == 0, "it completed before anything fired");
        fire(&firing, 0);
        want(run, conformance_wait_count(wait, 1) == 1, "it did not complete");
        want_vector(run, firing.client, 0);
        quiet(&firing, 0);
        fire(&firing, 0);
        want_vector(run, firing.client, 0);
        quiet(&firing, 0);
        pause_ns(SILENCE_NS);
        want(run, conformance_wait_count(wait, 0) == 1, "it completed more than once");
        finish(&firing);
    }
    conformance_wait_destroy(wait);
}

static void wait_at_once(struct conformance *run)
{
    struct firing firing;
    struct conformance_wait *wait = conformance_wait_create();
    if (want(run, wait != NULL, "no memory") && begin(run, &firing) && map_page(run, &firing)) {
        struct bit bit = {firing.page, 1};
        fire(&firing, 0);
        want(run, conformance_eventually(is_set, &bit), "the bit does not come in the page");
        want_code(run, conformance_wait_arm(wait, firing.client), KERN_SUCCESS, "WaitInterrupt");
        want(run, conformance_wait_count(wait, 1) == 1,
             "it did not complete with a vector pending");
        quiet(&firing, 0);
        finish(&firing);
    }
    conformance_wait_destroy(wait);
}

static void wait_newest(struct conformance *run)
{
    struct firing firing;
    struct conformance_wait *old = conformance_wait_create();
    struct conformance_wait *new = conformance_wait_create();
    if (want(run, old && new, "no memory") && begin(run, &firing)) {
        want_code(run, conformance_wait_arm(old, firing.client), KERN_SUCCESS, "WaitInterrupt");
        want_code(run, conformance_wait_arm(new, firing.client), KERN_SUCCESS, "WaitInterrupt");
        fire(&firing, 0);
        want(run, conformance_wait_count(new, 1) == 1, "the newer did not complete");
        want_vector(run, firing.client, 0);
        quiet(&firing, 0);
        finish(&firing);
    }
    conformance_wait_destroy(old);
    conformance_wait_destroy(new);
}

#define NOT_READY "kIOReturnNotReady before SetupInterrupts"

static const struct conformance_test tests[] = {
    {"CheckInterrupt.not-ready", LEVEL_INTERRUPTS, "irq.not-ready", NOT_READY, not_ready, NULL,
     SEL_CHECK_INTERRUPT},
    {"SetIRQMask.not-ready", LEVEL_INTERRUPTS, "irq.not-ready", NOT_READY, not_ready, NULL,
     SEL_SET_IRQ_MASK},
    {"WaitInterrupt.not-ready", LEVEL_INTERRUPTS, "irq.not-ready", NOT_READY, wait_not_ready, NULL,
     0},
    {"Memory.irq-not-ready", LEVEL_INTERRUPTS, "mem.7",
     "type 7 cannot be mapped before SetupInterrupts", page_not_ready, NULL, 0},
    {"SetupInterrupts.good", LEVEL_INTERRUPTS, "sel.13", "1 to 256 vectors", setup_good, NULL, 0},
    {"SetupInterrupts.again", LEVEL_INTERRUPTS, "irq.once", "kIOReturnStillOpen", setup_again, NULL,
     0},
    {"SetupInterrupts.anew", LEVEL_INTERRUPTS, "irq.once", "the next client gets as many",
     setup_anew, NULL, 0},
    {"CheckInterrupt.good", LEVEL_INTERRUPTS, "sel.14", "4 words, no bit above the vectors",
     check_good, NULL, 0},
    {"Memory.irq-page", LEVEL_INTERRUPTS, "mem.7",
     "16 KiB, all vectors enabled at first, then what SetIRQMask said", page_layout, NULL, 0},
    {"WaitInterrupt.no-completion", LEVEL_INTERRUPTS, "irq.completion",
     "kIOReturnBadArgument without a completion", wait_no_completion, NULL, 0},
    {"Interrupts.each-vector", LEVEL_INTERRUPTS, "irq.bit", "vector v is bit v, alone", each_vector,
     NULL, 0},
    {"Interrupts.reading-clears", LEVEL_INTERRUPTS, "irq.clear", "CheckInterrupt clears",
     reading_clears, NULL, 0},
    {"SetIRQMask.dropped", LEVEL_INTERRUPTS, "sel.16",
     "a vector that fires while masked is dropped; unmasked it arrives", masked_is_dropped, NULL,
     0},
    {"Interrupts.each-client", LEVEL_INTERRUPTS, "irq.each-client",
     "every client with interrupts sees the vector", each_client, NULL, 0},
    {"SetIRQMask.each-its-own", LEVEL_INTERRUPTS, "irq.each-client",
     "a mask is for the client that set it", mask_each_its_own, NULL, 0},
    {"Interrupts.page-pending", LEVEL_INTERRUPTS, "irq.page",
     "the bit comes in the page, where the client clears it", page_pending, NULL, 0},
    {"Interrupts.page-mask", LEVEL_INTERRUPTS, "irq.page", "the client masks in the page",
     page_mask, NULL, 0},
    {"WaitInterrupt.completes", LEVEL_INTERRUPTS, "sel.15",
     "it completes once, when a vector fires", wait_completes, NULL, 0},
    {"WaitInterrupt.at-once", LEVEL_INTERRUPTS, "irq.at-once",
     "it completes at once when a vector is pending", wait_at_once, NULL, 0},
    {"WaitInterrupt.newest", LEVEL_INTERRUPTS, "irq.newest", "a newer wait takes the older's place",
     wait_newest, NULL, 0},
};

const struct conformance_group conformance_irq = {tests, sizeof(tests) / sizeof(*tests)};

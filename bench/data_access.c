/*
 * Loads and stores: a direct BAR beside plain memory; a trapped one beside a handler of SIGSEGV and
 * a call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "data.h"
#include "samples.h"

#define SPAN_BYTES 4096
#define BATCH      16 /* times over the span: accesses too short to be timed one by one */
#define BATCHES    1000
#define INTERLEAVE 20
#define SCRATCH    0x044 /* a register of testdev, docs/testdev.md */

static bool complain(const char *what, kern_return_t code)
{
    fprintf(stderr, "dextbench: %s: %s\n", what, apple_dext_status_text(code));
    return false;
}

static void *map_bar(io_connect_t testdev, uint8_t bar)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size;
    uint8_t type;
    kern_return_t code = apple_dext_map_bar(testdev, bar, &address, &size, &type);
    if (code != KERN_SUCCESS) {
        complain("cannot map a BAR", code);
    }
    return (void *)(uintptr_t)address; /* 0 is left when it failed */
}

static void unmap_bar(io_connect_t testdev, uint8_t bar, void *address)
{
    if (address) {
        apple_dext_unmap_bar(testdev, bar, (uintptr_t)address);
    }
}

static void add(json_object *figures, const char *key, struct samples *samples)
{
    json_object_object_add(figures, key, samples_json(samples));
}

static double p50_of(json_object *figures, const char *key)
{
    return json_object_get_double(
        json_object_object_get(json_object_object_get(figures, key), "p50_us"));
}

static void load_all(volatile uint32_t *words)
{
    for (unsigned turn = 0; turn < BATCH; turn++) {
        for (unsigned i = 0; i < SPAN_BYTES / sizeof(*words); i++) {
            (void)words[i];
        }
    }
}

static void store_all(volatile uint32_t *words)
{
    for (unsigned turn = 0; turn < BATCH; turn++) {
        for (unsigned i = 0; i < SPAN_BYTES / sizeof(*words); i++) {
            words[i] = turn;
        }
    }
}

/* Microseconds of one access. Not inlined: the same instructions for each kind of memory. */
static __attribute__((noinline)) double timed(void (*access)(volatile uint32_t *words),
                                              volatile uint32_t *words)
{
    access(words); /* caches have them, and the processor the way there */
    double start = clock_us();
    access(words);
    return (clock_us() - start) / (BATCH * (SPAN_BYTES / sizeof(*words)));
}

static bool measure_direct(volatile uint32_t *bar, uint64_t rounds, json_object *figures)
{
    static uint32_t plain[SPAN_BYTES / sizeof(uint32_t)] __attribute__((aligned(SPAN_BYTES)));
    static const char *const keys[] = {"direct_load", "plain_load", "direct_store", "plain_store"};
    struct samples samples[4] = {0};
    uint64_t batches = rounds < BATCHES ? rounds : BATCHES;
    bool ok = true;

    for (unsigned i = 0; i < 4; i++) {
        ok = samples_create(&samples[i], (size_t)batches) && ok;
    }
    for (uint64_t i = 0; ok && i < batches; i++) {
        samples_add(&samples[0], timed(load_all, bar));
        samples_add(&samples[1], timed(load_all, plain));
        samples_add(&samples[3], timed(store_all, plain));
        samples_add(&samples[2], timed(store_all, bar));
    }
    for (unsigned i = 0; i < 4; i++) {
        if (ok) {
            add(figures, keys[i], &samples[i]);
        }
        samples_destroy(&samples[i]);
    }
    if (ok) {
        json_object_object_add(
            figures, "direct_load_to_plain",
            figure_json(p50_of(figures, "direct_load") / p50_of(figures, "plain_load")));
        json_object_object_add(
            figures, "direct_store_to_plain",
            figure_json(p50_of(figures, "direct_store") / p50_of(figures, "plain_store")));
    }
    return ok;
}

/* The floor of a trap: one load, of a length that is known here, from where nothing may be read. */

#if defined(__x86_64__)
#define CAN_STEP_OVER true
static void load_stepped_over(const uint32_t *word)
{
    __asm__ volatile("movl (%%rax), %%eax" : "+a"(word) : : "memory");
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}
#elif defined(__aarch64__)
#define CAN_STEP_OVER true
static void load_stepped_over(const uint32_t *word)
{
    uint32_t value;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(word) : "memory");
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.pc += 4;
}
#else
#define CAN_STEP_OVER false
static void load_stepped_over(const uint32_t *word)
{
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
}
#endif

struct trapped {
    io_connect_t testdev;
    volatile uint32_t *word; /* through the trapped BAR */
    uint32_t *forbidden;     /* a page that nobody may touch */
};

static bool load_trapped(struct trapped *trapped)
{
    (void)*trapped->word;
    return true;
}

static bool store_trapped(struct trapped *trapped)
{
    *trapped->word = 1;
    return true;
}

static bool step_over(struct trapped *trapped)
{
    load_stepped_over(trapped->forbidden);
    return true;
}

static bool read_call(struct trapped *trapped)
{
    uint64_t value;
    kern_return_t code = apple_dext_mmio_read(trapped->testdev, 0, SCRATCH, 4, &value);
    return code == KERN_SUCCESS || complain("cannot read a register of testdev", code);
}

static bool write_call(struct trapped *trapped)
{
    kern_return_t code = apple_dext_mmio_write(trapped->testdev, 0, SCRATCH, 4, 1);
    return code == KERN_SUCCESS || complain("cannot write a register of testdev", code);
}

static const struct kind {
    const char *key;
    bool (*once)(struct trapped *trapped);
} kinds[] = {
    {"trapped_load", load_trapped}, {"trapped_store", store_trapped}, {"mmio_read", read_call},
    {"mmio_write", write_call},     {"step_over", step_over},
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static bool time_kind(struct trapped *trapped, const struct kind *kind, struct samples *samples)
{
    struct sigaction handler = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction before;
    bool is_floor = kind->once == step_over;
    bool ok = true;

    if (is_floor) {
        sigaction(SIGSEGV, &handler, &before); /* the library's own comes back below */
    }
    for (int i = 0; ok && i < INTERLEAVE; i++) {
        double start = clock_us();
        ok = kind->once(trapped);
        samples_add(samples, clock_us() - start);
    }
    if (is_floor) {
        sigaction(SIGSEGV, &before, NULL);
    }
    return ok;
}

static void add_trapped_ratios(json_object *figures)
{
    double floor = p50_of(figures, "step_over");

    json_object_object_add(
        figures, "trapped_load_to_floor",
        figure_json(p50_of(figures, "trapped_load") / (floor + p50_of(figures, "mmio_read"))));
    json_object_object_add(
        figures, "trapped_store_to_floor",
        figure_json(p50_of(figures, "trapped_store") / (floor + p50_of(figures, "mmio_write"))));
}

static bool time_kinds(struct trapped *trapped, uint64_t rounds, json_object *figures)
{
    struct samples samples[KINDS] = {0};
    bool ok = true;

    for (size_t i = 0; i < KINDS; i++) {
        ok = samples_create(&samples[i], (size_t)rounds) && ok;
    }
    while (ok && samples[KINDS - 1].count < rounds) {
        for (size_t i = 0; ok && i < KINDS; i++) {
            ok = time_kind(trapped, &kinds[i], &samples[i]);
        }
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (ok) {
            add(figures, kinds[i].key, &samples[i]);
        }
        samples_destroy(&samples[i]);
    }
    if (ok) {
        add_trapped_ratios(figures);
    }
    return ok;
}

/* Where trapped BARs cannot be mapped, there is nothing to measure. */
static bool measure_trapped(io_connect_t testdev, uint64_t rounds, json_object *figures)
{
    struct trapped trapped = {.testdev = testdev};

    if (!CAN_STEP_OVER) {
        return true;
    }
    void *page = mmap(NULL, SPAN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        fprintf(stderr, "dextbench: a page: %s\n", strerror(errno));
        return false;
    }
    trapped.forbidden = page;
    uint8_t *registers = map_bar(testdev, 0);
    bool ok = registers != NULL;
    if (ok) {
        trapped.word = (uint32_t *)(void *)(registers + SCRATCH);
        ok = time_kinds(&trapped, rounds, figures);
    }
    unmap_bar(testdev, 0, registers);
    munmap(page, SPAN_BYTES);
    return ok;
}

bool data_measure_access(io_connect_t testdev, uint64_t rounds, json_object *figures)
{
    void *memory = map_bar(testdev, 4);
    bool ok = memory && measure_direct(memory, rounds, figures) &&
              measure_trapped(testdev, rounds, figures);
    unmap_bar(testdev, 4, memory);
    return ok;
}

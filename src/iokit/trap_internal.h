/*
 * Between the trap's generic half (regions, signal, chaining) and a processor's half (completing
 * one instruction).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_TRAP_INTERNAL_H
#define DEXTLINK_IOKIT_TRAP_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "iokit/trap.h"

/** An address inside a live region; a copy, so that it outlives changes of the region table. */
struct trap_target {
    uint64_t offset; /* of the address in its region */
    size_t region_bytes;
    trap_access_fn access;
    void *context;
};

enum trap_outcome {
    TRAP_COMPLETED, /* the context has moved on; resume it */
    TRAP_NOT_OURS,  /* hand on to the earlier handler */
    TRAP_REFUSED,   /* say why (struct trap_refusal), then hand on */
};

struct trap_refusal {
    const char *reason; /* set on entry: refuse for this reason, only describe the instruction */
    uintptr_t address;
    uintptr_t instruction_address;
    char instruction[112];
};

/** The region around address, if any. Lock-free; for signal handlers. */
bool trap_target_find(uintptr_t address, struct trap_target *out);

/** Run the region's access function on value, noting that this thread is inside it. */
void trap_target_access(const struct trap_target *target, unsigned width, bool is_write,
                        uint64_t *value);

/**
 * Complete the instruction that faulted at info->si_addr, which lies in a region. Changes context
 * on TRAP_COMPLETED only. TRAP_NOT_OURS may change info->si_addr: the instruction's other operand,
 * outside every region, is what faults. Otherwise nothing has reached a device, with two exceptions
 * in which it was read: a division by what it returned is impossible; another thread unmapped the
 * destination of a copy at that very moment.
 */
enum trap_outcome trap_arch_complete(siginfo_t *info, ucontext_t *context,
                                     struct trap_refusal *refusal);

/** Whether the fault was one of trap_arch_complete's own probes of plain memory; then resolved. */
bool trap_arch_recover(ucontext_t *context);

#endif

/*
 * Trapped memory, the part common to all processors: the table of regions, the process's SIGSEGV
 * handler, and the hand-over to the handler that was there before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/trap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "iokit/trap_internal.h"

/*
 * Nodes are pushed once and never unlinked or freed, only reused: a handler may be walking the list
 * on another thread at any moment. version is odd while the fields change. Every field is atomic
 * with acquire and release, so a handler that saw a new field also sees the changed version.
 */
struct trap_region {
    struct trap_region *next;
    atomic_uint version;
    _Atomic(uintptr_t) base;
    _Atomic(size_t) bytes; /* 0: free */
    _Atomic(trap_access_fn) access;
    _Atomic(void *) context;
};

static _Atomic(struct trap_region *) all_regions;
static pthread_mutex_t writer_lock = PTHREAD_MUTEX_INITIALIZER;

/* Handlers that were there when ours was installed; never freed, as one may be running. */
struct earlier_handler {
    struct earlier_handler *next;
    struct sigaction action;
};

static struct earlier_handler *all_earlier; /* under writer_lock */
static struct sigaction default_action;     /* all zero: SIG_DFL */
static _Atomic(struct sigaction *) earlier = &default_action;
/* The one before the first installation, for handlers that in turn hand on to ours. */
static _Atomic(struct sigaction *) earliest = &default_action;

/* initial-exec: a lazily allocated TLS block would call malloc inside the handler. */
#define HANDLER_LOCAL static _Thread_local __attribute__((tls_model("initial-exec")))
HANDLER_LOCAL bool is_inside_access;
/* The fault that is being handed on: its context and the stack of the handler that does so. */
HANDLER_LOCAL const void *handed_context;
HANDLER_LOCAL uintptr_t handed_frame;

static bool region_read(struct trap_region *region, uintptr_t address, struct trap_target *out)
{
    unsigned version = atomic_load_explicit(&region->version, memory_order_acquire);
    uintptr_t base = atomic_load_explicit(&region->base, memory_order_acquire);
    size_t bytes = atomic_load_explicit(&region->bytes, memory_order_acquire);
    out->access = atomic_load_explicit(&region->access, memory_order_acquire);
    out->context = atomic_load_explicit(&region->context, memory_order_acquire);
    out->offset = address - base;
    out->region_bytes = bytes;
    /* One that is changing cannot be the one being accessed, so it is skipped, not read again. */
    return version % 2 == 0 && address >= base && address - base < bytes &&
           atomic_load_explicit(&region->version, memory_order_relaxed) == version;
}

bool trap_target_find(uintptr_t address, struct trap_target *out)
{
    struct trap_region *region = atomic_load_explicit(&all_regions, memory_order_acquire);
    while (region && !region_read(region, address, out)) {
        region = region->next;
    }
    return region != NULL;
}

void trap_target_access(const struct trap_target *target, unsigned width, bool is_write,
                        uint64_t *value)
{
    is_inside_access = true;
    target->access(target->context, target->offset, width, is_write, value);
    is_inside_access = false;
}

static void region_write(struct trap_region *region, uintptr_t base, size_t bytes,
                         trap_access_fn access, void *context)
{
    unsigned version = atomic_load_explicit(&region->version, memory_order_relaxed);
    atomic_store_explicit(&region->version, version + 1, memory_order_relaxed);
    atomic_store_explicit(&region->base, base, memory_order_release);
    atomic_store_explicit(&region->bytes, bytes, memory_order_release);
    atomic_store_explicit(&region->access, access, memory_order_release);
    atomic_store_explicit(&region->context, context, memory_order_release);
    atomic_store_explicit(&region->version, version + 2, memory_order_release);
}

static char *append(char *at, const char *end, const char *text)
{
    while (*text && at < end) {
        *at++ = *text++;
    }
    return at;
}

static char *append_hex(char *at, const char *end, uint64_t value)
{
    char digits[19] = {0};
    size_t first = sizeof(digits) - 1;
    do {
        digits[--first] = "0123456789abcdef"[value % 16];
        value /= 16;
    } while (value != 0);
    digits[--first] = 'x';
    digits[--first] = '0';
    return append(at, end, digits + first);
}

/* Runs in the handler: no stdio, one write. */
static void diagnose(const struct trap_refusal *refusal, uint64_t offset)
{
    char line[512] = "";
    const char *end = &line[sizeof(line) - 1];
    char *at = append(line, end, "dextlink: cannot complete '");
    at = append(at, end, refusal->instruction);
    at = append(at, end, "' at ");
    at = append_hex(at, end, refusal->instruction_address);
    at = append(at, end, " on trapped device memory ");
    at = append_hex(at, end, refusal->address);
    at = append(at, end, " (offset ");
    at = append_hex(at, end, offset);
    at = append(at, end, "): ");
    at = append(at, end, refusal->reason);
    at = append(at, end, "; use naturally aligned volatile accesses of 1, 2, 4 or 8 bytes");
    *at++ = '\n';
    ssize_t written = write(STDERR_FILENO, line, (size_t)(at - line));
    (void)written;
}

/* The process ends as it would have without us: a fault recurs at once, a kill() is sent again. */
static void hand_to_default(int signal_number, const siginfo_t *info, bool is_ignored)
{
    bool is_fault = info->si_code > 0;
    if (!is_fault && is_ignored) {
        return;
    }
    sigaction(signal_number, &default_action, NULL);
    if (!is_fault) {
        raise(signal_number);
    }
}

static void run_action(_Atomic(struct sigaction *) *slot, int signal_number, siginfo_t *info,
                       ucontext_t *context)
{
    struct sigaction *action = atomic_load_explicit(slot, memory_order_acquire);
    bool is_plain = !(action->sa_flags & SA_SIGINFO);
    if (is_plain && (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN)) {
        hand_to_default(signal_number, info, action->sa_handler == SIG_IGN);
        return;
    }
    if (action->sa_flags & (int)SA_RESETHAND) {
        atomic_store_explicit(slot, &default_action, memory_order_release);
    }
    /* The mask it would have run with; returning from our handler puts the interrupted one back. */
    sigset_t mask;
    sigorset(&mask, &context->uc_sigmask, &action->sa_mask);
    if (!(action->sa_flags & SA_NODEFER)) {
        sigaddset(&mask, signal_number);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (is_plain) {
        action->sa_handler(signal_number);
    } else {
        action->sa_sigaction(signal_number, info, context);
    }
}

/*
 * A handler that took our place and got it taken again may hand on to ours, so that the two would
 * call each other for ever. Then we are called deeper in the stack with the same context (the next
 * signal at the same place has the same frame) and go on to the handler before both.
 */
static void hand_on(int signal_number, siginfo_t *info, ucontext_t *context)
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    bool was_inside = is_inside_access;
    is_inside_access = false; /* the handler may leave by siglongjmp */
    if (handed_context == context && frame < handed_frame) {
        run_action(&earliest, signal_number, info, context);
    } else {
        handed_context = context;
        handed_frame = frame;
        run_action(&earlier, signal_number, info, context);
        handed_context = NULL;
    }
    is_inside_access = was_inside;
}

static void on_fault(int signal_number, siginfo_t *info, void *opaque)
{
    ucontext_t *context = opaque;
    int saved_errno = errno;
    siginfo_t seen = *info;
    enum trap_outcome outcome = TRAP_NOT_OURS;
    /* SA_NODEFER says so already, but TSan, for one, puts its own mask in place of ours. */
    sigset_t faults;
    sigemptyset(&faults);
    sigaddset(&faults, signal_number);
    pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
    if (info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR) {
        struct trap_target target = {0};
        struct trap_refusal refusal = {.address = (uintptr_t)info->si_addr};
        if (trap_arch_recover(context)) {
            outcome = TRAP_COMPLETED;
        } else if (trap_target_find(refusal.address, &target)) {
            if (is_inside_access) {
                refusal.reason = "the access function itself touches trapped memory";
            }
            outcome = trap_arch_complete(&seen, context, &refusal);
        }
        if (outcome == TRAP_REFUSED) {
            diagnose(&refusal, target.offset);
        }
    }
    if (outcome != TRAP_COMPLETED) {
        errno = saved_errno;
        hand_on(signal_number, &seen, context);
    }
    errno = saved_errno;
}

static void fill_action(struct sigaction *action, int earlier_flags)
{
    /* The signals that an instruction itself causes must stay deliverable, ours too: NODEFER lets
     * probes fault and a fault in the access function reach the earlier handler. SIGQUIT is the way
     * out of an access function that hangs. All others wait, so that their handlers may themselves
     * use the device. */
    static const int open_signals[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,
                                       SIGTRAP, SIGSYS, SIGABRT, SIGQUIT};
    memset(action, 0, sizeof(*action));
    action->sa_sigaction = on_fault;
    /* ONSTACK only if the earlier handler wants it (to report stack overflow): an alternate stack
     * is often too small for the access function. */
    action->sa_flags = SA_SIGINFO | SA_NODEFER | (earlier_flags & (SA_ONSTACK | SA_RESTART));
    sigfillset(&action->sa_mask);
    for (size_t i = 0; i < sizeof(open_signals) / sizeof(open_signals[0]); i++) {
        sigdelset(&action->sa_mask, open_signals[i]);
    }
}

static bool is_same_action(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags &&
           memcmp(&a->sa_mask, &b->sa_mask, sizeof(a->sa_mask)) == 0;
}

/* Under writer_lock: a kept copy, so that memory grows with distinct handlers only. */
static struct sigaction *keep_action(const struct sigaction *action)
{
    struct earlier_handler *kept = all_earlier;
    while (kept && !is_same_action(&kept->action, action)) {
        kept = kept->next;
    }
    if (!kept) {
        kept = calloc(1, sizeof(*kept));
        if (!kept) {
            return NULL;
        }
        kept->action = *action;
        kept->next = all_earlier;
        all_earlier = kept;
    }
    return &kept->action;
}

/* Under writer_lock. The earlier action is published before ours can run. */
static int install_handler(void)
{
    struct sigaction action = {0};
    if (sigaction(SIGSEGV, NULL, &action) != 0) {
        return -errno;
    }
    if (action.sa_flags & SA_SIGINFO && action.sa_sigaction == on_fault) {
        return 0;
    }
    bool is_first = all_earlier == NULL;
    struct sigaction *kept = keep_action(&action);
    if (!kept) {
        return -ENOMEM;
    }
    atomic_store_explicit(&earlier, kept, memory_order_release);
    if (is_first) {
        atomic_store_explicit(&earliest, kept, memory_order_release);
    }
    fill_action(&action, kept->sa_flags);
    return sigaction(SIGSEGV, &action, NULL) == 0 ? 0 : -errno;
}

/* Under writer_lock: a free node, *clash if a live one overlaps. */
static struct trap_region *find_free(uintptr_t base, size_t bytes, bool *clash)
{
    struct trap_region *unused = NULL;
    struct trap_region *region = atomic_load_explicit(&all_regions, memory_order_relaxed);
    *clash = false;
    for (; region; region = region->next) {
        size_t live_bytes = atomic_load_explicit(&region->bytes, memory_order_relaxed);
        uintptr_t live = atomic_load_explicit(&region->base, memory_order_relaxed);
        if (live_bytes == 0) {
            unused = region;
        } else if (base <= live + (live_bytes - 1) && live <= base + (bytes - 1)) {
            *clash = true;
        }
    }
    return unused;
}

static int region_add_locked(uintptr_t base, size_t bytes, trap_access_fn access, void *context,
                             struct trap_region **out)
{
    bool clash;
    struct trap_region *region = find_free(base, bytes, &clash);
    if (clash) {
        return -EEXIST;
    }
    int status = install_handler();
    if (status != 0) {
        return status;
    }
    if (!region) {
        region = calloc(1, sizeof(*region));
        if (!region) {
            return -ENOMEM;
        }
        region->next = atomic_load_explicit(&all_regions, memory_order_relaxed);
        atomic_store_explicit(&all_regions, region, memory_order_release);
    }
    region_write(region, base, bytes, access, context);
    *out = region;
    return 0;
}

bool trap_is_supported(void)
{
    return true;
}

int trap_region_add(void *base, size_t bytes, trap_access_fn access, void *context,
                    struct trap_region **out)
{
    if (!base || bytes == 0 || range_wraps((uintptr_t)base, bytes) || !access || !out) {
        return -EINVAL;
    }
    pthread_mutex_lock(&writer_lock);
    int status = region_add_locked((uintptr_t)base, bytes, access, context, out);
    pthread_mutex_unlock(&writer_lock);
    return status;
}

void trap_region_remove(struct trap_region *region)
{
    if (!region) {
        return;
    }
    pthread_mutex_lock(&writer_lock);
    region_write(region, 0, 0, NULL, NULL);
    pthread_mutex_unlock(&writer_lock);
}

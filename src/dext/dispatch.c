/*
 * ExternalMethod: one table row a selector, and the checks before a handler runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/status.h"
#include "base/ticks.h"
#include "base/trace.h"

enum dext_claim_rule {
    CLAIM_NEVER,  /* works unclaimed */
    CLAIM_STRICT, /* needs the client's own claim, unless the host gives the real dext's rule */
    CLAIM_ALWAYS, /* needs it on the real dext too */
};

enum dext_lock_rule {
    LOCK_DEXT,
    LOCK_NONE, /* only looks: answers while a reset holds the dext */
};

/* What a row adds to the ABI's numbers and counts: function, claim rule, lock rule. */
#define METHOD_GET_IDENTITY           dext_config_identity, CLAIM_NEVER, LOCK_DEXT
#define METHOD_CLAIM                  dext_claim_take, CLAIM_NEVER, LOCK_DEXT
#define METHOD_TERMINATE              dext_client_terminate, CLAIM_STRICT, LOCK_DEXT
#define METHOD_ALLOCATE_DMA_BUFFER    dext_buffer_allocate, CLAIM_ALWAYS, LOCK_DEXT
#define METHOD_FREE_DMA_BUFFER        dext_buffer_release, CLAIM_STRICT, LOCK_DEXT
#define METHOD_REGISTER_DMA_REGION    dext_dma_register, CLAIM_ALWAYS, LOCK_DEXT
#define METHOD_UNREGISTER_DMA_REGION  dext_dma_unregister, CLAIM_STRICT, LOCK_DEXT
#define METHOD_PROBE_DMA_REGION       dext_dma_probe, CLAIM_STRICT, LOCK_DEXT
#define METHOD_CONFIG_READ            dext_config_read, CLAIM_STRICT, LOCK_DEXT
#define METHOD_CONFIG_WRITE           dext_config_write, CLAIM_STRICT, LOCK_DEXT
#define METHOD_GET_BAR_INFO           dext_bar_get_info, CLAIM_NEVER, LOCK_DEXT
#define METHOD_MMIO_READ              dext_bar_mmio_read, CLAIM_STRICT, LOCK_DEXT
#define METHOD_MMIO_WRITE             dext_bar_mmio_write, CLAIM_STRICT, LOCK_DEXT
#define METHOD_SETUP_INTERRUPTS       dext_irq_setup, CLAIM_ALWAYS, LOCK_DEXT
#define METHOD_CHECK_INTERRUPT        dext_irq_check, CLAIM_STRICT, LOCK_DEXT
#define METHOD_WAIT_INTERRUPT         dext_irq_wait, CLAIM_STRICT, LOCK_DEXT
#define METHOD_SET_IRQ_MASK           dext_irq_set_mask, CLAIM_STRICT, LOCK_DEXT
#define METHOD_RESET_DEVICE           dext_reset_device, CLAIM_ALWAYS, LOCK_DEXT
#define METHOD_GET_CAPABILITIES       dext_statistics_capabilities, CLAIM_NEVER, LOCK_NONE
#define METHOD_GET_STATISTICS         dext_statistics_counters, CLAIM_NEVER, LOCK_NONE
#define METHOD_GET_DEVICE_STATE       dext_statistics_state, CLAIM_NEVER, LOCK_NONE
#define METHOD_GET_CALL_COUNTS        dext_statistics_calls, CLAIM_NEVER, LOCK_NONE
#define METHOD_READ_CALLS             dext_calls_read, CLAIM_NEVER, LOCK_NONE
#define METHOD_LIST_DMA_REGIONS       dext_dma_list, CLAIM_NEVER, LOCK_NONE
#define METHOD_GET_BAR_RANGES         dext_bar_ranges, CLAIM_ALWAYS, LOCK_DEXT
#define METHOD_REGISTER_DMA_REGIONS   dext_dma_register_batch, CLAIM_ALWAYS, LOCK_DEXT
#define METHOD_UNREGISTER_DMA_REGIONS dext_dma_unregister_batch, CLAIM_STRICT, LOCK_DEXT
#define METHOD_REGISTER_DMA_SEGMENTS  dext_dma_register_segments, CLAIM_ALWAYS, LOCK_DEXT

struct dext_method {
    const char *name; /* NULL: no such selector */
    uint8_t scalars_in, scalars_out;
    bool is_async;
    dext_method_fn fn;
    enum dext_claim_rule claim;
    enum dext_lock_rule lock;
};

/* Indexed by selector. */
static const struct dext_method dext_methods[] = {
#define DEXT_METHOD_ROW(name, number, in, out, async)                                              \
    [number] = {#name, in, out, async, METHOD_##name},
    DEXT_SELECTORS(DEXT_METHOD_ROW)
#undef DEXT_METHOD_ROW
};

#define DEXT_METHOD_COUNT (sizeof(dext_methods) / sizeof(dext_methods[0]))
_Static_assert(DEXT_METHOD_COUNT <= DEXT_SELECTOR_ROOM, "a count for each selector");

IOReturn dext_refuse(IOReturn code, const char *format, ...)
{
    if (code == kIOReturnSuccess || !log_is_enabled(LOG_LEVEL_WARNING)) {
        return code;
    }
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_warning("dext", "%s: %s", text, status_text(code));
    return code;
}

static IOReturn dext_check_counts(const struct dext_method *method,
                                  const struct dext_arguments *arguments)
{
    if (arguments->scalar_in_count < method->scalars_in) {
        return dext_refuse(kIOReturnBadArgument, "%s takes %u scalars, got %u", method->name,
                           method->scalars_in, arguments->scalar_in_count);
    }
    if (arguments->scalar_out_count < method->scalars_out) {
        return dext_refuse(kIOReturnBadArgument, "%s gives %u scalars, room for %u", method->name,
                           method->scalars_out, arguments->scalar_out_count);
    }
    if (method->is_async && !arguments->has_completion) {
        return dext_refuse(kIOReturnBadArgument, "%s needs a completion", method->name);
    }
    return kIOReturnSuccess;
}

static IOReturn dext_run_locked(struct dext_client *client, const struct dext_method *method,
                                struct dext_arguments *arguments)
{
    bool needs_claim = method->claim == CLAIM_ALWAYS ||
                       (method->claim == CLAIM_STRICT && !client->dext->options.access_open);
    if (needs_claim) {
        IOReturn status = dext_claim_check(client, method->name);
        if (status != kIOReturnSuccess) {
            return status;
        }
    }
    return method->fn(client, arguments);
}

static IOReturn dext_run(struct dext_client *client, const struct dext_method *method,
                         struct dext_arguments *arguments)
{
    IOReturn status = dext_check_counts(method, arguments);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (method->lock == LOCK_NONE) {
        status = method->fn(client, arguments);
    } else {
        pthread_mutex_lock(&client->dext->lock);
        status = dext_run_locked(client, method, arguments);
        pthread_mutex_unlock(&client->dext->lock);
    }
    if (status == kIOReturnSuccess) {
        arguments->scalar_out_count = method->scalars_out;
    }
    return status;
}

static void dext_trace(const struct dext_client *client, const struct dext_method *method,
                       const struct dext_arguments *arguments, IOReturn status)
{
    char text[192];
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < method->scalars_in && i < arguments->scalar_in_count; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s0x%llx", i ? "," : "",
                                 (unsigned long long)arguments->scalar_in[i]);
    }
    if (arguments->struct_in_bytes) {
        snprintf(text + used, sizeof(text) - used, "%s%zu bytes", used ? "," : "",
                 arguments->struct_in_bytes);
    }
    const char *name = status_name(status);
    trace_hop("dext", "client=%llu %s(%s) %s", (unsigned long long)client->id, method->name, text,
              name ? name : "error");
}

/* GET_CAPABILITIES is the first of the extensions. */
static bool dext_knows(const struct dext *dext, uint64_t selector)
{
    return selector < DEXT_METHOD_COUNT && dext_methods[selector].name &&
           !(dext->options.no_extensions && selector >= DEXT_SEL_GET_CAPABILITIES);
}

/* Addresses in a client's process are nobody else's business. */
static uint8_t dext_hidden_inputs(uint64_t selector)
{
    return selector == DEXT_SEL_REGISTER_DMA_REGION || selector == DEXT_SEL_REGISTER_DMA_SEGMENTS
               ? 1u << 1
               : 0;
}

static void dext_record(struct dext_client *client, uint64_t selector,
                        const struct dext_arguments *arguments, IOReturn status, uint64_t start)
{
    struct dext_call_record record = {
        .start_ns = start,
        .selector = selector < UINT32_MAX ? (uint32_t)selector : UINT32_MAX,
        .code = (uint32_t)status,
        .input_count =
            arguments->scalar_in_count < UINT8_MAX ? arguments->scalar_in_count : UINT8_MAX,
        .hidden = dext_hidden_inputs(selector),
    };
    for (unsigned i = 0; i < DEXT_CALL_INPUTS && i < arguments->scalar_in_count; i++) {
        record.inputs[i] = record.hidden & (1u << i) ? 0 : arguments->scalar_in[i];
    }
    dext_call_record(client, &record);
}

static IOReturn dext_call(struct dext_client *client, uint64_t selector,
                          struct dext_arguments *arguments)
{
    if (!dext_knows(client->dext, selector)) {
        trace_hop("dext", "client=%llu selector %llu kIOReturnUnsupported",
                  (unsigned long long)client->id, (unsigned long long)selector);
        return dext_refuse(kIOReturnUnsupported, "selector %llu", (unsigned long long)selector);
    }
    atomic_fetch_add_explicit(&client->dext->calls_of[selector], 1, memory_order_relaxed);
    const struct dext_method *method = &dext_methods[selector];
    IOReturn status = dext_run(client, method, arguments);
    if (trace_is_on()) {
        dext_trace(client, method, arguments, status);
    }
    return status;
}

IOReturn dext_client_external_method(struct dext_client *client, uint64_t selector,
                                     struct dext_arguments *arguments)
{
    uint64_t start = ticks_now();
    atomic_fetch_add_explicit(&client->dext->calls, 1, memory_order_relaxed);
    arguments->struct_out_room = arguments->struct_out_bytes;
    arguments->struct_out_bytes = 0; /* most selectors answer without a structure */
    IOReturn status = dext_call(client, selector, arguments);
    if (selector != DEXT_SEL_READ_CALLS) { /* who follows the calls would never catch up */
        dext_record(client, selector, arguments, status, start);
    }
    return status;
}

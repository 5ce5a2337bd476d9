/*
 * DMA regions by the batch, for drivers that take batches and for those that do not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "client/call.h"
#include "client/dma.h"
#include "client/log.h"

enum {
    BATCH_CAPABILITY = 5,        /* output of GetCapabilities */
    UNREGISTER_PIECE_MAX = 1024, /* IOVAs a call: their codes are kept on the stack */
};

/* Requests travel as they are; results are made of what came back, in the same place. */
_Static_assert(sizeof(AppleDextDmaRequest) == sizeof(struct dext_dma_request) &&
                   offsetof(AppleDextDmaRequest, iova) == offsetof(struct dext_dma_request, iova) &&
                   offsetof(AppleDextDmaRequest, client_va) ==
                       offsetof(struct dext_dma_request, address) &&
                   offsetof(AppleDextDmaRequest, size) == offsetof(struct dext_dma_request, bytes),
               "a request is what the driver takes");
_Static_assert(sizeof(AppleDextDmaResult) == sizeof(struct dext_dma_result),
               "a result has room for what the driver gives");

/* Regions a call may carry; 1 where the driver knows no batches. */
static kern_return_t batch_limit(struct client_connection *connection, size_t *out_limit)
{
    uint64_t out[CLIENT_SCALARS_MAX];
    unsigned limit = atomic_load(&connection->max_batch);

    if (limit == 0) {
        kern_return_t status = client_call(connection, DEXT_SEL_GET_CAPABILITIES, NULL, out);
        if (status != kIOReturnSuccess && status != kIOReturnUnsupported) {
            return status;
        }
        uint64_t told = status == kIOReturnSuccess ? out[BATCH_CAPABILITY] : 0;
        limit = told < 2 ? 1 : told < DEXT_DMA_MAX_BATCH ? (unsigned)told : DEXT_DMA_MAX_BATCH;
        atomic_store(&connection->max_batch, limit);
    }
    *out_limit = limit;
    return kIOReturnSuccess;
}

static void results_fill(AppleDextDmaResult *results, size_t count, kern_return_t status)
{
    for (size_t i = 0; i < count; i++) {
        results[i] = (AppleDextDmaResult){.status = status};
    }
}

static bool results_are_good(const AppleDextDmaResult *results, size_t count)
{
    while (count > 0 && results[count - 1].status == kIOReturnSuccess) {
        count--;
    }
    return count == 0;
}

/* What the driver said of one region; a segment shorter than the region is no use to anyone. */
static void result_take(struct client_connection *connection, const AppleDextDmaRequest *request,
                        AppleDextDmaResult *result)
{
    struct dext_dma_result raw;

    memcpy(&raw, result, sizeof(raw));
    *result = (AppleDextDmaResult){.status = (kern_return_t)(uint32_t)raw.status};
    if (result->status != kIOReturnSuccess) {
        return;
    }
    if (raw.bytes < request->size) {
        client_log(APPLE_DEXT_LOG_ERROR,
                   "DMA region 0x%" PRIx64 " (0x%" PRIx64
                   " bytes) is fragmented: its segment has 0x%" PRIx64 " bytes",
                   request->iova, request->size, raw.bytes);
        client_dma_undo(connection, request->iova);
        result->status = kIOReturnNotAligned;
        return;
    }
    result->bus_addr = raw.bus_address;
    result->bus_len = raw.bytes;
}

/* One call for all of them. Results are written but where it is kIOReturnUnsupported. */
static kern_return_t register_call(struct client_connection *connection,
                                   const AppleDextDmaRequest *requests, size_t count,
                                   uint32_t flags, AppleDextDmaResult *results)
{
    const uint64_t in = flags & APPLE_DEXT_DMA_EACH ? DEXT_DMA_BATCH_EACH : 0;
    const struct client_structures structures = {.in = requests,
                                                 .in_bytes = count * sizeof(*requests),
                                                 .out = results,
                                                 .out_bytes = count * sizeof(*results)};
    uint64_t out[CLIENT_SCALARS_MAX];
    kern_return_t status =
        client_call_structures(connection, DEXT_SEL_REGISTER_DMA_REGIONS, &in, out, &structures);

    if (status == kIOReturnUnsupported) {
        return status;
    }
    if (status == kIOReturnUnderrun) {
        for (size_t i = 0; i < count; i++) {
            client_dma_undo(connection, requests[i].iova); /* any may be registered, who knows */
        }
    }
    for (size_t i = 0; status == kIOReturnSuccess && i < count; i++) {
        result_take(connection, &requests[i], &results[i]);
    }
    if (status != kIOReturnSuccess) {
        results_fill(results, count, status);
    }
    return kIOReturnSuccess;
}

/* All of a piece, by one call or by one each; stops at a failure unless each is for itself, with
 * the results behind it unwritten. Returns how many results there are. */
static size_t register_piece(struct client_connection *connection,
                             const AppleDextDmaRequest *requests, size_t count, uint32_t flags,
                             AppleDextDmaResult *results)
{
    size_t done = 0;

    if (count > 1 && register_call(connection, requests, count, flags, results) == 0) {
        return count;
    }
    if (count > 1) {
        atomic_store(&connection->max_batch, 1);
    }
    while (done < count) {
        kern_return_t status = client_dma_register(connection, &requests[done], &results[done]);
        done++;
        if (status != kIOReturnSuccess && !(flags & APPLE_DEXT_DMA_EACH)) {
            break;
        }
    }
    return done;
}

/* The code that says why: that of the first region that was not merely left out. */
static size_t first_failure(const AppleDextDmaResult *results, size_t count)
{
    size_t failed = count;

    for (size_t i = count; i-- > 0;) {
        kern_return_t status = results[i].status;
        bool is_cause = status != kIOReturnSuccess && status != kIOReturnAborted;
        if (is_cause || (status != kIOReturnSuccess && failed == count)) {
            failed = i;
        }
    }
    return failed;
}

static kern_return_t register_all(struct client_connection *connection,
                                  const AppleDextDmaRequest *requests, size_t count, uint32_t flags,
                                  AppleDextDmaResult *results)
{
    size_t done = 0;
    size_t limit = 1;
    bool is_good = true;
    kern_return_t status = batch_limit(connection, &limit);

    if (status != kIOReturnSuccess) {
        results_fill(results, count, status);
        return status;
    }
    while (done < count && (is_good || flags & APPLE_DEXT_DMA_EACH)) {
        limit = atomic_load(&connection->max_batch); /* may turn out to be less than was told */
        size_t piece = count - done < limit ? count - done : limit;
        size_t got = register_piece(connection, requests + done, piece, flags, results + done);
        is_good = is_good && results_are_good(results + done, got);
        done += got;
    }
    if (is_good) {
        return kIOReturnSuccess;
    }
    size_t failed = first_failure(results, done);
    status = results[failed].status;
    for (size_t i = 0; i < count && !(flags & APPLE_DEXT_DMA_EACH); i++) {
        if (i < done && results[i].status == kIOReturnSuccess) {
            client_dma_undo(connection, requests[i].iova);
        }
        if (i != failed) {
            results[i] = (AppleDextDmaResult){.status = kIOReturnAborted};
        }
    }
    return status;
}

kern_return_t apple_dext_register_dma_batch(io_connect_t connection,
                                            const AppleDextDmaRequest *requests, size_t count,
                                            uint32_t flags, AppleDextDmaResult *out_results)
{
    struct client_connection *state;
    kern_return_t status;

    if ((count > 0 && (requests == NULL || out_results == NULL)) || flags & ~APPLE_DEXT_DMA_EACH) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (count > 0) {
        status = register_all(state, requests, count, flags, out_results);
    }
    client_connection_leave(state);
    return status;
}

/* As many codes as IOVAs, whatever happens. */
static void unregister_piece(struct client_connection *connection, const uint64_t *iovas,
                             size_t count, uint64_t *codes)
{
    const struct client_structures structures = {.in = iovas,
                                                 .in_bytes = count * sizeof(*iovas),
                                                 .out = codes,
                                                 .out_bytes = count * sizeof(*codes)};
    uint64_t out[CLIENT_SCALARS_MAX];
    kern_return_t status = kIOReturnUnsupported;

    if (count > 1) {
        status = client_call_structures(connection, DEXT_SEL_UNREGISTER_DMA_REGIONS, NULL, out,
                                        &structures);
    }
    if (status == kIOReturnUnsupported) {
        for (size_t i = 0; i < count; i++) {
            codes[i] =
                (uint32_t)client_call(connection, DEXT_SEL_UNREGISTER_DMA_REGION, &iovas[i], NULL);
        }
    } else if (status != kIOReturnSuccess) {
        for (size_t i = 0; i < count; i++) {
            codes[i] = (uint32_t)status;
        }
    }
}

static kern_return_t unregister_all(struct client_connection *connection, const uint64_t *iovas,
                                    size_t count, kern_return_t *statuses)
{
    uint64_t codes[UNREGISTER_PIECE_MAX];
    size_t limit = 1;
    kern_return_t first = kIOReturnSuccess;

    /* Where even that fails single calls say why. */
    (void)batch_limit(connection, &limit);
    limit = limit < UNREGISTER_PIECE_MAX ? limit : UNREGISTER_PIECE_MAX;
    for (size_t done = 0; done < count;) {
        size_t piece = count - done < limit ? count - done : limit;
        unregister_piece(connection, iovas + done, piece, codes);
        for (size_t i = 0; i < piece; i++) {
            kern_return_t status = (kern_return_t)(uint32_t)codes[i];
            first = first == kIOReturnSuccess ? status : first;
            if (statuses != NULL) {
                statuses[done + i] = status;
            }
        }
        done += piece;
    }
    return first;
}

kern_return_t apple_dext_unregister_dma_batch(io_connect_t connection, const uint64_t *iovas,
                                              size_t count, kern_return_t *out_statuses)
{
    struct client_connection *state;
    kern_return_t status;

    if (count > 0 && iovas == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (count > 0) {
        status = unregister_all(state, iovas, count, out_statuses);
    }
    client_connection_leave(state);
    return status;
}

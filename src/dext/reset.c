/*
 * ResetDevice: a ladder of resets, each verified before it counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "base/status.h"

#define RESET_DEFAULT_DEADLINE_MS 1000
#define RESET_POLL_FIRST_NS       1000000L  /* 1 ms, doubling */
#define RESET_POLL_LAST_NS        50000000L /* 50 ms */

#define RESET_COMMAND_KEPT        (DEXT_COMMAND_MEMORY | DEXT_COMMAND_BUS_MASTER)

struct reset_step {
    enum pci_reset_kind kind;
    const char *name;
};

/* A hot reset hits every function below the port: it comes last. */
static const struct reset_step reset_ladder[] = {
    {PCI_RESET_FUNCTION, "function-level reset"},
    {PCI_RESET_POWER, "power-management reset"},
    {PCI_RESET_HOT, "hot reset"},
};

static uint64_t reset_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Its own vendor id: rules out ones, the 0x0001 of a device that asks for a retry, and zero. */
static bool reset_is_answering(struct dext *dext)
{
    uint32_t ids = dext_config_raw(dext, 0x00, 4);
    return (ids & 0xffff) == dext->provider->identity.vendor_id;
}

static int reset_wait_ready(struct dext *dext)
{
    uint64_t deadline_ms = dext->options.reset_deadline_ms ? dext->options.reset_deadline_ms
                                                           : RESET_DEFAULT_DEADLINE_MS;
    uint64_t end = reset_now_ns() + deadline_ms * 1000000u;
    struct timespec pause = {.tv_nsec = RESET_POLL_FIRST_NS};
    for (;;) {
        if (dext_is_removed(dext)) {
            return -ENODEV;
        }
        /* Asked once more after the deadline: this thread may have been away. */
        bool is_late = reset_now_ns() >= end;
        if (reset_is_answering(dext)) {
            return 0;
        }
        if (is_late) {
            return -ETIMEDOUT;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec * 2 <= RESET_POLL_LAST_NS) {
            pause.tv_nsec *= 2;
        }
    }
}

/* Climb until a step brings the device back. *was_reset: at least one step was carried out. */
static int reset_climb(struct dext *dext, bool *was_reset)
{
    *was_reset = false;
    for (size_t i = 0; i < sizeof(reset_ladder) / sizeof(reset_ladder[0]); i++) {
        int error = provider_reset(dext->provider, reset_ladder[i].kind);
        if (error == 0) {
            *was_reset = true;
            error = reset_wait_ready(dext);
        }
        if (error == 0 || error == -ENODEV) {
            return error;
        }
        if (error != -ENOTSUP) {
            log_warning("dext", "%s: %s", reset_ladder[i].name,
                        status_text(status_from_errno(error)));
            *was_reset = true;
        }
    }
    return *was_reset ? -EHOSTDOWN : -ENOTSUP;
}

static int reset_restore_command(struct dext *dext, uint32_t before)
{
    uint32_t now = 0;
    int error = provider_config_read(dext->provider, DEXT_COMMAND_OFFSET, 2, &now);
    if (error < 0) {
        return error;
    }
    uint32_t wanted = (now & ~RESET_COMMAND_KEPT) | (before & RESET_COMMAND_KEPT);
    return wanted == now ? 0
                         : provider_config_write(dext->provider, DEXT_COMMAND_OFFSET, 2, wanted);
}

IOReturn dext_reset_device(struct dext_client *client, struct dext_arguments *arguments)
{
    (void)arguments;
    struct dext *dext = client->dext;
    if (dext_is_removed(dext)) {
        return dext_refuse(kIOReturnNoDevice, "reset of a device that is gone");
    }
    bool was_reset;
    uint32_t command = dext_config_raw(dext, DEXT_COMMAND_OFFSET, 2);
    dext->is_resetting = true;
    int error = reset_climb(dext, &was_reset);
    if (error == 0) {
        error = reset_restore_command(dext, command);
    }
    if (was_reset) {
        dext->generation++;
    }
    dext->is_resetting = false;
    if (error < 0) {
        return dext_refuse(status_from_errno(error), "reset");
    }
    return kIOReturnSuccess;
}

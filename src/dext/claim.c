/*
 * Claims: shared among clients; the first opens the provider, the last closes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <errno.h>

#include "base/log.h"
#include "base/status.h"

IOReturn dext_claim_check(struct dext_client *client, const char *what)
{
    if (client->is_claimed) {
        return kIOReturnSuccess;
    }
    return dext_refuse(kIOReturnNotOpen, "client %llu: %s without a claim",
                       (unsigned long long)client->id, what);
}

static IOReturn claim_open_provider(struct dext *dext)
{
    int error = provider_open(dext->provider);
    if (error == -EBUSY) {
        return dext_refuse(kIOReturnNotOpen, "another driver holds the device");
    }
    if (error < 0) {
        return dext_refuse(status_from_errno(error), "opening the device");
    }
    uint32_t command = 0;
    error = provider_config_read(dext->provider, DEXT_COMMAND_OFFSET, 2, &command);
    if (error == 0) {
        command |= DEXT_COMMAND_MEMORY | DEXT_COMMAND_BUS_MASTER;
        error = provider_config_write(dext->provider, DEXT_COMMAND_OFFSET, 2, command);
    }
    if (error < 0) {
        provider_close(dext->provider);
    }
    return dext_refuse(status_from_errno(error), "enabling memory space and bus mastering");
}

IOReturn dext_claim_take(struct dext_client *client, struct dext_arguments *arguments)
{
    (void)arguments;
    struct dext *dext = client->dext;
    if (dext_is_removed(dext)) {
        return dext_refuse(kIOReturnNoDevice, "claim of a device that is gone");
    }
    if (client->is_claimed) {
        return kIOReturnSuccess;
    }
    if (dext->claim_count == 0) {
        IOReturn status = claim_open_provider(dext);
        if (status != kIOReturnSuccess) {
            return status;
        }
    }
    client->is_claimed = true;
    dext->claim_count++;
    return kIOReturnSuccess;
}

void dext_claim_quiesce(struct dext *dext)
{
    uint32_t command = 0;
    int error = provider_config_read(dext->provider, DEXT_COMMAND_OFFSET, 2, &command);
    if (error == 0) {
        command &= ~DEXT_COMMAND_BUS_MASTER;
        error = provider_config_write(dext->provider, DEXT_COMMAND_OFFSET, 2, command);
    }
    if (error < 0 && error != -ENODEV) {
        /* provider_close clears it too, and unmapping keeps the device out of the memory. */
        log_warning("dext", "bus mastering could not be switched off: %s",
                    status_text(status_from_errno(error)));
    }
}

void dext_claim_release(struct dext_client *client)
{
    struct dext *dext = client->dext;
    if (!client->is_claimed) {
        return;
    }
    client->is_claimed = false;
    dext->claim_count--;
    if (dext->claim_count == 0) {
        provider_close(dext->provider);
    }
}

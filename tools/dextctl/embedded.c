/*
 * Devices of this process, by the embedded host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "embedded.h"

#include <stdio.h>

#include "dext-host.h"

static DextHost *host;

bool embedded_found_host(void)
{
    char why[2];

    dext_host_why_none(why, sizeof(why));
    return why[0] == '\0';
}

const char *embedded_hint(void)
{
    static char hint[400];
    char why[256];

    dext_host_why_none(why, sizeof(why));
    if (why[0]) {
        snprintf(hint, sizeof(hint),
                 "no devices: %s; start dextd, or set DEXTLINK_SOCKET to where it serves; "
                 "--device simulates one here",
                 why);
    } else {
        snprintf(hint, sizeof(hint),
                 "no devices: the dextd that answers has none; --device simulates one here");
    }
    return hint;
}

bool embedded_start(const char *const *devices, size_t count, uint32_t page_size, bool access_open,
                    char **cause)
{
    const DextHostOptions options = {.page_size = page_size, .access_open = access_open};

    *cause = NULL;
    host = dext_host_create(&options, cause);
    bool ok = host != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        ok = dext_host_add_device(host, devices[i], cause) == 0;
    }
    ok = ok && dext_host_embed(host, cause) == 0;
    if (!ok) {
        embedded_stop();
    }
    return ok;
}

void embedded_stop(void)
{
    dext_host_destroy(host);
    host = NULL;
}

uint64_t embedded_held(void)
{
    DextHostUsage usage = {0};
    if (host) {
        dext_host_get_usage(host, &usage);
    }
    return usage.connections + usage.claims + usage.regions;
}

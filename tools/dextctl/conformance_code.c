/*
 * Names of IOKit's codes, for a report that is compared with another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <mach/mig_errors.h>
#include <stdio.h>

#include "conformance.h"

#define CODE_ROW(code)                                                                             \
    {                                                                                              \
        code, #code                                                                                \
    }
static const struct {
    kern_return_t code;
    const char *name;
} rows[] = {
    {0, "kIOReturnSuccess"},
    CODE_ROW(kIOReturnError),
    CODE_ROW(kIOReturnNoMemory),
    CODE_ROW(kIOReturnNoResources),
    CODE_ROW(kIOReturnIPCError),
    CODE_ROW(kIOReturnNoDevice),
    CODE_ROW(kIOReturnNotPrivileged),
    CODE_ROW(kIOReturnBadArgument),
    CODE_ROW(kIOReturnExclusiveAccess),
    CODE_ROW(kIOReturnUnsupported),
    CODE_ROW(kIOReturnVMError),
    CODE_ROW(kIOReturnInternalError),
    CODE_ROW(kIOReturnIOError),
    CODE_ROW(kIOReturnNotOpen),
    CODE_ROW(kIOReturnNotAligned),
    CODE_ROW(kIOReturnStillOpen),
    CODE_ROW(kIOReturnDMAError),
    CODE_ROW(kIOReturnBusy),
    CODE_ROW(kIOReturnTimeout),
    CODE_ROW(kIOReturnOffline),
    CODE_ROW(kIOReturnNotReady),
    CODE_ROW(kIOReturnNotAttached),
    CODE_ROW(kIOReturnNoSpace),
    CODE_ROW(kIOReturnCannotWire),
    CODE_ROW(kIOReturnNoInterrupt),
    CODE_ROW(kIOReturnNotPermitted),
    CODE_ROW(kIOReturnNoPower),
    CODE_ROW(kIOReturnUnderrun),
    CODE_ROW(kIOReturnOverrun),
    CODE_ROW(kIOReturnDeviceError),
    CODE_ROW(kIOReturnNoCompletion),
    CODE_ROW(kIOReturnAborted),
    CODE_ROW(kIOReturnNotResponding),
    CODE_ROW(kIOReturnNotFound),
    CODE_ROW(MACH_SEND_INVALID_DEST),
    CODE_ROW(MIG_SERVER_DIED),
    CODE_ROW(MIG_ARRAY_TOO_LARGE),
};

const char *code_name(kern_return_t code, char text[CODE_TEXT_BYTES])
{
    const char *name = "unknown code";

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].code == code) {
            name = rows[i].name;
        }
    }
    snprintf(text, CODE_TEXT_BYTES, "%s (0x%08x)", name, (unsigned int)code);
    return text;
}

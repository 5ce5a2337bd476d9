/*
 * The errno <-> IOReturn <-> text table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/status.h"

#include <errno.h>
#include <stddef.h>

/* X(code, errno, text). Looked up from the top: where an errno stands twice, the first row wins. */
#define STATUS_ROWS(X)                                                                             \
    X(kIOReturnSuccess, 0, "success")                                                              \
    X(kIOReturnError, EPROTO, "general error")                                                     \
    X(kIOReturnNoMemory, ENOMEM, "out of memory")                                                  \
    X(kIOReturnNoResources, ENFILE, "out of resources")                                            \
    X(kIOReturnNoResources, EMFILE, "out of resources")                                            \
    X(kIOReturnIPCError, EBADMSG, "malformed message")                                             \
    X(kIOReturnNoDevice, ENODEV, "no such device, or it is gone")                                  \
    X(kIOReturnNotPrivileged, EACCES, "privilege violation")                                       \
    X(kIOReturnBadArgument, EINVAL, "invalid argument")                                            \
    X(kIOReturnExclusiveAccess, ETXTBSY, "held by somebody else")                                  \
    X(kIOReturnUnsupported, ENOTSUP, "unsupported")                                                \
    X(kIOReturnVMError, EFAULT, "memory cannot be reached")                                        \
    X(kIOReturnInternalError, ENOTRECOVERABLE, "internal error")                                   \
    X(kIOReturnIOError, EIO, "I/O error")                                                          \
    X(kIOReturnNotOpen, ENOTCONN, "not open")                                                      \
    X(kIOReturnNotAligned, EADDRNOTAVAIL, "not aligned")                                           \
    X(kIOReturnStillOpen, EEXIST, "still open")                                                    \
    X(kIOReturnDMAError, ENXIO, "DMA error")                                                       \
    X(kIOReturnBusy, EBUSY, "busy")                                                                \
    X(kIOReturnTimeout, ETIMEDOUT, "timed out")                                                    \
    X(kIOReturnOffline, ENETDOWN, "offline")                                                       \
    X(kIOReturnNotReady, EAGAIN, "not ready")                                                      \
    X(kIOReturnNotAttached, EUNATCH, "not attached")                                               \
    X(kIOReturnNoSpace, ENOSPC, "no space left")                                                   \
    X(kIOReturnCannotWire, ENOBUFS, "memory cannot be wired")                                      \
    X(kIOReturnNoInterrupt, ENOMSG, "no interrupt")                                                \
    X(kIOReturnMessageTooLarge, EMSGSIZE, "message too large")                                     \
    X(kIOReturnNotPermitted, EPERM, "not permitted")                                               \
    X(kIOReturnUnderrun, ENODATA, "fewer results than promised")                                   \
    X(kIOReturnOverrun, ERANGE, "past the end")                                                    \
    X(kIOReturnDeviceError, EREMOTEIO, "device error")                                             \
    X(kIOReturnNoCompletion, ENOLCK, "a completion is required")                                   \
    X(kIOReturnAborted, ECANCELED, "aborted")                                                      \
    X(kIOReturnAborted, ESRCH, "aborted: the client has gone")                                     \
    X(kIOReturnNotResponding, EHOSTDOWN, "device does not respond")                                \
    X(kIOReturnNotFound, ENOENT, "not found")

static const struct {
    IOReturn code;
    int error;
    const char *name;
    const char *text;
} status_rows[] = {
#define STATUS_ROW(code, error, text) {code, error, #code, text},
    STATUS_ROWS(STATUS_ROW)
#undef STATUS_ROW
};

#define STATUS_COUNT (sizeof(status_rows) / sizeof(status_rows[0]))

IOReturn status_from_errno(int negative_errno)
{
    if (negative_errno >= 0) {
        return kIOReturnSuccess;
    }
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (status_rows[i].error == -negative_errno) {
            return status_rows[i].code;
        }
    }
    return kIOReturnError;
}

int status_to_errno(IOReturn code)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (status_rows[i].code == code) {
            return -status_rows[i].error;
        }
    }
    return -EIO;
}

const char *status_name(IOReturn code)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (status_rows[i].code == code) {
            return status_rows[i].name;
        }
    }
    return NULL;
}

const char *status_text(IOReturn code)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (status_rows[i].code == code) {
            return status_rows[i].text;
        }
    }
    return "unknown code";
}

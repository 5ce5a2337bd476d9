/*
 * Text for Mach and IOKit codes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <IOKit/IOReturn.h>

#include <stddef.h>

/* mach_error_string hands out char *, so the text is in writable arrays, not in literals. */
struct phrase {
    mach_error_t code;
    char text[64];
};

static struct phrase kernel[] = {
    {KERN_SUCCESS, "(os/kern) success"},
    {KERN_INVALID_ADDRESS, "(os/kern) invalid address"},
    {KERN_PROTECTION_FAILURE, "(os/kern) protection failure"},
    {KERN_NO_SPACE, "(os/kern) no space available"},
    {KERN_INVALID_ARGUMENT, "(os/kern) invalid argument"},
    {KERN_FAILURE, "(os/kern) failure"},
    {KERN_RESOURCE_SHORTAGE, "(os/kern) resource shortage"},
    {KERN_NOT_RECEIVER, "(os/kern) no receive right"},
    {KERN_NO_ACCESS, "(os/kern) no access"},
    {KERN_MEMORY_FAILURE, "(os/kern) memory object destroyed"},
    {KERN_MEMORY_ERROR, "(os/kern) memory object returned an error"},
    {KERN_ALREADY_IN_SET, "(os/kern) already in the set"},
    {KERN_NOT_IN_SET, "(os/kern) not in the set"},
    {KERN_NAME_EXISTS, "(os/kern) name exists already"},
    {KERN_ABORTED, "(os/kern) operation aborted"},
    {KERN_INVALID_NAME, "(os/kern) invalid name"},
    {KERN_INVALID_TASK, "(os/kern) invalid task"},
    {KERN_INVALID_RIGHT, "(os/kern) invalid right"},
    {KERN_INVALID_VALUE, "(os/kern) invalid value"},
    {KERN_UREFS_OVERFLOW, "(os/kern) user references overflow"},
    {KERN_INVALID_CAPABILITY, "(os/kern) invalid capability"},
    {KERN_RIGHT_EXISTS, "(os/kern) right exists"},
    {KERN_INVALID_HOST, "(os/kern) invalid host"},
    {KERN_MEMORY_PRESENT, "(os/kern) memory present"},
    {KERN_MEMORY_DATA_MOVED, "(os/kern) memory data moved"},
    {KERN_MEMORY_RESTART_COPY, "(os/kern) memory restart copy"},
    {KERN_INVALID_PROCESSOR_SET, "(os/kern) invalid processor set"},
    {KERN_POLICY_LIMIT, "(os/kern) policy limit"},
    {KERN_INVALID_POLICY, "(os/kern) invalid policy"},
    {KERN_INVALID_OBJECT, "(os/kern) invalid object"},
    {KERN_ALREADY_WAITING, "(os/kern) already waiting"},
    {KERN_DEFAULT_SET, "(os/kern) default set"},
    {KERN_EXCEPTION_PROTECTED, "(os/kern) exception protected"},
    {KERN_INVALID_LEDGER, "(os/kern) invalid ledger"},
    {KERN_INVALID_MEMORY_CONTROL, "(os/kern) invalid memory control"},
    {KERN_INVALID_SECURITY, "(os/kern) invalid security"},
    {KERN_NOT_DEPRESSED, "(os/kern) not depressed"},
    {KERN_TERMINATED, "(os/kern) object terminated"},
    {KERN_LOCK_SET_DESTROYED, "(os/kern) lock set destroyed"},
    {KERN_LOCK_UNSTABLE, "(os/kern) lock unstable"},
    {KERN_LOCK_OWNED, "(os/kern) lock owned"},
    {KERN_LOCK_OWNED_SELF, "(os/kern) lock owned self"},
    {KERN_SEMAPHORE_DESTROYED, "(os/kern) semaphore destroyed"},
    {KERN_RPC_SERVER_TERMINATED, "(os/kern) rpc server terminated"},
    {KERN_RPC_TERMINATE_ORPHAN, "(os/kern) rpc terminate orphan"},
    {KERN_RPC_CONTINUE_ORPHAN, "(os/kern) rpc continue orphan"},
    {KERN_NOT_SUPPORTED, "(os/kern) not supported"},
    {KERN_NODE_DOWN, "(os/kern) node down"},
    {KERN_NOT_WAITING, "(os/kern) not waiting"},
    {KERN_OPERATION_TIMED_OUT, "(os/kern) operation timed out"},
    {KERN_CODESIGN_ERROR, "(os/kern) codesign error"},
    {KERN_POLICY_STATIC, "(os/kern) policy static"},
    {KERN_INSUFFICIENT_BUFFER_SIZE, "(os/kern) buffer too small"},
    {KERN_DENIED, "(os/kern) denied"},
    {KERN_MISSING_KC, "(os/kern) missing kc"},
    {KERN_INVALID_KC, "(os/kern) invalid kc"},
    {KERN_NOT_FOUND, "(os/kern) not found"},
};

static struct phrase send[] = {
    {MACH_SEND_IN_PROGRESS, "(ipc/send) send in progress"},
    {MACH_SEND_INVALID_DATA, "(ipc/send) invalid data"},
    {MACH_SEND_INVALID_DEST, "(ipc/send) invalid destination"},
    {MACH_SEND_TIMED_OUT, "(ipc/send) timed out"},
    {MACH_SEND_INVALID_VOUCHER, "(ipc/send) invalid voucher"},
    {MACH_SEND_INTERRUPTED, "(ipc/send) interrupted"},
    {MACH_SEND_MSG_TOO_SMALL, "(ipc/send) message too small"},
    {MACH_SEND_INVALID_REPLY, "(ipc/send) invalid reply port"},
    {MACH_SEND_INVALID_RIGHT, "(ipc/send) invalid right in message"},
    {MACH_SEND_INVALID_NOTIFY, "(ipc/send) invalid notify port"},
    {MACH_SEND_INVALID_MEMORY, "(ipc/send) invalid memory in message"},
    {MACH_SEND_NO_BUFFER, "(ipc/send) no buffer"},
    {MACH_SEND_TOO_LARGE, "(ipc/send) message too large"},
    {MACH_SEND_INVALID_TYPE, "(ipc/send) invalid type in message"},
    {MACH_SEND_INVALID_HEADER, "(ipc/send) invalid header"},
    {MACH_SEND_INVALID_TRAILER, "(ipc/send) invalid trailer"},
    {MACH_SEND_INVALID_CONTEXT, "(ipc/send) invalid context"},
    {MACH_SEND_INVALID_OPTIONS, "(ipc/send) invalid options"},
    {MACH_SEND_INVALID_RT_OOL_SIZE, "(ipc/send) invalid size of out-of-line data"},
    {MACH_SEND_NO_GRANT_DEST, "(ipc/send) destination takes no grants"},
    {MACH_SEND_MSG_FILTERED, "(ipc/send) message filtered"},
    {MACH_SEND_AUX_TOO_SMALL, "(ipc/send) auxiliary data too small"},
    {MACH_SEND_AUX_TOO_LARGE, "(ipc/send) auxiliary data too large"},
};

static struct phrase receive[] = {
    {MACH_RCV_IN_PROGRESS, "(ipc/rcv) receive in progress"},
    {MACH_RCV_INVALID_NAME, "(ipc/rcv) invalid name"},
    {MACH_RCV_TIMED_OUT, "(ipc/rcv) timed out"},
    {MACH_RCV_TOO_LARGE, "(ipc/rcv) message too large"},
    {MACH_RCV_INTERRUPTED, "(ipc/rcv) interrupted"},
    {MACH_RCV_PORT_CHANGED, "(ipc/rcv) port moved into a set"},
    {MACH_RCV_INVALID_NOTIFY, "(ipc/rcv) invalid notify port"},
    {MACH_RCV_INVALID_DATA, "(ipc/rcv) invalid data"},
    {MACH_RCV_PORT_DIED, "(ipc/rcv) port died"},
    {MACH_RCV_IN_SET, "(ipc/rcv) port is in a set"},
    {MACH_RCV_HEADER_ERROR, "(ipc/rcv) error in header"},
    {MACH_RCV_BODY_ERROR, "(ipc/rcv) error in body"},
    {MACH_RCV_INVALID_TYPE, "(ipc/rcv) invalid type in message"},
    {MACH_RCV_SCATTER_SMALL, "(ipc/rcv) scatter list too small"},
    {MACH_RCV_INVALID_TRAILER, "(ipc/rcv) invalid trailer"},
    {MACH_RCV_IN_PROGRESS_TIMED, "(ipc/rcv) receive in progress with a timeout"},
    {MACH_RCV_INVALID_REPLY, "(ipc/rcv) invalid reply"},
    {MACH_RCV_INVALID_ARGUMENTS, "(ipc/rcv) invalid arguments"},
};

static struct phrase mig[] = {
    {MIG_TYPE_ERROR, "(ipc/mig) wrong type of data"},
    {MIG_REPLY_MISMATCH, "(ipc/mig) reply does not match the request"},
    {MIG_REMOTE_ERROR, "(ipc/mig) remote error"},
    {MIG_BAD_ID, "(ipc/mig) unknown message number"},
    {MIG_BAD_ARGUMENTS, "(ipc/mig) message of the wrong shape"},
    {MIG_NO_REPLY, "(ipc/mig) no reply wanted"},
    {MIG_EXCEPTION, "(ipc/mig) exception raised by the server"},
    {MIG_ARRAY_TOO_LARGE, "(ipc/mig) array too large"},
    {MIG_SERVER_DIED, "(ipc/mig) server died"},
    {MIG_TRAILER_ERROR, "(ipc/mig) trailer of the wrong kind"},
};

static struct phrase iokit[] = {
    {kIOReturnError, "(iokit/common) general error"},
    {kIOReturnNoMemory, "(iokit/common) out of memory"},
    {kIOReturnNoResources, "(iokit/common) out of resources"},
    {kIOReturnIPCError, "(iokit/common) message exchange failed"},
    {kIOReturnNoDevice, "(iokit/common) no such device"},
    {kIOReturnNotPrivileged, "(iokit/common) privilege violation"},
    {kIOReturnBadArgument, "(iokit/common) bad argument"},
    {kIOReturnLockedRead, "(iokit/common) locked for reading"},
    {kIOReturnLockedWrite, "(iokit/common) locked for writing"},
    {kIOReturnExclusiveAccess, "(iokit/common) already open for exclusive access"},
    {kIOReturnBadMessageID, "(iokit/common) message with an unexpected number"},
    {kIOReturnUnsupported, "(iokit/common) not supported"},
    {kIOReturnVMError, "(iokit/common) virtual memory failure"},
    {kIOReturnInternalError, "(iokit/common) internal error"},
    {kIOReturnIOError, "(iokit/common) input/output error"},
    {kIOReturnCannotLock, "(iokit/common) cannot lock"},
    {kIOReturnNotOpen, "(iokit/common) not open"},
    {kIOReturnNotReadable, "(iokit/common) not readable"},
    {kIOReturnNotWritable, "(iokit/common) not writable"},
    {kIOReturnNotAligned, "(iokit/common) not aligned"},
    {kIOReturnBadMedia, "(iokit/common) bad media"},
    {kIOReturnStillOpen, "(iokit/common) still open"},
    {kIOReturnRLDError, "(iokit/common) run-time loader failure"},
    {kIOReturnDMAError, "(iokit/common) dma failure"},
    {kIOReturnBusy, "(iokit/common) busy"},
    {kIOReturnTimeout, "(iokit/common) timed out"},
    {kIOReturnOffline, "(iokit/common) offline"},
    {kIOReturnNotReady, "(iokit/common) not ready"},
    {kIOReturnNotAttached, "(iokit/common) not attached"},
    {kIOReturnNoChannels, "(iokit/common) no channels left"},
    {kIOReturnNoSpace, "(iokit/common) no space left"},
    {kIOReturnPortExists, "(iokit/common) port exists already"},
    {kIOReturnCannotWire, "(iokit/common) cannot wire memory"},
    {kIOReturnNoInterrupt, "(iokit/common) no interrupt attached"},
    {kIOReturnNoFrames, "(iokit/common) no frames queued"},
    {kIOReturnMessageTooLarge, "(iokit/common) message too large"},
    {kIOReturnNotPermitted, "(iokit/common) not permitted"},
    {kIOReturnNoPower, "(iokit/common) no power"},
    {kIOReturnNoMedia, "(iokit/common) no media"},
    {kIOReturnUnformattedMedia, "(iokit/common) media not formatted"},
    {kIOReturnUnsupportedMode, "(iokit/common) mode not supported"},
    {kIOReturnUnderrun, "(iokit/common) data underrun"},
    {kIOReturnOverrun, "(iokit/common) data overrun"},
    {kIOReturnDeviceError, "(iokit/common) device reports an error"},
    {kIOReturnNoCompletion, "(iokit/common) completion routine missing"},
    {kIOReturnAborted, "(iokit/common) aborted"},
    {kIOReturnNoBandwidth, "(iokit/common) bandwidth exceeded"},
    {kIOReturnNotResponding, "(iokit/common) device does not respond"},
    {kIOReturnIsoTooOld, "(iokit/common) isochronous request too far in the past"},
    {kIOReturnIsoTooNew, "(iokit/common) isochronous request too far in the future"},
    {kIOReturnNotFound, "(iokit/common) not found"},
    {kIOReturnInvalid, "(iokit/common) invalid return code"},
};

/* A part of the system: which codes are its own, and what it says about those it does not know. */
struct part {
    mach_error_t first;
    mach_error_t last;
    struct phrase *phrases;
    size_t count;
    char type[24];
    char unknown[48];
};

#define PHRASES(table)  table, sizeof(table) / sizeof((table)[0])
#define WHOLE_SUB(code) (code), (mach_error_t)((unsigned)(code) | 0x3fffu)

static struct part parts[] = {
    {MIG_TRAILER_ERROR, MIG_TYPE_ERROR, PHRASES(mig), "ipc/mig", "(ipc/mig) unknown error code"},
    {WHOLE_SUB(err_kern), PHRASES(kernel), "os/kern", "(os/kern) unknown error code"},
    {WHOLE_SUB(err_kern | err_sub(3)), NULL, 0, "os/unix", "(os/unix) unix error"},
    {WHOLE_SUB(err_mach_ipc), PHRASES(send), "ipc/send", "(ipc/send) unknown error code"},
    {WHOLE_SUB(err_mach_ipc | err_sub(1)), PHRASES(receive), "ipc/rcv",
     "(ipc/rcv) unknown error code"},
    {WHOLE_SUB(sys_iokit | sub_iokit_common), PHRASES(iokit), "iokit/common",
     "(iokit/common) unknown error code"},
    {WHOLE_SUB(sys_iokit | sub_iokit_vendor_specific), NULL, 0, "iokit/vendor",
     "(iokit/vendor) code of the driver"},
    /* Behind the subsystems above: the rest of a system. */
    {err_kern, (mach_error_t)0x03ffffff, NULL, 0, "os/?", "(os/?) unknown subsystem error"},
    {err_mach_ipc, (mach_error_t)0x13ffffff, NULL, 0, "ipc/?", "(ipc/?) unknown subsystem error"},
    {sys_iokit, (mach_error_t)0xe3ffffff, NULL, 0, "iokit/?", "(iokit/?) unknown subsystem error"},
};

static struct part unknown_part = {.type = "?", .unknown = "(?/?) unknown error code"};

static struct part *find_part(mach_error_t code)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (code >= parts[i].first && code <= parts[i].last) {
            return &parts[i];
        }
    }
    return &unknown_part;
}

char *mach_error_string(mach_error_t error_value)
{
    struct part *part = find_part(error_value);
    for (size_t i = 0; i < part->count; i++) {
        if (part->phrases[i].code == error_value) {
            return part->phrases[i].text;
        }
    }
    return part->unknown;
}

char *mach_error_type(mach_error_t error_value)
{
    return find_part(error_value)->type;
}

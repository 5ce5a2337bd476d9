/*
 * What a code means here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "apple-dext-client.h"

#include <mach/mach.h>

struct status_meaning {
    kern_return_t status;
    const char *text;
};

static const struct status_meaning meanings[] = {
    {kIOReturnSuccess, "success"},
    {kIOReturnBadArgument,
     "bad argument: an argument is out of range; from the system also a refused mapping, or a "
     "connection that died while it had mappings"},
    {kIOReturnNotOpen,
     "not open: this connection has no claim, another driver holds the device, or the client that "
     "opened it has gone"},
    {kIOReturnNotPermitted,
     "not permitted: the app lacks the user-client-access entitlement for this driver, or one of "
     "the two is not signed for it"},
    {kIOReturnNotPrivileged, "not privileged: the system refuses this to an ordinary process"},
    {kIOReturnExclusiveAccess, "exclusive access: another driver or client owns the device"},
    {kIOReturnStillOpen,
     "still open: a DMA region starts at this iova already, the buffer is allocated already, or "
     "interrupts are set up already"},
    {kIOReturnNoSpace, "no space: the DMA slots (65,536) or the DMA aperture (about 1.5 GiB) are "
                       "used up or too small"},
    {kIOReturnNoResources,
     "no resources: the DMA aperture, the interrupt vectors or what one client may have open "
     "(dextd --per-client) are used up, or no thread is left"},
    {kIOReturnNotAligned,
     "not aligned, which here means fragmented: the host could not map this memory as one bus "
     "segment; or an address or size is not a multiple of the page size (16 KiB)"},
    {kIOReturnUnsupported,
     "unsupported: the driver has no such call, the device no such reset or BAR, or the interrupt "
     "vectors were fixed by an earlier user"},
    {kIOReturnNoMemory,
     "no memory: this process or the driver is out of it; at a claim, one of the BARs could not "
     "be mapped"},
    {kIOReturnNoDevice,
     "no device: it reads as ones, its vendor ID too: it was removed, lost power or hangs"},
    {kIOReturnIPCError, "IPC error: the driver's process was never started, or has gone"},
    {kIOReturnNotResponding,
     "not responding: the device did not come back after a reset; it may need a power cycle"},
    {kIOReturnNotReady,
     "not ready: interrupts are not set up, the buffer is not allocated, or the driver is ending"},
    {kIOReturnNotFound,
     "not found: no DMA region starts there, or there is no such BAR (unused, or an upper half)"},
    {kIOReturnUnderrun,
     "underrun: the driver's reply, or its mapping, is shorter than its interface promises"},
    {kIOReturnOverrun, "overrun: the access passes the end of the region or of the BAR"},
    {kIOReturnAborted, "aborted: the interrupt notice is being destroyed"},
    {kIOReturnTimeout, "timeout: the driver or the device did not answer in time"},
    {kIOReturnBusy, "busy: the device is in use, or is resetting"},
    {kIOReturnOffline, "offline: the driver is ending"},
    {kIOReturnNotAttached, "not attached: the device was removed"},
    {kIOReturnDMAError, "DMA error: the host could not map the memory for the device"},
    {kIOReturnCannotWire, "cannot wire: the memory cannot be held in place for the device"},
    {kIOReturnVMError, "memory error: the address range is not mapped in this process"},
    {kIOReturnNoInterrupt, "no interrupt: the device has no vector to give"},
    {kIOReturnNoPower, "no power: the device is powered down"},
    {kIOReturnDeviceError, "device error: the device reported a failure"},
    {kIOReturnIOError, "I/O error: the device, or the link to it, failed"},
    {kIOReturnError,
     "error without a cause: at opening, the driver offers no user client; for a BAR, it has no "
     "address space"},
    {kIOReturnInternalError, "internal error of the system or of the driver"},
    {MACH_SEND_INVALID_DEST,
     "the connection is gone: it was closed, or the driver ended (removal, upgrade, crash); "
     "connect again"},
    {MIG_SERVER_DIED, "the driver died during the call; connect again when it is back"},
    {MIG_ARRAY_TOO_LARGE, "the driver's reply has more values than its interface promises"},
    {MIG_BAD_ID, "the handle is not a connection to a driver"},
    {KERN_INVALID_ADDRESS, "the address range is not mapped in this process"},
    {KERN_PROTECTION_FAILURE, "the memory does not allow this access"},
    {KERN_NO_SPACE, "no address space left in this process"},
    {KERN_INVALID_ARGUMENT, "the system refuses an argument"},
    {KERN_RESOURCE_SHORTAGE, "the system is out of a resource"},
    {KERN_INVALID_NAME, "the handle was never given, or was released already"},
    {KERN_INVALID_RIGHT, "the handle is of another kind, or was released already"},
};

const char *apple_dext_status_text(kern_return_t code)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].status == code) {
            return meanings[i].text;
        }
    }
    return "a code without a special meaning here; mach_error_string names it";
}

/*
 * Message types that interest callbacks receive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_IOMESSAGE_H
#define DEXTLINK_IOKIT_IOMESSAGE_H

#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>

typedef UInt32 IOMessage;

#define iokit_common_msg(message)      ((UInt32)(sys_iokit | sub_iokit_common | (message)))
#define iokit_family_msg(sub, message) ((UInt32)(sys_iokit | (sub) | (message)))
#define iokit_vendor_specific_msg(message)                                                         \
    ((UInt32)(sys_iokit | sub_iokit_vendor_specific | (message)))

#define kIOMessageServiceIsTerminated      iokit_common_msg(0x010)
#define kIOMessageServiceIsSuspended       iokit_common_msg(0x020)
#define kIOMessageServiceIsResumed         iokit_common_msg(0x030)
#define kIOMessageServiceIsRequestingClose iokit_common_msg(0x100)
#define kIOMessageServiceIsAttemptingOpen  iokit_common_msg(0x101)
#define kIOMessageServiceWasClosed         iokit_common_msg(0x110)
#define kIOMessageServiceBusyStateChange   iokit_common_msg(0x120)
#define kIOMessageServicePropertyChange    iokit_common_msg(0x130)
#define kIOMessageDeviceWillPowerOff       iokit_common_msg(0x210)
#define kIOMessageDeviceHasPoweredOn       iokit_common_msg(0x230)
#define kIOMessageCanSystemSleep           iokit_common_msg(0x270)
#define kIOMessageSystemWillSleep          iokit_common_msg(0x280)
#define kIOMessageSystemWillNotSleep       iokit_common_msg(0x290)
#define kIOMessageSystemHasPoweredOn       iokit_common_msg(0x300)
#define kIOMessageSystemWillPowerOn        iokit_common_msg(0x320)
#define kIOMessageDeviceSignaledWakeup     iokit_common_msg(0x350)

#endif

/*
 * Names of registry planes, matching keys, notifications and interests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_IOKITKEYS_H
#define DEXTLINK_IOKIT_IOKITKEYS_H

#define kIOServicePlane              "IOService"
#define kIOPowerPlane                "IOPower"
#define kIODeviceTreePlane           "IODeviceTree"

#define kIORegistryEntryIDKey        "IORegistryEntryID"
#define kIOServiceClass              "IOService"
#define kIOResourcesClass            "IOResources"

#define kIOClassKey                  "IOClass"
#define kIOProbeScoreKey             "IOProbeScore"
#define kIOUserClassKey              "IOUserClass"
#define kIOUserServicePropertiesKey  "IOUserServiceProperties"
#define kIOUserClientClassKey        "IOUserClientClass"
#define kIOUserClientCreatorKey      "IOUserClientCreator"

#define kIOProviderClassKey          "IOProviderClass"
#define kIONameMatchKey              "IONameMatch"
#define kIOPropertyMatchKey          "IOPropertyMatch"
#define kIOPropertyExistsMatchKey    "IOPropertyExistsMatch"
#define kIOPathMatchKey              "IOPathMatch"
#define kIOLocationMatchKey          "IOLocationMatch"
#define kIOParentMatchKey            "IOParentMatch"
#define kIOMatchCategoryKey          "IOMatchCategory"
#define kIONameMatchedKey            "IONameMatched"

#define kIOPublishNotification       "IOServicePublish"
#define kIOFirstPublishNotification  "IOServiceFirstPublish"
#define kIOMatchedNotification       "IOServiceMatched"
#define kIOFirstMatchNotification    "IOServiceFirstMatch"
#define kIOTerminatedNotification    "IOServiceTerminate"
#define kIOWillTerminateNotification "IOServiceWillTerminate"

#define kIOGeneralInterest           "IOGeneralInterest"
#define kIOBusyInterest              "IOBusyInterest"

#endif

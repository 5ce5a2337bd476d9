/*
 * IOKit for programs outside the kernel: registry, services, connections, notifications.
 *
 * Every handle that a function hands out is one reference of the caller's, dropped with
 * IOObjectRelease (IOServiceClose for connections). Outputs are written on success only unless said
 * otherwise. Functions may be called from any thread; they may block while the host works.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_IOKITLIB_H
#define DEXTLINK_IOKIT_IOKITLIB_H

#include <stddef.h>
#include <stdint.h>
#include <mach/mach_types.h>
#include <mach/mach_init.h>
#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFDictionary.h>
#include <IOKit/IOTypes.h>
#include <IOKit/IOKitKeys.h>
#include <IOKit/OSMessageNotification.h>
#include <dispatch/dispatch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a main port is wanted; 0. Variables, not constants: no use in initialisers of statics. */
extern const mach_port_t kIOMainPortDefault;
extern const mach_port_t kIOMasterPortDefault;

/* The reference handed out is the caller's. */
kern_return_t IOMainPort(mach_port_t bootstrapPort, mach_port_t *mainPort);

/* ---- Objects and iterators ---- */

/* 0 and MACH_PORT_DEAD: success, nothing happens. Works on handles of dead objects. */
kern_return_t IOObjectRelease(io_object_t object);
kern_return_t IOObjectRetain(io_object_t object);

/* The class in the host's registry (IOUserService for a dext), 128 bytes at most. */
kern_return_t IOObjectGetClass(io_object_t object, io_name_t className);
boolean_t IOObjectConformsTo(io_object_t object, const io_name_t className);

/* Compares handles; looks at no object. */
boolean_t IOObjectIsEqualTo(io_object_t object, io_object_t anObject);

/* The next object, owned by the caller; 0 at the end, for iterator 0 and on errors. */
io_object_t IOIteratorNext(io_iterator_t iterator);
void IOIteratorReset(io_iterator_t iterator);
boolean_t IOIteratorIsValid(io_iterator_t iterator);

/* ---- Matching ---- */

/* Dictionaries that match by class, by name, by registry entry ID. Owned by the caller; NULL when
 * memory is short. name is not NULL. */
CFMutableDictionaryRef IOServiceMatching(const char *name) CF_RETURNS_RETAINED;
CFMutableDictionaryRef IOServiceNameMatching(const char *name) CF_RETURNS_RETAINED;
CFMutableDictionaryRef IORegistryEntryIDMatching(uint64_t entryID) CF_RETURNS_RETAINED;

/* One of the matching services, or 0 for none and for errors. Takes one reference of matching. */
io_service_t IOServiceGetMatchingService(mach_port_t mainPort,
                                         CFDictionaryRef matching CF_RELEASES_ARGUMENT);

/* All of them. Success with *existing 0 means there are none. Takes one reference of matching. */
kern_return_t IOServiceGetMatchingServices(mach_port_t mainPort,
                                           CFDictionaryRef matching CF_RELEASES_ARGUMENT,
                                           io_iterator_t *existing);

/* Takes no reference of matching. */
kern_return_t IOServiceMatchPropertyTable(io_service_t service, CFDictionaryRef matching,
                                          boolean_t *matches);

/* ---- Registry ---- */

enum { kIORegistryIterateRecursively = 0x00000001, kIORegistryIterateParents = 0x00000002 };

kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name);
kern_return_t IORegistryEntryGetNameInPlane(io_registry_entry_t entry, const io_name_t plane,
                                            io_name_t name);
kern_return_t IORegistryEntryGetLocationInPlane(io_registry_entry_t entry, const io_name_t plane,
                                                io_name_t location);
kern_return_t IORegistryEntryGetPath(io_registry_entry_t entry, const io_name_t plane,
                                     io_string_t path);

/* 0 is stored on failure. An ID is never used again while the host runs. */
kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entryID);

/* At the root: kIOReturnNoDevice, and 0 is stored. */
kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const io_name_t plane,
                                            io_registry_entry_t *parent);

/* A snapshot, owned by the caller. options: 0. */
kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry,
                                                CFMutableDictionaryRef *properties,
                                                CFAllocatorRef allocator, IOOptionBits options);

/* The property, owned by the caller, or NULL for whatever reason. Check its type. */
CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key,
                                          CFAllocatorRef allocator, IOOptionBits options);
CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const io_name_t plane,
                                          CFStringRef key, CFAllocatorRef allocator,
                                          IOOptionBits options) CF_RETURNS_RETAINED;

/* ---- Connections ---- */

/* owningTask is mach_task_self(). Blocks until the driver answered. */
kern_return_t IOServiceOpen(io_service_t service, task_port_t owningTask, uint32_t type,
                            io_connect_t *connect);

/* Gives the handle up whatever it returns. Waits for calls in progress on it. */
kern_return_t IOServiceClose(io_connect_t connect);
kern_return_t IOConnectAddRef(io_connect_t connect);
kern_return_t IOConnectRelease(io_connect_t connect);

/* kIOReturnUnsupported for drivers outside the kernel. */
kern_return_t IOConnectGetService(io_connect_t connect, io_service_t *service);
kern_return_t IOConnectSetNotificationPort(io_connect_t connect, uint32_t type, mach_port_t port,
                                           uintptr_t reference);

/* Every failure is kIOReturnBadArgument. *ofSize is the exact size, not rounded to pages. The
 * memory stays mapped until it is unmapped or the connection is closed; it is never munmap'ed. */
kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t memoryType, task_port_t intoTask,
                                   mach_vm_address_t *atAddress, mach_vm_size_t *ofSize,
                                   IOOptionBits options);
kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t memoryType,
                                     task_port_t fromTask, mach_vm_address_t atAddress);

/* ---- Method calls ---- */

/* At most 16 scalars each way; counts are capacities in, results out. */
kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input,
                                  uint32_t inputCnt, const void *inputStruct, size_t inputStructCnt,
                                  uint64_t *output, uint32_t *outputCnt, void *outputStruct,
                                  size_t *outputStructCnt);
kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector,
                                        const uint64_t *input, uint32_t inputCnt, uint64_t *output,
                                        uint32_t *outputCnt);
kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector,
                                        const void *inputStruct, size_t inputStructCnt,
                                        void *outputStruct, size_t *outputStructCnt);

/* The completion may run before the call returns, more than once, or never. reference is copied. */
kern_return_t IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector,
                                       mach_port_t wake_port, uint64_t *reference,
                                       uint32_t referenceCnt, const uint64_t *input,
                                       uint32_t inputCnt, const void *inputStruct,
                                       size_t inputStructCnt, uint64_t *output, uint32_t *outputCnt,
                                       void *outputStruct, size_t *outputStructCnt);
kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector,
                                             mach_port_t wake_port, uint64_t *reference,
                                             uint32_t referenceCnt, const uint64_t *input,
                                             uint32_t inputCnt, uint64_t *output,
                                             uint32_t *outputCnt);
kern_return_t IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector,
                                             mach_port_t wake_port, uint64_t *reference,
                                             uint32_t referenceCnt, const void *inputStruct,
                                             size_t inputStructCnt, void *outputStruct,
                                             size_t *outputStructCnt);

/* Completions: which form is called depends on how many arguments the driver sends: 0, 1, 2, more.
 * args is valid during the callback only and may be aligned to 4 bytes only. */
typedef void (*IOAsyncCallback0)(void *refcon, IOReturn result);
typedef void (*IOAsyncCallback1)(void *refcon, IOReturn result, void *arg0);
typedef void (*IOAsyncCallback2)(void *refcon, IOReturn result, void *arg0, void *arg1);
typedef void (*IOAsyncCallback)(void *refcon, IOReturn result, void **args, uint32_t numArgs);

/* ---- Notification ---- */

typedef struct IONotificationPort *IONotificationPortRef;

typedef void (*IOServiceMatchingCallback)(void *refcon, io_iterator_t iterator);

/* service is borrowed for the call. */
typedef void (*IOServiceInterestCallback)(void *refcon, io_service_t service, uint32_t messageType,
                                          void *messageArgument);

IONotificationPortRef IONotificationPortCreate(mach_port_t mainPort);

/* Waits for nothing: a callback that runs goes on, none starts any more. NULL aborts. */
void IONotificationPortDestroy(IONotificationPortRef notify);

/* Borrowed; the wake_port of asynchronous calls. */
mach_port_t IONotificationPortGetMachPort(IONotificationPortRef notify);

/* Callbacks run on queue from now on; NULL: on none. */
void IONotificationPortSetDispatchQueue(IONotificationPortRef notify, dispatch_queue_t queue);

/* Armed once *notification has been drained with IOIteratorNext; releasing it ends the
 * notification. Takes one reference of matching. */
kern_return_t IOServiceAddMatchingNotification(IONotificationPortRef notifyPort,
                                               const io_name_t notificationType,
                                               CFDictionaryRef matching CF_RELEASES_ARGUMENT,
                                               IOServiceMatchingCallback callback, void *refCon,
                                               io_iterator_t *notification);

/* Releasing *notification ends it. kIOReturnUnsupported: unknown type, or service inactive. */
kern_return_t IOServiceAddInterestNotification(IONotificationPortRef notifyPort,
                                               io_service_t service, const io_name_t interestType,
                                               IOServiceInterestCallback callback, void *refCon,
                                               io_object_t *notification);

#ifdef __cplusplus
}
#endif

#endif

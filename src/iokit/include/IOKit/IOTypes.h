/*
 * IOKit handles and integer types.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_IOTYPES_H
#define DEXTLINK_IOKIT_IOTYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <mach/message.h>
#include <mach/vm_types.h>
#include <IOKit/IOReturn.h>
#include <libkern/OSTypes.h>
#include <device/device_types.h>
#include <IOKit/IOMapTypes.h>

#ifndef IOKIT
#define IOKIT 1
#endif

typedef UInt32 IOOptionBits;
typedef SInt32 IOFixed;
typedef UInt32 IOVersion;
typedef UInt32 IOItemCount;
typedef UInt32 IOCacheMode;

typedef UInt32 IOByteCount32;
typedef UInt64 IOByteCount64;

typedef mach_vm_address_t IOVirtualAddress;

/* Programs outside the kernel see 32 bits on x86-64. */
#if defined(__x86_64__)
typedef IOByteCount32 IOByteCount;
#else
typedef IOByteCount64 IOByteCount;
#endif

/* One integer type for all kinds of handle: the compiler catches no mix-ups. */
typedef io_object_t io_connect_t;
typedef io_object_t io_enumerator_t;
typedef io_object_t io_ident_t;
typedef io_object_t io_iterator_t;
typedef io_object_t io_registry_entry_t;
typedef io_object_t io_service_t;

#define IO_OBJECT_NULL ((io_object_t)0)

/* As an output structure's size: the driver decides it. */
enum { kIOConnectMethodVarOutputSize = -3 };

#endif

/*
 * Integer types of the Mach interface that depend on the processor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_MACHINE_VM_TYPES_H
#define DEXTLINK_MACH_MACHINE_VM_TYPES_H

#include <stdint.h>

typedef unsigned int natural_t;
typedef int integer_t;

typedef uintptr_t vm_offset_t;
typedef uintptr_t vm_size_t;

typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_offset_t;
typedef uint64_t mach_vm_size_t;

typedef uint64_t vm_map_address_t;
typedef uint64_t vm_map_offset_t;
typedef uint64_t vm_map_size_t;

#endif

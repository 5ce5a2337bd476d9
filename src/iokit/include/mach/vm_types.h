/*
 * Virtual memory types of the Mach interface.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_VM_TYPES_H
#define DEXTLINK_MACH_VM_TYPES_H

#include <stdint.h>
#include <mach/port.h>
#include <mach/machine/vm_types.h>

typedef vm_offset_t pointer_t;
typedef vm_offset_t vm_address_t;
typedef uint64_t addr64_t;

typedef mach_port_t vm_map_t;
#define VM_MAP_NULL ((vm_map_t)0)

#endif

/*
 * Mach port names: 32-bit handles, local to a process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_PORT_H
#define DEXTLINK_MACH_PORT_H

#include <mach/boolean.h>
#include <mach/machine/vm_types.h>

typedef natural_t mach_port_name_t;
typedef mach_port_name_t *mach_port_name_array_t;
typedef unsigned int mach_port_t;
typedef mach_port_t *mach_port_array_t;

#define MACH_PORT_NULL        0
#define MACH_PORT_DEAD        ((mach_port_name_t)~0)
#define MACH_PORT_VALID(name) (((name) != MACH_PORT_NULL) && ((name) != MACH_PORT_DEAD))

typedef natural_t mach_port_urefs_t;
typedef integer_t mach_port_delta_t;

#endif

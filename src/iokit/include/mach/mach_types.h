/*
 * Names of Mach kernel objects: all of them are ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_MACH_TYPES_H
#define DEXTLINK_MACH_MACH_TYPES_H

#include <stdint.h>
#include <mach/message.h>
#include <mach/port.h>
#include <mach/vm_types.h>

typedef mach_port_t task_t;
typedef mach_port_t task_name_t;
typedef mach_port_t thread_t;
typedef mach_port_t thread_act_t;
typedef mach_port_t host_t;
typedef mach_port_t bootstrap_t;
typedef task_t task_port_t;
typedef thread_t thread_port_t;

#define TASK_NULL   ((task_t)0)
#define THREAD_NULL ((thread_t)0)
#define HOST_NULL   ((host_t)0)

#endif

/*
 * The calling task.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_MACH_INIT_H
#define DEXTLINK_MACH_MACH_INIT_H

#include <mach/mach_types.h>
#include <mach/vm_page_size.h>

#ifdef __cplusplus
extern "C" {
#endif

extern mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
#define current_task()   mach_task_self()

#ifdef __cplusplus
}
#endif

#endif

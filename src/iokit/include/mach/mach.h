/*
 * The parts of the Mach interface that IOKit clients use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_MACH_H
#define DEXTLINK_MACH_MACH_H

#include <mach/mach_types.h>
#include <mach/mach_init.h>
#include <mach/mig_errors.h>
#include <mach/mach_error.h>
#include <mach/message.h>
#include <mach/vm_page_size.h>

#endif

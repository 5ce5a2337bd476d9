/*
 * Types of the calls between IOKit clients and the kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEVICE_DEVICE_TYPES_H
#define DEXTLINK_DEVICE_DEVICE_TYPES_H

#include <stdint.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/port.h>

typedef char *io_buf_ptr_t;
typedef char io_name_t[128];
typedef char io_string_t[512];
typedef char io_string_inband_t[4096];
typedef char io_struct_inband_t[4096];

typedef uint64_t io_user_scalar_t;
typedef uint64_t io_user_reference_t;
typedef io_user_scalar_t io_scalar_inband_t[16];
typedef io_user_reference_t io_async_ref_t[8];
typedef io_user_scalar_t io_scalar_inband64_t[16];
typedef io_user_reference_t io_async_ref64_t[8];

typedef mach_port_t io_object_t;

#endif

/*
 * Composition of Mach error codes: system, subsystem, code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_ERROR_CODES_H
#define DEXTLINK_MACH_ERROR_CODES_H

#include <mach/kern_return.h>

typedef kern_return_t mach_error_t;

#define err_none          ((mach_error_t)0)
#define ERR_SUCCESS       ((mach_error_t)0)
#define err_system(x)     ((signed)((((unsigned)(x)) & 0x3f) << 26))
#define err_sub(x)        (((x)&0xfff) << 14)
#define err_get_system(e) (((e) >> 26) & 0x3f)
#define err_get_sub(e)    (((e) >> 14) & 0xfff)
#define err_get_code(e)   ((e)&0x3fff)

#define err_kern          err_system(0x0)
#define err_us            err_system(0x1)
#define err_server        err_system(0x2)
#define err_ipc           err_system(0x3)
#define err_mach_ipc      err_system(0x4)
#define err_local         err_system(0x3e)

#define unix_err(e)       (err_kern | err_sub(3) | (e))

#endif

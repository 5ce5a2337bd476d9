/*
 * The page size clients see, and rounding to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_VM_PAGE_SIZE_H
#define DEXTLINK_MACH_VM_PAGE_SIZE_H

#include <mach/mach_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The machine's page size until a connection to a host says what the host presents. */
extern vm_size_t vm_page_size;
extern vm_size_t vm_page_mask;
extern int vm_page_shift;

#define trunc_page(x)         ((x) & (~(vm_page_size - 1)))
#define round_page(x)         trunc_page((x) + (vm_page_size - 1))
#define mach_vm_trunc_page(x) ((mach_vm_offset_t)(x) & ~((signed)vm_page_mask))
#define mach_vm_round_page(x) (((mach_vm_offset_t)(x) + vm_page_mask) & ~((signed)vm_page_mask))

#ifdef __cplusplus
}
#endif

#endif

/*
 * Registers of QEMU's educational device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_EDU_H
#define DEXTLINK_DEXTCTL_EDU_H

#include "engine.h"

#define EDU_VENDOR_ID        0x1234
#define EDU_DEVICE_ID        0x11e8

#define EDU_IDENTIFICATION   0x00 /* 0xRRrr00ed */
#define EDU_LIVENESS         0x04 /* reads as the inverse of what was written */
#define EDU_FACTORIAL        0x08
#define EDU_STATUS           0x20
#define EDU_IRQ_STATUS       0x24
#define EDU_IRQ_RAISE        0x60
#define EDU_IRQ_ACKNOWLEDGE  0x64

#define EDU_ID_MASK          0xffffu
#define EDU_ID_VALUE         0x00edu
#define EDU_STATUS_COMPUTING 0x01u
#define EDU_STATUS_IRQ       0x80u
#define EDU_IRQ_FACTORIAL    0x001u
#define EDU_IRQ_DMA          0x100u

#define EDU_DMA_BUFFER_BYTES 4096

/** Have edu read client memory into its buffer, or write its buffer to client memory. */
const char *edu_pull(struct engine *engine, uint64_t bus_address, uint64_t bytes);
const char *edu_push(struct engine *engine, uint64_t bus_address, uint64_t bytes);

/** edu_push that also fires the interrupt when it is done; returns at once. */
void edu_push_start(struct engine *engine, uint64_t bus_address, uint64_t bytes);

#endif

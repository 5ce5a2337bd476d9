/*
 * Recognising guest memory that is not shared: a VMM that maps its memory file privately
 * (share=off) still sends the file, but the guest's pages are copies, and the device would read and
 * write pages nobody looks at.
 *
 * A guest that lets a device master the bus has run for a while, so its memory has contents. When
 * every sampled page of the file is empty the client is asked for the same pages by DMA_READ, one
 * at a time and without waiting; pages that have contents there, but in the file still none, are
 * private. A client is never asked while it might wait for an answer of ours: the question goes out
 * behind an answer, and whatever it sends meanwhile is served.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_SHARE_CHECK_H
#define DEXTLINK_VFIOUSER_SHARE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "vfiouser/dma.h"

#define VU_SHARE_PAGE       4096
#define VU_SHARE_MESSAGE_ID 0x5348 /* of the DMA_READ that asks; nothing else has it */
#define VU_SHARE_SAMPLES    64
/* Less memory than this is no guest. */
#define VU_SHARE_LEAST_BYTES (UINT64_C(32) << 20)

struct vu_share_check {
    bool is_settled; /* shared, or not to be found out */
    bool is_asking;  /* samples[at] has been asked for */
    unsigned at, count;
    unsigned private_pages;
    uint64_t samples[VU_SHARE_SAMPLES]; /* addresses of pages that are empty in their files */
};

enum vu_share_verdict {
    VU_SHARE_UNKNOWN,
    VU_SHARE_ASK, /* read samples[at] from the client */
    VU_SHARE_PRIVATE,
};

/** The guest has let the device master the bus: look at its memory. VU_SHARE_ASK or _UNKNOWN. */
enum vu_share_verdict vu_share_start(struct vu_share_check *check, const struct vu_dma *dma);

/** The answer for samples[at]: the page; NULL when the client refused. */
enum vu_share_verdict vu_share_answer(struct vu_share_check *check, const struct vu_dma *dma,
                                      const uint8_t *page);

#endif

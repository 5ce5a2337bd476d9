/*
 * Memory behind the BARs of a replayed device: zero until it is written, and only what was written
 * takes room.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_REPLAY_MEMORY_H
#define DEXTLINK_MODEL_REPLAY_MEMORY_H

#include <bsd/sys/tree.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_PAGE_BYTES 4096
#define REPLAY_MAX_PAGES  16384 /* 64 MiB; later writes to others are lost */

struct replay_page {
    RB_ENTRY(replay_page) link;
    unsigned bar;
    uint64_t number;
    uint8_t bytes[]; /* REPLAY_PAGE_BYTES */
};

struct replay_memory {
    RB_HEAD(replay_pages, replay_page) pages;
    size_t count;
};

void replay_memory_init(struct replay_memory *memory);

/** Forget everything: all reads as zero again. */
void replay_memory_clear(struct replay_memory *memory);

/** Naturally aligned, width 1, 2, 4 or 8. A write that finds no memory is lost. */
uint64_t replay_memory_read(struct replay_memory *memory, unsigned bar, uint64_t offset,
                            unsigned width);
void replay_memory_write(struct replay_memory *memory, unsigned bar, uint64_t offset,
                         unsigned width, uint64_t value);

#endif

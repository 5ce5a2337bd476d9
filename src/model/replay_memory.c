/*
 * Memory behind the BARs of a replayed device, by pages that exist once they are written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/replay_memory.h"

#include <stdlib.h>

static int compare(const struct replay_page *a, const struct replay_page *b)
{
    if (a->bar != b->bar)
        return a->bar < b->bar ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

/* RB_GENERATE_STATIC, whose spelling of "may be unused" glibc does not have. */
RB_GENERATE_INTERNAL(replay_pages, replay_page, link, compare, __attribute__((unused)) static)

static struct replay_page *find(struct replay_memory *memory, unsigned bar, uint64_t offset)
{
    struct replay_page wanted = {.bar = bar, .number = offset / REPLAY_PAGE_BYTES};
    return RB_FIND(replay_pages, &memory->pages, &wanted);
}

static struct replay_page *find_or_make(struct replay_memory *memory, unsigned bar, uint64_t offset)
{
    struct replay_page *page = find(memory, bar, offset);
    if (page != NULL || memory->count == REPLAY_MAX_PAGES)
        return page;
    page = calloc(1, sizeof(*page) + REPLAY_PAGE_BYTES);
    if (page == NULL)
        return NULL;
    page->bar = bar;
    page->number = offset / REPLAY_PAGE_BYTES;
    RB_INSERT(replay_pages, &memory->pages, page);
    memory->count++;
    return page;
}

void replay_memory_init(struct replay_memory *memory)
{
    RB_INIT(&memory->pages);
    memory->count = 0;
}

void replay_memory_clear(struct replay_memory *memory)
{
    struct replay_page *page;
    while ((page = RB_ROOT(&memory->pages)) != NULL) {
        RB_REMOVE(replay_pages, &memory->pages, page);
        free(page);
    }
    memory->count = 0;
}

uint64_t replay_memory_read(struct replay_memory *memory, unsigned bar, uint64_t offset,
                            unsigned width)
{
    const struct replay_page *page = find(memory, bar, offset);
    uint64_t value = 0;
    for (unsigned i = 0; page != NULL && i < width; i++)
        value |= (uint64_t)page->bytes[offset % REPLAY_PAGE_BYTES + i] << (8 * i);
    return value;
}

void replay_memory_write(struct replay_memory *memory, unsigned bar, uint64_t offset,
                         unsigned width, uint64_t value)
{
    struct replay_page *page = find_or_make(memory, bar, offset);
    for (unsigned i = 0; page != NULL && i < width; i++)
        page->bytes[offset % REPLAY_PAGE_BYTES + i] = (uint8_t)(value >> (8 * i));
}

/*
 * The text that lspci -x, -xxx or -xxxx prints, with or without -v, taken apart: config space of
 * each function in it, and the sizes of BARs where the text tells them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_REPLAY_DUMP_H
#define DEXTLINK_MODEL_REPLAY_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/config_space.h"
#include "model/model.h"

#define REPLAY_MAX_FUNCTIONS 1024
#define REPLAY_LEAST_BYTES   64 /* the header: less is no function */

struct replay_function {
    uint32_t domain;
    uint8_t bus, device, function;
    unsigned line;     /* of its address, from 1 */
    size_t start, end; /* its lines in the text */
    unsigned bytes;    /* of config space that the text has, from REPLAY_LEAST_BYTES on */
    uint8_t config[CONFIG_SPACE_BYTES];  /* 0 behind them */
    uint64_t bar_bytes[MODEL_BAR_COUNT]; /* as a [size=…] says; 0: nothing does */
};

struct replay_dump {
    struct replay_function *functions; /* in the order of the text */
    size_t count;
};

/**
 * Take apart bytes of text, which need not end with NUL. What is neither an address, nor a row of
 * bytes, nor a BAR is passed over, as lspci -F does.
 *
 * 0; -EINVAL with *error a malloc'ed line (caller frees) that begins with "line N: "; -ENOMEM.
 * On failure *dump holds nothing.
 */
int replay_dump_parse(const char *text, size_t bytes, struct replay_dump *dump, char **error);
void replay_dump_clear(struct replay_dump *dump);

/** How many BARs a header of this type has: 6, 2 for bridges, 1 for CardBus. */
unsigned replay_bar_count(const uint8_t config[CONFIG_SPACE_BYTES]);

/** One base address register as it stands in the header. */
struct replay_bar {
    bool is_upper; /* half of the 64-bit one before: the rest is 0 */
    uint8_t type;  /* DEXT_BAR_TYPE_* */
    uint64_t address;
};
struct replay_bar replay_bar_at(const uint8_t config[CONFIG_SPACE_BYTES], unsigned bar);

#endif

/*
 * The key=value options of a model, by a table: numbers with a range, sizes, choices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_MODEL_OPTIONS_H
#define DEXTLINK_MODEL_MODEL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

/* One key. The value goes to *value, which holds the default before. */
struct model_option_rule {
    const char *key;
    uint64_t *value;
    uint64_t least, most;       /* of a number */
    bool is_power_of_two;       /* the number has to be one */
    const char *const *choices; /* NULL-ended words, their index is the value; NULL: a number */
    const char **text;          /* not NULL: any text, borrowed as the options are; value unused */
    unsigned most_texts;        /* how often it may be given: text[0], text[1] …; 0: once */
    bool is_flag;               /* a bare key, which sets 1 */
};

/**
 * Set what options say. Numbers are decimal or 0x…, with K, M or G behind them for powers of 1024.
 * model: the model's name for error texts.
 *
 * 0; -EINVAL with *error a malloc'ed line (caller frees): a key no rule has, a key given too often,
 * a value that is no number, out of range or no choice; -ENOMEM when that line cannot be had.
 */
int model_options_parse(const char *model, const struct model_option_rule *rules, size_t rule_count,
                        const struct model_option *options, size_t count, char **error);

#endif

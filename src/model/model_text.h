/*
 * Error texts of models, put together without stdio: one malloc'ed line of bounded length.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_MODEL_TEXT_H
#define DEXTLINK_MODEL_MODEL_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct model_text {
    char *text; /* NULL: no memory, appending does nothing */
    size_t used;
};

struct model_text model_text_start(void);

/** Append; what does not fit is cut. */
void model_text_add(struct model_text *line, const char *text);
void model_text_number(struct model_text *line, uint64_t number);

/** Lower-case hexadecimal, at least digits of them (up to 16). */
void model_text_hex(struct model_text *line, uint64_t number, unsigned digits);

/** Text of unknown length and content, up to bytes or its end: cut, and one line whatever it is. */
void model_text_input(struct model_text *line, const char *text, size_t bytes);

/** Hand the line over: -EINVAL with *error its text (caller frees), or -ENOMEM. */
int model_text_refuse(struct model_text *line, char **error);

#endif

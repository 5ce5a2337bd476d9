/*
 * Error texts of models, put together without stdio.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/model_text.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_BYTES  512
#define INPUT_BYTES 64 /* of what was given */

struct model_text model_text_start(void)
{
    return (struct model_text){calloc(1, LINE_BYTES), 0};
}

void model_text_add(struct model_text *line, const char *text)
{
    for (; line->text != NULL && *text != '\0' && line->used < LINE_BYTES - 1; text++)
        line->text[line->used++] = *text;
}

void model_text_number(struct model_text *line, uint64_t number)
{
    char digits[21] = "";
    size_t first = sizeof(digits) - 1;
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    model_text_add(line, digits + first);
}

void model_text_hex(struct model_text *line, uint64_t number, unsigned digits)
{
    char text[17] = "";
    size_t first = sizeof(text) - 1;
    do {
        text[--first] = "0123456789abcdef"[number & 0xf];
        number >>= 4;
    } while (first > 0 && (number != 0 || sizeof(text) - 1 - first < digits));
    model_text_add(line, text + first);
}

void model_text_input(struct model_text *line, const char *text, size_t bytes)
{
    for (size_t i = 0; i < INPUT_BYTES && i < bytes && text[i] != '\0'; i++) {
        char one[2] = {text[i] >= ' ' && text[i] <= '~' ? text[i] : '?', '\0'};
        model_text_add(line, one);
    }
}

int model_text_refuse(struct model_text *line, char **error)
{
    *error = line->text;
    return line->text != NULL ? -EINVAL : -ENOMEM;
}

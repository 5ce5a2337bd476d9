/*
 * Reading addresses from the command line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dextctl.h"

#include <ctype.h>
#include <string.h>

/* Between one and digits_max hexadecimal digits, then the character after; NULL when not so. */
static const char *parse_field(const char *text, int digits_max, unsigned int maximum, char after,
                               uint8_t *value)
{
    unsigned int sum = 0;
    int digits = 0;

    while (isxdigit((unsigned char)text[digits])) {
        if (digits == digits_max) {
            return NULL;
        }
        int c = tolower((unsigned char)text[digits++]);
        sum = sum * 16 + (unsigned int)(isdigit(c) ? c - '0' : c - 'a' + 10);
    }
    if (digits == 0 || sum > maximum || text[digits] != after) {
        return NULL;
    }
    *value = (uint8_t)sum;
    return text + digits + (after != '\0');
}

bool address_parse(const char *text, struct address *address)
{
    const char *slash = strrchr(text, '/');
    struct address parsed = {0};

    if (slash) {
        size_t length = (size_t)(slash - text);
        if (length == 0 || length >= sizeof(parsed.root)) {
            return false;
        }
        memcpy(parsed.root, text, length);
        text = slash + 1;
    }
    text = parse_field(text, 2, 0xff, ':', &parsed.bus);
    text = text ? parse_field(text, 2, 0x1f, '.', &parsed.device) : NULL;
    text = text ? parse_field(text, 1, 7, '\0', &parsed.function) : NULL;
    if (!text) {
        return false;
    }
    *address = parsed;
    return true;
}

bool address_is_name(const char *text)
{
    const char *step = strrchr(text, '/');
    uint8_t device, function;

    if (!step || step == text) {
        return false;
    }
    step = parse_field(step + 1, 2, 0x1f, '.', &device);
    return step && parse_field(step, 1, 7, '\0', &function);
}

/*
 * Reading register names, and finding them in a device's config space.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "register.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "output.h"

#define NAME_BYTES     40
#define CAPABILITY_MAX 64

static int no_register(const char *text)
{
    return usage_error("\"%s\" is no offset and no register: want a number as in 0x3c, or a name "
                       "as in COMMAND, BAR0, CAP_EXP+8.W",
                       text);
}

/* Hexadecimal, with or without 0x, as setpci writes numbers; *text moves past it. */
static bool take_hexadecimal(const char **text, uint64_t maximum, uint16_t *value)
{
    const char *digits = *text;
    char *end;

    digits += digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 2 : 0;
    if (!isxdigit((unsigned char)digits[0])) {
        return false;
    }
    unsigned long parsed = strtoul(digits, &end, 16);
    if (parsed > maximum || end - digits > 8) {
        return false;
    }
    *value = (uint16_t)parsed;
    *text = end;
    return true;
}

static uint8_t width_of(char letter)
{
    switch (toupper((unsigned char)letter)) {
    case 'B':
        return 1;
    case 'W':
        return 2;
    case 'L':
        return 4;
    default:
        return 0;
    }
}

/* "CAP05" and "ECAP0001": the id instead of a name. */
static bool find_numbered(const char *name, struct register_place *place)
{
    bool extended = strncasecmp(name, "ECAP", 4) == 0;
    const char *digits = name + (extended ? 4 : 3);

    if ((!extended && strncasecmp(name, "CAP", 3) != 0) || digits[0] == '_' ||
        !take_hexadecimal(&digits, extended ? 0xffff : 0xff, &place->id) || *digits != '\0') {
        return false;
    }
    place->space = extended ? REGISTER_EXTENDED : REGISTER_CAPABILITY;
    return true;
}

static bool find_name(const char *name, struct register_place *place)
{
    for (const struct register_row *row = register_rows; row->name; row++) {
        if (strcasecmp(row->name, name) == 0) {
            place->space = row->space;
            place->id = row->space == REGISTER_HEADER ? 0 : row->number;
            place->offset = row->space == REGISTER_HEADER ? row->number : 0;
            place->width = row->width;
            return true;
        }
    }
    return find_numbered(name, place);
}

/* One of +OFFSET, .WIDTH and @INDEX; *rest, at the mark, moves past it. */
static bool take_suffix(const char **rest, struct register_place *place)
{
    char mark = *(*rest)++;
    uint16_t number = 0;

    if (mark == '.') {
        place->width = width_of(*(*rest)++);
        return place->width != 0;
    }
    if (mark == '+') {
        bool ok = take_hexadecimal(rest, CONFIG_BYTES - 1, &number);
        place->offset = (uint16_t)(place->offset + number);
        return ok;
    }
    return mark == '@' && place->space != REGISTER_HEADER &&
           take_hexadecimal(rest, CAPABILITY_MAX, &place->index);
}

static bool take_suffixes(const char *rest, struct register_place *place)
{
    char seen[4] = ""; /* each mark comes once at most */

    for (size_t count = 0; *rest; count++) {
        if (count == 3 || strchr(seen, *rest)) {
            return false;
        }
        seen[count] = *rest;
        if (!take_suffix(&rest, place)) {
            return false;
        }
    }
    return true;
}

static int check_header_place(const struct register_place *place)
{
    unsigned int width = place->width;

    if (place->offset > CONFIG_BYTES - width) {
        return usage_error("%u bytes at offset %s are not all inside the %d bytes there are", width,
                           place->text, CONFIG_BYTES);
    }
    if (place->offset % width != 0) {
        return usage_error("offset %s is not a multiple of the width %u", place->text, width);
    }
    return STATUS_OK;
}

int register_parse(const char *text, const struct options *options, struct register_place *place)
{
    char head[NAME_BYTES];
    size_t length = strcspn(text, "+.@");
    uint64_t number;

    *place = (struct register_place){.text = text};
    if (length == 0 || length >= sizeof(head)) {
        return no_register(text);
    }
    memcpy(head, text, length);
    head[length] = '\0';
    if (number_parse(head, UINT64_MAX, &number)) {
        if (text[length] == '+') {
            return no_register(text);
        }
        place->offset = number < CONFIG_BYTES ? (uint16_t)number : CONFIG_BYTES;
        place->width = (uint8_t)options->width;
    } else if (!find_name(head, place)) {
        return no_register(text);
    }
    if (options->given & OPTION_WIDTH) {
        place->width = (uint8_t)options->width;
    }
    if (!take_suffixes(text + length, place)) {
        return no_register(text);
    }
    return place->space == REGISTER_HEADER ? check_header_place(place) : STATUS_OK;
}

bool register_needs_image(const struct register_place *place)
{
    return place->space != REGISTER_HEADER;
}

/* Where the capability starts; 0 when the device has none. */
static uint16_t find_capability(const struct register_place *place,
                                const struct config_image *image)
{
    struct capability list[CAPABILITY_MAX];
    size_t count = capability_list(image, list, CAPABILITY_MAX);
    uint16_t index = place->index;

    for (size_t i = 0; i < count; i++) {
        if (list[i].id == place->id && list[i].extended == (place->space == REGISTER_EXTENDED) &&
            index-- == 0) {
            return list[i].offset;
        }
    }
    return 0;
}

static uint8_t widest(uint16_t offset)
{
    return offset % 4 == 0 ? 4 : offset % 2 == 0 ? 2 : 1;
}

int register_resolve(struct register_place *place, const struct session *session,
                     const struct config_image *image)
{
    if (!register_needs_image(place)) {
        return STATUS_OK;
    }
    uint16_t start = find_capability(place, image);
    if (start == 0) {
        return failure(session->name, "%s: the device has no such capability", place->text);
    }
    place->offset = (uint16_t)(start + place->offset);
    place->width = place->width ? place->width : widest(place->offset);
    if (place->offset + place->width > CONFIG_BYTES) {
        return failure(session->name, "%s lies outside config space", place->text);
    }
    if (place->offset % place->width != 0) {
        return failure(session->name, "%s is at 0x%x, no multiple of its width %u", place->text,
                       place->offset, place->width);
    }
    place->space = REGISTER_HEADER;
    return STATUS_OK;
}

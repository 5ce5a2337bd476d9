/*
 * Reading what lspci prints: lines with an address, rows of bytes, and lines about BARs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/replay_dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "model/config_registers.h"
#include "model/model_text.h"
#include "model/replay_region.h"

#define HEADER_TYPE 0x0e

struct reader {
    const char *text;
    struct replay_dump *dump;
    struct replay_function *now; /* NULL: between functions */
    struct replay_regions regions;
    unsigned line;
    char **error;
};

/* A line without its end, and what is left of it. */
struct piece {
    const char *at, *end;
};

static int complain(const struct reader *reader, unsigned line, const char *what)
{
    struct model_text text = model_text_start();
    model_text_add(&text, "line ");
    model_text_number(&text, line);
    model_text_add(&text, ": ");
    model_text_add(&text, what);
    return model_text_refuse(&text, reader->error);
}

static int complain_of_function(const struct reader *reader, unsigned line, const char *what)
{
    const struct replay_function *now = reader->now;
    struct model_text text = model_text_start();
    model_text_add(&text, "line ");
    model_text_number(&text, line);
    model_text_add(&text, ": ");
    model_text_hex(&text, now->bus, 2);
    model_text_add(&text, ":");
    model_text_hex(&text, now->device, 2);
    model_text_add(&text, ".");
    model_text_hex(&text, now->function, 1);
    model_text_add(&text, " ");
    model_text_add(&text, what);
    return model_text_refuse(&text, reader->error);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* least to most hexadecimal digits with nothing hexadecimal behind. */
static bool take_hex(struct piece *piece, unsigned least, unsigned most, uint32_t *out)
{
    uint32_t value = 0;
    unsigned count = 0;
    const char *at = piece->at;

    for (; at < piece->end && digit(*at) >= 0; at++) {
        if (++count > most)
            return false;
        value = value << 4 | (uint32_t)digit(*at);
    }
    if (count < least)
        return false;
    piece->at = at;
    *out = value;
    return true;
}

static bool take_mark(struct piece *piece, char mark)
{
    bool is_there = piece->at < piece->end && *piece->at == mark;
    piece->at += is_there;
    return is_there;
}

/* "BB:DD.F" with a domain of 4 to 8 digits before it or not, then a blank or nothing. */
static bool take_address(struct piece piece, struct replay_function *out)
{
    uint32_t domain = 0, bus, device, function;
    struct piece start = piece;

    if (!take_hex(&piece, 4, 8, &domain) || !take_mark(&piece, ':')) {
        piece = start;
        domain = 0;
    }
    if (!take_hex(&piece, 2, 2, &bus) || !take_mark(&piece, ':') ||
        !take_hex(&piece, 2, 2, &device) || !take_mark(&piece, '.') ||
        !take_hex(&piece, 1, 1, &function) || device > 0x1f || function > 7)
        return false;
    if (piece.at < piece.end && *piece.at != ' ')
        return false;
    out->domain = domain;
    out->bus = (uint8_t)bus;
    out->device = (uint8_t)device;
    out->function = (uint8_t)function;
    return true;
}

static int end_function(struct reader *reader, size_t at)
{
    struct replay_function *now = reader->now;
    if (now == NULL)
        return 0;
    now->end = at;
    if (now->bytes < REPLAY_LEAST_BYTES)
        return complain_of_function(reader, now->line,
                                    now->bytes == 0 ? "has no bytes: lspci prints them with -x"
                                                    : "has fewer than the 64 bytes of a header");
    replay_regions_settle(&reader->regions, now);
    reader->now = NULL;
    return 0;
}

static int begin_function(struct reader *reader, const struct replay_function *address, size_t at)
{
    struct replay_dump *dump = reader->dump;
    for (size_t i = 0; i < dump->count; i++) {
        const struct replay_function *other = &dump->functions[i];
        if (other->domain == address->domain && other->bus == address->bus &&
            other->device == address->device && other->function == address->function)
            return complain(reader, reader->line, "this address was there before");
    }
    if (dump->count == REPLAY_MAX_FUNCTIONS)
        return complain(reader, reader->line, "more than 1024 functions");
    /* Room for twice as many whenever the count is a power of two. */
    if ((dump->count & (dump->count - 1)) == 0) {
        size_t room = dump->count == 0 ? 1 : 2 * dump->count;
        struct replay_function *grown = realloc(dump->functions, room * sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
        dump->functions = grown;
    }
    reader->now = &dump->functions[dump->count++];
    *reader->now = *address;
    reader->now->line = reader->line;
    reader->now->start = at;
    reader->regions.count = 0;
    return 0;
}

/* "40: 01 50 03 …", its offset already taken. */
static int take_row(struct reader *reader, struct piece piece, uint32_t offset)
{
    struct replay_function *now = reader->now;
    uint32_t byte;

    if (offset != now->bytes)
        return complain_of_function(reader, reader->line,
                                    offset < now->bytes ? "has this row twice"
                                                        : "lacks the row before this one");
    while (take_mark(&piece, ' ')) {
        if (piece.at == piece.end)
            break; /* blanks at the end */
        if (*piece.at == ' ')
            continue;
        if (!take_hex(&piece, 2, 2, &byte))
            return complain(reader, reader->line, "a row has two digits a byte and blanks between");
        if (now->bytes == CONFIG_SPACE_BYTES)
            return complain(reader, reader->line, "config space ends at 4096 bytes");
        now->config[now->bytes++] = (uint8_t)byte;
    }
    if (piece.at != piece.end)
        return complain(reader, reader->line, "a row has two digits a byte and blanks between");
    return 0;
}

/* Whether a line begins as a row does; *piece is then behind the colon. */
static bool is_row(struct piece *piece, uint32_t *offset)
{
    struct piece ahead = *piece;
    if (!take_hex(&ahead, 2, 3, offset) || !take_mark(&ahead, ':') || ahead.at == ahead.end ||
        *ahead.at != ' ')
        return false;
    *piece = ahead;
    return true;
}

static int take_line(struct reader *reader, struct piece piece, size_t at)
{
    struct replay_function address = {0};
    uint32_t offset, byte;
    int rc = 0;

    if (piece.at == piece.end)
        return end_function(reader, at);
    if (take_address(piece, &address)) {
        rc = end_function(reader, at);
        return rc != 0 ? rc : begin_function(reader, &address, at);
    }
    if (is_row(&piece, &offset)) {
        if (reader->now != NULL)
            return take_row(reader, piece, offset);
        /* Bytes that belong to nobody; other text may begin so too. */
        piece.at++;
        return take_hex(&piece, 2, 2, &byte)
                   ? complain(reader, reader->line, "bytes without a line with an address before")
                   : 0;
    }
    if (reader->now == NULL)
        return 0;
    if (!replay_region_read(&reader->regions, piece.at, piece.end))
        return complain(reader, reader->line, "the size of a BAR is a power of two, up to 2^63");
    return 0;
}

static int read_all(struct reader *reader, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        const char *start = reader->text + at;
        const char *end = memchr(start, '\n', bytes - at);
        struct piece piece = {start, end != NULL ? end : start + (bytes - at)};
        size_t next = (size_t)(piece.end - reader->text) + (end != NULL);
        if (piece.end > piece.at && piece.end[-1] == '\r')
            piece.end--;
        reader->line++;
        int rc = take_line(reader, piece, at);
        if (rc != 0)
            return rc;
        at = next;
    }
    return end_function(reader, bytes);
}

int replay_dump_parse(const char *text, size_t bytes, struct replay_dump *dump, char **error)
{
    struct reader reader = {.text = text, .dump = dump, .error = error};

    *dump = (struct replay_dump){0};
    *error = NULL;
    int rc = read_all(&reader, bytes);
    if (rc == 0 && dump->count == 0)
        rc = complain(&reader, reader.line > 0 ? reader.line : 1,
                      "the end, and no function: wanted is what lspci -x, "
                      "-xxx or -xxxx prints");
    if (rc != 0)
        replay_dump_clear(dump);
    return rc;
}

void replay_dump_clear(struct replay_dump *dump)
{
    free(dump->functions);
    *dump = (struct replay_dump){0};
}

unsigned replay_bar_count(const uint8_t config[CONFIG_SPACE_BYTES])
{
    switch (config[HEADER_TYPE] & 0x7f) {
    case 0:
        return MODEL_BAR_COUNT;
    case 1:
        return 2;
    case 2:
        return 1;
    default:
        return 0;
    }
}

static uint32_t bar_register(const uint8_t config[CONFIG_SPACE_BYTES], unsigned bar)
{
    const uint8_t *at = config + CONFIG_BAR(bar);
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* A last register that says 64 bits has nothing to be its upper half. */
static bool has_upper(const uint8_t config[CONFIG_SPACE_BYTES], unsigned bar)
{
    uint32_t low = bar_register(config, bar);
    return DEXT_BAR_IS_64BIT(low) && bar + 1 < replay_bar_count(config);
}

struct replay_bar replay_bar_at(const uint8_t config[CONFIG_SPACE_BYTES], unsigned bar)
{
    uint32_t low = bar_register(config, bar);
    unsigned at = 0;

    while (at < bar)
        at += has_upper(config, at) ? 2 : 1;
    if (at > bar)
        return (struct replay_bar){.is_upper = true};
    if (DEXT_BAR_IS_IO(low))
        return (struct replay_bar){.type = DEXT_BAR_TYPE_IO, .address = low & ~UINT32_C(3)};
    struct replay_bar found = {.type = low & DEXT_BAR_TYPE_M32PF, .address = low & ~UINT32_C(0xf)};
    if (has_upper(config, bar)) {
        found.type |= DEXT_BAR_TYPE_M64;
        found.address |= (uint64_t)bar_register(config, bar + 1) << 32;
    }
    return found;
}

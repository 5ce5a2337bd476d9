/*
 * The table of writes that would hurt.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guard.h"

#define CAP_ID_MSIX      0x11
#define CAPABILITY_MAX   64
#define MSIX_ENTRY_BYTES 16u

enum guard_when {
    WHEN_TOUCHED, /* any write there */
    WHEN_CHANGED, /* a write that changes one of the bits */
    WHEN_SET,     /* a write that has one of the bits set */
};

enum guard_space { IN_HEADER, IN_CAPABILITY, IN_EXTENDED };

struct guard_row {
    enum guard_space space;
    uint16_t id;
    uint16_t offset; /* in the header, or the capability */
    uint16_t bytes;
    uint32_t bits; /* of the first four bytes; not for WHEN_TOUCHED */
    enum guard_when when;
    struct guard_finding finding;
};

static const char host_owns_messages[] =
    "the host has set it up for its own vectors; interrupts would go nowhere, or anywhere";
static const char use_reset[] =
    "that resets the device behind its driver's back; dextctl reset does it with care";

static const struct guard_row rows[] = {
    {IN_HEADER,
     0,
     0x06,
     2,
     0xf900,
     WHEN_SET,
     {"error bits of STATUS", "writing ones clears the record of errors that explains a failure"}},
    {IN_HEADER,
     0,
     0x10,
     24,
     0,
     WHEN_TOUCHED,
     {"a base address register", "the host owns the addresses; the device would answer elsewhere"}},
    {IN_HEADER,
     0,
     0x30,
     4,
     0,
     WHEN_TOUCHED,
     {"the expansion ROM's address", "the host owns the addresses and has given it none"}},
    {IN_CAPABILITY,
     0x01,
     4,
     2,
     0x0003,
     WHEN_CHANGED,
     {"the power state", "leaving D0 stops the device, and coming back may reset it"}},
    {IN_CAPABILITY,
     0x05,
     2,
     2,
     0x0071,
     WHEN_CHANGED,
     {"MSI's enable bit or number of vectors", host_owns_messages}},
    {IN_CAPABILITY, 0x05, 4, 10, 0, WHEN_TOUCHED, {"MSI's address or data", host_owns_messages}},
    {IN_CAPABILITY,
     0x10,
     8,
     2,
     0x70e0,
     WHEN_CHANGED,
     {"the payload or read request size",
      "it must fit all bridges above; with a wrong one transfers end in completion timeouts"}},
    {IN_CAPABILITY, 0x10, 8, 2, 0x8000, WHEN_SET, {"the function-level reset bit", use_reset}},
    {IN_CAPABILITY,
     0x11,
     2,
     2,
     0xc000,
     WHEN_CHANGED,
     {"MSI-X's enable or mask bit", host_owns_messages}},
    {IN_CAPABILITY, 0x13, 4, 1, 0x01, WHEN_SET, {"the function-level reset bit", use_reset}},
    {IN_EXTENDED,
     0x0010,
     8,
     2,
     0x0001,
     WHEN_CHANGED,
     {"the switch of virtual functions", "the host would not know of the functions that appear"}},
    {IN_EXTENDED,
     0x0015,
     8,
     4,
     0x3f00,
     WHEN_CHANGED,
     {"a BAR's size", "the host owns the addresses; the larger BAR would cover its neighbours"}},
};

/* Byte i of a little-endian value; 0 past its end. */
static uint8_t byte_of(uint32_t value, unsigned int i)
{
    return i < 4 ? (uint8_t)(value >> 8 * i) : 0;
}

static bool row_is_hit(const struct guard_row *row, uint16_t start,
                       const struct config_image *image, uint16_t offset, uint8_t width,
                       uint32_t value)
{
    for (unsigned int i = 0; i < width; i++) {
        unsigned int at = offset + i;
        if (at < start || at >= (unsigned int)start + row->bytes) {
            continue;
        }
        uint8_t bits = byte_of(row->bits, at - start);
        uint8_t now = byte_of(value, i);
        if (row->when == WHEN_TOUCHED || (row->when == WHEN_SET && (now & bits)) ||
            (row->when == WHEN_CHANGED && ((now ^ config_u8(image, at)) & bits))) {
            return true;
        }
    }
    return false;
}

bool guard_config_write(const struct config_image *image, uint16_t offset, uint8_t width,
                        uint32_t value, struct guard_finding *finding)
{
    struct capability list[CAPABILITY_MAX];
    size_t count = capability_list(image, list, CAPABILITY_MAX);

    for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
        const struct guard_row *row = &rows[r];
        bool hit =
            row->space == IN_HEADER && row_is_hit(row, row->offset, image, offset, width, value);
        for (size_t c = 0; c < count && row->space != IN_HEADER && !hit; c++) {
            hit = list[c].id == row->id && list[c].extended == (row->space == IN_EXTENDED) &&
                  row_is_hit(row, (uint16_t)(list[c].offset + row->offset), image, offset, width,
                             value);
        }
        if (hit) {
            *finding = row->finding;
            return true;
        }
    }
    return false;
}

kern_return_t guard_image_read(const struct session *session, struct config_image *image)
{
    *image = (struct config_image){.length = CONFIG_BYTES_PLAIN};
    return apple_dext_config_read_block(session->connection, 0, image->bytes, CONFIG_BYTES_PLAIN);
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

bool guard_bar_write(const struct config_image *image, uint8_t bar, uint64_t offset, uint64_t bytes,
                     struct guard_finding *finding)
{
    struct capability list[CAPABILITY_MAX];
    size_t count = capability_list(image, list, CAPABILITY_MAX);

    for (size_t i = 0; i < count; i++) {
        if (list[i].extended || list[i].id != CAP_ID_MSIX) {
            continue;
        }
        uint64_t vectors = (config_u16(image, list[i].offset + 2u) & 0x7ffu) + 1u;
        uint32_t table = config_u32(image, list[i].offset + 4u);
        uint32_t pending = config_u32(image, list[i].offset + 8u);
        if ((table & 7u) == bar &&
            overlap(offset, bytes, table & ~7u, vectors * MSIX_ENTRY_BYTES)) {
            *finding = (struct guard_finding){"the MSI-X table", host_owns_messages};
            return true;
        }
        if ((pending & 7u) == bar && overlap(offset, bytes, pending & ~7u, (vectors + 7) / 8)) {
            *finding = (struct guard_finding){"MSI-X's pending bits", host_owns_messages};
            return true;
        }
    }
    return false;
}

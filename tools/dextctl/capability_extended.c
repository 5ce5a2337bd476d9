/*
 * What extended capabilities say, in a few words each (PCI Express Base Specification, chapter 7).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "capability.h"

#include <stdio.h>

#include "output.h"

#define MOST_REBARS 6

static uint32_t word(const struct config_image *image, const struct capability *cap,
                     unsigned int offset)
{
    return config_u32(image, cap->offset + (size_t)offset);
}

static void describe_errors(const struct config_image *image, struct capability *cap)
{
    uint32_t uncorrectable = word(image, cap, 0x04);
    uint32_t correctable = word(image, cap, 0x10);

    if ((uncorrectable | correctable) == 0) {
        snprintf(cap->detail, sizeof(cap->detail), "no errors");
        return;
    }
    snprintf(cap->detail, sizeof(cap->detail),
             "uncorrectable 0x%08x, masked 0x%08x, correctable 0x%08x, masked 0x%08x",
             uncorrectable, word(image, cap, 0x08), correctable, word(image, cap, 0x14));
}

static void describe_serial(const struct config_image *image, struct capability *cap)
{
    char *text = cap->detail;
    for (int i = 7; i >= 0; i--) {
        text += snprintf(text, 4, "%02x%s", config_u8(image, cap->offset + 4u + (unsigned int)i),
                         i ? "-" : "");
    }
}

static void describe_vendor(const struct config_image *image, struct capability *cap)
{
    uint32_t header = word(image, cap, 0x04);
    snprintf(cap->detail, sizeof(cap->detail), "id %04x, revision %u, %u bytes", header & 0xffffu,
             (header >> 16) & 0xfu, header >> 20);
}

static void describe_designated(const struct config_image *image, struct capability *cap)
{
    uint32_t header = word(image, cap, 0x04);
    snprintf(cap->detail, sizeof(cap->detail), "vendor %04x, id %04x, revision %u, %u bytes",
             header & 0xffffu, config_u16(image, cap->offset + 8u), (header >> 16) & 0xfu,
             header >> 20);
}

static void describe_acs(const struct config_image *image, struct capability *cap)
{
    uint32_t both = word(image, cap, 0x04);
    snprintf(cap->detail, sizeof(cap->detail), "can 0x%02x, enabled 0x%02x", both & 0x7fu,
             (both >> 16) & 0x7fu);
}

static void describe_ats(const struct config_image *image, struct capability *cap)
{
    uint32_t both = word(image, cap, 0x04);
    unsigned int depth = both & 0x1f;
    snprintf(cap->detail, sizeof(cap->detail), "%s, queue of %u", both >> 31 ? "enabled" : "off",
             depth ? depth : 32);
}

static void describe_sriov(const struct config_image *image, struct capability *cap)
{
    snprintf(cap->detail, sizeof(cap->detail), "%u of %u virtual functions, device id %04x",
             word(image, cap, 0x08) & 1 ? config_u16(image, cap->offset + 0x10u) : 0u,
             config_u16(image, cap->offset + 0x0eu), config_u16(image, cap->offset + 0x1au));
}

/* A size is 1 MiB to the power in bits 13:8. */
static void describe_rebar(const struct config_image *image, struct capability *cap)
{
    unsigned int count = (word(image, cap, 0x08) >> 5) & 7;
    int used = 0;

    for (unsigned int i = 0; i < count && i < MOST_REBARS; i++) {
        char size[SIZE_TEXT_BYTES];
        uint32_t control = word(image, cap, 0x08 + 8 * i);
        unsigned int shift = (control >> 8) & 0x3f;
        used += snprintf(cap->detail + used, sizeof(cap->detail) - (size_t)used, "%sBAR %u: %s",
                         i ? ", " : "", control & 7u,
                         shift < 44 ? size_text(UINT64_C(1) << (20 + shift), size) : "?");
        if ((size_t)used >= sizeof(cap->detail)) {
            return;
        }
    }
}

/* Latency tolerance: a value and its scale, 2^(5 n) ns. */
static void describe_ltr(const struct config_image *image, struct capability *cap)
{
    uint32_t both = word(image, cap, 0x04);
    unsigned long long snoop = (both & 0x3ffull) << (5 * ((both >> 10) & 7));
    unsigned long long other = ((both >> 16) & 0x3ffull) << (5 * ((both >> 26) & 7));
    snprintf(cap->detail, sizeof(cap->detail), "at most %llu ns snooped, %llu ns not", snoop,
             other);
}

static void describe_pasid(const struct config_image *image, struct capability *cap)
{
    uint32_t both = word(image, cap, 0x04);
    snprintf(cap->detail, sizeof(cap->detail), "%s, %u bits", both >> 16 & 1 ? "enabled" : "off",
             (both >> 8) & 0x1fu);
}

static void describe_pri(const struct config_image *image, struct capability *cap)
{
    snprintf(cap->detail, sizeof(cap->detail), "%s, %u of %u requests",
             word(image, cap, 0x04) & 1 ? "enabled" : "off", word(image, cap, 0x0c),
             word(image, cap, 0x08));
}

static void describe_ari(const struct config_image *image, struct capability *cap)
{
    snprintf(cap->detail, sizeof(cap->detail), "next function %u",
             config_u8(image, cap->offset + 5u));
}

static void describe_substates(const struct config_image *image, struct capability *cap)
{
    static const char *const names[4] = {"PCI-PM L1.2", "PCI-PM L1.1", "ASPM L1.2", "ASPM L1.1"};
    uint32_t can = word(image, cap, 0x04);
    uint32_t on = word(image, cap, 0x08);
    int used = 0;

    for (unsigned int i = 0; i < 4; i++) {
        if (can >> i & 1) {
            used += snprintf(cap->detail + used, sizeof(cap->detail) - (size_t)used, "%s%s%s",
                             used ? ", " : "", names[i], on >> i & 1 ? "+" : "-");
        }
    }
}

static void describe_lanes(const struct config_image *image, struct capability *cap)
{
    snprintf(cap->detail, sizeof(cap->detail), "lanes with errors 0x%08x", word(image, cap, 0x08));
}

static const struct {
    uint16_t id;
    void (*describe)(const struct config_image *image, struct capability *cap);
} describers[] = {
    {0x0001, describe_errors},    {0x0003, describe_serial},     {0x000b, describe_vendor},
    {0x000d, describe_acs},       {0x000e, describe_ari},        {0x000f, describe_ats},
    {0x0010, describe_sriov},     {0x0013, describe_pri},        {0x0015, describe_rebar},
    {0x0018, describe_ltr},       {0x0019, describe_lanes},      {0x001b, describe_pasid},
    {0x001e, describe_substates}, {0x0023, describe_designated},
};

void capability_describe_extended(const struct config_image *image, struct capability *cap)
{
    for (size_t i = 0; i < sizeof(describers) / sizeof(*describers); i++) {
        if (describers[i].id == cap->id) {
            describers[i].describe(image, cap);
            return;
        }
    }
}

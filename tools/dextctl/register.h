/*
 * Names of config space registers, as setpci spells them: "COMMAND", "BAR0", "CAP_EXP+8.W".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_REGISTER_H
#define DEXTLINK_DEXTCTL_REGISTER_H

#include <stddef.h>
#include <stdint.h>

#include "capability.h"
#include "options.h"

enum register_space {
    REGISTER_HEADER, /* an offset from the start of config space */
    REGISTER_CAPABILITY,
    REGISTER_EXTENDED,
};

struct register_row {
    const char *name;
    enum register_space space;
    uint16_t number; /* offset in the header, or id of a capability */
    uint8_t width;   /* 0: the name says none */
};

/* Ends with a NULL name. */
extern const struct register_row register_rows[];

/* A register as the command line names it, and where it lies on a device. */
struct register_place {
    const char *text; /* borrowed */
    enum register_space space;
    uint16_t id;    /* of a capability */
    uint16_t index; /* which of several with that id, from 0 */
    uint16_t offset;
    uint8_t width; /* 1, 2 or 4; 0: nothing says so, the widest aligned one is meant */
};

/**
 * Read NAME[+OFFSET][.B|.W|.L][@INDEX], OFFSET[.B|.W|.L], CAPxx or ECAPxxxx. The offset after + is
 * hexadecimal as in setpci; one that stands alone is a number as everywhere here. Returns
 * STATUS_OK, or STATUS_USAGE with one line printed.
 */
int register_parse(const char *text, const struct options *options, struct register_place *place);

/** Whether finding it takes the device's capabilities. */
bool register_needs_image(const struct register_place *place);

/**
 * Turn a place in a capability into one from the start of config space, and choose a width where
 * none was given. Returns STATUS_FAILED, with one line printed, where the device has no such
 * capability or the register lies outside. image may be NULL when register_needs_image is false.
 */
int register_resolve(struct register_place *place, const struct session *session,
                     const struct config_image *image);

#endif

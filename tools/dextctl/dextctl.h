/*
 * What the subcommands of dextctl share: exit status, the row of a command, addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_H
#define DEXTLINK_DEXTCTL_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* Exit status. */
enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1, /* the device or a check failed */
    STATUS_USAGE = 2,  /* the command line is wrong */
};

struct command {
    const char *name;
    const char *summary;
    const char *synopsis; /* what follows the name */
    const char *details;  /* paragraphs and examples for --help */
    uint64_t accepts;     /* of options.h's bits */
    int arguments_min;
    int arguments_max;
    /* argv[0] is the first argument after the name. Returns an exit status. */
    int (*run)(const struct options *options, int argc, char **argv);
};

extern const struct command command_list;
extern const struct command command_show;
extern const struct command command_dump;
extern const struct command command_config;
extern const struct command command_bar;
extern const struct command command_dma;
extern const struct command command_irq;
extern const struct command command_reset;
extern const struct command command_demo;
extern const struct command command_doctor;
extern const struct command command_trace;
extern const struct command command_monitor;
extern const struct command command_conformance;

#define ADDRESS_ROOT_BYTES 128

/* A device's place: bus:device.function, under a root when the user named one. */
struct address {
    char root[ADDRESS_ROOT_BYTES]; /* "" when not given */
    uint8_t bus;
    uint8_t device;
    uint8_t function;
};

/** Read "BB:DD.F" or "ROOT/BB:DD.F" (hexadecimal). false when it is neither. */
bool address_parse(const char *text, struct address *address);

/** Whether a text has the form of a stable name below a bridge: "ROOT/DD.F", "ROOT/DD.F/DD.F". */
bool address_is_name(const char *text);

#endif

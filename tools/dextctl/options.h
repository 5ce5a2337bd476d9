/*
 * The command line of dextctl: options, numbers, help.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_OPTIONS_H
#define DEXTLINK_DEXTCTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One bit an option: which ones a command takes, which ones were given. */
enum option_bit {
    OPTION_DEVICE = 1 << 0,
    OPTION_PAGE_SIZE = 1 << 1,
    OPTION_ACCESS = 1 << 2,
    OPTION_HOST = OPTION_DEVICE | OPTION_PAGE_SIZE | OPTION_ACCESS,
    OPTION_JSON = 1 << 3,
    OPTION_WIDTH = 1 << 4,
    OPTION_CALL = 1 << 5,
    OPTION_COUNT = 1 << 6,
    OPTION_SECONDS = 1 << 7,
    OPTION_FIRE = 1 << 8,
    OPTION_SIZE = 1 << 9,
    OPTION_HELP = 1 << 10,
    OPTION_VERSION = 1 << 11,
    OPTION_WATCH = 1 << 12,
    OPTION_FORCE = 1 << 16,
    OPTION_INTERVAL = 1 << 17,
    OPTION_VERIFY = 1 << 18,
    OPTION_BUNDLE = 1 << 20,
    OPTION_WITH_SERIALS = 1 << 21,
    OPTION_VFIO = 1 << 22,
    OPTION_HOST_ROOT = 1 << 23,
    OPTION_FULL = 1 << 19,
    OPTION_SEED = 1 << 24,
    OPTION_YES = 1 << 25,
    OPTION_DRY_RUN = 1 << 26,
    OPTION_SUMMARY = 1 << 27,
    OPTION_OUTPUT = 1 << 28,
    OPTION_FOLLOW = 1 << 29,
};
/* An enumerator is an int; these follow. */
#define OPTION_LEVEL          (UINT64_C(1) << 32)
#define OPTION_LIST           (UINT64_C(1) << 33)
#define OPTION_ONLY           (UINT64_C(1) << 34)
#define OPTION_TAP            (UINT64_C(1) << 35)
#define OPTION_DEVICE_IS_SAFE (UINT64_C(1) << 36)
#define OPTION_RECENT         (UINT64_C(1) << 37)
#define OPTION_CLIENT         (UINT64_C(1) << 38)

/* What the command line said. Texts are borrowed from argv; both arrays are owned. */
struct options {
    uint64_t given; /* of the bits above */
    bool json;
    bool access_open;
    uint32_t page_size; /* 0: not given */
    uint64_t width;     /* 4 when not given */
    uint64_t count;     /* 0: not given */
    double seconds;     /* 0: not given */
    double interval;    /* seconds; 0: not given */
    uint64_t seed;
    uint64_t client; /* process id */
    const char **devices;
    size_t device_count;
    uint64_t *sizes;
    size_t size_count;
    const char *bundle; /* these NULL when not given */
    const char *vfio;
    const char *host_root;
    const char *output;
    const char *level;
    const char *only;
    char **tail; /* trace: what stands behind "--", NULL-ended, borrowed from argv */
};

/**
 * Read every option, wherever it stands; argv is reordered so that what is no option stands from
 * *first on. Returns STATUS_OK or, with one line printed, STATUS_USAGE; clear options either way.
 */
int options_parse(struct options *options, int *first, int argc, char **argv);

void options_clear(struct options *options);

/** Name ("--json") of the first option given that is not among accepted; NULL when there is none.
 */
const char *options_refused(const struct options *options, uint64_t accepted);

/** Print one line for each accepted option. */
void options_print_help(uint64_t accepted);

/**
 * Read a number, decimal or 0x-hexadecimal, at most maximum, with nothing around it. A suffix K, M
 * or G multiplies. false when it is not one.
 */
bool number_parse(const char *text, uint64_t maximum, uint64_t *value);

#endif

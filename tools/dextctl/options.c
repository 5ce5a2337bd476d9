/*
 * The command line of dextctl: one table for parsing and for help.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dextctl.h"
#include "output.h"

#define SIZE_MAX_BYTES (UINT64_C(1) << 30)

static int parse_page_size(struct options *options, const char *value)
{
    if (strcmp(value, "4096") != 0 && strcmp(value, "16384") != 0) {
        return usage_error("--page-size \"%s\": want 4096 or 16384", value);
    }
    options->page_size = (uint32_t)strtoul(value, NULL, 10);
    return STATUS_OK;
}

static int parse_device(struct options *options, const char *value)
{
    options->devices[options->device_count++] = value;
    return STATUS_OK;
}

static int parse_access(struct options *options, const char *value)
{
    if (strcmp(value, "open") != 0 && strcmp(value, "claimed") != 0) {
        return usage_error("--access \"%s\": want open or claimed (the default)", value);
    }
    options->access_open = strcmp(value, "open") == 0;
    return STATUS_OK;
}

static int parse_json(struct options *options, const char *value)
{
    (void)value;
    options->json = true;
    return STATUS_OK;
}

static int parse_width(struct options *options, const char *value)
{
    if (!number_parse(value, 8, &options->width) || options->width == 0 ||
        (options->width & (options->width - 1)) != 0) {
        return usage_error("--width \"%s\": want 1, 2, 4 or 8", value);
    }
    return STATUS_OK;
}

static int parse_count(struct options *options, const char *value)
{
    if (!number_parse(value, 1000000, &options->count) || options->count == 0) {
        return usage_error("--count \"%s\": want 1 to 1000000", value);
    }
    return STATUS_OK;
}

static int parse_time(const char *name, const char *value, double *seconds)
{
    char *end;
    *seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(*seconds) || *seconds <= 0 || *seconds > 1e6) {
        return usage_error("--%s \"%s\": want a time above 0, at most 1000000", name, value);
    }
    return STATUS_OK;
}

static int parse_seconds(struct options *options, const char *value)
{
    return parse_time("seconds", value, &options->seconds);
}

static int parse_interval(struct options *options, const char *value)
{
    return parse_time("interval", value, &options->interval);
}

static int parse_seed(struct options *options, const char *value)
{
    return number_parse(value, UINT32_MAX, &options->seed)
               ? STATUS_OK
               : usage_error("--seed \"%s\": want a number of 32 bits", value);
}

static int parse_size(struct options *options, const char *value)
{
    uint64_t *size = &options->sizes[options->size_count];
    if (!number_parse(value, SIZE_MAX_BYTES, size) || *size == 0) {
        return usage_error("--size \"%s\": want 1 to 1G bytes", value);
    }
    options->size_count++;
    return STATUS_OK;
}

static int parse_bundle(struct options *options, const char *value)
{
    options->bundle = value;
    return STATUS_OK;
}

static int parse_vfio(struct options *options, const char *value)
{
    options->vfio = value;
    return STATUS_OK;
}

static int parse_host_root(struct options *options, const char *value)
{
    options->host_root = value;
    return STATUS_OK;
}

static int parse_output(struct options *options, const char *value)
{
    options->output = value;
    return STATUS_OK;
}

static int parse_level(struct options *options, const char *value)
{
    options->level = value;
    return STATUS_OK;
}

static int parse_client(struct options *options, const char *value)
{
    return number_parse(value, UINT32_MAX, &options->client) && options->client > 0
               ? STATUS_OK
               : usage_error("--client \"%s\": want a process id", value);
}

static int parse_only(struct options *options, const char *value)
{
    options->only = value;
    return STATUS_OK;
}

static const struct option_row {
    uint64_t bit;
    int letter; /* 0: none */
    const char *name;
    const char *argument;                                     /* NULL: none */
    const char *help;                                         /* "\n" starts a line of its own */
    int (*parse)(struct options *options, const char *value); /* NULL: the bit says all */
} option_rows[] = {
    {OPTION_JSON, 0, "json", NULL, "print JSON", parse_json},
    {OPTION_WIDTH, 'w', "width", "N", "bytes of one access: 1, 2, 4 (default) or, in BARs, 8",
     parse_width},
    {OPTION_CALL, 0, "call", NULL, "access by calls of the driver, not through a mapping", NULL},
    {OPTION_WATCH, 0, "watch", NULL, "print what arrives and goes, as it happens", NULL},
    {OPTION_COUNT, 'n', "count", "N", "how many", parse_count},
    {OPTION_SECONDS, 's', "seconds", "S", "end after this time", parse_seconds},
    {OPTION_INTERVAL, 'i', "interval", "S", "seconds from one look to the next", parse_interval},
    {OPTION_VERIFY, 0, "verify", NULL, "read back what was written, and compare", NULL},
    {OPTION_FORCE, 0, "force", NULL, "do it although it would hurt", NULL},
    {OPTION_FIRE, 0, "fire", NULL, "make the device fire (edu and testdev can)", NULL},
    {OPTION_SIZE, 0, "size", "BYTES", "bytes to copy, repeatable; K, M and G multiply", parse_size},
    {OPTION_SUMMARY, 0, "summary", NULL, "count, percentiles and errors of each kind of call",
     NULL},
    {OPTION_OUTPUT, 'o', "output", "FILE", "write JSON trace events", parse_output},
    {OPTION_FOLLOW, 'f', "follow", NULL, "go on with what comes, until Ctrl-C", NULL},
    {OPTION_RECENT, 0, "recent", NULL, "begin with the calls that the driver has kept", NULL},
    {OPTION_CLIENT, 0, "client", "PID", "calls of this process alone", parse_client},
    {OPTION_BUNDLE, 0, "bundle", "FILE", "write a tar archive for a bug report", parse_bundle},
    {OPTION_WITH_SERIALS, 0, "with-serials", NULL, "leave serial numbers and names in the archive",
     NULL},
    {OPTION_VFIO, 0, "vfio", "BB:DD.F", "Linux: check that VFIO can pass this device on",
     parse_vfio},
    {OPTION_HOST_ROOT, 0, "host-root", "DIR", "Linux: look at the /sys, /dev and /proc below DIR",
     parse_host_root},
    {OPTION_FULL, 0, "full", NULL, "on to sizes that fill the budget", NULL},
    {OPTION_SEED, 0, "seed", "N", "where the random numbers begin", parse_seed},
    {OPTION_DRY_RUN, 0, "dry-run", NULL, "say what would be done, and do nothing", NULL},
    {OPTION_YES, 'y', "yes", NULL, "do it without asking", NULL},
    {OPTION_LEVEL, 0, "level", "NAME", "how far to go; read-only when not given", parse_level},
    {OPTION_LIST, 0, "list", NULL, "print the tests and their rows, and touch nothing", NULL},
    {OPTION_ONLY, 0, "only", "NAME", "one test alone", parse_only},
    {OPTION_TAP, 0, "tap", NULL, "print TAP (the default)", NULL},
    {OPTION_DEVICE_IS_SAFE, 0, "device-is-safe", NULL,
     "the device may take harm: touch its registers, ask for what hardware may not survive", NULL},
    {OPTION_DEVICE, 0, "device", "SPEC",
     "use simulated devices of this process, repeatable:\n"
     "MODEL,addr=BB:DD.F[,root=NAME][,KEY=VALUE]...",
     parse_device},
    {OPTION_PAGE_SIZE, 0, "page-size", "N", "with --device: pages of 4096 or 16384 bytes",
     parse_page_size},
    {OPTION_ACCESS, 0, "access", "open", "with --device: unclaimed clients may access devices",
     parse_access},
    {OPTION_HELP, 'h', "help", NULL, "print this", NULL},
    {OPTION_VERSION, 0, "version", NULL, "print the version", NULL},
};
#define ROW_COUNT     ((int)(sizeof(option_rows) / sizeof(*option_rows)))
#define ROW_FIRST_KEY 256

static const struct option_row *row_of(int key)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        if (key == ROW_FIRST_KEY + i || (key != 0 && key == option_rows[i].letter)) {
            return &option_rows[i];
        }
    }
    return NULL;
}

/* getopt's two tables, out of ours. */
static void fill_getopt(struct option *long_options, char *letters)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        int has_argument = row->argument ? required_argument : no_argument;
        long_options[i] = (struct option){row->name, has_argument, NULL, ROW_FIRST_KEY + i};
        if (row->letter) {
            *letters++ = (char)row->letter;
            if (row->argument) {
                *letters++ = ':';
            }
        }
    }
    long_options[ROW_COUNT] = (struct option){0};
    *letters = '\0';
}

int options_parse(struct options *options, int *first, int argc, char **argv)
{
    struct option long_options[sizeof(option_rows) / sizeof(*option_rows) + 1];
    char letters[2 * sizeof(option_rows) / sizeof(*option_rows) + 1];
    int key;

    *options = (struct options){.width = 4};
    options->devices = calloc((size_t)argc + 1, sizeof(*options->devices));
    options->sizes = calloc((size_t)argc + 1, sizeof(*options->sizes));
    if (!options->devices || !options->sizes) {
        return usage_error("out of memory");
    }
    /* A command that another one runs has options of its own, so "--" must stay where it is. */
    for (int i = 2; i < argc && strcmp(argv[1], "trace") == 0; i++) {
        if (strcmp(argv[i], "--") == 0) {
            options->tail = argv + i + 1;
            argc = i;
        }
    }
    fill_getopt(long_options, letters);
    argv[0] = (char *)"dextctl"; /* how getopt's own messages begin */
    while ((key = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        const struct option_row *row = row_of(key);
        if (!row) {
            return STATUS_USAGE; /* getopt has said what is wrong */
        }
        options->given |= row->bit;
        int status = row->parse ? row->parse(options, optarg) : STATUS_OK;
        if (status != STATUS_OK) {
            return status;
        }
    }
    *first = optind;
    return STATUS_OK;
}

void options_clear(struct options *options)
{
    free(options->devices);
    free(options->sizes);
    *options = (struct options){0};
}

const char *options_refused(const struct options *options, uint64_t accepted)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        if (options->given & option_rows[i].bit & ~accepted) {
            return option_rows[i].name;
        }
    }
    return NULL;
}

void options_print_help(uint64_t accepted)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if ((accepted & row->bit) == 0) {
            continue;
        }
        char name[40];
        snprintf(name, sizeof(name), "%s%c%s--%s%s%s", row->letter ? "-" : "",
                 row->letter ? row->letter : ' ', row->letter ? ", " : "   ", row->name,
                 row->argument ? " " : "", row->argument ? row->argument : "");
        const char *line = row->help;
        const char *end;
        while ((end = strchr(line, '\n')) != NULL) {
            printf("  %-20s %.*s\n", name, (int)(end - line), line);
            name[0] = '\0';
            line = end + 1;
        }
        printf("  %-20s %s\n", name, line);
    }
}

/* Shift of a size suffix; -1 when it is none. */
static int suffix_shift(const char *suffix)
{
    static const char letters[] = "KMG";
    if (*suffix == '\0') {
        return 0;
    }
    const char *letter = strchr(letters, toupper((unsigned char)*suffix));
    return letter && suffix[1] == '\0' ? 10 * (int)(letter - letters + 1) : -1;
}

bool number_parse(const char *text, uint64_t maximum, uint64_t *value)
{
    bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    char *end;

    /* strtoull would take spaces and signs, and octal */
    if (hexadecimal ? !isxdigit((unsigned char)text[2]) : !isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, hexadecimal ? 16 : 10);
    int shift = suffix_shift(end);
    if (errno != 0 || shift < 0 || parsed > maximum >> shift) {
        return false;
    }
    *value = (uint64_t)parsed << shift;
    return true;
}

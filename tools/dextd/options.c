/*
 * The command line of dextd: parsing and help.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "dext-host.h"

enum {
    OPT_DEVICE = 256,
    OPT_SOCKET,
    OPT_PAGE_SIZE,
    OPT_ACCESS,
    OPT_GROUP,
    OPT_PER_CLIENT,
    OPT_READY_FD,
    OPT_VERSION,
};

static const struct option long_options[] = {
    {"device", required_argument, NULL, OPT_DEVICE},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"page-size", required_argument, NULL, OPT_PAGE_SIZE},
    {"access", required_argument, NULL, OPT_ACCESS},
    {"group", required_argument, NULL, OPT_GROUP},
    {"per-client", required_argument, NULL, OPT_PER_CLIENT},
    {"ready-fd", required_argument, NULL, OPT_READY_FD},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help_text[] =
    "Usage: dextd --device SPEC [--device SPEC]... [OPTION]...\n"
    "\n"
    "Serve PCI devices to clients of the VFIOUserPCIDriver dext, without a Mac. Runs in the\n"
    "foreground until SIGINT or SIGTERM.\n"
    "\n"
    "  --device SPEC       add a device, repeatable:\n"
    "                      MODEL,addr=BB:DD.F[,root=NAME][,dart=identity|apple]\n"
    "                      [,aperture=BYTES][,slots=N][,segment=BYTES][,KEY=VALUE]...\n"
    "  --socket PATH       where to serve; default: DEXTLINK_SOCKET, else dextlink.sock in the\n"
    "                      per-user runtime directory\n"
    "  --page-size N       the page size clients see: 4096 or 16384; default: the machine's\n"
    "  --access open       unclaimed clients may access devices, as on the real dext\n"
    "  --group NAME        members of this group may connect too, not only your own user\n"
    "  --per-client N      channels that one client process, or another user, may have: its\n"
    "                      connections and what they have open; 2 to 65536, default 1024\n"
    "  --ready-fd N        write a newline to file descriptor N and close it once serving\n"
    "  -v, --verbose       log what happens to stderr; twice for more\n"
    "  -h, --help          print this\n"
    "      --version       print the version\n"
    "\n"
    "Models:\n";

static const char help_examples[] =
    "\n"
    "Examples:\n"
    "  dextd --device edu,addr=01:00.0\n"
    "  dextd --device edu,addr=01:00.0,root=pci-bridge0 --device "
    "edu,addr=01:00.0,root=pci-bridge1\n"
    "  dextd --device edu,addr=01:00.0,dart=identity --socket /tmp/dext.sock --page-size 16384\n"
    "\n"
    "Exit status: 0 ended by a signal, 1 could not serve, 2 wrong command line.\n";

/* Each line of a model's options under the model. */
static void print_model_options(const char *text)
{
    while (*text) {
        int length = (int)strcspn(text, "\n");
        if (length > 0) {
            printf("      %.*s\n", length, text);
        }
        text += length + (text[length] == '\n');
    }
}

static void print_help(void)
{
    const char *name;
    const char *summary;
    const char *options;

    fputs(help_text, stdout);
    for (size_t i = 0; dext_host_model_at(i, &name, &summary, &options); i++) {
        printf("  %-12s %s\n", name, summary);
        print_model_options(options ? options : "");
    }
    fputs(help_examples, stdout);
}

static enum options_result wrong(const char *what, const char *value, const char *want)
{
    daemon_say_wrong("dextd", what, value, want);
    return OPTIONS_WRONG;
}

static enum options_result run_if(bool is_right)
{
    return is_right ? OPTIONS_RUN : OPTIONS_WRONG;
}

static bool parse_per_client(const char *text, uint32_t *count)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 2 || number > 65536) {
        wrong("--per-client", text, "want a number of channels, 2 to 65536");
        return false;
    }
    *count = (uint32_t)number;
    return true;
}

static enum options_result parse_one(struct options *options, int option, const char *value)
{
    switch (option) {
    case OPT_DEVICE:
        options->devices[options->device_count++] = value;
        return OPTIONS_RUN;
    case OPT_SOCKET:
        options->socket = value;
        return *value ? OPTIONS_RUN : wrong("--socket", value, "want a path");
    case OPT_PAGE_SIZE:
        return run_if(daemon_parse_page_size("dextd", value, &options->page_size));
    case OPT_ACCESS:
        if (strcmp(value, "open") != 0 && strcmp(value, "claimed") != 0) {
            return wrong("--access", value, "want open or claimed (the default)");
        }
        options->access_open = strcmp(value, "open") == 0;
        return OPTIONS_RUN;
    case OPT_GROUP:
        options->group = value;
        return *value ? OPTIONS_RUN : wrong("--group", value, "want a group name");
    case OPT_PER_CLIENT:
        return run_if(parse_per_client(value, &options->per_client));
    case OPT_READY_FD:
        return run_if(daemon_parse_ready_fd("dextd", value, &options->ready_fd));
    case 'v':
        options->verbosity++;
        return OPTIONS_RUN;
    case OPT_VERSION:
        puts("dextd " DEXTLINK_VERSION);
        return OPTIONS_DONE;
    case 'h':
        print_help();
        return OPTIONS_DONE;
    default: /* getopt has said what is wrong */
        return OPTIONS_WRONG;
    }
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    int option;

    options->ready_fd = -1;
    options->devices = calloc((size_t)argc + 1, sizeof(*options->devices));
    if (!options->devices) {
        fputs("dextd: out of memory\n", stderr);
        return OPTIONS_WRONG;
    }
    argv[0] = (char *)"dextd"; /* how getopt's own messages begin */
    while ((option = getopt_long(argc, argv, "vh", long_options, NULL)) != -1) {
        enum options_result result = parse_one(options, option, optarg);
        if (result != OPTIONS_RUN) {
            return result;
        }
    }
    if (optind < argc) {
        return wrong("argument", argv[optind], "dextd takes options only; try --help");
    }
    if (options->device_count == 0) {
        fputs("dextd: no devices: give at least one, as in --device edu,addr=01:00.0; "
              "--help lists the models\n",
              stderr);
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}

void options_clear(struct options *options)
{
    free(options->devices);
    options->devices = NULL;
    options->device_count = 0;
}

/*
 * The command line of dext-vfio-user: parsing and help.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon.h"

enum {
    ARG_HOST = 256,
    ARG_SOCKET,
    ARG_CONNECT,
    ARG_DEVICE,
    ARG_PAGE_SIZE,
    ARG_ONCE,
    ARG_LOG_JSON,
    ARG_READY_FD,
    ARG_VERSION,
};

static const struct option long_options[] = {
    {"host", required_argument, NULL, ARG_HOST},
    {"socket", required_argument, NULL, ARG_SOCKET},
    {"connect", required_argument, NULL, ARG_CONNECT},
    {"device", required_argument, NULL, ARG_DEVICE},
    {"page-size", required_argument, NULL, ARG_PAGE_SIZE},
    {"once", no_argument, NULL, ARG_ONCE},
    {"log-json", no_argument, NULL, ARG_LOG_JSON},
    {"ready-fd", required_argument, NULL, ARG_READY_FD},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, ARG_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help_text[] =
    "Usage: dext-vfio-user --host ADDR --socket PATH [OPTION]...\n"
    "\n"
    "Offer a PCI device behind the VFIOUserPCIDriver dext to an unmodified QEMU, or to another\n"
    "client of the vfio-user protocol. Runs in the foreground until SIGINT or SIGTERM. One client\n"
    "at a time: when it goes, what it held is released, the device is reset, the next may come.\n"
    "\n"
    "  --host ADDR         the device: BB:DD.F, or ROOT/BB:DD.F where two roots have one; may be\n"
    "                      left out when there is one device only\n"
    "  --socket PATH       where to listen; only your own user may connect\n"
    "  --connect PATH      socket of the dextd that has the device; default: DEXTLINK_SOCKET, "
    "else\n"
    "                      dextlink.sock in the per-user runtime directory\n"
    "  --device SPEC       use simulated devices of this process instead, repeatable:\n"
    "                      MODEL,addr=BB:DD.F,dart=identity[,aperture=BYTES][,KEY=VALUE]...\n"
    "  --page-size N       with --device: pages of 4096 or 16384 bytes\n"
    "  --once              end when the first client goes\n"
    "  --log-json          write what is said to stderr as one JSON object a line\n"
    "  --ready-fd N        write a newline to file descriptor N and close it once listening\n"
    "  -v, --verbose       say every message of the protocol too\n"
    "  -h, --help          print this\n"
    "      --version       print the version\n"
    "\n"
    "The guest's memory must be shared, and QEMU must be 10.1 or later:\n"
    "\n"
    "  dext-vfio-user --device edu,addr=01:00.0,dart=identity --socket /tmp/edu.sock &\n"
    "  qemu-system-x86_64 -m 1G -machine q35,memory-backend=mem \\\n"
    "    -object memory-backend-memfd,id=mem,size=1G,share=on \\\n"
    "    -device '{\"driver\":\"vfio-user-pci\","
    "\"socket\":{\"type\":\"unix\",\"path\":\"/tmp/edu.sock\"}}'\n"
    "\n"
    "Guests program the device with their own addresses, so the host must leave those as they are\n"
    "(dart=identity); any other is refused. More guest memory than 1.5 GiB needs aperture=BYTES.\n"
    "\n"
    "Exit status: 0 ended by a signal or with --once, 1 could not serve, or with --once the "
    "client\n"
    "was refused; 2 wrong command line.\n";

#define PROGRAM "dext-vfio-user"

static enum arguments_result wrong(const char *what, const char *value, const char *want)
{
    daemon_say_wrong(PROGRAM, what, value, want);
    return ARGUMENTS_WRONG;
}

static enum arguments_result run_if(bool is_right)
{
    return is_right ? ARGUMENTS_RUN : ARGUMENTS_WRONG;
}

static enum arguments_result parse_path(const char **path, const char *option, const char *text)
{
    *path = text;
    return *text ? ARGUMENTS_RUN : wrong(option, text, "want a path");
}

static enum arguments_result parse_one(struct arguments *arguments, int option, const char *value)
{
    switch (option) {
    case ARG_HOST:
        arguments->host = value;
        return ARGUMENTS_RUN;
    case ARG_SOCKET:
        return parse_path(&arguments->socket, "--socket", value);
    case ARG_CONNECT:
        return parse_path(&arguments->connect, "--connect", value);
    case ARG_DEVICE:
        arguments->devices[arguments->device_count++] = value;
        return ARGUMENTS_RUN;
    case ARG_PAGE_SIZE:
        return run_if(daemon_parse_page_size(PROGRAM, value, &arguments->page_size));
    case ARG_ONCE:
        arguments->is_once = true;
        return ARGUMENTS_RUN;
    case ARG_LOG_JSON:
        arguments->is_json = true;
        return ARGUMENTS_RUN;
    case ARG_READY_FD:
        return run_if(daemon_parse_ready_fd(PROGRAM, value, &arguments->ready_fd));
    case 'v':
        arguments->verbosity++;
        return ARGUMENTS_RUN;
    case ARG_VERSION:
        puts(PROGRAM " " DEXTLINK_VERSION);
        return ARGUMENTS_DONE;
    case 'h':
        fputs(help_text, stdout);
        return ARGUMENTS_DONE;
    default: /* getopt has said what is wrong */
        return ARGUMENTS_WRONG;
    }
}

static enum arguments_result complain(const char *text)
{
    fprintf(stderr, PROGRAM ": %s\n", text);
    return ARGUMENTS_WRONG;
}

/* What only shows when everything is read. */
static enum arguments_result check(const struct arguments *arguments)
{
    if (!arguments->socket) {
        return complain("no --socket: where shall the client connect? --help explains");
    }
    if (arguments->page_size && arguments->device_count == 0) {
        return complain("--page-size needs --device; for dextd give it there");
    }
    if (arguments->connect && arguments->device_count > 0) {
        return complain("--connect and --device: the device is either dextd's or of this process");
    }
    return ARGUMENTS_RUN;
}

enum arguments_result arguments_parse(struct arguments *arguments, int argc, char **argv)
{
    int option;

    arguments->ready_fd = -1;
    arguments->devices = calloc((size_t)argc + 1, sizeof(*arguments->devices));
    if (!arguments->devices) {
        return complain("out of memory");
    }
    argv[0] = (char *)PROGRAM; /* how getopt's own messages begin */
    while ((option = getopt_long(argc, argv, "vh", long_options, NULL)) != -1) {
        enum arguments_result result = parse_one(arguments, option, optarg);
        if (result != ARGUMENTS_RUN) {
            return result;
        }
    }
    if (optind < argc) {
        return wrong("argument", argv[optind], "takes options only; try --help");
    }
    return check(arguments);
}

void arguments_clear(struct arguments *arguments)
{
    free(arguments->devices);
    arguments->devices = NULL;
    arguments->device_count = 0;
}

/*
 * dextctl: looks at and exercises PCI devices behind the VFIOUserPCIDriver dext.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dextctl.h"
#include "embedded.h"
#include "environment.h"
#include "log.h"
#include "names.h"
#include "options.h"
#include "output.h"
#include "standard_files.h"

static const struct command *const commands[] = {
    &command_list,  &command_show,    &command_dump,        &command_config, &command_bar,
    &command_dma,   &command_irq,     &command_reset,       &command_demo,   &command_doctor,
    &command_trace, &command_monitor, &command_conformance,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static void print_overview(void)
{
    fputs("Usage: dextctl COMMAND [ARGUMENT]... [OPTION]...\n"
          "\n"
          "Look at and exercise PCI devices behind the VFIOUserPCIDriver dext.\n"
          "\n"
          "Commands:\n",
          stdout);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-11s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n"
          "\"dextctl COMMAND --help\" explains a command and shows examples.\n"
          "\n"
          "A device's address is BB:DD.F as dextctl list prints it, or ROOT/BB:DD.F where two\n"
          "roots have a device at one address; the name that list prints, which survives replug,\n"
          "does as well. Without --device the devices are those of the machine (macOS) or of\n"
          "dextd (at DEXTLINK_SOCKET, else in the per-user runtime directory).\n"
          "\n"
          "Exit status: 0 fine, 1 a device or a check failed, 2 wrong command line.\n",
          stdout);
}

static void print_command_help(const struct command *command)
{
    printf("Usage: dextctl %s%s%s%s\n\n%s\nOptions:\n", command->name,
           command->synopsis[0] ? " " : "", command->synopsis,
           command->accepts ? " [OPTION]..." : "", command->details);
    options_print_help(command->accepts | OPTION_HELP);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int start_host(const struct options *options)
{
    char *cause;

    if (options->device_count == 0) {
        return options->given & OPTION_HOST
                   ? usage_error(
                         "--page-size and --access need --device; for dextd give them there")
                   : STATUS_OK;
    }
    if (embedded_start(options->devices, options->device_count, options->page_size,
                       options->access_open, &cause)) {
        return STATUS_OK;
    }
    int status = usage_error("--device: %s", cause ? cause : "out of memory");
    free(cause);
    return status;
}

static int run_command(const struct command *command, const struct options *options, int argc,
                       char **argv)
{
    const char *refused = options_refused(options, command->accepts);
    if (refused) {
        return usage_error("%s takes no --%s", command->name, refused);
    }
    if (argc < command->arguments_min || argc > command->arguments_max) {
        return usage_error("%s: %s, want: dextctl %s%s%s", command->name,
                           argc < command->arguments_min ? "too few arguments"
                                                         : "too many arguments",
                           command->name, command->synopsis[0] ? " " : "", command->synopsis);
    }
    log_start();
    int status = start_host(options);
    if (status == STATUS_OK) {
        status = command->run(options, argc, argv);
        names_close();
        embedded_stop();
    }
    return status;
}

static int dispatch(const struct options *options, int argc, char **argv)
{
    const struct command *command = argc > 0 ? find_command(argv[0]) : NULL;

    if (options->given & OPTION_VERSION) {
        puts("dextctl " DEXTLINK_VERSION);
        return STATUS_OK;
    }
    if (argc > 0 && !command) {
        return usage_error("unknown command \"%s\"; dextctl --help lists them", argv[0]);
    }
    if (options->given & OPTION_HELP) {
        if (command) {
            print_command_help(command);
        } else {
            print_overview();
        }
        return STATUS_OK;
    }
    if (!command) {
        return usage_error("no command given; dextctl --help lists them");
    }
    return run_command(command, options, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    struct options options;
    int first = 0;

    standard_files_occupy();
    int status = options_parse(&options, &first, argc, argv);
    if (status == STATUS_OK && !environment_check("dextctl")) {
        status = STATUS_USAGE;
    }
    if (status == STATUS_OK) {
        int end = options.tail ? (int)(options.tail - argv) - 1 : argc;
        status = dispatch(&options, end - first, argv + first);
    }
    options_clear(&options);
    return output_finish(status);
}

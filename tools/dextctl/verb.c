/*
 * Second words of a command, and reading their arguments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "verb.h"

#include <inttypes.h>
#include <string.h>

#include "bar.h"
#include "output.h"

static int parse_bar(const char *text, struct arguments *arguments)
{
    uint64_t number;
    if (!number_parse(text, BAR_COUNT - 1, &number)) {
        return usage_error("\"%s\" is no BAR: want 0 to %d", text, BAR_COUNT - 1);
    }
    arguments->has_bar = true;
    arguments->bar = (uint8_t)number;
    return STATUS_OK;
}

static int parse_offset(uint64_t width, const char *text, struct arguments *arguments)
{
    if (!number_parse(text, UINT64_MAX, &arguments->offset)) {
        return usage_error("\"%s\" is no offset: want a number, as in 0x3c", text);
    }
    if (arguments->offset % width != 0) {
        return usage_error("offset %s is not a multiple of the width %" PRIu64, text, width);
    }
    return STATUS_OK;
}

static int parse_length(uint64_t width, const char *text, struct arguments *arguments)
{
    if (!number_parse(text, UINT64_MAX, &arguments->length) || arguments->length == 0 ||
        arguments->length % width != 0) {
        return usage_error("\"%s\" is no length: want a number above 0, in bytes, that is a "
                           "multiple of the width %" PRIu64,
                           text, width);
    }
    return STATUS_OK;
}

static int parse_value(uint64_t width, const char *text, struct arguments *arguments)
{
    if (!number_parse(text, UINT64_MAX >> (64 - 8 * width), &arguments->value)) {
        return usage_error("\"%s\" is no value of %" PRIu64 " byte%s", text, width,
                           width == 1 ? "" : "s");
    }
    return STATUS_OK;
}

static int parse_arguments(const struct verb *verb, const struct options *options, int argc,
                           char **argv, struct arguments *arguments)
{
    int status = STATUS_OK;

    *arguments = (struct arguments){0};
    if (verb->width_max && options->width > verb->width_max) {
        return usage_error("an access is at most %" PRIu64 " bytes wide there, not %" PRIu64,
                           verb->width_max, options->width);
    }
    for (int i = 0; i < argc && status == STATUS_OK; i++) {
        switch (verb->arguments[i]) {
        case 'b':
            status = parse_bar(argv[i], arguments);
            break;
        case 'o':
            status = parse_offset(options->width, argv[i], arguments);
            break;
        case 'l':
            status = parse_length(options->width, argv[i], arguments);
            break;
        case '+':
            arguments->words = argv + i;
            arguments->word_count = argc - i;
            return STATUS_OK;
        default:
            status = parse_value(options->width, argv[i], arguments);
            break;
        }
    }
    return status;
}

static int check_usage(const char *command, const struct verb *verb, const struct options *options,
                       int argc)
{
    int most = 1 + (int)strlen(verb->arguments);
    const char *refused = options_refused(options, verb->accepts);

    if (refused) {
        return usage_error("%s %s takes no --%s", command, verb->name, refused);
    }
    bool has_end = strchr(verb->arguments, '+') == NULL;

    if (argc < most - verb->optional || (has_end && argc > most)) {
        return usage_error("%s %s: %s, want: dextctl %s", command, verb->name,
                           argc > most ? "too many arguments" : "too few arguments",
                           verb->synopsis);
    }
    return STATUS_OK;
}

int verb_run(const char *command, const struct verb *verbs, const struct options *options, int argc,
             char **argv)
{
    const struct verb *verb = verbs;
    struct arguments arguments;
    struct session session;

    while (verb->name && strcmp(verb->name, argv[0]) != 0) {
        verb++;
    }
    if (!verb->name) {
        return usage_error("%s: unknown word \"%s\"; dextctl %s --help explains", command, argv[0],
                           command);
    }
    argc--;
    argv++;
    int status = check_usage(command, verb, options, argc);
    if (status == STATUS_OK) {
        status = parse_arguments(verb, options, argc - 1, argv + 1, &arguments);
    }
    if (status == STATUS_OK && verb->check) {
        status = verb->check(options, &arguments);
    }
    if (status == STATUS_OK) {
        status = session_open(&session, argv[0], verb->access);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = verb->run(&session, options, &arguments);
    session_close(&session);
    return status;
}

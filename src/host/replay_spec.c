/*
 * Reading a dump for replay devices and choosing what becomes a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/replay_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "model/replay.h"
#include "model/replay_dump.h"

#define READ_BYTES  65536
#define HEADER_TYPE 0x0e
#define VENDOR_NONE 0xffff
#define NAMES_BYTES 256 /* of the functions there are, in an error text */

static int replay_fail(char **error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int replay_fail(char **error, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        if (vasprintf(error, format, arguments) < 0) {
            *error = NULL;
        }
        va_end(arguments);
    }
    return -EINVAL;
}

/* 0 and *value, NULL when the key is not there; -EINVAL when it is there more than once. */
static int replay_option(const struct device_spec *spec, const char *key, const char **value,
                         char **error)
{
    *value = NULL;
    for (size_t i = 0; i < spec->option_count; i++) {
        if (strcmp(spec->options[i].key, key) == 0) {
            if (*value) {
                return replay_fail(error, "%s: given twice", key);
            }
            *value = spec->options[i].value;
        }
    }
    return 0;
}

/* All of a file, a pipe included; NUL behind it. */
static int replay_read(const char *path, char **out, size_t *out_bytes, char **error)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    size_t room = 0;
    char *text = NULL;
    ssize_t count = fd < 0 ? -1 : 1;
    while (count > 0 && used <= REPLAY_MAX_FILE) {
        if (room - used < READ_BYTES) {
            room = 2 * room + READ_BYTES;
            char *grown = realloc(text, room + 1);
            if (!grown) {
                free(text);
                return -ENOMEM;
            }
            text = grown;
        }
        count = read(fd, text + used, room - used);
        if (count < 0 && errno == EINTR) {
            count = 1;
            continue;
        }
        used += count > 0 ? (size_t)count : 0;
    }
    int failed = 0;
    if (count < 0) {
        failed = replay_fail(error, "file=%s: %s", path, strerror(errno));
    } else if (used > REPLAY_MAX_FILE) {
        failed = replay_fail(error, "file=%s: larger than %u MiB", path, REPLAY_MAX_FILE >> 20);
    } else if (memchr(text, '\0', used)) {
        failed = replay_fail(error, "file=%s: no text, there is a NUL in it", path);
    }
    if (failed) {
        free(text);
        return failed;
    }
    text[used] = '\0';
    *out = text;
    *out_bytes = used;
    return 0;
}

/* "BB:DD.F" or "DDDD:BB:DD.F"; without a domain it is any. */
struct replay_choice {
    struct pci_address address;
    bool has_domain;
    uint32_t domain;
};

static bool replay_choice_parse(const char *text, struct replay_choice *choice)
{
    char root[DEVICE_ROOT_MAX];
    const char *first = strchr(text, ':');
    *choice = (struct replay_choice){0};
    if (first && strchr(first + 1, ':')) {
        char *end;
        if (strspn(text, "0123456789abcdefABCDEF") != (size_t)(first - text) || first - text < 4 ||
            first - text > 8) {
            return false;
        }
        choice->has_domain = true;
        choice->domain = (uint32_t)strtoul(text, &end, 16);
        text = first + 1;
    }
    return device_address_parse(text, &choice->address, root) == 0 && root[0] == '\0';
}

static bool replay_is_chosen(const struct replay_choice *choice,
                             const struct replay_function *function)
{
    return function->bus == choice->address.bus && function->device == choice->address.device &&
           function->function == choice->address.function &&
           (!choice->has_domain || function->domain == choice->domain);
}

static void replay_names(const struct replay_dump *dump, char names[NAMES_BYTES])
{
    size_t used = 0;
    for (size_t i = 0; i < dump->count; i++) {
        const struct replay_function *it = &dump->functions[i];
        if (used + 32 > NAMES_BYTES) {
            snprintf(names + used, NAMES_BYTES - used, ", … (%zu)", dump->count);
            return;
        }
        used += (size_t)snprintf(names + used, NAMES_BYTES - used, "%s%04x:%02x:%02x.%x",
                                 used ? ", " : "", it->domain, it->bus, it->device, it->function);
    }
}

/* The one function that is meant; NULL with *error when there is none, or several. */
static const struct replay_function *replay_choose(const struct replay_dump *dump, const char *key,
                                                   const char *text,
                                                   const struct replay_choice *choice, char **error)
{
    const struct replay_function *found = NULL;
    char names[NAMES_BYTES];
    bool is_ambiguous = false;
    for (size_t i = 0; i < dump->count; i++) {
        if (replay_is_chosen(choice, &dump->functions[i])) {
            is_ambiguous = found != NULL;
            found = &dump->functions[i];
        }
    }
    if (found && !is_ambiguous) {
        return found;
    }
    replay_names(dump, names);
    replay_fail(error, "%s=%s: %s (there are %s); function=DDDD:BB:DD.F chooses one", key, text,
                found ? "in several domains of the file" : "not in the file", names);
    return NULL;
}

static bool replay_is_device(const struct replay_function *function)
{
    unsigned vendor = function->config[0] | (unsigned)function->config[1] << 8;
    return (function->config[HEADER_TYPE] & 0x7f) == 0 || vendor == VENDOR_NONE;
}

static int replay_add(struct replay_specs *out, const struct device_spec *spec, const char *text,
                      const struct replay_function *function)
{
    struct device_spec *made = &out->list[out->count];
    char *dump = strndup(text + function->start, function->end - function->start);
    if (!dump) {
        return -ENOMEM;
    }
    *made = *spec;
    made->text = NULL;
    made->option_count = 0;
    for (size_t i = 0; i < spec->option_count; i++) {
        const char *key = spec->options[i].key;
        if (strcmp(key, "file") != 0 && strcmp(key, "function") != 0) {
            made->options[made->option_count++] = spec->options[i];
        }
    }
    /* There is room: file= is gone. */
    made->options[made->option_count++] = (struct model_option){.key = "dump", .value = dump};
    if (!spec->has_address) {
        made->address = (struct pci_address){
            .bus = function->bus, .device = function->device, .function = function->function};
    }
    /* A host without domains has a root for each. */
    if (!spec->has_address && !spec->has_root && function->domain != 0) {
        snprintf(made->root, sizeof(made->root), "pci-domain%x", function->domain);
    }
    out->dumps[out->count++] = dump;
    return 0;
}

static int replay_add_all(struct replay_specs *out, const struct device_spec *spec,
                          const char *text, const struct replay_dump *dump, char **error)
{
    bool is_alone = dump->count == 1; /* then a bridge is what is meant */
    for (size_t i = 0; i < dump->count; i++) {
        int failed = is_alone || replay_is_device(&dump->functions[i])
                         ? replay_add(out, spec, text, &dump->functions[i])
                         : 0;
        if (failed) {
            return failed;
        }
    }
    if (out->count == 0) {
        return replay_fail(error, "nothing in the file but bridges; function=BB:DD.F takes one");
    }
    if (out->count < dump->count) {
        log_info("host", "replay: %zu bridges of the file are left out", dump->count - out->count);
    }
    return 0;
}

static int replay_fill(struct replay_specs *out, const struct device_spec *spec, const char *text,
                       const struct replay_dump *dump, char **error)
{
    const char *wanted;
    const struct replay_function *function;
    struct replay_choice choice = {.address = spec->address};
    int failed = replay_option(spec, "function", &wanted, error);
    if (failed) {
        return failed;
    }
    if (wanted) {
        if (!replay_choice_parse(wanted, &choice)) {
            return replay_fail(error, "function=%s: not an address BB:DD.F or DDDD:BB:DD.F in hex",
                               wanted);
        }
        function = replay_choose(dump, "function", wanted, &choice, error);
    } else if (spec->has_address) {
        char address[16];
        snprintf(address, sizeof(address), "%02x:%02x.%x", spec->address.bus, spec->address.device,
                 spec->address.function);
        /* One function can be put anywhere. */
        function = dump->count == 1 ? &dump->functions[0]
                                    : replay_choose(dump, "addr", address, &choice, error);
    } else {
        return replay_add_all(out, spec, text, dump, error);
    }
    return function ? replay_add(out, spec, text, function) : -EINVAL;
}

int replay_spec_expand(const struct device_spec *spec, struct replay_specs *out, char **error)
{
    const char *path;
    struct replay_dump dump = {0};
    char *text = NULL;
    char *cause = NULL;
    size_t bytes = 0;

    *out = (struct replay_specs){0};
    int failed = replay_option(spec, "file", &path, error);
    if (failed) {
        return failed;
    }
    if (!path || path[0] == '\0') {
        return replay_fail(error, "file=PATH is missing");
    }
    failed = replay_read(path, &text, &bytes, error);
    if (failed) {
        return failed;
    }
    failed = replay_dump_parse(text, bytes, &dump, &cause);
    if (failed == -EINVAL) {
        replay_fail(error, "file=%s: %s", path, cause);
    }
    free(cause);
    if (!failed) {
        out->list = calloc(dump.count, sizeof(*out->list));
        out->dumps = calloc(dump.count, sizeof(*out->dumps));
        failed = out->list && out->dumps ? replay_fill(out, spec, text, &dump, error) : -ENOMEM;
    }
    replay_dump_clear(&dump);
    free(text);
    if (failed) {
        replay_specs_clear(out);
    }
    return failed;
}

void replay_specs_clear(struct replay_specs *specs)
{
    for (size_t i = 0; i < specs->count; i++) {
        free(specs->dumps[i]);
    }
    free(specs->dumps);
    free(specs->list);
    *specs = (struct replay_specs){0};
}

/*
 * Parsing of device specifications and addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/device_spec.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/replay.h"

static int spec_fail(char **error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int spec_fail(char **error, const char *format, ...)
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

static bool spec_hex_field(const char **at, char end, unsigned limit, uint8_t *out)
{
    unsigned value = 0;
    unsigned digits = 0;
    while (isxdigit((unsigned char)**at) && digits < 3) {
        unsigned char c = (unsigned char)tolower((unsigned char)**at);
        value = value * 16 + (unsigned)(isdigit(c) ? c - '0' : c - 'a' + 10);
        (*at)++;
        digits++;
    }
    if (digits == 0 || value > limit || **at != end) {
        return false;
    }
    if (end != '\0') {
        (*at)++;
    }
    *out = (uint8_t)value;
    return true;
}

static bool spec_root_is_valid(const char *root, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)root[i]) && root[i] != '-' && root[i] != '_') {
            return false;
        }
    }
    return length > 0 && length < DEVICE_ROOT_MAX;
}

int device_address_parse(const char *text, struct pci_address *address, char root[DEVICE_ROOT_MAX])
{
    const char *slash = strchr(text, '/');
    root[0] = '\0';
    if (slash) {
        size_t length = (size_t)(slash - text);
        if (!spec_root_is_valid(text, length)) {
            return -EINVAL;
        }
        memcpy(root, text, length);
        root[length] = '\0';
        text = slash + 1;
    }
    struct pci_address parsed;
    if (!spec_hex_field(&text, ':', 0xff, &parsed.bus) ||
        !spec_hex_field(&text, '.', 0x1f, &parsed.device) ||
        !spec_hex_field(&text, '\0', 7, &parsed.function)) {
        return -EINVAL;
    }
    *address = parsed;
    return 0;
}

static int spec_take_addr(struct device_spec *spec, const char *value, char **error)
{
    char root[DEVICE_ROOT_MAX];
    int failed = device_address_parse(value, &spec->address, root);
    if (!failed && root[0]) {
        return spec_fail(error, "addr=%s: not an address BB:DD.F; the root goes into root=%s",
                         value, root);
    }
    if (failed) {
        return spec_fail(error,
                         "addr=%s: not an address BB:DD.F in hex (bus 00-ff, device 00-1f, "
                         "function 0-7)",
                         value);
    }
    spec->has_address = true;
    return 0;
}

static int spec_take_root(struct device_spec *spec, const char *value, char **error)
{
    if (!spec_root_is_valid(value, strlen(value))) {
        return spec_fail(error, "root=%s: a root is 1 to %d letters, digits, '-' or '_'", value,
                         DEVICE_ROOT_MAX - 1);
    }
    strcpy(spec->root, value);
    spec->has_root = true;
    return 0;
}

static int spec_take_dart(struct device_spec *spec, const char *value, char **error)
{
    spec->dart.identity = strcmp(value, "identity") == 0;
    if (!spec->dart.identity && strcmp(value, "apple") != 0) {
        return spec_fail(error, "dart=%s: takes apple (the DART chooses addresses) or identity",
                         value);
    }
    return 0;
}

/* A count, decimal or 0x…, with an optional k, m or g (powers of 1024). */
static bool spec_number(const char *value, uint64_t *out)
{
    char *end;
    bool is_hex = value[0] == '0' && tolower((unsigned char)value[1]) == 'x';
    errno = 0;
    unsigned long long number = strtoull(value, &end, is_hex ? 16 : 10);
    if (errno || end == value || !isdigit((unsigned char)value[0])) {
        return false;
    }
    unsigned shift = 0;
    switch (tolower((unsigned char)*end)) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    case '\0':
        break;
    default:
        return false;
    }
    if (shift && end[1] != '\0') {
        return false;
    }
    *out = (uint64_t)number << shift;
    return number != 0 && (*out >> shift) == number;
}

static int spec_take_aperture(struct device_spec *spec, const char *value, char **error)
{
    if (!spec_number(value, &spec->dart.aperture_bytes) ||
        spec->dart.aperture_bytes > (UINT64_C(1) << 40) ||
        spec->dart.aperture_bytes % DART_GRANULE_BYTES) {
        return spec_fail(error,
                         "aperture=%s: takes bytes, a multiple of 16k up to 1024g (suffix k, m, g)",
                         value);
    }
    return 0;
}

static int spec_take_slots(struct device_spec *spec, const char *value, char **error)
{
    uint64_t slots;
    if (!spec_number(value, &slots) || slots > 16777216) {
        return spec_fail(error, "slots=%s: takes a number of mappings, 1 to 16777216", value);
    }
    spec->dart.slots = (uint32_t)slots;
    return 0;
}

static int spec_take_segment(struct device_spec *spec, const char *value, char **error)
{
    if (!spec_number(value, &spec->dart.segment_bytes) ||
        spec->dart.segment_bytes > (UINT64_C(1) << 40) ||
        spec->dart.segment_bytes % DART_GRANULE_BYTES) {
        return spec_fail(error,
                         "segment=%s: takes bytes, a multiple of 16k up to 1024g (suffix k, m, g)",
                         value);
    }
    return 0;
}

/* The back end knows which there are. */
static int spec_take_fault(struct device_spec *spec, const char *value, char **error)
{
    (void)error;
    spec->fault = value;
    return 0;
}

static int spec_take_extensions(struct device_spec *spec, const char *value, char **error)
{
    spec->no_extensions = strcmp(value, "off") == 0;
    return spec->no_extensions || strcmp(value, "on") == 0
               ? 0
               : spec_fail(error, "extensions=%s: takes on, or off as on the real dext", value);
}

static const struct {
    const char *key;
    int (*take)(struct device_spec *spec, const char *value, char **error);
} spec_keys[] = {
    {"addr", spec_take_addr},   {"root", spec_take_root},
    {"dart", spec_take_dart},   {"aperture", spec_take_aperture},
    {"slots", spec_take_slots}, {"extensions", spec_take_extensions},
    {"fault", spec_take_fault}, {"segment", spec_take_segment},
};

#define SPEC_KEY_COUNT (sizeof(spec_keys) / sizeof(spec_keys[0]))

static int spec_take(struct device_spec *spec, const char *key, const char *value,
                     unsigned *seen_keys, char **error)
{
    for (size_t i = 0; i < SPEC_KEY_COUNT; i++) {
        if (strcmp(spec_keys[i].key, key) == 0) {
            if (*seen_keys & (1U << i)) {
                return spec_fail(error, "%s: given twice", key);
            }
            *seen_keys |= 1U << i;
            return value ? spec_keys[i].take(spec, value, error)
                         : spec_fail(error, "%s: has no value (%s=VALUE)", key, key);
        }
    }
    if (spec->option_count == DEVICE_SPEC_MAX_OPTIONS) {
        return spec_fail(error, "%s: more than %d options", key, DEVICE_SPEC_MAX_OPTIONS);
    }
    spec->options[spec->option_count++] =
        (struct model_option){.key = key, .value = value ? value : ""};
    return 0;
}

static int spec_fail_model(const char *name, char **error)
{
    char known[256] = "";
    const struct model_ops *model;
    for (size_t i = 0; (model = model_at(i)) != NULL; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", model->name);
    }
    return name[0] ? spec_fail(error, "unknown device \"%s\" (known: %s)", name, known)
                   : spec_fail(error, "the device's name comes first (known: %s)", known);
}

static int spec_parse_parts(struct device_spec *spec, char **error)
{
    unsigned seen_keys = 0;
    char *rest = spec->text;
    const char *name = strsep(&rest, ",");
    spec->model = model_find(name);
    if (!spec->model) {
        return spec_fail_model(name, error);
    }
    char *part;
    while ((part = strsep(&rest, ",")) != NULL) {
        char *value = strchr(part, '=');
        if (value) {
            *value++ = '\0';
        }
        if (part[0] == '\0') {
            return spec_fail(error, "empty option in a device specification");
        }
        int failed = spec_take(spec, part, value, &seen_keys, error);
        if (failed) {
            return failed;
        }
    }
    return spec->has_address || spec->model == &replay_model
               ? 0
               : spec_fail(error, "%s: addr=BB:DD.F is missing", name);
}

int device_spec_parse(const char *text, struct device_spec *spec, char **error)
{
    *spec = (struct device_spec){.text = strdup(text), .root = DEVICE_DEFAULT_ROOT};
    if (!spec->text) {
        return -ENOMEM;
    }
    int failed = spec_parse_parts(spec, error);
    if (failed) {
        device_spec_clear(spec);
    }
    return failed;
}

/* Whether a model's help has a line "key=…". */
static bool spec_model_takes(const struct model_ops *model, const char *key)
{
    size_t length = strlen(key);
    const char *line = model->options;
    while (line && *line) {
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            return true;
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return false;
}

const char *device_spec_hint(const struct device_spec *spec)
{
    for (size_t i = 0; i < spec->option_count; i++) {
        if (!spec_model_takes(spec->model, spec->options[i].key)) {
            return "; every device also takes addr, root, dart, aperture, slots, segment, "
                   "extensions and fault";
        }
    }
    return "";
}

void device_spec_clear(struct device_spec *spec)
{
    free(spec->text);
    *spec = (struct device_spec){0};
}

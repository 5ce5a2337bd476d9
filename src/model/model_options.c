/*
 * Parsing of a model's key=value options and the texts for wrong ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/model_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_BYTES 512

/* Text appended to a bounded line; what does not fit is cut. */
struct line {
    char *text;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void append(struct line *line, const char *format, ...)
{
    if (line->text == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line->text + line->used, ERROR_BYTES - line->used, format, arguments);
    va_end(arguments);
    if (length > 0)
        line->used += (size_t)length < ERROR_BYTES - line->used ? (size_t)length
                                                                : ERROR_BYTES - 1 - line->used;
}

static int refuse(struct line *line, char **error)
{
    *error = line->text;
    return line->text != NULL ? -EINVAL : -ENOMEM;
}

static int refuse_key(const char *model, const struct model_option_rule *rules, size_t rule_count,
                      const char *key, char **error)
{
    struct line line = {calloc(1, ERROR_BYTES), 0};
    append(&line, "%s: unknown option '%.64s' (known: ", model, key);
    for (size_t i = 0; i < rule_count; i++)
        append(&line, "%s%s", i == 0 ? "" : ", ", rules[i].key);
    append(&line, ")");
    return refuse(&line, error);
}

static int refuse_value(const char *model, const struct model_option_rule *rule, const char *value,
                        char **error)
{
    struct line line = {calloc(1, ERROR_BYTES), 0};
    append(&line, "%s: %s=%.64s: wanted ", model, rule->key, value);
    if (rule->choices == NULL) {
        append(&line, "%s from %" PRIu64 " to %" PRIu64,
               rule->is_power_of_two ? "a power of two" : "a number", rule->least, rule->most);
    } else {
        append(&line, "one of ");
        for (size_t i = 0; rule->choices[i] != NULL; i++)
            append(&line, "%s%s", i == 0 ? "" : ", ", rule->choices[i]);
    }
    return refuse(&line, error);
}

/* 0x… or decimal, then at most one of K, M, G. No sign, no space. */
static bool number_parse(const char *text, uint64_t *out)
{
    if (text[0] < '0' || text[0] > '9')
        return false; /* strtoull would take "-1" and " 1" */
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, is_hex ? 16 : 10);
    if (errno != 0)
        return false;

    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (shift != 0)
        end++;
    if (*end != '\0' || (is_hex && end == text + 1) || number > UINT64_MAX >> shift)
        return false;
    *out = (uint64_t)number << shift;
    return true;
}

static bool value_parse(const struct model_option_rule *rule, const char *text)
{
    if (rule->choices != NULL) {
        for (size_t i = 0; rule->choices[i] != NULL; i++) {
            if (strcmp(rule->choices[i], text) == 0) {
                *rule->value = i;
                return true;
            }
        }
        return false;
    }

    uint64_t number;
    if (!number_parse(text, &number) || number < rule->least || number > rule->most)
        return false;
    if (rule->is_power_of_two && (number == 0 || (number & (number - 1)) != 0))
        return false;
    *rule->value = number;
    return true;
}

static int refuse_repeat(const char *model, const char *key, char **error)
{
    struct line line = {calloc(1, ERROR_BYTES), 0};
    append(&line, "%s: option '%s' given twice", model, key);
    return refuse(&line, error);
}

int model_options_parse(const char *model, const struct model_option_rule *rules, size_t rule_count,
                        const struct model_option *options, size_t count, char **error)
{
    *error = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct model_option_rule *rule = NULL;
        for (size_t j = 0; j < rule_count && rule == NULL; j++) {
            if (strcmp(rules[j].key, options[i].key) == 0)
                rule = &rules[j];
        }
        if (rule == NULL)
            return refuse_key(model, rules, rule_count, options[i].key, error);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(options[j].key, options[i].key) == 0)
                return refuse_repeat(model, rule->key, error);
        }
        if (!value_parse(rule, options[i].value))
            return refuse_value(model, rule, options[i].value, error);
    }
    return 0;
}

/*
 * Parsing of a model's key=value options and the texts for wrong ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/model_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_text.h"

static int refuse_key(const char *model, const struct model_option_rule *rules, size_t rule_count,
                      const char *key, char **error)
{
    struct model_text line = model_text_start();
    model_text_add(&line, model);
    model_text_add(&line, ": unknown option '");
    model_text_input(&line, key, SIZE_MAX);
    model_text_add(&line, "' (known: ");
    for (size_t i = 0; i < rule_count; i++) {
        model_text_add(&line, i == 0 ? "" : ", ");
        model_text_add(&line, rules[i].key);
    }
    model_text_add(&line, ")");
    return model_text_refuse(&line, error);
}

static int refuse_value(const char *model, const struct model_option_rule *rule, const char *value,
                        char **error)
{
    struct model_text line = model_text_start();
    model_text_add(&line, model);
    model_text_add(&line, ": ");
    model_text_add(&line, rule->key);
    model_text_add(&line, "=");
    model_text_input(&line, value, SIZE_MAX);
    model_text_add(&line, ": wanted ");
    if (rule->is_flag) {
        model_text_add(&line, "no value");
    } else if (rule->choices == NULL) {
        model_text_add(&line, rule->is_power_of_two ? "a power of two from " : "a number from ");
        model_text_number(&line, rule->least);
        model_text_add(&line, " to ");
        model_text_number(&line, rule->most);
    } else {
        model_text_add(&line, "one of ");
        for (size_t i = 0; rule->choices[i] != NULL; i++) {
            model_text_add(&line, i == 0 ? "" : ", ");
            model_text_add(&line, rule->choices[i]);
        }
    }
    return model_text_refuse(&line, error);
}

/* 0x… or decimal, then at most one of k, m, g in either case. No sign, no space. */
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

    char unit = (char)(*end | 0x20); /* either case, as the host's own keys take it */
    unsigned shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
    if (shift != 0)
        end++;
    if (*end != '\0' || (is_hex && end == text + 1) || number > UINT64_MAX >> shift)
        return false;
    *out = (uint64_t)number << shift;
    return true;
}

/* nth: how often the key was given before. */
static bool value_parse(const struct model_option_rule *rule, unsigned nth, const char *text)
{
    if (rule->text != NULL) {
        rule->text[nth] = text;
        return true;
    }
    if (rule->is_flag) {
        *rule->value = 1;
        return text[0] == '\0';
    }
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

static int refuse_repeat(const char *model, const struct model_option_rule *rule, char **error)
{
    struct model_text line = model_text_start();
    model_text_add(&line, model);
    model_text_add(&line, ": option '");
    model_text_add(&line, rule->key);
    model_text_add(&line, rule->most_texts == 0 ? "' given twice" : "' given too often");
    return model_text_refuse(&line, error);
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
        unsigned before = 0;
        for (size_t j = 0; j < i; j++)
            before += strcmp(options[j].key, options[i].key) == 0;
        if (before > 0 && before >= rule->most_texts)
            return refuse_repeat(model, rule, error);
        if (!value_parse(rule, before, options[i].value))
            return refuse_value(model, rule, options[i].value, error);
    }
    return 0;
}

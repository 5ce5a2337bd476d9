/*
 * Findings of a test: a line or a JSON object each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_CHECKS_H
#define DEXTLINK_DEXTCTL_CHECKS_H

#include <json-c/json.h>
#include <stdbool.h>

enum check_result {
    CHECK_OK,
    CHECK_NOTE,    /* nothing to judge, only to know */
    CHECK_WARNING, /* worth knowing before it hurts */
    CHECK_FAILED,
    CHECK_SKIPPED, /* the text says why */
};

struct checks {
    json_object *array; /* owned; NULL: lines are printed at once */
    unsigned int failed;
};

void checks_begin(struct checks *checks, bool json);

/** Add a finding. */
void checks_add(struct checks *checks, enum check_result result, const char *name,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/** The findings, for the caller to own; NULL when they were printed. */
json_object *checks_end(struct checks *checks);

#endif

/*
 * Steps of the demo: one line each, with what was seen and how long it took.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_STEP_H
#define DEXTLINK_DEXTCTL_STEP_H

#include <stdbool.h>
#include <stddef.h>

#include "session.h"

/* What a step has to say: what it saw, or why it failed. */
struct saying {
    char text[256];
};

/* Append to what was said. */
void say(struct saying *saying, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Say what failed and return false, for "return blame(...)". */
bool blame(struct saying *saying, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, with what a code means. */
bool blame_code(struct saying *saying, kern_return_t code, const char *what);

struct step {
    const char *name;
    /* Do it; what it said is what was seen when it returns true, else the cause. */
    bool (*run)(void *subject, struct saying *saying);
};

/**
 * Run steps up to the first that fails; the rest are reported as not run. Prints one line a step,
 * then one for all. Colour only on a terminal, and not when NO_COLOR is set. Whether all passed.
 */
bool steps_run(const struct step *steps, size_t count, void *subject);

#endif

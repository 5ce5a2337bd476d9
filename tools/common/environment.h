/*
 * Environment variables that every program of the project reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TOOLS_ENVIRONMENT_H
#define DEXTLINK_TOOLS_ENVIRONMENT_H

#include <stdbool.h>

/**
 * Whether those that are set say something that is known: libraries pass over what they do not
 * know, and whoever mistyped it would not be told. False after a line on stderr that begins with
 * the program's name.
 */
bool environment_check(const char *program);

#endif

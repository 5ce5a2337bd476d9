/*
 * How long dextctl waits for what a device or another process has to do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "patience.h"

#include <stdlib.h>

#define SECONDS_MAX 86400

double patience(double usual_seconds)
{
    const char *wanted = getenv("DEXTLINK_PATIENCE");
    char *end = NULL;
    long seconds = wanted ? strtol(wanted, &end, 10) : 0;
    return seconds < 1 || seconds > SECONDS_MAX || *end ? usual_seconds : (double)seconds;
}

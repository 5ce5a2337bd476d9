/*
 * How long one process waits for another that has to answer. All of it stands here: what is built
 * for macOS takes no library of this folder.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_PATIENCE_H
#define DEXTLINK_BASE_PATIENCE_H

#include <stdint.h>
#include <stdlib.h>

#define PATIENCE_MOST_SECONDS 86400

/** What DEXTLINK_PATIENCE says, whole seconds from 1 to 86,400, in milliseconds; usual_ms where it
 * is not set or says something else. A peer in a debugger, or on a machine that is busy with other
 * things, is not a peer that is gone. Any thread that nobody changes the environment beside. */
static inline uint32_t patience_ms(uint32_t usual_ms)
{
    const char *wanted = getenv("DEXTLINK_PATIENCE");
    char *end = NULL;
    long seconds = wanted ? strtol(wanted, &end, 10) : 0;
    return seconds < 1 || seconds > PATIENCE_MOST_SECONDS || *end ? usual_ms
                                                                  : (uint32_t)seconds * 1000;
}

#endif

/*
 * Lines for whoever runs the server.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int vu_is_wanted(const struct vu_report *report, enum vu_level level)
{
    return report && report->line && level <= report->level;
}

void vu_say(const struct vu_report *report, enum vu_level level, const char *format, ...)
{
    char line[512];
    int saved_errno = errno;
    if (vu_is_wanted(report, level)) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        report->line(report->opaque, level, line);
    }
    errno = saved_errno;
}

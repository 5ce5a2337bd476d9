/*
 * How the server speaks: lines for whoever runs it. The library itself prints nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_REPORT_H
#define DEXTLINK_VFIOUSER_REPORT_H

enum vu_level {
    VU_LEVEL_ERROR = 0,   /* something asked for could not be done */
    VU_LEVEL_WARNING = 1, /* done, but not as one would expect */
    VU_LEVEL_INFO = 2,    /* progress: listening, attached, released */
    VU_LEVEL_TRACE = 3,   /* every message */
};

/* Where the lines go. Fixed while the server lives. */
struct vu_report {
    /* line: without newline, borrowed for the call. On the server's thread or the client library's;
     * must not call the server. */
    void (*line)(void *opaque, enum vu_level level, const char *line);
    void *opaque;
    enum vu_level level; /* the most detailed wanted */
};

/** Write a line. report may be NULL, or have no function. Keeps errno. */
void vu_say(const struct vu_report *report, enum vu_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Whether a line of this level would reach anybody. */
int vu_is_wanted(const struct vu_report *report, enum vu_level level);

#endif

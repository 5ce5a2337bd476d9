/*
 * Log lines of the host side and of the IOKit layer. Nothing is printed unless somebody asks: a
 * program installs a sink, or the user sets DEXTLINK_LOG.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_LOG_H
#define DEXTLINK_BASE_LOG_H

enum log_level {
    LOG_LEVEL_ERROR = 0,
    LOG_LEVEL_WARNING = 1,
    LOG_LEVEL_INFO = 2,
    LOG_LEVEL_DEBUG = 3,
};

/**
 * Receives one line without newline. hop and line are borrowed for the call. Called on any thread,
 * with locks of the caller held: it must not call back into dextlink.
 */
typedef void (*log_sink_fn)(void *opaque, enum log_level level, const char *hop, const char *line);

/**
 * Install the process's sink and the most detailed level it wants; NULL removes it and returns to
 * the default: nothing, or stderr up to the level named by DEXTLINK_LOG (error, warning, info,
 * debug; another value is reported there once). Any thread; a line being written while the sink
 * changes may reach either sink.
 */
void log_set_sink(log_sink_fn sink, void *opaque, enum log_level level);

/** Whether a line of this level would reach a sink. */
int log_is_enabled(enum log_level level);

/** Write one line. hop is the layer's name ("dext"), static storage. Keeps errno. */
void log_line(enum log_level level, const char *hop, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(hop, ...)   log_line(LOG_LEVEL_ERROR, hop, __VA_ARGS__)
#define log_warning(hop, ...) log_line(LOG_LEVEL_WARNING, hop, __VA_ARGS__)
#define log_info(hop, ...)    log_line(LOG_LEVEL_INFO, hop, __VA_ARGS__)
#define log_debug(hop, ...)   log_line(LOG_LEVEL_DEBUG, hop, __VA_ARGS__)

#endif

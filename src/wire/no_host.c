/*
 * Why this process found no host. Beside the host inside this process, and once a program as that
 * is: what looks for a host and what tells people are different libraries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/no_host.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t no_host_lock = PTHREAD_MUTEX_INITIALIZER;
static char no_host_reason[256]; /* under no_host_lock */

void wire_no_host_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&no_host_lock);
    vsnprintf(no_host_reason, sizeof(no_host_reason), format, arguments);
    pthread_mutex_unlock(&no_host_lock);
    va_end(arguments);
}

void wire_no_host_text(char *text, size_t bytes)
{
    pthread_mutex_lock(&no_host_lock);
    snprintf(text, bytes, "%s", no_host_reason);
    pthread_mutex_unlock(&no_host_lock);
}

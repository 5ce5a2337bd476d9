/*
 * Lets calls of the allocation functions and of some system calls fail, one at a time, until each
 * has failed on every way that leads to it. A test links it by fail_call_dep, which wraps those
 * calls in every static library of the project.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_FAIL_CALL_H
#define DEXTLINK_TESTS_FAIL_CALL_H

#include <stdbool.h>

/** From here on the first call, of any thread, that has not failed before fails; those after it
 * succeed. A call is told from others by the functions on the stack. */
void fail_call_arm(void);

/** Whether a call has failed since it was armed. */
bool fail_call_has_failed(void);

/** Forget what has failed. */
void fail_call_forget(void);

/** Stop. The function whose call failed; NULL when there was none left to fail. */
const char *fail_call_disarm(void);

#endif

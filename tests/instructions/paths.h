/*
 * Hot paths with fixed inputs, whose instructions are counted.
 *
 * Nothing in this folder is counted, nor the C library: what is, is the code in src/.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_INSTRUCTIONS_PATHS_H
#define DEXTLINK_TESTS_INSTRUCTIONS_PATHS_H

#include <stdbool.h>

/* One path. What fails ends the program by must(). */
struct path {
    const char *name;      /* in the table, the budgets and the name of its profile */
    void (*begin)(void);   /* makes what run needs */
    void (*prepare)(void); /* before each run: calls nothing of src/, which counts; or NULL */
    void (*run)(void);     /* counted */
    void (*end)(void);
};

/* Each ends with a name of NULL. */
extern const struct path dext_paths[];
extern const struct path dart_paths[];
extern const struct path nvme_paths[];
extern const struct path wire_paths[];
extern const struct path vfio_user_paths[];

/** Say what did not work and end the program, unless it did: counts of a path that fails are the
 * counts of another path. */
void must(bool is_good, const char *what);

#endif

/*
 * What a --device replay,file=… stands for: reads the file, chooses among its functions, and makes
 * one specification of each that becomes a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_REPLAY_SPEC_H
#define DEXTLINK_HOST_REPLAY_SPEC_H

#include "host/device_spec.h"

#define REPLAY_MAX_FILE (16u << 20)

struct replay_specs {
    struct device_spec *list; /* their text is NULL: options point into the one they came of */
    size_t count;
    char **dumps; /* the text of each, which its options point into as well */
};

/**
 * spec: of the replay model; borrowed, outlives *out.
 * 0; -EINVAL with *error a malloc'ed line: no file=, a file that cannot be read or is no dump (with
 * the number of the line), a function that is not in it; -ENOMEM. On failure *out holds nothing.
 */
int replay_spec_expand(const struct device_spec *spec, struct replay_specs *out, char **error);
void replay_specs_clear(struct replay_specs *specs);

#endif

/*
 * How large the BARs of a dumped function are, which the dump itself does not say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_REPLAY_BARS_H
#define DEXTLINK_MODEL_REPLAY_BARS_H

#include <stdint.h>

#include "model/model.h"
#include "model/replay_dump.h"

/**
 * Fill in the BARs. A size comes from wanted (0: not said), else from the dump's own text, else it
 * is the largest that the address is aligned to, that ends before the next BAR, and that is usual;
 * but never less than what holds the MSI-X table and its pending bits.
 *
 * 0; -EINVAL with *error a malloc'ed line (caller frees): wanted is for a BAR that is not there, or
 * is no size for it; -ENOMEM.
 */
int replay_bars_shape(const struct replay_function *function,
                      const uint64_t wanted[MODEL_BAR_COUNT],
                      struct model_bar bars[MODEL_BAR_COUNT], char **error);

#endif

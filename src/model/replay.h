/*
 * A device made of what lspci -x, -xxx or -xxxx printed of another one: its config space, its
 * capabilities, the shapes of its BARs, and memory behind them. docs/replay.md describes it.
 *
 * The model gets the text of one function as the option "dump": the host reads the file that a
 * --device option names, and chooses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_REPLAY_H
#define DEXTLINK_MODEL_REPLAY_H

#include "model/model.h"

extern const struct model_ops replay_model;

#endif

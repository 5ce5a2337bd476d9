/*
 * The row of the model table for the test device (docs/testdev.md).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_TESTDEV_H
#define DEXTLINK_MODEL_TESTDEV_H

#include "model/model.h"

extern const struct model_ops testdev_model;

#endif

/*
 * The row of the model table for QEMU's educational device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_EDU_H
#define DEXTLINK_MODEL_EDU_H

#include "model/model.h"

extern const struct model_ops edu_model;

#endif

/*
 * An NVM Express 1.4 controller for PCIe; docs/nvme.md describes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_NVME_H
#define DEXTLINK_MODEL_NVME_H

#include "model/model.h"

extern const struct model_ops nvme_model;

#endif

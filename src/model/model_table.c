/*
 * The models there are, one row each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "model/edu.h"
#include "model/model.h"
#include "model/nvme/nvme.h"
#include "model/replay.h"
#include "model/testdev.h"

static const struct model_ops *const models[] = {
    &edu_model,
    &testdev_model,
    &nvme_model,
    &replay_model,
};

#define MODEL_COUNT (sizeof(models) / sizeof(models[0]))

const struct model_ops *model_at(size_t index)
{
    return index < MODEL_COUNT ? models[index] : NULL;
}

const struct model_ops *model_find(const char *name)
{
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        if (strcmp(models[i]->name, name) == 0)
            return models[i];
    }
    return NULL;
}

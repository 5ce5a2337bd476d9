/*
 * Features: get, set, defaults (5.13, 5.21). None is saved over a reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "model/nvme/nvme_device.h"

#define SELECT_CURRENT        0
#define SELECT_DEFAULT        1
#define SELECT_SAVED          2
#define SELECT_CAPABILITIES   3

#define CAPABILITY_NAMESPACE  0x2u
#define CAPABILITY_CHANGEABLE 0x4u

#define SAVE                  0x80000000u

#define ARBITRATION_DEFAULT   0x00000003u
#define OVER_DEFAULT          343
#define SENSOR_COMPOSITE      0
#define SENSOR_ALL            15
#define ASYNC_KNOWN           (0x7fu | NVME_ASYNC_NAMESPACES)
#define NS_PER_MS             UINT64_C(1000000)
#define TIMESTAMP_BYTES       8
#define TIMESTAMP_MASK        ((UINT64_C(1) << 48) - 1)

static void features_fill(const struct nvme *dev, struct nvme_features *out)
{
    uint32_t most = dev->queues - 1;
    *out = (struct nvme_features){
        .arbitration = ARBITRATION_DEFAULT,
        .write_cache = 1,
        .queues = most | most << 16,
        .temperature_over = OVER_DEFAULT,
        .timestamp_set_ns = nvme_now(dev),
    };
}

void nvme_features_reset(struct nvme *dev)
{
    features_fill(dev, &dev->features);
    for (unsigned i = 0; i < dev->namespace_count; i++)
        dev->namespaces[i].error_recovery = 0;
}

static bool feature_is_known(uint8_t feature)
{
    return (feature >= NVME_FEATURE_ARBITRATION && feature <= NVME_FEATURE_ASYNC_EVENTS &&
            feature != 0x03) ||
           feature == NVME_FEATURE_TIMESTAMP;
}

/* 0 or the status for the namespace the command names, which few features have. */
static uint16_t namespace_check(struct nvme *dev, const struct nvme_command *command, bool is_set)
{
    bool is_specific = (command->dw10 & 0xff) == NVME_FEATURE_ERROR_RECOVERY;
    bool exists = nvme_namespace_find(dev, command->nsid) != NULL;

    if (is_specific)
        return exists || (is_set && command->nsid == NVME_NSID_ALL) ? NVME_SUCCESS
                                                                    : NVME_INVALID_NAMESPACE;
    if (!is_set || command->nsid == 0 || command->nsid == NVME_NSID_ALL)
        return NVME_SUCCESS;
    return exists ? NVME_FEATURE_NOT_NS_SPECIFIC : NVME_INVALID_NAMESPACE;
}

static uint16_t timestamp_get(struct nvme *dev, struct nvme_request *request, bool is_default)
{
    uint64_t passed = (nvme_now(dev) - dev->features.timestamp_set_ns) / NS_PER_MS;
    uint64_t now = (dev->features.timestamp_ms + passed) & TIMESTAMP_MASK;
    uint8_t out[TIMESTAMP_BYTES] = {0};

    if (!is_default) {
        nvme_put64(out, now);
        out[6] = dev->features.timestamp_is_set ? 0x02 : 0; /* origin: Set Features, or reset */
    }
    return nvme_answer_write(dev, request, out, sizeof(out));
}

static uint16_t timestamp_set(struct nvme *dev, struct nvme_request *request)
{
    uint8_t in[TIMESTAMP_BYTES];
    uint16_t status = nvme_prp_map(dev, request, sizeof(in));

    if (status == NVME_SUCCESS)
        status = nvme_data_read(dev, &request->data, in);
    if (status != NVME_SUCCESS)
        return status;
    dev->features.timestamp_ms = nvme_get64(in) & TIMESTAMP_MASK;
    dev->features.timestamp_set_ns = nvme_now(dev);
    dev->features.timestamp_is_set = true;
    return NVME_SUCCESS;
}

static uint16_t temperature_get(struct nvme_request *request, const struct nvme_features *features,
                                uint32_t *answer)
{
    uint32_t dw11 = request->command.dw11;

    if ((dw11 >> 16 & 0xf) != SENSOR_COMPOSITE)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, 16));
    if ((dw11 >> 20 & 0x3) > 1)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, 20));
    *answer = (dw11 >> 20 & 0x3) == 0 ? features->temperature_over : features->temperature_under;
    return NVME_SUCCESS;
}

static uint16_t value_get(struct nvme *dev, struct nvme_request *request,
                          const struct nvme_features *features, bool is_default, uint32_t *answer)
{
    const struct nvme_command *command = &request->command;
    uint32_t vector = command->dw11 & 0xffff;

    switch (command->dw10 & 0xff) {
    case NVME_FEATURE_ARBITRATION:
        *answer = features->arbitration;
        break;
    case NVME_FEATURE_POWER:
        *answer = features->power;
        break;
    case NVME_FEATURE_TEMPERATURE:
        return temperature_get(request, features, answer);
    case NVME_FEATURE_ERROR_RECOVERY:
        *answer = is_default ? 0 : nvme_namespace_find(dev, command->nsid)->error_recovery;
        break;
    case NVME_FEATURE_WRITE_CACHE:
        *answer = features->write_cache;
        break;
    case NVME_FEATURE_QUEUES:
        *answer = features->queues;
        break;
    case NVME_FEATURE_COALESCING:
        *answer = features->coalescing;
        break;
    case NVME_FEATURE_VECTOR:
        if (vector > dev->queues)
            return nvme_field_refuse(request, NVME_FIELD_DW(11, 0));
        *answer = vector | features->vectors[vector];
        break;
    case NVME_FEATURE_ATOMICITY:
        *answer = features->atomicity;
        break;
    default:
        *answer = features->async_events;
        break;
    }
    return NVME_SUCCESS;
}

uint16_t nvme_features_get(struct nvme *dev, struct nvme_request *request)
{
    uint8_t feature = request->command.dw10 & 0xff;
    uint32_t select = request->command.dw10 >> 8 & 0x7;
    struct nvme_features defaults;

    if (!feature_is_known(feature))
        return nvme_field_refuse(request, NVME_FIELD_DW(10, 0));
    if (select > SELECT_CAPABILITIES)
        return nvme_field_refuse(request, NVME_FIELD_DW(10, 8));
    uint16_t status = namespace_check(dev, &request->command, false);
    if (status != NVME_SUCCESS)
        return status;
    if (select == SELECT_CAPABILITIES) {
        request->answer = CAPABILITY_CHANGEABLE |
                          (feature == NVME_FEATURE_ERROR_RECOVERY ? CAPABILITY_NAMESPACE : 0);
        return NVME_SUCCESS;
    }
    bool is_default = select != SELECT_CURRENT; /* nothing is saved: the default stands for it */
    if (feature == NVME_FEATURE_TIMESTAMP)
        return timestamp_get(dev, request, is_default);
    features_fill(dev, &defaults);
    return value_get(dev, request, is_default ? &defaults : &dev->features, is_default,
                     &request->answer);
}

static uint16_t queues_set(struct nvme *dev, struct nvme_request *request)
{
    uint32_t sqs = request->command.dw11 & 0xffff, cqs = request->command.dw11 >> 16;
    uint32_t most = dev->queues - 1;

    if (sqs == 0xffff || cqs == 0xffff)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, sqs == 0xffff ? 0 : 16));
    if (dev->had_queues)
        return NVME_COMMAND_SEQUENCE_ERROR;
    dev->features.queues = (sqs < most ? sqs : most) | (cqs < most ? cqs : most) << 16;
    request->answer = dev->features.queues;
    return NVME_SUCCESS;
}

static uint16_t temperature_set(struct nvme *dev, struct nvme_request *request)
{
    uint32_t dw11 = request->command.dw11;
    uint32_t sensor = dw11 >> 16 & 0xf, kind = dw11 >> 20 & 0x3;
    uint8_t before = nvme_critical_warning(dev);

    if (sensor != SENSOR_COMPOSITE && sensor != SENSOR_ALL)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, 16));
    if (kind > 1)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, 20));
    if (kind == 0)
        dev->features.temperature_over = (uint16_t)dw11;
    else
        dev->features.temperature_under = (uint16_t)dw11;
    if ((nvme_critical_warning(dev) & ~before & dev->features.async_events) != 0)
        nvme_event_post(dev, NVME_EVENT_SMART, NVME_EVENT_TEMPERATURE, NVME_LOG_SMART);
    return NVME_SUCCESS;
}

static uint16_t recovery_set(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;

    if ((command->dw11 & 0x10000) != 0)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, 16)); /* deallocated blocks read */
    for (unsigned i = 0; i < dev->namespace_count; i++) {
        if (command->nsid == NVME_NSID_ALL || command->nsid == i + 1)
            dev->namespaces[i].error_recovery = command->dw11 & 0xffff;
    }
    return NVME_SUCCESS;
}

static uint16_t async_events_set(struct nvme *dev, struct nvme_request *request)
{
    uint32_t dw11 = request->command.dw11;

    if ((dw11 & ~ASYNC_KNOWN & 0xffffu) != 0)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, 0));
    dev->features.async_events = dw11 & ASYNC_KNOWN;
    if ((nvme_critical_warning(dev) & dev->features.async_events) != 0)
        nvme_event_post(dev, NVME_EVENT_SMART, NVME_EVENT_TEMPERATURE, NVME_LOG_SMART);
    return NVME_SUCCESS;
}

static uint16_t value_set(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    struct nvme_features *features = &dev->features;
    uint32_t value = command->dw11;

    switch (command->dw10 & 0xff) {
    case NVME_FEATURE_ARBITRATION:
        features->arbitration = value & 0xffffff07;
        return NVME_SUCCESS;
    case NVME_FEATURE_POWER:
        if ((value & 0x1f) != 0)
            return nvme_field_refuse(request, NVME_FIELD_DW(11, 0)); /* there is one state */
        features->power = value & 0xff;
        return NVME_SUCCESS;
    case NVME_FEATURE_TEMPERATURE:
        return temperature_set(dev, request);
    case NVME_FEATURE_ERROR_RECOVERY:
        return recovery_set(dev, request);
    case NVME_FEATURE_WRITE_CACHE:
        features->write_cache = value & 1;
        return NVME_SUCCESS;
    case NVME_FEATURE_QUEUES:
        return queues_set(dev, request);
    case NVME_FEATURE_COALESCING:
        features->coalescing = value & 0xffff;
        return NVME_SUCCESS;
    case NVME_FEATURE_VECTOR:
        if ((value & 0xffff) > dev->queues)
            return nvme_field_refuse(request, NVME_FIELD_DW(11, 0));
        features->vectors[value & 0xffff] = value & 0x10000;
        return NVME_SUCCESS;
    case NVME_FEATURE_ATOMICITY:
        features->atomicity = value & 1;
        return NVME_SUCCESS;
    case NVME_FEATURE_TIMESTAMP:
        return timestamp_set(dev, request);
    default:
        return async_events_set(dev, request);
    }
}

uint16_t nvme_features_set(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;

    if (!feature_is_known(command->dw10 & 0xff))
        return nvme_field_refuse(request, NVME_FIELD_DW(10, 0));
    if ((command->dw10 & SAVE) != 0)
        return NVME_FEATURE_NOT_SAVEABLE;
    uint16_t status = namespace_check(dev, command, true);
    return status != NVME_SUCCESS ? status : value_set(dev, request);
}

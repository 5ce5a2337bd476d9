/*
 * Replayed devices under a fuzzer. An input whose first byte is even is the text of a dump; else
 * the rest is config space, which is made the text of one. Every function of it becomes a device,
 * is written to all over, and is reset. The program aborts when a BAR has a size that no BAR can
 * have, a write changes what identifies the device, or a reset does not bring back everything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "fuzz_input.h"
#include "model/config_space.h"
#include "model/replay.h"
#include "model/replay_dump.h"

#define MOST_DEVICES 8 /* of an input: each takes thousands of accesses */

static void fail(const char *what)
{
    fprintf(stderr, "replay: %s\n", what);
    abort();
}

static void no_message(void *host, uint64_t address, uint32_t data)
{
    fail("a device without a driver sent a message");
}

/* The model uses nothing else of its host. */
static const struct model_host_ops host_ops = {.message = no_message};

static void check_shape(const struct model *model)
{
    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        const struct model_bar *shape = &model->shape.bars[bar];
        uint64_t bytes = shape->bytes;
        if (bytes == 0)
            continue;
        uint64_t least = DEXT_BAR_IS_IO(shape->type) ? 4 : 16;
        uint64_t most = DEXT_BAR_IS_IO(shape->type)      ? 256
                        : DEXT_BAR_IS_64BIT(shape->type) ? UINT64_C(1) << 40
                                                         : UINT64_C(1) << 31;
        if ((bytes & (bytes - 1)) != 0 || bytes < least || bytes > most)
            fail("no BAR has such a size");
        if (DEXT_BAR_IS_64BIT(shape->type) &&
            (bar + 1 == MODEL_BAR_COUNT || model->shape.bars[bar + 1].bytes != 0))
            fail("the upper half of a BAR is a BAR");
    }
}

static void write_config(struct model *model, unsigned offset, unsigned width, uint32_t value)
{
    config_space_write(model->config, offset, width, value);
    model->ops->config_written(model, offset, width);
}

static void use_config(struct model *model)
{
    uint32_t ids = config_space_read(model->config, 0, 4);
    for (unsigned offset = 0; offset < CONFIG_SPACE_BYTES; offset += 4) {
        write_config(model, offset, 4, UINT32_MAX);
        write_config(model, offset + 1, 1, 0x5a);
        write_config(model, offset + 2, 2, 0);
        (void)config_space_read(model->config, offset, 4);
    }
    if (config_space_read(model->config, 0, 4) != ids)
        fail("a write changed the ids");
}

static void use_bars(struct model *model)
{
    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        uint64_t bytes = model->shape.bars[bar].bytes;
        for (uint64_t step = 8; step != 0 && step <= bytes; step *= 2) {
            for (unsigned width = 1; width <= 8 && width <= bytes; width *= 2) {
                uint64_t offset = bytes - step;
                model->ops->mmio_write(model, bar, offset, width, UINT64_MAX);
                (void)model->ops->mmio_read(model, bar, offset, width);
                model->ops->mmio_write(model, bar, step - 8, width, step);
                (void)model->ops->mmio_read(model, bar, step - 8, width);
            }
        }
    }
}

static void use_device(const char *dump)
{
    const struct model_host host = {.ops = &host_ops};
    const struct model_option option = {"dump", dump};
    static uint8_t before[CONFIG_SPACE_BYTES];
    struct model *model;
    char *error = NULL;

    int rc = replay_model.create(&host, &option, 1, &model, &error);
    if (rc != 0) {
        fail(rc == -EINVAL && error != NULL ? error : "a function that was there is none");
        return;
    }
    check_shape(model);
    memcpy(before, model->config->value, sizeof(before));
    use_config(model);
    use_bars(model);
    model->ops->reset(model, MODEL_RESET_HOT);
    if (memcmp(before, model->config->value, sizeof(before)) != 0)
        fail("a reset does not bring back everything");
    model->ops->destroy(model);
}

static void use_text(const char *text, size_t bytes)
{
    struct replay_dump dump;
    char *error = NULL;

    int rc = replay_dump_parse(text, bytes, &dump, &error);
    if (rc != 0) {
        if (rc != -EINVAL || error == NULL || strncmp(error, "line ", 5) != 0 ||
            strchr(error, '\n') != NULL)
            fail("refused without a line that says where");
        free(error);
        return;
    }
    for (size_t i = 0; i < dump.count && i < MOST_DEVICES; i++) {
        const struct replay_function *function = &dump.functions[i];
        size_t length = function->end - function->start;
        char *one = calloc(1, length + 1);
        if (one == NULL)
            break;
        memcpy(one, text + function->start, length);
        /* A NUL would end the option early; the host refuses such files. */
        if (memchr(one, '\0', length) == NULL)
            use_device(one);
        free(one);
    }
    replay_dump_clear(&dump);
}

static void use_bytes(const uint8_t *bytes, size_t count)
{
    static char text[CONFIG_SPACE_BYTES * 4];
    int used = snprintf(text, sizeof(text), "01:00.0 x");
    count = count > CONFIG_SPACE_BYTES ? CONFIG_SPACE_BYTES : count;
    for (size_t i = 0; i < count; i++) {
        if (i % 16 == 0)
            used += snprintf(text + used, sizeof(text) - (size_t)used, "\n%02zx:", i);
        used += snprintf(text + used, sizeof(text) - (size_t)used, " %02x", bytes[i]);
    }
    use_text(text, (size_t)used);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    if ((bytes[0] & 1) != 0)
        use_bytes(bytes + 1, count - 1);
    else
        use_text((const char *)bytes + 1, count - 1);
    return 0;
}

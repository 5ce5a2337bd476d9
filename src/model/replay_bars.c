/*
 * Sizes of BARs: said, or as large as the address allows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/replay_bars.h"

#include "abi/dext_abi.h"
#include "model/config_registers.h"
#include "model/config_space.h"
#include "model/model_text.h"

#define LEAST_MEMORY   UINT64_C(16)
#define LEAST_IO       UINT64_C(4)
#define MOST_IO        UINT64_C(256) /* by the specification */
#define MOST_32BIT     (UINT64_C(1) << 31)
#define MOST_64BIT     (UINT64_C(1) << 40)
#define USUAL_MOST     (UINT64_C(256) << 20)
#define USUAL_UNPLACED UINT64_C(4096) /* of a BAR that had no address */
#define MSIX_PBA_STEP  64             /* vectors in a word of pending bits */
#define MSIX_ENTRY     16

static uint64_t least_of(uint8_t type)
{
    return DEXT_BAR_IS_IO(type) ? LEAST_IO : LEAST_MEMORY;
}

static uint64_t most_of(uint8_t type)
{
    if (DEXT_BAR_IS_IO(type))
        return MOST_IO;
    return DEXT_BAR_IS_64BIT(type) ? MOST_64BIT : MOST_32BIT;
}

/* A register of zeros is a BAR only when something speaks of it. */
static bool is_there(const struct replay_function *function, unsigned bar)
{
    struct replay_bar found = replay_bar_at(function->config, bar);
    return bar < replay_bar_count(function->config) && !found.is_upper &&
           (found.type != 0 || found.address != 0 || function->bar_bytes[bar] != 0);
}

static uint64_t guess(const struct replay_function *function, unsigned bar)
{
    struct replay_bar found = replay_bar_at(function->config, bar);
    uint64_t bytes = DEXT_BAR_IS_IO(found.type) ? MOST_IO : USUAL_MOST;

    if (found.address == 0)
        return DEXT_BAR_IS_IO(found.type) ? LEAST_IO : USUAL_UNPLACED;
    while ((found.address & (bytes - 1)) != 0)
        bytes /= 2;
    for (unsigned other = 0; other < MODEL_BAR_COUNT; other++) {
        struct replay_bar next = replay_bar_at(function->config, other);
        if (!is_there(function, other) || DEXT_BAR_IS_IO(next.type) != DEXT_BAR_IS_IO(found.type) ||
            next.address <= found.address)
            continue;
        while (bytes > next.address - found.address)
            bytes /= 2;
    }
    return bytes;
}

/* What [place, place + bytes) of the BAR it names needs of that BAR. */
static uint64_t needed(uint32_t place, uint64_t bytes, unsigned bar)
{
    return (place & MSIX_PLACE_BAR) == bar ? (place & ~MSIX_PLACE_BAR) + bytes : 0;
}

static uint64_t needed_for_msix(const struct config_space *config, unsigned bar)
{
    unsigned base = config_space_find(config, CAPABILITY_MSIX);
    if (base == 0 || base + MSIX_BYTES > CONFIG_SPACE_CONVENTIONAL)
        return 0;
    uint64_t vectors = (config_space_get(config, base + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1;
    uint64_t table =
        needed(config_space_get(config, base + MSIX_TABLE, 4), vectors * MSIX_ENTRY, bar);
    uint64_t pba = needed(config_space_get(config, base + MSIX_PBA, 4),
                          (vectors + MSIX_PBA_STEP - 1) / MSIX_PBA_STEP * 8, bar);
    return table > pba ? table : pba;
}

static int refuse(unsigned bar, const char *what, char **error)
{
    struct model_text line = model_text_start();
    model_text_add(&line, "replay: bar");
    model_text_number(&line, bar);
    model_text_add(&line, what);
    return model_text_refuse(&line, error);
}

static int check_wanted(const struct replay_function *function, unsigned bar, uint64_t wanted,
                        char **error)
{
    struct replay_bar found = replay_bar_at(function->config, bar);

    if (wanted == 0)
        return 0;
    if (bar >= replay_bar_count(function->config) || found.is_upper)
        return refuse(bar, ": the function has no such BAR", error);
    if (wanted < least_of(found.type) || wanted > most_of(found.type))
        return refuse(bar,
                      ": memory BARs have 16 bytes and more, I/O BARs 4 to 256, 32-bit ones at "
                      "most 2 GiB",
                      error);
    return 0;
}

static uint64_t choose(const struct replay_function *function, const struct config_space *config,
                       unsigned bar)
{
    uint8_t type = replay_bar_at(function->config, bar).type;
    uint64_t bytes = function->bar_bytes[bar];

    if (bytes == 0)
        bytes = guess(function, bar);
    if (bytes < least_of(type))
        bytes = least_of(type);
    for (uint64_t least = needed_for_msix(config, bar); bytes < least && bytes < most_of(type);)
        bytes *= 2;
    return bytes > most_of(type) ? most_of(type) : bytes;
}

int replay_bars_shape(const struct replay_function *function,
                      const uint64_t wanted[MODEL_BAR_COUNT],
                      struct model_bar bars[MODEL_BAR_COUNT], char **error)
{
    struct config_space config = {0};

    for (unsigned i = 0; i < CONFIG_SPACE_BYTES; i++)
        config.value[i] = function->config[i];
    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        int rc = check_wanted(function, bar, wanted[bar], error);
        if (rc != 0)
            return rc;
        if (wanted[bar] == 0 && !is_there(function, bar))
            continue;
        bars[bar].type = replay_bar_at(function->config, bar).type;
        bars[bar].bytes = wanted[bar] != 0 ? wanted[bar] : choose(function, &config, bar);
    }
    return 0;
}

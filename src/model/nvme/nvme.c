/*
 * The NVMe controller as a device: options, shape, config space, reset and power; docs/nvme.md
 * describes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/nvme/nvme.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "model/config_capability.h"
#include "model/model_options.h"
#include "model/nvme/nvme_device.h"

#define DEFAULT_QUEUES 16
#define DEFAULT_BYTES  (UINT64_C(64) << 20)
#define SERIAL_BYTES   20

static const char *const block_words[] = {"512", "4096", NULL};

struct options {
    uint64_t queues, is_large, size, namespaces, is_read_only, is_uncached;
    const char *serial;
    const char *drives[NVME_MAX_NAMESPACES];
};

static struct nvme *nvme_of(struct model *model)
{
    return (struct nvme *)model;
}

uint64_t nvme_now(const struct nvme *dev)
{
    return dev->model.host.ops->now_ns(dev->model.host.context);
}

bool nvme_is_running(const struct nvme *dev)
{
    return (dev->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) == NVME_CSTS_RDY &&
           dev->power_state == 0 && dev->is_master;
}

void nvme_kick(struct nvme *dev)
{
    const struct model_host *host = &dev->model.host;
    if (nvme_is_running(dev))
        host->ops->poll_wake(host->context);
}

void nvme_fail(struct nvme *dev)
{
    dev->csts |= NVME_CSTS_CFS;
}

static uint64_t nvme_mmio_read(struct model *model, unsigned bar, uint64_t offset, unsigned width)
{
    struct nvme *dev = nvme_of(model);

    if (bar != 0 || dev->power_state != 0)
        return ones_of_width(width);
    if (offset >= NVME_MSIX_PBA)
        return msix_pba_read(&dev->msix, offset - NVME_MSIX_PBA, width);
    if (offset >= NVME_MSIX_TABLE)
        return msix_table_read(&dev->msix, offset - NVME_MSIX_TABLE, width);
    return nvme_register_read(dev, offset, width);
}

static void nvme_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                            uint64_t value)
{
    struct nvme *dev = nvme_of(model);

    if (bar != 0 || dev->power_state != 0 || offset >= NVME_MSIX_PBA)
        return;
    if (offset >= NVME_MSIX_TABLE)
        msix_table_write(&dev->msix, offset - NVME_MSIX_TABLE, width, value);
    else
        nvme_register_write(dev, offset, width, value);
}

static void nvme_config_written(struct model *model, unsigned offset, unsigned width)
{
    struct nvme *dev = nvme_of(model);

    config_power_written(&dev->config, &dev->power_state);
    dev->is_master = message_may_be_sent(&dev->config);
    nvme_doorbells_gate(
        dev, dev->power_state == 0 &&
                 (config_space_get(&dev->config, CONFIG_COMMAND, 2) & CONFIG_COMMAND_MEMORY) != 0);
    if (dev->power_state != 0)
        return;
    msix_config_written(&dev->msix, offset, width);
    nvme_pin_update(dev);
    nvme_kick(dev); /* bus mastering, or power, may be back */
}

static void nvme_attach_memory(struct model *model, unsigned bar, unsigned range, void *memory)
{
    (void)bar;
    (void)range;
    nvme_of(model)->doorbells = memory;
}

static void nvme_direct_written(struct model *model, unsigned bar, uint64_t offset, unsigned width)
{
    (void)bar;
    nvme_doorbells_written(nvme_of(model), offset, width);
}

static bool nvme_peek(const struct model *model)
{
    return nvme_doorbells_peek((const struct nvme *)model);
}

static uint64_t nvme_poll(struct model *model)
{
    struct nvme *dev = nvme_of(model);

    if ((dev->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) != NVME_CSTS_RDY || dev->power_state != 0)
        return MODEL_POLL_NEVER;
    bool was_rung = nvme_doorbells_take(dev);
    enum nvme_poll_found found = nvme_work(dev);
    if (found == NVME_POLL_NOTHING && was_rung)
        found = NVME_POLL_SOME;
    else if (found == NVME_POLL_NOTHING && dev->in_flight > 1)
        found = NVME_POLL_WAITING;
    uint64_t wait = nvme_poll_next(&dev->poll, nvme_now(dev), found);
    /* Most of the page is no queue's ever: there is time for it before a sleep. */
    return wait > MODEL_POLL_SPIN_NS && nvme_doorbells_take_strays(dev) ? 0 : wait;
}

static void nvme_reset(struct model *model, enum model_reset kind)
{
    struct nvme *dev = nvme_of(model);
    bool was_on = (dev->csts & NVME_CSTS_RDY) != 0 &&
                  (dev->csts & NVME_CSTS_SHST_MASK) != NVME_CSTS_SHST_DONE;

    if (kind == MODEL_RESET_HOT) {
        dev->statistics.power_cycles++;
        dev->statistics.unsafe_shutdowns += was_on ? 1 : 0;
    }
    nvme_controller_reset(dev);
    msix_reset(&dev->msix);
    config_space_reset(&dev->config);
    dev->power_state = 0;
    dev->is_decoding = dev->is_master = false;
}

static void nvme_destroy(struct model *model)
{
    struct nvme *dev = nvme_of(model);

    for (unsigned i = 0; i < NVME_MAX_NAMESPACES; i++)
        free(dev->namespaces[i].memory);
    free(dev->buffers);
    free(dev);
}

static bool fill_config(struct nvme *dev)
{
    const struct config_identity identity = {
        .vendor_id = 0x1234,
        .device_id = 0x4e56,
        .revision = 0x01,
        .class_code = 0x010802, /* mass storage, non-volatile memory, NVM Express I/O controller */
        .subsystem_vendor_id = 0x1234,
        .subsystem_id = 0x4e56,
    };
    const struct msix_place place = {0, 0, NVME_MSIX_TABLE, NVME_MSIX_PBA};
    const struct config_pcie pcie = {true, 4, 4};
    struct config_space *config = &dev->config;

    config_space_init(config, &identity);
    config_space_set(config, CONFIG_INTERRUPT_PIN, 1, 1);
    config_space_add_bar(config, 0, DEXT_BAR_TYPE_M64, NVME_BAR_BYTES);
    if (config_add_power(config, true) == 0 ||
        !msix_init(&dev->msix, &dev->model.host, config, dev->queues + 1, &place) ||
        config_add_pcie(config, &pcie) == 0 || config_add_aer(config) == 0)
        return false;
    config_space_seal(config);
    return true;
}

static int refuse(const char *what, const char *text, const char *why, char **error)
{
    char line[256];

    snprintf(line, sizeof(line), "nvme: %s=%.100s: %s", what, text, why);
    *error = strdup(line);
    return *error != NULL ? -EINVAL : -ENOMEM;
}

static const char *open_problem(int code)
{
    switch (code) {
    case -EBUSY:
        return "in use by somebody else";
    case -ENOENT:
        return "no such file";
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return "no permission";
    case -EINVAL:
    case -EISDIR:
        return "neither a file nor a block device";
    case -ENOTSUP:
        return "this host has no storage";
    case -ENOTBLK:
        return "direct: its file system has no way round the page cache (O_DIRECT)";
    default:
        return "cannot be opened";
    }
}

static int open_drive(struct nvme *dev, struct nvme_namespace *ns, const char *path, char **error)
{
    const struct model_host *host = &dev->model.host;
    unsigned flags = (ns->is_read_only ? MODEL_STORAGE_READ_ONLY : 0) |
                     (ns->is_uncached ? MODEL_STORAGE_UNCACHED : 0);
    int rc = host->ops->storage_open(host->context, path, flags, &ns->storage, &ns->bytes);

    if (rc == -ENOMEM)
        return rc;
    if (rc == -EDOM) {
        char why[64];
        snprintf(why, sizeof(why), "direct: its size is no multiple of %u bytes",
                 (unsigned)ns->bytes);
        return refuse("drive", path, why, error);
    }
    if (rc != 0)
        return refuse("drive", path, open_problem(rc), error);
    if (ns->bytes >> 12 == 0)
        return refuse("drive", path, "smaller than 4096 bytes", error);
    return 0;
}

static int fill_namespaces(struct nvme *dev, const struct options *options, char **error)
{
    unsigned drives = 0;
    while (drives < NVME_MAX_NAMESPACES && options->drives[drives] != NULL)
        drives++;
    dev->namespace_count = drives != 0 ? drives : (unsigned)options->namespaces;
    for (unsigned i = 0; i < dev->namespace_count; i++) {
        struct nvme_namespace *ns = &dev->namespaces[i];
        ns->nsid = i + 1;
        ns->block_shift = options->is_large != 0 ? 12 : 9;
        ns->is_read_only = options->is_read_only != 0;
        ns->is_uncached = options->is_uncached != 0;
        if (drives != 0) {
            int rc = open_drive(dev, ns, options->drives[i], error);
            if (rc != 0)
                return rc;
            continue;
        }
        ns->bytes = options->size;
        ns->memory = calloc(1, (size_t)ns->bytes);
        if (ns->memory == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int fill_requests(struct nvme *dev)
{
    dev->buffers = calloc(1, (size_t)NVME_REQUESTS * NVME_TRANSFER_BYTES + NVME_PAGE_BYTES);
    if (dev->buffers == NULL)
        return -ENOMEM;
    uint8_t *first = (uint8_t *)align_up((uintptr_t)dev->buffers, NVME_PAGE_BYTES);
    for (unsigned i = 0; i < NVME_REQUESTS; i++)
        dev->requests[i].buffer = first + (size_t)i * NVME_TRANSFER_BYTES;
    return 0;
}

static bool serial_is_valid(const char *serial)
{
    size_t length = strlen(serial);
    for (size_t i = 0; i < length; i++) {
        if (serial[i] < ' ' || serial[i] > '~')
            return false;
    }
    return length > 0 && length <= SERIAL_BYTES;
}

static int options_check(const struct options *options, char **error)
{
    if (!serial_is_valid(options->serial))
        return refuse("serial", options->serial, "wanted 1 to 20 printable characters", error);
    for (unsigned i = 0; i < NVME_MAX_NAMESPACES && options->drives[i] != NULL; i++) {
        if (options->drives[i][0] == '\0')
            return refuse("drive", "", "wanted a file", error);
    }
    if (options->is_uncached != 0 && options->drives[0] == NULL) {
        *error = strdup("nvme: direct: wanted a drive with it");
        return *error != NULL ? -EINVAL : -ENOMEM;
    }
    return 0;
}

static int options_take(struct options *out, const struct model_option *options, size_t count,
                        char **error)
{
    const struct model_option_rule rules[] = {
        {.key = "drive", .text = out->drives, .most_texts = NVME_MAX_NAMESPACES},
        {.key = "serial", .text = &out->serial},
        {.key = "queues", .value = &out->queues, .least = 1, .most = NVME_MAX_QUEUES},
        {.key = "block", .value = &out->is_large, .choices = block_words},
        {.key = "readonly", .value = &out->is_read_only, .is_flag = true},
        {.key = "direct", .value = &out->is_uncached, .is_flag = true},
        {.key = "size", .value = &out->size, .least = 4096, .most = UINT64_C(1) << 36},
        {.key = "namespaces", .value = &out->namespaces, .least = 1, .most = NVME_MAX_NAMESPACES},
    };
    int rc =
        model_options_parse("nvme", rules, sizeof(rules) / sizeof(rules[0]), options, count, error);
    return rc != 0 ? rc : options_check(out, error);
}

static int nvme_create(const struct model_host *host, const struct model_option *options,
                       size_t count, struct model **out, char **error)
{
    struct options chosen = {
        .queues = DEFAULT_QUEUES, .size = DEFAULT_BYTES, .namespaces = 1, .serial = "DEXTLINK0001"};
    int rc = options_take(&chosen, options, count, error);
    if (rc != 0)
        return rc;

    struct nvme *dev = calloc(1, sizeof(*dev));
    if (dev == NULL)
        return -ENOMEM;
    dev->model.ops = &nvme_model;
    dev->model.host = *host;
    dev->model.config = &dev->config;
    dev->model.shape.bars[0] =
        (struct model_bar){.bytes = NVME_BAR_BYTES,
                           .type = DEXT_BAR_TYPE_M64,
                           .direct_count = 1,
                           .direct = {{NVME_REG_DOORBELLS, NVME_DOORBELLS * sizeof(uint32_t)}}};
    dev->model.shape.storage_operations = NVME_REQUESTS;
    dev->model.shape.has_flr = true;
    dev->queues = (unsigned)chosen.queues;
    dev->created_ns = nvme_now(dev);
    dev->statistics.power_cycles = 1;
    strcpy(dev->serial, chosen.serial);
    rc = fill_requests(dev);
    if (rc == 0)
        rc = fill_namespaces(dev, &chosen, error);
    if (rc == 0 && !fill_config(dev))
        rc = -ENOSPC;
    if (rc != 0) {
        nvme_destroy(&dev->model);
        return rc;
    }
    nvme_controller_reset(dev);
    *out = &dev->model;
    return 0;
}

const struct model_ops nvme_model = {
    .name = "nvme",
    .summary = "NVM Express 1.4 controller: files or memory as namespaces",
    .options = "drive=FILE    namespace 1; again for 2 to 8 (default memory)\n"
               "size=BYTES    of a namespace in memory, 4K to 64G (default 64M)\n"
               "namespaces=N  in memory, 1 to 8 (default 1)\n"
               "block=BYTES   512 or 4096 (default 512)\n"
               "queues=N      I/O queues of each kind, 1 to 64 (default 16)\n"
               "serial=TEXT   serial number, 20 characters at most (default DEXTLINK0001)\n"
               "readonly      writes are refused\n"
               "direct        drives are read and written past the page cache (O_DIRECT)\n",
    .create = nvme_create,
    .destroy = nvme_destroy,
    .attach_memory = nvme_attach_memory,
    .mmio_read = nvme_mmio_read,
    .mmio_write = nvme_mmio_write,
    .config_written = nvme_config_written,
    .direct_written = nvme_direct_written,
    .peek = nvme_peek,
    .poll = nvme_poll,
    .storage_done = nvme_storage_done,
    .reset = nvme_reset,
};

/*
 * A device that does with its file what the test wants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "storage_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provider/pci_registers.h"

struct model_of_storage *device;
struct model_storage_request wanted[OPERATIONS];
unsigned wanted_count;
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_changed = PTHREAD_COND_INITIALIZER;
unsigned done_count, done_calls;
unsigned done_tags[OPERATIONS];
int done_results[OPERATIONS];

static const struct model_ops storage_model;

static int storage_create(const struct model_host *host, const struct model_option *options,
                          size_t count, struct model **out, char **error)
{
    const struct config_identity identity = {.vendor_id = 0x1234, .device_id = 1};
    device = calloc(1, sizeof(*device));
    assert_non_null(device);
    device->model.ops = &storage_model;
    device->model.host = *host;
    device->model.config = &device->config;
    device->model.shape.bars[0] = (struct model_bar){.bytes = 0x4000};
    device->model.shape.storage_operations = OPERATIONS;
    config_space_init(&device->config, &identity);
    config_space_add_bar(&device->config, 0, 0, 0x4000);
    config_space_seal(&device->config);
    unsigned flags = 0;
    for (size_t i = 1; i < count; i++) {
        flags |= strcmp(options[i].key, "readonly") == 0 ? MODEL_STORAGE_READ_ONLY
                                                         : MODEL_STORAGE_UNCACHED;
    }
    int result = host->ops->storage_open(host->context, options[0].value, flags, &device->storage,
                                         &device->bytes);
    if (result < 0) {
        free(device);
        device = NULL;
        return result;
    }
    *out = &device->model;
    return 0;
}

static void storage_destroy(struct model *model)
{
    free(model);
}

static uint64_t storage_mmio_read(struct model *model, unsigned bar, uint64_t offset,
                                  unsigned width)
{
    return 0;
}

static void storage_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                               uint64_t value)
{
    for (unsigned i = 0; i < wanted_count; i++) {
        wanted[i].storage = device->storage;
        wanted[i].tag = i;
        model->host.ops->storage_submit(model->host.context, &wanted[i]);
    }
}

static void storage_done(struct model *model, const struct model_storage_result *results,
                         unsigned count)
{
    pthread_mutex_lock(&done_lock);
    for (unsigned i = 0; i < count; i++) {
        done_tags[done_count] = results[i].tag;
        done_results[done_count++] = results[i].result;
    }
    done_calls++;
    pthread_cond_signal(&done_changed);
    pthread_mutex_unlock(&done_lock);
}

static void storage_reset(struct model *model, enum model_reset kind)
{
}

static const struct model_ops storage_model = {
    .name = "storage",
    .summary = "",
    .options = "",
    .create = storage_create,
    .destroy = storage_destroy,
    .mmio_read = storage_mmio_read,
    .mmio_write = storage_mmio_write,
    .storage_done = storage_done,
    .reset = storage_reset,
};

char path[] = "/tmp/dextlink-storage-XXXXXX";

int file_make(void **state)
{
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    int result = fd < 0 ? -1 : ftruncate(fd, FILE_BYTES);
    close(fd);
    return result;
}

int file_remove(void **state)
{
    return unlink(path);
}

/* option: "readonly", "direct", or NULL. */
int open_sim(struct pci_provider **out, const char *file, const char *option)
{
    const struct model_option options[] = {{"drive", file}, {option, ""}};
    const struct pci_address address = {.bus = 1};
    char *error = NULL;
    return backend_sim_create(&storage_model, address, options, option ? 2 : 1, NULL, out, &error);
}

struct pci_provider *start(const char *option)
{
    struct pci_provider *provider;
    assert_int_equal(open_sim(&provider, path, option), 0);
    assert_int_equal(device->bytes, FILE_BYTES);
    assert_int_equal(provider_open(provider), 0);
    provider_config_write(provider, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    return provider;
}

/* Submit what is wanted and wait for it all. */
void submit_any(struct pci_provider *provider, unsigned count)
{
    wanted_count = count;
    done_count = 0;
    assert_int_equal(provider_memory_write(provider, 0, 0, 4, 1), 0);
    pthread_mutex_lock(&done_lock);
    while (done_count < count) {
        pthread_cond_wait(&done_changed, &done_lock);
    }
    pthread_mutex_unlock(&done_lock);
}

/* The same, of operations that come to an end in order. */
void submit(struct pci_provider *provider, unsigned count)
{
    submit_any(provider, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(done_tags[i], i);
    }
}

int submit_one(struct pci_provider *provider, enum model_storage_action action, uint64_t offset,
               uint64_t bytes, void *buffer)
{
    wanted[0] = (struct model_storage_request){
        .action = action, .offset = offset, .bytes = bytes, .buffer = buffer, .is_durable = true};
    submit(provider, 1);
    return done_results[0];
}

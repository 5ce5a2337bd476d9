/*
 * Unit tests of who carries out what a model submits while it is polled. Run under ThreadSanitizer
 * too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "provider/pci_registers.h"

#define FILE_BYTES 65536
#define MOST       4
#define AT_ONCE    8 /* where a write is no wish for the next poll: submits that operation */

/* A model that submits what the test wants when it is polled next. */
struct model_of_storage {
    struct model model;
    struct config_space config;
    unsigned storage;
};

static const struct model_ops polled_model;
static struct pci_provider *provider;
static char path[] = "/tmp/dextlink-polled-XXXXXX";
static _Atomic useconds_t write_takes_us;
static _Atomic unsigned writes_begun;

/* Under the device's lock: */
static struct model_storage_request wanted[MOST];
static unsigned wanted_count; /* 0: submitted */
static pthread_t poller;

static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_changed = PTHREAD_COND_INITIALIZER;
static unsigned done_count;
static int done_results[MOST];
static bool by_poller[MOST];

static int polled_create(const struct model_host *host, const struct model_option *options,
                         size_t count, struct model **out, char **error)
{
    const struct config_identity identity = {.vendor_id = 0x1234, .device_id = 1};
    struct model_of_storage *device = calloc(1, sizeof(*device));
    uint64_t bytes;
    assert_non_null(device);
    device->model = (struct model){.ops = &polled_model, .host = *host, .config = &device->config};
    device->model.shape.bars[0] = (struct model_bar){.bytes = 0x4000};
    device->model.shape.storage_operations = MOST;
    config_space_init(&device->config, &identity);
    config_space_add_bar(&device->config, 0, 0, 0x4000);
    config_space_seal(&device->config);
    *out = &device->model;
    return host->ops->storage_open(host->context, options[0].value, 0, &device->storage, &bytes);
}

static void polled_destroy(struct model *model)
{
    free(model);
}

static uint64_t polled_read(struct model *model, unsigned bar, uint64_t offset, unsigned width)
{
    return 0;
}

static void submit_one(struct model *model, unsigned index)
{
    wanted[index].storage = ((struct model_of_storage *)model)->storage;
    wanted[index].tag = index;
    model->host.ops->storage_submit(model->host.context, &wanted[index]);
}

static void polled_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                         uint64_t value)
{
    if (offset == AT_ONCE) {
        submit_one(model, (unsigned)value);
    } else {
        wanted_count = (unsigned)value;
        model->host.ops->poll_wake(model->host.context);
    }
}

static uint64_t polled_poll(struct model *model)
{
    poller = pthread_self();
    for (unsigned i = 0; i < wanted_count; i++) {
        submit_one(model, i);
    }
    wanted_count = 0;
    return MODEL_POLL_NEVER;
}

static bool polled_peek(const struct model *model)
{
    return false;
}

static void polled_done(struct model *model, const struct model_storage_result *results,
                        unsigned count)
{
    pthread_mutex_lock(&done_lock);
    for (unsigned i = 0; i < count; i++) {
        done_results[results[i].tag] = results[i].result;
        by_poller[results[i].tag] = pthread_equal(poller, pthread_self()) != 0;
    }
    done_count += count;
    pthread_cond_signal(&done_changed);
    pthread_mutex_unlock(&done_lock);
}

static void polled_reset(struct model *model, enum model_reset kind)
{
}

static const struct model_ops polled_model = {
    .name = "polled",
    .create = polled_create,
    .destroy = polled_destroy,
    .mmio_read = polled_read,
    .mmio_write = polled_write,
    .storage_done = polled_done,
    .poll = polled_poll,
    .peek = polled_peek,
    .reset = polled_reset,
};

ssize_t __real_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);

ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    useconds_t takes = atomic_load(&write_takes_us);
    atomic_fetch_add(&writes_begun, 1);
    usleep(takes);
    return __real_pwritev64(fd, pieces, count, offset);
}

static int start(void **state)
{
    const struct model_option option = {"drive", path};
    const struct pci_address address = {.bus = 1};
    char *error = NULL;
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    int result = fd < 0 ? -1 : ftruncate(fd, FILE_BYTES);
    close(fd);
    write_takes_us = 0;
    if (result == 0) {
        result = backend_sim_create(&polled_model, address, &option, 1, NULL, &provider, &error);
    }
    if (result == 0) {
        result = provider_open(provider);
        provider_config_write(provider, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    }
    return result;
}

static int end(void **state)
{
    provider_destroy(provider);
    return unlink(path);
}

/* Have them submitted by the next poll. */
static void begin(unsigned count)
{
    pthread_mutex_lock(&done_lock);
    done_count = 0;
    pthread_mutex_unlock(&done_lock);
    assert_int_equal(provider_memory_write(provider, 0, 0, 4, count), 0);
}

static void wait_for(unsigned count)
{
    pthread_mutex_lock(&done_lock);
    while (done_count < count) {
        pthread_cond_wait(&done_changed, &done_lock);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(done_results[i], 0);
    }
    pthread_mutex_unlock(&done_lock);
}

static void submit(unsigned count)
{
    begin(count);
    wait_for(count);
}

/* Whether the polling thread has carried it out. */
static bool is_polled(enum model_storage_action action, bool is_durable)
{
    static uint8_t buffer[512];
    wanted[0] = (struct model_storage_request){.action = action,
                                               .offset = 512,
                                               .bytes = sizeof(buffer),
                                               .buffer = buffer,
                                               .is_durable = is_durable};
    submit(1);
    return by_poller[0];
}

static void a_write_alone_needs_no_other_thread(void **state)
{
    assert_true(is_polled(MODEL_STORAGE_WRITE, false));
}

/* What may wait for a disk keeps nobody from looking at doorbells. */
static void what_may_take_long_is_the_other_threads(void **state)
{
    assert_false(is_polled(MODEL_STORAGE_READ, false));
    assert_false(is_polled(MODEL_STORAGE_WRITE, true));
    assert_false(is_polled(MODEL_STORAGE_FLUSH, false));
    assert_false(is_polled(MODEL_STORAGE_ZERO, false));
}

/* How many writes the other thread has before the polling one has one again. */
static unsigned others_until_polled(void)
{
    unsigned others = 0;
    while (others < 1000 && !is_polled(MODEL_STORAGE_WRITE, false)) {
        others++;
    }
    return others;
}

static void slow_writes_are_the_other_threads(void **state)
{
    write_takes_us = 1000;
    for (unsigned wanted_others = 0; wanted_others < 63; wanted_others = 2 * wanted_others + 1) {
        assert_int_equal(others_until_polled(), wanted_others);
    }
    assert_int_equal(others_until_polled(), 63);
    assert_int_equal(others_until_polled(), 63);
    /* Quick again; a machine may delay some of these as well. */
    unsigned tries = 0;
    write_takes_us = 0;
    while (tries < 1000 && others_until_polled() > 0) {
        tries++;
    }
    assert_in_range(tries, 1, 999);
}

static void writes_together_keep_their_order(void **state)
{
    uint8_t bytes[MOST], last = 0;
    for (unsigned round = 0; round < 100; round++) {
        unsigned count = 1 + round % MOST;
        for (unsigned i = 0; i < count; i++) {
            bytes[i] = (uint8_t)(round + i);
            wanted[i] = (struct model_storage_request){
                .action = MODEL_STORAGE_WRITE, .offset = 9, .bytes = 1, .buffer = &bytes[i]};
        }
        submit(count);
        assert_true(count == 1 || !by_poller[0]);
        wanted[0] = (struct model_storage_request){
            .action = MODEL_STORAGE_READ, .offset = 9, .bytes = 1, .buffer = &last};
        submit(1);
        assert_int_equal(last, (uint8_t)(round + count - 1));
    }
}

/* What the worker is given meanwhile waits where it would overtake. */
static void a_later_write_of_the_same_bytes_waits(void **state)
{
    const uint8_t bytes[2] = {1, 2};
    uint8_t last = 0;
    for (unsigned i = 0; i < 2; i++) {
        wanted[i] = (struct model_storage_request){.action = MODEL_STORAGE_WRITE,
                                                   .offset = 9,
                                                   .bytes = 1,
                                                   .buffer = (void *)(uintptr_t)&bytes[i]};
    }
    unsigned before = atomic_load(&writes_begun);
    write_takes_us = 20000;
    begin(1);
    while (atomic_load(&writes_begun) == before) {
        usleep(100);
    }
    write_takes_us = 0;
    assert_int_equal(provider_memory_write(provider, 0, AT_ONCE, 4, 1), 0);
    wait_for(2);
    assert_true(by_poller[0]);
    assert_false(by_poller[1]);
    wanted[0] = (struct model_storage_request){
        .action = MODEL_STORAGE_READ, .offset = 9, .bytes = 1, .buffer = &last};
    submit(1);
    assert_int_equal(last, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_alone_needs_no_other_thread, start, end),
        cmocka_unit_test_setup_teardown(what_may_take_long_is_the_other_threads, start, end),
        cmocka_unit_test_setup_teardown(slow_writes_are_the_other_threads, start, end),
        cmocka_unit_test_setup_teardown(writes_together_keep_their_order, start, end),
        cmocka_unit_test_setup_teardown(a_later_write_of_the_same_bytes_waits, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The world around a model in unit tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "model/config_registers.h"

#define MAX_OPTIONS 16

static bool is_master(const struct fake_host *fake)
{
    return (config_space_get(fake->model->config, CONFIG_COMMAND, 2) & CONFIG_COMMAND_MASTER) != 0;
}

static void dma_seen(struct fake_host *fake, uint64_t address, size_t length)
{
    fake->dma_calls++;
    fake->dma_last_address = address;
    if (length > fake->dma_longest)
        fake->dma_longest = length;
}

static int dma_read(void *host, uint64_t bus_address, void *buffer, size_t length)
{
    struct fake_host *fake = host;
    uint8_t *bytes = buffer;
    int rc = 0;

    dma_seen(fake, bus_address, length);
    if (!is_master(fake))
        return -EPERM;
    for (size_t i = 0; i < length; i++) {
        uint64_t inside = bus_address + i - FAKE_MEMORY_START;
        bytes[i] = inside < FAKE_MEMORY_BYTES ? fake->memory[inside] : 0xff;
        if (inside >= FAKE_MEMORY_BYTES)
            rc = -EFAULT;
    }
    return rc;
}

static int dma_write(void *host, uint64_t bus_address, const void *buffer, size_t length)
{
    struct fake_host *fake = host;
    const uint8_t *bytes = buffer;
    int rc = 0;

    dma_seen(fake, bus_address, length);
    if (!is_master(fake))
        return -EPERM;
    for (size_t i = 0; i < length; i++) {
        uint64_t inside = bus_address + i - FAKE_MEMORY_START;
        if (inside >= FAKE_MEMORY_BYTES || bus_address + i < fake->read_only_end)
            rc = -EFAULT;
        else
            fake->memory[inside] = bytes[i];
    }
    return rc;
}

static int dma_copy(void *host, uint64_t from, uint64_t to, size_t length)
{
    struct fake_host *fake = host;
    uint64_t inside = from - FAKE_MEMORY_START;

    if (!fake->copies_direct || !is_master(fake) || inside >= FAKE_MEMORY_BYTES ||
        length > FAKE_MEMORY_BYTES - inside)
        return -ENOTSUP;
    fake->copied_direct++;
    return dma_write(host, to, fake->memory + inside, length);
}

static void message(void *host, uint64_t address, uint32_t data)
{
    struct fake_host *fake = host;

    if (fake->message_count < FAKE_MESSAGES)
        fake->messages[fake->message_count] = (struct fake_message){address, data};
    fake->message_count++;
}

static uint64_t now_ns(void *host)
{
    return ((struct fake_host *)host)->now_ns;
}

static void timer_arm(void *host, unsigned timer, uint64_t deadline_ns)
{
    struct fake_host *fake = host;

    assert_true(timer < fake->timer_limit);
    fake->is_armed[timer] = true;
    fake->deadline_ns[timer] = deadline_ns;
}

static void timer_cancel(void *host, unsigned timer)
{
    struct fake_host *fake = host;

    assert_true(timer < fake->timer_limit);
    fake->is_armed[timer] = false;
}

/* The path is not looked at. */
static int storage_open(void *host, const char *path, unsigned flags, unsigned *storage,
                        uint64_t *bytes)
{
    struct fake_host *fake = host;
    unsigned i = 0;

    if (strcmp(path, "missing") == 0)
        return -ENOENT;
    if (strcmp(path, "busy") == 0)
        return -EBUSY;
    if ((flags & MODEL_STORAGE_UNCACHED) != 0 && strcmp(path, "cached") == 0)
        return -ENOTBLK;
    if ((flags & MODEL_STORAGE_UNCACHED) != 0 && strcmp(path, "odd") == 0) {
        *bytes = 4096;
        return -EDOM;
    }
    while (i < FAKE_STORAGES && fake->storages[i].bytes != NULL)
        i++;
    assert_true(i < FAKE_STORAGES);
    *bytes = strcmp(path, "tiny") == 0 ? 4095 : FAKE_STORAGE_BYTES;
    fake->storages[i] =
        (struct fake_storage){.bytes = calloc(1, FAKE_STORAGE_BYTES),
                              .is_read_only = (flags & MODEL_STORAGE_READ_ONLY) != 0,
                              .is_uncached = (flags & MODEL_STORAGE_UNCACHED) != 0};
    *storage = i;
    return 0;
}

static void storage_submit(void *host, const struct model_storage_request *request)
{
    struct fake_host *fake = host;

    assert_true(fake->operation_count < FAKE_OPERATIONS);
    assert_true(request->storage < FAKE_STORAGES);
    assert_non_null(fake->storages[request->storage].bytes);
    assert_true(range_is_within(request->offset, request->bytes, FAKE_STORAGE_BYTES));
    if (request->action == MODEL_STORAGE_WRITE || request->action == MODEL_STORAGE_ZERO)
        assert_false(fake->storages[request->storage].is_read_only);
    for (unsigned i = 0; i < fake->operation_count; i++)
        assert_int_not_equal(fake->operations[i].tag, request->tag);
    fake->operations[fake->operation_count++] = *request;
}

static bool segment_is_there(const struct fake_host *fake, const struct model_segment *segment,
                             bool is_write)
{
    return range_is_within(segment->address - FAKE_MEMORY_START, segment->bytes,
                           FAKE_MEMORY_BYTES) &&
           (!is_write || segment->address >= fake->read_only_end);
}

/* The copies in buffer and segments are the operation's; segment_count says so. */
static bool storage_submit_direct(void *host, const struct model_storage_request *request)
{
    struct fake_host *fake = host;
    struct model_storage_request taken = *request;
    bool is_read = request->action == MODEL_STORAGE_READ;
    uint64_t bytes = 0;

    assert_true(is_read || request->action == MODEL_STORAGE_WRITE);
    assert_null(request->buffer);
    assert_true(request->segment_count > 0);
    if (!fake->submits_direct || !is_master(fake))
        return false;
    for (unsigned i = 0; i < request->segment_count; i++) {
        bytes += request->segments[i].bytes;
        if (!segment_is_there(fake, &request->segments[i], is_read))
            return false;
    }
    assert_int_equal(bytes, request->bytes);
    size_t list_bytes = request->segment_count * sizeof(*request->segments);
    uint8_t *data = malloc(request->bytes + list_bytes);
    taken.buffer = data;
    taken.segments = memcpy(data + request->bytes, request->segments, list_bytes);
    for (unsigned i = 0; !is_read && i < request->segment_count; i++) {
        assert_int_equal(
            dma_read(host, request->segments[i].address, data, request->segments[i].bytes), 0);
        data += request->segments[i].bytes;
    }
    storage_submit(host, &taken);
    fake->submitted_direct++;
    return true;
}

/* What a direct read has got goes to where it was to go, if that is the device's still. */
static int scatter(struct fake_host *fake, const struct model_storage_request *request)
{
    const uint8_t *data = request->buffer;

    for (unsigned i = 0; i < request->segment_count; i++) {
        if (dma_write(fake, request->segments[i].address, data, request->segments[i].bytes) != 0)
            return -ECANCELED;
        data += request->segments[i].bytes;
    }
    return 0;
}

/* The oldest, and how it ended. */
static struct model_storage_result operation_run(struct fake_host *fake, int error)
{
    struct model_storage_request request = fake->operations[0];
    fake->operation_count--;
    memmove(fake->operations, fake->operations + 1,
            fake->operation_count * sizeof(fake->operations[0]));
    uint8_t *bytes = fake->storages[request.storage].bytes + request.offset;
    if (error == 0 && request.action == MODEL_STORAGE_READ)
        memcpy(request.buffer, bytes, request.bytes);
    else if (error == 0 && request.action == MODEL_STORAGE_WRITE)
        memcpy(bytes, request.buffer, request.bytes);
    else if (error == 0 && request.action == MODEL_STORAGE_ZERO)
        memset(bytes, 0, request.bytes);
    if (error == 0 && request.action == MODEL_STORAGE_READ)
        error = scatter(fake, &request);
    if (request.segment_count > 0)
        free(request.buffer);
    return (struct model_storage_result){request.tag, error};
}

bool fake_storage_step(struct fake_host *fake, int error)
{
    if (fake->operation_count == 0)
        return false;
    const struct model_storage_result result = operation_run(fake, error);
    fake->model->ops->storage_done(fake->model, &result, 1);
    return true;
}

void fake_storage_finish(struct fake_host *fake, unsigned count)
{
    struct model_storage_result results[FAKE_OPERATIONS];

    assert_true(count <= fake->operation_count);
    for (unsigned i = 0; i < count; i++)
        results[i] = operation_run(fake, 0);
    fake->model->ops->storage_done(fake->model, results, count);
}

static void storages_free(struct fake_host *fake)
{
    for (unsigned i = 0; i < FAKE_STORAGES; i++)
        free(fake->storages[i].bytes);
}

static bool storage_read_now(void *host, unsigned storage, uint64_t offset,
                             const struct model_segment *segments, unsigned count)
{
    struct fake_host *fake = host;

    assert_true(storage < FAKE_STORAGES);
    assert_non_null(fake->storages[storage].bytes);
    if (!fake->reads_now || fake->operation_count > 0)
        return false;
    for (unsigned i = 0; i < count; i++) {
        assert_true(range_is_within(offset, segments[i].bytes, FAKE_STORAGE_BYTES));
        if (dma_write(host, segments[i].address, fake->storages[storage].bytes + offset,
                      segments[i].bytes) != 0)
            return false;
        offset += segments[i].bytes;
    }
    fake->reads_done_now++;
    return true;
}

static void poll_wake(void *host)
{
    ((struct fake_host *)host)->is_woken = true;
}

static const struct model_host_ops host_ops = {
    dma_read,         dma_write,    dma_copy,     message,        now_ns,
    timer_arm,        timer_cancel, storage_open, storage_submit, storage_submit_direct,
    storage_read_now, poll_wake,
};

/* Split "key=value"; the copies stay in texts, which the caller frees. */
static size_t options_split(const char *const *options, struct model_option *out, char **texts)
{
    size_t count = 0;
    for (; options != NULL && options[count] != NULL; count++) {
        assert_true(count < MAX_OPTIONS);
        texts[count] = strdup(options[count]);
        char *equals = strchr(texts[count], '=');
        if (equals != NULL)
            *equals = '\0';
        out[count] = (struct model_option){texts[count], equals != NULL ? equals + 1 : ""};
    }
    return count;
}

void fake_start(struct fake_host *fake, const char *name, const char *const *options)
{
    struct model_option split[MAX_OPTIONS];
    char *texts[MAX_OPTIONS];
    char *error = NULL;

    memset(fake, 0, sizeof(*fake));
    fake->memory = calloc(1, FAKE_MEMORY_BYTES);
    fake->now_ns = 123456;
    fake->poll_at_ns = UINT64_MAX; /* nothing is enabled yet */
    const struct model_host host = {&host_ops, fake};
    const struct model_ops *ops = model_find(name);
    assert_non_null(ops);
    size_t count = options_split(options, split, texts);
    assert_int_equal(ops->create(&host, split, count, &fake->model, &error), 0);
    assert_null(error);
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    assert_ptr_equal(fake->model->ops, ops);
    assert_true(fake->model->shape.timer_count <= FAKE_TIMERS);
    fake->timer_limit = fake->model->shape.timer_count;

    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        const struct model_bar *shape = &fake->model->shape.bars[bar];
        for (unsigned range = 0; range < shape->direct_count; range++) {
            fake->attached[bar][range] = aligned_alloc(4096, shape->direct[range].bytes);
            memset(fake->attached[bar][range], 0, shape->direct[range].bytes);
            ops->attach_memory(fake->model, bar, range, fake->attached[bar][range]);
        }
    }
}

void fake_stop(struct fake_host *fake)
{
    while (fake_storage_step(fake, 0)) {
    }
    fake->model->ops->destroy(fake->model);
    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        for (unsigned range = 0; range < MODEL_MAX_RANGES; range++)
            free(fake->attached[bar][range]);
    }
    free(fake->memory);
    storages_free(fake);
}

void fake_expect_refused(const char *name, const char *const *options, const char *text)
{
    struct model_option split[MAX_OPTIONS];
    char *texts[MAX_OPTIONS];
    struct model *model = NULL;
    char *error = NULL;
    struct fake_host fake = {0};
    const struct model_host host = {&host_ops, &fake};

    size_t count = options_split(options, split, texts);
    assert_int_equal(model_find(name)->create(&host, split, count, &model, &error), -EINVAL);
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    assert_null(model);
    assert_non_null(error);
    assert_string_equal(error, text);
    free(error);
    storages_free(&fake);
}

static int next_timer(const struct fake_host *fake)
{
    int next = -1;
    for (int i = 0; i < FAKE_TIMERS; i++) {
        if (fake->is_armed[i] && (next < 0 || fake->deadline_ns[i] < fake->deadline_ns[next]))
            next = i;
    }
    return next;
}

static void fire(struct fake_host *fake, int timer)
{
    fake->is_armed[timer] = false;
    if (fake->deadline_ns[timer] > fake->now_ns)
        fake->now_ns = fake->deadline_ns[timer];
    fake->model->ops->timer(fake->model, (unsigned)timer);
}

/* The host's thread that watches: one call. */
static void look(struct fake_host *fake)
{
    fake->is_woken = false;
    uint64_t wait = fake->model->ops->poll(fake->model);
    fake->poll_wait_ns = wait;
    fake->poll_at_ns = wait < UINT64_MAX - fake->now_ns ? fake->now_ns + wait : UINT64_MAX;
    fake->polls++;
    if (wait == 0)
        fake->is_woken = true;
}

void fake_advance(struct fake_host *fake, uint64_t ns)
{
    uint64_t until = fake->now_ns + ns;

    for (;;) {
        int timer = next_timer(fake);
        uint64_t timer_at = timer >= 0 ? fake->deadline_ns[timer] : UINT64_MAX;
        uint64_t poll_at = fake->is_woken ? fake->now_ns : fake->poll_at_ns;
        if (fake->model->ops->poll == NULL)
            poll_at = UINT64_MAX;
        if (poll_at > until && timer_at > until)
            break;
        if (timer_at <= poll_at) {
            fire(fake, timer);
        } else {
            fake->now_ns = poll_at > fake->now_ns ? poll_at : fake->now_ns;
            look(fake);
        }
    }
    fake->now_ns = until;
}

unsigned fake_run(struct fake_host *fake, unsigned limit)
{
    unsigned fired = 0;
    int timer;

    while (fired < limit && (timer = next_timer(fake)) >= 0) {
        fire(fake, timer);
        fired++;
    }
    while (fired < limit && fake->is_woken) {
        look(fake);
        fired++;
    }
    return fired;
}

uint64_t fake_read(struct fake_host *fake, unsigned bar, uint64_t offset, unsigned width)
{
    uint64_t value = fake->model->ops->mmio_read(fake->model, bar, offset, width);
    assert_true((value & ~ones_of_width(width)) == 0);
    return value;
}

uint32_t *fake_direct(struct fake_host *fake, unsigned bar, uint64_t offset)
{
    const struct model_bar *shape = &fake->model->shape.bars[bar];
    for (unsigned i = 0; i < shape->direct_count; i++) {
        uint64_t inside = offset - shape->direct[i].offset;
        if (inside < shape->direct[i].bytes)
            return (uint32_t *)(void *)((uint8_t *)fake->attached[bar][i] + inside);
    }
    return NULL;
}

void fake_write(struct fake_host *fake, unsigned bar, uint64_t offset, unsigned width,
                uint64_t value)
{
    uint32_t *direct = fake_direct(fake, bar, offset);
    if (direct != NULL && fake->model->ops->direct_written != NULL) {
        memcpy(direct, &value, width);
        fake->model->ops->direct_written(fake->model, bar, offset, width);
        return;
    }
    fake->model->ops->mmio_write(fake->model, bar, offset, width, value);
}

uint32_t fake_config_read(struct fake_host *fake, unsigned offset, unsigned width)
{
    return config_space_read(fake->model->config, offset, width);
}

static unsigned power_control(const struct fake_host *fake)
{
    unsigned power = config_space_find(fake->model->config, CAPABILITY_POWER);
    return power != 0 ? config_space_get(fake->model->config, power + POWER_CONTROL, 2) : 0;
}

static bool initiates_flr(const struct fake_host *fake, unsigned offset, unsigned width,
                          uint32_t value)
{
    unsigned pcie = config_space_find(fake->model->config, CAPABILITY_PCIE);
    unsigned high_byte = pcie + PCIE_DEVICE_CONTROL + 1;
    return pcie != 0 && fake->model->shape.has_flr &&
           fake->model->config->answer == CONFIG_ANSWER_NORMAL && high_byte >= offset &&
           high_byte < offset + width && (value >> (8 * (high_byte - offset)) & 0x80) != 0;
}

void fake_config_write(struct fake_host *fake, unsigned offset, unsigned width, uint32_t value)
{
    bool is_flr = initiates_flr(fake, offset, width, value);
    unsigned before = power_control(fake);

    config_space_write(fake->model->config, offset, width, value);
    if (fake->model->ops->config_written != NULL)
        fake->model->ops->config_written(fake->model, offset, width);
    unsigned after = power_control(fake);
    if ((before & POWER_CONTROL_STATE) == 3 && (after & POWER_CONTROL_STATE) == 0 &&
        (after & POWER_CONTROL_NO_SOFT_RESET) == 0)
        fake_reset(fake, MODEL_RESET_POWER);
    else if (is_flr)
        fake_reset(fake, MODEL_RESET_FUNCTION);
}

void fake_reset(struct fake_host *fake, enum model_reset kind)
{
    memset(fake->is_armed, 0, sizeof(fake->is_armed));
    fake->is_woken = false;
    fake->model->ops->reset(fake->model, kind);
}

void fake_enable(struct fake_host *fake)
{
    fake_config_write(fake, CONFIG_COMMAND, 2, CONFIG_COMMAND_MEMORY | CONFIG_COMMAND_MASTER);
}

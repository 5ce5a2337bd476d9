/*
 * NVMe loads and their yardsticks, in rounds that take turns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"
#include "nvme_driver.h"
#include "plain_io.h"

enum { ROUNDS = 7, SUBJECTS = 7, BATCH = 64, LATENCIES = 1 << 19 };
enum {
    COPIES = 50,
    COPY_BATCHES = 400,
    DOORBELLS = 2000,
    COPY_BYTES = 4096,
    PAGE_BYTES = 4096,
    COPY_SPAN = 64 << 20
};

static const struct io_shape shapes[] = {
    {"random_read_4k_depth_1", false, true, 4096, 1},
    {"random_read_4k_depth_32", false, true, 4096, 32},
    {"random_read_4k_depth_128", false, true, 4096, 128},
    {"random_write_4k_depth_1", true, true, 4096, 1},
    {"random_write_4k_depth_32", true, true, 4096, 32},
    {"random_write_4k_depth_128", true, true, 4096, 128},
    {"sequential_read_128k", false, false, NVME_TRANSFER_MAX, 8},
    {"sequential_write_128k", true, false, NVME_TRANSFER_MAX, 8},
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Whoever does the same load: the device in memory, the one on the file, the yardsticks. */
struct subject {
    const char *key;
    io_run *run;
    void *context;
    struct io_place place;
    struct samples latencies;
    double rates[ROUNDS]; /* operations a second */
    struct io_count total;
};

struct controller {
    io_connect_t connection;
    clockid_t host_clock; /* what the host used of processors; embedded, the caller too */
    bool is_embedded;
    struct nvme nvme;
};

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "dextbench: %s: %s\n", what, why);
    return false;
}

static bool controller_connect(struct controller *controller, uint8_t bus, pid_t host)
{
    controller->is_embedded = host == 0;
    if (clock_getcpuclockid(host, &controller->host_clock) != 0) {
        return complain("dextd", "its processor time cannot be read");
    }
    controller->connection = apple_dext_connect(bus, 0, 0);
    kern_return_t code = apple_dext_claim(controller->connection);
    return code == KERN_SUCCESS || complain("cannot claim NVMe", apple_dext_status_text(code));
}

static bool controller_start(struct controller *controller, const struct io_shape *shape)
{
    const struct nvme_options options = {
        .queues = 1, .depth = shape->depth, .transfer_bytes = shape->bytes};
    const char *problem = nvme_open(&controller->nvme, controller->connection, &options);
    if (!problem) {
        problem = nvme_start(&controller->nvme);
    }
    if (!problem) {
        return true;
    }
    nvme_close(&controller->nvme);
    return complain("cannot start NVMe", problem);
}

static void issue(struct nvme_queue *queue, const struct io_shape *shape, struct io_place *place,
                  unsigned slot)
{
    nvme_transfer(queue, slot, shape->is_write ? NVME_WRITE : NVME_READ,
                  io_place_next(place, shape) / queue->nvme->block_bytes, shape->bytes, 0);
}

static double used_us(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double host_used_us(const struct controller *controller)
{
    return used_us(controller->host_clock) -
           (controller->is_embedded ? used_us(CLOCK_THREAD_CPUTIME_ID) : 0);
}

static bool controller_run(void *context, const struct io_shape *shape, struct io_place *place,
                           double us, struct samples *latencies, struct io_count *count)
{
    struct controller *controller = context;
    struct nvme_queue *queue = &controller->nvme.queues[1];
    double host_before = host_used_us(controller);
    double used_before = used_us(CLOCK_THREAD_CPUTIME_ID);
    double start = clock_us();
    double now = start;
    unsigned under_way = 0;

    *count = (struct io_count){0};
    for (; under_way < shape->depth; under_way++) {
        issue(queue, shape, place, under_way);
    }
    while (under_way > 0) {
        struct nvme_done done[BATCH];
        nvme_ring(queue);
        unsigned found = nvme_wait(queue, done, BATCH);
        if (found == 0) {
            return complain("NVMe", "no completion");
        }
        double end = clock_us();
        if (latencies) {
            samples_add(latencies, end - now);
        }
        now = end;
        for (unsigned i = 0; i < found; i++) {
            if (done[i].status != 0) {
                return complain("NVMe", "a command failed");
            }
            under_way--;
            if (now - start < us) {
                issue(queue, shape, place, done[i].slot);
                under_way++;
            }
        }
        count->operations += found;
    }
    count->us = now - start;
    count->host_us = host_used_us(controller) - host_before;
    count->client_us = used_us(CLOCK_THREAD_CPUTIME_ID) - used_before;
    return true;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void sort_rates(struct subject *subject)
{
    qsort(subject->rates, ROUNDS, sizeof(subject->rates[0]), compare);
}

/* The subjects take turns, so that all see the same machine. */
static bool run_rounds(const struct nvme_plan *plan, const struct io_shape *shape,
                       struct subject *subjects, unsigned count)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < count; i++) {
            struct subject *subject = &subjects[i];
            struct io_count done;
            if (!subject->run(subject->context, shape, &subject->place,
                              plan->seconds * 1e6 / ROUNDS,
                              shape->depth == 1 ? &subject->latencies : NULL, &done)) {
                return false;
            }
            subject->rates[round] = (double)done.operations * 1e6 / done.us;
            subject->total.operations += done.operations;
            subject->total.host_us += done.host_us;
            subject->total.client_us += done.client_us;
        }
    }
    return true;
}

/* The best round is the one that others on the machine disturbed least. */
static json_object *subject_json(struct subject *subject, const struct io_shape *shape)
{
    json_object *figures =
        shape->depth == 1 ? samples_json(&subject->latencies) : json_object_new_object();
    double best = subject->rates[ROUNDS - 1];

    json_object_object_add(figures, "iops", figure_json(best));
    json_object_object_add(figures, "iops_median", figure_json(subject->rates[ROUNDS / 2]));
    json_object_object_add(figures, "mb_per_s", figure_json(best * shape->bytes / 1e6));
    double operations = (double)subject->total.operations;
    if (subject->total.host_us > 0) {
        json_object_object_add(figures, "host_us",
                               figure_json(subject->total.host_us / operations));
    }
    json_object_object_add(figures, "client_us",
                           figure_json(subject->total.client_us / operations));
    return figures;
}

static double best_rate(const struct subject *subject)
{
    return subject->rates[ROUNDS - 1];
}

static const struct subject *subject_find(const struct subject *subjects, unsigned count,
                                          const char *key)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(subjects[i].key, key) == 0) {
            return &subjects[i];
        }
    }
    return NULL;
}

static void add_ratio(json_object *row, const char *name, const struct subject *ours,
                      const struct subject *plain)
{
    if (ours && plain) {
        json_object_object_add(row, name, figure_json(best_rate(ours) / best_rate(plain)));
    }
}

static json_object *row_of(const struct io_shape *shape, struct subject *subjects, unsigned count)
{
    json_object *row = json_object_new_object();

    json_object_object_add(row, "name", json_object_new_string(shape->name));
    json_object_object_add(row, "bytes", json_object_new_uint64(shape->bytes));
    json_object_object_add(row, "depth", json_object_new_uint64(shape->depth));
    for (unsigned i = 0; i < count; i++) {
        sort_rates(&subjects[i]);
        json_object_object_add(row, subjects[i].key, subject_json(&subjects[i], shape));
    }
    add_ratio(row, "file_to_plain", subject_find(subjects, count, "file"),
              subject_find(subjects, count, "plain"));
    add_ratio(row, "direct_to_plain", subject_find(subjects, count, "direct"),
              subject_find(subjects, count, "plain_direct"));
    return row;
}

/* The devices, and the files of their yardsticks. */
struct bench {
    struct controller memory, drive, direct;
    bool has_direct;
    int fd, direct_fd;
};

/* Who does the load, in turns; how many they are. */
static unsigned subjects_fill(struct bench *bench, struct plain_io *plain,
                              struct plain_io *plain_direct, struct subject *subjects)
{
    const struct io_place place = {.span = BENCH_FILE_BYTES, .random = 88172645463325252u};
    const struct io_place direct = {.span = BENCH_DIRECT_BYTES, .random = 88172645463325252u};
    const struct subject all[SUBJECTS] = {
        {.key = "memory", .run = controller_run, .context = &bench->memory, .place = place},
        {.key = "file", .run = controller_run, .context = &bench->drive, .place = place},
        {.key = "plain", .run = plain_io_run, .context = plain, .place = place},
        {.key = "io_uring", .run = uring_io_run, .context = plain, .place = place},
        {.key = "direct", .run = controller_run, .context = &bench->direct, .place = direct},
        {.key = "plain_direct", .run = plain_io_run, .context = plain_direct, .place = direct},
        {.key = "io_uring_direct", .run = uring_io_run, .context = plain_direct, .place = direct},
    };
    unsigned count = 0;

    for (unsigned i = 0; i < SUBJECTS; i++) {
        bool is_ring = all[i].run == uring_io_run;
        bool is_direct = all[i].place.span == BENCH_DIRECT_BYTES;
        if ((is_ring && uring_io_refusal()) || (is_direct && !bench->has_direct)) {
            continue;
        }
        subjects[count++] = all[i];
    }
    return count;
}

static bool controllers_start(struct bench *bench, const struct io_shape *shape)
{
    if (!controller_start(&bench->memory, shape)) {
        return false;
    }
    if (!controller_start(&bench->drive, shape)) {
        goto close_memory;
    }
    if (!bench->has_direct || controller_start(&bench->direct, shape)) {
        return true;
    }
    nvme_close(&bench->drive.nvme);
close_memory:
    nvme_close(&bench->memory.nvme);
    return false;
}

static void controllers_stop(struct bench *bench)
{
    if (bench->has_direct) {
        nvme_close(&bench->direct.nvme);
    }
    nvme_close(&bench->drive.nvme);
    nvme_close(&bench->memory.nvme);
}

/* Everything of one load: NULL with one line. */
static json_object *measure_shape(const struct nvme_plan *plan, const struct io_shape *shape,
                                  struct bench *bench)
{
    size_t bytes = (size_t)shape->depth * shape->bytes;
    uint8_t *buffers = aligned_alloc(PAGE_BYTES, bytes);
    struct plain_io plain = {.fd = bench->fd, .buffers = buffers};
    struct plain_io plain_direct = {.fd = bench->direct_fd, .buffers = buffers};
    struct subject subjects[SUBJECTS];
    unsigned count = subjects_fill(bench, &plain, &plain_direct, subjects);
    json_object *row = NULL;

    bool ok = buffers != NULL;
    if (ok) {
        memset(buffers, 0, bytes);
    }
    for (unsigned i = 0; i < count; i++) {
        ok = samples_create(&subjects[i].latencies, shape->depth == 1 ? LATENCIES : 1) && ok;
    }
    ok = ok && controllers_start(bench, shape);
    if (ok) {
        row = run_rounds(plan, shape, subjects, count) ? row_of(shape, subjects, count) : NULL;
        controllers_stop(bench);
    }
    for (unsigned i = 0; i < count; i++) {
        samples_destroy(&subjects[i].latencies);
    }
    free(buffers);
    return row;
}

/* Microseconds to copy 4 KiB from somewhere in memory, which no transfer can do without. */
static json_object *copy_cost(void)
{
    static uint8_t target[COPY_BYTES];
    const struct io_shape shape = {"copy", false, true, COPY_BYTES, 1};
    struct io_place place = {.span = COPY_SPAN, .random = 88172645463325252u};
    uint8_t *memory = malloc(COPY_SPAN);
    struct samples samples;
    json_object *figures = NULL;

    bool ok = samples_create(&samples, COPY_BATCHES) && memory;
    if (ok) {
        memset(memory, 1, COPY_SPAN);
    }
    for (unsigned i = 0; ok && i < COPY_BATCHES; i++) {
        double start = clock_us();
        for (unsigned n = 0; n < COPIES; n++) {
            memcpy(target, memory + io_place_next(&place, &shape), COPY_BYTES);
            __asm__ volatile("" : : "r"(target) : "memory"); /* every copy is for somebody */
        }
        samples_add(&samples, (clock_us() - start) / COPIES);
    }
    if (ok) {
        figures = samples_json(&samples);
    }
    samples_destroy(&samples);
    free(memory);
    return figures;
}

/* Microseconds a doorbell costs its driver; what two looks at the clock cost is taken off. */
static bool measure_doorbell(struct controller *controller, json_object *figures)
{
    const struct nvme_command flush = {.opcode = NVME_FLUSH, .nsid = 1};
    const struct io_shape shape = {"doorbell", false, true, 4096, 1};
    struct samples samples;
    struct nvme_done done;
    double start = clock_us();

    for (unsigned i = 0; i < DOORBELLS; i++) {
        clock_us();
    }
    double clock_cost = (clock_us() - start) / DOORBELLS;
    if (!controller_start(controller, &shape)) {
        return false;
    }
    struct nvme_queue *queue = &controller->nvme.queues[1];
    bool ok = samples_create(&samples, DOORBELLS);
    for (unsigned i = 0; ok && i < DOORBELLS; i++) {
        nvme_submit(queue, 0, &flush);
        start = clock_us();
        nvme_ring(queue);
        double cost = clock_us() - start - clock_cost;
        samples_add(&samples, cost > 0 ? cost : 0);
        ok = nvme_wait(queue, &done, 1) == 1 || complain("NVMe", "no completion");
    }
    if (ok) {
        json_object_object_add(figures, "doorbell", samples_json(&samples));
    }
    samples_destroy(&samples);
    nvme_close(&controller->nvme);
    return ok;
}

/* Every page of the namespace has been written once: what was never written is one page of zeros.
 */
static bool fill_memory(struct controller *controller)
{
    static const struct io_shape shape = {"fill", true, false, NVME_TRANSFER_MAX, 8};
    struct io_place place = {.span = BENCH_FILE_BYTES};
    struct io_count done;
    bool ok = controller_start(controller, &shape);

    if (!ok) {
        return false;
    }
    while (ok && place.next < BENCH_FILE_BYTES / NVME_TRANSFER_MAX) {
        ok = controller_run(controller, &shape, &place, 1e4, NULL, &done);
    }
    nvme_close(&controller->nvme);
    return ok;
}

/* What processor time comes to: commands a second of a processor that does nothing else, of the
 * host's alone and of both sides', and how many copies of the same bytes a command takes. */
static void add_core_figures(json_object *row, double copy_4k_us)
{
    static const char *const keys[] = {"memory", "file",         "plain",          "io_uring",
                                       "direct", "plain_direct", "io_uring_direct"};
    double copy_us = copy_4k_us * number_of(row, "bytes") / COPY_BYTES;

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        json_object *figures = member(row, keys[i]);
        double host_us = number_of(figures, "host_us");
        double both_us = host_us + number_of(figures, "client_us");
        if (host_us > 0 && copy_us > 0) {
            json_object_object_add(figures, "host_iops_per_core", figure_json(1e6 / host_us));
            json_object_object_add(figures, "host_to_copy", figure_json(host_us / copy_us));
        }
        if (both_us > 0 && copy_us > 0) {
            json_object_object_add(figures, "iops_per_core", figure_json(1e6 / both_us));
            json_object_object_add(figures, "to_copy", figure_json(both_us / copy_us));
        }
    }
}

static bool measure_all(const struct nvme_plan *plan, struct bench *bench, json_object *figures)
{
    const char *refusal = uring_io_refusal();
    json_object *rows = json_object_new_array();

    json_object_object_add(figures, "rows", rows);
    json_object_object_add(figures, "io_uring_refusal",
                           refusal ? json_object_new_string(refusal) : NULL);
    json_object_object_add(figures, "has_direct", json_object_new_boolean(bench->has_direct));
    json_object_object_add(figures, "copy_4k", copy_cost());
    if (!fill_memory(&bench->memory) || !measure_doorbell(&bench->memory, figures)) {
        return false;
    }
    for (size_t i = 0; i < SHAPES; i++) {
        if (!strstr(shapes[i].name, plan->load)) {
            continue;
        }
        json_object *row = measure_shape(plan, &shapes[i], bench);
        if (!row) {
            return false;
        }
        add_core_figures(row, number_of(member(figures, "copy_4k"), "p50_us"));
        json_object_array_add(rows, row);
    }
    return true;
}

bool nvme_has_load(const char *text)
{
    for (size_t i = 0; i < SHAPES; i++) {
        if (strstr(shapes[i].name, text)) {
            return true;
        }
    }
    return false;
}

static int file_open(const char *path, int flags)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | flags);
    if (fd < 0) {
        complain(path, strerror(errno));
    }
    return fd;
}

json_object *nvme_measure(const struct nvme_plan *plan, struct bench_files *files)
{
    static struct bench bench;
    json_object *figures = json_object_new_object();

    bench = (struct bench){.has_direct = files->direct.path[0] != '\0', .direct_fd = -1};
    bench.fd = file_open(files->cached.path, 0);
    if (bench.has_direct) {
        bench.direct_fd = file_open(files->direct.path, O_DIRECT);
    }
    bench_files_remove(
        files); /* the host has them open too: they go with both, however that ends */
    bool ok = bench.fd >= 0 && (!bench.has_direct || bench.direct_fd >= 0) &&
              controller_connect(&bench.memory, 3, plan->host) &&
              controller_connect(&bench.drive, 4, plan->host) &&
              (!bench.has_direct || controller_connect(&bench.direct, 5, plan->host)) &&
              measure_all(plan, &bench, figures);
    apple_dext_disconnect(bench.memory.connection);
    apple_dext_disconnect(bench.drive.connection);
    apple_dext_disconnect(bench.direct.connection);
    if (bench.fd >= 0) {
        close(bench.fd);
    }
    if (bench.direct_fd >= 0) {
        close(bench.direct_fd);
    }
    if (!ok) {
        json_object_put(figures);
        return NULL;
    }
    return figures;
}

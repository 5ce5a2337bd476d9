/*
 * Reads and writes a disk with many requests in flight: checked patterns, and figures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * usage: guestio write|verify|read|randread|randwrite FILE [NAME=NUMBER]...
 * `write` and `verify` go over the range once, with a pattern that depends on seed and place;
 * the others go on for `seconds` and give figures. It runs on the host as well as in the guest. The
 * kernel's own AIO calls are used as they are, so that a static program is all a guest needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define UNIT        4096u
#define MAX_DEPTH   256u
#define MAX_THREADS 64u

enum number { OFFSET, SIZE, BLOCK, DEPTH, THREADS, SEED, SECONDS, DIRECT, SYNC, NUMBERS };

/* Size 0: to the end. Depth is a thread's. */
static const struct {
    const char *name;
    uint64_t standard;
} number_table[NUMBERS] = {
    [OFFSET] = {"offset", 0},   [SIZE] = {"size", 0},       [BLOCK] = {"block", UNIT},
    [DEPTH] = {"depth", 8},     [THREADS] = {"threads", 1}, [SEED] = {"seed", 1},
    [SECONDS] = {"seconds", 0}, [DIRECT] = {"direct", 1},   [SYNC] = {"sync", 0},
};

struct job {
    const char *file, *operation;
    bool writes, random, checks, once;
    uint64_t numbers[NUMBERS];
};

/* One thread, on a CPU of its own, with its own part of the range. */
struct worker {
    const struct job *job;
    pthread_t thread;
    unsigned int index;
    int fd, error;
    uint64_t first, bytes, next, random_state, end_ns;
    uint64_t done, sum_ns, worst_ns, mismatches, first_mismatch;
    aio_context_t context;
    struct iocb requests[MAX_DEPTH];
    uint64_t started_ns[MAX_DEPTH];
    uint8_t *buffers;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* splitmix64 */
static uint64_t mix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Every unit of the disk has a sequence of its own, so that a block in a wrong place is seen. */
static void fill(uint8_t *buffer, uint64_t place, uint64_t bytes, uint64_t seed)
{
    for (uint64_t unit = 0; unit < bytes; unit += UNIT) {
        uint64_t state = seed * 0x100000001b3u + (place + unit) / UNIT;

        for (unsigned int i = 0; i < UNIT; i += 8) {
            uint64_t word = mix(&state);

            memcpy(buffer + unit + i, &word, 8);
        }
    }
}

static void check(struct worker *worker, const uint8_t *buffer, uint64_t place, uint64_t bytes)
{
    uint8_t wanted[UNIT];

    for (uint64_t unit = 0; unit < bytes; unit += UNIT) {
        fill(wanted, place + unit, UNIT, worker->job->numbers[SEED]);
        if (memcmp(buffer + unit, wanted, UNIT) != 0) {
            if (worker->mismatches++ == 0)
                worker->first_mismatch = place + unit;
        }
    }
}

/* Puts the next request into a slot; false when there is no more to do. */
static bool prepare(struct worker *worker, unsigned int slot)
{
    const uint64_t *numbers = worker->job->numbers;
    uint64_t block = numbers[BLOCK], blocks = worker->bytes / block, place;
    struct iocb *request = &worker->requests[slot];

    if (worker->job->once ? worker->next >= blocks : now_ns() >= worker->end_ns)
        return false;
    place = worker->job->random ? mix(&worker->random_state) % blocks : worker->next++ % blocks;
    *request = (struct iocb){
        .aio_data = slot,
        .aio_lio_opcode = worker->job->writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
        .aio_fildes = (uint32_t)worker->fd,
        .aio_buf = (uintptr_t)(worker->buffers + slot * block),
        .aio_nbytes = block,
        .aio_offset = (int64_t)(worker->first + place * block),
    };
    if (worker->job->writes && worker->job->once)
        fill(worker->buffers + slot * block, (uint64_t)request->aio_offset, block, numbers[SEED]);
    worker->started_ns[slot] = now_ns();
    return true;
}

static int submit(struct worker *worker, unsigned int slot)
{
    struct iocb *request = &worker->requests[slot];

    if (syscall(SYS_io_submit, worker->context, 1, &request) != 1)
        return errno ? errno : EIO;
    return 0;
}

static int finish(struct worker *worker, const struct io_event *event)
{
    const struct iocb *request = &worker->requests[event->data];
    uint64_t took_ns = now_ns() - worker->started_ns[event->data];

    if (event->res != (int64_t)request->aio_nbytes)
        return event->res < 0 ? (int)-event->res : EIO;
    worker->done++;
    worker->sum_ns += took_ns;
    if (took_ns > worker->worst_ns)
        worker->worst_ns = took_ns;
    if (worker->job->checks)
        check(worker, (const uint8_t *)(uintptr_t)request->aio_buf, (uint64_t)request->aio_offset,
              request->aio_nbytes);
    return 0;
}

/* Keeps `depth` requests in flight until all is done; after an error only what is in flight ends.
 */
static int transfer(struct worker *worker)
{
    unsigned int in_flight = 0;
    int error = 0;

    for (unsigned int slot = 0; slot < worker->job->numbers[DEPTH]; slot++) {
        if (error || !prepare(worker, slot))
            break;
        error = submit(worker, slot);
        in_flight += error == 0;
    }
    while (in_flight > 0) {
        struct io_event events[MAX_DEPTH];
        long count = syscall(SYS_io_getevents, worker->context, 1, MAX_DEPTH, events, NULL);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return errno ? errno : EIO;
        for (long i = 0; i < count; i++) {
            int failed = finish(worker, &events[i]);

            in_flight--;
            error = error ? error : failed;
            if (!error && prepare(worker, (unsigned int)events[i].data)) {
                error = submit(worker, (unsigned int)events[i].data);
                in_flight += error == 0;
            }
        }
    }
    return error;
}

static void *work(void *context)
{
    struct worker *worker = context;
    const uint64_t *numbers = worker->job->numbers;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int flags = (worker->job->writes ? O_WRONLY : O_RDONLY) | (numbers[DIRECT] ? O_DIRECT : 0);
    cpu_set_t cpu;

    CPU_ZERO(&cpu);
    CPU_SET(worker->index % (cpus > 0 ? (unsigned long)cpus : 1), &cpu);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
    worker->random_state = numbers[SEED] + worker->index;
    worker->fd = open(worker->job->file, flags | O_CLOEXEC);
    if (worker->fd < 0 ||
        posix_memalign((void **)&worker->buffers, UNIT, numbers[DEPTH] * numbers[BLOCK]) != 0 ||
        syscall(SYS_io_setup, MAX_DEPTH, &worker->context) != 0) {
        worker->error = errno ? errno : ENOMEM;
        return NULL;
    }
    memset(worker->buffers, 0x5a, numbers[DEPTH] * numbers[BLOCK]);
    worker->end_ns = now_ns() + numbers[SECONDS] * 1000000000u;
    worker->error = transfer(worker);
    if (!worker->error && numbers[SYNC] && fsync(worker->fd) != 0)
        worker->error = errno;
    syscall(SYS_io_destroy, worker->context);
    free(worker->buffers);
    close(worker->fd);
    return NULL;
}

static int report(const struct job *job, const struct worker *workers, uint64_t took_ns)
{
    uint64_t done = 0, sum_ns = 0, worst_ns = 0, mismatches = 0, where = UINT64_MAX;
    int error = 0;

    for (unsigned int i = 0; i < job->numbers[THREADS]; i++) {
        const struct worker *worker = &workers[i];

        done += worker->done;
        sum_ns += worker->sum_ns;
        worst_ns = worker->worst_ns > worst_ns ? worker->worst_ns : worst_ns;
        mismatches += worker->mismatches;
        if (worker->mismatches > 0 && worker->first_mismatch < where)
            where = worker->first_mismatch;
        error = error ? error : worker->error;
    }
    printf("operation=%s block=%llu depth=%llu threads=%llu requests=%llu ns=%llu iops=%.0f "
           "mib_s=%.1f mean_us=%.1f worst_us=%.1f mismatches=%llu error=%d\n",
           job->operation, (unsigned long long)job->numbers[BLOCK],
           (unsigned long long)job->numbers[DEPTH], (unsigned long long)job->numbers[THREADS],
           (unsigned long long)done, (unsigned long long)took_ns,
           (double)done * 1e9 / (double)took_ns,
           (double)done * (double)job->numbers[BLOCK] / 1048576 * 1e9 / (double)took_ns,
           done ? (double)sum_ns / (double)done / 1e3 : 0, (double)worst_ns / 1e3,
           (unsigned long long)mismatches, error);
    if (mismatches > 0)
        fprintf(stderr, "guestio: wrong bytes from 0x%llx on\n", (unsigned long long)where);
    if (error)
        fprintf(stderr, "guestio: %s: %s\n", job->file, strerror(error));
    return error || mismatches > 0;
}

static int run(const struct job *job)
{
    struct worker *workers = calloc(job->numbers[THREADS], sizeof(*workers));
    uint64_t part = job->numbers[SIZE] / job->numbers[THREADS], started_ns = now_ns();
    int code;

    if (!workers)
        return 1;
    part -= part % job->numbers[BLOCK];
    for (unsigned int i = 0; i < job->numbers[THREADS]; i++) {
        workers[i] = (struct worker){
            .job = job, .index = i, .first = job->numbers[OFFSET] + i * part, .bytes = part};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort();
    }
    for (unsigned int i = 0; i < job->numbers[THREADS]; i++)
        pthread_join(workers[i].thread, NULL);
    code = report(job, workers, now_ns() - started_ns);
    free(workers);
    return code;
}

static int usage(const char *what)
{
    fprintf(stderr,
            "guestio: %s\n"
            "usage: guestio write|verify|read|randread|randwrite FILE [NAME=NUMBER]...\n",
            what);
    for (unsigned int i = 0; i < NUMBERS; i++)
        fprintf(stderr, "  %s=%llu\n", number_table[i].name,
                (unsigned long long)number_table[i].standard);
    return 2;
}

static bool set_number(struct job *job, const char *argument)
{
    for (unsigned int i = 0; i < NUMBERS; i++) {
        size_t length = strlen(number_table[i].name);
        char *end;

        if (strncmp(argument, number_table[i].name, length) != 0 || argument[length] != '=')
            continue;
        job->numbers[i] = strtoull(argument + length + 1, &end, 0);
        return end != argument + length + 1 && *end == '\0';
    }
    return false;
}

/* The range to its end when no size is given. */
static int complete(struct job *job)
{
    uint64_t *numbers = job->numbers;
    int fd = open(job->file, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

    if (fd >= 0)
        close(fd);
    if (end < 0) {
        fprintf(stderr, "guestio: %s: %s\n", job->file, strerror(errno));
        return 1;
    }
    if (numbers[SIZE] == 0 && numbers[OFFSET] < (uint64_t)end)
        numbers[SIZE] = (uint64_t)end - numbers[OFFSET];
    if (numbers[BLOCK] == 0 || numbers[BLOCK] % UNIT || numbers[BLOCK] > 64 * UNIT * UNIT ||
        numbers[OFFSET] % UNIT)
        return usage("block and offset are multiples of 4096");
    if (numbers[DEPTH] == 0 || numbers[DEPTH] > MAX_DEPTH || numbers[THREADS] == 0 ||
        numbers[THREADS] > MAX_THREADS)
        return usage("1 to 256 requests in flight, 1 to 64 threads");
    if (numbers[SIZE] / numbers[THREADS] < numbers[BLOCK])
        return usage("less than a block a thread");
    return 0;
}

int main(int argc, char **argv)
{
    struct job job = {0};
    int code;

    if (argc < 3)
        return usage("operation and file are missing");
    job.operation = argv[1];
    job.file = argv[2];
    job.checks = strcmp(job.operation, "verify") == 0;
    job.once = job.checks || strcmp(job.operation, "write") == 0;
    job.random = strncmp(job.operation, "rand", 4) == 0;
    job.writes = strstr(job.operation, "write") != NULL;
    if (!job.once && !job.random && strcmp(job.operation, "read") != 0)
        return usage("unknown operation");
    for (unsigned int i = 0; i < NUMBERS; i++)
        job.numbers[i] = number_table[i].standard;
    for (int i = 3; i < argc; i++)
        if (!set_number(&job, argv[i]))
            return usage(argv[i]);
    if (!job.once && job.numbers[SECONDS] == 0)
        job.numbers[SECONDS] = 1;
    code = complete(&job);
    return code ? code : run(&job);
}

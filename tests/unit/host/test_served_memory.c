/*
 * Memory that a client serves: which regions it is, and every way a client may answer or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <IOKit/IOReturn.h>

#include "client_memory_fixture.h"
#include "host/served_memory.h"
#include "wire/message.h"
#include "wire/protocol.h"

#define BASE        UINT64_C(0x700000000000) /* nothing is there, nor need be */
#define BYTES       UINT64_C(0x40000)
#define PATIENCE_MS 60000 /* for answers that come */
#define SHORT_MS    150   /* for those that do not */
#define MS          UINT64_C(1000000)

enum manner {
    PLAIN,
    REFUSE,       /* a status */
    SILENT,       /* no answer */
    LATE,         /* the right answer, when the access is over */
    TRICKLE,      /* the right answer, a byte at a time, until then */
    SHORT,        /* a byte less */
    LONG,         /* a byte more */
    OTHER_ANSWER, /* to another request */
    OTHER_TYPE,   /* to another kind of request */
    EXTRA_FD,     /* the right answer and a descriptor */
    RUBBISH,      /* no frame */
    DIE_IN_FRAME, /* half a header, then the end */
    HANG_UP,      /* the end */
    MANNERS,
    DEAF = MANNERS, /* one right answer, then it does not even read */
};

struct client {
    struct served_memories served;
    uint64_t id;
    int fd; /* the client's end */
    pthread_t thread;
    _Atomic int manner;
    atomic_bool is_over; /* the access that is answered late */
    atomic_uint requests;
    uint64_t last_address, last_length;
    unsigned char bytes[BYTES];
};

static void send_part(int fd, const void *bytes, size_t length)
{
    if (send(fd, bytes, length, MSG_NOSIGNAL) < 0) {
        shutdown(fd, SHUT_RDWR);
    }
}

/* Header and payload of a reply, one byte a millisecond. */
static void trickle(struct client *client, const struct wire_message *reply)
{
    struct wire_header header = reply->header;
    header.payload_bytes = (uint32_t)reply->length;
    for (size_t i = 0; i < sizeof(header) + reply->length && !client->is_over; i++) {
        const unsigned char *from = i < sizeof(header) ? (unsigned char *)&header + i
                                                       : reply->payload + (i - sizeof(header));
        nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
        send_part(client->fd, from, 1);
    }
}

static bool answer(struct client *client, struct wire_message *reply)
{
    static const char rubbish[256] = "no frame";
    const int manner = client->manner;
    switch (manner) {
    case REFUSE:
        reply->length = 0;
        reply->header.status = kIOReturnNoDevice;
        break;
    case SILENT:
        return true;
    case LATE:
        while (!client->is_over) {
            nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
        }
        break;
    case TRICKLE:
        trickle(client, reply);
        return true;
    case SHORT:
        reply->length -= reply->length > 0;
        break;
    case LONG:
        wire_put_bytes(reply, rubbish, 1);
        break;
    case OTHER_ANSWER:
        reply->header.sequence++;
        break;
    case OTHER_TYPE:
        reply->header.type ^= 1;
        break;
    case EXTRA_FD:
        wire_put_fd(reply, dup(0));
        break;
    case RUBBISH:
        send_part(client->fd, rubbish, sizeof(rubbish));
        return true;
    case DIE_IN_FRAME:
        send_part(client->fd, &reply->header, 16);
        return false;
    case HANG_UP:
        return false;
    default:
        break;
    }
    wire_send(client->fd, reply);
    return true;
}

static void serve(struct client *client, struct wire_message *request, struct wire_message *reply)
{
    client->last_address = wire_get_u64(request);
    client->last_length = wire_get_u64(request);
    uint64_t offset = client->last_address - BASE;
    uint64_t length = client->last_length;
    client->requests++;
    wire_message_answer(reply, request);
    if (offset > BYTES || length > BYTES - offset) {
        reply->header.status = kIOReturnBadArgument;
    } else if (request->header.type == WIRE_MEMORY_READ) {
        wire_put_bytes(reply, client->bytes + offset, length);
    } else {
        memcpy(client->bytes + offset, wire_get_bytes(request, length), length);
    }
}

static void *client_main(void *opaque)
{
    struct client *client = opaque;
    struct wire_message request;
    struct wire_message reply;
    bool goes_on = true;
    wire_message_init(&request);
    wire_message_init(&reply);
    while (goes_on && wire_receive(client->fd, &request) == 0) {
        serve(client, &request, &reply);
        goes_on = answer(client, &reply);
        while (client->manner == DEAF) {
            nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
        }
    }
    shutdown(client->fd, SHUT_RDWR);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return NULL;
}

static struct client *client_start(uint64_t patience_ms)
{
    struct client *client = calloc(1, sizeof(*client));
    for (size_t i = 0; i < BYTES; i++) {
        client->bytes[i] = (unsigned char)(i * 7 + (i >> 8));
    }
    served_memories_init(&client->served, getpid(), patience_ms * MS);
    assert_int_equal(served_channel_open(&client->served, &client->id, &client->fd), 0);
    assert_int_equal(pthread_create(&client->thread, NULL, client_main, client), 0);
    return client;
}

static void client_stop(struct client *client)
{
    client->manner = PLAIN;
    client->is_over = true;
    served_memories_destroy(&client->served);
    pthread_join(client->thread, NULL);
    close(client->fd);
    free(client);
}

static int set_up(void **state)
{
    struct client *client = client_start(PATIENCE_MS);
    assert_int_equal(served_range_add(&client->served, client->id, BASE, BYTES), 0);
    *state = client;
    return 0;
}

static int set_up_short(void **state)
{
    struct client *client = client_start(SHORT_MS);
    assert_int_equal(served_range_add(&client->served, client->id, BASE, BYTES), 0);
    *state = client;
    return 0;
}

static int tear_down(void **state)
{
    client_stop(*state);
    return 0;
}

static struct dma_memory *region(struct client *client, uint64_t offset, uint64_t bytes)
{
    struct dma_memory *memory = NULL;
    assert_int_equal(served_memory_create(&client->served, BASE + offset, bytes, &memory), 0);
    assert_int_equal(memory->bytes, bytes);
    assert_int_equal(memory->page_offset, (BASE + offset) & 16383);
    return memory;
}

static uint64_t now_ms(void)
{
    return wire_now_ns() / MS;
}

static void bytes_go_both_ways(void **state)
{
    static const uint64_t lengths[] = {1, 8, 4096, 65535, 65536, 65537, 3 * 65536 + 17};
    static unsigned char got[BYTES];
    struct client *client = *state;
    struct dma_memory *memory = region(client, 5, BYTES - 5);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        unsigned before = client->requests;
        assert_int_equal(memory->ops->read(memory, 11, got, lengths[i]), 0);
        assert_memory_equal(got, client->bytes + 16, lengths[i]);
        /* At most 64 KiB a request, none larger than need be. */
        assert_int_equal(client->requests - before, (lengths[i] + 65535) / 65536);
        memset(got, (int)i, lengths[i]);
        assert_int_equal(memory->ops->write(memory, 3, got, lengths[i]), 0);
        assert_memory_equal(client->bytes + 8, got, lengths[i]);
        assert_int_equal(client->bytes[7], (unsigned char)(7 * 7));
    }
    release(memory);
}

static void regions_are_in_one_range_or_none(void **state)
{
    struct client *client = *state;
    struct served_memories *served = &client->served;
    struct dma_memory *memory = NULL;
    const struct {
        uint64_t address, bytes;
        int error;
    } rows[] = {
        {BASE - 0x1000, 0x1000, -ENOENT},
        {BASE + BYTES, 1, -ENOENT},
        {1, 1, -ENOENT},
        {UINT64_MAX, 1, -ENOENT},
        {BASE - 1, 2, -EFAULT},
        {BASE + BYTES - 1, 2, -EFAULT},
        {BASE - 1, BYTES + 2, -EFAULT},
        {1, UINT64_MAX, -EFAULT},
        {BASE, BYTES, 0},
        {BASE + BYTES - 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(served_memory_create(served, rows[i].address, rows[i].bytes, &memory),
                         rows[i].error);
        if (!rows[i].error) {
            release(memory);
        }
    }
    /* Two ranges side by side are two. */
    assert_int_equal(served_range_add(served, client->id, BASE + BYTES, 4096), 0);
    assert_int_equal(served_memory_create(served, BASE + BYTES - 8, 16, &memory), -EFAULT);
    assert_int_equal(served_memory_create(served, BASE + BYTES, 4096, &memory), 0);
    release(memory);
}

static void ranges_are_checked(void **state)
{
    struct client *client = *state;
    struct served_memories *served = &client->served;
    const struct {
        uint64_t id, address, bytes;
        int error;
    } rows[] = {
        {client->id, 0, 4096, -EINVAL},        {client->id, 4096, 0, -EINVAL},
        {client->id, UINT64_MAX, 2, -EINVAL},  {client->id, 4096, UINT64_MAX, -EINVAL},
        {client->id + 1, 4096, 4096, -ENOENT}, {client->id, BASE, BYTES, -EEXIST},
        {client->id, BASE - 1, 2, -EEXIST},    {client->id, BASE + BYTES - 1, 1, -EEXIST},
        {client->id, BASE + 100, 1, -EEXIST},  {client->id, BASE - 1, BYTES + 2, -EEXIST},
        {client->id, BASE - 1, 1, 0},          {client->id, BASE + BYTES, 1, 0},
        {client->id, UINT64_MAX, 1, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(served_range_add(served, rows[i].id, rows[i].address, rows[i].bytes),
                         rows[i].error);
    }
    assert_int_equal(served_range_withdraw(served, BASE + 1), -ENOENT);
    assert_int_equal(served_range_withdraw(served, BASE), 0);
    assert_int_equal(served_range_withdraw(served, BASE), -ENOENT);
    assert_int_equal(served_range_add(served, client->id, BASE, BYTES), 0);
}

static void limits_hold(void **state)
{
    struct client *client = *state;
    struct served_memories *served = &client->served;
    uint64_t ids[SERVED_MAX_CHANNELS];
    int fds[SERVED_MAX_CHANNELS];
    uint64_t id;
    int fd = -1;
    for (unsigned i = 1; i < SERVED_MAX_CHANNELS; i++) {
        assert_int_equal(served_channel_open(served, &ids[i], &fds[i]), 0);
    }
    assert_int_equal(served_channel_open(served, &id, &fd), -ENOSPC);
    for (unsigned i = 1; i < SERVED_MAX_CHANNELS; i++) {
        assert_int_equal(served_channel_close(served, ids[i]), 0);
        assert_int_equal(served_channel_close(served, ids[i]), -ENOENT);
        close(fds[i]);
    }
    assert_int_equal(served_channel_open(served, &id, &fd), 0);
    close(fd);
    for (uint64_t i = 1; i < SERVED_MAX_RANGES; i++) {
        assert_int_equal(served_range_add(served, client->id, i * 4096, 4096), 0);
    }
    assert_int_equal(served_range_add(served, client->id, BASE + BYTES, 1), -ENOSPC);
    assert_int_equal(served_channel_close(served, client->id), 0);
    assert_int_equal(served_range_add(served, id, BASE, 1), 0);
}

/* What a client says no to is a fault and nothing more. */
static void a_refusal_is_a_fault(void **state)
{
    struct client *client = *state;
    struct dma_memory *memory = region(client, 0, BYTES);
    client->manner = REFUSE;
    assert_int_equal(device_reads(memory, 0), -EFAULT);
    assert_int_equal(device_writes(memory, 0, 1), -EFAULT);
    client->manner = PLAIN;
    assert_int_equal(device_reads(memory, 1), 7);
    release(memory);
}

/* Nobody is asked again, nor waits; where that took long, the machine was away, and it does not
 * each time. */
static void check_dead_channel(struct client *client, struct dma_memory *memory)
{
    struct dma_memory *later = NULL;
    uint64_t shortest = UINT64_MAX;
    unsigned requests = client->requests;
    for (int attempt = 0; attempt < 100 && shortest >= SHORT_MS; attempt++) {
        uint64_t begin = now_ms();
        assert_int_equal(device_reads(memory, 0), -EFAULT);
        shortest = now_ms() - begin;
    }
    assert_true(shortest < SHORT_MS);
    assert_int_equal(client->requests, requests);
    assert_int_equal(served_memory_create(&client->served, BASE, 1, &later), -EFAULT);
    assert_int_equal(served_range_add(&client->served, client->id, 4096, 1), -ENOTCONN);
}

static void check_bad_answer(enum manner manner, bool is_write)
{
    static unsigned char bytes[50000]; /* in one request; trickled, most of a minute */
    bool has_none = manner == SILENT || manner == LATE || manner == TRICKLE;
    struct client *client = client_start(has_none ? SHORT_MS : PATIENCE_MS);
    assert_int_equal(served_range_add(&client->served, client->id, BASE, BYTES), 0);
    struct dma_memory *memory = region(client, 0, BYTES);
    client->manner = manner;
    uint64_t begin = now_ms();
    assert_int_equal(is_write ? memory->ops->write(memory, 0, bytes, sizeof(bytes))
                              : memory->ops->read(memory, 0, bytes, sizeof(bytes)),
                     -EFAULT);
    uint64_t took = now_ms() - begin;
    if (has_none) {
        assert_true(took >= SHORT_MS - 1);
    }
    client->is_over = true; /* the late answer is nobody's */
    check_dead_channel(client, memory);
    release(memory);
    client_stop(client);
}

/* Any other answer, and none, is the end of the channel: with everything it serves, and soon. */
static void a_bad_answer_is_the_end(void **state)
{
    unsigned fds = count_fds();
    (void)state;
    for (enum manner manner = SILENT; manner < MANNERS; manner++) {
        check_bad_answer(manner, false);
        /* The answer to a write is a header: nothing is shorter, and a trickle is soon over. */
        if (manner != SHORT && manner != TRICKLE) {
            check_bad_answer(manner, true);
        }
        assert_int_equal(count_fds(), fds);
    }
}

/* Answers the first part of an access, and then stops reading. */
static void a_client_that_stops_inside_an_access(void **state)
{
    static unsigned char bytes[BYTES];
    struct client *client = *state;
    struct dma_memory *memory = region(client, 0, BYTES);
    client->manner = DEAF;
    assert_int_equal(memory->ops->write(memory, 0, bytes, BYTES), -EFAULT);
    release(memory);
}

struct access {
    struct dma_memory *memory;
    pthread_t thread;
    int result;
    atomic_bool is_done;
};

static void *access_main(void *opaque)
{
    struct access *access = opaque;
    access->result = device_reads(access->memory, 1);
    access->is_done = true;
    return NULL;
}

static void access_start(struct access *access, struct dma_memory *memory)
{
    access->memory = memory;
    access->is_done = false;
    assert_int_equal(pthread_create(&access->thread, NULL, access_main, access), 0);
}

static void wait_for_requests(struct client *client, unsigned count)
{
    for (int i = 0; i < PATIENCE_MS && client->requests < count; i++) {
        nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
    }
    assert_true(client->requests >= count);
}

enum { CUT, CLOSE_CHANNEL };

/* Three that wait, one for the answer and two for their turn, end when the client does. */
static void an_end_ends_waits(void **state)
{
    (void)state;
    for (int how = CUT; how <= CLOSE_CHANNEL; how++) {
        struct access accesses[3];
        struct client *client = client_start(10 * PATIENCE_MS);
        assert_int_equal(served_range_add(&client->served, client->id, BASE, BYTES), 0);
        struct dma_memory *memory = region(client, 0, BYTES);
        client->manner = SILENT;
        for (size_t i = 0; i < 3; i++) {
            access_start(&accesses[i], memory);
        }
        wait_for_requests(client, 1);
        uint64_t begin = now_ms();
        if (how == CUT) {
            served_memories_cut(&client->served);
        } else {
            assert_int_equal(served_channel_close(&client->served, client->id), 0);
        }
        for (size_t i = 0; i < 3; i++) {
            pthread_join(accesses[i].thread, NULL);
            assert_int_equal(accesses[i].result, -EFAULT);
        }
        assert_true(now_ms() - begin < 5 * PATIENCE_MS);
        assert_int_equal(client->requests, 1);
        uint64_t id;
        int fd;
        if (how == CUT) {
            assert_int_equal(served_channel_open(&client->served, &id, &fd), -ESRCH);
        }
        release(memory);
        client_stop(client);
    }
}

/* One that takes long takes the time of those behind it, and only theirs. */
static void a_turn_that_does_not_come(void **state)
{
    struct access accesses[2];
    struct client *client = *state;
    struct dma_memory *memory = region(client, 0, BYTES);
    client->manner = SILENT;
    access_start(&accesses[0], memory);
    access_start(&accesses[1], memory);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(accesses[i].thread, NULL);
        assert_int_equal(accesses[i].result, -EFAULT);
    }
    assert_int_equal(client->requests, 1);
    release(memory);
}

static void *read_often(void *opaque)
{
    struct access *access = opaque;
    unsigned char bytes[300];
    access->result = 0;
    for (unsigned i = 0; i < 200 && !access->result; i++) {
        access->result = access->memory->ops->read(access->memory, i * 11, bytes, sizeof(bytes));
        for (size_t at = 0; at < sizeof(bytes); at++) {
            size_t where = i * 11 + at;
            if (bytes[at] != (unsigned char)(where * 7 + (where >> 8))) {
                access->result = 1;
            }
        }
    }
    return NULL;
}

static void many_devices_read_at_once(void **state)
{
    struct access accesses[4];
    struct client *client = client_start(PATIENCE_MS);
    (void)state;
    assert_int_equal(served_range_add(&client->served, client->id, BASE, BYTES), 0);
    struct dma_memory *memory = region(client, 0, BYTES);
    for (size_t i = 0; i < 4; i++) {
        accesses[i].memory = memory;
        assert_int_equal(pthread_create(&accesses[i].thread, NULL, read_often, &accesses[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(accesses[i].thread, NULL);
        assert_int_equal(accesses[i].result, 0);
    }
    release(memory);
    client_stop(client);
}

/* What is withdrawn faults, is nobody's again, and lets go of its descriptor with the last region.
 */
static void withdrawn_ranges_fault(void **state)
{
    struct client *client = *state;
    unsigned fds = count_fds();
    unsigned before = client->requests;
    struct dma_memory *memory = region(client, 0, 64);
    struct dma_memory *again = NULL;
    assert_int_equal(served_range_withdraw(&client->served, BASE), 0);
    assert_int_equal(device_reads(memory, 0), -EFAULT);
    assert_int_equal(device_writes(memory, 0, 0), -EFAULT);
    assert_int_equal(served_memory_create(&client->served, BASE, 64, &again), -ENOENT);
    assert_int_equal(client->requests, before);
    /* Served anew: the old region stays what it was. */
    assert_int_equal(served_range_add(&client->served, client->id, BASE, BYTES), 0);
    assert_int_equal(device_reads(memory, 1), -EFAULT);
    again = region(client, 0, 64);
    assert_int_equal(device_reads(again, 1), 7);
    release(again);
    assert_int_equal(served_channel_close(&client->served, client->id), 0);
    assert_int_equal(count_fds(), fds);
    release(memory);
    assert_int_equal(count_fds(), fds - 1);
}

/* The way of a registration: served ranges first, then what is really there. */
static void client_memory_looks_here_first(void **state)
{
    struct client_process *process = process_create(getpid());
    static unsigned char plain[4096];
    unsigned char *reserved = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct dma_memory *memory = NULL;
    uint64_t id;
    int fd;
    (void)state;
    log_set_sink(keep_line, NULL, LOG_LEVEL_DEBUG);
    assert_int_equal(try_describe(process, reserved, 4096, &memory), -EFAULT);
    assert_int_equal(served_channel_open(&process->served, &id, &fd), 0);
    assert_int_equal(served_range_add(&process->served, id, (uintptr_t)reserved, 4096), 0);
    release(describe(process, reserved, 4096, "served by the client"));
    release(describe(process, plain, 4096, COPIED));
    assert_int_equal(try_describe(process, reserved, 8192, &memory), -EFAULT);
    assert_null(memory);
    client_process_cut(process);
    assert_int_equal(try_describe(process, reserved, 4096, &memory), -EFAULT);
    client_process_put(process);
    close(fd);
    munmap(reserved, 8192);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(regions_are_in_one_range_or_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ranges_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_is_a_fault, set_up, tear_down),
        cmocka_unit_test(a_bad_answer_is_the_end),
        cmocka_unit_test_setup_teardown(a_client_that_stops_inside_an_access, set_up_short,
                                        tear_down),
        cmocka_unit_test(an_end_ends_waits),
        cmocka_unit_test_setup_teardown(a_turn_that_does_not_come, set_up_short, tear_down),
        cmocka_unit_test(many_devices_read_at_once),
        cmocka_unit_test_setup_teardown(withdrawn_ranges_fault, set_up, tear_down),
        cmocka_unit_test(client_memory_looks_here_first),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

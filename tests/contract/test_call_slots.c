/*
 * Calls that follow each other closely, which a dextd serves through shared memory: many threads,
 * a host that stops or dies meanwhile, a child that has a copy of everything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contract_host.h"
#include "testdev.h"

/* A reset of the second one waits for the device. */
static const char *const devices[] = {"testdev,addr=02:00.0",
                                      "testdev,addr=03:00.0,ready_after_ns=30000000000", NULL};
enum { SLOW = 0x03, WINDOW_BAR = 2, WARM_UP = 20 };

static void start(void)
{
    contract_host_start(devices);
}

/* A connection that has made enough calls to have slots. */
static io_connect_t warm(uint8_t bus)
{
    io_connect_t c = contract_claimed(bus);
    for (int i = 0; i < WARM_UP; i++) {
        assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    }
    return c;
}

/* Words of the window in BAR 2 that belong to one thread: what it wrote is what it reads. */
struct words {
    pthread_t thread;
    io_connect_t connection;
    uint8_t index; /* of the BAR's memory */
    uint64_t offset;
    uint64_t number;
    unsigned wrong;
};

static void *use_words(void *opaque)
{
    struct words *words = opaque;
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t value = words->number << 32 | i;
        uint64_t back = ~value;
        words->wrong +=
            apple_dext_mmio_write(words->connection, words->index, words->offset, 8, value) != 0 ||
            apple_dext_mmio_read(words->connection, words->index, words->offset, 8, &back) != 0 ||
            back != value;
    }
    return NULL;
}

static void use_by_threads(io_connect_t first, io_connect_t second, unsigned count)
{
    struct words words[40];
    uint64_t size;
    uint8_t type;
    const uint64_t window = reg_read(first, TESTDEV_WINDOW, 8);
    assert_true(count <= 40);
    for (unsigned i = 0; i < count; i++) {
        words[i] = (struct words){.connection = i % 2 ? second : first, .number = i};
        words[i].offset = window + UINT64_C(64) * i;
        assert_ok(apple_dext_get_bar_info(first, WINDOW_BAR, &words[i].index, &size, &type));
        assert_int_equal(pthread_create(&words[i].thread, NULL, use_words, &words[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_join(words[i].thread, NULL), 0);
        assert_int_equal(words[i].wrong, 0);
    }
}

static void threads_on_a_connection(void **state)
{
    start();
    io_connect_t c = warm(TESTDEV);
    use_by_threads(c, c, 4);
    use_by_threads(c, c, 40); /* more than there are slots */
    contract_disconnect(c);
    contract_host_end();
}

static void threads_on_two_connections(void **state)
{
    start();
    io_connect_t a = warm(TESTDEV);
    io_connect_t b = warm(TESTDEV);
    use_by_threads(a, b, 6);
    contract_disconnect(a);
    contract_disconnect(b);
    contract_host_end();
}

/* Closing while threads call: every call ends, with success or as of a connection that is gone. */
static void *read_until_refused(void *opaque)
{
    struct words *words = opaque;
    uint64_t value;
    kern_return_t status;
    do {
        status = apple_dext_config_read(words->connection, 0, 4, &value);
    } while (status == kIOReturnSuccess && value == 0x7e571234);
    words->wrong = status != MACH_SEND_INVALID_DEST;
    return NULL;
}

static void closing_while_threads_call(void **state)
{
    struct words words[4];
    start();
    for (int round = 0; round < 5; round++) {
        io_connect_t c = warm(TESTDEV);
        for (int i = 0; i < 4; i++) {
            words[i] = (struct words){.connection = c};
            assert_int_equal(pthread_create(&words[i].thread, NULL, read_until_refused, &words[i]),
                             0);
        }
        usleep(5000);
        contract_disconnect(c);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_join(words[i].thread, NULL), 0);
            assert_int_equal(words[i].wrong, 0);
        }
    }
    contract_host_end();
}

/* One call in a thread. */
struct caller {
    pthread_t thread;
    io_connect_t connection;
    kern_return_t (*call)(io_connect_t connection);
    kern_return_t status;
    _Atomic bool has_begun, has_ended;
};

static kern_return_t read_config(io_connect_t connection)
{
    uint64_t value;
    return apple_dext_config_read(connection, 0, 4, &value);
}

static void *call_once(void *opaque)
{
    struct caller *caller = opaque;
    caller->has_begun = true;
    caller->status = caller->call(caller->connection);
    caller->has_ended = true;
    return NULL;
}

static void caller_start(struct caller *caller, io_connect_t connection,
                         kern_return_t (*call)(io_connect_t))
{
    *caller = (struct caller){.connection = connection, .call = call};
    assert_int_equal(pthread_create(&caller->thread, NULL, call_once, caller), 0);
    while (!caller->has_begun) {
        usleep(1000);
    }
    usleep(20000);
}

static void caller_join(struct caller *caller)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 120;
    assert_int_equal(pthread_timedjoin_np(caller->thread, NULL, &deadline), 0);
}

/* A thread that runs is stopped a moment after kill has returned. */
static void stop_host(void)
{
    int status = 0;
    assert_int_equal(kill(contract_host_pid(), SIGSTOP), 0);
    assert_int_equal(waitpid(contract_host_pid(), &status, WUNTRACED), contract_host_pid());
    assert_true(WIFSTOPPED(status));
}

/* Stopped as a process is by its terminal, between polling and sleeping or in either. */
static void a_host_that_is_stopped_answers_when_it_goes_on(void **state)
{
    struct caller callers[3];
    start();
    io_connect_t c = warm(TESTDEV);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < WARM_UP; i++) {
            assert_ok(read_config(c));
        }
        stop_host();
        for (int i = 0; i < 3; i++) {
            caller_start(&callers[i], c, read_config);
        }
        assert_false(callers[2].has_ended);
        assert_int_equal(kill(contract_host_pid(), SIGCONT), 0);
        for (int i = 0; i < 3; i++) {
            caller_join(&callers[i]);
            assert_ok(callers[i].status);
        }
    }
    contract_disconnect(c);
    contract_host_end();
}

static void assert_is_death(kern_return_t status)
{
    if (status != MIG_SERVER_DIED && status != MACH_SEND_INVALID_DEST &&
        (contract.is_remote || status != kIOReturnNoDevice)) {
        assert_status(status, MIG_SERVER_DIED);
    }
}

static void a_host_that_is_stopped_and_dies(void **state)
{
    struct caller callers[4];
    start();
    io_connect_t c = warm(TESTDEV);
    stop_host();
    for (int i = 0; i < 4; i++) {
        caller_start(&callers[i], c, read_config);
    }
    contract_host_kill();
    for (int i = 0; i < 4; i++) {
        caller_join(&callers[i]);
        assert_is_death(callers[i].status);
    }
    assert_status(read_config(c), MACH_SEND_INVALID_DEST);
    contract_disconnect(c);
}

/* A reset gives up after seconds: what was not done meanwhile is tried again. */
enum { ATTEMPTS = 30 };

static bool kill_host_in_a_long_call(void)
{
    struct caller callers[3];
    start();
    io_connect_t c = warm(SLOW);
    io_connect_t onlooker = contract_connect(SLOW);
    caller_start(&callers[0], c, apple_dext_reset_device);
    wait_for_reset(onlooker, &callers[0].has_ended);
    caller_start(&callers[1], c, read_config);
    caller_start(&callers[2], c, read_config);
    contract_host_kill();
    for (int i = 0; i < 3; i++) {
        caller_join(&callers[i]);
    }
    bool is_in_time = callers[0].status != kIOReturnNotResponding;
    for (int i = 0; i < 3 && is_in_time; i++) {
        assert_is_death(callers[i].status);
    }
    assert_status(read_config(c), MACH_SEND_INVALID_DEST);
    contract_disconnect(c);
    contract_disconnect(onlooker);
    return is_in_time;
}

static void a_host_that_dies_in_a_long_call(void **state)
{
    int attempts = 0;
    while (!kill_host_in_a_long_call()) {
        assert_true(++attempts < ATTEMPTS);
    }
}

static bool call_beside_a_long_call(void)
{
    struct caller reset;
    start();
    io_connect_t slow = warm(SLOW);
    io_connect_t quick = warm(TESTDEV);
    io_connect_t onlooker = contract_connect(SLOW);
    caller_start(&reset, slow, apple_dext_reset_device);
    wait_for_reset(onlooker, &reset.has_ended);
    for (int i = 0; i < 100; i++) {
        assert_ok(read_config(quick));
    }
    bool is_in_time = !reset.has_ended;
    contract_host_kill();
    caller_join(&reset);
    if (reset.status != kIOReturnNotResponding) {
        assert_is_death(reset.status);
    }
    contract_disconnect(quick);
    contract_disconnect(slow);
    contract_disconnect(onlooker);
    return is_in_time;
}

/* A long call holds up its own connection, and no other. */
static void a_long_call_on_another_connection(void **state)
{
    int attempts = 0;
    while (!call_beside_a_long_call()) {
        assert_true(++attempts < ATTEMPTS);
    }
}

/* A child has a copy of the parent's handles, and no part in its calls; it may have its own. */
static int look_from_child(io_connect_t connection, bool has_own)
{
    uint64_t value = 0;
    if (read_config(connection) == kIOReturnSuccess) {
        return 1;
    }
    if (!has_own) {
        return 0;
    }
    io_connect_t own = apple_dext_connect(TESTDEV, 0, 0);
    if (own == IO_OBJECT_NULL || apple_dext_claim(own) != kIOReturnSuccess) {
        return 2;
    }
    for (int i = 0; i < WARM_UP; i++) {
        if (apple_dext_config_read(own, 0, 4, &value) != kIOReturnSuccess || value != 0x7e571234) {
            return 3;
        }
    }
    apple_dext_disconnect(own);
    return 0;
}

static void check_child(io_connect_t connection, bool has_own)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(look_from_child(connection, has_own));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_ok(read_config(connection));
}

static void a_child_has_no_part_in_calls(void **state)
{
    start();
    io_connect_t c = warm(TESTDEV);
    check_child(c, true);
    struct words words = {.connection = c};
    assert_int_equal(pthread_create(&words.thread, NULL, read_until_refused, &words), 0);
    for (int i = 0; i < 3; i++) {
        check_child(c, false); /* the other thread may be in any state of a call */
    }
    contract_disconnect(c);
    assert_int_equal(pthread_join(words.thread, NULL), 0);
    assert_int_equal(words.wrong, 0);
    contract_host_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(threads_on_a_connection),
        contract_test(threads_on_two_connections),
        contract_test(closing_while_threads_call),
        contract_test_when(a_host_that_is_stopped_answers_when_it_goes_on, WHEN_REMOTE),
        contract_test_when(a_host_that_is_stopped_and_dies, WHEN_REMOTE),
        contract_test(a_host_that_dies_in_a_long_call),
        contract_test(a_long_call_on_another_connection),
        contract_test_when(a_child_has_no_part_in_calls, WHEN_REMOTE),
    };
    const struct contract_suite suite = {.name = "call_slots",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0]),
                                         .has_own_host = true};
    return contract_main(argc, argv, &suite);
}

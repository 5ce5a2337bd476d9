/*
 * The frame of every executable: arguments, the run, what must be left at its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "contract.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contract_host.h"

#define CONNECTIONS_MAX 64
#define TESTS_MAX       64
#define WAIT_NS         120000000000L /* which only a test that fails takes */

struct contract_configuration contract;

static const struct contract_suite *running;
static io_connect_t connections[CONNECTIONS_MAX]; /* those of the test that runs; 0 = free */

int contract_count_fds(int pid)
{
    char path[64];
    snprintf(path, sizeof(path), pid ? "/proc/%d/fd" : "/proc/self/fd", pid);
    DIR *directory = opendir(path);
    int count = -1; /* for the directory's own, which shows in this process alone */
    if (!directory) {
        return -1;
    }
    if (pid) {
        count = 0;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

bool contract_eventually(bool (*is_true)(void *opaque), void *opaque)
{
    long pause_ns = 50000;
    for (long waited_ns = 0; waited_ns < WAIT_NS; waited_ns += pause_ns) {
        if (is_true(opaque)) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
        pause_ns = pause_ns < 5000000 ? pause_ns * 2 : pause_ns;
    }
    return is_true(opaque);
}

void contract_check_status(kern_return_t status, kern_return_t want, const char *what,
                           const char *file, int line)
{
    if (status != want) {
        print_error("%s\n  is   0x%08x, %s\n  want 0x%08x, %s\n", what, (unsigned)status,
                    apple_dext_status_text(status), (unsigned)want, apple_dext_status_text(want));
        _fail(file, line);
    }
}

io_connect_t contract_connect(uint8_t bus)
{
    io_connect_t connection = apple_dext_connect(bus, 0, 0);
    assert_int_not_equal(connection, IO_OBJECT_NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (connections[i] == IO_OBJECT_NULL) {
            connections[i] = connection;
            return connection;
        }
    }
    fail_msg("a test with more than %d connections", CONNECTIONS_MAX);
    return IO_OBJECT_NULL;
}

io_connect_t contract_claimed(uint8_t bus)
{
    io_connect_t connection = contract_connect(bus);
    assert_ok(apple_dext_claim(connection));
    return connection;
}

void contract_disconnect(io_connect_t connection)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (connections[i] == connection) {
            connections[i] = IO_OBJECT_NULL;
        }
    }
    apple_dext_disconnect(connection);
}

/* Stop is asynchronous: what a client held goes soon after its disconnect, not with it. */
static bool holds_nothing(void *opaque)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;
    bool is_clean = apple_dext_list(&instances, &count) == kIOReturnSuccess;
    for (size_t i = 0; i < count && is_clean; i++) {
        AppleDextStatistics now = {.claims = 1};
        io_connect_t connection = apple_dext_connect_with_root(
            instances[i].bus, instances[i].device, instances[i].function, instances[i].root, NULL);
        kern_return_t status = apple_dext_get_statistics(connection, &now);
        /* A device without extensions does not say: the host does, at its end. */
        is_clean =
            status == kIOReturnUnsupported || (status == kIOReturnSuccess && now.claims == 0 &&
                                               now.live_regions == 0 && now.live_bytes == 0);
        apple_dext_disconnect(connection);
    }
    apple_dext_free_list(instances);
    return is_clean;
}

int contract_before(void **state)
{
    *state = NULL; /* carried the test's conditions */
    memset(connections, 0, sizeof(connections));
    return 0;
}

int contract_after(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (connections[i] != IO_OBJECT_NULL) {
            contract_disconnect(connections[i]);
        }
    }
    if (!contract_eventually(holds_nothing, NULL)) {
        print_error("the host still holds a claim or memory of this test\n");
        return -1;
    }
    return 0;
}

static bool parse(int argc, char **argv)
{
    if (argc < 3) {
        return false;
    }
    contract.is_remote = strcmp(argv[1], "dextd") == 0;
    contract.page_size = (uint32_t)atoi(argv[2]);
    for (int i = 3; i < argc; i++) {
        contract.is_identity |= strcmp(argv[i], "identity") == 0;
        contract.is_open |= strcmp(argv[i], "open") == 0;
        if (strcmp(argv[i], "frames") == 0) {
            setenv("DEXTLINK_SLOTS", "off", 1);
        }
    }
    return (contract.is_remote || strcmp(argv[1], "embedded") == 0) &&
           (contract.page_size == 4096 || contract.page_size == 16384);
}

/* What stays in a process after its first use of IOKit is not a leak of the tests'. */
static void warm_up(void)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;
    apple_dext_list(&instances, &count);
    apple_dext_free_list(instances);
}

struct fd_goal {
    int pid;
    int count;
};

static bool fds_are_back(void *opaque)
{
    const struct fd_goal *goal = opaque;
    if (!goal->pid) {
        /* A session that ended is let go by the first look for a host that knows of its end. */
        warm_up();
    }
    return contract_count_fds(goal->pid) == goal->count;
}

static int complain_of_fds(const char *who, const struct fd_goal *goal)
{
    fprintf(stderr, "%s: %d descriptors before the tests, %d after\n", who, goal->count,
            contract_count_fds(goal->pid));
    return 1;
}

static bool concerns_configuration(const struct CMUnitTest *test)
{
    uintptr_t when = (uintptr_t)test->initial_state;
    return !(when & WHEN_EMBEDDED && contract.is_remote) &&
           !(when & WHEN_REMOTE && !contract.is_remote) &&
           !(when & WHEN_NOT_IDENTITY && contract.is_identity) &&
           !(when & WHEN_IDENTITY && !contract.is_identity) &&
           !(when & WHEN_4K && contract.page_size != 4096);
}

static int run_group(void)
{
    struct CMUnitTest chosen[TESTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < running->count && count < TESTS_MAX; i++) {
        if (concerns_configuration(&running->tests[i])) {
            chosen[count++] = running->tests[i];
        }
    }
    return _cmocka_run_group_tests(running->name, chosen, count, NULL, NULL);
}

static int run_suite(void)
{
    struct fd_goal goal = {.count = contract_count_fds(0)};
    bool has_host = !running->has_own_host;
    if (has_host && !contract.is_remote) {
        contract_host_start(running->devices);
    } else if (has_host) {
        warm_up();
        goal.count = contract_count_fds(0);
    }
    int failed = run_group();
    if (has_host && !contract.is_remote) {
        contract_host_end();
    }
    return contract_eventually(fds_are_back, &goal) ? failed : complain_of_fds("client", &goal);
}

/* The tests are a process of their own, so that the dextd can be looked at when they are gone. */
static int run_beside_dextd(void)
{
    contract_host_start(running->devices);
    struct fd_goal goal = {.pid = contract_host_pid(), .count = 0};
    goal.count = contract_count_fds(goal.pid);
    pid_t child = fork();
    if (child == 0) {
        exit(run_suite());
    }
    int status = -1;
    waitpid(child, &status, 0);
    int failed = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "the tests died of signal %d\n", WTERMSIG(status));
    }
    if (!contract_eventually(fds_are_back, &goal)) {
        failed |= complain_of_fds("dextd", &goal);
    }
    contract_host_end();
    return failed;
}

int contract_main(int argc, char **argv, const struct contract_suite *suite)
{
    if (!parse(argc, argv)) {
        fprintf(stderr, "usage: %s embedded|dextd 4096|16384 [identity] [open] [frames]\n",
                argv[0]);
        return 2;
    }
    running = suite;
    setenv("DEXTLINK_PATIENCE", suite->patience ? suite->patience : "3600", 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* No other host may answer where none of ours is. */
    setenv("DEXTLINK_SOCKET", "/nonexistent/dext.sock", 1);
    return contract.is_remote && !suite->has_own_host ? run_beside_dextd() : run_suite();
}

uint8_t *contract_map_apart(size_t bytes)
{
    void *apart = (void *)(uintptr_t)0x40000000; /* below what sanitizers keep for themselves */
    uint8_t *address =
        mmap(apart, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(address, MAP_FAILED);
    return address;
}

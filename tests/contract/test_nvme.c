/*
 * The NVMe example against the embedded host: blocks written and verified, a reset by somebody else
 * in the middle of it, bytes of a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "dext-host.h"

#undef main /* the example's is nvme_main */

int nvme_main(int argc, char **argv);

static DextHost *host;
static int quiet = -1, output = -1, errors = -1;

/* What the example prints is not for the test's own output. */
static void silence(void)
{
    fflush(stdout);
    fflush(stderr);
    output = dup(STDOUT_FILENO);
    errors = dup(STDERR_FILENO);
    quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(quiet, STDOUT_FILENO);
    dup2(quiet, STDERR_FILENO);
}

static void speak(void)
{
    fflush(stdout);
    fflush(stderr);
    dup2(output, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    close(output);
    close(errors);
    close(quiet);
}

static int example(const char *address, const char *what, const char *seed)
{
    char *arguments[] = {(char *)"nvme", (char *)address, (char *)what, (char *)seed, NULL};
    return nvme_main(4, arguments);
}

static int quiet_example(const char *address, const char *what, const char *seed)
{
    silence();
    int code = example(address, what, seed);
    speak();
    return code;
}

static void writes_and_verifies(void **state)
{
    (void)state;
    assert_int_equal(quiet_example("01:00.0", "write", "1"), 0);
    assert_int_equal(quiet_example("01:00.0", "check", "1"), 0);
    assert_int_equal(quiet_example("01:00.0", "check", "2"), 1);
    assert_int_equal(quiet_example("02:00.0", "write", "3"), 0); /* 4096-byte blocks */
    assert_int_equal(quiet_example("01:00.0", "check", "1"), 0);
}

/* The admin queue's vector reaches whoever set the device's interrupts up. */
static void interrupts_arrive(void **state)
{
    io_connect_t device = apple_dext_connect(2, 0, 0);
    uint64_t pending[4] = {0};
    uint32_t vectors = 0;
    (void)state;
    assert_int_not_equal(device, IO_OBJECT_NULL);
    assert_int_equal(apple_dext_claim(device), KERN_SUCCESS);
    assert_int_equal(apple_dext_setup_interrupts(device, &vectors), KERN_SUCCESS);
    assert_int_equal(vectors, 3); /* two I/O queues and the admin queue */
    assert_int_equal(quiet_example("02:00.0", "check", "3"), 0);
    assert_int_equal(apple_dext_read_pending_irqs(device, pending), KERN_SUCCESS);
    assert_int_equal(pending[0], 1); /* the example's I/O queues have theirs off */
    apple_dext_disconnect(device);
}

static _Atomic bool is_over;

static void *reset_thread(void *context)
{
    io_connect_t device = apple_dext_connect(1, 0, 0);
    unsigned *resets = context;
    if (device == IO_OBJECT_NULL || apple_dext_claim(device) != KERN_SUCCESS)
        return NULL;
    while (!atomic_load(&is_over)) {
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        if (apple_dext_reset_device(device) == KERN_SUCCESS)
            (*resets)++;
    }
    apple_dext_disconnect(device);
    return NULL;
}

/* Whatever the driver is doing: it ends, it says so, and afterwards all is well. */
static void lives_through_resets(void **state)
{
    unsigned resets = 0, failures = 0;
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, reset_thread, &resets), 0);
    silence();
    for (unsigned i = 0; i < 5; i++)
        failures += example("01:00.0", "write", "4") != 0 ? 1 : 0;
    speak();
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    assert_true(resets > 0);
    assert_true(failures > 0);
    assert_int_equal(quiet_example("01:00.0", "write", "5"), 0);
    assert_int_equal(quiet_example("01:00.0", "check", "5"), 0);
    DextHostUsage usage;
    dext_host_get_usage(host, &usage);
    assert_int_equal(usage.regions, 0);
    assert_int_equal(usage.claims, 0);
}

static int host_start(void **state)
{
    (void)state;
    host = dext_host_create(NULL, NULL);
    return host == NULL || dext_host_add_device(host, "nvme,addr=01:00.0", NULL) != 0 ||
           dext_host_add_device(host, "nvme,addr=02:00.0,block=4096,queues=2", NULL) != 0 ||
           dext_host_embed(host, NULL) != 0;
}

static int host_end(void **state)
{
    (void)state;
    dext_host_destroy(host);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_verifies),
        cmocka_unit_test(interrupts_arrive),
        cmocka_unit_test(lives_through_resets),
    };
    return cmocka_run_group_tests(tests, host_start, host_end);
}

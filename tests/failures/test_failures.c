/*
 * Client, IOKit, frames and host when one allocation or system call fails, for every one of a
 * whole life: nothing crashes, hangs or leaks, no descriptor stays, the error is one that has a
 * name, and the next life works.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "dext-host.h"
#include "fail_call.h"

#define EDU_RAISE    0x60
#define EDU_LOWER    0x64
#define LIFE_SECONDS 600    /* one that takes longer hangs */
#define NOTICE_MS    200    /* how long to wait for what may be lost */
#define PATIENCE_MS  120000 /* and for what may not */
#define MEMORY_BYTES 32768

static char folder[] = "/tmp/dextlink-failures-XXXXXX";
static char socket_path[sizeof(folder) + 16];

/* What a life came to: the first function that failed, and how. */
struct outcome {
    const char *what; /* NULL: all went well */
    kern_return_t status;
};

static bool fails(struct outcome *outcome, const char *what, kern_return_t status)
{
    if (status != KERN_SUCCESS && !outcome->what) {
        *outcome = (struct outcome){.what = what, .status = status};
    }
    return status != KERN_SUCCESS;
}

static void on_notice(void *opaque)
{
    sem_post(opaque);
}

/* What a failed call has lost does not come; everything else does, however slow the machine. */
static bool notice_comes(sem_t *came)
{
    struct timespec deadline;
    for (int i = 0; i < PATIENCE_MS / NOTICE_MS; i++) {
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_nsec += NOTICE_MS * 1000000;
        deadline.tv_sec += deadline.tv_nsec / 1000000000;
        deadline.tv_nsec %= 1000000000;
        if (sem_timedwait(came, &deadline) == 0) {
            return true;
        }
        if (fail_call_has_failed()) {
            return false;
        }
    }
    return false;
}

static void take_interrupt(io_connect_t connection, struct outcome *outcome)
{
    uint32_t vectors;
    uint64_t pending[4];
    sem_t came;
    sem_init(&came, 0, 0);
    if (fails(outcome, "interrupts", apple_dext_setup_interrupts(connection, &vectors))) {
        goto destroy;
    }
    AppleDextInterruptNotify *notify =
        apple_dext_interrupt_notify_create(connection, on_notice, &came);
    if (fails(outcome, "notice", notify ? KERN_SUCCESS : kIOReturnError)) {
        goto destroy;
    }
    /* A notice may be lost with the memory it takes; one that has been armed anew may not. */
    for (int i = 0; i < 2; i++) {
        fails(outcome, "raise", apple_dext_mmio_write(connection, 0, EDU_RAISE, 4, 1));
        if (!notice_comes(&came)) {
            fails(outcome, "waiting for the notice", kIOReturnTimeout);
            break;
        }
        fails(outcome, "pending", apple_dext_read_pending_irqs(connection, pending));
        fails(outcome, "lower", apple_dext_mmio_write(connection, 0, EDU_LOWER, 4, 1));
        fails(outcome, "rearm", apple_dext_interrupt_notify_rearm(notify));
    }
    apple_dext_interrupt_notify_destroy(notify);
destroy:
    sem_destroy(&came);
}

static void use_device(io_connect_t connection, struct outcome *outcome)
{
    static unsigned char memory[MEMORY_BYTES];
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint64_t bus, length, value;
    uint8_t type;
    if (fails(outcome, "claim", apple_dext_claim(connection))) {
        return;
    }
    if (!fails(outcome, "map", apple_dext_map_bar(connection, 0, &address, &size, &type))) {
        fails(outcome, "unmap", apple_dext_unmap_bar(connection, 0, address));
    }
    if (!fails(outcome, "buffer",
               apple_dext_allocate_dma_buffer(connection, MEMORY_BYTES, 0, &bus, &length, &address,
                                              &size))) {
        fails(outcome, "free the buffer", apple_dext_free_dma_buffer(connection, address));
    }
    if (!fails(outcome, "register",
               apple_dext_register_dma(connection, 0, (uintptr_t)memory, MEMORY_BYTES, &bus,
                                       &length))) {
        fails(outcome, "probe", apple_dext_probe_dma(connection, 0, 8, &value));
        fails(outcome, "unregister", apple_dext_unregister_dma(connection, 0));
    }
    fails(outcome, "config", apple_dext_config_read(connection, 0, 4, &value));
    take_interrupt(connection, outcome);
}

static bool host_fails(struct outcome *outcome, const char *what, int error, char **text)
{
    free(*text);
    *text = NULL;
    return fails(outcome, what, error ? kIOReturnError : KERN_SUCCESS);
}

/* From nothing to nothing; serve: over a socket, else embedded. */
static struct outcome live(bool serve)
{
    struct outcome outcome = {0};
    char *text = NULL;
    DextHostOptions options = {.page_size = 4096};
    DextHost *host = dext_host_create(&options, &text);
    if (host_fails(&outcome, "create", host ? 0 : -1, &text)) {
        return outcome;
    }
    if (host_fails(&outcome, "add", dext_host_add_device(host, "edu,addr=01:00.0", &text), &text) ||
        host_fails(&outcome, "open the host",
                   serve ? dext_host_serve(host, socket_path, &text) : dext_host_embed(host, &text),
                   &text)) {
        goto destroy;
    }
    io_connect_t connection = apple_dext_connect_with_root(1, 0, 0, NULL, &text);
    if (!fails(&outcome, "connect", connection ? KERN_SUCCESS : kIOReturnNotFound)) {
        use_device(connection, &outcome);
    }
    free(text);
    apple_dext_disconnect(connection);
destroy:
    dext_host_destroy(host);
    return outcome;
}

static unsigned count_fds(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

/* A session that has ended is let go of by the next call that looks for a host. */
static bool fds_come_back_to(unsigned wanted)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < PATIENCE_MS; i++) {
        io_service_t none =
            IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
        assert_int_equal(none, IO_OBJECT_NULL);
        if (count_fds() == wanted) {
            return true;
        }
        nanosleep(&pause, NULL);
    }
    return false;
}

static void on_alarm(int number)
{
    static const char text[] = "# a life hangs\n";
    (void)number;
    if (write(STDOUT_FILENO, text, sizeof(text) - 1) > 0) {
        abort();
    }
}

static void check_outcome(const struct outcome *outcome, const char *failed, unsigned fds)
{
    if (outcome->what && strstr(apple_dext_status_text(outcome->status), "unknown")) {
        fail_msg("%s: %s gives %#x", failed, outcome->what, (unsigned)outcome->status);
    }
    if (!fds_come_back_to(fds)) {
        fail_msg("%s: %u descriptors, not %u", failed, count_fds(), fds);
    }
    if (access(socket_path, F_OK) == 0) {
        fail_msg("%s: the socket is still there", failed);
    }
}

/* One life in which the next call fails that has not; false when none is left. */
static bool live_with_failure(bool serve, unsigned fds, unsigned *failures)
{
    alarm(LIFE_SECONDS);
    fail_call_arm();
    struct outcome outcome = live(serve);
    const char *failed = fail_call_disarm();
    if (getenv("FAILURES_VERBOSE")) {
        print_message("# %s: %s\n", failed ? failed : "-", outcome.what ? outcome.what : "fine");
    }
    check_outcome(&outcome, failed, fds);
    if (!failed) {
        assert_null(outcome.what);
    }
    *failures += outcome.what != NULL;
    return failed != NULL;
}

static void check_all(bool serve)
{
    unsigned lives = 0;
    unsigned failures = 0;
    unsigned fds = count_fds();
    fail_call_forget();
    assert_null(live(serve).what); /* threads and tables that stay for good are there now */
    assert_true(fds_come_back_to(fds));
    while (live_with_failure(serve, fds, &failures)) {
        if (++lives % 8 == 0) { /* what has failed must not have spoiled anything for good */
            struct outcome outcome = live(serve);
            assert_null(outcome.what);
            assert_true(fds_come_back_to(fds));
        }
    }
    alarm(0);
    print_message("# %u calls failed, %u of them were needed\n", lives, failures);
    assert_true(failures > 100);
}

static void embedded(void **state)
{
    (void)state;
    check_all(false);
}

static void served(void **state)
{
    (void)state;
    check_all(true);
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGALRM, on_alarm);
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(socket_path, sizeof(socket_path), "%s/dext.sock", folder);
    return setenv("DEXTLINK_SOCKET", socket_path, 1) || setenv("DEXTLINK_PATIENCE", "300", 1);
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedded),
        cmocka_unit_test(served),
    };
    return cmocka_run_group_tests_name("failures", tests, set_up, tear_down);
}

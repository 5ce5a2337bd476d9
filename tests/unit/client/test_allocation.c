/*
 * Unit tests: the n-th allocation fails, for every n.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <mach/mach.h>

#include "client_test.h"

static atomic_int countdown; /* allocations until one fails; 0 or less: none fails */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);

static bool fails_now(void)
{
    return atomic_load(&countdown) > 0 && atomic_fetch_sub(&countdown, 1) == 1;
}

void *__wrap_malloc(size_t bytes)
{
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails_now() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

static void handler(void *opaque)
{
    (void)opaque;
}

/* One life of a connection; whether everything in it succeeded. */
static bool live(void)
{
    AppleDextInterruptNotify *notify = NULL;
    AppleDextInstance *list = NULL;
    mach_vm_address_t address;
    mach_vm_size_t size;
    size_t count = 0;
    uint8_t type;
    char *reason = NULL;
    bool is_fine = apple_dext_list(&list, &count) == kIOReturnSuccess && count == 2;
    io_connect_t port = apple_dext_connect_with_root(1, 0, 0, "pci-bridge0", &reason);

    apple_dext_free_list(list);
    is_fine = is_fine && port != IO_OBJECT_NULL;
    if (port != IO_OBJECT_NULL) {
        is_fine = apple_dext_claim(port) == kIOReturnSuccess && is_fine;
        is_fine =
            apple_dext_map_bar(port, 0, &address, &size, &type) == kIOReturnSuccess && is_fine;
        notify = apple_dext_interrupt_notify_create(port, handler, NULL);
        is_fine = is_fine && notify != NULL;
        apple_dext_interrupt_notify_destroy(notify);
        apple_dext_disconnect(port);
    }
    free(reason);
    if (IOServiceOpen(FAKE_FIRST_ENTRY + 2, mach_task_self(), 0, &port) == kIOReturnSuccess) {
        is_fine = apple_dext_claim(port) == kIOReturnSuccess && is_fine; /* a foreign handle */
        apple_dext_disconnect(port);
    }
    return is_fine;
}

static void every_allocation_may_fail(void **state)
{
    int failures = 0;
    bool is_exhausted = false;

    (void)state;
    for (int n = 1; n < 500 && !is_exhausted; n++) {
        fake_reset();
        fake_add_device("pci-bridge1", "1:0:0", 0x1234, 0x11e8);
        fake.bars[0] = (struct fake_bar){.values = {0, 0x1000, 0}};
        atomic_store(&countdown, n);
        bool is_fine = live();
        is_exhausted = atomic_load(&countdown) > 0;
        atomic_store(&countdown, 0);
        failures += !is_fine;
        assert_true(is_fine || !is_exhausted);
        fake_check_balance();
    }
    assert_true(is_exhausted);
    assert_true(failures >= 6); /* list, its copy, the job, two records, the notice */
}

int main(void)
{
    const struct CMUnitTest tests[] = {CLIENT_TEST(every_allocation_may_fail)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

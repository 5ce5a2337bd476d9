/*
 * The n-th allocation fails, for every n: a clear code, and nothing left behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_memfd_create(const char *name, unsigned flags);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_memfd_create(const char *name, unsigned flags);

static unsigned countdown; /* 0: nothing fails */

static bool strikes(void)
{
    return countdown != 0 && --countdown == 0;
}

void *__wrap_malloc(size_t bytes)
{
    return strikes() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return strikes() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return strikes() ? NULL : __real_realloc(old, bytes);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    if (strikes()) {
        errno = EMFILE;
        return -1;
    }
    return __real_memfd_create(name, flags);
}

/* A whole life; returns how many of its steps failed. */
static unsigned live_once(struct fixture *f)
{
    static const uint64_t region[] = {0x1000, 0x1000, UINT64_C(5) << 30};
    static const uint64_t small[] = {0x100, 0x1000, 16};
    static const uint64_t buffer[] = {4096, 0};
    static const struct {
        uint64_t selector;
        const uint64_t *in;
        uint32_t count;
    } steps[] = {{1, NULL, 0},  {5, region, 3}, {5, small, 3}, {3, buffer, 2},
                 {13, NULL, 0}, {17, NULL, 0},  {6, small, 1}, {3, buffer, 2}};
    uint64_t out[16];
    unsigned failed = 0;
    struct dext_client *client = NULL;
    f->contexts[0] = (struct fake_client){.host = &f->host};
    IOReturn status = dext_client_open(f->dext, 0, &f->contexts[0], &client);
    if (status != kIOReturnSuccess) {
        assert_code(status, 0xe00002bd);
        return 1;
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        status = fake_call(client, steps[i].selector, steps[i].in, steps[i].count, out);
        if (status == kIOReturnSuccess) {
            continue;
        }
        failed++;
        /* Out of memory, out of descriptors, or a region that was never registered. */
        assert_true((uint32_t)status == 0xe00002bd || (uint32_t)status == 0xe00002be ||
                    (steps[i].selector == 6 && (uint32_t)status == 0xe00002f0));
    }
    dext_client_stop(client);
    return failed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct dart_options dart = {.identity = true, .aperture_bytes = UINT64_C(8) << 30};
    unsigned n = 1;
    for (bool is_over = false; !is_over; n++) {
        struct fixture f;
        fixture_set_up(&f, NULL, &dart);
        countdown = n;
        unsigned failed = live_once(&f);
        is_over = countdown != 0; /* the n-th never came */
        countdown = 0;
        assert_int_equal(failed != 0, !is_over);
        assert_int_equal(live_once(&f), 0); /* the dext is none the worse */
        fixture_tear_down(&f);
        assert_true(n < 1000);
    }
    assert_true(n > 10);
}

static void creation_may_fail(void **state)
{
    (void)state;
    struct dext *dext = NULL;
    struct fake_device *device = fake_device_create(NULL);
    struct fake_host host = {.device = device};
    countdown = 1;
    assert_int_equal(dext_create(&device->provider, &fake_host_ops, &host, NULL, &dext), -ENOMEM);
    countdown = 0;
    assert_null(dext);
    provider_destroy(&device->provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(creation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

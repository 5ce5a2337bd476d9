/*
 * Unit tests of the vectors: every form of SET_IRQS, and what is heard when.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vfiouser/irq.h"

#define VECTORS 32

static const unsigned counts[VU_IRQ_COUNT] = {0, 16, VECTORS, 1, 1};

static int make_irqs(void **state)
{
    static struct vu_irqs irqs;
    memset(&irqs, 0, sizeof(irqs));
    *state = &irqs;
    return vu_irqs_create(&irqs, counts);
}

static int drop_irqs(void **state)
{
    vu_irqs_destroy(*state);
    return 0;
}

static int set(struct vu_irqs *irqs, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
               int *fds, size_t fd_count)
{
    const struct vu_request request = {.irq_set = {20, flags, index, start, count}};
    return vu_irqs_set(irqs, &request, fds, fd_count);
}

/* Give vector a new eventfd; returns ours, the table has a copy. */
static int listen_to(struct vu_irqs *irqs, uint32_t index, uint32_t vector)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int given = dup(fd);
    assert_int_equal(set(irqs, 0x24, index, vector, 1, &given, 1), 0);
    assert_int_equal(given, -1); /* taken */
    return fd;
}

static uint64_t heard(int fd)
{
    uint64_t count = 0;
    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void test_vectors(void **state)
{
    struct vu_irqs *irqs = *state;
    int first = listen_to(irqs, VU_IRQ_MSIX, 0);
    int last = listen_to(irqs, VU_IRQ_MSIX, VECTORS - 1);
    vu_irqs_fire(irqs, 0);
    vu_irqs_fire(irqs, 0);
    vu_irqs_fire(irqs, VECTORS - 1);
    vu_irqs_fire(irqs, VECTORS); /* there is no such */
    assert_int_equal(heard(first), 2);
    assert_int_equal(heard(last), 1);
    int newer = listen_to(irqs, VU_IRQ_MSIX, 0);
    vu_irqs_fire(irqs, 0);
    assert_int_equal(heard(first), 0);
    assert_int_equal(heard(newer), 1);
    assert_int_equal(set(irqs, 0x21, VU_IRQ_MSIX, 0, 0, NULL, 0), 0);
    vu_irqs_fire(irqs, 0);
    assert_int_equal(heard(newer), 0);
    close(first);
    close(last);
    close(newer);
}

/* As Linux does it: enabled without descriptor, then one each. What fired between is not lost. */
static void test_fired_before_anybody_listens(void **state)
{
    struct vu_irqs *irqs = *state;
    vu_irqs_fire(irqs, 3); /* nothing is enabled: lost */
    assert_int_equal(set(irqs, 0x24, VU_IRQ_MSIX, 0, 1, NULL, 0), 0);
    vu_irqs_fire(irqs, 2);
    vu_irqs_fire(irqs, 2);
    int second = listen_to(irqs, VU_IRQ_MSIX, 2);
    int third = listen_to(irqs, VU_IRQ_MSIX, 3);
    assert_int_equal(heard(second), 1);
    assert_int_equal(heard(third), 0);
    assert_int_equal(set(irqs, 0x24, VU_IRQ_MSIX, 2, 1, NULL, 0), 0); /* let go */
    vu_irqs_fire(irqs, 2);
    assert_int_equal(heard(second), 0);
    close(second);
    close(third);
}

static void test_masks(void **state)
{
    struct vu_irqs *irqs = *state;
    int fd = listen_to(irqs, VU_IRQ_MSIX, 1);
    assert_int_equal(set(irqs, 0x09, VU_IRQ_MSIX, 1, 1, NULL, 0), 0);
    vu_irqs_fire(irqs, 1);
    vu_irqs_fire(irqs, 1);
    assert_int_equal(heard(fd), 0);
    assert_int_equal(set(irqs, 0x11, VU_IRQ_MSIX, 1, 1, NULL, 0), 0);
    assert_int_equal(heard(fd), 1);
    vu_irqs_fire(irqs, 1);
    assert_int_equal(heard(fd), 1);
    close(fd);
}

static void test_triggers(void **state)
{
    struct vu_irqs *irqs = *state;
    const uint8_t bools[2] = {0, 1};
    const struct vu_request request = {.irq_set = {20, 0x22, VU_IRQ_MSIX, 4, 2}, .data = bools};
    int fourth = listen_to(irqs, VU_IRQ_MSIX, 4);
    int fifth = listen_to(irqs, VU_IRQ_MSIX, 5);
    assert_int_equal(vu_irqs_set(irqs, &request, NULL, 0), 0);
    assert_int_equal(heard(fourth), 0);
    assert_int_equal(heard(fifth), 1);
    assert_int_equal(set(irqs, 0x21, VU_IRQ_MSIX, 3, 3, NULL, 0), 0); /* one listens to nothing */
    assert_int_equal(heard(fourth), 1);
    assert_int_equal(heard(fifth), 1);
    close(fourth);
    close(fifth);
}

/* A function that got fewer messages than it has sends what it has left. */
static void test_msi_folds(void **state)
{
    struct vu_irqs *irqs = *state;
    int first = listen_to(irqs, VU_IRQ_MSI, 0);
    int second = listen_to(irqs, VU_IRQ_MSI, 1);
    vu_irqs_fire(irqs, 4);
    vu_irqs_fire(irqs, 7);
    vu_irqs_fire(irqs, 1);
    assert_int_equal(heard(first), 1);
    assert_int_equal(heard(second), 2);
    close(first);
    close(second);
}

static void test_bad(void **state)
{
    struct vu_irqs *irqs = *state;
    int fds[2] = {dup(0), dup(0)};
    assert_int_equal(set(irqs, 0x24, VU_IRQ_MSIX, VECTORS, 1, fds, 1), -EINVAL);
    assert_int_equal(set(irqs, 0x24, VU_IRQ_MSIX, VECTORS - 1, 2, fds, 2), -EINVAL);
    assert_int_equal(set(irqs, 0x24, VU_IRQ_MSIX, 1, UINT32_MAX, NULL, 0), -EINVAL);
    assert_int_equal(set(irqs, 0x24, VU_IRQ_INTX, 0, 1, fds, 1), -EINVAL);
    assert_int_equal(set(irqs, 0x14, VU_IRQ_MSIX, 0, 1, fds, 1), -EINVAL);
    assert_int_equal(set(irqs, 0x24, VU_IRQ_ERR, 0, 2, fds, 2), -EINVAL);
    assert_int_equal(set(irqs, 0x09, VU_IRQ_ERR, 0, 1, NULL, 0), -EINVAL);
    assert_int_equal(set(irqs, 0x11, VU_IRQ_REQ, 0, 1, NULL, 0), -EINVAL);
    assert_true(fds[0] >= 0 && fds[1] >= 0); /* not taken */
    close(fds[0]);
    close(fds[1]);
}

static void test_notices(void **state)
{
    struct vu_irqs *irqs = *state;
    assert_false(vu_irqs_notify(irqs, VU_IRQ_ERR));
    int fd = listen_to(irqs, VU_IRQ_ERR, 0);
    assert_true(vu_irqs_notify(irqs, VU_IRQ_ERR));
    assert_int_equal(heard(fd), 1);
    vu_irqs_release(irqs);
    assert_false(vu_irqs_notify(irqs, VU_IRQ_ERR));
    close(fd);
}

/* A full pipe that would block, and an eventfd at its most: nobody waits for them. */
static void test_readers_that_do_not_read(void **state)
{
    struct vu_irqs *irqs = *state;
    int ends[2];
    char bytes[4096] = {0};
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], bytes, sizeof(bytes)) > 0) {
    }
    fcntl(ends[1], F_SETFL, 0);
    int given = ends[1];
    assert_int_equal(set(irqs, 0x24, VU_IRQ_MSIX, 0, 1, &given, 1), 0);
    vu_irqs_fire(irqs, 0);
    uint64_t most = UINT64_MAX - 1;
    int fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
    given = dup(fd);
    assert_int_equal(set(irqs, 0x24, VU_IRQ_MSIX, 1, 1, &given, 1), 0);
    vu_irqs_fire(irqs, 1);
    close(fd);
    close(ends[0]);
}

struct firing {
    struct vu_irqs *irqs;
    _Atomic bool is_over;
};

static void *fire_once(void *opaque)
{
    struct firing *firing = opaque;
    vu_irqs_fire(firing->irqs, 0);
    firing->is_over = true;
    return NULL;
}

/* Non-blocking when it was given, full and blocking when it is written. */
static void test_who_waits_is_let_go(void **state)
{
    struct firing firing = {.irqs = *state};
    pthread_t thread;
    uint64_t most = UINT64_MAX - 1;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int given = dup(fd);
    assert_int_equal(set(firing.irqs, 0x24, VU_IRQ_MSIX, 0, 1, &given, 1), 0);
    assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
    fcntl(fd, F_SETFL, 0);
    assert_int_equal(pthread_create(&thread, NULL, fire_once, &firing), 0);
    while (!firing.is_over) {
        vu_irqs_let_go(firing.irqs);
        sched_yield();
    }
    pthread_join(thread, NULL);
    vu_irqs_release(firing.irqs);
    close(fd);
}

/* What is lost when nobody waits: nothing. */
static void test_letting_go_takes_no_interrupt(void **state)
{
    struct vu_irqs *irqs = *state;
    int fd = listen_to(irqs, VU_IRQ_MSIX, 0);
    vu_irqs_fire(irqs, 0);
    vu_irqs_let_go(irqs);
    vu_irqs_fire(irqs, 0);
    assert_int_equal(heard(fd), 2);
    close(fd);
}

int main(void)
{
#define IRQ_TEST(name) cmocka_unit_test_setup_teardown(name, make_irqs, drop_irqs)
    const struct CMUnitTest tests[] = {
        IRQ_TEST(test_vectors),
        IRQ_TEST(test_fired_before_anybody_listens),
        IRQ_TEST(test_masks),
        IRQ_TEST(test_triggers),
        IRQ_TEST(test_msi_folds),
        IRQ_TEST(test_bad),
        IRQ_TEST(test_notices),
        IRQ_TEST(test_readers_that_do_not_read),
        IRQ_TEST(test_who_waits_is_let_go),
        IRQ_TEST(test_letting_go_takes_no_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Unit tests: the IRQ state page instead of calls, and when it is calls after all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client_test.h"

enum { IRQ_STATE = DEXT_MEMORY_IRQ_STATE, LIVE = 1, ENDED = 2 };

/* As the driver's: words at 0x00 pending, at 0x20 enabled, at 0x40 life. */
static uint64_t page[16384 / 8];
static uint64_t other_page[16384 / 8];

static void page_is(uint64_t *memory)
{
    fake.memory[IRQ_STATE] = (struct fake_memory){
        .address = (uintptr_t)memory, .bytes = 16384, .map_status = kIOReturnSuccess};
}

static io_connect_t set_up(void)
{
    uint32_t vectors = 0;
    io_connect_t port = fake_connect(true);

    fake_script_value(DEXT_SEL_SETUP_INTERRUPTS, 256);
    assert_int_equal(apple_dext_setup_interrupts(port, &vectors), kIOReturnSuccess);
    return port;
}

static io_connect_t set_up_with_page(uint64_t life)
{
    memset(page, 0, sizeof(page));
    memset(other_page, 0, sizeof(other_page));
    page[8] = life;
    page_is(page);
    io_connect_t port = set_up();
    assert_int_equal(fake.memory[IRQ_STATE].maps, 1);
    return port;
}

static void pass_time(unsigned ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    nanosleep(&pause, NULL); /* only the client's clock moves */
}

static uint64_t read_word(io_connect_t port, unsigned index)
{
    uint64_t pending[4] = {9, 9, 9, 9};
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), kIOReturnSuccess);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(i == index || pending[i] == 0);
    }
    return pending[index];
}

static void pending_bits_come_from_the_page(void **state)
{
    io_connect_t port = set_up_with_page(0);

    (void)state;
    page[3] = UINT64_C(1) << 63 | 1;
    assert_true(read_word(port, 3) == (UINT64_C(1) << 63 | 1));
    assert_true(page[3] == 0);
    page[0] = 4;
    assert_true(read_word(port, 0) == 4);
    assert_int_equal(fake_calls_of(DEXT_SEL_CHECK_INTERRUPT), 0);
    apple_dext_disconnect(port);
}

static void the_mask_goes_to_the_page(void **state)
{
    const uint64_t mask[4] = {1, 2, 3, UINT64_MAX};
    io_connect_t port = set_up_with_page(LIVE);

    (void)state;
    assert_int_equal(apple_dext_set_irq_mask(port, mask), kIOReturnSuccess);
    assert_memory_equal(page + 4, mask, sizeof(mask));
    assert_true(page[8] == LIVE);
    assert_int_equal(fake_calls_of(DEXT_SEL_SET_IRQ_MASK), 0);
    apple_dext_disconnect(port);
}

/* An empty page does not tell whether anybody would fill it. */
static void an_empty_page_asks_now_and_then(void **state)
{
    io_connect_t port = set_up_with_page(0);

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(read_word(port, 0) == 0);
    }
    unsigned calls = fake_calls_of(DEXT_SEL_CHECK_INTERRUPT);
    assert_true(calls >= 1 && calls < 1000);
    pass_time(150);
    assert_true(read_word(port, 0) == 0);
    assert_int_equal(fake_calls_of(DEXT_SEL_CHECK_INTERRUPT), calls + 1);
    fake_script_status(DEXT_SEL_CHECK_INTERRUPT, MACH_SEND_INVALID_DEST);
    pass_time(150);
    uint64_t pending[4] = {7, 7, 7, 7};
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), MACH_SEND_INVALID_DEST);
    assert_true(pending[0] == 7 && pending[3] == 7);
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), MACH_SEND_INVALID_DEST);
    apple_dext_disconnect(port);
}

static void what_the_call_finds_is_returned(void **state)
{
    io_connect_t port = set_up_with_page(LIVE);

    (void)state;
    fake.pending[2] = 8; /* set between the look and the call */
    assert_true(read_word(port, 2) == 8);
    apple_dext_disconnect(port);
}

static void a_page_that_has_ended_is_left_for_calls(void **state)
{
    const uint64_t mask[4] = {1, 2, 3, 4};
    uint64_t pending[4];
    io_connect_t port = set_up_with_page(LIVE);

    (void)state;
    assert_true(read_word(port, 0) == 0);
    page[8] = ENDED;
    page[1] = 2; /* came before the end */
    fake_script_status(DEXT_SEL_CHECK_INTERRUPT, kIOReturnNoDevice);
    fake_script_status(DEXT_SEL_SET_IRQ_MASK, kIOReturnNoDevice);
    assert_true(read_word(port, 1) == 2);
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), kIOReturnNoDevice);
    assert_int_equal(apple_dext_set_irq_mask(port, mask), kIOReturnNoDevice);
    assert_true(page[4] == 0);
    apple_dext_disconnect(port);
}

static void without_a_page_it_is_calls(void **state)
{
    const uint64_t mask[4] = {1, 2, 3, 4};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        page_is(page);
        memset(page, 0xff, sizeof(page));
        if (i == 0) {
            fake.memory[IRQ_STATE].map_status = kIOReturnBadArgument;
        } else {
            fake.memory[IRQ_STATE].bytes = 64; /* too short for all words */
        }
        io_connect_t port = set_up();
        unsigned calls = fake_calls_of(DEXT_SEL_CHECK_INTERRUPT);
        fake.pending[0] = 3;
        assert_true(read_word(port, 0) == 3);
        assert_int_equal(apple_dext_set_irq_mask(port, mask), kIOReturnSuccess);
        assert_int_equal(fake_calls_of(DEXT_SEL_CHECK_INTERRUPT), calls + 1);
        assert_int_equal(fake_calls_of(DEXT_SEL_SET_IRQ_MASK), i + 1);
        assert_true(page[0] == UINT64_MAX && page[4] == UINT64_MAX);
        apple_dext_disconnect(port);
    }
}

static void nothing_is_mapped_before_set_up(void **state)
{
    uint32_t vectors;
    uint64_t pending[4];

    (void)state;
    page_is(page);
    io_connect_t port = fake_connect(true);
    fake_script_status(DEXT_SEL_CHECK_INTERRUPT, kIOReturnNotReady);
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), kIOReturnNotReady);
    fake_script_status(DEXT_SEL_SETUP_INTERRUPTS, kIOReturnUnsupported);
    assert_int_equal(apple_dext_setup_interrupts(port, &vectors), kIOReturnUnsupported);
    assert_int_equal(fake.memory[IRQ_STATE].maps, 0);
    apple_dext_disconnect(port);
}

/* Whoever opened it may close it, and the memory goes with the connection. */
static void a_foreign_connection_is_served_by_calls(void **state)
{
    io_connect_t port = IO_OBJECT_NULL;
    uint32_t vectors;

    (void)state;
    page_is(page);
    assert_int_equal(IOServiceOpen(FAKE_FIRST_ENTRY + 2, mach_task_self(), 0, &port), 0);
    fake_script_value(DEXT_SEL_SETUP_INTERRUPTS, 4);
    assert_int_equal(apple_dext_setup_interrupts(port, &vectors), kIOReturnSuccess);
    fake.pending[0] = 1;
    assert_true(read_word(port, 0) == 1);
    assert_int_equal(fake.memory[IRQ_STATE].maps, 0);
    assert_int_equal(fake_calls_of(DEXT_SEL_CHECK_INTERRUPT), 1);
    apple_dext_disconnect(port);
}

static void a_reset_may_bring_another_page(void **state)
{
    io_connect_t port = set_up_with_page(LIVE);

    (void)state;
    fake.memory[IRQ_STATE].address = (uintptr_t)other_page;
    assert_int_equal(apple_dext_reset_device(port), kIOReturnSuccess);
    assert_int_equal(fake.memory[IRQ_STATE].maps, 2);
    assert_int_equal(fake.memory[IRQ_STATE].unmaps, 0); /* somebody may be looking into it */
    page[0] = 1;
    other_page[0] = 2;
    assert_true(read_word(port, 0) == 2);
    assert_true(page[0] == 1);
    fake.memory[IRQ_STATE].map_status = kIOReturnBadArgument; /* or none */
    assert_int_equal(apple_dext_reset_device(port), kIOReturnSuccess);
    other_page[0] = 2;
    fake.pending[0] = 16;
    assert_true(read_word(port, 0) == 16);
    apple_dext_disconnect(port);
}

static void after_terminate_the_driver_is_asked(void **state)
{
    uint64_t pending[4];
    io_connect_t port = set_up_with_page(0);

    (void)state;
    page[0] = 1;
    assert_int_equal(apple_dext_terminate(port), kIOReturnSuccess);
    fake_script_status(DEXT_SEL_CHECK_INTERRUPT, MACH_SEND_INVALID_DEST);
    assert_int_equal(apple_dext_read_pending_irqs(port, pending), MACH_SEND_INVALID_DEST);
    apple_dext_disconnect(port);
}

/* IOKit hides the death of a connection that has mappings; this one the caller never asked for. */
static void death_is_told_in_spite_of_the_mapping(void **state)
{
    uint64_t value;
    io_connect_t port = set_up_with_page(0);

    (void)state;
    fake_script_status(DEXT_SEL_CONFIG_READ, kIOReturnBadArgument);
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), kIOReturnBadArgument);
    fake_script_status(DEXT_SEL_GET_IDENTITY, kIOReturnBadArgument);
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), MACH_SEND_INVALID_DEST);
    apple_dext_disconnect(port);
}

/* Bits are raised as the driver does; each must be taken by one thread only. */
enum { TAKERS = 4, RAISES = 40000 };

static atomic_bool has_ended;

struct taker {
    io_connect_t port;
    unsigned failures;
    unsigned long bits;
};

static void *take_all(void *opaque)
{
    struct taker *taker = opaque;
    bool is_last = false;

    while (!is_last) {
        uint64_t pending[4];
        is_last = atomic_load(&has_ended);
        if (apple_dext_read_pending_irqs(taker->port, pending) != kIOReturnSuccess) {
            taker->failures++;
            break;
        }
        for (unsigned i = 0; i < 4; i++) {
            taker->bits += (unsigned)__builtin_popcountll(pending[i]);
        }
    }
    return NULL;
}

static void many_threads_take_each_bit_once(void **state)
{
    struct taker takers[TAKERS];
    pthread_t threads[TAKERS];
    unsigned long raised = 0;
    unsigned long taken = 0;
    io_connect_t port = set_up_with_page(LIVE);

    (void)state;
    atomic_store(&has_ended, false);
    for (unsigned i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.port = port};
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &takers[i]), 0);
    }
    for (unsigned i = 0; i < RAISES; i++) {
        uint64_t bit = UINT64_C(1) << i % 64;
        uint64_t before = __atomic_fetch_or(&page[i / 64 % 4], bit, __ATOMIC_ACQ_REL);
        raised += (before & bit) == 0; /* else it joins the one that is pending */
    }
    atomic_store(&has_ended, true);
    for (unsigned i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(takers[i].failures, 0);
        taken += takers[i].bits;
    }
    assert_true(taken == raised);
    apple_dext_disconnect(port);
}

static void *mask_always(void *opaque)
{
    static const uint64_t mask[4] = {1, 2, 3, 4};

    while (!atomic_load(&has_ended)) {
        apple_dext_set_irq_mask(*(io_connect_t *)opaque, mask);
    }
    return NULL;
}

/* A child has no thread but its own: what others held in the library is nobody's there. */
static void children_of_any_moment_can_look(void **state)
{
    enum { CHILDREN = 50 };
    pthread_t threads[TAKERS];
    io_connect_t port = set_up_with_page(LIVE);

    (void)state;
    atomic_store(&has_ended, false);
    for (unsigned i = 0; i < TAKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, mask_always, &port), 0);
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            uint64_t pending[4] = {0};
            alarm(120); /* a child that hangs dies of it */
            page[1] = 8;
            kern_return_t looked = apple_dext_read_pending_irqs(port, pending);
            _exit(looked != kIOReturnSuccess || pending[1] != 8);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&has_ended, true);
    for (unsigned i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(pending_bits_come_from_the_page),
        CLIENT_TEST(the_mask_goes_to_the_page),
        CLIENT_TEST(an_empty_page_asks_now_and_then),
        CLIENT_TEST(what_the_call_finds_is_returned),
        CLIENT_TEST(a_page_that_has_ended_is_left_for_calls),
        CLIENT_TEST(without_a_page_it_is_calls),
        CLIENT_TEST(nothing_is_mapped_before_set_up),
        CLIENT_TEST(a_foreign_connection_is_served_by_calls),
        CLIENT_TEST(a_reset_may_bring_another_page),
        CLIENT_TEST(after_terminate_the_driver_is_asked),
        CLIENT_TEST(death_is_told_in_spite_of_the_mapping),
        CLIENT_TEST(many_threads_take_each_bit_once),
        CLIENT_TEST(children_of_any_moment_can_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Interrupts: vectors, pending words, masks, several clients.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <string.h>

#include "testdev.h"

static const char *const devices[] = {
    "edu,addr=01:00.0",
    "testdev,addr=02:00.0",
    "testdev,addr=03:00.0,vectors=256",
    "testdev,addr=04:00.0,irq=msi,vectors=16",
    "testdev,addr=05:00.0,irq=none",
    "testdev,addr=06:00.0,irq=msix,vectors=1",
    NULL,
};

enum { ALL_VECTORS = 0x03, MSI_ONLY = 0x04, NO_VECTORS = 0x05, ONE_VECTOR = 0x06 };

static io_connect_t set_up(uint8_t bus, uint32_t want)
{
    uint32_t vectors = 0;
    io_connect_t c = contract_claimed(bus);
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    assert_int_equal(vectors, want);
    return c;
}

static unsigned count_bits(const uint64_t words[4])
{
    unsigned bits = 0;
    for (int i = 0; i < 4; i++) {
        bits += (unsigned)__builtin_popcountll(words[i]);
    }
    return bits;
}

struct collection {
    io_connect_t connection;
    uint64_t words[4];
    unsigned want;
};

static bool has_collected(void *opaque)
{
    struct collection *collection = opaque;
    uint64_t words[4];
    if (apple_dext_read_pending_irqs(collection->connection, words) != kIOReturnSuccess) {
        return true;
    }
    for (int i = 0; i < 4; i++) {
        collection->words[i] |= words[i];
    }
    return count_bits(collection->words) >= collection->want;
}

/* The pending vectors, once there are as many as wanted. */
static void collect(io_connect_t c, unsigned want, uint64_t words[4])
{
    struct collection collection = {.connection = c, .want = want};
    contract_eventually(has_collected, &collection);
    memcpy(words, collection.words, sizeof(collection.words));
    assert_int_equal(count_bits(words), want);
}

static void assert_pending_only(io_connect_t c, unsigned vector)
{
    uint64_t words[4];
    collect(c, 1, words);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(words[i] == (i == vector / 64 ? UINT64_C(1) << (vector % 64) : 0));
    }
}

static void assert_nothing_pending(io_connect_t c)
{
    uint64_t words[4] = {1, 1, 1, 1};
    assert_ok(apple_dext_read_pending_irqs(c, words));
    assert_int_equal(count_bits(words), 0);
}

static void vectors_of_each_kind(void **state)
{
    io_connect_t c = set_up(TESTDEV, 32);
    assert_int_equal(reg_read(c, TESTDEV_IRQ_MODE, 4), 2); /* MSI-X where there is a choice */
    c = set_up(ALL_VECTORS, 256);
    assert_int_equal(reg_read(c, TESTDEV_IRQ_MODE, 4), 2);
    c = set_up(MSI_ONLY, 16);
    assert_int_equal(reg_read(c, TESTDEV_IRQ_MODE, 4), 1);
    set_up(ONE_VECTOR, 1);
    set_up(EDU, 1);
}

static void no_vectors_to_be_had(void **state)
{
    uint32_t vectors = 0xa5;
    io_connect_t c = contract_claimed(NO_VECTORS);
    assert_int_not_equal(apple_dext_setup_interrupts(c, &vectors), kIOReturnSuccess);
    assert_int_equal(vectors, 0xa5);
}

static void the_count_need_not_be_wanted(void **state)
{
    const uint64_t mask[4] = {1, 0, 0, 0};
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(apple_dext_setup_interrupts(c, NULL));
    assert_ok(apple_dext_set_irq_mask(c, mask));
}

static void nothing_before_setup(void **state)
{
    uint64_t words[4] = {0xa5, 0xa5, 0xa5, 0xa5};
    const uint64_t mask[4] = {0};
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_status(apple_dext_read_pending_irqs(c, words), kIOReturnNotReady);
    assert_status(apple_dext_set_irq_mask(c, mask), kIOReturnNotReady);
    assert_true(words[0] == 0xa5 && words[3] == 0xa5);
    assert_status(apple_dext_set_irq_mask(c, NULL), kIOReturnBadArgument);
    assert_status(apple_dext_read_pending_irqs(c, NULL), kIOReturnBadArgument);
    assert_status(IOConnectMapMemory64(c, 7, mach_task_self(), &address, &size, kIOMapAnywhere),
                  kIOReturnBadArgument);
}

static void setup_once_a_client(void **state)
{
    uint32_t vectors = 0xa5;
    io_connect_t c = set_up(TESTDEV, 32);
    assert_status(apple_dext_setup_interrupts(c, &vectors), kIOReturnStillOpen);
    assert_int_equal(vectors, 0xa5);
    contract_disconnect(c);
    set_up(TESTDEV, 32); /* the next client starts anew */
}

static void every_vector_has_a_bit_of_its_own(void **state)
{
    io_connect_t c = set_up(ALL_VECTORS, 256);
    for (unsigned vector = 0; vector < 256; vector++) {
        reg_write(c, TESTDEV_FIRE, 4, vector);
        assert_int_equal(reg_read(c, TESTDEV_FIRE_RESULT, 4), 0);
        assert_pending_only(c, vector);
    }
    reg_write(c, TESTDEV_FIRE, 4, 256);
    assert_int_equal(reg_read(c, TESTDEV_FIRE_RESULT, 4), 2);
    assert_nothing_pending(c);
}

static void msi_vectors_have_bits_of_their_own(void **state)
{
    io_connect_t c = set_up(MSI_ONLY, 16);
    for (unsigned vector = 0; vector < 16; vector++) {
        reg_write(c, TESTDEV_FIRE, 4, vector);
        assert_pending_only(c, vector);
    }
    io_connect_t edu = set_up(EDU, 1);
    assert_ok(apple_dext_mmio_write(edu, 0, 0x60, 4, 0x10));
    assert_pending_only(edu, 0);
    assert_ok(apple_dext_mmio_write(edu, 0, 0x64, 4, 0x10));
}

static void reading_clears(void **state)
{
    uint64_t words[4];
    io_connect_t c = set_up(ALL_VECTORS, 256);
    static const unsigned vectors[] = {0, 63, 64, 127, 128, 200, 255};
    for (size_t i = 0; i < 7; i++) {
        reg_write(c, TESTDEV_FIRE, 4, vectors[i]);
        reg_write(c, TESTDEV_FIRE, 4, vectors[i]); /* one bit, however often it fires */
    }
    collect(c, 7, words);
    assert_true(words[0] == (UINT64_C(1) << 63 | 1));
    assert_true(words[1] == (UINT64_C(1) << 63 | 1));
    assert_true(words[2] == 1);
    assert_true(words[3] == (UINT64_C(1) << 63 | UINT64_C(1) << 8));
    assert_nothing_pending(c);
}

static void masked_vectors_are_dropped(void **state)
{
    AppleDextStatistics before;
    AppleDextStatistics after;
    uint64_t mask[4] = {~UINT64_C(0), ~UINT64_C(0x20), ~UINT64_C(0), ~UINT64_C(0)};
    io_connect_t c = set_up(ALL_VECTORS, 256);
    assert_ok(apple_dext_set_irq_mask(c, mask));
    assert_ok(apple_dext_get_statistics(c, &before));
    reg_write(c, TESTDEV_FIRE, 4, 69);
    reg_write(c, TESTDEV_FIRE, 4, 70);
    assert_pending_only(c, 70);
    assert_ok(apple_dext_get_statistics(c, &after));
    assert_true(after.irqs_dropped == before.irqs_dropped + 1);
    assert_true(after.irqs_raised == before.irqs_raised + 2);
    assert_true(after.irqs_delivered == before.irqs_delivered + 1);
    /* Dropped, not held back (field note E1). */
    mask[1] = ~UINT64_C(0);
    assert_ok(apple_dext_set_irq_mask(c, mask));
    assert_nothing_pending(c);
    reg_write(c, TESTDEV_FIRE, 4, 69);
    assert_pending_only(c, 69);
}

static void every_client_sees_every_vector(void **state)
{
    uint64_t none[4] = {0};
    io_connect_t a = set_up(ALL_VECTORS, 256);
    io_connect_t b = set_up(ALL_VECTORS, 256);
    reg_write(a, TESTDEV_FIRE, 4, 17);
    assert_pending_only(a, 17);
    assert_pending_only(b, 17); /* a's reading did not take it from b */
    assert_ok(apple_dext_set_irq_mask(a, none));
    reg_write(b, TESTDEV_FIRE, 4, 18);
    assert_pending_only(b, 18);
    assert_nothing_pending(a);
    contract_disconnect(a);
    reg_write(b, TESTDEV_FIRE, 4, 19);
    assert_pending_only(b, 19);
}

static bool is_not_zero(void *opaque)
{
    return __atomic_load_n((uint64_t *)opaque, __ATOMIC_ACQUIRE) != 0;
}

static void state_page_is_the_same_state(void **state)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    io_connect_t c = set_up(ALL_VECTORS, 256);
    assert_ok(IOConnectMapMemory64(c, 7, mach_task_self(), &address, &size, kIOMapAnywhere));
    assert_true(size == 16384);
    uint64_t *pending = (uint64_t *)(uintptr_t)address;
    uint64_t *enabled = pending + 4;
    for (int i = 0; i < 4; i++) {
        assert_true(__atomic_load_n(&enabled[i], __ATOMIC_ACQUIRE) == ~UINT64_C(0));
        assert_true(__atomic_load_n(&pending[i], __ATOMIC_ACQUIRE) == 0);
    }
    reg_write(c, TESTDEV_FIRE, 4, 130);
    assert_true(contract_eventually(is_not_zero, &pending[2]));
    assert_true(__atomic_exchange_n(&pending[2], 0, __ATOMIC_ACQ_REL) == 4);
    assert_nothing_pending(c);
    __atomic_store_n(&enabled[2], ~UINT64_C(4), __ATOMIC_RELEASE);
    reg_write(c, TESTDEV_FIRE, 4, 130);
    reg_write(c, TESTDEV_FIRE, 4, 131);
    assert_pending_only(c, 131);
    const uint64_t mask[4] = {1, 2, 3, 4};
    assert_ok(apple_dext_set_irq_mask(c, mask));
    assert_true(__atomic_load_n(&enabled[3], __ATOMIC_ACQUIRE) == 4);
}

static bool timer_is_idle(void *opaque)
{
    return (reg_read(*(io_connect_t *)opaque, TESTDEV_TIMER_CONTROL, 4) & 1) == 0;
}

static void timer_fires_all_vectors(void **state)
{
    uint64_t words[4];
    io_connect_t c = set_up(ALL_VECTORS, 256);
    reg_write(c, TESTDEV_FIRED_CLEAR, 4, 0);
    reg_write(c, TESTDEV_TIMER_FIRST, 4, 0);
    reg_write(c, TESTDEV_TIMER_SPAN, 4, 256);
    reg_write(c, TESTDEV_TIMER_PERIOD, 8, 100000);
    reg_write(c, TESTDEV_TIMER_COUNT, 4, 3);
    reg_write(c, TESTDEV_TIMER_CONTROL, 4, 3);
    collect(c, 256, words);
    for (int i = 0; i < 4; i++) {
        assert_true(words[i] == ~UINT64_C(0));
    }
    assert_true(contract_eventually(timer_is_idle, &c));
    assert_int_equal(reg_read(c, TESTDEV_TIMER_TICKS, 4), 3);
    assert_true(reg_read(c, TESTDEV_FIRED, 8) == 768);
    assert_true(reg_read(c, TESTDEV_LOST, 8) == 0);
    assert_int_equal(reg_read(c, TESTDEV_FIRED_BY_VECTOR + 4 * 255, 4), 3);
}

static void engine_fires_its_vector(void **state)
{
    io_connect_t c = set_up(TESTDEV, 32);
    reg_write(c, TESTDEV_COPY_VECTOR, 4, 9);
    assert_int_equal(engine_run(c, COMMAND_SUM | 0x100, 0, 0, 0), COPY_FINISHED);
    assert_pending_only(c, 9);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(vectors_of_each_kind),
        contract_test(no_vectors_to_be_had),
        contract_test(the_count_need_not_be_wanted),
        contract_test(nothing_before_setup),
        contract_test(setup_once_a_client),
        contract_test(every_vector_has_a_bit_of_its_own),
        contract_test(msi_vectors_have_bits_of_their_own),
        contract_test(reading_clears),
        contract_test(masked_vectors_are_dropped),
        contract_test(every_client_sees_every_vector),
        contract_test(state_page_is_the_same_state),
        contract_test(timer_fires_all_vectors),
        contract_test(engine_fires_its_vector),
    };
    const struct contract_suite suite = {.name = "irq",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}

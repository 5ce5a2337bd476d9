/*
 * Trapped memory seen from C: what compilers make of volatile and atomic accesses reaches the
 * device with the width of its type. Built with and without optimization.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "trap_device.h"

static struct device device;

static void expect_accesses(const char *what, unsigned width, const char *accesses)
{
    DEVICE_SETTLE();
    if (device.count != strlen(accesses)) {
        fail_msg("%s: %u accesses, not %s", what, device.count, accesses);
    }
    for (unsigned i = 0; i < device.count; i++) {
        assert_int_equal(device.log[i].width, width);
        assert_int_equal(device.log[i].is_write, accesses[i] == 'w');
        assert_int_equal(device.log[i].offset, 0x40);
    }
    device.count = 0;
}

/* Runs statement on the device's register and on a variable; both end alike. */
#define SAME(type, accesses, statement)                                                            \
    do {                                                                                           \
        type plain_ = (type)random_value();                                                        \
        uint64_t seen_[2] = {0, 0};                                                                \
        memcpy(device.memory + 0x40, &plain_, sizeof(type));                                       \
        for (int side_ = 0; side_ < 2; side_++) {                                                  \
            volatile type *p =                                                                     \
                side_ ? (volatile type *)(void *)(device.page + 0x40) : (volatile type *)&plain_;  \
            uint64_t out = 0;                                                                      \
            statement;                                                                             \
            DEVICE_SETTLE();                                                                       \
            seen_[side_] = out;                                                                    \
        }                                                                                          \
        assert_memory_equal(device.memory + 0x40, &plain_, sizeof(type));                          \
        assert_true(seen_[0] == seen_[1]);                                                         \
        expect_accesses(#type ": " #statement, sizeof(type), accesses);                            \
    } while (0)

#define COMPARE_EXCHANGE(type)                                                                     \
    static uint64_t compare_exchange_##type(volatile type *p, type expected, type desired)         \
    {                                                                                              \
        bool done = __atomic_compare_exchange_n(p, &expected, desired, 0, __ATOMIC_SEQ_CST,        \
                                                __ATOMIC_SEQ_CST);                                 \
        return done ? 1 : expected ^ 0x55;                                                         \
    }
COMPARE_EXCHANGE(uint8_t)
COMPARE_EXCHANGE(uint16_t)
COMPARE_EXCHANGE(uint32_t)
COMPARE_EXCHANGE(uint64_t)

#define ALL_OPERATIONS(type)                                                                       \
    do {                                                                                           \
        type x = (type)random_value();                                                             \
        SAME(type, "r", out = (uint64_t)*p);                                                       \
        SAME(type, "r", out = (uint64_t)(int64_t)(*p));                                            \
        SAME(type, "r", out = *p == x);                                                            \
        SAME(type, "r", out = *p < x ? 7 : 9);                                                     \
        SAME(type, "r", out = (*p & 0x10) != 0);                                                   \
        SAME(type, "r", out = (uint64_t)(x + *p));                                                 \
        SAME(type, "r", out = (uint64_t)(type)(x * (uint64_t)*p));                                 \
        SAME(type, "r", out = (uint64_t)(x / (*p | 1)));                                           \
        SAME(type, "w", *p = x);                                                                   \
        SAME(type, "w", *p = (type)0xfedcba9876543210);                                            \
        SAME(type, "w", *p = out == 5);                                                            \
        SAME(type, "rw", *p |= x);                                                                 \
        SAME(type, "rw", *p |= 0x20);                                                              \
        SAME(type, "rw", *p &= x);                                                                 \
        SAME(type, "rw", *p &= (type)~2u);                                                         \
        SAME(type, "rw", *p ^= x);                                                                 \
        SAME(type, "rw", *p += x);                                                                 \
        SAME(type, "rw", *p -= x);                                                                 \
        SAME(type, "rw", *p = (type) - *p);                                                        \
        SAME(type, "rw", *p = (type) ~*p);                                                         \
        SAME(type, "rw", *p += 1);                                                                 \
        SAME(type, "rw", *p -= 1);                                                                 \
        SAME(type, "rw", *p = (type)(*p >> 3));                                                    \
        SAME(type, "rw", *p = (type)(*p << 1));                                                    \
    } while (0)

#define ATOMIC_OPERATIONS(type)                                                                    \
    do {                                                                                           \
        type x = (type)random_value();                                                             \
        type expected = random_value() & 1 ? x : (type)random_value();                             \
        SAME(type, "r", out = (uint64_t)__atomic_load_n(p, __ATOMIC_SEQ_CST));                     \
        SAME(type, "w", __atomic_store_n(p, x, __ATOMIC_RELEASE));                                 \
        SAME(type, "rw", out = (uint64_t)__atomic_exchange_n(p, x, __ATOMIC_SEQ_CST));             \
        SAME(type, "rw", out = (uint64_t)__atomic_fetch_add(p, x, __ATOMIC_SEQ_CST));              \
        SAME(type, "rw", out = compare_exchange_##type(p, expected, x));                           \
    } while (0)

static void integers(void **state)
{
    device_open(&device, NULL);
    for (int round = 0; round < 50; round++) {
        ALL_OPERATIONS(uint8_t);
        ALL_OPERATIONS(uint16_t);
        ALL_OPERATIONS(uint32_t);
        ALL_OPERATIONS(uint64_t);
    }
    device_close(&device);
}

static void atomics(void **state)
{
    if (UNDER_TSAN) {
        skip();
    }
    device_open(&device, NULL);
    for (int round = 0; round < 50; round++) {
        ATOMIC_OPERATIONS(uint8_t);
        ATOMIC_OPERATIONS(uint16_t);
        ATOMIC_OPERATIONS(uint32_t);
        ATOMIC_OPERATIONS(uint64_t);
    }
    device_close(&device);
}

static void signed_integers(void **state)
{
    device_open(&device, NULL);
    for (int round = 0; round < 50; round++) {
        SAME(int8_t, "r", out = (uint64_t)(int64_t)*p);
        SAME(int16_t, "r", out = (uint64_t)(int64_t)*p);
        SAME(int32_t, "r", out = (uint64_t)(int64_t)*p);
        SAME(int32_t, "rw", *p = *p >> 5);
        SAME(int8_t, "r", out = (uint32_t)(int32_t)*p);
    }
    device_close(&device);
}

static void floating_point(void **state)
{
    device_open(&device, NULL);
    volatile double *wide = (volatile double *)(void *)(device.page + 0x40);
    volatile float *narrow = (volatile float *)(void *)(device.page + 0x40);
    *wide = 2.5;
    double wide_value = *wide;
    __asm__("" : "+x"(wide_value)); /* not folded into the comparison, which would be refused */
    assert_true(wide_value == 2.5);
    expect_accesses("double", 8, "wr");
    *narrow = -1.25f;
    float narrow_value = *narrow;
    __asm__("" : "+x"(narrow_value));
    assert_true(narrow_value == -1.25f);
    expect_accesses("float", 4, "wr");
    device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(atomics),
        cmocka_unit_test(signed_integers),
        cmocka_unit_test(floating_point),
    };
    return cmocka_run_group_tests_name("trap_c", tests, NULL, NULL);
}

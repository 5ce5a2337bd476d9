/*
 * Copies to and from shared memory: every alignment and length, nothing beside the range, and words
 * that are never seen half-written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/shared_copy.h"

#define ROOM 480

static void test_every_alignment(void **state)
{
    (void)state;
    for (size_t shared_at = 0; shared_at < 33; shared_at++) {
        for (size_t own_at = 0; own_at < 3; own_at++) {
            for (size_t length = 0; length < 440; length += length < 40 ? 1 : 7) {
                _Alignas(32) unsigned char shared[ROOM], own[ROOM], back[ROOM];
                unsigned wrong = 0;
                memset(shared, 0xee, sizeof(shared));
                memset(back, 0xee, sizeof(back));
                for (unsigned i = 0; i < ROOM; i++) {
                    own[i] = (unsigned char)(i % 199 + 1);
                }
                shared_copy_to(shared + shared_at, own + own_at, length);
                for (unsigned i = 0; i < ROOM; i++) {
                    bool is_inside = i >= shared_at && i < shared_at + length;
                    wrong += shared[i] != (is_inside ? own[i - shared_at + own_at] : 0xee);
                }
                shared_copy_from(back + own_at, shared + shared_at, length);
                for (unsigned i = 0; i < ROOM; i++) {
                    bool is_inside = i >= own_at && i < own_at + length;
                    wrong += back[i] != (is_inside ? own[i] : 0xee);
                }
                assert_int_equal(wrong, 0);
            }
        }
    }
}

static _Alignas(32) unsigned char polled[480];
static bool is_over;

static void *write_words(void *opaque)
{
    (void)opaque;
    unsigned char zeros[480] = {0}, ones[480];
    memset(ones, 0xff, sizeof(ones));
    for (unsigned i = 0; i < 20000; i++) {
        /* Starts and ends off the words' bounds; long enough for blocks. */
        shared_copy_to(polled + 5, i % 2 ? ones : zeros, 470);
    }
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    return NULL;
}

static void test_words_are_whole(void **state)
{
    (void)state;
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_words, NULL), 0);
    unsigned torn = 0;
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        uint64_t word;
        for (unsigned at = 8; at < 472; at += 8) {
            shared_copy_from((unsigned char *)&word, polled + at, sizeof(word));
            torn += word != 0 && word != UINT64_MAX;
        }
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(torn, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_alignment),
        cmocka_unit_test(test_words_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

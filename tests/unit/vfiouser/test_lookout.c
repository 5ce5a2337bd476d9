/*
 * Unit tests of when a reader looks for the next message rather than sleeping.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vfiouser/lookout.h"

#define SHORT_NS UINT64_C(20000)
#define LONG_NS  UINT64_C(5000000)
#define LOOK_NS  UINT64_C(500)

/* A reader, its clock, and what it has spent. */
struct reader {
    struct vu_lookout lookout;
    uint64_t now_ns;
    uint64_t looked_ns; /* awake, with nothing to do */
    unsigned slept;     /* waits that slept, from the start or later */
};

static int make(void **state)
{
    static struct reader reader;
    memset(&reader, 0, sizeof(reader));
    reader.now_ns = 1000;
    *state = &reader;
    return 0;
}

/* A wait whose message comes after this long; each look takes look_ns. */
static void wait_ns(struct reader *reader, uint64_t gap_ns, uint64_t look_ns)
{
    uint64_t comes = reader->now_ns + gap_ns;
    bool looks = vu_lookout_begin(&reader->lookout, reader->now_ns);
    while (looks && reader->now_ns < comes) {
        reader->now_ns += look_ns;
        reader->looked_ns += look_ns;
        looks = reader->now_ns >= comes || vu_lookout_again(&reader->lookout, reader->now_ns);
    }
    reader->slept += !looks;
    reader->now_ns = reader->now_ns > comes ? reader->now_ns : comes;
    vu_lookout_end(&reader->lookout, reader->now_ns);
}

static void looks_while_traffic_lasts(void **state)
{
    struct reader *reader = *state;
    for (int i = 0; i < 1000; i++) {
        wait_ns(reader, SHORT_NS, LOOK_NS);
    }
    assert_int_equal(reader->slept, 1); /* the first, when nothing was known */
}

static void sleeps_where_messages_are_rare(void **state)
{
    struct reader *reader = *state;
    for (int i = 0; i < 1000; i++) {
        wait_ns(reader, LONG_NS, LOOK_NS);
    }
    assert_int_equal(reader->slept, 1000);
    assert_int_equal(reader->looked_ns, 0);
}

static void the_end_of_traffic_costs_one_look(void **state)
{
    struct reader *reader = *state;
    for (int i = 0; i < 10; i++) {
        wait_ns(reader, SHORT_NS, LOOK_NS);
    }
    reader->looked_ns = 0;
    for (int i = 0; i < 10; i++) {
        wait_ns(reader, LONG_NS, LOOK_NS);
    }
    assert_in_range(reader->looked_ns, VU_LOOKOUT_NS, VU_LOOKOUT_NS + 2 * LOOK_NS);
}

/* Two messages and a pause, for ever: the second makes every wait behind it look like traffic. */
static void what_is_in_vain_is_tried_less_and_less(void **state)
{
    struct reader *reader = *state;
    const unsigned pairs = 4096;
    for (unsigned i = 0; i < pairs; i++) {
        wait_ns(reader, SHORT_NS, LOOK_NS);
        wait_ns(reader, LONG_NS, LOOK_NS);
    }
    /* One attempt: two short waits in a row never come. */
    assert_true(reader->looked_ns < 2 * VU_LOOKOUT_NS);
}

static void attempts_in_vain_double_what_the_next_one_wants(void **state)
{
    struct reader *reader = *state;
    unsigned last = 0;
    for (int attempt = 0; attempt < 20; attempt++) {
        unsigned shorts = 0;
        uint64_t before = reader->looked_ns;
        while (!vu_lookout_begin(&reader->lookout, reader->now_ns)) {
            reader->now_ns += SHORT_NS;
            vu_lookout_end(&reader->lookout, reader->now_ns);
            shorts++;
        }
        wait_ns(reader, LONG_NS, LOOK_NS);
        assert_true(reader->looked_ns > before);
        assert_int_equal(shorts, attempt == 0                        ? 1
                                 : 2 * last < VU_LOOKOUT_MOST_WANTED ? 2 * last
                                                                     : VU_LOOKOUT_MOST_WANTED);
        last = shorts;
    }
    assert_int_equal(last, VU_LOOKOUT_MOST_WANTED);
}

static void traffic_that_is_back_is_believed_again(void **state)
{
    struct reader *reader = *state;
    reader->lookout.wanted = 64;
    for (int i = 0; i < 64 + 64; i++) {
        wait_ns(reader, SHORT_NS, LOOK_NS);
    }
    assert_int_equal(reader->slept, 64);
    assert_int_equal(reader->lookout.wanted, 1);
}

/* Others have the processor whenever it is given away: each look takes a time slice. */
static void a_full_machine_is_left_alone(void **state)
{
    struct reader *reader = *state;
    for (int i = 0; i < 10000; i++) {
        wait_ns(reader, SHORT_NS, VU_LOOKOUT_AWAY_NS + 1);
    }
    /* 1, 2, 4 … 512, and then each after 1024 */
    assert_in_range(reader->looked_ns / (VU_LOOKOUT_AWAY_NS + 1), 10, 20);
}

static void a_slice_behind_the_last_look_counts_too(void **state)
{
    struct reader *reader = *state;
    wait_ns(reader, SHORT_NS, LOOK_NS);
    assert_true(vu_lookout_begin(&reader->lookout, reader->now_ns));
    vu_lookout_end(&reader->lookout, reader->now_ns + VU_LOOKOUT_AWAY_NS + 1);
    assert_int_equal(reader->lookout.wanted, 2);
    assert_false(vu_lookout_begin(&reader->lookout, reader->now_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(looks_while_traffic_lasts, make),
        cmocka_unit_test_setup(sleeps_where_messages_are_rare, make),
        cmocka_unit_test_setup(the_end_of_traffic_costs_one_look, make),
        cmocka_unit_test_setup(what_is_in_vain_is_tried_less_and_less, make),
        cmocka_unit_test_setup(attempts_in_vain_double_what_the_next_one_wants, make),
        cmocka_unit_test_setup(traffic_that_is_back_is_believed_again, make),
        cmocka_unit_test_setup(a_full_machine_is_left_alone, make),
        cmocka_unit_test_setup(a_slice_behind_the_last_look_counts_too, make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

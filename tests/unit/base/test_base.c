/*
 * Unit tests of the leaf helpers.
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
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/patience.h"
#include "base/shared_memory.h"
#include "base/status.h"
#include "base/ticks.h"
#include "base/trace.h"

static void ranges_do_not_overflow(void **state)
{
    (void)state;
    assert_true(range_is_within(0, 16, 16));
    assert_true(range_is_within(16, 0, 16));
    assert_false(range_is_within(1, 16, 16));
    assert_false(range_is_within(UINT64_MAX, 2, 16));
    assert_false(range_is_within(2, UINT64_MAX, 16));
    assert_true(range_wraps(UINT64_MAX, 2));
    assert_false(range_wraps(UINT64_MAX, 1));
    assert_false(range_wraps(UINT64_MAX, 0));
}

static void widths_are_powers_of_two(void **state)
{
    (void)state;
    for (uint64_t width = 0; width < 20; width++) {
        assert_int_equal(width_is_valid(width, 8),
                         width == 1 || width == 2 || width == 4 || width == 8);
    }
    assert_false(width_is_valid(8, 4));
    assert_true(ones_of_width(4) == 0xffffffffu);
    assert_true(ones_of_width(8) == UINT64_MAX);
}

static void status_translates_both_ways(void **state)
{
    (void)state;
    assert_int_equal(status_from_errno(0), kIOReturnSuccess);
    assert_int_equal(status_from_errno(-ENODEV), (int)0xe00002c0);
    assert_int_equal(status_from_errno(-EXDEV), kIOReturnError);
    assert_int_equal(status_to_errno(kIOReturnStillOpen), -EEXIST);
    assert_int_equal(status_to_errno(0x12345), -EIO);
    assert_string_equal(status_name(kIOReturnNotOpen), "kIOReturnNotOpen");
    assert_null(status_name(0x12345));
    assert_string_equal(status_text(0x12345), "unknown code");
}

static void shared_memory_is_sealed(void **state)
{
    (void)state;
    struct shared_memory memory;
    assert_int_equal(shared_memory_create("test", 0, &memory), -EINVAL);
    assert_int_equal(memory.fd, -1);
    assert_int_equal(shared_memory_create("test", 1, &memory), 0);
    assert_int_equal(memory.bytes, 16384);
    assert_int_equal(ftruncate(memory.fd, 0), -1);
    assert_int_equal(errno, EPERM);
    memset(memory.address, 0x5a, memory.bytes);
    shared_memory_destroy(&memory);
    assert_int_equal(memory.fd, -1);
    shared_memory_destroy(&memory);
}

struct seen_line {
    int count;
    char text[64];
};

static void remember_line(void *opaque, enum log_level level, const char *hop, const char *line)
{
    (void)level;
    (void)hop;
    struct seen_line *seen = opaque;
    seen->count++;
    strncpy(seen->text, line, sizeof(seen->text) - 1);
}

static void log_filters_by_level(void **state)
{
    (void)state;
    struct seen_line seen = {0};
    log_set_sink(remember_line, &seen, LOG_LEVEL_WARNING);
    errno = EDOM;
    log_warning("base", "%s %d", "seen", 1);
    log_info("base", "not seen");
    assert_int_equal(errno, EDOM);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.text, "seen 1");
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    log_error("base", "nobody listens");
    assert_int_equal(seen.count, 1);
}

/* Runs first: what the environment says is read once a process. */
static void odd_environment_is_reported(void **state)
{
    (void)state;
    int ends[2];
    char said[512] = {0};
    size_t length = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("DEXTLINK_LOG", "loud", 1);
        setenv("DEXTLINK_TRACE", "/nowhere/trace", 1);
        dup2(ends[1], STDERR_FILENO);
        log_error("base", "not seen");
        log_error("base", "not seen either");
        _exit(trace_is_on() ? 1 : 0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0) {
        length += (size_t)got;
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_string_equal(said,
                        "dextlink: DEXTLINK_LOG=loud: takes error, warning, info or debug\n"
                        "dextlink: DEXTLINK_TRACE=/nowhere/trace: No such file or directory\n");
}

/* far_ns: the time over which the measured rate counts, and may be off. */
static bool is_near(uint64_t value, uint64_t least, uint64_t most, uint64_t far_ns)
{
    uint64_t slack = 50000 + far_ns / 100;
    return value + slack >= least && value <= most + slack;
}

/* Between two reads of the clock, however far they are apart on a busy machine. */
static void ticks_are_times_of_the_clock(void **state)
{
    (void)state;
    const struct timespec pause = {.tv_nsec = 5000000};
    struct ticks_scale scale;
    ticks_prepare();
    ticks_prepare();
    for (int i = 0; i < 2; i++) {
        uint64_t before = ticks_of_clock();
        uint64_t first = ticks_now();
        uint64_t between = ticks_of_clock();
        nanosleep(&pause, NULL);
        uint64_t still = ticks_of_clock();
        uint64_t last = ticks_now();
        uint64_t after = ticks_of_clock();
        ticks_scale_now(&scale);
        uint64_t far = ticks_of_clock() - before;
        assert_true(is_near(ticks_to_ns(&scale, first), before, between, far));
        assert_true(is_near(ticks_to_ns(&scale, last), still, after, far));
        assert_true(
            is_near(ticks_length_ns(&scale, last - first), still - between, after - before, far));
        assert_true(ticks_length_ns(&scale, 0) == 0);
        /* Once more without the processor's counter. */
        ticks_are_of_processor = false;
    }
    ticks_prepare();
    assert_false(ticks_are_of_processor);
}

static void patience_is_the_users_choice(void **state)
{
    static const struct {
        const char *says;
        uint32_t ms;
    } cases[] = {{"1", 1000},
                 {"600", 600000},
                 {"86400", 86400000},
                 {"", 2500},
                 {"0", 2500},
                 {"-1", 2500},
                 {"86401", 2500},
                 {"1.5", 2500},
                 {"never", 2500},
                 {"7 s", 2500},
                 {"99999999999999999999", 2500}};
    (void)state;
    unsetenv("DEXTLINK_PATIENCE");
    assert_int_equal(patience_ms(2500), 2500);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv("DEXTLINK_PATIENCE", cases[i].says, 1);
        assert_int_equal(patience_ms(2500), cases[i].ms);
    }
    unsetenv("DEXTLINK_PATIENCE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_environment_is_reported),
        cmocka_unit_test(ranges_do_not_overflow),
        cmocka_unit_test(widths_are_powers_of_two),
        cmocka_unit_test(status_translates_both_ways),
        cmocka_unit_test(shared_memory_is_sealed),
        cmocka_unit_test(log_filters_by_level),
        cmocka_unit_test(patience_is_the_users_choice),
        cmocka_unit_test(ticks_are_times_of_the_clock),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

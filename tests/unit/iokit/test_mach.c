/*
 * Unit tests of Mach names, page size and texts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <mach/mach.h>

#include "iokit/page_size.h"

static void texts_name_their_part(void **state)
{
    static const struct {
        mach_error_t code;
        const char *prefix;
    } rows[] = {
        {0, "(os/kern) "},
        {15, "(os/kern) "},
        {56, "(os/kern) "},
        {0x38, "(os/kern) "},
        {0xc002, "(os/unix) "},
        {0x10000003, "(ipc/send) "},
        {0x10004003, "(ipc/rcv) "},
        {-300, "(ipc/mig) "},
        {-309, "(ipc/mig) "},
        {(int)0xe00002c2, "(iokit/common) "},
        {(int)0xe00002cb, "(iokit/common) unknown error code"},
        {(int)0xe3ff8001, "(iokit/vendor) "},
        {(int)0xe0ff8001, "(iokit/?) unknown subsystem error"},
        {57, "(os/kern) unknown error code"},
        {0x10003fff, "(ipc/send) unknown error code"},
        {0x20000000, "(?/?) "},
        {-1, "(?/?) "},
        {-310, "(?/?) "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = mach_error_string(rows[i].code);
        assert_memory_equal(text, rows[i].prefix, strlen(rows[i].prefix));
        assert_true(strlen(text) > strlen(") "));
    }
    assert_string_equal(mach_error_type((int)0xe00002c2), "iokit/common");
    assert_string_equal(mach_error_type(0x10000003), "ipc/send");
}

static void every_known_code_has_its_own_text(void **state)
{
    static const struct {
        unsigned first, last;
        const char *unknown;
        int known;
    } ranges[] = {
        {0, 100, "(os/kern) unknown error code", 57},
        {0x10000001, 0x10000040, "(ipc/send) unknown error code", 23},
        {0x10004001, 0x10004040, "(ipc/rcv) unknown error code", 18},
        {0xe00002bc, 0xe00002f0, "(iokit/common) unknown error code", 51},
        {(unsigned)-309, (unsigned)-300, "(ipc/mig) unknown error code", 10},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        int known = 0;
        for (unsigned code = ranges[i].first; code <= ranges[i].last; code++) {
            const char *text = mach_error_string((mach_error_t)code);
            known += strcmp(text, ranges[i].unknown) != 0;
            for (unsigned other = ranges[i].first; other < code; other++) {
                const char *same = mach_error_string((mach_error_t)other);
                assert_true(same == text || strcmp(same, text) != 0);
            }
        }
        assert_int_equal(known, ranges[i].known);
    }
}

static void page_size_is_the_machines_until_set(void **state)
{
    assert_int_equal(vm_page_size, sysconf(_SC_PAGESIZE));
    assert_int_equal(iokit_page_size_set(16384), 0);
    assert_int_equal(vm_page_size, 16384);
    assert_int_equal(vm_page_mask, 16383);
    assert_int_equal(vm_page_shift, 14);
    assert_int_equal(round_page(1), 16384);
    assert_int_equal(round_page(16384), 16384);
    assert_int_equal(trunc_page(16385), 16384);
    assert_true(mach_vm_round_page(UINT64_C(0x100000001)) == UINT64_C(0x100004000));
    assert_true(mach_vm_trunc_page(UINT64_C(0x100000001)) == UINT64_C(0x100000000));
    assert_int_equal(iokit_page_size_set(2048), -EINVAL);
    assert_int_equal(iokit_page_size_set(12288), -EINVAL);
    assert_int_equal(vm_page_size, 16384);
    assert_int_equal(iokit_page_size_set(0), 0);
    assert_int_equal(vm_page_size, sysconf(_SC_PAGESIZE));
}

static void names_and_codes_have_apples_values(void **state)
{
    assert_int_equal(kIOMainPortDefault, 0);
    assert_int_equal(kIOMasterPortDefault, 0);
    assert_true(MACH_PORT_VALID(mach_task_self()));
    assert_false(MACH_PORT_VALID(MACH_PORT_DEAD));
    assert_int_equal((unsigned)kIOReturnNoDevice, 0xe00002c0);
    assert_true(kIOReturnNoDevice < 0);
    assert_int_equal((unsigned)iokit_vendor_specific_err(1), 0xe3ff8001);
    assert_int_equal(kIOMessageServiceIsTerminated, 0xe0000010);
    assert_int_equal(kIOMapWriteCombineCache, 0x400);
    assert_int_equal((unsigned)kIOMapGuardedMask, 0xc0000000);
    assert_int_equal(kIOAsyncCalloutFuncIndex, 1);
    assert_int_equal(kIOAsyncCalloutRefconIndex, 2);
    assert_int_equal(kIOAsyncCalloutCount, 3);
    assert_int_equal(kIOInterestCalloutCount, 4);
    assert_int_equal(err_get_system(kIOReturnError), 0x38);
    assert_int_equal(err_get_code(kIOReturnError), 0x2bc);
    assert_int_equal(unix_err(ENOENT), 0xc002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_name_their_part),
        cmocka_unit_test(every_known_code_has_its_own_text),
        cmocka_unit_test(page_size_is_the_machines_until_set),
        cmocka_unit_test(names_and_codes_have_apples_values),
    };
    return cmocka_run_group_tests_name("mach", tests, NULL, NULL);
}

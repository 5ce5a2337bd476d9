/*
 * Trapped memory where it is not supported is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "iokit/trap.h"

static void no_access(void *context, uint64_t offset, unsigned width, bool is_write,
                      uint64_t *value)
{
}

static void is_refused(void **state)
{
    struct trap_region *region = NULL;
    char memory[16];
    assert_false(trap_is_supported());
    assert_int_equal(trap_region_add(memory, sizeof(memory), no_access, NULL, &region), -ENOTSUP);
    assert_null(region);
    trap_region_remove(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_refused)};
    return cmocka_run_group_tests_name("trap_unsupported", tests, NULL, NULL);
}

/*
 * What the client's unit tests share: one fresh fake a test, and nothing leaked after it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_CLIENT_TEST_H
#define DEXTLINK_TESTS_CLIENT_TEST_H

#include "fake_iokit.h"

static inline int client_test_setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static inline int client_test_teardown(void **state)
{
    (void)state;
    fake_release_hangs();
    fake_check_balance();
    apple_dext_set_log_callback(NULL, NULL, APPLE_DEXT_LOG_ERROR);
    return 0;
}

#define CLIENT_TEST(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, client_test_setup, client_test_teardown)

#endif

/*
 * Unit tests of what one client may take of a host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "host/quota.h"

#define MOST 3

static struct quota quota;

static int start(void **state)
{
    (void)state;
    quota_init(&quota, MOST);
    return 0;
}

/* Shares go with their last place: with one left, ASan would tell. */
static int stop(void **state)
{
    (void)state;
    assert_true(LIST_EMPTY(&quota.shares));
    quota_destroy(&quota);
    return 0;
}

static struct client_owner own(pid_t pid)
{
    return client_owner_own(pid);
}

static struct client_owner foreign(pid_t pid, unsigned which)
{
    return (struct client_owner){.pid = pid, .uid = geteuid() + 1 + which};
}

static void take_all(struct client_owner owner, struct quota_share **share)
{
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(quota_take(&quota, &owner, share), 0);
    }
}

static void give_all(struct quota_share *share)
{
    for (int i = 0; i < MOST; i++) {
        quota_give(&quota, share);
    }
}

static void a_client_has_so_much_and_no_more(void **state)
{
    struct client_owner owner = own(100);
    struct quota_share *share;
    struct quota_share *none = NULL;
    (void)state;
    assert_int_equal(quota_take(&quota, &owner, &share), 0);
    assert_int_equal(quota_take_more(&quota, share), 0);
    assert_int_equal(quota_take_more(&quota, share), 0);
    assert_int_equal(quota_take_more(&quota, share), -EDQUOT);
    assert_int_equal(quota_take(&quota, &owner, &none), -EDQUOT);
    assert_null(none);
    quota_give(&quota, share);
    assert_int_equal(quota_take(&quota, &owner, &none), 0);
    assert_ptr_equal(none, share);
    assert_int_equal(quota_take_more(&quota, share), -EDQUOT);
    give_all(share);
}

static void processes_of_the_own_user_are_one_each(void **state)
{
    struct quota_share *one;
    struct quota_share *other;
    (void)state;
    take_all(own(100), &one);
    take_all(own(101), &other);
    assert_ptr_not_equal(one, other);
    give_all(one);
    give_all(other);
}

static void processes_of_another_user_are_one_client(void **state)
{
    struct quota_share *theirs;
    struct quota_share *others;
    struct quota_share *same;
    struct client_owner second = foreign(201, 0);
    (void)state;
    take_all(foreign(200, 0), &theirs);
    assert_int_equal(quota_take(&quota, &second, &same), -EDQUOT);
    take_all(foreign(200, 1), &others);
    quota_give(&quota, theirs);
    assert_int_equal(quota_take(&quota, &second, &same), 0);
    assert_ptr_equal(same, theirs);
    give_all(theirs);
    give_all(others);
}

static void nothing_is_given_back_for_nothing(void **state)
{
    (void)state;
    quota_give(&quota, NULL);
}

#define QUOTA_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUOTA_TEST(a_client_has_so_much_and_no_more),
        QUOTA_TEST(processes_of_the_own_user_are_one_each),
        QUOTA_TEST(processes_of_another_user_are_one_client),
        QUOTA_TEST(nothing_is_given_back_for_nothing),
    };
    return cmocka_run_group_tests_name("host_quota", tests, NULL, NULL);
}

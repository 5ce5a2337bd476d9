/*
 * Unit tests of where the host's socket is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/socket_path.h"

static int set_up(void **state)
{
    unsetenv("DEXTLINK_SOCKET");
    return unsetenv("XDG_RUNTIME_DIR");
}

static void check(const char *path, const char *wanted)
{
    struct sockaddr_un address;
    assert_int_equal(wire_socket_address(path, false, &address), 0);
    assert_int_equal(address.sun_family, AF_UNIX);
    assert_string_equal(address.sun_path, wanted);
}

static void the_nearest_says(void **state)
{
    setenv("XDG_RUNTIME_DIR", "/run/somebody", 1);
    check(NULL, "/run/somebody/dextlink.sock");
    setenv("DEXTLINK_SOCKET", "/tmp/named", 1);
    check(NULL, "/tmp/named");
    check("relative", "relative");
    setenv("DEXTLINK_SOCKET", "", 1);
    struct sockaddr_un address;
    assert_int_equal(wire_socket_address(NULL, false, &address), -EINVAL);
    assert_int_equal(wire_socket_address("", false, &address), -EINVAL);
}

static void without_any_it_is_in_a_place_of_this_user(void **state)
{
    struct sockaddr_un address;
    char run[64];
    char private[64];
    snprintf(run, sizeof(run), "/run/user/%u/dextlink.sock", (unsigned)geteuid());
    snprintf(private, sizeof(private), "/tmp/dextlink-%u/dextlink.sock", (unsigned)geteuid());
    setenv("XDG_RUNTIME_DIR", "", 1); /* as if it were not there */
    int error = wire_socket_address(NULL, false, &address);
    assert_true(error == 0 || error == -EACCES);
    assert_true(error || strcmp(address.sun_path, run) == 0 ||
                strcmp(address.sun_path, private) == 0);
}

static void a_path_has_at_most_107_bytes(void **state)
{
    struct sockaddr_un address;
    char path[109];
    memset(path, 'x', sizeof(path));
    path[107] = '\0';
    check(path, path);
    path[107] = 'x';
    path[108] = '\0';
    assert_int_equal(wire_socket_address(path, false, &address), -ENAMETOOLONG);
    path[96] = '\0'; /* with "/dextlink.sock" 110 */
    setenv("XDG_RUNTIME_DIR", path, 1);
    assert_int_equal(wire_socket_address(NULL, false, &address), -ENAMETOOLONG);
    path[93] = '\0';
    setenv("XDG_RUNTIME_DIR", path, 1);
    assert_int_equal(wire_socket_address(NULL, false, &address), 0);
    assert_int_equal(strlen(address.sun_path), 107);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_nearest_says, set_up),
        cmocka_unit_test_setup(without_any_it_is_in_a_place_of_this_user, set_up),
        cmocka_unit_test_setup(a_path_has_at_most_107_bytes, set_up),
    };
    return cmocka_run_group_tests_name("socket_path", tests, NULL, NULL);
}

/*
 * Unit tests of the host's socket: whose it is, what may stand in its place, who may connect.
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
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/listener.h"

static char folder[64];
static char path[96];
static char lock_path[104];

static int set_up(void **state)
{
    strcpy(folder, "/tmp/dextlink-listener-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/dext.sock", folder);
    snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    unlink(lock_path);
    return rmdir(folder);
}

static bool exists(const char *name)
{
    struct stat status;
    return lstat(name, &status) == 0;
}

static void check_refused(int error, const char *text)
{
    struct listener listener;
    char *cause = NULL;
    assert_int_equal(listener_open(path, NULL, &listener, &cause), error);
    assert_non_null(cause);
    if (!strstr(cause, text)) {
        fail_msg("\"%s\" without \"%s\"", cause, text);
    }
    free(cause);
}

static int connect_to(const char *where)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, where);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A server that knows nothing of locks. */
static int bind_plain(bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (listens) {
        assert_int_equal(listen(fd, 1), 0);
    }
    return fd;
}

static void is_ours_alone(void **state)
{
    struct listener listener;
    struct stat status;
    struct client_owner owner = {.pid = 0};
    assert_int_equal(listener_open(path, NULL, &listener, NULL), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(lock_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    check_refused(-EADDRINUSE, "another host is serving there");
    int client = connect_to(path);
    assert_true(client >= 0);
    int served = accept(listener.fd, NULL, NULL);
    assert_true(listener_admits(&listener, served, &owner));
    assert_int_equal(owner.pid, getpid());
    assert_int_equal(owner.uid, geteuid());
    assert_int_equal(owner.gid, getegid());
    close(client);
    close(served);
    listener_close(&listener);
    assert_false(exists(path));
    assert_false(exists(lock_path));
}

static void what_the_dead_left_is_replaced(void **state)
{
    struct listener listener;
    close(bind_plain(true));
    assert_true(exists(path));
    close(open(lock_path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(listener_open(path, NULL, &listener, NULL), 0);
    int client = connect_to(path);
    assert_true(client >= 0);
    close(client);
    listener_close(&listener);
}

static void what_lives_stays(void **state)
{
    int other = bind_plain(true);
    check_refused(-EADDRINUSE, "somebody is serving there");
    int client = connect_to(path);
    assert_true(client >= 0);
    close(client);
    close(other);
    assert_false(exists(lock_path));
}

/* A server that accepts nobody, its queue full: a connect that waits would wait for ever. */
static void what_hangs_stays(void **state)
{
    int other = bind_plain(true);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int clients[1024];
    size_t count = 0;
    int error = 0;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    while (!error && count < 1024) {
        clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        error = connect(clients[count++], (struct sockaddr *)&address, sizeof(address));
    }
    assert_int_equal(errno, EAGAIN);
    alarm(120);
    check_refused(-EADDRINUSE, "somebody is serving there");
    alarm(0);
    assert_true(exists(path));
    while (count > 0) {
        close(clients[--count]);
    }
    close(other);
}

static void what_is_no_socket_stays(void **state)
{
    int file = open(path, O_CREAT | O_WRONLY, 0644);
    check_refused(-EADDRINUSE, "no socket");
    assert_true(exists(path));
    assert_false(exists(lock_path));
    close(file);
}

static void a_lock_that_is_a_link_is_not_followed(void **state)
{
    assert_int_equal(symlink("/dev/null", lock_path), 0);
    check_refused(-ELOOP, path);
    assert_true(exists(lock_path));
    assert_false(exists(path));
}

static void only_our_own_file_is_removed(void **state)
{
    struct listener listener;
    assert_int_equal(listener_open(path, NULL, &listener, NULL), 0);
    unlink(path);
    int other = bind_plain(true);
    listener_close(&listener);
    assert_true(exists(path));
    close(other);
}

static void paths_and_groups_that_cannot_be(void **state)
{
    struct listener listener;
    char text[200];
    char *cause = NULL;
    memset(text, 'x', sizeof(text) - 1);
    text[0] = '/';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(listener_open(text, NULL, &listener, NULL), -ENAMETOOLONG);
    assert_int_equal(listener_open("", NULL, &listener, NULL), -EINVAL);
    assert_int_equal(listener_open("/nonexistent/dext.sock", NULL, &listener, NULL), -ENOENT);
    assert_int_equal(listener_open(path, "no-such-group", &listener, &cause), -EINVAL);
    assert_non_null(strstr(cause, "\"no-such-group\""));
    free(cause);
    assert_false(exists(lock_path));
}

static void a_group_may_be_let_in(void **state)
{
    struct listener listener;
    struct stat status;
    struct group *own = getgrgid(getegid());
    if (!own) {
        skip();
    }
    assert_int_equal(listener_open(path, own->gr_name, &listener, NULL), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    assert_int_equal(status.st_gid, own->gr_gid);
    listener_close(&listener);
}

/* Connects as nobody, with a group or without; its exit code says whether it got in. */
static void connect_as_nobody(gid_t group)
{
    gid_t groups[] = {group};
    bool is_other =
        setgroups(group ? 1 : 0, groups) == 0 && setgid(65534) == 0 && setuid(65534) == 0;
    int fd = is_other ? connect_to(path) : -1;
    char byte;
    _exit(fd >= 0 && read(fd, &byte, 1) == 1 ? 0 : 1);
}

static bool nobody_is_admitted(struct listener *listener, gid_t group)
{
    struct client_owner owner;
    int status;
    pid_t child = fork();
    if (child == 0) {
        connect_as_nobody(group);
    }
    fcntl(listener->fd, F_SETFL, 0);
    int served = accept(listener->fd, NULL, NULL);
    bool admitted = listener_admits(listener, served, &owner);
    if (admitted) {
        assert_int_equal(owner.pid, child);
        assert_int_equal(owner.uid, 65534);
        assert_int_equal(owner.gid, 65534);
        assert_int_equal(write(served, "y", 1), 1);
    }
    close(served);
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), admitted ? 0 : 1);
    return admitted;
}

static void strangers_are_told_by_the_kernel(void **state)
{
    struct listener listener;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(listener_open(path, "daemon", &listener, NULL), 0);
    chmod(folder, 0755);
    chmod(path, 0777); /* past the mode, to the credentials */
    assert_false(nobody_is_admitted(&listener, 0));
    assert_true(nobody_is_admitted(&listener, getgrnam("daemon")->gr_gid));
    listener_close(&listener);
}

#define LISTENER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(is_ours_alone),
        LISTENER_TEST(what_the_dead_left_is_replaced),
        LISTENER_TEST(what_lives_stays),
        LISTENER_TEST(what_hangs_stays),
        LISTENER_TEST(what_is_no_socket_stays),
        LISTENER_TEST(a_lock_that_is_a_link_is_not_followed),
        LISTENER_TEST(only_our_own_file_is_removed),
        LISTENER_TEST(paths_and_groups_that_cannot_be),
        LISTENER_TEST(a_group_may_be_let_in),
        LISTENER_TEST(strangers_are_told_by_the_kernel),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}

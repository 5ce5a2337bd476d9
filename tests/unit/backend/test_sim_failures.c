/*
 * Making a simulated device when the system runs out: the n-th call fails, for every n.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static int calls_left = -1; /* that still succeed; -1: no limit */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
int __real_memfd_create(const char *name, unsigned flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);

static bool call_fails(void)
{
    if (calls_left < 0) {
        return false;
    }
    return calls_left == 0 || calls_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return call_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return call_fails() ? NULL : __real_calloc(count, size);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    if (call_fails()) {
        errno = EMFILE;
        return -1;
    }
    return __real_memfd_create(name, flags);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    return call_fails() ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

static int open_fds(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static void check_failures(const struct model_ops *ops, int wanted_threads)
{
    int fds = open_fds(), memory = 0, memfds = 0, threads = 0;
    for (int nth = 0;; nth++) {
        struct pci_provider *provider = NULL;
        char *error = NULL;
        calls_left = nth;
        int result =
            backend_sim_create(ops, (struct pci_address){0}, NULL, 0, NULL, &provider, &error);
        calls_left = -1;
        assert_null(error);
        if (result == 0) {
            provider_destroy(provider);
            break;
        }
        memory += result == -ENOMEM;
        memfds += result == -EMFILE;
        threads += result == -EAGAIN;
        assert_null(provider);
        assert_int_equal(fake_models_alive, 0);
        assert_int_equal(open_fds(), fds);
    }
    assert_int_equal(memory, 6); /* device, DART, its bitmap and table, model, timers */
    assert_int_equal(memfds, 1);
    assert_int_equal(threads, wanted_threads);
    assert_int_equal(open_fds(), fds);
}

/* A model with files: they are closed, and their locks given back, however far it came. */
static void create_with_files_fails_cleanly(void **state)
{
    char path[] = "/tmp/dextlink-failures-XXXXXX";
    const struct model_option options[] = {{"drive", path}, {"queues", "2"}};
    int fd = mkstemp(path), fds = open_fds(), threads = 0, nth = 0, result;
    assert_int_equal(ftruncate(fd, 65536), 0);
    do {
        struct pci_provider *provider = NULL;
        char *error = NULL;
        calls_left = nth;
        result = backend_sim_create(model_find("nvme"), (struct pci_address){0}, options, 2, NULL,
                                    &provider, &error);
        calls_left = -1;
        assert_null(error);
        threads += result == -EAGAIN;
        assert_true(result == 0 || result == -ENOMEM || result == -EMFILE || result == -EAGAIN);
        assert_true((result == 0) == (provider != NULL));
        provider_destroy(provider);
        assert_int_equal(open_fds(), fds);
        assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
        assert_int_equal(flock(fd, LOCK_UN), 0);
        nth++;
    } while (result != 0);
    assert_true(threads >= 2); /* of files and doorbells */
    close(fd);
    unlink(path);
}

static void create_fails_cleanly(void **state)
{
    (void)state;
    check_failures(&fake_model_ops, 1);
}

static void create_of_one_that_watches_fails_cleanly(void **state)
{
    (void)state;
    check_failures(&fake_polling_ops, 2); /* timers, watching */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_fails_cleanly),
        cmocka_unit_test(create_of_one_that_watches_fails_cleanly),
        cmocka_unit_test(create_with_files_fails_cleanly),
    };
    return cmocka_run_group_tests_name("sim failures", tests, NULL, NULL);
}

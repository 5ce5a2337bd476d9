/*
 * Client memory in numbers: many regions, many files, a file too vast to map, many threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "client_memory_fixture.h"

#define MANY      10000
#define MANY_STEP 4096
#define MANY_FILE ((size_t)MANY * MANY_STEP + UNIT)

static void test_many_regions(void **state)
{
    static struct dma_memory *regions[MANY];
    int fd = make_memfd("many", MANY_FILE, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, MANY_FILE, PROT_READ | PROT_WRITE, 0);
    unsigned fds = count_fds();
    for (unsigned i = 0; i < MANY; i++) {
        address[(size_t)i * MANY_STEP] = (unsigned char)i;
        regions[i] = describe(*state, address + (size_t)i * MANY_STEP, UNIT, MAPPED);
    }
    assert_int_equal(count_mappings("many"), 2);
    assert_int_equal(count_fds(), fds + 2); /* the list of mappings, and the file */
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(device_reads(regions[i], 0), (unsigned char)i);
    }
    for (unsigned i = 0; i < MANY; i++) {
        release(regions[i]);
    }
    assert_int_equal(count_mappings("many"), 1);
    assert_int_equal(count_fds(), fds + 1);
    munmap(address, MANY_FILE);
    close(fd);
}

static void test_many_files(void **state)
{
    struct dma_memory *regions[SHARED_FILES_MAX + 8];
    unsigned char *addresses[SHARED_FILES_MAX + 8];
    int files[SHARED_FILES_MAX + 8];
    for (unsigned i = 0; i < SHARED_FILES_MAX + 8; i++) {
        files[i] = make_memfd("files", UNIT, F_SEAL_SHRINK);
        addresses[i] = map_file(files[i], UNIT, PROT_READ | PROT_WRITE, 0);
    }
    unsigned fds = count_fds();
    for (unsigned i = 0; i < SHARED_FILES_MAX + 8; i++) {
        regions[i] = describe(*state, addresses[i], UNIT, i < SHARED_FILES_MAX ? MAPPED : COPIED);
    }
    assert_int_equal(count_fds(), fds + 1 + SHARED_FILES_MAX);
    for (unsigned i = 0; i < SHARED_FILES_MAX + 8; i++) {
        assert_same_bytes(regions[i], addresses[i]);
        release(regions[i]);
        munmap(addresses[i], UNIT);
        close(files[i]);
    }
}

/* Larger than what may be mapped: read and written instead, although it cannot shrink. */
static void test_vast_file(void **state)
{
    const off_t at = (off_t)1 << 41;
    int fd = make_memfd("vast", (size_t)at + UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, UNIT, PROT_READ | PROT_WRITE, at);
    struct dma_memory *memory = describe(*state, address, UNIT, FILED);
    assert_int_equal(count_mappings("vast"), 1);
    assert_same_bytes(memory, address);
    release(memory);
    munmap(address, UNIT);
    close(fd);
}

/* A child that an embedding program forks keeps nothing of the device's. */
static void test_not_inherited(void **state)
{
    int status = 0;
    int fd = make_memfd("inherited", UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, UNIT, PROT_READ | PROT_WRITE, 0);
    struct dma_memory *memory = describe(*state, address, UNIT, MAPPED);
    assert_int_equal(count_mappings("inherited"), 2);
    pid_t child = fork();
    if (child == 0) {
        _exit(count_mappings("inherited") == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    release(memory);
    munmap(address, UNIT);
    close(fd);
}

struct crowd {
    struct client_process *process;
    unsigned char *address;
};

static void *complain(const char *what)
{
    fprintf(stderr, "%s\n", what);
    return (void *)(uintptr_t)1;
}

static void *crowd_run(void *opaque)
{
    struct crowd *crowd = opaque;
    for (unsigned i = 0; i < 300; i++) {
        struct dma_memory *memory = NULL;
        if (try_describe(crowd->process, crowd->address, UNIT, &memory) != 0) {
            return complain("no memory described");
        }
        if (device_writes(memory, 1, (unsigned char)i) != 0 || device_reads(memory, 0) != 0x5c) {
            return complain("wrong bytes");
        }
        release(memory);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    int fd = make_memfd("crowd", UNIT, F_SEAL_SHRINK);
    struct crowd crowd = {.process = *state,
                          .address = map_file(fd, UNIT, PROT_READ | PROT_WRITE, 0)};
    crowd.address[0] = 0x5c;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &crowd), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        void *complaint = NULL;
        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        assert_null(complaint);
    }
    assert_int_equal(count_mappings("crowd"), 1);
    munmap(crowd.address, UNIT);
    close(fd);
}

int main(int argc, char **argv)
{
    is_text_only = argc > 1 && strcmp(argv[1], "text") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_regions, start, finish),
        cmocka_unit_test_setup_teardown(test_many_files, start, finish),
        cmocka_unit_test_setup_teardown(test_vast_file, start, finish),
        cmocka_unit_test_setup_teardown(test_not_inherited, start, finish),
        cmocka_unit_test_setup_teardown(test_threads, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * DMA and memory: every kind of client memory, both directions, and accesses that must fault.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "testdev.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0", NULL};

#define SOURCE      UINT64_C(0x100000)
#define DESTINATION UINT64_C(0x900000)

/*
 * The device copies from source to destination, twice, the second time what was stored after
 * registration; both live in memory of the kind under test (field notes D13, D14).
 */
static void check_memory(uint8_t *source, uint8_t *destination, size_t bytes)
{
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t from = dma_register(c, SOURCE, source, bytes);
    uint64_t to = dma_register(c, DESTINATION, destination, bytes);
    for (unsigned seed = 1; seed <= 2; seed++) {
        uint64_t word = 0;
        pattern_fill(source, bytes, seed);
        memset(destination, 0, bytes);
        engine_copy(c, from, to, bytes);
        assert_true(pattern_matches(destination, bytes, seed));
        assert_true(pattern_matches(source, bytes, seed));
        assert_ok(apple_dext_probe_dma(c, DESTINATION, bytes - 8, &word));
        assert_memory_equal(&word, destination + bytes - 8, 8);
    }
    assert_ok(apple_dext_unregister_dma(c, SOURCE));
    assert_ok(apple_dext_unregister_dma(c, DESTINATION));
    /* The memory is the client's alone again. */
    assert_int_equal(engine_run(c, COMMAND_FILL, 0, to, bytes), COPY_FAILED);
    assert_true(pattern_matches(destination, bytes, 2));
    contract_disconnect(c);
}

static uint8_t *map_memory(size_t bytes, int flags, int fd)
{
    uint8_t *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_ptr_not_equal(address, MAP_FAILED);
    return address;
}

static void private_anonymous(void **state)
{
    uint8_t *memory = map_memory(1 << 20, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    check_memory(memory, memory + (1 << 19), 1 << 19);
    munmap(memory, 1 << 20);
}

static int guest_ram(size_t bytes, int seals)
{
    int fd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void check_shared_file(int seals)
{
    int fd = guest_ram(1 << 20, seals);
    uint8_t *memory = map_memory(1 << 20, MAP_SHARED, fd);
    uint8_t *alias = map_memory(1 << 20, MAP_SHARED, fd); /* as QEMU and its vhost see it */
    check_memory(memory, memory + (1 << 19), 1 << 19);
    assert_true(pattern_matches(alias + (1 << 19), 1 << 19, 2));
    munmap(memory, 1 << 20);
    munmap(alias, 1 << 20);
    close(fd);
}

static void shared_file(void **state)
{
    check_shared_file(0);
}

static void shared_file_that_cannot_shrink(void **state)
{
    check_shared_file(F_SEAL_SHRINK);
}

/* The pages registered are the file's: what the client maps there later is none of the device's. */
static void shared_file_mapped_over(void **state)
{
    static const int seals[] = {0, F_SEAL_SHRINK};
    for (size_t i = 0; i < 2; i++) {
        int fd = guest_ram(1 << 20, seals[i]);
        uint8_t *memory = map_memory(1 << 20, MAP_SHARED, fd);
        uint8_t *alias = map_memory(1 << 20, MAP_SHARED, fd);
        io_connect_t c = contract_claimed(TESTDEV);
        uint64_t bus = dma_register(c, SOURCE, memory, 1 << 20);
        assert_ptr_equal(mmap(memory, 1 << 20, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                         memory);
        assert_int_equal(device_write(c, bus + 70001, 4, 0x44332211), ERROR_NONE);
        assert_int_equal(alias[70001], 0x11);
        assert_int_equal(alias[70004], 0x44);
        assert_int_equal(memory[70001], 0);
        contract_disconnect(c);
        munmap(memory, 1 << 20);
        munmap(alias, 1 << 20);
        close(fd);
    }
}

/* Guest RAM that is taken away by truncation: a fault of the device, and the host lives. */
static void shared_file_cut_short(void **state)
{
    int fd = guest_ram(1 << 20, 0);
    uint8_t *memory = map_memory(1 << 20, MAP_SHARED, fd);
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t value = 0;
    uint64_t bus = dma_register(c, SOURCE, memory, 1 << 20);
    assert_int_equal(ftruncate(fd, 65536), 0);
    assert_int_equal(device_write(c, bus + 65528, 8, 7), ERROR_NONE);
    assert_int_equal(device_write(c, bus + 65536, 8, 7), ERROR_WRITE);
    assert_int_equal(device_read(c, bus + (1 << 19), 8, &value), ERROR_READ);
    assert_true(value == UINT64_MAX);
    assert_int_equal(lseek(fd, 0, SEEK_END), 65536);
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    munmap(memory, 1 << 20);
    close(fd);
}

static void heap(void **state)
{
    uint8_t *source = malloc(100000);
    uint8_t *destination = malloc(100000);
    check_memory(source, destination, 100000);
    free(source);
    free(destination);
}

static void stack(void **state)
{
    uint8_t source[9000];
    uint8_t destination[9000];
    check_memory(source, destination, sizeof(source));
}

static void globals(void **state)
{
    static uint8_t source[5000] = {1};
    static uint8_t destination[5000];
    check_memory(source, destination, sizeof(source));
}

static void unaligned_and_odd(void **state)
{
    static const size_t sizes[] = {8, 9, 4095, 4097, 16383, 16385, 50001};
    static const size_t starts[] = {1, 13, 4091};
    uint8_t *memory = calloc(4, 50001 + 4096);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t at = 0; at < sizeof(starts) / sizeof(starts[0]); at++) {
            uint8_t *source = memory + starts[at];
            uint8_t *destination = source + sizes[i] + 7;
            source[sizes[i]] = 0xee;
            destination[sizes[i]] = 0xdd;
            check_memory(source, destination, sizes[i]);
            assert_int_equal(source[sizes[i]], 0xee); /* nothing beyond either end */
            assert_int_equal(destination[sizes[i]], 0xdd);
        }
    }
    free(memory);
}

static void edu_engine_copies_both_ways(void **state)
{
    uint8_t memory[600];
    io_connect_t c = contract_claimed(EDU);
    uint64_t bus = dma_register(c, SOURCE, memory, sizeof(memory));
    pattern_fill(memory, 300, 9);
    memset(memory + 300, 0, 300);
    edu_move(c, bus, 0x40000, 300);
    edu_move(c, 0x40000, bus + 300, 300);
    assert_true(pattern_matches(memory + 300, 300, 9));
}

static void single_accesses_of_every_width(void **state)
{
    uint8_t memory[64];
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, SOURCE, memory, sizeof(memory));
    for (unsigned width = 1; width <= 8; width *= 2) {
        uint64_t value = 0;
        memset(memory, 0x5a, sizeof(memory));
        assert_int_equal(device_write(c, bus + 17, width, UINT64_C(0x8877665544332211)),
                         ERROR_NONE);
        for (unsigned i = 0; i < sizeof(memory); i++) {
            assert_int_equal(memory[i], i >= 17 && i < 17 + width ? 0x11 * (i - 16) : 0x5a);
        }
        assert_int_equal(device_read(c, bus + 17, width, &value), ERROR_NONE);
        assert_memory_equal(&value, memory + 17, width);
    }
}

static void unregistered_addresses_fault(void **state)
{
    uint8_t memory[4096];
    uint64_t value = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    AppleDextDeviceState device;
    uint64_t faults = fault_count(c);
    assert_int_equal(device_read(c, 0x1000, 8, &value), ERROR_READ);
    assert_true(value == UINT64_MAX);
    assert_int_equal(device_write(c, UINT64_C(0x123456000), 4, 1), ERROR_WRITE);
    assert_true(fault_count(c) == faults + 2);
    assert_ok(apple_dext_get_device_state(c, &device));
    assert_true(device.last_fault == UINT64_C(0x123456000));

    /* The IOVA is not the bus address; the address of client memory is neither. */
    memset(memory, 0x5a, sizeof(memory));
    uint64_t bus = dma_register(c, SOURCE, memory, sizeof(memory));
    if (!contract.is_identity) {
        assert_int_equal(device_write(c, SOURCE, 4, 0), ERROR_WRITE);
    }
    assert_int_equal(device_write(c, (uintptr_t)memory, 4, 0), ERROR_WRITE);
    /* To the byte at both ends. */
    assert_int_equal(device_write(c, bus + sizeof(memory), 1, 0), ERROR_WRITE);
    assert_int_equal(device_write(c, bus - 1, 1, 0), ERROR_WRITE);
    assert_int_equal(device_write(c, bus + sizeof(memory) - 1, 1, 0x11), ERROR_NONE);
    assert_int_equal(memory[4095], 0x11);
    for (size_t i = 0; i < 4095; i++) {
        assert_int_equal(memory[i], 0x5a);
    }
    /* Nothing of the device died of it. */
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
}

static void after_unregister_nothing_arrives(void **state)
{
    uint8_t memory[4096] = {0};
    uint64_t value = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, SOURCE, memory, sizeof(memory));
    assert_ok(apple_dext_unregister_dma(c, SOURCE));
    uint64_t faults = fault_count(c);
    assert_int_equal(device_write(c, bus, 8, UINT64_MAX), ERROR_WRITE);
    assert_int_equal(device_read(c, bus, 8, &value), ERROR_READ);
    assert_true(value == UINT64_MAX);
    assert_true(fault_count(c) == faults + 2);
    assert_int_equal(memory[0], 0);
    /* And a new region does not get the old one's address at once. */
    if (!contract.is_identity) {
        assert_true(dma_register(c, SOURCE, memory, sizeof(memory)) != bus);
    }
}

static void engine_reports_where_it_faulted(void **state)
{
    static uint8_t memory[3 * 65536];
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, SOURCE, memory, sizeof(memory));
    memset(memory, 0, sizeof(memory));
    assert_int_equal(engine_run(c, COMMAND_FILL, 0, bus, sizeof(memory) + 65536), COPY_FAILED);
    assert_int_equal(reg_read(c, TESTDEV_COPY_ERROR, 4), ERROR_WRITE);
    uint64_t at = reg_read(c, TESTDEV_COPY_FAULT, 8);
    assert_true(at > bus && at <= bus + sizeof(memory));
    assert_int_equal(engine_run(c, COMMAND_SUM, 0x1000, 0, 64), COPY_FAILED);
    assert_int_equal(reg_read(c, TESTDEV_COPY_ERROR, 4), ERROR_READ);
    assert_true(reg_read(c, TESTDEV_COPY_FAULT, 8) == 0x1000);
}

static void memory_unmapped_under_the_device(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    uint8_t *memory = contract_map_apart(65536);
    uint64_t bus = dma_register(c, SOURCE, memory, 65536);
    uint64_t word = 0;
    uint64_t value = 0;
    munmap(memory, 65536);
    uint64_t faults = fault_count(c);
    assert_int_equal(device_write(c, bus, 4, 1), ERROR_WRITE);
    assert_int_equal(device_read(c, bus, 4, &value), ERROR_READ);
    assert_true((value & UINT32_MAX) == UINT32_MAX);
    assert_int_equal(engine_run(c, COMMAND_FILL, 0, bus, 65536), COPY_FAILED);
    assert_true(fault_count(c) >= faults + 3);
    assert_int_not_equal(apple_dext_probe_dma(c, SOURCE, 0, &word), kIOReturnSuccess);
    assert_ok(apple_dext_unregister_dma(c, SOURCE));
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
}

static void read_only_memory_is_a_source_not_a_target(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    uint8_t *memory = map_memory(16384, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    uint64_t value = 0;
    pattern_fill(memory, 16384, 3);
    assert_int_equal(mprotect(memory, 16384, PROT_READ), 0);
    uint64_t bus = dma_register(c, SOURCE, memory, 16384);
    assert_int_equal(device_read(c, bus + 8, 8, &value), ERROR_NONE);
    assert_memory_equal(&value, memory + 8, 8);
    uint64_t faults = fault_count(c);
    assert_int_equal(device_write(c, bus, 4, 0), ERROR_WRITE);
    assert_true(fault_count(c) == faults + 1);
    assert_true(pattern_matches(memory, 16384, 3));
    munmap(memory, 16384);
}

static void bus_mastering_off_moves_nothing(void **state)
{
    uint8_t memory[64] = {0};
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, SOURCE, memory, sizeof(memory));
    uint64_t command = 0;
    assert_ok(apple_dext_config_read(c, 4, 2, &command));
    assert_ok(apple_dext_config_write(c, 4, 2, command & ~UINT64_C(4)));
    assert_int_equal(device_write(c, bus, 4, 0x11111111), ERROR_BUS_MASTER);
    assert_int_equal(memory[0], 0);
    assert_ok(apple_dext_config_write(c, 4, 2, command | 4));
    assert_int_equal(device_write(c, bus, 4, 0x11111111), ERROR_NONE);
    assert_int_equal(memory[0], 0x11);
}

static void statistics_count_regions(void **state)
{
    static uint8_t memory[40000];
    AppleDextStatistics now;
    io_connect_t c = contract_claimed(TESTDEV);
    dma_register(c, SOURCE, memory, 20000);
    dma_register(c, DESTINATION, memory + 20000, 100);
    assert_ok(apple_dext_get_statistics(c, &now));
    assert_true(now.live_regions == 2);
    assert_true(now.live_bytes >= 20100);
    assert_true(now.peak_regions >= 2 && now.peak_bytes >= now.live_bytes);
    assert_ok(apple_dext_unregister_dma(c, SOURCE));
    assert_ok(apple_dext_get_statistics(c, &now));
    assert_true(now.live_regions == 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(private_anonymous),
        contract_test(shared_file),
        contract_test(shared_file_that_cannot_shrink),
        contract_test(shared_file_mapped_over),
        contract_test(shared_file_cut_short),
        contract_test(heap),
        contract_test(stack),
        contract_test(globals),
        contract_test(unaligned_and_odd),
        contract_test(edu_engine_copies_both_ways),
        contract_test(single_accesses_of_every_width),
        contract_test(unregistered_addresses_fault),
        contract_test(after_unregister_nothing_arrives),
        contract_test(engine_reports_where_it_faulted),
        contract_test(memory_unmapped_under_the_device),
        contract_test(read_only_memory_is_a_source_not_a_target),
        contract_test(bus_mastering_off_moves_nothing),
        contract_test(statistics_count_regions),
    };
    const struct contract_suite suite = {.name = "dma_memory",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}

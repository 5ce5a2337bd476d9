/*
 * The client library as QEMU's Apple VFIO back end uses it: a stand-in for that back end
 * (assigned.h) with a test in the guest's place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "assigned.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "testdev.h"

static const char *const devices[] = {
    "edu,addr=01:00.0",
    "testdev,addr=02:00.0,vectors=256",
    "testdev,addr=03:00.0",
    NULL,
};

/* docs/testdev.md: MSI-X table and pending bits of BAR 0, which a VMM keeps for itself. */
enum { TABLE_OFFSET = 0x8000, TABLE_BYTES = 0x4000, BAR0_BYTES = 0x10000, GUEST_RAM = 0x40000 };
enum { COMMAND = 4, STATUS = 6, BUS_MASTER = 4, COPY_WITH_VECTOR = 0x101, COPY_VECTOR = 17 };

static const struct assigned_address edu = {.bus = EDU};
static const struct assigned_address testdev = {.bus = TESTDEV};
static const struct assigned_address other = {.bus = 3};

static void attach(struct assigned_device *device, struct assigned_address address)
{
    assert_int_equal(assigned_attach(device, address), 0);
}

/* As a guest's driver starts: BAR 0 mapped beside the MSI-X table. */
static void attach_mapped(struct assigned_device *device)
{
    attach(device, testdev);
    assert_int_equal(assigned_bar_map(device, 0, TABLE_OFFSET, TABLE_BYTES), 0);
}

static uint64_t read_register(struct assigned_device *device, uint64_t offset, uint32_t width)
{
    uint64_t value = 0;
    assert_int_equal(assigned_bar_read(device, 0, offset, width, &value), 0);
    return value;
}

static void write_register(struct assigned_device *device, uint64_t offset, uint32_t width,
                           uint64_t value)
{
    assert_int_equal(assigned_bar_write(device, 0, offset, width, value), 0);
}

static void devices_come_and_go(void **state)
{
    struct assigned_device device, again;
    for (int i = 0; i < 3; i++) {
        attach(&device, i == 1 ? edu : testdev);
        assert_int_equal(device.vectors, i == 1 ? 1 : 256);
        assigned_detach(&device);
    }
    attach(&device, testdev);
    attach(&again, other); /* another device beside it */
    assigned_detach(&again);
    assert_int_equal(assigned_attach(&again, testdev), -EBUSY);
    assigned_detach(&again); /* nothing to undo */
    assert_int_equal(assigned_attach(&again, (struct assigned_address){.bus = 0x44}), -ENODEV);
    assert_true(read(device.wake_fd, &(uint64_t){0}, 8) < 0); /* no wake-up yet */
    assigned_detach(&device);
}

static void the_connection_is_shared_until_the_last(void **state)
{
    static uint64_t memory[2048] __attribute__((aligned(16384)));
    struct assigned_device device;
    struct assigned_dma first, second;
    uint64_t bus;
    attach(&device, testdev);
    assert_int_equal(assigned_dma_open(&first, testdev), 0);
    assert_int_equal(assigned_dma_open(&second, testdev), 0);
    assert_true(first.is_shared && second.is_shared);
    assert_int_equal(first.connection, device.connection);
    assigned_dma_close(&second);
    assigned_detach(&device); /* the mapper outlives the device */
    assert_int_equal(assigned_dma_map(&first, GUEST_RAM, memory, sizeof(memory), &bus), 0);
    assert_int_equal(assigned_attach(&device, testdev), -EBUSY);
    assigned_dma_close(&first);
    attach(&device, testdev);
    assigned_detach(&device);
    /* A mapper without a device has a connection of its own. */
    assert_int_equal(assigned_dma_open(&first, testdev), 0);
    assert_false(first.is_shared);
    assert_int_equal(assigned_dma_map(&first, GUEST_RAM, memory, sizeof(memory), &bus), 0);
    assert_int_equal(assigned_dma_unmap(&first, GUEST_RAM), 0);
    assert_int_equal(assigned_dma_unmap(&first, GUEST_RAM), -ENOENT);
    assigned_dma_close(&first);
    assert_int_equal(assigned_dma_open(&first, (struct assigned_address){.bus = 0x44}), -ENODEV);
}

static void bars_are_sized_and_mapped_beside_the_hole(void **state)
{
    static const uint64_t bytes[ASSIGNED_BARS] = {BAR0_BYTES, 256, 0x400000, 0, 0x10000, 0};
    struct assigned_device device;
    uint64_t value = 0;
    attach_mapped(&device);
    for (uint8_t bar = 0; bar < ASSIGNED_BARS; bar++) {
        assert_true(assigned_bar_bytes(&device, bar) == bytes[bar]);
    }
    const struct assigned_bar *bar = &device.bars[0];
    assert_true(bar->bytes == BAR0_BYTES);
    assert_int_equal(bar->range_count, 2);
    assert_true(bar->ranges[0].offset == 0 && bar->ranges[0].bytes == TABLE_OFFSET);
    assert_true(bar->ranges[1].offset == TABLE_OFFSET + TABLE_BYTES);
    assert_true(bar->ranges[1].bytes == BAR0_BYTES - TABLE_OFFSET - TABLE_BYTES);
    assert_ptr_equal(bar->ranges[1].memory, bar->memory + TABLE_OFFSET + TABLE_BYTES);
    /* A guest's load from the range is one access of the device. */
    assert_true(*(volatile uint32_t *)(bar->ranges[0].memory + TESTDEV_ID) == TESTDEV_ID_VALUE);
    assert_int_equal(assigned_bar_map(&device, 1, 0, 0), -EIO); /* ports */
    assert_int_equal(assigned_bar_map(&device, 3, 0, 0), -EIO); /* an upper half */
    assert_int_equal(assigned_bar_read(&device, 1, 0, 4, &value), -EINVAL);
    assert_int_equal(assigned_bar_read(&device, 0, BAR0_BYTES - 4, 8, &value), -EINVAL);
    assert_int_equal(assigned_bar_unmap(&device, 0), 0);
    assert_int_equal(assigned_bar_read(&device, 0, 0, 4, &value), -EINVAL);
    assigned_detach(&device);
}

static void mapping_and_call_reach_one_device(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t width;
        uint64_t value;
    } rows[] = {{TESTDEV_SCRATCH_1, 1, 0x81},
                {TESTDEV_SCRATCH_2, 2, 0x8182},
                {TESTDEV_SCRATCH_4, 4, 0x81828384},
                {TESTDEV_SCRATCH_8, 8, UINT64_C(0x8182838485868788)}};
    struct assigned_device device;
    attach_mapped(&device);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value = 0;
        write_register(&device, rows[i].offset, rows[i].width, rows[i].value);
        assert_int_equal(
            assigned_bar_call(&device, 0, rows[i].offset, rows[i].width, false, &value), 0);
        assert_true(value == rows[i].value);
        value = ~rows[i].value;
        assert_int_equal(assigned_bar_call(&device, 0, rows[i].offset, rows[i].width, true, &value),
                         0);
        assert_true(read_register(&device, rows[i].offset, rows[i].width) ==
                    (~rows[i].value & (UINT64_MAX >> (64 - 8 * rows[i].width))));
    }
    /* Prefetchable memory. */
    uint64_t value = 0;
    assert_int_equal(assigned_bar_map(&device, 4, 0, 0), 0);
    assert_int_equal(device.bars[4].range_count, 1);
    memset(device.bars[4].ranges[0].memory + 4096, 0x5a, 8);
    assert_int_equal(assigned_bar_call(&device, 4, 4096, 8, false, &value), 0);
    assert_true(value == UINT64_C(0x5a5a5a5a5a5a5a5a));
    assert_int_equal(assigned_bar_call(&device, 5, 0, 4, false, &value), -ENOENT);
    assigned_detach(&device);
}

static void the_config_filter_keeps_what_is_the_hosts(void **state)
{
    struct assigned_device device;
    uint32_t dword = 0, bar;
    uint16_t word = 0;
    uint8_t bytes[16];
    attach(&device, testdev);
    assert_int_equal(assigned_config_read(&device, 0, 4, &dword), 0);
    assert_int_equal(dword, 0x7e571234);
    assert_int_equal(assigned_config_read(&device, 2, 2, &word), 0);
    assert_int_equal(word, 0x7e57);
    assert_int_equal(assigned_config_read(&device, 1, 6, bytes), 0); /* a block */
    assert_memory_equal(bytes, "\x12\x57\x7e", 3);
    assert_int_equal(assigned_config_read(&device, 4094, 4, &dword), 0); /* over the end */
    assert_int_equal(dword >> 16, 0);
    assert_int_equal(assigned_config_read(&device, 4096, 4, &dword), -EINVAL);

    /* Sizing a BAR: the host's register stays, whatever the guest writes. */
    assert_int_equal(assigned_config_read(&device, 0x18, 2, &word), 0);
    bar = word;
    dword = UINT32_MAX;
    assert_int_equal(assigned_config_write(&device, 0x18, 4, &dword), 0);
    assert_int_equal(assigned_config_read(&device, 0x18, 2, &word), 0);
    assert_int_equal(word, bar);
    assert_int_equal(assigned_bar_map(&device, 2, 0, 0), 0); /* where it was */

    /* Command and status in one write: the command arrives, status bits are not cleared. */
    assert_int_equal(assigned_config_read(&device, COMMAND, 4, &dword), 0);
    assert_int_equal(dword & 6, 6);
    dword = (dword & ~(uint32_t)BUS_MASTER) | 0xf9000000u;
    assert_int_equal(assigned_config_write(&device, COMMAND, 4, &dword), 0);
    assert_int_equal(assigned_config_read(&device, COMMAND, 2, &word), 0);
    assert_int_equal(word & 6, 2);
    word |= BUS_MASTER;
    assert_int_equal(assigned_config_write(&device, COMMAND, 2, &word), 0);
    assert_int_equal(assigned_config_write(&device, STATUS, 2, &word), 0);
    assert_int_equal(assigned_config_read(&device, COMMAND, 2, &word), 0);
    assert_int_equal(word & 6, 6);

    /* Everything else is the device's: the interrupt line is plain storage. */
    bytes[0] = 0x5a;
    assert_int_equal(assigned_config_write(&device, 0x3c, 1, bytes), 0);
    assert_int_equal(assigned_config_read(&device, 0x3c, 1, &bytes[1]), 0);
    assert_int_equal(bytes[1], 0x5a);
    assert_int_equal(assigned_config_write(&device, 0x40, 3, bytes), -EINVAL);
    assigned_detach(&device);
}

/* Whether the guest's eventfd was signalled, waiting turn by turn of the main loop. */
static bool arrives(struct assigned_device *device, int fd)
{
    uint64_t count = 0;
    while (read(fd, &count, sizeof(count)) < 0) {
        if (assigned_irq_turn(device, 120000) != 0) {
            return false;
        }
    }
    return count > 0;
}

static void vectors_reach_the_guests_eventfds(void **state)
{
    static const uint32_t used[] = {0, 1, 63, 64, 127, 128, 200, 255};
    enum { USED = sizeof(used) / sizeof(used[0]) };
    struct assigned_device device;
    int fds[USED];
    attach_mapped(&device);
    for (size_t i = 0; i < USED; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_int_equal(assigned_irq_use(&device, used[i], fds[i]), 0);
    }
    for (size_t i = 0; i < USED; i++) {
        write_register(&device, TESTDEV_FIRE, 4, used[i]);
        assert_int_equal(read_register(&device, TESTDEV_FIRE_RESULT, 4), 0);
        assert_true(arrives(&device, fds[i]));
    }
    /* All at once, and a vector that the guest does not use: dropped by the host's mask. */
    write_register(&device, TESTDEV_FIRE, 4, 100);
    for (size_t i = 0; i < USED; i++) {
        write_register(&device, TESTDEV_FIRE, 4, used[i]);
    }
    for (size_t i = 0; i < USED; i++) {
        assert_true(arrives(&device, fds[i]));
        assert_true(read(fds[i], &(uint64_t){0}, 8) < 0);
    }
    /* Given up by the guest: its eventfd may be closed. */
    assert_int_equal(assigned_irq_use(&device, used[0], -1), 0);
    write_register(&device, TESTDEV_FIRE, 4, used[0]);
    write_register(&device, TESTDEV_FIRE, 4, used[1]);
    assert_true(arrives(&device, fds[1]));
    assert_true(read(fds[0], &(uint64_t){0}, 8) < 0);
    assert_int_equal(assigned_irq_use(&device, 256, fds[0]), -EINVAL);
    assigned_detach(&device);
    for (size_t i = 0; i < USED; i++) {
        close(fds[i]);
    }
}

/* Each time the notice is armed again, also when the vector fired before that. */
static void every_interrupt_wakes_the_main_loop(void **state)
{
    enum { ROUNDS = 300 };
    struct assigned_device device;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    attach_mapped(&device);
    assert_int_equal(assigned_irq_use(&device, 5, fd), 0);
    for (int i = 0; i < ROUNDS; i++) {
        write_register(&device, TESTDEV_FIRE, 4, 5);
        assert_true(arrives(&device, fd));
    }
    assigned_detach(&device);
    close(fd);
}

static void copy(struct assigned_device *device, uint64_t from, uint64_t to, uint64_t bytes)
{
    write_register(device, TESTDEV_COPY_SOURCE, 8, from);
    write_register(device, TESTDEV_COPY_DESTINATION, 8, to);
    write_register(device, TESTDEV_COPY_LENGTH, 8, bytes);
    write_register(device, TESTDEV_COPY_VECTOR, 4, COPY_VECTOR);
    write_register(device, TESTDEV_COPY_COMMAND, 4, COPY_WITH_VECTOR);
}

/* A guest's driver: map, program bus addresses, wait for the vector. */
static void the_device_reaches_guest_memory(void **state)
{
    enum { BYTES = 0x20000, HALF = BYTES / 2 };
    struct assigned_device device;
    struct assigned_dma dma;
    uint64_t bus = 0;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int ram = memfd_create("guest", MFD_CLOEXEC);
    assert_int_equal(ftruncate(ram, BYTES), 0);
    char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    attach_mapped(&device);
    assert_int_equal(assigned_dma_open(&dma, testdev), 0);
    assert_int_equal(assigned_dma_map(&dma, GUEST_RAM, memory, BYTES, &bus), 0);
    assert_int_equal(bus == GUEST_RAM, contract.is_identity);
    assert_int_equal(assigned_dma_map(&dma, GUEST_RAM, memory, BYTES, &bus), -EIO); /* again */
    assert_int_equal(assigned_irq_use(&device, COPY_VECTOR, fd), 0);

    pattern_fill(memory, HALF, 7);
    copy(&device, bus, bus + HALF, HALF);
    assert_true(arrives(&device, fd));
    assert_int_equal(read_register(&device, TESTDEV_COPY_STATUS, 4), COPY_FINISHED);
    assert_true(pattern_matches(memory + HALF, HALF, 7));
    assert_int_equal(assigned_dma_check(&dma, GUEST_RAM, memory, BYTES), 0);
    assert_int_equal(assigned_dma_check(&dma, GUEST_RAM + 1, memory, BYTES), -EIO);

    assert_int_equal(assigned_dma_unmap(&dma, GUEST_RAM), 0);
    copy(&device, bus, bus + HALF, HALF);
    assert_true(arrives(&device, fd));
    assert_int_equal(read_register(&device, TESTDEV_COPY_STATUS, 4), COPY_FAILED);
    assigned_detach(&device);
    assigned_dma_close(&dma);
    munmap(memory, BYTES);
    close(ram);
    close(fd);
}

static void a_reset_leaves_the_guest_attached(void **state)
{
    struct assigned_device device;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    attach_mapped(&device);
    assert_int_equal(assigned_irq_use(&device, 3, fd), 0);
    uint64_t generation = read_register(&device, TESTDEV_GENERATION, 4);
    write_register(&device, TESTDEV_SCRATCH_4, 4, 0x12345678);
    assert_int_equal(assigned_reset(&device), 0);
    assert_true(read_register(&device, TESTDEV_GENERATION, 4) == generation + 1);
    assert_true(read_register(&device, TESTDEV_SCRATCH_4, 4) == 0); /* by the old mapping */
    write_register(&device, TESTDEV_FIRE, 4, 3);
    assert_true(arrives(&device, fd)); /* by the old set-up and mask */
    assigned_detach(&device);
    close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(devices_come_and_go),
        contract_test(the_connection_is_shared_until_the_last),
        contract_test(bars_are_sized_and_mapped_beside_the_hole),
        contract_test(mapping_and_call_reach_one_device),
        contract_test(the_config_filter_keeps_what_is_the_hosts),
        contract_test(vectors_reach_the_guests_eventfds),
        contract_test(every_interrupt_wakes_the_main_loop),
        contract_test(the_device_reaches_guest_memory),
        contract_test(a_reset_leaves_the_guest_attached),
    };
    const struct contract_suite suite = {.name = "assigned",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}

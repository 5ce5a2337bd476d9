/*
 * Unit tests of mapping driver memory: addresses, sizes, sameness, lifetime, trapped pages, and
 * hosts that describe memory there cannot be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

#include "fake_host.h"
#include "iokit/trap.h"

#define MAX_RANGES 9

/* What the host says a memory type is made of. */
struct script {
    int32_t status;
    uint64_t bytes;
    uint32_t is_read_only;
    uint32_t range_count;
    struct {
        uint64_t offset, bytes, fd_offset;
        uint32_t index;
    } ranges[MAX_RANGES];
    int fd; /* -1: none travels */
    size_t cut, more;
    /* Of the last trapped access; the compiler does not see that one changes them. */
    volatile uint64_t access_offset, access_value;
    volatile uint32_t access_width, access_is_write;
};

static struct fake_host host;
static struct script script;
static io_connect_t connection;

static int scripted_map(struct fake_host *self, struct wire_message *request,
                        struct wire_message *reply)
{
    const struct script *map = self->context;
    (void)request;
    reply->header.status = map->status;
    wire_put_u64(reply, map->bytes);
    wire_put_u32(reply, map->is_read_only);
    wire_put_u32(reply, map->range_count);
    for (uint32_t i = 0; i < map->range_count && i < MAX_RANGES; i++) {
        fake_put_range(reply, map->ranges[i].offset, map->ranges[i].bytes, map->ranges[i].fd_offset,
                       map->ranges[i].index);
    }
    memset(wire_put_space(reply, map->more), 0, map->more);
    reply->length -= map->cut;
    if (map->fd >= 0) {
        wire_put_fd(reply, fcntl(map->fd, F_DUPFD_CLOEXEC, 0));
    }
    return 0;
}

static int scripted_access(struct fake_host *self, struct wire_message *request,
                           struct wire_message *reply)
{
    struct script *map = self->context;
    wire_get_u64(request);
    map->access_offset = wire_get_u64(request);
    map->access_width = wire_get_u32(request);
    map->access_is_write = wire_get_u32(request);
    map->access_value = wire_get_u64(request);
    assert_true(wire_is_consumed(request));
    wire_put_u64(reply, 0x1122334455667788);
    errno = EXDEV; /* a host may leave anything there: the program's stays */
    return 0;
}

static void start(uint32_t page_size)
{
    memset(&host, 0, sizeof(host));
    memset(&script, 0, sizeof(script));
    host.entry_count = 1;
    host.page_size = page_size;
    host.answer[WIRE_MAP] = scripted_map;
    host.answer[WIRE_ACCESS] = scripted_access;
    host.context = &script;
    script.fd = fake_host_memory((size_t)page_size * 4);
    fake_host_start(&host);
    io_service_t service =
        IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), 0);
    IOObjectRelease(service);
    assert_int_equal(vm_page_size, page_size);
}

static int start_4k(void **state)
{
    (void)state;
    start(4096);
    return 0;
}

static int start_16k(void **state)
{
    (void)state;
    start(16384);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    IOServiceClose(connection);
    fake_host_stop(&host);
    if (script.fd >= 0) {
        close(script.fd);
    }
    return 0;
}

/* One direct range from the start of the file. */
static void script_direct(uint64_t bytes)
{
    script.bytes = bytes;
    script.range_count = 1;
    script.ranges[0].offset = 0;
    script.ranges[0].bytes = (bytes + vm_page_size - 1) & ~(uint64_t)(vm_page_size - 1);
    script.ranges[0].fd_offset = 0;
    script.ranges[0].index = 0;
}

static kern_return_t map_anywhere(mach_vm_address_t *address, mach_vm_size_t *size)
{
    *address = 0xdead;
    *size = 0xbeef;
    return IOConnectMapMemory64(connection, 1, mach_task_self(), address, size, kIOMapAnywhere);
}

static bool is_mapped(mach_vm_address_t address)
{
    unsigned char resident;
    return mincore((void *)(uintptr_t)address, (size_t)sysconf(_SC_PAGESIZE), &resident) == 0;
}

static void size_is_exact_and_the_rest_of_the_page_is_there(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size + 100);
    assert_int_equal(map_anywhere(&address, &size), 0);
    assert_int_equal(size, vm_page_size + 100);
    assert_int_equal(address % vm_page_size, 0);
    volatile uint64_t *words = (volatile uint64_t *)(uintptr_t)address;
    assert_int_equal(words[(vm_page_size + 96) / 8], vm_page_size + 96);
    words[0] = 42; /* shared with the host */
    uint64_t seen = 0;
    assert_int_equal(pread(script.fd, &seen, sizeof(seen), 0), 8);
    assert_int_equal(seen, 42);
}

static void the_same_memory_is_mapped_once_and_unmapped_once(void **state)
{
    mach_vm_address_t first;
    mach_vm_address_t second;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size);
    assert_int_equal(map_anywhere(&first, &size), 0);
    assert_int_equal(map_anywhere(&second, &size), 0);
    assert_int_equal(first, second);
    /* The address does not matter. */
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, mach_task_self(), 0x123), 0);
    assert_false(is_mapped(first));
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, mach_task_self(), first),
                     kIOReturnBadArgument);
}

static void another_cache_mode_is_another_mapping(void **state)
{
    mach_vm_address_t first;
    mach_vm_address_t second = 0;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size);
    assert_int_equal(map_anywhere(&first, &size), 0);
    assert_int_equal(IOConnectMapMemory64(connection, 1, mach_task_self(), &second, &size,
                                          kIOMapAnywhere | kIOMapWriteCombineCache),
                     0);
    assert_true(first != second);
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, mach_task_self(), 0), 0);
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, mach_task_self(), 0), 0);
    assert_false(is_mapped(first));
    assert_false(is_mapped(second));
}

static void memory_that_the_driver_replaced_is_mapped_anew(void **state)
{
    mach_vm_address_t first;
    mach_vm_address_t second;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size);
    assert_int_equal(map_anywhere(&first, &size), 0);
    int before = script.fd;
    script.fd = fake_host_memory((size_t)vm_page_size * 4);
    assert_int_equal(map_anywhere(&second, &size), 0);
    assert_true(first != second);
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, mach_task_self(), 0), 0);
    assert_true(is_mapped(first)); /* nobody can name it any more, until close */
    assert_false(is_mapped(second));
    close(before);
}

static void a_fixed_address_is_taken_exactly_and_never_over_others(void **state)
{
    mach_vm_size_t size = 0;
    (void)state;
    script_direct(vm_page_size);
    uint8_t *room = mmap(NULL, 3 * vm_page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(room != MAP_FAILED);
    mach_vm_address_t inside =
        ((uintptr_t)room + vm_page_size - 1) & ~(uintptr_t)(vm_page_size - 1);
    mach_vm_address_t address = inside;
    assert_int_equal(IOConnectMapMemory64(connection, 1, mach_task_self(), &address, &size, 0),
                     kIOReturnBadArgument);
    munmap(room, 3 * vm_page_size);
    assert_int_equal(IOConnectMapMemory64(connection, 1, mach_task_self(), &address, &size, 0), 0);
    assert_int_equal(address, inside);
    address = 0; /* neither anywhere nor an address */
    assert_int_equal(IOConnectMapMemory64(connection, 1, mach_task_self(), &address, &size, 0),
                     kIOReturnBadArgument);
    address = inside + 8;
    assert_int_equal(IOConnectMapMemory64(connection, 1, mach_task_self(), &address, &size, 0),
                     kIOReturnBadArgument);
}

static void every_failure_to_map_is_the_same_code_and_changes_nothing(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size);
    script.status = kIOReturnNotReady;
    assert_int_equal(map_anywhere(&address, &size), kIOReturnBadArgument);
    assert_int_equal(address, 0xdead);
    assert_int_equal(size, 0xbeef);
    /* On unmap it is the driver's own. */
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, mach_task_self(), 0), kIOReturnNotReady);
    assert_int_equal(IOConnectMapMemory64(connection, 1, 0, &address, &size, kIOMapAnywhere),
                     kIOReturnBadArgument);
    assert_int_equal(
        IOConnectMapMemory64(connection, 1, mach_task_self(), NULL, &size, kIOMapAnywhere),
        kIOReturnBadArgument);
    assert_int_equal(
        IOConnectMapMemory64(connection, 1, mach_task_self(), &address, NULL, kIOMapAnywhere),
        kIOReturnBadArgument);
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, 0, 0), kIOReturnBadArgument);
}

static void the_driver_alone_decides_on_read_only(void **state)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    (void)state;
    script_direct(vm_page_size);
    assert_int_equal(IOConnectMapMemory64(connection, 1, mach_task_self(), &address, &size,
                                          kIOMapAnywhere | kIOMapReadOnly),
                     0);
    *(volatile uint64_t *)(uintptr_t)address = 1; /* no fault */
    IOConnectUnmapMemory64(connection, 1, mach_task_self(), 0);
    script.is_read_only = 1;
    assert_int_equal(map_anywhere(&address, &size), 0);
    /* The kernel cannot write there for us. */
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(zero, (void *)(uintptr_t)address, 8), -1);
    assert_int_equal(errno, EFAULT);
    close(zero);
}

static void memory_there_cannot_be_is_refused(void **state)
{
    const uint64_t page = vm_page_size;
    const struct script lies[] = {
        {.bytes = 0},
        {.bytes = UINT64_MAX},
        {.bytes = (UINT64_C(1) << 46) + 1},
        {.bytes = page, .range_count = 9},
        {.bytes = page, .range_count = UINT32_MAX},
        {.bytes = page, .range_count = 1, .ranges = {{0, page, 0, 0}}, .cut = 4},
        {.bytes = page, .range_count = 1, .ranges = {{0, page, 0, 0}}, .more = 4},
        {.bytes = page, .range_count = 1, .ranges = {{0, page, 0, 1}}},
        {.bytes = page, .range_count = 1, .ranges = {{0, page, 0, UINT32_MAX}}},
        {.bytes = page, .range_count = 1, .ranges = {{0, 0, 0, 0}}},
        {.bytes = page, .range_count = 1, .ranges = {{page, page, 0, 0}}},
        {.bytes = page, .range_count = 1, .ranges = {{UINT64_MAX - page + 1, page, 0, 0}}},
        {.bytes = 2 * page, .range_count = 1, .ranges = {{8, page, 0, 0}}},
        {.bytes = 2 * page, .range_count = 1, .ranges = {{0, page, 8, 0}}},
        {.bytes = page, .range_count = 1, .ranges = {{0, page, 4 * page, 0}}},
        {.bytes = page, .range_count = 1, .ranges = {{0, page, UINT64_MAX - page + 1, 0}}},
        {.bytes = 5 * page, .range_count = 1, .ranges = {{0, 5 * page, 0, 0}}},
        /* Two that overlap: together they look as if they covered all. */
        {.bytes = 2 * page, .range_count = 2, .ranges = {{0, page, 0, 0}, {0, page, 0, 0}}},
        {.bytes = 3 * page,
         .range_count = 2,
         .ranges = {{page, 2 * page, 0, 0}, {0, 2 * page, 0, 0}}},
    };
    (void)state;
    int fd = script.fd;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        mach_vm_address_t address;
        mach_vm_size_t size;
        script = lies[i];
        script.fd = fd;
        assert_int_equal(map_anywhere(&address, &size), kIOReturnBadArgument);
        assert_int_equal(address, 0xdead);
        assert_int_equal(size, 0xbeef);
    }
    script_direct(page);
    script.fd = -1;
    mach_vm_address_t address;
    mach_vm_size_t size;
    assert_int_equal(map_anywhere(&address, &size), kIOReturnBadArgument);
    script.fd = fd;
}

static void more_than_the_address_space_is_refused(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    script.bytes = UINT64_C(1) << 46; /* what the protocol allows, six times: more than 47 bits */
    kern_return_t status = KERN_SUCCESS;
    for (int i = 0; i < 6 && status == KERN_SUCCESS; i++) {
        script.bytes -= vm_page_size; /* another size is other memory */
        status = map_anywhere(&address, &size);
    }
    assert_int_equal(status, kIOReturnBadArgument);
}

static void what_is_no_file_has_no_length_to_check(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    close(script.fd);
    script.fd = open("/dev/zero", O_RDWR | O_CLOEXEC); /* as a device of the kernel's VFIO */
    script_direct(vm_page_size);
    assert_int_equal(map_anywhere(&address, &size), 0);
    assert_int_equal(*(volatile uint64_t *)(uintptr_t)address, 0);
}

static void registers_reach_the_host_one_by_one(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size);
    script.bytes = 2 * (uint64_t)vm_page_size;
    if (!trap_is_supported()) {
        assert_int_equal(map_anywhere(&address, &size), kIOReturnBadArgument);
        return;
    }
    assert_int_equal(map_anywhere(&address, &size), 0);
    volatile uint8_t *bytes = (volatile uint8_t *)(uintptr_t)address;
    errno = ENOTTY;
    uint32_t got = *(volatile uint32_t *)(bytes + vm_page_size + 8);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(got, 0x55667788);
    assert_int_equal(script.access_offset, vm_page_size + 8);
    assert_int_equal(script.access_width, 4);
    assert_int_equal(script.access_is_write, 0);
    /* Bits beyond the width are no part of an answer, whatever the host sends. */
    assert_int_equal(*(volatile uint16_t *)(bytes + vm_page_size + 8), 0x7788);
    assert_int_equal(bytes[vm_page_size + 8], 0x88);
    *(volatile uint16_t *)(bytes + vm_page_size + 2) = 0xabcd;
    assert_int_equal(script.access_offset, vm_page_size + 2);
    assert_int_equal(script.access_width, 2);
    assert_int_equal(script.access_is_write, 1);
    assert_int_equal(script.access_value, 0xabcd);
    assert_int_equal(*(volatile uint64_t *)(bytes + 8), 8); /* the direct page */
    assert_int_equal(host.seen[WIRE_ACCESS], 4);
}

static void registers_can_be_an_argument_of_a_call(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    script.bytes = vm_page_size;
    if (!trap_is_supported()) {
        skip();
    }
    assert_int_equal(map_anywhere(&address, &size), 0);
    uint32_t count = 1;
    uint64_t out = 0;
    assert_int_equal(
        IOConnectCallScalarMethod(connection, 0, (uint64_t *)(uintptr_t)address, 1, &out, &count),
        0);
    /* A result that goes to a register is a store of the device. */
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0,
                                               (uint64_t *)(uintptr_t)(address + 16), &count),
                     0);
    assert_int_equal(script.access_offset, 16);
    assert_int_equal(script.access_is_write, 1);
}

static void mappings_outlive_the_driver_until_close(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size);
    script.bytes = (trap_is_supported() ? 2 : 1) * (uint64_t)vm_page_size;
    assert_int_equal(map_anywhere(&address, &size), 0);
    fake_host_send_dead(&host, FAKE_FIRST_ENTRY);
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL),
                     kIOReturnBadArgument);
    assert_int_equal(((volatile uint64_t *)(uintptr_t)address)[1], 8);
    fake_host_die(&host);
    if (trap_is_supported()) {
        assert_int_equal(*(volatile uint32_t *)(uintptr_t)(address + vm_page_size), UINT32_MAX);
        *(volatile uint32_t *)(uintptr_t)(address + vm_page_size) = 1; /* vanishes */
    }
    assert_int_equal(IOServiceClose(connection), KERN_SUCCESS);
    assert_false(is_mapped(address));
}

static void a_forked_child_has_no_device(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    int status = -1;
    (void)state;
    script.bytes = vm_page_size;
    if (!trap_is_supported()) {
        skip();
    }
    assert_int_equal(map_anywhere(&address, &size), 0);
    volatile uint32_t *registers = (volatile uint32_t *)(uintptr_t)address;
    pid_t child = fork();
    if (child == 0) {
        *registers = 1;
        _exit(*registers != UINT32_MAX || host.seen[WIRE_ACCESS] != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(*registers, 0x55667788);
}

/* The host's answer comes before its event: the code is the one that the event would make. */
static int answer_dead(struct fake_host *self, struct wire_message *request,
                       struct wire_message *reply)
{
    (void)self;
    (void)request;
    reply->header.status = MACH_SEND_INVALID_DEST;
    return 0;
}

static void a_dead_connection_with_mappings_answers_alike_before_and_after_the_event(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    host.answer[WIRE_CALL] = answer_dead;
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL),
                     MACH_SEND_INVALID_DEST);
    script_direct(vm_page_size);
    assert_int_equal(map_anywhere(&address, &size), 0);
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL),
                     kIOReturnBadArgument);
}

static void references_keep_mappings_beyond_close(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    script_direct(vm_page_size);
    assert_int_equal(map_anywhere(&address, &size), 0);
    IOConnectAddRef(connection);
    assert_int_equal(IOServiceClose(connection), 0);
    assert_true(is_mapped(address));
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL),
                     kIOReturnBadArgument);
    assert_int_equal(IOConnectRelease(connection), 0);
    assert_false(is_mapped(address));
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL),
                     MACH_SEND_INVALID_DEST);
}

/* Ranges are as fine as 4 KiB: what of them fills no page of ours is trapped. */
static void ranges_finer_than_a_page_are_trapped(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    if (!trap_is_supported()) {
        skip();
    }
    close(script.fd);
    script.fd = fake_host_memory(49152);
    script.bytes = 49152;
    script.range_count = 3;
    script.ranges[0].offset = script.ranges[0].fd_offset = 4096;
    script.ranges[0].bytes = 8192;
    script.ranges[1].offset = script.ranges[1].fd_offset = 12288;
    script.ranges[1].bytes = 24576; /* a page, the end of one before, the start of one behind */
    script.ranges[2].offset = 40960;
    script.ranges[2].fd_offset = 4096; /* cannot lie on a page of the file */
    script.ranges[2].bytes = 8192;
    assert_int_equal(map_anywhere(&address, &size), 0);
    assert_int_equal(size, 49152);
    static const struct {
        uint32_t first, end, file;
    } direct[2][3] = {{{4096, 12288, 4096}, {12288, 36864, 12288}, {40960, 49152, 4096}},
                      {{16384, 32768, 16384}}};
    volatile uint8_t *bytes = (volatile uint8_t *)(uintptr_t)address;
    for (uint32_t offset = 0; offset < 49152; offset += 4096) {
        uint64_t expected = 0x1122334455667788;
        for (unsigned i = 0; i < 3; i++) {
            uint32_t first = direct[vm_page_size == 16384][i].first;
            if (offset >= first && offset < direct[vm_page_size == 16384][i].end) {
                expected = direct[vm_page_size == 16384][i].file + (offset - first) + 8;
            }
        }
        assert_true(*(volatile uint64_t *)(bytes + offset + 8) == expected);
    }
    assert_int_equal(host.seen[WIRE_ACCESS], vm_page_size == 4096 ? 2 : 8);
    assert_int_equal(IOConnectUnmapMemory64(connection, 1, mach_task_self(), address), 0);
    assert_false(is_mapped(address));

    /* A whole BAR of one small page. */
    script.bytes = 4096;
    script.range_count = 1;
    script.ranges[0].offset = script.ranges[0].fd_offset = 0;
    script.ranges[0].bytes = 4096;
    assert_int_equal(map_anywhere(&address, &size), 0);
    assert_int_equal(size, 4096);
    assert_true(*(volatile uint64_t *)(uintptr_t)(address + 8) ==
                (vm_page_size == 4096 ? 8 : 0x1122334455667788));
}

#define ON_4K(name)  cmocka_unit_test_setup_teardown(name, start_4k, stop)
#define ON_16K(name) cmocka_unit_test_setup_teardown(name, start_16k, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_4K(size_is_exact_and_the_rest_of_the_page_is_there),
        ON_16K(size_is_exact_and_the_rest_of_the_page_is_there),
        ON_4K(the_same_memory_is_mapped_once_and_unmapped_once),
        ON_16K(the_same_memory_is_mapped_once_and_unmapped_once),
        ON_4K(another_cache_mode_is_another_mapping),
        ON_4K(memory_that_the_driver_replaced_is_mapped_anew),
        ON_4K(a_fixed_address_is_taken_exactly_and_never_over_others),
        ON_16K(a_fixed_address_is_taken_exactly_and_never_over_others),
        ON_4K(every_failure_to_map_is_the_same_code_and_changes_nothing),
        ON_4K(the_driver_alone_decides_on_read_only),
        ON_4K(memory_there_cannot_be_is_refused),
        ON_16K(memory_there_cannot_be_is_refused),
        ON_4K(more_than_the_address_space_is_refused),
        ON_4K(what_is_no_file_has_no_length_to_check),
        ON_4K(registers_reach_the_host_one_by_one),
        ON_16K(registers_reach_the_host_one_by_one),
        ON_4K(ranges_finer_than_a_page_are_trapped),
        ON_16K(ranges_finer_than_a_page_are_trapped),
        ON_4K(registers_can_be_an_argument_of_a_call),
        ON_4K(mappings_outlive_the_driver_until_close),
        ON_16K(mappings_outlive_the_driver_until_close),
        ON_4K(a_dead_connection_with_mappings_answers_alike_before_and_after_the_event),
        ON_4K(a_forked_child_has_no_device),
        ON_4K(references_keep_mappings_beyond_close),
    };
    return cmocka_run_group_tests_name("iokit_mapping", tests, NULL, NULL);
}

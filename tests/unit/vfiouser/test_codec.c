/*
 * Unit tests of the vfio-user codec: layouts, lengths, flags, the VERSION text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfiouser/codec.h"

/* Decode a payload that lies at the very end of its memory: reading on is an error of ours. */
static int decode(unsigned command, const void *payload, size_t length, size_t fds,
                  struct vu_request *out)
{
    const struct vu_header header = {.command = (uint16_t)command,
                                     .size = (uint32_t)(VU_HEADER_BYTES + length)};
    uint8_t *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    if (length > 0) {
        memcpy(copy, payload, length);
    }
    int result = vu_request_decode(&header, copy, fds, out);
    free(copy);
    return result;
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void test_header(void **state)
{
    uint8_t bytes[16] = {0x34, 0x12, 9, 0, 32, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0};
    struct vu_header header;
    (void)state;
    assert_true(vu_header_decode(bytes, &header));
    assert_int_equal(header.id, 0x1234);
    assert_int_equal(header.command, VU_REGION_READ);
    assert_int_equal(header.size, 32);
    assert_int_equal(header.flags, VU_HEADER_NO_REPLY);
    put32(bytes + 4, 15);
    assert_false(vu_header_decode(bytes, &header));
    put32(bytes + 4, 16);
    assert_true(vu_header_decode(bytes, &header));
    put32(bytes + 4, (1 << 20) + 32);
    assert_true(vu_header_decode(bytes, &header));
    put32(bytes + 4, (1 << 20) + 33);
    assert_false(vu_header_decode(bytes, &header));
}

static void test_commands_there_are_not(void **state)
{
    static const unsigned commands[] = {0, 6, 11, 12, 14, 16, 17, 18, 19, 99, 0xffff};
    uint8_t payload[64] = {64};
    struct vu_request request;
    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        assert_int_equal(decode(commands[i], payload, sizeof(payload), 0, &request), -EINVAL);
    }
}

/* Every command but a reset says something, and none may be cut short. */
static void test_short_payloads(void **state)
{
    static const struct {
        unsigned command;
        size_t bytes;
    } rows[] = {{VU_VERSION, 4},
                {VU_DMA_MAP, 32},
                {VU_DMA_UNMAP, 24},
                {VU_DEVICE_GET_INFO, 16},
                {VU_DEVICE_GET_REGION_INFO, 32},
                {VU_DEVICE_GET_IRQ_INFO, 16},
                {VU_DEVICE_SET_IRQS, 20},
                {VU_REGION_READ, 16},
                {VU_REGION_WRITE, 16},
                {VU_REGION_WRITE_MULTI, 8}};
    uint8_t payload[32] = {0};
    struct vu_request request;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        put32(payload, rows[i].command == VU_VERSION || rows[i].command >= VU_REGION_READ ? 0 : 32);
        for (size_t length = 0; length < rows[i].bytes; length++) {
            assert_int_equal(decode(rows[i].command, payload, length, 0, &request), -EINVAL);
        }
    }
    assert_int_equal(decode(VU_DEVICE_RESET, NULL, 0, 0, &request), 0);
    assert_int_equal(decode(VU_DEVICE_RESET, payload, 8, 0, &request), 0);
}

static int decode_map(uint32_t argsz, uint32_t flags, uint64_t address, uint64_t size, size_t fds)
{
    uint8_t payload[32];
    struct vu_request request;
    put32(payload, argsz);
    put32(payload + 4, flags);
    put64(payload + 8, 0x1000);
    put64(payload + 16, address);
    put64(payload + 24, size);
    int result = decode(VU_DMA_MAP, payload, sizeof(payload), fds, &request);
    if (result == 0) {
        assert_int_equal(request.dma_map.offset, 0x1000);
        assert_int_equal(request.dma_map.address, address);
        assert_int_equal(request.dma_map.size, size);
        assert_int_equal(request.dma_map.flags, flags);
    }
    return result;
}

static void test_dma_map(void **state)
{
    (void)state;
    assert_int_equal(decode_map(32, 3, 0xc0000, 0xff40000, 1), 0);
    assert_int_equal(decode_map(32, 1, 0xfffc0000, 0x40000, 0), 0);
    assert_int_equal(decode_map(32, 0, 1, 3, 1), 0);
    assert_int_equal(decode_map(31, 3, 0, 0x1000, 1), -EINVAL);
    assert_int_equal(decode_map(32, 16, 0, 0x1000, 1), -EINVAL);
    assert_int_equal(decode_map(32, 3, 0, 0, 1), -EINVAL);
    assert_int_equal(decode_map(32, 3, UINT64_MAX, 2, 1), -EINVAL);
    assert_int_equal(decode_map(32, 3, UINT64_MAX, 1, 1), 0);
    assert_int_equal(decode_map(32, 7, 0, 0x1000, 0), -EINVAL);
    assert_int_equal(decode_map(32, 7, 0, 0x1000, 1), 0);
    assert_int_equal(decode_map(32, 11, 0, 0x1000, 0), -EINVAL);
    assert_int_equal(decode_map(32, 3, 0, UINT64_C(8) << 40, 1), 0);
    assert_int_equal(decode_map(32, 3, 0, (UINT64_C(8) << 40) + 1, 1), -ENOSPC);
}

static int decode_unmap(uint32_t argsz, uint32_t flags, uint64_t address, uint64_t size)
{
    uint8_t payload[24];
    struct vu_request request;
    put32(payload, argsz);
    put32(payload + 4, flags);
    put64(payload + 8, address);
    put64(payload + 16, size);
    return decode(VU_DMA_UNMAP, payload, sizeof(payload), 0, &request);
}

static void test_dma_unmap(void **state)
{
    (void)state;
    assert_int_equal(decode_unmap(24, 0, 0x1000, 0x1000), 0);
    assert_int_equal(decode_unmap(24, 2, 0, 0), 0);
    assert_int_equal(decode_unmap(24, 2, 0x1000, 0), -EINVAL);
    assert_int_equal(decode_unmap(24, 2, 0, 1), -EINVAL);
    assert_int_equal(decode_unmap(24, 1, 0, 0x1000), -EINVAL);
    assert_int_equal(decode_unmap(24, 3, 0, 0), -EINVAL);
    assert_int_equal(decode_unmap(24, 4, 0, 0x1000), -EINVAL);
    assert_int_equal(decode_unmap(23, 0, 0, 0x1000), -EINVAL);
    assert_int_equal(decode_unmap((1 << 20) + 1, 0, 0, 0x1000), -EINVAL);
}

static int decode_irqs(uint32_t flags, uint32_t index, uint32_t start, uint32_t count, size_t data,
                       size_t fds)
{
    uint8_t payload[20 + 64] = {0};
    struct vu_request request;
    put32(payload, 20);
    put32(payload + 4, flags);
    put32(payload + 8, index);
    put32(payload + 12, start);
    put32(payload + 16, count);
    return decode(VU_DEVICE_SET_IRQS, payload, 20 + data, fds, &request);
}

static void test_set_irqs(void **state)
{
    (void)state;
    assert_int_equal(decode_irqs(0x24, 2, 3, 2, 0, 2), 0); /* these eventfds */
    assert_int_equal(decode_irqs(0x24, 2, 0, 1, 0, 0), 0); /* none */
    assert_int_equal(decode_irqs(0x21, 2, 0, 0, 0, 0), 0); /* disable */
    assert_int_equal(decode_irqs(0x22, 1, 0, 4, 4, 0), 0); /* trigger those */
    assert_int_equal(decode_irqs(0x09, 1, 0, 1, 0, 0), 0); /* mask */
    assert_int_equal(decode_irqs(0x11, 1, 0, 1, 0, 0), 0); /* unmask */
    assert_int_equal(decode_irqs(0x24, 5, 0, 1, 0, 1), -EINVAL);
    assert_int_equal(decode_irqs(0x24, 2, 0, 2, 0, 1), -EINVAL);
    assert_int_equal(decode_irqs(0x21, 2, 0, 1, 0, 1), -EINVAL);
    assert_int_equal(decode_irqs(0x22, 2, 0, 1, 1, 1), -EINVAL);
    assert_int_equal(decode_irqs(0x22, 2, 0, 4, 3, 0), -EINVAL);
    assert_int_equal(decode_irqs(0x22, 2, 0, 4, 5, 0), -EINVAL);
    assert_int_equal(decode_irqs(0x22, 2, 0, 0, 0, 0), -EINVAL);
    assert_int_equal(decode_irqs(0x09, 2, 0, 0, 0, 0), -EINVAL);
    assert_int_equal(decode_irqs(0x21, 2, 1, 0, 0, 0), -EINVAL);
    assert_int_equal(decode_irqs(0x23, 2, 0, 1, 1, 0), -EINVAL); /* two kinds of data */
    assert_int_equal(decode_irqs(0x20, 2, 0, 1, 0, 0), -EINVAL); /* none */
    assert_int_equal(decode_irqs(0x31, 2, 0, 1, 0, 0), -EINVAL); /* two actions */
    assert_int_equal(decode_irqs(0x01, 2, 0, 1, 0, 0), -EINVAL); /* none */
    assert_int_equal(decode_irqs(0x61, 2, 0, 1, 0, 0), -EINVAL); /* unknown flag */
}

static int decode_access(unsigned command, uint32_t region, uint32_t count, size_t data)
{
    uint8_t payload[16 + 64] = {0};
    struct vu_request request;
    put64(payload, 0x40);
    put32(payload + 8, region);
    put32(payload + 12, count);
    int result = decode(command, payload, 16 + data, 0, &request);
    if (result == 0) {
        assert_int_equal(request.access.offset, 0x40);
        assert_int_equal(request.access.count, count);
    }
    return result;
}

static void test_accesses(void **state)
{
    (void)state;
    assert_int_equal(decode_access(VU_REGION_READ, 7, 256, 0), 0);
    assert_int_equal(decode_access(VU_REGION_READ, 0, 0, 0), 0);
    assert_int_equal(decode_access(VU_REGION_READ, 0, 1 << 20, 0), 0);
    assert_int_equal(decode_access(VU_REGION_READ, 0, (1 << 20) + 1, 0), -EINVAL);
    assert_int_equal(decode_access(VU_REGION_READ, 9, 4, 0), -EINVAL);
    assert_int_equal(decode_access(VU_REGION_WRITE, 0, 4, 4), 0);
    assert_int_equal(decode_access(VU_REGION_WRITE, 0, 4, 3), -EINVAL);
    assert_int_equal(decode_access(VU_REGION_WRITE, 0, 4, 5), -EINVAL);
    assert_int_equal(decode_access(VU_REGION_WRITE, 0, 0xffffffff, 4), -EINVAL);
}

static void test_write_multi(void **state)
{
    uint8_t payload[8 + 2 * 24] = {2};
    const struct vu_header header = {.command = VU_REGION_WRITE_MULTI, .size = 16 + 8 + 48};
    struct vu_request request;
    struct vu_multi_entry entry;
    (void)state;
    put64(payload + 8, 0x1008);
    put32(payload + 16, 0);
    put32(payload + 20, 8);
    put64(payload + 24, UINT64_C(0x1122334455667788));
    put32(payload + 32 + 12, 9); /* longer than its data */
    assert_int_equal(vu_request_decode(&header, payload, 0, &request), 0);
    assert_int_equal(request.entry_count, 2);
    assert_int_equal(vu_multi_entry_decode(&request, 0, &entry), 0);
    assert_int_equal(entry.offset, 0x1008);
    assert_int_equal(entry.count, 8);
    assert_int_equal(entry.data[0], 0x88);
    assert_int_equal(vu_multi_entry_decode(&request, 1, &entry), -EINVAL);
    put64(payload, 3);
    assert_int_equal(vu_request_decode(&header, payload, 0, &request), -EINVAL);
    put64(payload, UINT64_MAX / 24 + 3); /* wraps to a small product */
    assert_int_equal(vu_request_decode(&header, payload, 0, &request), -EINVAL);
}

static int decode_json(const char *text, struct vu_version *version)
{
    uint8_t payload[512] = {0, 0, 1, 0};
    size_t length = strlen(text) + 1;
    memcpy(payload + 4, text, length);
    return vu_version_decode(payload, 4 + length, version);
}

static void test_version_of_qemu(void **state)
{
    struct vu_version version;
    (void)state;
    assert_int_equal(
        decode_json("{\"capabilities\":{\"pgsizes\":4096,\"max_msg_fds\":16,\"max_dma_maps\":65535,"
                    "\"max_data_xfer_size\":1048576,\"migration\":{\"max_bitmap_size\":268435456,"
                    "\"pgsize\":4096},\"write_multiple\":true}}",
                    &version),
        0);
    assert_int_equal(version.major, 0);
    assert_int_equal(version.minor, 1);
    assert_int_equal(version.capabilities.max_fds, 16);
    assert_int_equal(version.capabilities.max_transfer, 1048576);
    assert_true(version.capabilities.has_write_multiple);
}

static void test_version_defaults(void **state)
{
    static const char *const good[] = {"{}", "{\"capabilities\":{}}", "{\"what\":[1,2]}",
                                       "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}"};
    const uint8_t bare[4] = {0, 0, 2, 0};
    struct vu_version version;
    (void)state;
    assert_int_equal(vu_version_decode(bare, sizeof(bare), &version), 0);
    assert_int_equal(version.minor, 2);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(decode_json(good[i], &version), 0);
        assert_int_equal(version.capabilities.max_fds, 1);
        assert_int_equal(version.capabilities.max_transfer, 1 << 20);
        assert_false(version.capabilities.has_write_multiple);
    }
}

static void test_version_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "\"text\"",
        "[]",
        "1",
        "{}{}",
        "{\"capabilities\":1}",
        "{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
        "{\"capabilities\":{\"max_msg_fds\":-1}}",
        "{\"capabilities\":{\"max_msg_fds\":1025}}",
        "{\"capabilities\":{\"max_data_xfer_size\":1.5}}",
        "{\"capabilities\":{\"migration\":1}}",
        "{\"capabilities\":{\"migration\":{\"pgsize\":4095}}}",
        "{\"capabilities\":{\"migration\":{\"pgsize\":\"4096\"}}}",
        "{\"capabilities\":{\"twin_socket\":{\"supported\":1}}}",
        "{\"capabilities\":{\"write_multiple\":1}}",
    };
    struct vu_version version;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(decode_json(bad[i], &version), -EINVAL);
    }
    assert_int_equal(vu_version_decode((const uint8_t *)"\0\0\0\0{}", 6, &version), -EINVAL);
}

/* What QEMU takes: 214 bytes with the header, ended by a NUL. */
static void test_version_reply(void **state)
{
    const struct vu_version version = {.minor = 0, .capabilities = {16, 1 << 20, true}};
    uint8_t payload[198];
    struct vu_version back;
    (void)state;
    size_t length = vu_version_encode(&version, payload, sizeof(payload));
    assert_true(length > 4 && length <= 198);
    assert_int_equal(payload[length - 1], 0);
    assert_int_equal(vu_version_decode(payload, length, &back), 0);
    assert_int_equal(back.capabilities.max_fds, 16);
    assert_int_equal(back.capabilities.max_transfer, 1 << 20);
    assert_true(back.capabilities.has_write_multiple);
    assert_int_equal(vu_version_encode(&version, payload, 20), 0);
}

static void test_region_info(void **state)
{
    const struct vu_region_info info = {.argsz = 80,
                                        .flags = 15,
                                        .index = 2,
                                        .cap_offset = 32,
                                        .size = 0x400000,
                                        .offset = 0x10000};
    const struct vu_sparse_area areas[2] = {{0, 0x1000}, {0x4000, 0x8000}};
    static const uint8_t cap[16] = {1, 0, 1, 0, 0, 0, 0, 0, 2};
    uint8_t payload[80];
    (void)state;
    assert_int_equal(vu_region_info_bytes(0), 32);
    assert_int_equal(vu_region_info_bytes(2), 80);
    vu_region_info_encode(&info, areas, 2, payload);
    assert_memory_equal(payload + 32, cap, sizeof(cap));
    assert_memory_equal(payload + 48, areas, sizeof(areas));
    uint64_t offset;
    memcpy(&offset, payload + 24, sizeof(offset));
    assert_int_equal(offset, 0x10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),          cmocka_unit_test(test_commands_there_are_not),
        cmocka_unit_test(test_short_payloads),  cmocka_unit_test(test_dma_map),
        cmocka_unit_test(test_dma_unmap),       cmocka_unit_test(test_set_irqs),
        cmocka_unit_test(test_accesses),        cmocka_unit_test(test_write_multi),
        cmocka_unit_test(test_version_of_qemu), cmocka_unit_test(test_version_defaults),
        cmocka_unit_test(test_version_bad),     cmocka_unit_test(test_version_reply),
        cmocka_unit_test(test_region_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

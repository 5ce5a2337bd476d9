/*
 * A long deterministic run of random calls: any selector, any arguments, several clients. Every
 * answer is one the protocol knows, and at the end nothing is held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define STEPS 60000

static uint64_t seed;

/* Lines of the dext's log since the last look. */
static unsigned lines;

static void count_line(void *opaque, enum log_level level, const char *hop, const char *line)
{
    (void)opaque;
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_string_equal(hop, "dext");
    assert_true(line[0] != '\0');
    lines++;
}

static uint64_t random_word(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t random_below(uint64_t bound)
{
    return random_word() % bound;
}

static uint64_t random_scalar(void)
{
    static const uint64_t edges[] = {
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        8,
        0x10,
        0x24,
        255,
        256,
        4095,
        4096,
        0x4000,
        0x10000,
        0x60000000,
        0x60000001,
        UINT32_MAX,
        UINT64_C(1) << 32,
        UINT64_MAX,
        UINT64_MAX - 3,
        UINT64_MAX - 4095,
        UINT64_C(1) << 63,
        UINT64_C(0x3000000000),
    };
    switch (random_below(4)) {
    case 0:
        return random_word();
    case 1:
        return random_below(0x2000);
    default:
        return edges[random_below(sizeof(edges) / sizeof(edges[0]))];
    }
}

static uint64_t random_selector(void)
{
    static const uint8_t extensions[] = {64, 65, 66, 67, 68, 69, 70, 71, 72, 74};
    switch (random_below(16)) {
    case 0:
        return random_scalar();
    case 1:
        return extensions[random_below(sizeof(extensions))];
    default:
        return random_below(19);
    }
}

static bool code_is_known(IOReturn status)
{
    static const uint32_t known[] = {
        0,          0xe00002c0, 0xe00002c2, 0xe00002c7, 0xe00002cd, 0xe00002d0,
        0xe00002d2, 0xe00002d8, 0xe00002db, 0xe00002e8, 0xe00002f0,
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if ((uint32_t)status == known[i]) {
            return true;
        }
    }
    return false;
}

/* A known code, and one line for a refusal, none for success. */
static void check_answer(IOReturn status, bool is_worth_a_line)
{
    assert_true(code_is_known(status));
    assert_int_equal(lines, status != kIOReturnSuccess && is_worth_a_line);
    lines = 0;
}

/* Up to three entries of a batch, sometimes a byte more or less. */
static size_t random_structure(uint64_t **structure)
{
    size_t bytes = random_below(2) ? random_below(4) * 24 : random_below(80);
    *structure = malloc(bytes + 1);
    assert_non_null(*structure);
    memset(*structure, 0, bytes + 1);
    for (size_t i = 0; i < bytes / 8; i++) {
        (*structure)[i] = random_scalar();
    }
    return bytes;
}

/* Arguments in blocks of their exact size, so that a sanitizer sees a word too many. */
static void random_call(struct dext_client *client)
{
    uint64_t *struct_in;
    uint64_t *struct_out;
    size_t struct_in_bytes = random_structure(&struct_in);
    size_t struct_out_bytes = random_structure(&struct_out);
    uint32_t in_count = random_below(8) ? 4 : (uint32_t)random_below(17);
    uint32_t out_count = random_below(8) ? 10 : (uint32_t)random_below(17);
    uint64_t *in = malloc(in_count * sizeof(*in) + 1);
    uint64_t *out = calloc(out_count + 1, sizeof(*out));
    assert_true(in && out);
    for (uint32_t i = 0; i < in_count; i++) {
        in[i] = random_scalar();
    }
    out[out_count] = UINT64_C(0xdeadbeefcafe);
    struct dext_arguments arguments = {
        .scalar_in = in,
        .scalar_in_count = in_count,
        .scalar_out = out,
        .scalar_out_count = out_count,
        .struct_in = struct_in_bytes ? struct_in : NULL,
        .struct_in_bytes = struct_in_bytes,
        .struct_out = struct_out_bytes ? struct_out : NULL,
        .struct_out_bytes = struct_out_bytes,
        .completion_token = random_word(),
    };
    arguments.has_completion = random_below(2); /* one draw a statement: the order is the seed's */
    uint64_t selector = random_selector();
    IOReturn status = dext_client_external_method(client, selector, &arguments);
    if (status == kIOReturnSuccess && (selector == 65 || selector == 66)) {
        lines = 0; /* one for each entry that was refused */
    }
    /* That a BAR is unused is an answer like another. */
    bool asks_for_a_bar = selector == 10 || selector == 72;
    check_answer(status, !asks_for_a_bar || (uint32_t)status != 0xe00002f0);
    assert_true(arguments.scalar_out_count <= out_count);
    assert_true(arguments.struct_out_bytes <= struct_out_bytes);
    assert_u64(out[out_count], UINT64_C(0xdeadbeefcafe));
    free(in);
    free(out);
    free(struct_in);
    free(struct_out);
}

static void random_memory(struct dext_client *client)
{
    struct dext_memory memory;
    uint64_t value = random_word();
    uint64_t type = random_below(4) ? random_below(9) : random_scalar();
    check_answer(dext_client_memory_for_type(client, type, &memory), true);
    assert_true(memory.range_count <= PCI_MAX_RANGES);
    uint64_t offset = random_scalar();
    uint64_t width = random_scalar();
    bool is_write = random_below(2);
    check_answer(dext_client_memory_access(client, type, offset, width, is_write, &value), true);
}

static void random_step(struct fixture *f)
{
    unsigned index = (unsigned)random_below(4);
    struct dext_client *client = f->clients[index];
    uint64_t what = random_below(100);
    if (!client) {
        client = fixture_open(f, index);
        uint64_t out[16];
        if (random_below(4)) {
            assert_code(CALL0(client, 1, out), 0);
        }
    } else if (what == 0) {
        fixture_stop(f, index);
    } else if (what < 10) {
        random_memory(client);
    } else if (what < 15) {
        fake_device_fire(f->device, (unsigned)random_below(300));
    } else {
        random_call(client);
    }
}

static void run(const struct dext_options *options, const struct dart_options *dart)
{
    struct fixture f;
    lines = 0;
    log_set_sink(count_line, NULL, LOG_LEVEL_WARNING);
    fixture_set_up(&f, options, dart);
    for (unsigned i = 0; i < STEPS; i++) {
        random_step(&f);
        /* Writes of the run may well wreck the header: a reset would wait for the vendor id. */
        f.device->config[0] = 0x34;
        f.device->config[1] = 0x12;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (!f.clients[i]) {
            fixture_open(&f, i);
        }
    }
    provider_remove(&f.device->provider);
    dext_device_removed(f.dext);
    for (unsigned i = 0; i < 500; i++) {
        random_call(f.clients[random_below(4)]);
        random_memory(f.clients[random_below(4)]);
    }
    fixture_tear_down(&f);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

static void strict_and_chosen_addresses(void **state)
{
    (void)state;
    seed = 1;
    run(NULL, NULL);
}

static void open_and_identity(void **state)
{
    (void)state;
    struct dext_options options = {.access_open = true, .reset_deadline_ms = 5};
    struct dart_options dart = {.identity = true, .aperture_bytes = UINT64_C(1) << 40};
    seed = 2;
    run(&options, &dart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_and_chosen_addresses),
        cmocka_unit_test(open_and_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

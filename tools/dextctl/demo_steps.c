/*
 * The steps of the demo: a device from discovery to reset, through the public library alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "demo_steps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capability.h"
#include "embedded.h"
#include "instance.h"
#include "output.h"
#include "patience.h"

#define IOVA_SOURCE       UINT64_C(0x100000)
#define IOVA_TARGET       UINT64_C(0x200000)
#define FACTORIAL_OF      10
#define FACTORIAL_RESULT  3628800
#define LIVENESS_WORD     0xc0ffee11u
#define PATTERN_SEED      7
#define RAISED_INTERRUPTS 3
#define REGISTER_SECONDS  5.0
#define INTERRUPT_SECONDS 5.0

static bool step_host(void *subject, struct saying *saying)
{
    static const char *const devices[] = {"edu,addr=" DEMO_ADDRESS, "testdev,addr=02:00.0"};
    struct demo *demo = subject;
    char *cause = NULL;

    demo->has_host = embedded_start(devices, 2, 0, false, &cause);
    if (!demo->has_host) {
        blame(saying, "cannot start the host: %s", cause ? cause : "out of memory");
        free(cause);
        return false;
    }
    say(saying, "embedded host in this process: no daemon, no root, no hardware");
    return true;
}

static bool step_list(void *subject, struct saying *saying)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;

    (void)subject;
    kern_return_t code = apple_dext_list(&instances, &count);
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "cannot list devices");
    }
    say(saying, "%zu devices:", count);
    for (size_t i = 0; i < count; i++) {
        char address[INSTANCE_TEXT_BYTES];
        char ids[INSTANCE_TEXT_BYTES];
        const struct engine_ops *ops = engine_find(instances[i].vendor_id, instances[i].device_id);
        say(saying, "%s %s %s (%s)", i ? "," : "", instance_address_text(&instances[i], address),
            instance_ids_text(&instances[i], ids), ops ? ops->name : "?");
    }
    apple_dext_free_list(instances);
    return count == 2 || blame(saying, "%zu devices listed, want 2", count);
}

static bool step_claim(void *subject, struct saying *saying)
{
    struct demo *demo = subject;
    char *cause = NULL;

    demo->session.name = DEMO_ADDRESS;
    demo->session.connection = apple_dext_connect_with_root(1, 0, 0, NULL, &cause);
    if (demo->session.connection == IO_OBJECT_NULL) {
        blame(saying, "cannot open: %s", cause ? cause : "no cause given");
        free(cause);
        return false;
    }
    kern_return_t code = apple_dext_claim(demo->session.connection);
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "cannot claim");
    }
    say(saying, "%s opened and claimed", DEMO_ADDRESS);
    return true;
}

static bool step_header(void *subject, struct saying *saying)
{
    struct demo *demo = subject;
    struct config_image image;
    struct capability capabilities[16];

    kern_return_t code = config_image_read(&demo->session, &image);
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "cannot read config space");
    }
    if (config_u16(&image, 0) != EDU_VENDOR_ID || config_u16(&image, 2) != EDU_DEVICE_ID) {
        return blame(saying, "ids are %04x:%04x, want 1234:11e8", config_u16(&image, 0),
                     config_u16(&image, 2));
    }
    size_t count = capability_list(&image, capabilities, 16);
    uint16_t command = config_u16(&image, 4);
    say(saying, "%04x:%04x revision %02x, class %06x, memory%s bus master%s", EDU_VENDOR_ID,
        EDU_DEVICE_ID, config_u8(&image, 8), config_u32(&image, 8) >> 8, command & 2 ? "+" : "-",
        command & 4 ? "+" : "-");
    for (size_t i = 0; i < count; i++) {
        say(saying, ", %s at 0x%02x", capabilities[i].name, capabilities[i].offset);
    }
    return true;
}

static bool step_map(void *subject, struct saying *saying)
{
    struct demo *demo = subject;
    mach_vm_size_t size = 0;
    uint8_t type = 0;
    char text[SIZE_TEXT_BYTES];

    demo->engine = (struct engine){.ops = &engine_edu, .session = &demo->session};
    kern_return_t code = apple_dext_map_bar(demo->session.connection, engine_edu.bar,
                                            &demo->engine.registers, &size, &type);
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "cannot map BAR 0");
    }
    uint32_t id = engine_read(&demo->engine, EDU_IDENTIFICATION);
    if ((id & EDU_ID_MASK) != EDU_ID_VALUE) {
        return blame(saying, "identification register is 0x%08x, want 0x....00ed", id);
    }
    say(saying, "BAR 0 (%s, %s) mapped, identification 0x%08x", size_text(size, text),
        bar_type_text(type), id);
    return true;
}

/* Liveness and factorial, as plain loads and stores. Also shows that a reset device works again. */
static bool compute(struct demo *demo, struct saying *saying)
{
    const struct engine *edu = &demo->engine;

    engine_write(edu, EDU_LIVENESS, LIVENESS_WORD);
    uint32_t inverse = engine_read(edu, EDU_LIVENESS);
    if (inverse != ~LIVENESS_WORD) {
        return blame(saying, "liveness register gives 0x%08x, want 0x%08x", inverse,
                     ~LIVENESS_WORD);
    }
    engine_write(edu, EDU_FACTORIAL, FACTORIAL_OF);
    if (!engine_wait(edu, EDU_STATUS, EDU_STATUS_COMPUTING, 0, patience(REGISTER_SECONDS))) {
        return blame(saying, "the factorial did not finish");
    }
    uint32_t result = engine_read(edu, EDU_FACTORIAL);
    if (result != FACTORIAL_RESULT) {
        return blame(saying, "%d! is %u, want %d", FACTORIAL_OF, result, FACTORIAL_RESULT);
    }
    return true;
}

static bool step_compute(void *subject, struct saying *saying)
{
    if (!compute(subject, saying)) {
        return false;
    }
    say(saying, "%d! = %d through the mapping, liveness 0x%08x -> 0x%08x", FACTORIAL_OF,
        FACTORIAL_RESULT, LIVENESS_WORD, ~LIVENESS_WORD);
    return true;
}

static bool step_register(void *subject, struct saying *saying)
{
    struct demo *demo = subject;

    kern_return_t code =
        region_open(&demo->source, &demo->session, IOVA_SOURCE, EDU_DMA_BUFFER_BYTES);
    if (code == KERN_SUCCESS) {
        code = region_open(&demo->target, &demo->session, IOVA_TARGET, EDU_DMA_BUFFER_BYTES);
    }
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "cannot register memory");
    }
    pattern_fill(demo->source.memory, demo->source.bytes, PATTERN_SEED);
    uint64_t word = 0;
    code = apple_dext_probe_dma(demo->session.connection, IOVA_SOURCE, 0, &word);
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "cannot probe the memory");
    }
    if (memcmp(&word, demo->source.memory, sizeof(word)) != 0) {
        return blame(saying, "the driver sees 0x%016" PRIx64 " in our memory", word);
    }
    say(saying, "iova 0x%" PRIx64 " -> bus 0x%" PRIx64 ", iova 0x%" PRIx64 " -> bus 0x%" PRIx64,
        demo->source.iova, demo->source.bus_address, demo->target.iova, demo->target.bus_address);
    return true;
}

static bool step_pull(void *subject, struct saying *saying)
{
    struct demo *demo = subject;
    const char *cause = edu_pull(&demo->engine, demo->source.bus_address, EDU_DMA_BUFFER_BYTES);
    if (cause) {
        return blame(saying, "%s", cause);
    }
    say(saying, "edu read %d bytes of our pattern at bus 0x%" PRIx64, EDU_DMA_BUFFER_BYTES,
        demo->source.bus_address);
    return true;
}

static bool target_is_equal(const struct demo *demo, struct saying *saying)
{
    size_t good = pattern_compare(demo->target.memory, EDU_DMA_BUFFER_BYTES, PATTERN_SEED);
    return good == EDU_DMA_BUFFER_BYTES ||
           blame(saying, "byte %zu is 0x%02x, want 0x%02x", good, demo->target.memory[good],
                 pattern_byte(good, PATTERN_SEED));
}

static bool step_push(void *subject, struct saying *saying)
{
    struct demo *demo = subject;
    const char *cause = edu_push(&demo->engine, demo->target.bus_address, EDU_DMA_BUFFER_BYTES);
    if (cause) {
        return blame(saying, "%s", cause);
    }
    if (!target_is_equal(demo, saying)) {
        return false;
    }
    say(saying, "edu wrote it back at bus 0x%" PRIx64 ", all %d bytes equal",
        demo->target.bus_address, EDU_DMA_BUFFER_BYTES);
    return true;
}

static bool step_arm(void *subject, struct saying *saying)
{
    struct demo *demo = subject;

    demo->has_notice = notice_open(&demo->notice, &demo->session) == STATUS_OK;
    if (!demo->has_notice) {
        return blame(saying, "cannot arm the interrupt notice");
    }
    say(saying, "%u vector%s, notice armed", demo->notice.vectors,
        demo->notice.vectors == 1 ? "" : "s");
    return true;
}

/* Wait for the one vector, and see in edu's status why it fired. */
static bool take_interrupt(struct demo *demo, uint32_t reason, struct saying *saying)
{
    uint64_t pending[4] = {0};
    kern_return_t code = KERN_SUCCESS;
    double longest = patience(INTERRUPT_SECONDS);
    enum notice_result result = notice_wait(&demo->notice, longest, pending, &code);

    if (result == NOTICE_FAILED) {
        return blame_code(saying, code, "cannot read pending interrupts");
    }
    if (result != NOTICE_PENDING) {
        return blame(saying, "no interrupt within %.0f s", longest);
    }
    if (pending[0] != 1 || pending[1] || pending[2] || pending[3]) {
        return blame(saying, "pending words 0x%" PRIx64 " ..., want vector 0 alone", pending[0]);
    }
    uint32_t status = engine_read(&demo->engine, EDU_IRQ_STATUS);
    engine_write(&demo->engine, EDU_IRQ_ACKNOWLEDGE, status);
    return status == reason || blame(saying, "interrupt status is 0x%x, want 0x%x", status, reason);
}

static bool step_interrupts(void *subject, struct saying *saying)
{
    struct demo *demo = subject;

    for (uint32_t i = 0; i < RAISED_INTERRUPTS; i++) {
        engine_write(&demo->engine, EDU_IRQ_RAISE, 0x10u << i);
        if (!take_interrupt(demo, 0x10u << i, saying)) {
            return false;
        }
    }
    engine_write(&demo->engine, EDU_STATUS, EDU_STATUS_IRQ);
    engine_write(&demo->engine, EDU_FACTORIAL, FACTORIAL_OF);
    if (!take_interrupt(demo, EDU_IRQ_FACTORIAL, saying)) {
        return false;
    }
    memset(demo->target.memory, 0, demo->target.bytes);
    edu_push_start(&demo->engine, demo->target.bus_address, EDU_DMA_BUFFER_BYTES);
    if (!take_interrupt(demo, EDU_IRQ_DMA, saying) || !target_is_equal(demo, saying)) {
        return false;
    }
    say(saying, "%d taken through the notice: %d raised, factorial done, DMA done",
        RAISED_INTERRUPTS + 2, RAISED_INTERRUPTS);
    return true;
}

static bool step_reset(void *subject, struct saying *saying)
{
    struct demo *demo = subject;
    uint64_t ids = 0;

    engine_write(&demo->engine, EDU_LIVENESS, LIVENESS_WORD);
    kern_return_t code = apple_dext_reset_device(demo->session.connection);
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "reset failed");
    }
    code = apple_dext_config_read(demo->session.connection, 0, 4, &ids);
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "no answer after the reset");
    }
    if (ids != ((uint64_t)EDU_DEVICE_ID << 16 | EDU_VENDOR_ID)) {
        return blame(saying, "ids after the reset are 0x%08" PRIx64, ids);
    }
    uint32_t liveness = engine_read(&demo->engine, EDU_LIVENESS);
    if (liveness != 0) {
        return blame(saying, "liveness is 0x%08x after the reset, want 0", liveness);
    }
    if (!compute(demo, saying)) {
        return false;
    }
    say(saying, "registers cleared, 1234:11e8 answers, computes %d! again", FACTORIAL_OF);
    return true;
}

static bool step_leave(void *subject, struct saying *saying)
{
    struct demo *demo = subject;

    apple_dext_interrupt_notify_destroy(demo->notice.notify);
    demo->notice.notify = NULL;
    kern_return_t code = region_close(&demo->target, &demo->session);
    if (code == KERN_SUCCESS) {
        code = region_close(&demo->source, &demo->session);
    }
    if (code != KERN_SUCCESS) {
        return blame_code(saying, code, "cannot unregister memory");
    }
    engine_close(&demo->engine);
    session_close(&demo->session);
    uint64_t held = embedded_held();
    if (held != 0) {
        return blame(saying, "the host still holds %" PRIu64 " things of ours", held);
    }
    say(saying, "unmapped, unregistered, disconnected: the host holds nothing of ours");
    return true;
}

const struct step demo_steps[] = {
    {"host", step_host},
    {"list", step_list},
    {"claim", step_claim},
    {"header", step_header},
    {"map", step_map},
    {"compute", step_compute},
    {"register", step_register},
    {"dma in", step_pull},
    {"dma out", step_push},
    {"arm", step_arm},
    {"interrupts", step_interrupts},
    {"reset", step_reset},
    {"leave", step_leave},
};
const size_t demo_step_count = sizeof(demo_steps) / sizeof(*demo_steps);

void demo_close(struct demo *demo)
{
    if (demo->has_notice) {
        notice_close(&demo->notice);
    }
    region_close(&demo->target, &demo->session);
    region_close(&demo->source, &demo->session);
    engine_close(&demo->engine);
    session_close(&demo->session);
    if (demo->has_host) {
        embedded_stop();
    }
}

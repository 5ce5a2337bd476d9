/*
 * The NVMe controller under a fuzzer: the input is a program of a driver that knows how things are
 * done and does them wrong. Its first three bytes choose the device, then each step is a byte for
 * what to do and bytes for how. nvme_world.h says what is checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "fuzz_input.h"
#include "model/config_registers.h"
#include "nvme_world.h"

#define QUEUES     4 /* that the driver keeps a tail for, the admin queue included */
#define DATA_PAGE  (2 * QUEUES)
#define MOST_FIRES 400 /* of an input: a ring of 4096 commands may be full of work */
#define LIST_PAGES 4   /* where lists are written most often, behind DATA_PAGE */

struct driver_queue {
    uint64_t sq, cq;
    uint32_t entries, tail, head;
};

struct program {
    struct world world;
    struct fuzz_input *input;
    struct driver_queue queues[QUEUES];
    unsigned page_shift;
    unsigned fires_left;
    uint16_t cid;
    bool is_quiet; /* commands are written, not rung */
};

static unsigned below(struct program *program, unsigned limit)
{
    return fuzz_below(program->input, limit);
}

static uint64_t take(struct program *program, unsigned count)
{
    return fuzz_take(program->input, count);
}

static void fire(struct program *program, unsigned most)
{
    while (most-- > 0 && program->fires_left > 0 && world_fire(&program->world))
        program->fires_left--;
}

static uint64_t page_address(unsigned page)
{
    return WORLD_MEMORY + (uint64_t)(page % WORLD_PAGES) * WORLD_PAGE;
}

/* Where data or a list may be: mostly a page that is there, sometimes anything. */
static uint64_t address(struct program *program)
{
    unsigned kind = below(program, 12);
    uint64_t page = page_address(DATA_PAGE + below(program, WORLD_PAGES - DATA_PAGE));

    switch (kind) {
    case 0:
        return take(program, 8);
    case 1:
        return UINT64_MAX - take(program, 2);
    case 2:
        return WORLD_MEMORY + WORLD_BYTES - take(program, 1);
    case 3: /* a queue */
        return WORLD_MEMORY + take(program, 2);
    case 4:
    case 5:
        return page + (take(program, 2) & (WORLD_PAGE - 1) & ~3u);
    case 6: /* the last entries of a list's page */
        return page + WORLD_PAGE - 8 - 8 * (uint64_t)below(program, 4);
    case 7:
        return 0;
    case 8:
        return page_address(DATA_PAGE + below(program, LIST_PAGES));
    default:
        return page;
    }
}

static void queues_place(struct program *program)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        program->queues[i] = (struct driver_queue){
            .sq = WORLD_MEMORY + ((uint64_t)(2 * i) << program->page_shift),
            .cq = WORLD_MEMORY + ((uint64_t)(2 * i + 1) << program->page_shift),
            .entries = 16,
        };
        memset(world_memory(&program->world, program->queues[i].cq), 0, WORLD_PAGE);
    }
}

static void ring(struct program *program, unsigned id)
{
    world_write(&program->world, NVME_REG_DOORBELLS + 8 * (uint64_t)id, 4,
                program->queues[id].tail);
}

static void submit(struct program *program, unsigned id, const uint8_t entry[NVME_SQE_BYTES])
{
    struct driver_queue *queue = &program->queues[id];

    memcpy(world_memory(&program->world, queue->sq + (uint64_t)queue->tail * NVME_SQE_BYTES), entry,
           NVME_SQE_BYTES);
    queue->tail = (queue->tail + 1) % queue->entries;
    if (!program->is_quiet)
        ring(program, id);
}

static void command(struct program *program, unsigned id, const struct nvme_command *command)
{
    uint8_t entry[NVME_SQE_BYTES] = {command->opcode, command->flags};

    nvme_put16(entry + 2, command->cid);
    nvme_put32(entry + 4, command->nsid);
    nvme_put64(entry + 24, command->prp1);
    nvme_put64(entry + 32, command->prp2);
    nvme_put32(entry + 40, command->dw10);
    nvme_put32(entry + 44, command->dw11);
    nvme_put32(entry + 48, command->dw12);
    nvme_put32(entry + 52, command->dw13);
    nvme_put32(entry + 56, command->dw14);
    nvme_put32(entry + 60, command->dw15);
    submit(program, id, entry);
}

/* Answers there are, taken as a driver does. */
static void collect(struct program *program, unsigned id)
{
    struct driver_queue *queue = &program->queues[id];
    const struct nvme_cq *cq = &((struct nvme *)program->world.model)->cq[id];

    if (!cq->exists || queue->head == cq->tail)
        return;
    queue->head = cq->tail;
    world_write(&program->world, NVME_REG_DOORBELLS + 8 * (uint64_t)id + 4, 4, queue->head);
}

static void enable(struct program *program)
{
    struct world *world = &program->world;
    unsigned mps = below(program, 8);
    const struct driver_queue *admin = &program->queues[0];

    mps = mps <= 4 ? mps : 0;
    program->page_shift = 12 + mps;
    world_config_write(world, CONFIG_COMMAND, 2, CONFIG_COMMAND_MEMORY | CONFIG_COMMAND_MASTER);
    world_write(world, NVME_REG_CC, 4, 0);
    queues_place(program);
    world_write(world, NVME_REG_AQA, 4, (admin->entries - 1) << 16 | (admin->entries - 1));
    world_write(world, NVME_REG_ASQ, 8, admin->sq);
    world_write(world, NVME_REG_ACQ, 8, admin->cq);
    world_write(world, NVME_REG_CC, 4, 0x00460001 | mps << 7);
}

static void create_queues(struct program *program)
{
    unsigned id = 1 + below(program, QUEUES - 1);
    unsigned cqid = below(program, 4) != 0 ? id : 1 + below(program, QUEUES - 1);
    const struct driver_queue *queue = &program->queues[id];
    struct nvme_command create = {
        .opcode = NVME_ADMIN_CREATE_CQ,
        .cid = program->cid++,
        .prp1 = queue->cq,
        .dw10 = (queue->entries - 1) << 16 | id,
        .dw11 = id << 16 | 3,
    };

    command(program, 0, &create);
    create.opcode = NVME_ADMIN_CREATE_SQ;
    create.cid = program->cid++;
    create.prp1 = queue->sq;
    create.dw11 = cqid << 16 | 1;
    command(program, 0, &create);
    fire(program, 2);
    collect(program, 0);
    program->queues[id].tail = program->queues[id].head = 0;
}

static uint32_t nsid(struct program *program)
{
    unsigned kind = below(program, 16);
    return kind < 12 ? 1 + kind % 2 : kind < 14 ? NVME_NSID_ALL : (uint32_t)take(program, 4);
}

static uint8_t flags(struct program *program)
{
    return below(program, 16) == 15 ? (uint8_t)take(program, 1) : 0;
}

/* Ids come again now and then. */
static uint16_t next_cid(struct program *program)
{
    return below(program, 16) == 15 ? (uint16_t)(program->cid - 1) : program->cid++;
}

/* One after the other: the order in an initializer is the compiler's. */
static void command_begin(struct program *program, struct nvme_command *command)
{
    command->flags = flags(program);
    command->cid = next_cid(program);
    command->nsid = nsid(program);
    command->prp1 = address(program);
    command->prp2 = address(program);
}

static uint32_t edge(struct program *program)
{
    static const uint32_t edges[] = {0,      1,       2,          3,          7,        16,
                                     0xff,   0x8000,  0xffff,     0x10001,    0x30003,  0x1f0001,
                                     0x1000, 0x10000, 0x80000001, 0xffffffff, 0xffe0000};
    unsigned kind = below(program, 24);
    return kind < sizeof(edges) / sizeof(edges[0]) ? edges[kind] : (uint32_t)take(program, 4);
}

static void step_admin(struct program *program)
{
    static const uint8_t opcodes[] = {
        NVME_ADMIN_DELETE_SQ,    NVME_ADMIN_CREATE_SQ,    NVME_ADMIN_GET_LOG,
        NVME_ADMIN_DELETE_CQ,    NVME_ADMIN_CREATE_CQ,    NVME_ADMIN_IDENTIFY,
        NVME_ADMIN_ABORT,        NVME_ADMIN_SET_FEATURES, NVME_ADMIN_GET_FEATURES,
        NVME_ADMIN_ASYNC_EVENT,  NVME_ADMIN_FORMAT,       NVME_ADMIN_KEEP_ALIVE,
        NVME_ADMIN_SET_FEATURES, NVME_ADMIN_GET_LOG,
    };
    unsigned kind = below(program, sizeof(opcodes) + 1);
    uint32_t low = (uint32_t)take(program, 1);
    struct nvme_command admin = {0};

    admin.opcode = kind < sizeof(opcodes) ? opcodes[kind] : (uint8_t)take(program, 1);
    command_begin(program, &admin);
    admin.dw10 = low | (uint32_t)take(program, 2) << 16;
    admin.dw11 = edge(program);
    if (below(program, 4) == 3)
        admin.dw10 = edge(program);
    if (below(program, 4) == 3) {
        admin.dw12 = edge(program);
        admin.dw13 = edge(program);
    }
    command(program, 0, &admin);
}

static void step_io(struct program *program)
{
    static const uint8_t opcodes[] = {
        NVME_IO_FLUSH,   NVME_IO_WRITE,        NVME_IO_READ, NVME_IO_WRITE_UNCORRECTABLE,
        NVME_IO_COMPARE, NVME_IO_WRITE_ZEROES, NVME_IO_DSM,  NVME_IO_VERIFY,
        NVME_IO_WRITE,   NVME_IO_READ,
    };
    unsigned id = 1 + below(program, QUEUES - 1);
    unsigned kind = below(program, sizeof(opcodes) + 1);
    struct nvme_command io = {0};

    io.opcode = kind < sizeof(opcodes) ? opcodes[kind] : (uint8_t)take(program, 1);
    command_begin(program, &io);
    io.dw10 = (uint32_t)take(program, 1);
    io.dw11 = below(program, 16) == 15 ? edge(program) : 0;
    io.dw12 = (uint32_t)take(program, 1);
    if (kind == 6)
        io.dw11 = NVME_DSM_DEALLOCATE;
    if (below(program, 8) == 7)
        io.dw12 |= NVME_RW_FUA;
    if (below(program, 8) == 7)
        io.dw12 = edge(program);
    command(program, id, &io);
}

static void step_raw(struct program *program)
{
    uint8_t entry[NVME_SQE_BYTES];
    unsigned id = below(program, QUEUES);

    for (unsigned i = 0; i < NVME_SQE_BYTES; i++)
        entry[i] = (uint8_t)take(program, 1);
    submit(program, id, entry);
}

static void step_register(struct program *program)
{
    unsigned width = below(program, 4) == 3 ? 8 : 4;
    uint64_t offset = (uint64_t)below(program, 0x40) / width * width;

    world_write(&program->world, offset, width, take(program, width));
}

static void step_bar(struct program *program)
{
    unsigned width = 1u << below(program, 4);
    uint64_t bytes = program->world.model->shape.bars[0].bytes;
    uint64_t offset = take(program, 2) % bytes / width * width;

    if (below(program, 2) == 0)
        world_read(&program->world, offset, width);
    else
        world_write(&program->world, offset, width, take(program, width));
}

static void step_doorbell(struct program *program)
{
    unsigned index = below(program, 160);
    uint32_t value = below(program, 2) == 0 ? below(program, 20) : edge(program);

    world_write(&program->world, NVME_REG_DOORBELLS + 4 * (uint64_t)index, 4, value);
}

static void step_ring(struct program *program)
{
    program->is_quiet = below(program, 2) != 0;
    for (unsigned id = 0; id < QUEUES; id++)
        ring(program, id);
}

static void step_config(struct program *program)
{
    static const unsigned capabilities[] = {CAPABILITY_POWER, CAPABILITY_MSIX, CAPABILITY_PCIE};
    unsigned kind = below(program, 6);
    unsigned width = 1u << below(program, 3);
    unsigned offset = (unsigned)take(program, 2) % CONFIG_SPACE_BYTES;

    if (kind < 3)
        offset = config_space_find(program->world.model->config, capabilities[kind]) + offset % 12;
    else if (kind < 5)
        offset = CONFIG_COMMAND;
    world_config_write(&program->world, offset / width * width, width,
                       (uint32_t)take(program, width));
}

static void step_reset(struct program *program)
{
    world_reset(&program->world, (enum model_reset)below(program, 3));
}

static void step_enable(struct program *program)
{
    if (below(program, 2) != 0)
        while (world_storage_done(&program->world, 0, 0)) {
        }
    enable(program);
    create_queues(program);
}

static void step_shutdown(struct program *program)
{
    uint32_t cc = (uint32_t)world_read(&program->world, NVME_REG_CC, 4);
    uint32_t kind = below(program, 4);

    world_write(&program->world, NVME_REG_CC, 4, (cc & ~0xc000u) | kind << 14);
}

static void step_storage(struct program *program)
{
    static const int results[] = {0, 0, 0, 0, -EIO, -ENOSPC, -EFBIG, -EROFS, -ECANCELED};
    unsigned which = below(program, 64);
    int result = results[below(program, sizeof(results) / sizeof(results[0]))];

    world_storage_done(&program->world, which, result);
}

static void step_storage_all(struct program *program)
{
    for (unsigned i = 0; i < 300 && world_storage_done(&program->world, 0, 0); i++)
        fire(program, 1);
}

static void step_time(struct program *program)
{
    uint64_t ns = take(program, 1);
    unsigned fires = program->fires_left < 8 ? program->fires_left : 8;

    program->fires_left -= fires;
    world_advance(&program->world, ns << below(program, 40), fires);
}

static void step_fire(struct program *program)
{
    fire(program, 1 + below(program, 16));
}

/* Unmapped, read-only, write-only or back. */
static void step_access(struct program *program)
{
    unsigned page = below(program, WORLD_PAGES), count = 1 + below(program, 8);
    uint8_t access = (uint8_t)below(program, 4);

    for (unsigned i = page; i < page + count && i < WORLD_PAGES; i++)
        program->world.access[i] = access;
}

static void step_map_all(struct program *program)
{
    (void)below(program, 2);
    memset(program->world.access, WORLD_READABLE | WORLD_WRITABLE, sizeof(program->world.access));
}

/* A list of pages that follow, with the last entry to the next list, to itself, or anything. */
static void step_list(struct program *program)
{
    unsigned page = DATA_PAGE + below(program, LIST_PAGES);
    unsigned first = below(program, 2) == 0 ? 0 : 512 - 1 - below(program, 8);
    unsigned data = below(program, WORLD_PAGES), step = below(program, 3);
    uint8_t *list = world_memory(&program->world, page_address(page));

    for (unsigned i = first; i < 512; i++)
        nvme_put64(list + (size_t)i * 8, page_address(data + (i - first) * step));
    nvme_put64(list + 511u * 8, address(program));
    if (below(program, 4) == 0) { /* and one entry that is odd */
        size_t odd = (first + below(program, 8)) % 512;
        nvme_put64(list + odd * 8, address(program));
    }
}

static void step_ranges(struct program *program)
{
    uint8_t *out = world_memory(&program->world, page_address(DATA_PAGE + below(program, 120)));
    unsigned count = 1 + below(program, 16);

    for (unsigned i = 0; i < count; i++, out += 16) {
        nvme_put32(out + 4, below(program, 8) == 7 ? edge(program) : (uint32_t)take(program, 1));
        nvme_put64(out + 8, below(program, 8) == 7 ? take(program, 8) : take(program, 1));
    }
}

static void step_collect(struct program *program)
{
    unsigned which = below(program, QUEUES + 1);

    for (unsigned id = 0; id < QUEUES; id++) {
        if (which == QUEUES || which == id)
            collect(program, id);
    }
}

static void step_create(struct program *program)
{
    create_queues(program);
}

typedef void (*step_fn)(struct program *program);

/* New steps go to the end: the corpus counts them. */
static const step_fn steps[] = {
    step_admin,    step_io,     step_raw,     step_register, step_bar,     step_doorbell,
    step_ring,     step_config, step_reset,   step_enable,   step_storage, step_storage_all,
    step_time,     step_fire,   step_access,  step_map_all,  step_list,    step_ranges,
    step_shutdown, step_create, step_collect, step_io,       step_io,      step_admin,
    step_fire,     step_fire,   step_collect, step_storage,  step_io,      step_admin,
};

static void start(struct program *program)
{
    static const char *const queues[] = {"1", "3", "16", "64"};
    unsigned choice = (unsigned)take(program, 1), shape = (unsigned)take(program, 1);
    struct model_option options[5] = {
        {"queues", queues[choice & 3]},
        {"block", (choice & 4) != 0 ? "4096" : "512"},
    };
    size_t count = 2;

    if ((shape & 3) == 0) {
        options[count++] = (struct model_option){"size", "70000"};
        options[count++] = (struct model_option){"namespaces", (shape & 4) != 0 ? "8" : "2"};
    } else {
        options[count++] = (struct model_option){"drive", "a"};
        if ((shape & 4) != 0)
            options[count++] = (struct model_option){"drive", "b"};
    }
    if ((shape & 0x38) == 0x38)
        options[count++] = (struct model_option){"readonly", ""};
    world_start(&program->world, options, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct fuzz_input input = {bytes, count};
    static struct program program;

    memset(&program, 0, sizeof(program));
    program.input = &input;
    program.fires_left = MOST_FIRES;
    program.page_shift = 12;
    start(&program);
    enable(&program);
    create_queues(&program);
    while (input.left > 0)
        steps[below(&program, sizeof(steps) / sizeof(steps[0]))](&program);
    world_stop(&program.world);
    return 0;
}

/*
 * Calls through the dext's dispatch down to a simulated testdev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "abi/dext_abi.h"
#include "backend/sim.h"
#include "dext/dext.h"
#include "paths.h"

#define REGION_BYTES UINT64_C(4096)
#define REGIONS_MANY 60000
#define IOVA(number) (UINT64_C(0x100000000) + (number)*2 * REGION_BYTES)
#define SCALARS      16
#define TESTDEV_ID   0x54534554
#define TESTDEV_FIRE 0x100 /* register: fires the vector that is written */
#define VECTOR       3
#define CONFIG_IDS   0x0

static struct {
    struct pci_provider *provider;
    struct dext *dext;
    struct dext_client *client;
    uint64_t next_iova;
    uint64_t token; /* of the last WaitInterrupt, counted from 1 */
    uint64_t completions;
} world;

/* ---- A host whose clients have memory everywhere ---- */

static int memory_read(struct dma_memory *memory, uint64_t offset, void *buffer, size_t length)
{
    memset(buffer, 0, length);
    return 0;
}

static int memory_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                        size_t length)
{
    return 0;
}

static void memory_release(struct dma_memory *memory)
{
}

static int client_memory(void *context, uint64_t address, uint64_t bytes, struct dma_memory **out,
                         uint64_t *offset)
{
    static const struct dma_memory_ops ops = {
        .read = memory_read, .write = memory_write, .release = memory_release};
    static struct dma_memory memory = {.ops = &ops, .bytes = UINT64_C(1) << 40};
    *out = &memory;
    *offset = address;
    return 0;
}

static void async_complete(void *context, uint64_t token, IOReturn status,
                           const uint64_t *arguments, unsigned count)
{
    must(token == world.token && status == kIOReturnSuccess, "an interrupt");
    world.completions++;
}

static void terminate(void *context)
{
}

/* ---- Calls ---- */

static void call(uint64_t selector, const uint64_t *in, uint32_t in_count, uint64_t *out,
                 uint32_t out_count)
{
    struct dext_arguments arguments = {.scalar_in = in,
                                       .scalar_in_count = in_count,
                                       .scalar_out = out,
                                       .scalar_out_count = out_count};
    must(dext_client_external_method(world.client, selector, &arguments) == kIOReturnSuccess,
         "a call");
}

static void begin(void)
{
    static const struct dext_host_ops ops = {
        .client_memory = client_memory, .async_complete = async_complete, .terminate = terminate};
    static const struct dext_options options = {0};
    const struct pci_address address = {.bus = 1};
    char *error = NULL;

    memset(&world, 0, sizeof(world));
    must(backend_sim_create(model_find("testdev"), address, NULL, 0, NULL, &world.provider,
                            &error) == 0,
         "making testdev");
    must(dext_create(world.provider, &ops, NULL, &options, &world.dext) == 0, "making a dext");
    must(dext_client_open(world.dext, DEXT_USER_CLIENT_TYPE, NULL, &world.client) ==
             kIOReturnSuccess,
         "opening a client");
    call(DEXT_SEL_CLAIM, NULL, 0, NULL, 0);
}

static void end(void)
{
    dext_client_stop(world.client);
    dext_destroy(world.dext);
    provider_destroy(world.provider);
}

static void config_read(void)
{
    const uint64_t in[] = {CONFIG_IDS, 4};
    uint64_t out[SCALARS] = {0};
    call(DEXT_SEL_CONFIG_READ, in, 2, out, 1);
    must(out[0] != UINT32_MAX, "reading config space");
}

static void mmio_read(void)
{
    const uint64_t in[] = {0, 0, 4};
    uint64_t out[SCALARS] = {0};
    call(DEXT_SEL_MMIO_READ, in, 3, out, 1);
    must(out[0] == TESTDEV_ID, "reading a register");
}

static void register_region(uint64_t iova)
{
    const uint64_t in[] = {iova, IOVA(0), REGION_BYTES};
    uint64_t out[SCALARS] = {0};
    call(DEXT_SEL_REGISTER_DMA_REGION, in, 3, out, 3);
    must(out[0] == 1 && out[2] == REGION_BYTES, "registering a region");
}

static void begin_live(uint64_t count)
{
    begin();
    for (uint64_t i = 0; i < count; i++) {
        register_region(IOVA(i));
    }
    world.next_iova = IOVA(count / 2) + REGION_BYTES;
}

static void begin_1_live(void)
{
    begin_live(1);
}

static void begin_many_live(void)
{
    begin_live(REGIONS_MANY);
}

static void register_unregister(void)
{
    const uint64_t in[] = {world.next_iova};
    register_region(world.next_iova);
    call(DEXT_SEL_UNREGISTER_DMA_REGION, in, 1, NULL, 0);
}

static void begin_batch(void)
{
    begin_live(1000);
}

static void batch_256(void)
{
    enum { COUNT = 256 };
    struct dext_dma_request requests[COUNT];
    struct dext_dma_result results[COUNT];
    uint64_t iovas[COUNT];
    const uint64_t flags[] = {0};
    uint64_t out[SCALARS] = {0};

    for (uint64_t i = 0; i < COUNT; i++) {
        iovas[i] = IOVA(i) + REGION_BYTES;
        requests[i] =
            (struct dext_dma_request){.iova = iovas[i], .address = IOVA(0), .bytes = REGION_BYTES};
    }
    struct dext_arguments arguments = {.scalar_in = flags,
                                       .scalar_in_count = 1,
                                       .struct_in = requests,
                                       .struct_in_bytes = sizeof(requests),
                                       .scalar_out = out,
                                       .scalar_out_count = 1,
                                       .struct_out = results,
                                       .struct_out_bytes = sizeof(results)};
    must(dext_client_external_method(world.client, DEXT_SEL_REGISTER_DMA_REGIONS, &arguments) ==
             kIOReturnSuccess,
         "registering a batch");
    arguments = (struct dext_arguments){.struct_in = iovas,
                                        .struct_in_bytes = sizeof(iovas),
                                        .scalar_out = out,
                                        .scalar_out_count = 1,
                                        .struct_out = results,
                                        .struct_out_bytes = COUNT * 8};
    must(dext_client_external_method(world.client, DEXT_SEL_UNREGISTER_DMA_REGIONS, &arguments) ==
             kIOReturnSuccess,
         "unregistering a batch");
}

/* ---- Interrupts ---- */

static void begin_interrupts(void)
{
    uint64_t vectors[SCALARS] = {0};
    begin();
    call(DEXT_SEL_SETUP_INTERRUPTS, NULL, 0, vectors, 1);
    must(vectors[0] > VECTOR, "setting interrupts up");
}

/* Waiting, the register's write with the device's message and the completion, taking the vector. */
static void interrupt(void)
{
    const uint64_t fire[] = {0, TESTDEV_FIRE, 4, VECTOR};
    uint64_t pending[SCALARS] = {0};
    struct dext_arguments wait = {.has_completion = true, .completion_token = ++world.token};

    must(dext_client_external_method(world.client, DEXT_SEL_WAIT_INTERRUPT, &wait) ==
             kIOReturnSuccess,
         "waiting for an interrupt");
    call(DEXT_SEL_MMIO_WRITE, fire, 4, NULL, 0);
    must(world.completions == world.token, "an interrupt");
    call(DEXT_SEL_CHECK_INTERRUPT, NULL, 0, pending, 4);
    must(pending[0] == UINT64_C(1) << VECTOR, "taking a vector");
}

const struct path dext_paths[] = {
    {"config-read", begin, NULL, config_read, end},
    {"mmio-read", begin, NULL, mmio_read, end},
    {"register-unregister-1-live", begin_1_live, NULL, register_unregister, end},
    {"register-unregister-60000-live", begin_many_live, NULL, register_unregister, end},
    {"register-unregister-batch-of-256", begin_batch, NULL, batch_256, end},
    {"interrupt", begin_interrupts, NULL, interrupt, end},
    {NULL, NULL, NULL, NULL, NULL},
};

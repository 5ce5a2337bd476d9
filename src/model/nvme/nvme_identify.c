/*
 * The Identify command: what controller and namespaces say about themselves (5.15).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "model/nvme/nvme_device.h"

#define IDENTIFY_BYTES  4096

#define CNS_NAMESPACE   0x00
#define CNS_CONTROLLER  0x01
#define CNS_ACTIVE_LIST 0x02
#define CNS_DESCRIPTORS 0x03

#define DESCRIPTOR_UUID 0x03

static void text_put(uint8_t *field, size_t bytes, const char *text)
{
    size_t length = strlen(text);
    memset(field, ' ', bytes);
    memcpy(field, text, length < bytes ? length : bytes);
}

/* FNV-1a over the serial number, twice with different starts: the same device says the same. */
static void uuid_make(const struct nvme *dev, uint32_t nsid, uint8_t uuid[16])
{
    for (unsigned half = 0; half < 2; half++) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ nsid ^ (uint64_t)half << 32;
        for (const char *text = dev->serial; *text != '\0'; text++)
            hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
        nvme_put64(uuid + (size_t)half * 8, hash * UINT64_C(0xbf58476d1ce4e5b9));
    }
    uuid[6] = (uuid[6] & 0x0f) | 0x40; /* RFC 4122: version 4, its variant */
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static void subsystem_name(const struct nvme *dev, uint8_t *field, size_t bytes)
{
    uint8_t u[16];

    uuid_make(dev, 0, u);
    snprintf((char *)field, bytes,
             "nqn.2014-08.org.nvmexpress:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x",
             u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
             u[14], u[15]);
}

static void controller_fill(const struct nvme *dev, uint8_t *out)
{
    nvme_put16(out + 0, (uint16_t)config_space_get(&dev->config, CONFIG_VENDOR_ID, 2));
    nvme_put16(out + 2, (uint16_t)config_space_get(&dev->config, CONFIG_SUBSYSTEM_VENDOR, 2));
    text_put(out + 4, 20, dev->serial);
    text_put(out + 24, 40, "dextlink NVMe");
    text_put(out + 64, 8, NVME_FIRMWARE);
    out[72] = 3; /* RAB: 8 commands in a burst */
    out[77] = NVME_MDTS;
    nvme_put32(out + 80, NVME_VERSION);
    /* RTD3E, in µs: how long drivers wait for a shutdown, which has a file to flush; as CAP.TO. */
    nvme_put32(out + 88, 10000000);
    nvme_put32(out + 92, NVME_ASYNC_NAMESPACES); /* OAES */
    out[111] = 1;                                /* CNTRLTYPE: I/O controller */
    nvme_put16(out + 256, 0x0002);               /* OACS: Format NVM */
    out[258] = 3;                                /* ACL: 4 Abort commands */
    out[259] = NVME_ASYNC_LIMIT - 1;             /* AERL */
    out[260] = 0x03;                             /* FRMW: one slot, read-only */
    out[261] = 0x06;                             /* LPA: commands log, offsets */
    out[262] = NVME_ERROR_ENTRIES - 1;           /* ELPE */
    nvme_put16(out + 266, 343);                  /* WCTEMP, kelvin */
    nvme_put16(out + 268, 353);                  /* CCTEMP */
    out[512] = 0x66;                             /* SQES: 64 bytes */
    out[513] = 0x44;                             /* CQES: 16 bytes */
    nvme_put32(out + 516, dev->namespace_count);
    /* ONCS: Compare, Write Uncorrectable, DSM, Write Zeroes, Save and Select, Timestamp, Verify */
    nvme_put16(out + 520, 0x00df);
    out[525] = 0x07; /* VWC: there is one; Flush takes all namespaces */
    subsystem_name(dev, out + 768, 256);
    nvme_put16(out + 2048, 2500); /* PSD0: 25 W */
}

static void namespace_fill(const struct nvme_namespace *ns, uint8_t *out)
{
    uint64_t blocks = nvme_namespace_blocks(ns);

    nvme_put64(out + 0, blocks);  /* NSZE */
    nvme_put64(out + 8, blocks);  /* NCAP */
    nvme_put64(out + 16, blocks); /* NUSE */
    out[25] = 1;                  /* NLBAF: two formats */
    out[26] = ns->block_shift == 9 ? 0 : 1;
    out[33] = 0x09; /* DLFEAT: deallocated blocks read as zeros, Write Zeroes deallocates */
    out[99] = ns->is_read_only ? 1 : 0; /* NSATTR */
    nvme_put32(out + 128, 9u << 16);    /* LBAF0: 512 bytes, no metadata */
    nvme_put32(out + 132, 12u << 16);   /* LBAF1: 4096 bytes */
}

static uint16_t active_list_fill(const struct nvme *dev, uint32_t after, uint8_t *out)
{
    if (after >= NVME_NSID_ALL - 1)
        return NVME_INVALID_NAMESPACE;
    for (uint32_t nsid = after + 1; nsid <= dev->namespace_count; nsid++, out += 4)
        nvme_put32(out, nsid);
    return NVME_SUCCESS;
}

static void descriptors_fill(const struct nvme *dev, uint32_t nsid, uint8_t *out)
{
    out[0] = DESCRIPTOR_UUID;
    out[1] = 16;
    uuid_make(dev, nsid, out + 4);
}

uint16_t nvme_identify(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    const struct nvme_namespace *ns = nvme_namespace_find(dev, command->nsid);
    uint8_t out[IDENTIFY_BYTES] = {0};
    uint16_t status = NVME_SUCCESS;

    switch (command->dw10 & 0xff) {
    case CNS_NAMESPACE:
        if (ns == NULL)
            return NVME_INVALID_NAMESPACE;
        namespace_fill(ns, out);
        break;
    case CNS_CONTROLLER:
        controller_fill(dev, out);
        break;
    case CNS_ACTIVE_LIST:
        status = active_list_fill(dev, command->nsid, out);
        break;
    case CNS_DESCRIPTORS:
        if (ns == NULL)
            return NVME_INVALID_NAMESPACE;
        descriptors_fill(dev, command->nsid, out);
        break;
    default:
        return nvme_field_refuse(request, NVME_FIELD_DW(10, 0));
    }
    return status != NVME_SUCCESS ? status : nvme_answer_write(dev, request, out, IDENTIFY_BYTES);
}

/*
 * Configuration space and its capabilities.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "capability.h"

#include <stdio.h>
#include <string.h>

#define CONFIG_BAR_FIRST 0x10
#define CONFIG_BAR_END   0x28
#define STATUS_CAP_LIST  0x10

#define CAP_ID_PM        0x01
#define CAP_ID_MSI       0x05
#define CAP_ID_VENDOR    0x09
#define CAP_ID_PCIE      0x10
#define CAP_ID_MSIX      0x11

struct id_name {
    uint32_t id;
    const char *name;
};

static const struct id_name standard_names[] = {
    {0x01, "Power Management"},
    {0x03, "Vital Product Data"},
    {0x04, "Slot Identification"},
    {0x05, "MSI"},
    {0x06, "CompactPCI Hot Swap"},
    {0x07, "PCI-X"},
    {0x09, "Vendor Specific"},
    {0x0d, "Subsystem ID"},
    {0x10, "PCI Express"},
    {0x11, "MSI-X"},
    {0x12, "SATA"},
    {0x13, "Advanced Features"},
    {0x14, "Enhanced Allocation"},
};

static const struct id_name extended_names[] = {
    {0x0001, "Advanced Error Reporting"},
    {0x0002, "Virtual Channel"},
    {0x0003, "Device Serial Number"},
    {0x0004, "Power Budgeting"},
    {0x000b, "Vendor Specific"},
    {0x000d, "Access Control Services"},
    {0x000e, "Alternative Routing-ID"},
    {0x000f, "Address Translation Services"},
    {0x0010, "Single Root I/O Virtualization"},
    {0x0013, "Page Request Interface"},
    {0x0015, "Resizable BAR"},
    {0x0017, "TPH Requester"},
    {0x0018, "Latency Tolerance Reporting"},
    {0x0019, "Secondary PCI Express"},
    {0x001b, "Process Address Space ID"},
    {0x001d, "Downstream Port Containment"},
    {0x001e, "L1 PM Substates"},
    {0x001f, "Precision Time Measurement"},
    {0x0023, "Designated Vendor-Specific"},
    {0x0025, "Data Link Feature"},
    {0x0026, "Physical Layer 16 GT/s"},
    {0x0027, "Lane Margining at the Receiver"},
    {0x002a, "Physical Layer 32 GT/s"},
    {0x002e, "Data Object Exchange"},
};

/* Class and subclass; a subclass of 0xff is the row for the rest of its class. */
static const struct id_name class_names[] = {
    {0x0001, "VGA-compatible device"},
    {0x00ff, "unclassified device"},
    {0x0101, "IDE controller"},
    {0x0104, "RAID controller"},
    {0x0106, "SATA controller"},
    {0x0108, "NVMe controller"},
    {0x01ff, "storage controller"},
    {0x0200, "Ethernet controller"},
    {0x02ff, "network controller"},
    {0x0300, "VGA controller"},
    {0x0302, "3D controller"},
    {0x03ff, "display controller"},
    {0x0403, "audio device"},
    {0x04ff, "multimedia device"},
    {0x05ff, "memory controller"},
    {0x0600, "host bridge"},
    {0x0604, "PCI bridge"},
    {0x06ff, "bridge"},
    {0x07ff, "communication controller"},
    {0x0805, "SD host controller"},
    {0x08ff, "system peripheral"},
    {0x09ff, "input device"},
    {0x0bff, "processor"},
    {0x0c03, "USB controller"},
    {0x0cff, "serial bus controller"},
    {0x0dff, "wireless controller"},
    {0x10ff, "encryption controller"},
    {0x11ff, "signal processing controller"},
    {0x12ff, "processing accelerator"},
    {0x13ff, "instrumentation"},
    {0xffff, "unassigned class"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const char *name_of(const struct id_name *names, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].id == id) {
            return names[i].name;
        }
    }
    return NULL;
}

uint8_t config_u8(const struct config_image *image, size_t offset)
{
    return offset < image->length ? image->bytes[offset] : 0xff;
}

uint16_t config_u16(const struct config_image *image, size_t offset)
{
    return (uint16_t)(config_u8(image, offset) | config_u8(image, offset + 1) << 8);
}

uint32_t config_u32(const struct config_image *image, size_t offset)
{
    return config_u16(image, offset) | (uint32_t)config_u16(image, offset + 2) << 16;
}

/* Whether the PCIe capability is there: only then are there bytes past 256. */
static bool image_is_pcie(const struct config_image *image)
{
    struct capability list[48];
    size_t count = capability_list(image, list, COUNT_OF(list));
    for (size_t i = 0; i < count; i++) {
        if (list[i].id == CAP_ID_PCIE && !list[i].extended) {
            return true;
        }
    }
    return false;
}

kern_return_t config_image_read(const struct session *session, struct config_image *image)
{
    memset(image, 0, sizeof(*image));
    image->length = CONFIG_BYTES_PLAIN;
    kern_return_t code =
        apple_dext_config_read_block(session->connection, 0, image->bytes, CONFIG_BYTES_PLAIN);
    for (size_t offset = CONFIG_BAR_FIRST; code == KERN_SUCCESS && offset < CONFIG_BAR_END;
         offset += 2) {
        uint64_t half = 0;
        code = apple_dext_config_read(session->connection, offset, 2, &half);
        image->bytes[offset] = (uint8_t)half;
        image->bytes[offset + 1] = (uint8_t)(half >> 8);
    }
    if (code == KERN_SUCCESS && image_is_pcie(image)) {
        image->length = CONFIG_BYTES;
        code = apple_dext_config_read_block(session->connection, CONFIG_BYTES_PLAIN,
                                            image->bytes + CONFIG_BYTES_PLAIN,
                                            CONFIG_BYTES - CONFIG_BYTES_PLAIN);
    }
    return code;
}

const char *link_speed_text(unsigned int speed)
{
    static const char *const texts[] = {"?",       "2.5 GT/s", "5 GT/s", "8 GT/s",
                                        "16 GT/s", "32 GT/s",  "64 GT/s"};
    return speed < COUNT_OF(texts) ? texts[speed] : texts[0];
}

static void describe_pcie(const struct config_image *image, struct capability *cap)
{
    static const char *const types[16] = {
        [0] = "endpoint",           [1] = "legacy endpoint",     [4] = "root port",
        [5] = "upstream port",      [6] = "downstream port",     [7] = "PCIe-to-PCI bridge",
        [8] = "PCI-to-PCIe bridge", [9] = "integrated endpoint", [10] = "event collector",
    };
    uint16_t flags = config_u16(image, cap->offset + 0x02u);
    uint32_t device = config_u32(image, cap->offset + 0x04u);
    uint16_t link = config_u16(image, cap->offset + 0x12u);
    const char *type = types[(flags >> 4) & 0xf];
    const char *reset = device & (1u << 28) ? "+" : "-";
    int used = snprintf(cap->detail, sizeof(cap->detail), "v%u %s, function-level reset%s",
                        flags & 0xfu, type ? type : "unknown type", reset);
    if (link & 0x3f0) {
        snprintf(cap->detail + used, sizeof(cap->detail) - (size_t)used, ", link %s x%u",
                 link_speed_text(link & 0xf), (link >> 4) & 0x3fu);
    }
}

static void describe_msi(const struct config_image *image, struct capability *cap)
{
    uint16_t control = config_u16(image, cap->offset + 2u);
    snprintf(cap->detail, sizeof(cap->detail), "%s, %u of %u vectors, %s-bit%s",
             control & 1 ? "enabled" : "disabled", 1u << ((control >> 4) & 7),
             1u << ((control >> 1) & 7), control & 0x80 ? "64" : "32",
             control & 0x100 ? ", maskable" : "");
}

static void describe_msix(const struct config_image *image, struct capability *cap)
{
    uint16_t control = config_u16(image, cap->offset + 2u);
    uint32_t table = config_u32(image, cap->offset + 4u);
    uint32_t pending = config_u32(image, cap->offset + 8u);
    snprintf(cap->detail, sizeof(cap->detail),
             "%s, %u vectors, table in BAR %u at 0x%x, pending bits in BAR %u at 0x%x",
             control & 0x8000 ? "enabled" : "disabled", (control & 0x7ffu) + 1, table & 7u,
             table & ~7u, pending & 7u, pending & ~7u);
}

static void describe_pm(const struct config_image *image, struct capability *cap)
{
    uint16_t supports = config_u16(image, cap->offset + 2u);
    uint16_t control = config_u16(image, cap->offset + 4u);
    snprintf(cap->detail, sizeof(cap->detail), "v%u, now D%u%s%s%s", supports & 7u, control & 3u,
             supports & 0x200 ? ", D1" : "", supports & 0x400 ? ", D2" : "",
             control & 8 ? ", no soft reset" : "");
}

static void describe(const struct config_image *image, struct capability *cap)
{
    cap->detail[0] = '\0';
    if (cap->extended) {
        capability_describe_extended(image, cap);
        return;
    }
    switch (cap->id) {
    case CAP_ID_PCIE:
        describe_pcie(image, cap);
        break;
    case CAP_ID_MSI:
        describe_msi(image, cap);
        break;
    case CAP_ID_MSIX:
        describe_msix(image, cap);
        break;
    case CAP_ID_PM:
        describe_pm(image, cap);
        break;
    case CAP_ID_VENDOR:
        snprintf(cap->detail, sizeof(cap->detail), "%u bytes", config_u8(image, cap->offset + 2u));
        break;
    default:
        break;
    }
}

static void add(const struct config_image *image, struct capability *cap, size_t offset,
                uint16_t id, bool extended)
{
    const char *name = extended ? name_of(extended_names, COUNT_OF(extended_names), id)
                                : name_of(standard_names, COUNT_OF(standard_names), id);
    *cap = (struct capability){
        .offset = (uint16_t)offset,
        .id = id,
        .extended = extended,
        .name = name ? name : "unknown",
    };
    describe(image, cap);
}

size_t capability_list(const struct config_image *image, struct capability *list, size_t maximum)
{
    size_t count = 0;

    /* a list longer than the space it lives in is a loop: 48 slots of 4 bytes past the header */
    size_t offset = config_u16(image, 0x06) & STATUS_CAP_LIST ? config_u8(image, 0x34) & ~3u : 0;
    for (int hops = 0; offset >= 0x40 && hops < 48 && count < maximum; hops++) {
        uint8_t id = config_u8(image, offset);
        if (id == 0xff) {
            break;
        }
        add(image, &list[count++], offset, id, false);
        offset = config_u8(image, offset + 1) & ~3u;
    }
    offset = image->length > CONFIG_BYTES_PLAIN ? CONFIG_BYTES_PLAIN : 0;
    for (int hops = 0; offset >= CONFIG_BYTES_PLAIN && hops < 960 && count < maximum; hops++) {
        uint32_t header = config_u32(image, offset);
        if (header == 0 || header == UINT32_MAX) {
            break;
        }
        add(image, &list[count], offset, (uint16_t)header, true);
        list[count++].version = (header >> 16) & 0xf;
        offset = (header >> 20) & ~3u;
    }
    return count;
}

const char *class_text(uint32_t class_code)
{
    uint32_t exact = class_code >> 8;
    const char *name = name_of(class_names, COUNT_OF(class_names), exact);
    name = name ? name : name_of(class_names, COUNT_OF(class_names), exact | 0xff);
    return name ? name : "unknown class";
}

const char *bar_type_text(uint8_t type)
{
    if (type & 1) {
        return "I/O ports";
    }
    switch (type & 0xe) {
    case 0x0:
        return "32-bit memory";
    case 0x4:
        return "64-bit memory";
    case 0x8:
        return "32-bit prefetchable memory";
    case 0xc:
        return "64-bit prefetchable memory";
    default:
        return "memory of a reserved type";
    }
}

/*
 * dextctl show: one device in full: header, base address registers, capabilities.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ability.h"
#include "bar.h"
#include "capability.h"
#include "dextctl.h"
#include "instance.h"
#include "names.h"
#include "output.h"
#include "session.h"

#define CAPABILITIES_MAX 128
#define LINE_WIDTH       96
#define RETRY_IDS        0xffff0001u /* request retry status in place of the ids (F4) */

struct bit_name {
    uint16_t bit;
    const char *name;
};

static const struct bit_name command_bits[] = {
    {0x0001, "I/O"},
    {0x0002, "memory"},
    {0x0004, "bus master"},
    {0x0040, "parity check"},
    {0x0100, "SERR"},
    {0x0400, "INTx off"},
    {0, NULL},
};

static const struct bit_name status_bits[] = {
    {0x0008, "interrupt"},       {0x0010, "capabilities"}, {0x0100, "data parity error"},
    {0x0800, "signalled abort"}, {0x1000, "target abort"}, {0x2000, "master abort"},
    {0x4000, "system error"},    {0x8000, "parity error"}, {0, NULL},
};

/* What a device is made of; filled once, printed as text or as JSON. */
struct device_view {
    AppleDextInstance instance;
    struct config_image image;
    struct bar bars[BAR_COUNT];
    struct capability capabilities[CAPABILITIES_MAX];
    size_t capability_count;
    struct ability ability;
};

static int look(const struct session *session, struct device_view *view)
{
    kern_return_t code = apple_dext_get_identity(session->connection, &view->instance);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get its identity");
    }
    code = config_image_read(session, &view->image);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot read config space");
    }
    if (config_u32(&view->image, 0x00) == RETRY_IDS) {
        return failure(session->name, "its vendor id reads 0x0001: it asks for a retry, it is not "
                                      "ready (dextctl doctor)");
    }
    for (uint8_t i = 0; i < BAR_COUNT; i++) {
        code = bar_get(session, i, &view->bars[i]);
        if (code != KERN_SUCCESS) {
            return session_failure(session, code, "cannot get information on BAR %u", i);
        }
        bar_get_mapping(session, &view->bars[i]);
    }
    view->capability_count = capability_list(&view->image, view->capabilities, CAPABILITIES_MAX);
    code = ability_get(&view->ability, session, &view->image, view->capabilities,
                       view->capability_count);
    return code == KERN_SUCCESS ? STATUS_OK
                                : session_failure(session, code, "cannot get its limits");
}

static void print_bits(const char *label, uint16_t value, const struct bit_name *names)
{
    const char *separator = "  ";
    printf("  %-10s 0x%04x", label, value);
    for (; names->name; names++) {
        if (value & names->bit) {
            printf("%s%s", separator, names->name);
            separator = ", ";
        }
    }
    putchar('\n');
}

static void print_ids(const struct device_view *view)
{
    const AppleDextInstance *instance = &view->instance;
    uint16_t vendor = config_u16(&view->image, 0x00);
    uint16_t device = config_u16(&view->image, 0x02);

    printf("  %-10s %04x:%04x revision %02x", "ids", vendor, device, config_u8(&view->image, 0x08));
    if (instance->has_ids && (instance->vendor_id != vendor || instance->device_id != device)) {
        printf(", but %04x:%04x when it was found", instance->vendor_id, instance->device_id);
    }
    putchar('\n');
}

static void print_header(const struct device_view *view)
{
    const struct config_image *image = &view->image;
    const AppleDextInstance *instance = &view->instance;
    uint32_t class_code = config_u32(image, 0x08) >> 8;
    uint8_t header = config_u8(image, 0x0e);
    uint8_t pin = config_u8(image, 0x3d);
    char address[INSTANCE_TEXT_BYTES];
    char class_name[NAME_BYTES];
    char device_name[NAME_BYTES];

    const char *device =
        names_device(config_u16(image, 0x00), config_u16(image, 0x02), device_name);
    printf("%s  %s%s%s\n", instance_address_text(instance, address),
           names_class(class_code, class_name), device ? ", " : "", device ? device : "");
    printf("  %-10s %s\n", "name", instance->name);
    printf("  %-10s %s\n", "root", instance->root);
    print_ids(view);
    printf("  %-10s %04x:%04x\n", "subsystem", config_u16(image, 0x2c), config_u16(image, 0x2e));
    printf("  %-10s %06x\n", "class", class_code);
    print_bits("command", config_u16(image, 0x04), command_bits);
    print_bits("status", config_u16(image, 0x06), status_bits);
    printf("  %-10s type %u%s\n", "header", header & 0x7fu,
           header & 0x80 ? ", multi-function" : "");
    if (pin >= 1 && pin <= 4) {
        printf("  %-10s pin %c\n", "interrupt", 'A' + pin - 1);
    }
}

/* Where a line is broken: behind the last ", " that still fits, else behind the first there is. */
static size_t fitting(const char *text, size_t room)
{
    size_t length = strlen(text);
    size_t end = 0;

    if (length <= room) {
        return length;
    }
    for (size_t i = 0; i + 1 < length && (i + 1 <= room || end == 0); i++) {
        if (text[i] == ',' && text[i + 1] == ' ') {
            end = i + 1;
        }
    }
    return end ? end : length;
}

/* What a capability says begins behind its name, and goes on below it. */
static void print_capability(const struct capability *cap)
{
    char title[96];
    const char *rest = cap->detail;

    int indent = snprintf(title, sizeof(title), "  %03x  %-4s %04x  ", cap->offset,
                          cap->extended ? "ext" : "", cap->id);
    int width = indent + snprintf(title + indent, sizeof(title) - (size_t)indent, "%s%s", cap->name,
                                  rest[0] ? ": " : "");
    fputs(title, stdout);
    while (rest[0]) {
        size_t length = fitting(rest, (size_t)(LINE_WIDTH - width));
        printf("%.*s", (int)length, rest);
        rest += length + strspn(rest + length, " ");
        if (rest[0]) {
            width = indent + 2;
            printf("\n%*s", width, "");
        }
    }
    putchar('\n');
}

static void print_text(const struct device_view *view)
{
    print_header(view);
    ability_print(&view->ability);
    printf("BARs\n");
    bar_print_table(view->bars, BAR_COUNT);
    printf("Capabilities%s\n", view->capability_count ? "" : "\n  none");
    for (size_t i = 0; i < view->capability_count; i++) {
        print_capability(&view->capabilities[i]);
    }
}

static json_object *bits_json(uint16_t value, const struct bit_name *names)
{
    json_object *array = json_object_new_array();
    for (; names->name; names++) {
        if (value & names->bit) {
            json_object_array_add(array, json_object_new_string(names->name));
        }
    }
    return array;
}

static json_object *header_json(const struct config_image *image)
{
    json_object *object = json_object_new_object();
    json_add_hex(object, "vendor_id", config_u16(image, 0x00), 4);
    json_add_hex(object, "device_id", config_u16(image, 0x02), 4);
    json_add_hex(object, "command", config_u16(image, 0x04), 4);
    json_object_object_add(object, "command_bits", bits_json(config_u16(image, 4), command_bits));
    json_add_hex(object, "status", config_u16(image, 0x06), 4);
    json_object_object_add(object, "status_bits", bits_json(config_u16(image, 6), status_bits));
    json_add_hex(object, "revision_id", config_u8(image, 0x08), 2);
    json_add_hex(object, "class_code", config_u32(image, 0x08) >> 8, 6);
    json_add_number(object, "header_type", config_u8(image, 0x0e) & 0x7f);
    json_add_bool(object, "multi_function", config_u8(image, 0x0e) & 0x80);
    json_add_hex(object, "subsystem_vendor_id", config_u16(image, 0x2c), 4);
    json_add_hex(object, "subsystem_id", config_u16(image, 0x2e), 4);
    json_add_number(object, "interrupt_pin", config_u8(image, 0x3d));
    return object;
}

static void print_json(const struct device_view *view)
{
    json_object *capabilities = json_object_new_array();
    for (size_t i = 0; i < view->capability_count; i++) {
        const struct capability *it = &view->capabilities[i];
        json_object *object = json_object_new_object();
        json_add_hex(object, "offset", it->offset, 2);
        json_add_hex(object, "id", it->id, it->extended ? 4 : 2);
        json_add_bool(object, "extended", it->extended);
        if (it->extended) {
            json_add_number(object, "version", it->version);
        }
        json_add_text(object, "name", it->name);
        json_add_text(object, "detail", it->detail);
        json_object_array_add(capabilities, object);
    }
    json_object *top = instance_json(&view->instance);
    json_object_object_add(top, "header", header_json(&view->image));
    json_object_object_add(top, "bars", bar_table_json(view->bars, BAR_COUNT));
    json_object_object_add(top, "capabilities", capabilities);
    ability_add_json(top, &view->ability);
    json_print(top);
}

static int run(const struct options *options, int argc, char **argv)
{
    struct session session;
    struct device_view view = {0};

    (void)argc;
    int status = session_open(&session, argv[0], SESSION_CLAIM);
    if (status != STATUS_OK) {
        return status;
    }
    status = look(&session, &view);
    if (status == STATUS_OK && options->json) {
        print_json(&view);
    } else if (status == STATUS_OK) {
        print_text(&view);
    }
    session_close(&session);
    return status;
}

const struct command command_show = {
    .name = "show",
    .summary = "show one device: header, link, resets, BARs, capabilities",
    .synopsis = "ADDR",
    .details =
        "Decode a device's config header, its base address registers (BARs) and its\n"
        "capabilities, and say what can be had of it: the link now and at most, the kinds\n"
        "of reset, interrupt vectors, how much of the room for DMA is in use, and which parts\n"
        "of a BAR are direct in a mapping (plain memory) or trapped (each access is a call).\n"
        "\n"
        "Claims the device, which turns on memory decoding and bus mastering if nobody else\n"
        "has claimed it.\n"
        "\n"
        "Examples:\n"
        "  dextctl show 01:00.0\n"
        "  dextctl show pci-bridge0/01:00.0 --json\n"
        "  dextctl show 01:00.0 --device edu,addr=01:00.0\n",
    .accepts = OPTION_HOST | OPTION_JSON,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};

/*
 * Texts and JSON of what the registry says about a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "instance.h"

#include <stdio.h>
#include <string.h>

#include "names.h"

const char *instance_address_text(const AppleDextInstance *instance, char text[INSTANCE_TEXT_BYTES])
{
    if (instance->has_address) {
        snprintf(text, INSTANCE_TEXT_BYTES, "%02x:%02x.%x", instance->bus, instance->device,
                 instance->function);
    } else {
        snprintf(text, INSTANCE_TEXT_BYTES, "?");
    }
    return text;
}

const char *instance_ids_text(const AppleDextInstance *instance, char text[INSTANCE_TEXT_BYTES])
{
    if (instance->has_ids) {
        snprintf(text, INSTANCE_TEXT_BYTES, "%04x:%04x", instance->vendor_id, instance->device_id);
    } else {
        snprintf(text, INSTANCE_TEXT_BYTES, "?");
    }
    return text;
}

static void add_hex_or_null(json_object *object, const char *key, int known, uint64_t value,
                            int digits)
{
    if (known) {
        json_add_hex(object, key, value, digits);
    } else {
        json_object_object_add(object, key, NULL);
    }
}

static void add_text_or_null(json_object *object, const char *key, const char *text)
{
    json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

static void add_names(json_object *object, const AppleDextInstance *instance)
{
    char text[NAME_BYTES];

    add_text_or_null(object, "class",
                     instance->has_ids ? names_class(instance->class_code, text) : NULL);
    add_text_or_null(
        object, "device",
        instance->has_ids ? names_device(instance->vendor_id, instance->device_id, text) : NULL);
}

json_object *instance_json(const AppleDextInstance *instance)
{
    json_object *object = json_object_new_object();
    char address[INSTANCE_TEXT_BYTES];

    if (instance->has_address) {
        json_add_text(object, "address", instance_address_text(instance, address));
    } else {
        json_object_object_add(object, "address", NULL);
    }
    json_add_text(object, "root", instance->root);
    json_add_text(object, "name", instance->name);
    add_hex_or_null(object, "entry_id", instance->entry_id != 0, instance->entry_id, 1);
    add_hex_or_null(object, "vendor_id", instance->has_ids, instance->vendor_id, 4);
    add_hex_or_null(object, "device_id", instance->has_ids, instance->device_id, 4);
    add_hex_or_null(object, "revision_id", instance->has_ids, instance->revision_id, 2);
    add_hex_or_null(object, "class_code", instance->has_ids, instance->class_code, 6);
    add_hex_or_null(object, "subsystem_vendor_id", instance->has_ids, instance->subsystem_vendor_id,
                    4);
    add_hex_or_null(object, "subsystem_id", instance->has_ids, instance->subsystem_id, 4);
    add_names(object, instance);
    return object;
}

/* "pid 12, qemu; pid 13, dextctl" as an array. */
static json_object *claimants_json(const AppleDextInstance *instance)
{
    char text[sizeof(instance->claimed_by)];
    char *rest = text;

    if (!instance->has_claims) {
        return NULL;
    }
    json_object *array = json_object_new_array();
    memcpy(text, instance->claimed_by, sizeof(text));
    while (rest && rest[0]) {
        const char *one = strsep(&rest, ";");
        json_object_array_add(array, json_object_new_string(one + strspn(one, " ")));
    }
    return array;
}

json_object *instance_list_json(const AppleDextInstance *instance, bool is_present)
{
    json_object *object = instance_json(instance);

    json_add_text(object, "state", is_present ? "present" : "gone");
    json_object_object_add(object, "claimed_by", claimants_json(instance));
    return object;
}

static const char *claims_text(const AppleDextInstance *instance)
{
    if (!instance->has_claims) {
        return "?";
    }
    return instance->claimed_by[0] ? instance->claimed_by : "-";
}

struct instance_widths instance_widths_least(void)
{
    return (struct instance_widths){.root = (int)strlen("ROOT"),
                                    .name = (int)strlen("NAME"),
                                    .claims = (int)strlen("CLAIMED BY")};
}

static void fit(int *width, const char *text)
{
    int length = (int)strlen(text);
    *width = length > *width ? length : *width;
}

void instance_widths_fit(struct instance_widths *widths, const AppleDextInstance *instance)
{
    fit(&widths->root, instance->root);
    fit(&widths->name, instance->name);
    fit(&widths->claims, claims_text(instance));
}

void instance_print_titles(const struct instance_widths *widths)
{
    printf("%-7s  %-*s  %-9s  %-*s  %-7s  %-*s  %s\n", "ADDRESS", widths->root, "ROOT", "ID",
           widths->name, "NAME", "STATE", widths->claims, "CLAIMED BY", "CLASS, DEVICE");
}

void instance_print_row(const struct instance_widths *widths, const AppleDextInstance *instance,
                        bool is_present)
{
    char address[INSTANCE_TEXT_BYTES];
    char ids[INSTANCE_TEXT_BYTES];
    char class_name[NAME_BYTES];
    char device_name[NAME_BYTES];
    const char *device = NULL;
    const char *class = "?";

    if (instance->has_ids) {
        class = names_class(instance->class_code, class_name);
        device = names_device(instance->vendor_id, instance->device_id, device_name);
    }
    printf("%-7s  %-*s  %-9s  %-*s  %-7s  %-*s  %s%s%s\n", instance_address_text(instance, address),
           widths->root, instance->root, instance_ids_text(instance, ids), widths->name,
           instance->name, is_present ? "present" : "gone", widths->claims, claims_text(instance),
           class, device ? ", " : "", device ? device : "");
}

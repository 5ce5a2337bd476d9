/*
 * Texts and JSON of what the registry says about a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "instance.h"

#include <stdio.h>

#include "capability.h"

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
    if (instance->has_ids) {
        json_add_text(object, "class", class_text(instance->class_code));
    } else {
        json_object_object_add(object, "class", NULL);
    }
    return object;
}

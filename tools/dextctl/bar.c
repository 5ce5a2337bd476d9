/*
 * Base address registers: information and plain access.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bar.h"

#include <stdio.h>

#include "capability.h"

kern_return_t bar_get(const struct session *session, uint8_t index, struct bar *bar)
{
    *bar = (struct bar){.index = index};
    kern_return_t code = apple_dext_get_bar_info(session->connection, index, &bar->memory_index,
                                                 &bar->size, &bar->type);
    bar->exists = code == KERN_SUCCESS;
    return code == kIOReturnNotFound ? KERN_SUCCESS : code;
}

void bar_print_table(const struct bar *bars, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct bar *it = &bars[i];
        char size[SIZE_TEXT_BYTES];
        if (it->exists) {
            found++;
            printf("  %u  %-10s %s, memory index %u\n", it->index, size_text(it->size, size),
                   bar_type_text(it->type), it->memory_index);
            bar_print_mapping(it);
        }
    }
    if (found == 0) {
        puts("  none");
    }
}

json_object *bar_table_json(const struct bar *bars, size_t count)
{
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        const struct bar *it = &bars[i];
        if (!it->exists) {
            continue;
        }
        json_object *object = json_object_new_object();
        json_add_number(object, "bar", it->index);
        json_add_number(object, "size", it->size);
        json_add_hex(object, "type", it->type, 1);
        json_add_text(object, "type_text", bar_type_text(it->type));
        json_add_number(object, "memory_index", it->memory_index);
        bar_add_mapping_json(object, it);
        json_object_array_add(array, object);
    }
    return array;
}

uint64_t bar_load(mach_vm_address_t address, uint64_t width)
{
    uintptr_t at = (uintptr_t)address;
    switch (width) {
    case 1:
        return *(volatile uint8_t *)at;
    case 2:
        return *(volatile uint16_t *)at;
    case 4:
        return *(volatile uint32_t *)at;
    default:
        return *(volatile uint64_t *)at;
    }
}

void bar_store(mach_vm_address_t address, uint64_t width, uint64_t value)
{
    uintptr_t at = (uintptr_t)address;
    switch (width) {
    case 1:
        *(volatile uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)at = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)at = value;
        break;
    }
}

/*
 * Finding driver instances in the IOKit registry, without opening any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/registry.h"

#include <CoreFoundation/CoreFoundation.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"

static bool service_is_ours(io_service_t service)
{
    char user_class[64];
    CFTypeRef property =
        IORegistryEntryCreateCFProperty(service, CFSTR(DEXT_USER_CLASS_KEY), NULL, 0);
    bool is_ours = false;

    if (property == NULL) {
        return false;
    }
    if (CFGetTypeID(property) == CFStringGetTypeID()) {
        is_ours =
            CFStringGetCString(property, user_class, sizeof(user_class), kCFStringEncodingUTF8) &&
            strcmp(user_class, DEXT_USER_CLASS) == 0;
    }
    CFRelease(property);
    return is_ours;
}

static int compare_numbers(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int compare_candidates(const void *a, const void *b)
{
    const AppleDextInstance *left = &((const struct client_candidate *)a)->instance;
    const AppleDextInstance *right = &((const struct client_candidate *)b)->instance;
    int order = strcmp(left->root, right->root);

    if (order == 0) {
        order = compare_numbers(left->bus, right->bus);
    }
    if (order == 0) {
        order = compare_numbers(left->device, right->device);
    }
    if (order == 0) {
        order = compare_numbers(left->function, right->function);
    }
    return order != 0 ? order : strcmp(left->name, right->name);
}

/* Takes over the service's reference, also on failure. */
static kern_return_t append(struct client_candidate **list, size_t *count, io_service_t service,
                            const struct client_address *wanted)
{
    struct client_candidate *grown = realloc(*list, (*count + 1) * sizeof(**list));

    if (grown == NULL) {
        IOObjectRelease(service);
        return kIOReturnNoMemory;
    }
    *list = grown;
    grown[*count] = (struct client_candidate){.service = service};
    client_pci_describe(service, wanted, &grown[*count].instance);
    (*count)++;
    return kIOReturnSuccess;
}

kern_return_t client_registry_drain(io_iterator_t services, const struct client_address *wanted,
                                    struct client_candidate **out, size_t *out_count)
{
    struct client_candidate *list = NULL;
    kern_return_t status = kIOReturnSuccess;
    io_service_t service;
    size_t count = 0;

    while ((service = IOIteratorNext(services)) != IO_OBJECT_NULL) {
        if (status == kIOReturnSuccess && service_is_ours(service)) {
            status = append(&list, &count, service, wanted);
        } else {
            IOObjectRelease(service);
        }
    }
    if (status != kIOReturnSuccess) {
        client_registry_free(list, count);
        return status;
    }
    if (count > 0) {
        qsort(list, count, sizeof(*list), compare_candidates);
    }
    *out = list;
    *out_count = count;
    return kIOReturnSuccess;
}

kern_return_t client_registry_list(const struct client_address *wanted,
                                   struct client_candidate **out, size_t *out_count)
{
    CFMutableDictionaryRef matching = IOServiceMatching(DEXT_SERVICE_CLASS);
    io_iterator_t services = IO_OBJECT_NULL;
    kern_return_t status;

    if (matching == NULL) {
        return kIOReturnNoMemory;
    }
    /* The dictionary is the call's; success without an iterator means that nothing matches. */
    status = IOServiceGetMatchingServices(MACH_PORT_NULL, matching, &services);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_registry_drain(services, wanted, out, out_count);
    IOObjectRelease(services);
    return status;
}

void client_registry_free(struct client_candidate *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        IOObjectRelease(candidates[i].service);
    }
    free(candidates);
}

kern_return_t apple_dext_list(AppleDextInstance **out_instances, size_t *out_count)
{
    struct client_candidate *candidates = NULL;
    AppleDextInstance *instances = NULL;
    size_t count = 0;
    kern_return_t status;

    if (out_instances == NULL || out_count == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_registry_list(NULL, &candidates, &count);
    if (status == kIOReturnSuccess && count > 0) {
        instances = calloc(count, sizeof(*instances));
        if (instances == NULL) {
            status = kIOReturnNoMemory;
        }
    }
    if (status == kIOReturnSuccess) {
        for (size_t i = 0; i < count; i++) {
            instances[i] = candidates[i].instance;
        }
        *out_instances = instances;
        *out_count = count;
    }
    client_registry_free(candidates, count);
    return status;
}

void apple_dext_free_list(AppleDextInstance *instances)
{
    free(instances);
}

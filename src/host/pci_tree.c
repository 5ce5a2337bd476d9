/*
 * Registry entries of PCI functions, with the properties IOPCIFamily gives them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/pci_tree.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "abi/dext_abi.h"

static const char *const platform_classes[] = {"IOPlatformExpertDevice", "IOService",
                                               "IORegistryEntry", "OSObject", NULL};
static const char *const device_classes[] = {"IOPCIDevice", "IOService", "IORegistryEntry",
                                             "OSObject", NULL};
static const char *const bridge_classes[] = {"IOPCI2PCIBridge", "IOPCIBridge", "IOService",
                                             "IORegistryEntry", "OSObject",    NULL};
static const char *const user_classes[] = {DEXT_SERVICE_CLASS, "IOService", "IORegistryEntry",
                                           "OSObject", NULL};

/* Ids of the simulated root port; Red Hat's generic PCIe root port. */
#define ROOT_PORT_VENDOR_ID 0x1b36
#define ROOT_PORT_DEVICE_ID 0x000c
#define ROOT_PORT_CLASS     0x060400

/* PCI nubs carry numbers as 4 bytes of data, little-endian. */
static struct wire_value *pci_number(uint32_t number)
{
    uint8_t bytes[4] = {(uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16),
                        (uint8_t)(number >> 24)};
    return wire_value_data(bytes, sizeof(bytes));
}

static struct wire_value *pci_text(const char *text)
{
    return wire_value_data(text, strlen(text) + 1);
}

static struct wire_value *pci_compatible(const struct pci_identity *identity)
{
    char names[96];
    int used = 0;
    if (identity->subsystem_vendor_id || identity->subsystem_id) {
        used = snprintf(names, sizeof(names), "pci%x,%x", identity->subsystem_vendor_id,
                        identity->subsystem_id) +
               1;
    }
    used += snprintf(names + used, sizeof(names) - (size_t)used, "pci%x,%x", identity->vendor_id,
                     identity->device_id) +
            1;
    used += snprintf(names + used, sizeof(names) - (size_t)used, "pciclass,%06x",
                     identity->class_code) +
            1;
    return wire_value_data(names, (size_t)used);
}

static struct wire_value *pci_properties(const struct pci_identity *identity, const char *name,
                                         const char *debug)
{
    struct wire_value *out = wire_value_dictionary();
    int error = wire_value_set(out, "vendor-id", pci_number(identity->vendor_id));
    error |= wire_value_set(out, "device-id", pci_number(identity->device_id));
    error |= wire_value_set(out, "revision-id", pci_number(identity->revision));
    error |= wire_value_set(out, "class-code", pci_number(identity->class_code));
    if (identity->subsystem_vendor_id || identity->subsystem_id) {
        error |=
            wire_value_set(out, "subsystem-vendor-id", pci_number(identity->subsystem_vendor_id));
        error |= wire_value_set(out, "subsystem-id", pci_number(identity->subsystem_id));
    }
    error |= wire_value_set(out, "pcidebug", wire_value_string(debug));
    error |= wire_value_set(out, "IOName", wire_value_string(name));
    error |= wire_value_set(out, "name", pci_text(name));
    error |= wire_value_set(out, "compatible", pci_compatible(identity));
    if (error) {
        wire_value_free(out);
        return NULL;
    }
    return out;
}

/* The entry called name below parent, made when it is not there. 0 when out of memory. */
static uint64_t pci_tree_ensure(struct registry *registry,
                                const struct registry_description *description)
{
    uint64_t id = registry_child(registry, description->parent, description->name);
    if (id) {
        wire_value_free(description->properties);
        return id;
    }
    return registry_add(registry, description);
}

/* Root port and the bridge driver above the devices; every root port is a PCI domain of its own. */
static uint64_t pci_tree_bridge(struct registry *registry, const char *root)
{
    static const struct pci_identity port = {.vendor_id = ROOT_PORT_VENDOR_ID,
                                             .device_id = ROOT_PORT_DEVICE_ID,
                                             .class_code = ROOT_PORT_CLASS};
    uint64_t platform = pci_tree_ensure(
        registry, &(struct registry_description){.name = "dextlink",
                                                 .classes = platform_classes,
                                                 .properties = wire_value_dictionary()});
    uint64_t root_port =
        platform ? pci_tree_ensure(registry,
                                   &(struct registry_description){
                                       .name = root,
                                       .classes = device_classes,
                                       .location = "0",
                                       .parent = platform,
                                       .properties = pci_properties(&port, root, "0:0:0(1:255)")})
                 : 0;
    return root_port ? pci_tree_ensure(
                           registry,
                           &(struct registry_description){.name = "IOPP",
                                                          .classes = bridge_classes,
                                                          .parent = root_port,
                                                          .properties = wire_value_dictionary()})
                     : 0;
}

int pci_tree_publish_nub(struct registry *registry, const char *root,
                         const struct pci_identity *identity, uint64_t *nub_id)
{
    /* Two devices that arrive at once must not make the same root port twice. */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char name[32];
    char location[16];
    char debug[32];
    const struct pci_address *address = &identity->address;
    snprintf(name, sizeof(name), "pci%x,%x", identity->vendor_id, identity->device_id);
    snprintf(debug, sizeof(debug), "%u:%u:%u", address->bus, address->device, address->function);
    if (address->function) {
        snprintf(location, sizeof(location), "%x,%x", address->device, address->function);
    } else {
        snprintf(location, sizeof(location), "%x", address->device);
    }
    pthread_mutex_lock(&lock);
    uint64_t bridge = pci_tree_bridge(registry, root);
    *nub_id = bridge ? registry_add(registry,
                                    &(struct registry_description){
                                        .name = name,
                                        .classes = device_classes,
                                        .location = location,
                                        .parent = bridge,
                                        .properties = pci_properties(identity, name, debug)})
                     : 0;
    pthread_mutex_unlock(&lock);
    return *nub_id ? 0 : -ENOMEM;
}

int pci_tree_publish_dext(struct registry *registry, uint64_t nub_id, uint64_t *entry_id)
{
    struct wire_value *properties = wire_value_dictionary();
    int error = wire_value_set(properties, "IOClass", wire_value_string(DEXT_SERVICE_CLASS));
    error |= wire_value_set(properties, DEXT_USER_CLASS_KEY, wire_value_string(DEXT_USER_CLASS));
    error |= wire_value_set(properties, "IOProviderClass", wire_value_string("IOPCIDevice"));
    error |= wire_value_set(properties, DEXT_CLAIMED_BY_KEY, wire_value_array());
    if (error) {
        wire_value_free(properties);
        return -ENOMEM;
    }
    *entry_id = registry_add(registry, &(struct registry_description){.name = DEXT_USER_CLASS,
                                                                      .classes = user_classes,
                                                                      .parent = nub_id,
                                                                      .properties = properties});
    return *entry_id ? 0 : -ENOMEM;
}

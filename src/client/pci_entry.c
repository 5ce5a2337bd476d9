/*
 * What the registry says of the PCI function under a driver instance.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/pci_entry.h"

#include <CoreFoundation/CoreFoundation.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "abi/dext_abi.h"

/* Arrays of the type that IOKit's prototypes name: gcc warns of shorter ones. */
static const io_name_t pci_nub_class = "IOPCIDevice";
static const io_name_t service_plane = kIOServicePlane;

enum {
    PCI_BUS_MAX = 255,
    PCI_DEVICE_MAX = 31,
    PCI_FUNCTION_MAX = 7,
    PCI_ID_NONE = 0xffff,
    PCI_CLASS_MASK = 0xffffff,
    REGISTRY_DEPTH_MAX = 64, /* a registry that is deeper is not believed */
    NO_BUS = -1,
    PLACE_BYTES = 128, /* with a root's name it fits a name */
};

struct pci_address {
    bool is_known;
    uint8_t bus, device, function;
    int secondary_bus; /* the bus below, for a bridge; NO_BUS where it is not said */
};

/* Decimal, without sign or blanks, up to max; *text moves past it. */
static bool parse_number(const char **text, unsigned max, uint8_t *out)
{
    const char *next = *text;
    unsigned value = 0;

    while (*next >= '0' && *next <= '9' && value <= max) {
        value = value * 10 + (unsigned)(*next - '0');
        next++;
    }
    if (next == *text || value > max) {
        return false;
    }
    *text = next;
    *out = (uint8_t)value;
    return true;
}

static bool parse_mark(const char **text, char mark)
{
    bool is_there = **text == mark;

    *text += is_there;
    return is_there;
}

/* "bus:device:function", for a bridge with "(secondary:subordinate)" behind it. */
static void parse_pcidebug(const char *text, struct pci_address *out)
{
    struct pci_address address = {.secondary_bus = NO_BUS};
    uint8_t secondary;

    if (parse_number(&text, PCI_BUS_MAX, &address.bus) && parse_mark(&text, ':') &&
        parse_number(&text, PCI_DEVICE_MAX, &address.device) && parse_mark(&text, ':') &&
        parse_number(&text, PCI_FUNCTION_MAX, &address.function)) {
        if (parse_mark(&text, '(') && parse_number(&text, PCI_BUS_MAX, &secondary)) {
            address.secondary_bus = secondary;
        }
        address.is_known = true;
        *out = address;
    }
}

/* All properties at once: each question to the registry is a round trip. NULL: none. */
static CFDictionaryRef properties_of(io_registry_entry_t entry)
{
    CFMutableDictionaryRef properties = NULL;

    if (IORegistryEntryCreateCFProperties(entry, &properties, NULL, 0) != kIOReturnSuccess) {
        return NULL;
    }
    return properties;
}

/* The value of a key, if it has that type; borrowed. */
static CFTypeRef property_of_type(CFDictionaryRef properties, CFStringRef key, CFTypeID type)
{
    CFTypeRef property = properties == NULL ? NULL : CFDictionaryGetValue(properties, key);

    return property != NULL && CFGetTypeID(property) == type ? property : NULL;
}

static void read_address(CFDictionaryRef properties, struct pci_address *out)
{
    char text[64];
    CFStringRef property = property_of_type(properties, CFSTR("pcidebug"), CFStringGetTypeID());

    *out = (struct pci_address){.secondary_bus = NO_BUS};
    if (property != NULL &&
        CFStringGetCString(property, text, sizeof(text), kCFStringEncodingUTF8)) {
        parse_pcidebug(text, out);
    }
}

static void read_address_of(io_registry_entry_t nub, struct pci_address *out)
{
    CFDictionaryRef properties = properties_of(nub);

    read_address(properties, out);
    if (properties != NULL) {
        CFRelease(properties);
    }
}

/* Four bytes, little-endian, of no alignment. */
static bool read_data(CFDictionaryRef properties, CFStringRef key, uint32_t *out)
{
    CFDataRef property = property_of_type(properties, key, CFDataGetTypeID());

    if (property == NULL || CFDataGetLength(property) < 4) {
        return false;
    }
    const UInt8 *bytes = CFDataGetBytePtr(property);
    *out = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return true;
}

static void read_ids(CFDictionaryRef nub, AppleDextInstance *out)
{
    uint32_t vendor = 0, device = 0, class_code = 0, revision = 0;
    uint32_t subsystem_vendor = 0, subsystem = 0;

    if (!read_data(nub, CFSTR("vendor-id"), &vendor) ||
        !read_data(nub, CFSTR("device-id"), &device) ||
        !read_data(nub, CFSTR("class-code"), &class_code) || (vendor & 0xffff) == PCI_ID_NONE) {
        return;
    }
    read_data(nub, CFSTR("revision-id"), &revision);
    read_data(nub, CFSTR("subsystem-vendor-id"), &subsystem_vendor);
    read_data(nub, CFSTR("subsystem-id"), &subsystem);
    out->has_ids = 1;
    out->vendor_id = (uint16_t)vendor;
    out->device_id = (uint16_t)device;
    out->class_code = class_code & PCI_CLASS_MASK;
    out->revision_id = (uint8_t)revision;
    out->subsystem_vendor_id = (uint16_t)subsystem_vendor;
    out->subsystem_id = (uint16_t)subsystem;
}

static io_registry_entry_t parent_of(io_registry_entry_t entry)
{
    io_registry_entry_t parent = IO_OBJECT_NULL;

    if (IORegistryEntryGetParentEntry(entry, service_plane, &parent) != kIOReturnSuccess) {
        return IO_OBJECT_NULL;
    }
    return parent;
}

/* The next PCI function upwards, or nothing. The result is the caller's to release. */
static io_registry_entry_t nub_above(io_registry_entry_t entry)
{
    io_registry_entry_t above = parent_of(entry);

    for (int depth = 0; above != IO_OBJECT_NULL && depth < REGISTRY_DEPTH_MAX; depth++) {
        if (IOObjectConformsTo(above, pci_nub_class)) {
            return above;
        }
        io_registry_entry_t parent = parent_of(above);
        IOObjectRelease(above);
        above = parent;
    }
    if (above != IO_OBJECT_NULL) {
        IOObjectRelease(above);
    }
    return IO_OBJECT_NULL;
}

static void name_of(io_registry_entry_t entry, char name[128])
{
    io_name_t text = {0};

    name[0] = '\0';
    if (entry != IO_OBJECT_NULL && IORegistryEntryGetName(entry, text) == kIOReturnSuccess) {
        memcpy(name, text, sizeof(text));
        name[sizeof(text) - 1] = '\0';
    }
}

/*
 * Put one step before the place. Below a bridge that says which bus is its own, device and function
 * tell the place, and stay when buses are numbered anew; elsewhere the bus is part of it.
 */
static void prepend_step(const struct pci_address *address, int bus_below_parent,
                         char place[PLACE_BYTES])
{
    char step[PLACE_BYTES];

    if (!address->is_known) {
        snprintf(step, sizeof(step), "/?%s", place);
    } else if (bus_below_parent == address->bus) {
        snprintf(step, sizeof(step), "/%02x.%x%s", address->device, address->function, place);
    } else {
        snprintf(step, sizeof(step), "/%02x:%02x.%x%s", address->bus, address->device,
                 address->function, place);
    }
    memcpy(place, step, strlen(step) + 1);
}

/* Climb from the function's nub to the root port; fills root and name. */
static void describe_place(io_registry_entry_t nub, const struct pci_address *nub_address,
                           AppleDextInstance *out)
{
    struct pci_address address = *nub_address;
    io_registry_entry_t entry = nub;
    char place[PLACE_BYTES] = "";

    IOObjectRetain(entry);
    for (int depth = 0; depth < REGISTRY_DEPTH_MAX; depth++) {
        struct pci_address above_address = {.secondary_bus = NO_BUS};
        io_registry_entry_t above = nub_above(entry);

        if (above == IO_OBJECT_NULL) {
            break;
        }
        read_address_of(above, &above_address);
        prepend_step(&address, above_address.secondary_bus, place);
        IOObjectRelease(entry);
        entry = above;
        address = above_address;
    }
    if (place[0] == '\0') { /* no bridge above: the place is under whatever the nub hangs on */
        io_registry_entry_t parent = parent_of(nub);
        prepend_step(&address, NO_BUS, place);
        name_of(parent, out->root);
        IOObjectRelease(parent);
    } else {
        name_of(entry, out->root);
    }
    IOObjectRelease(entry);
    size_t root_bytes = strlen(out->root);
    memcpy(out->name, out->root, root_bytes);
    memcpy(out->name + root_bytes, place, strlen(place) + 1);
}

/* Append one claimant; what does not fit is cut. */
static void add_claimant(CFTypeRef claimant, AppleDextInstance *out)
{
    char text[64] = "?";
    size_t used = strlen(out->claimed_by);

    if (CFGetTypeID(claimant) == CFStringGetTypeID()) {
        CFStringGetCString(claimant, text, sizeof(text), kCFStringEncodingUTF8);
    }
    snprintf(out->claimed_by + used, sizeof(out->claimed_by) - used, "%s%s", used > 0 ? "; " : "",
             text);
}

/* Our host's registry says who holds claims, the real one does not. */
static void read_claims(io_service_t service, AppleDextInstance *out)
{
    CFTypeRef property =
        IORegistryEntryCreateCFProperty(service, CFSTR(DEXT_CLAIMED_BY_KEY), NULL, 0);

    if (property == NULL) {
        return;
    }
    if (CFGetTypeID(property) == CFArrayGetTypeID()) {
        CFIndex count = CFArrayGetCount(property);
        out->has_claims = 1;
        out->claims = (uint32_t)count;
        for (CFIndex i = 0; i < count; i++) {
            add_claimant(CFArrayGetValueAtIndex(property, i), out);
        }
    }
    CFRelease(property);
}

/* Whether it is known to be another function than the one that is looked for. */
static bool is_elsewhere(const struct pci_address *address, const struct client_address *wanted)
{
    return wanted != NULL && address->is_known &&
           (address->bus != wanted->bus || address->device != wanted->device ||
            address->function != wanted->function);
}

static void describe_function(io_registry_entry_t nub, const struct client_address *wanted,
                              AppleDextInstance *out)
{
    CFDictionaryRef properties = properties_of(nub);
    struct pci_address address;

    read_address(properties, &address);
    if (address.is_known) {
        out->has_address = 1;
        out->bus = address.bus;
        out->device = address.device;
        out->function = address.function;
    }
    if (!is_elsewhere(&address, wanted)) {
        read_ids(properties, out);
        describe_place(nub, &address, out);
    }
    if (properties != NULL) {
        CFRelease(properties);
    }
}

void client_pci_describe(io_service_t service, const struct client_address *wanted,
                         AppleDextInstance *out)
{
    io_registry_entry_t nub = nub_above(service);

    *out = (AppleDextInstance){0};
    IORegistryEntryGetRegistryEntryID(service, &out->entry_id);
    if (wanted == NULL) {
        read_claims(service, out);
    }
    if (nub == IO_OBJECT_NULL) {
        nub = parent_of(service);
    }
    if (nub == IO_OBJECT_NULL) {
        return;
    }
    describe_function(nub, wanted, out);
    IOObjectRelease(nub);
}

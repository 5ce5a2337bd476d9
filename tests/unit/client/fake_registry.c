/*
 * A scripted IOKit: the registry, and what a test starts and ends with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <CoreFoundation/CoreFoundation.h>

#include "fake_iokit.h"
#include "fake_watch.h"

enum { ITERATOR = 0x50 };

static unsigned iterator_next;

static struct fake_entry *entry_of(io_object_t object)
{
    unsigned index = object - FAKE_FIRST_ENTRY;

    /* A test may add entries while a watch looks at others. */
    unsigned count = __atomic_load_n(&fake.entry_count, __ATOMIC_ACQUIRE);

    return object >= FAKE_FIRST_ENTRY && index < count ? &fake.entries[index] : NULL;
}

static void log_line(void *opaque, AppleDextLogLevel level, const char *line)
{
    (void)opaque;
    (void)level;
    pthread_mutex_lock(&fake.lock);
    size_t used = strlen(fake.log);
    snprintf(fake.log + used, sizeof(fake.log) - used, "%s\n", line);
    fake.log_lines++;
    pthread_mutex_unlock(&fake.lock);
}

bool fake_log_contains(const char *text)
{
    pthread_mutex_lock(&fake.lock);
    bool is_there = strstr(fake.log, text) != NULL;
    pthread_mutex_unlock(&fake.lock);
    return is_there;
}

int fake_add(struct fake_entry entry)
{
    unsigned index = fake.entry_count;

    fake.entries[index] = entry;
    __atomic_store_n(&fake.entry_count, index + 1, __ATOMIC_RELEASE);
    return (int)index;
}

int fake_add_device(const char *root, const char *pcidebug, uint32_t vendor, uint32_t device)
{
    int port = fake_add(
        (struct fake_entry){.parent = FAKE_NO_PARENT, .class_name = "IOPCIDevice", .name = root});
    int nub = fake_add((struct fake_entry){.parent = port,
                                           .class_name = "IOPCIDevice",
                                           .name = "pci-device",
                                           .pcidebug = pcidebug,
                                           .vendor = vendor,
                                           .device = device,
                                           .class_code = 0x00ff00,
                                           .revision = 0x10});

    return fake_add((struct fake_entry){.parent = nub,
                                        .class_name = "IOUserService",
                                        .name = DEXT_USER_CLASS,
                                        .user_class = DEXT_USER_CLASS});
}

void fake_reset(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

    memset(&fake, 0, sizeof(fake));
    fake.lock = lock;
    fake.changed = changed;
    fake.is_hanging = true;
    fake_start_time();
    fake.config[0] = 0x34;
    fake.config[1] = 0x12;
    fake.config[2] = 0xe8;
    fake.config[3] = 0x11;
    for (unsigned type = 0; type < 8; type++) {
        fake.memory[type].address = 0x10000000u * (type + 1);
        fake.memory[type].bytes = 0x100000;
    }
    fake.memory[DEXT_MEMORY_IRQ_STATE].map_status = kIOReturnBadArgument; /* by calls */
    fake_add_device("pci-bridge0", "1:0:0", 0x1234, 0x11e8);
    apple_dext_set_log_callback(log_line, NULL, APPLE_DEXT_LOG_DEBUG);
}

void fake_check_balance(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    /* A helper that was late, and the last completions, end on threads of their own. */
    for (int i = 0; i < 120000; i++) {
        bool is_balanced = true;
        pthread_mutex_lock(&fake.lock);
        for (unsigned entry = 0; entry < fake.entry_count; entry++) {
            is_balanced = is_balanced && fake.entries[entry].references == 0;
        }
        for (unsigned port = 0; port < fake.ports; port++) {
            is_balanced = is_balanced && !fake.port_is_open[port];
        }
        is_balanced = is_balanced && fake.notification_ports == 0 &&
                      fake.iterator_references == 0 && fake.watch == NULL && fake.interests == 0;
        pthread_mutex_unlock(&fake.lock);
        if (is_balanced) {
            return;
        }
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    fail_msg("a handle, a connection or a notification port was leaked");
}

io_connect_t fake_connect(bool is_claimed)
{
    io_connect_t port = apple_dext_connect(1, 0, 0);

    assert_int_not_equal(port, IO_OBJECT_NULL);
    if (is_claimed) {
        assert_int_equal(apple_dext_claim(port), kIOReturnSuccess);
    }
    return port;
}

/* ---- IOKit ---- */

kern_return_t IOServiceGetMatchingServices(mach_port_t mainPort, CFDictionaryRef matching,
                                           io_iterator_t *existing)
{
    (void)mainPort;
    CFRelease(matching);
    if (fake.search_status != kIOReturnSuccess) {
        return fake.search_status;
    }
    *existing = fake.entry_count > 0 ? ITERATOR : IO_OBJECT_NULL;
    fake.iterator_references += fake.entry_count > 0;
    iterator_next = 0;
    return kIOReturnSuccess;
}

io_object_t IOIteratorNext(io_iterator_t iterator)
{
    io_object_t object = IO_OBJECT_NULL;

    if (iterator != ITERATOR) {
        return fake_watch_next(iterator);
    }
    pthread_mutex_lock(&fake.lock);
    while (iterator == ITERATOR && object == IO_OBJECT_NULL && iterator_next < fake.entry_count) {
        struct fake_entry *entry = &fake.entries[iterator_next++];
        if (strcmp(entry->class_name, DEXT_SERVICE_CLASS) == 0 && !entry->is_gone) {
            entry->references++;
            object = FAKE_FIRST_ENTRY + iterator_next - 1;
        }
    }
    pthread_mutex_unlock(&fake.lock);
    return object;
}

kern_return_t IOObjectRelease(io_object_t object)
{
    pthread_mutex_lock(&fake.lock);
    if (object == ITERATOR) {
        fake.iterator_references--;
    } else if (entry_of(object) != NULL) {
        entry_of(object)->references--;
    }
    fake_watch_released(object);
    pthread_mutex_unlock(&fake.lock);
    return kIOReturnSuccess;
}

kern_return_t IOObjectRetain(io_object_t object)
{
    pthread_mutex_lock(&fake.lock);
    if (entry_of(object) != NULL) {
        entry_of(object)->references++;
    }
    pthread_mutex_unlock(&fake.lock);
    return kIOReturnSuccess;
}

boolean_t IOObjectConformsTo(io_object_t object, const io_name_t className)
{
    const struct fake_entry *entry = entry_of(object);

    return entry != NULL && strcmp(entry->class_name, className) == 0;
}

kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const io_name_t plane,
                                            io_registry_entry_t *parent)
{
    const struct fake_entry *child = entry_of(entry);

    assert_string_equal(plane, kIOServicePlane);
    *parent = IO_OBJECT_NULL;
    if (child == NULL || child->parent == FAKE_NO_PARENT) {
        return kIOReturnNoDevice;
    }
    *parent = FAKE_FIRST_ENTRY + (io_object_t)child->parent;
    return IOObjectRetain(*parent);
}

kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name)
{
    const struct fake_entry *found = entry_of(entry);

    if (found == NULL || found->name == NULL) {
        return MACH_SEND_INVALID_DEST;
    }
    snprintf(name, sizeof(io_name_t), "%s", found->name);
    return kIOReturnSuccess;
}

kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entryID)
{
    *entryID = UINT64_C(0x100000000) + entry;
    return kIOReturnSuccess;
}

static CFTypeRef text_property(const char *text)
{
    return text == NULL ? NULL : CFStringCreateWithCString(NULL, text, kCFStringEncodingUTF8);
}

static CFTypeRef id_property(const struct fake_entry *entry, uint32_t value)
{
    const UInt8 bytes[4] = {(UInt8)value, (UInt8)(value >> 8), (UInt8)(value >> 16),
                            (UInt8)(value >> 24)};

    if (entry->vendor == 0) {
        return NULL;
    }
    if (entry->ids_are_strings) {
        return text_property("1234");
    }
    return CFDataCreate(NULL, bytes, entry->id_bytes == 0 ? 4 : (CFIndex)entry->id_bytes);
}

static CFTypeRef claims_property(const struct fake_entry *entry)
{
    if (!entry->has_claims) {
        return NULL;
    }
    CFMutableArrayRef claims = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
    for (unsigned i = 0; claims != NULL && entry->claimed_by[i] != NULL; i++) {
        CFTypeRef text = text_property(entry->claimed_by[i]);
        CFArrayAppendValue(claims, text);
        CFRelease(text);
    }
    return claims;
}

static CFTypeRef property_of(const struct fake_entry *found, const char *name)
{
    if (strcmp(name, DEXT_USER_CLASS_KEY) == 0) {
        return text_property(found->user_class);
    }
    if (strcmp(name, DEXT_CLAIMED_BY_KEY) == 0) {
        return claims_property(found);
    }
    if (strcmp(name, "pcidebug") == 0) {
        return text_property(found->pcidebug);
    }
    if (strcmp(name, "vendor-id") == 0) {
        return id_property(found, found->vendor);
    }
    if (strcmp(name, "device-id") == 0) {
        return id_property(found, found->device);
    }
    if (strcmp(name, "class-code") == 0) {
        return id_property(found, found->class_code);
    }
    return strcmp(name, "revision-id") == 0 ? id_property(found, found->revision) : NULL;
}

CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key,
                                          CFAllocatorRef allocator, IOOptionBits options)
{
    const struct fake_entry *found = entry_of(entry);
    char name[64];

    (void)allocator;
    (void)options;
    if (found == NULL || !CFStringGetCString(key, name, sizeof(name), kCFStringEncodingUTF8)) {
        return NULL;
    }
    return property_of(found, name);
}

kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry,
                                                CFMutableDictionaryRef *properties,
                                                CFAllocatorRef allocator, IOOptionBits options)
{
    static const char *const names[] = {DEXT_USER_CLASS_KEY, "pcidebug",   "vendor-id",
                                        "device-id",         "class-code", "revision-id"};
    const struct fake_entry *found = entry_of(entry);

    (void)options;
    if (found == NULL) {
        return kIOReturnBadArgument;
    }
    *properties = CFDictionaryCreateMutable(allocator, 0, &kCFTypeDictionaryKeyCallBacks,
                                            &kCFTypeDictionaryValueCallBacks);
    if (*properties == NULL) {
        return kIOReturnNoMemory;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        CFTypeRef value = property_of(found, names[i]);
        if (value != NULL) {
            CFStringRef key = CFStringCreateWithCString(NULL, names[i], kCFStringEncodingUTF8);
            if (key != NULL) {
                CFDictionarySetValue(*properties, key, value);
                CFRelease(key);
            }
            CFRelease(value);
        }
    }
    return kIOReturnSuccess;
}

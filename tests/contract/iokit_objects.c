/*
 * IOKit itself: handles and references, matching, iterators, the registry, forks: what programs
 * written for Apple's IOKit rely on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <CoreFoundation/CoreFoundation.h>
#include <mach/mach.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0", NULL};

static CFMutableDictionaryRef dext_matching(void)
{
    CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
    CFMutableDictionaryRef properties = CFDictionaryCreateMutable(
        NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
    assert_non_null(matching);
    CFDictionarySetValue(properties, CFSTR("IOUserClass"), CFSTR("VFIOUserPCIDriver"));
    CFDictionarySetValue(matching, CFSTR(kIOPropertyMatchKey), properties);
    CFRelease(properties);
    return matching;
}

static io_service_t a_service(void)
{
    io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, dext_matching());
    assert_int_not_equal(service, IO_OBJECT_NULL);
    return service;
}

static unsigned count_services(CFDictionaryRef matching)
{
    io_iterator_t iterator = 0;
    unsigned count = 0;
    assert_ok(IOServiceGetMatchingServices(kIOMainPortDefault, matching, &iterator));
    for (io_service_t service; (service = IOIteratorNext(iterator)) != 0; count++) {
        IOObjectRelease(service);
    }
    IOObjectRelease(iterator);
    return count;
}

static void one_object_one_name(void **state)
{
    uint64_t id = 0;
    io_service_t one = a_service();
    assert_ok(IORegistryEntryGetRegistryEntryID(one, &id));
    io_service_t two = IOServiceGetMatchingService(0, IORegistryEntryIDMatching(id));
    assert_int_equal(one, two);
    assert_true(IOObjectIsEqualTo(one, two));
    assert_ok(IOObjectRelease(one)); /* one of two references */
    io_name_t name;
    assert_ok(IORegistryEntryGetName(two, name));
    assert_string_equal(name, "VFIOUserPCIDriver");
    assert_ok(IOObjectRetain(two));
    assert_ok(IOObjectRelease(two));
    assert_ok(IORegistryEntryGetName(two, name));
    assert_ok(IOObjectRelease(two));
    assert_status(IORegistryEntryGetName(two, name), MACH_SEND_INVALID_DEST);
}

static void null_and_unknown_handles(void **state)
{
    io_name_t name;
    uint64_t id = 0xa5;
    uint32_t count = 0;
    io_connect_t connect = 0xa5;
    assert_ok(IOObjectRelease(0));
    assert_ok(IOObjectRelease(MACH_PORT_DEAD));
    assert_int_equal(IOIteratorNext(0), 0);
    assert_false(IOIteratorIsValid(0));
    IOIteratorReset(0);
    assert_true(IOObjectIsEqualTo(0, 0));
    assert_status(IORegistryEntryGetName(0, name), MACH_SEND_INVALID_DEST);
    assert_status(IORegistryEntryGetRegistryEntryID(0, &id), MACH_SEND_INVALID_DEST);
    assert_true(id == 0);
    assert_status(IOConnectCallScalarMethod(0, 0, NULL, 0, NULL, &count), MACH_SEND_INVALID_DEST);
    assert_status(IOServiceClose(0), MACH_SEND_INVALID_DEST);
    assert_status(IOServiceOpen(0, mach_task_self(), 0, &connect), MACH_SEND_INVALID_DEST);
    assert_status(IOObjectRelease(0x7ff00ff3), KERN_INVALID_NAME);
    assert_status(IOObjectRetain(0x7ff00ff3), KERN_INVALID_NAME);
}

static void matching_dictionaries_are_consumed(void **state)
{
    io_iterator_t iterator = 0;
    CFMutableDictionaryRef matching = dext_matching();
    CFRetain(matching);
    CFRetain(matching);
    assert_int_equal(CFGetRetainCount(matching), 3);
    IOObjectRelease(IOServiceGetMatchingService(kIOMainPortDefault, matching));
    assert_int_equal(CFGetRetainCount(matching), 2);
    assert_ok(IOServiceGetMatchingServices(kIOMainPortDefault, matching, &iterator));
    IOObjectRelease(iterator);
    assert_int_equal(CFGetRetainCount(matching), 1);
    boolean_t matches = 0;
    io_service_t service = a_service();
    assert_ok(IOServiceMatchPropertyTable(service, matching, &matches));
    assert_true(matches);
    assert_int_equal(CFGetRetainCount(matching), 1); /* this one does not */
    IOObjectRelease(service);
    CFRelease(matching);
    assert_int_equal(IOServiceGetMatchingService(kIOMainPortDefault, NULL), 0);
    assert_status(IOServiceGetMatchingServices(kIOMainPortDefault, NULL, &iterator),
                  kIOReturnBadArgument);
}

static void no_match_is_success_with_iterator_0(void **state)
{
    io_iterator_t iterator = 0xa5;
    assert_ok(IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("NoSuchClass"),
                                           &iterator));
    assert_int_equal(iterator, 0);
    assert_int_equal(IOServiceGetMatchingService(0, IOServiceMatching("NoSuchClass")), 0);
    /* A class of the driver's own, not of the kernel, matches nothing by class. */
    assert_int_equal(IOServiceGetMatchingService(0, IOServiceMatching("VFIOUserPCIDriver")), 0);
}

static void matching_by_class_name_and_property(void **state)
{
    CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
    assert_true(
        CFEqual(CFDictionaryGetValue(matching, CFSTR("IOProviderClass")), CFSTR("IOUserService")));
    CFDictionarySetValue(matching, CFSTR("IOProviderClass"), CFSTR("IOPCIDevice")); /* editable */
    assert_true(count_services(matching) >= 2);
    matching = IOServiceNameMatching("VFIOUserPCIDriver");
    assert_true(
        CFEqual(CFDictionaryGetValue(matching, CFSTR("IONameMatch")), CFSTR("VFIOUserPCIDriver")));
    assert_int_equal(count_services(matching), 2);
    assert_int_equal(count_services(IOServiceMatching("IOUserService")), 2);
    assert_int_equal(count_services(dext_matching()), 2);
    assert_int_equal(count_services(IOServiceNameMatching("pci1234,7e57")), 1);
}

static void iterators_are_snapshots(void **state)
{
    io_iterator_t iterator = 0;
    assert_ok(IOServiceGetMatchingServices(0, dext_matching(), &iterator));
    io_service_t first = IOIteratorNext(iterator);
    io_service_t second = IOIteratorNext(iterator);
    assert_true(first && second && first != second);
    assert_int_equal(IOIteratorNext(iterator), 0);
    assert_int_equal(IOIteratorNext(iterator), 0);
    assert_true(IOIteratorIsValid(iterator));
    IOIteratorReset(iterator);
    io_service_t again = IOIteratorNext(iterator);
    assert_int_equal(again, first);
    IOObjectRelease(again);
    IOObjectRelease(first);
    IOObjectRelease(second);
    IOObjectRelease(iterator);
    assert_int_equal(IOIteratorNext(iterator), 0);
}

static void registry_of_a_function(void **state)
{
    io_registry_entry_t nub = 0;
    io_registry_entry_t up = 0;
    io_name_t text;
    io_string_t path;
    io_service_t service = a_service();
    assert_ok(IOObjectGetClass(service, text));
    assert_string_equal(text, "IOUserService");
    assert_true(IOObjectConformsTo(service, "IOService"));
    assert_false(IOObjectConformsTo(service, "IOPCIDevice"));
    assert_ok(IORegistryEntryGetParentEntry(service, kIOServicePlane, &nub));
    assert_true(IOObjectConformsTo(nub, "IOPCIDevice"));
    assert_ok(IORegistryEntryGetPath(service, kIOServicePlane, path));
    assert_memory_equal(path, "IOService:/", 11);
    CFTypeRef data = IORegistryEntryCreateCFProperty(nub, CFSTR("vendor-id"), NULL, 0);
    assert_true(data && CFGetTypeID(data) == CFDataGetTypeID());
    assert_int_equal(CFDataGetLength(data), 4);
    assert_memory_equal(CFDataGetBytePtr(data), "\x34\x12\0\0", 4);
    CFRelease(data);
    data =
        IORegistryEntrySearchCFProperty(service, kIOServicePlane, CFSTR("pcidebug"), NULL,
                                        kIORegistryIterateRecursively | kIORegistryIterateParents);
    assert_true(data && CFGetTypeID(data) == CFStringGetTypeID());
    CFRelease(data);
    assert_null(IORegistryEntryCreateCFProperty(service, CFSTR("no-such-key"), NULL, 0));
    CFMutableDictionaryRef properties = NULL;
    assert_ok(IORegistryEntryCreateCFProperties(service, &properties, NULL, 0));
    assert_true(CFDictionaryGetValue(properties, CFSTR("IOUserClass")) != NULL);
    CFRelease(properties);
    /* Up to the root, where the answer is "no device" and 0. */
    kern_return_t status = kIOReturnSuccess;
    for (int depth = 0; depth < 32; depth++) {
        status = IORegistryEntryGetParentEntry(nub, kIOServicePlane, &up);
        IOObjectRelease(nub);
        if (status != kIOReturnSuccess) {
            break;
        }
        nub = up;
    }
    assert_status(status, kIOReturnNoDevice);
    assert_int_equal(up, 0);
    IOObjectRelease(service);
}

static void open_checks_its_arguments(void **state)
{
    io_connect_t connect = 0xa5;
    io_service_t service = a_service();
    assert_status(IOServiceOpen(service, mach_task_self(), 1, &connect), kIOReturnUnsupported);
    assert_int_equal(connect, 0);
    assert_status(IOServiceOpen(service, 0x1234, 0, &connect), kIOReturnBadArgument);
    io_connect_t one = 0;
    io_connect_t two = 0;
    assert_ok(IOServiceOpen(service, mach_task_self(), 0, &one));
    assert_ok(IOServiceOpen(service, mach_task_self(), 0, &two));
    assert_int_not_equal(one, two);
    /* A service is no connection, and the other way round. */
    assert_status(IOConnectCallScalarMethod(service, 1, NULL, 0, NULL, NULL), kIOReturnBadArgument);
    io_service_t its_service = 0;
    assert_status(IOConnectGetService(one, &its_service), kIOReturnUnsupported);
    assert_status(IOConnectSetNotificationPort(one, 0, 0, 0), kIOReturnUnsupported);
    assert_ok(IOServiceClose(one));
    assert_status(IOServiceClose(one), MACH_SEND_INVALID_DEST);
    assert_ok(IOConnectCallScalarMethod(two, 1, NULL, 0, NULL, NULL));
    assert_ok(IOServiceClose(two));
    IOObjectRelease(service);
}

static void references_of_a_connection(void **state)
{
    uint64_t out[6];
    uint32_t count = 6;
    io_connect_t connect = 0;
    io_service_t service = a_service();
    assert_ok(IOServiceOpen(service, mach_task_self(), 0, &connect));
    assert_ok(IOConnectAddRef(connect));
    assert_ok(IOConnectRelease(connect));
    assert_ok(IOConnectCallScalarMethod(connect, 0, NULL, 0, out, &count));
    assert_ok(IOConnectRelease(connect)); /* the last one acts as a close */
    assert_status(IOConnectCallScalarMethod(connect, 0, NULL, 0, out, &count),
                  MACH_SEND_INVALID_DEST);
    IOObjectRelease(service);
}

static void page_size_is_asked_at_run_time(void **state)
{
    IOObjectRelease(a_service());
    assert_int_equal(vm_page_size, contract.page_size);
    assert_int_equal(1u << vm_page_shift, contract.page_size);
    assert_true(round_page((vm_size_t)1) == contract.page_size);
}

/* What a child of fork sees: nothing of its parent's. */
static int look_from_child(io_service_t service, io_connect_t connect)
{
    uint64_t out[6];
    uint32_t count = 6;
    io_name_t name;
    if (IORegistryEntryGetName(service, name) != MACH_SEND_INVALID_DEST) {
        return 1;
    }
    if (IOConnectCallScalarMethod(connect, 0, NULL, 0, out, &count) != MACH_SEND_INVALID_DEST) {
        return 2;
    }
    if (!contract.is_remote) {
        return 0; /* an embedded host is the parent's */
    }
    io_service_t own = IOServiceGetMatchingService(0, dext_matching());
    io_connect_t own_connect = 0;
    if (!own || IOServiceOpen(own, mach_task_self(), 0, &own_connect) != kIOReturnSuccess) {
        return 3;
    }
    if (IOConnectCallScalarMethod(own_connect, 0, NULL, 0, out, &count) != kIOReturnSuccess) {
        return 4;
    }
    IOServiceClose(own_connect);
    IOObjectRelease(own);
    return 0;
}

static void handles_do_not_survive_a_fork(void **state)
{
    uint64_t out[6];
    uint32_t count = 6;
    io_connect_t connect = 0;
    io_service_t service = a_service();
    assert_ok(IOServiceOpen(service, mach_task_self(), 0, &connect));
    pid_t child = fork();
    if (child == 0) {
        _exit(look_from_child(service, connect));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The parent's are as before. */
    assert_ok(IOConnectCallScalarMethod(connect, 0, NULL, 0, out, &count));
    assert_ok(IOServiceClose(connect));
    IOObjectRelease(service);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(one_object_one_name),
        contract_test(null_and_unknown_handles),
        contract_test(matching_dictionaries_are_consumed),
        contract_test(no_match_is_success_with_iterator_0),
        contract_test(matching_by_class_name_and_property),
        contract_test(iterators_are_snapshots),
        contract_test(registry_of_a_function),
        contract_test(open_checks_its_arguments),
        contract_test(references_of_a_connection),
        contract_test(page_size_is_asked_at_run_time),
        contract_test(handles_do_not_survive_a_fork),
    };
    const struct contract_suite suite = {.name = "iokit_objects",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}

/*
 * A program that uses Apple's interface the way clients do: must compile as C11 and as C++17
 * against our headers, and against Apple's. It is never run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdint.h>
#include <stdio.h>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <dispatch/dispatch.h>
#include <mach/mach.h>

struct client {
    io_connect_t connection;
    IONotificationPortRef port;
    dispatch_queue_t queue;
    dispatch_semaphore_t done;
    mach_vm_address_t address;
    mach_vm_size_t bytes;
};

static void on_completion(void *refcon, IOReturn result, void **args, uint32_t count)
{
    struct client *client = (struct client *)refcon;
    if (result == kIOReturnSuccess && count > 2 && args != NULL) {
        dispatch_semaphore_signal(client->done);
    }
}

static void on_interest(void *refcon, io_service_t service, uint32_t type, void *argument)
{
    if (type == kIOMessageServiceIsTerminated && service != IO_OBJECT_NULL && argument == NULL) {
        dispatch_semaphore_signal(((struct client *)refcon)->done);
    }
}

static void barrier(void *context)
{
    (void)context;
}

static int64_t property_of(io_service_t service)
{
    int64_t value = 0;
    CFTypeRef property =
        IORegistryEntryCreateCFProperty(service, CFSTR("IOUserClass"), kCFAllocatorDefault, 0);
    if (property == NULL) {
        return -1;
    }
    if (CFGetTypeID(property) == CFStringGetTypeID()) {
        value = CFStringCompare((CFStringRef)property, CFSTR("VFIOUserPCIDriver"), 0) ==
                kCFCompareEqualTo;
    } else if (CFGetTypeID(property) == CFNumberGetTypeID()) {
        CFNumberGetValue((CFNumberRef)property, kCFNumberSInt64Type, &value);
    } else if (CFGetTypeID(property) == CFDataGetTypeID()) {
        value = CFDataGetBytePtr((CFDataRef)property)[0];
    }
    CFRelease(property);
    return value;
}

static io_service_t find(void)
{
    io_iterator_t iterator = IO_OBJECT_NULL;
    CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
    CFDictionarySetValue(matching, CFSTR("IOUserServer"), kCFBooleanTrue);
    if (IOServiceGetMatchingServices(kIOMainPortDefault, matching, &iterator) != KERN_SUCCESS) {
        return IO_OBJECT_NULL;
    }
    io_service_t service;
    while ((service = IOIteratorNext(iterator)) != IO_OBJECT_NULL && property_of(service) != 1) {
        IOObjectRelease(service);
    }
    IOObjectRelease(iterator);
    return service;
}

static kern_return_t use(struct client *client, io_service_t service)
{
    uint64_t input[2] = {0, 4}, output[1] = {0};
    uint32_t output_count = 1;
    io_object_t interest = IO_OBJECT_NULL;
    uint64_t reference[kOSAsyncRef64Count] = {0};
    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)on_completion;
    reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)client;
    IONotificationPortSetDispatchQueue(client->port, client->queue);
    IOServiceAddInterestNotification(client->port, service, kIOGeneralInterest, on_interest, client,
                                     &interest);
    IOConnectCallAsyncScalarMethod(client->connection, 15,
                                   IONotificationPortGetMachPort(client->port), reference,
                                   kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
    IOConnectMapMemory64(client->connection, 1, mach_task_self(), &client->address, &client->bytes,
                         kIOMapAnywhere | kIOMapWriteCombineCache);
    kern_return_t result =
        IOConnectCallScalarMethod(client->connection, 8, input, 2, output, &output_count);
    if (result == MACH_SEND_INVALID_DEST || result == MIG_SERVER_DIED) {
        printf("%s\n", mach_error_string(result));
    }
    dispatch_semaphore_wait(client->done,
                            dispatch_time(DISPATCH_TIME_NOW, 5 * (int64_t)NSEC_PER_SEC));
    IOConnectUnmapMemory64(client->connection, 1, mach_task_self(), client->address);
    IOObjectRelease(interest);
    return result;
}

int main(void)
{
    struct client client = {0, NULL, NULL, NULL, 0, round_page((vm_size_t)1)};
    io_service_t service = find();
    if (IOServiceOpen(service, mach_task_self(), 0, &client.connection) != kIOReturnSuccess) {
        return 1;
    }
    client.port = IONotificationPortCreate(kIOMainPortDefault);
    client.queue = dispatch_queue_create("consumer", DISPATCH_QUEUE_SERIAL);
    client.done = dispatch_semaphore_create(0);
    kern_return_t result = use(&client, service);
    IONotificationPortDestroy(client.port);
    dispatch_sync_f(client.queue, NULL, barrier);
    dispatch_release(client.queue);
    dispatch_release(client.done);
    IOServiceClose(client.connection);
    IOObjectRelease(service);
    return result == kIOReturnSuccess ? 0 : 1;
}

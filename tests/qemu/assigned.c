/*
 * An assigned device from attach to detach, and the table of shared connections.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "assigned.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { SHARED_MAX = 8 };

static struct shared {
    struct assigned_address address;
    io_connect_t connection;
    unsigned users; /* 0: a free row */
} table[SHARED_MAX];

static struct shared *find(struct assigned_address address)
{
    for (size_t i = 0; i < SHARED_MAX; i++) {
        if (table[i].users > 0 && table[i].address.bus == address.bus &&
            table[i].address.device == address.device &&
            table[i].address.function == address.function) {
            return &table[i];
        }
    }
    return NULL;
}

bool assigned_table_publish(struct assigned_address address, io_connect_t connection)
{
    if (find(address) != NULL) {
        return false;
    }
    for (size_t i = 0; i < SHARED_MAX; i++) {
        if (table[i].users == 0) {
            table[i] = (struct shared){.address = address, .connection = connection, .users = 1};
            return true;
        }
    }
    return false;
}

io_connect_t assigned_table_get(struct assigned_address address)
{
    struct shared *shared = find(address);

    if (shared == NULL) {
        return IO_OBJECT_NULL;
    }
    shared->users++;
    return shared->connection;
}

void assigned_table_put(struct assigned_address address, io_connect_t connection)
{
    struct shared *shared = find(address);

    if (shared != NULL && shared->connection == connection && --shared->users == 0) {
        apple_dext_disconnect(connection);
    }
}

static int connect_and_claim(struct assigned_address address, io_connect_t *out)
{
    io_connect_t connection = apple_dext_connect(address.bus, address.device, address.function);

    if (connection == IO_OBJECT_NULL) {
        return -ENODEV;
    }
    if (apple_dext_claim(connection) != KERN_SUCCESS) {
        apple_dext_disconnect(connection);
        return -EACCES;
    }
    *out = connection;
    return 0;
}

int assigned_attach(struct assigned_device *device, struct assigned_address address)
{
    int error;

    memset(device, 0, sizeof(*device));
    device->address = address;
    device->wake_fd = -1;
    memset(device->vector_fds, 0xff, sizeof(device->vector_fds));
    error = connect_and_claim(address, &device->connection);
    if (error) {
        return error;
    }
    if (!assigned_table_publish(address, device->connection)) {
        apple_dext_disconnect(device->connection);
        device->connection = IO_OBJECT_NULL;
        return -EBUSY;
    }
    error = assigned_irq_start(device);
    if (error) {
        assigned_detach(device);
    }
    return error;
}

void assigned_detach(struct assigned_device *device)
{
    if (device->connection == IO_OBJECT_NULL) {
        return;
    }
    assigned_irq_stop(device);
    for (uint8_t bar = 0; bar < ASSIGNED_BARS; bar++) {
        assigned_bar_unmap(device, bar);
    }
    assigned_table_put(device->address, device->connection);
    device->connection = IO_OBJECT_NULL;
}

int assigned_reset(struct assigned_device *device)
{
    return apple_dext_reset_device(device->connection) == KERN_SUCCESS ? 0 : -EIO;
}

int assigned_dma_open(struct assigned_dma *dma, struct assigned_address address)
{
    *dma = (struct assigned_dma){.address = address, .is_shared = true};
    dma->connection = assigned_table_get(address);
    if (dma->connection != IO_OBJECT_NULL) {
        return 0;
    }
    dma->is_shared = false;
    return connect_and_claim(address, &dma->connection);
}

void assigned_dma_close(struct assigned_dma *dma)
{
    if (dma->is_shared) {
        assigned_table_put(dma->address, dma->connection);
    } else {
        apple_dext_disconnect(dma->connection);
    }
    dma->connection = IO_OBJECT_NULL;
}

int assigned_dma_map(struct assigned_dma *dma, uint64_t guest, void *memory, uint64_t bytes,
                     uint64_t *bus)
{
    uint64_t bus_bytes = 0;
    kern_return_t status = apple_dext_register_dma(
        dma->connection, guest, (uint64_t)(uintptr_t)memory, bytes, bus, &bus_bytes);

    return status == KERN_SUCCESS && bus_bytes >= bytes ? 0 : -EIO;
}

int assigned_dma_unmap(struct assigned_dma *dma, uint64_t guest)
{
    return apple_dext_unregister_dma(dma->connection, guest) == KERN_SUCCESS ? 0 : -ENOENT;
}

int assigned_dma_check(struct assigned_dma *dma, uint64_t guest, const void *memory, uint64_t bytes)
{
    uint64_t here;
    uint64_t there = 0;
    uint64_t last = bytes - sizeof(here);

    memcpy(&here, (const char *)memory + last, sizeof(here));
    if (apple_dext_probe_dma(dma->connection, guest, last, &there) != KERN_SUCCESS) {
        return -EIO;
    }
    return here == there ? 0 : -EFAULT;
}

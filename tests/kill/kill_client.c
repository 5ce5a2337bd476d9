/*
 * A client that goes as far as it is told, says so, and stays there until somebody kills it.
 *
 * usage: kill_client STEP    one line on stdout for each step it has reached, the last being STEP
 *        kill_client every   through all steps, over and over
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "apple-dext-client.h"

/* testdev, see docs/testdev.md */
#define REGISTER_SCRATCH     0x44
#define REGISTER_TIMER_SPAN  0x10c
#define REGISTER_PERIOD      0x110
#define REGISTER_TIMER       0x11c
#define REGISTER_DESTINATION 0x208
#define REGISTER_LENGTH      0x210
#define REGISTER_PATTERN     0x218
#define REGISTER_STATUS      0x228
#define REGISTER_COMMAND     0x22c
#define COMMAND_FILL         2
#define STATUS_RUNNING       1

#define REGION_COUNT         100
#define REGION_BYTES         16384
#define TARGET_IOVA          UINT64_C(0x100000000)
#define TARGET_BYTES         (UINT64_C(32) << 20)

struct client {
    io_connect_t connection;
    volatile uint32_t *bar;
    unsigned char *memory;
    unsigned char *target;
    AppleDextInterruptNotify *notify;
    pid_t child;
};

static bool is_good(kern_return_t status, const char *what)
{
    if (status != KERN_SUCCESS) {
        fprintf(stderr, "kill_client: %s: %s\n", what, apple_dext_status_text(status));
    }
    return status == KERN_SUCCESS;
}

static bool put(struct client *client, uint64_t offset, uint64_t width, uint64_t value)
{
    return is_good(apple_dext_mmio_write(client->connection, 0, offset, width, value), "register");
}

static bool enter_connected(struct client *client)
{
    client->connection = apple_dext_connect(2, 0, 0);
    return client->connection != IO_OBJECT_NULL;
}

static bool enter_claimed(struct client *client)
{
    return is_good(apple_dext_claim(client->connection), "claim");
}

static bool enter_mapped(struct client *client)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;
    if (!is_good(apple_dext_map_bar(client->connection, 2, &address, &size, &type), "map BAR 2") ||
        !is_good(apple_dext_map_bar(client->connection, 0, &address, &size, &type), "map BAR 0")) {
        return false;
    }
    client->bar = (volatile uint32_t *)(uintptr_t)address;
    return true;
}

static bool stay_mmio(struct client *client)
{
    uint64_t value;
    client->bar[REGISTER_SCRATCH / 4] = client->bar[0];
    return is_good(apple_dext_mmio_read(client->connection, 0, 0, 4, &value), "read") &&
           put(client, REGISTER_SCRATCH, 4, value);
}

static bool enter_dma(struct client *client)
{
    uint64_t address;
    uint64_t length;
    if (!client->memory) {
        client->memory = calloc(REGION_COUNT, REGION_BYTES);
    }
    for (uint64_t i = 0; client->memory && i < REGION_COUNT; i++) {
        uintptr_t at = (uintptr_t)(client->memory + i * REGION_BYTES);
        if (!is_good(apple_dext_register_dma(client->connection, i * REGION_BYTES, at, REGION_BYTES,
                                             &address, &length),
                     "register")) {
            return false;
        }
    }
    return client->memory != NULL;
}

static bool enter_copying(struct client *client)
{
    uint64_t address;
    uint64_t length;
    if (!client->target) {
        client->target = calloc(1, TARGET_BYTES);
    }
    return client->target &&
           is_good(apple_dext_register_dma(client->connection, TARGET_IOVA,
                                           (uintptr_t)client->target, TARGET_BYTES, &address,
                                           &length),
                   "register the target") &&
           put(client, REGISTER_DESTINATION, 8, address) &&
           put(client, REGISTER_LENGTH, 8, TARGET_BYTES) &&
           put(client, REGISTER_PATTERN, 8, UINT64_C(0xdeaddeaddeaddead)) &&
           put(client, REGISTER_COMMAND, 4, COMMAND_FILL);
}

static bool stay_copying(struct client *client)
{
    uint64_t status;
    return is_good(apple_dext_mmio_read(client->connection, 0, REGISTER_STATUS, 4, &status),
                   "status") &&
           (status == STATUS_RUNNING || put(client, REGISTER_COMMAND, 4, COMMAND_FILL));
}

static bool enter_buffer(struct client *client)
{
    uint64_t bus_address;
    uint64_t bus_length;
    mach_vm_address_t address;
    mach_vm_size_t size;
    return is_good(apple_dext_allocate_dma_buffer(client->connection, 1 << 20, 0, &bus_address,
                                                  &bus_length, &address, &size),
                   "buffer");
}

static bool enter_interrupts(struct client *client)
{
    uint32_t vectors;
    return is_good(apple_dext_setup_interrupts(client->connection, &vectors), "interrupts");
}

static void on_interrupt(void *opaque)
{
    struct client *client = opaque;
    uint64_t pending[4];
    apple_dext_read_pending_irqs(client->connection, pending);
    if (client->notify) {
        apple_dext_interrupt_notify_rearm(client->notify);
    }
}

static bool enter_armed(struct client *client)
{
    client->notify = apple_dext_interrupt_notify_create(client->connection, on_interrupt, client);
    return client->notify != NULL;
}

static bool enter_storm(struct client *client)
{
    return put(client, REGISTER_TIMER_SPAN, 4, 32) && put(client, REGISTER_PERIOD, 8, 100000) &&
           put(client, REGISTER_TIMER, 4, 3);
}

static bool stay_reset(struct client *client)
{
    return is_good(apple_dext_reset_device(client->connection), "reset");
}

/* The child does nothing but keep what it has inherited, for a while. */
static bool enter_forked(struct client *client)
{
    client->child = fork();
    if (client->child == 0) {
        alarm(60);
        for (;;) {
            pause();
        }
    }
    return client->child > 0;
}

static bool enter_nothing(struct client *client)
{
    (void)client;
    return true;
}

static bool stay_asleep(struct client *client)
{
    (void)client;
    pause();
    return true;
}

static const struct step {
    const char *name;
    bool (*enter)(struct client *client);
    bool (*stay)(struct client *client);
} steps[] = {
    {"connected", enter_connected, stay_asleep},
    {"claimed", enter_claimed, stay_asleep},
    {"mapped", enter_mapped, stay_asleep},
    {"mmio", enter_nothing, stay_mmio},
    {"dma", enter_dma, stay_asleep},
    {"copying", enter_copying, stay_copying},
    {"buffer", enter_buffer, stay_asleep},
    {"interrupts", enter_interrupts, stay_asleep},
    {"armed", enter_armed, stay_asleep},
    {"storm", enter_storm, stay_asleep},
    {"resetting", enter_nothing, stay_reset},
    {"forked", enter_forked, stay_asleep},
};

#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

static int run_to(struct client *client, const char *name)
{
    for (size_t i = 0; i < STEP_COUNT; i++) {
        if (!steps[i].enter(client)) {
            fprintf(stderr, "kill_client: cannot be %s\n", steps[i].name);
            return 1;
        }
        printf("%s %d\n", steps[i].name, (int)client->child);
        fflush(stdout);
        while (strcmp(steps[i].name, name) == 0) {
            if (!steps[i].stay(client)) {
                return 1;
            }
        }
    }
    fprintf(stderr, "kill_client: no step called %s\n", name);
    return 2;
}

/* All steps but the last; those that stay in a loop, once round. */
static int run_through(struct client *client)
{
    for (size_t i = 0; i < STEP_COUNT - 1; i++) {
        if (!steps[i].enter(client) || (steps[i].stay != stay_asleep && !steps[i].stay(client))) {
            fprintf(stderr, "kill_client: cannot be %s\n", steps[i].name);
            return 1;
        }
    }
    AppleDextInterruptNotify *notify = client->notify;
    client->notify = NULL;
    apple_dext_interrupt_notify_destroy(notify);
    apple_dext_disconnect(client->connection);
    return 0;
}

int main(int argc, char **argv)
{
    static struct client client;
    if (argc != 2) {
        fputs("usage: kill_client STEP|every\n", stderr);
        return 2;
    }
    if (strcmp(argv[1], "every") != 0) {
        return run_to(&client, argv[1]);
    }
    puts("every 0");
    fflush(stdout);
    while (run_through(&client) == 0) {
    }
    return 1;
}

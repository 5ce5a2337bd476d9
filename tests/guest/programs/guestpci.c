/*
 * Drives a PCI function by orders from standard input, through sysfs or through vfio-pci.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * usage: guestpci sysfs|vfio DOMAIN:BUS:DEVICE.FUNCTION <ORDERS
 * One order a line; what it finds is printed as one line; the first that fails ends the program.
 * A value `@N` is the bus address of byte N of the buffer.
 *   read WIDTH BAR OFFSET               write WIDTH BAR OFFSET VALUE
 *   until WIDTH BAR OFFSET MASK VALUE   read until it is so, at most 10 s
 *   buffer BYTES IOVA                   memory for DMA; with sysfs one huge page, wherever it is
 *   pattern OFFSET BYTES SEED           fill a part of the buffer
 *   compare OFFSET BYTES SEED           that part is as it would be filled
 *   irqs msi|msix COUNT                 an event descriptor a vector (0: off); vfio only
 *   wait VECTOR                         until it has been signalled, at most 10 s; prints how often
 *   quiet VECTOR                        it has not been signalled since
 *   reset
 */
#include "guestpci.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 120000

static int word(struct function *function, const char *text, uint64_t *value)
{
    char *end;
    int is_address = *text == '@';

    *value = strtoull(text + is_address, &end, 0);
    if (end == text + is_address || *end)
        return -EINVAL;
    if (is_address)
        *value += function->bus_address;
    return 0;
}

/* splitmix64, so that every 8 bytes differ from their neighbours */
static uint8_t pattern_byte(uint64_t seed, uint64_t at)
{
    uint64_t z = seed + (at / 8 + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint8_t)((z ^ (z >> 31)) >> (at % 8 * 8));
}

static int order_read(struct function *function, const uint64_t *words)
{
    uint64_t value = 0;
    int error = function->ops->read(function, words, &value);

    if (error == 0)
        printf("0x%llx\n", (unsigned long long)value);
    return error;
}

static int order_write(struct function *function, const uint64_t *words)
{
    return function->ops->write(function, words, words[3]);
}

static int order_until(struct function *function, const uint64_t *words)
{
    uint64_t value = 0;

    for (unsigned int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms++) {
        int error = function->ops->read(function, words, &value);

        if (error || (value & words[3]) == words[4])
            return error;
        usleep(1000);
    }
    fprintf(stderr, "guestpci: still 0x%llx\n", (unsigned long long)value);
    return -ETIMEDOUT;
}

static int order_buffer(struct function *function, const uint64_t *words)
{
    if (function->buffer)
        return -EEXIST;
    return function->ops->make_buffer(function, words[0], words[1]);
}

static int in_buffer(const struct function *function, const uint64_t *words)
{
    return words[0] <= function->buffer_bytes && words[1] <= function->buffer_bytes - words[0];
}

static int order_pattern(struct function *function, const uint64_t *words)
{
    if (!in_buffer(function, words))
        return -ERANGE;
    for (uint64_t i = 0; i < words[1]; i++)
        function->buffer[words[0] + i] = pattern_byte(words[2], i);
    return 0;
}

static int order_compare(struct function *function, const uint64_t *words)
{
    if (!in_buffer(function, words))
        return -ERANGE;
    for (uint64_t i = 0; i < words[1]; i++) {
        if (function->buffer[words[0] + i] != pattern_byte(words[2], i)) {
            fprintf(stderr, "guestpci: differs at byte %llu\n", (unsigned long long)i);
            return -EILSEQ;
        }
    }
    return 0;
}

/* The kind of interrupt is an index of VFIO's: 1 MSI, 2 MSI-X. */
static int order_irqs(struct function *function, const uint64_t *words)
{
    int events[MAX_VECTORS];

    if (words[1] > MAX_VECTORS || !function->ops->set_irqs)
        return -EINVAL;
    for (unsigned int i = 0; i < words[1]; i++) {
        events[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (events[i] < 0)
            return -errno;
    }
    for (unsigned int i = 0; i < function->vector_count; i++)
        close(function->events[i]);
    memcpy(function->events, events, words[1] * sizeof(*events));
    function->vector_count = (unsigned int)words[1];
    return function->ops->set_irqs(function, (unsigned int)words[0]);
}

static int wait_vector(struct function *function, uint64_t vector, int patience_ms)
{
    struct pollfd event = {.events = POLLIN};
    uint64_t count = 0;

    if (vector >= function->vector_count)
        return -EINVAL;
    event.fd = function->events[vector];
    if (poll(&event, 1, patience_ms) <= 0)
        return -ETIMEDOUT;
    if (read(event.fd, &count, sizeof(count)) != sizeof(count))
        return -EIO;
    printf("%llu\n", (unsigned long long)count);
    return 0;
}

static int order_wait(struct function *function, const uint64_t *words)
{
    return wait_vector(function, words[0], PATIENCE_MS);
}

static int order_quiet(struct function *function, const uint64_t *words)
{
    return wait_vector(function, words[0], 50) == -ETIMEDOUT ? 0 : -EALREADY;
}

static int order_reset(struct function *function, const uint64_t *words)
{
    return function->ops->reset(function);
}

static const struct {
    const char *name;
    unsigned int words;
    int (*carry_out)(struct function *function, const uint64_t *words);
} order_table[] = {
    {"read", 3, order_read},     {"write", 4, order_write},     {"until", 5, order_until},
    {"buffer", 2, order_buffer}, {"pattern", 3, order_pattern}, {"compare", 3, order_compare},
    {"irqs", 2, order_irqs},     {"wait", 1, order_wait},       {"quiet", 1, order_quiet},
    {"reset", 0, order_reset},
};

static int carry_out(struct function *function, char *line)
{
    const char *name = strtok(line, " \n"), *text;
    uint64_t words[5];
    unsigned int count = 0;

    if (!name)
        return 0;
    while (count < 5 && (text = strtok(NULL, " \n")) != NULL) {
        if (strcmp(text, "msi") == 0)
            words[count++] = 1;
        else if (strcmp(text, "msix") == 0)
            words[count++] = 2;
        else if (word(function, text, &words[count++]) != 0)
            return -EINVAL;
    }
    for (size_t i = 0; i < sizeof(order_table) / sizeof(*order_table); i++) {
        if (strcmp(name, order_table[i].name) == 0 && count == order_table[i].words)
            return order_table[i].carry_out(function, words);
    }
    return -EINVAL;
}

int main(int argc, char **argv)
{
    static struct function function;
    char line[256], kept[256];
    int error;

    if (argc != 3 || (strcmp(argv[1], "sysfs") != 0 && strcmp(argv[1], "vfio") != 0)) {
        fprintf(stderr, "usage: guestpci sysfs|vfio DOMAIN:BUS:DEVICE.FUNCTION <ORDERS\n");
        return 2;
    }
    function.name = argv[2];
    function.ops = strcmp(argv[1], "vfio") == 0 ? &vfio_ops : &sysfs_ops;
    error = function.ops->open(&function);
    if (error) {
        fprintf(stderr, "guestpci: cannot open %s: %s\n", argv[2], strerror(-error));
        return 1;
    }
    while (fgets(line, sizeof(line), stdin)) {
        strcpy(kept, line);
        error = carry_out(&function, line);
        if (error) {
            fflush(stdout);
            fprintf(stderr, "guestpci: %s: %s\n", strtok(kept, "\n"), strerror(-error));
            return 1;
        }
    }
    return 0;
}

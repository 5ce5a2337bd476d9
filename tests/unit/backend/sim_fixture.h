/*
 * An open simulated fake device for each test, and short ways to reach it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TEST_SIM_FIXTURE_H
#define DEXTLINK_TEST_SIM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "backend/sim.h"
#include "fake_model.h"

/* Of the running test. */
extern struct pci_provider *sim;
extern struct fake_model *fake;

/* cmocka setup: made, opened, Memory Space and Bus Master on as a claim does. */
int sim_setup(void **state);
int sim_setup_polling(void **state); /* a device that watches */
int sim_teardown(void **state);
#define sim_test(test) cmocka_unit_test_setup_teardown(test, sim_setup, sim_teardown)

/* All of these assert success. */
uint32_t config_get(unsigned offset, unsigned width);
void config_set(unsigned offset, unsigned width, uint32_t value);
uint64_t bar_get(unsigned bar, uint64_t offset, unsigned width);
void bar_set(unsigned bar, uint64_t offset, unsigned width, uint64_t value);

/* Have the device do something; returns its result register. */
int device_do(enum fake_operation operation, uint64_t address, uint64_t data);

/* Client memory of 64 bytes, mapped for both directions. */
struct client_memory {
    struct dma_memory memory; /* first */
    uint8_t bytes[64];
    struct dart_mapping *mapping;
};
void client_memory_map(struct client_memory *memory);

/* Interrupts seen, by vector. */
struct seen_interrupts {
    _Atomic int total;
    _Atomic int vectors[256];
};
void count_interrupt(void *context, unsigned vector);

#endif

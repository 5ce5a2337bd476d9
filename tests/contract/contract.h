/*
 * Harness of the contract suite: the same tests against an embedded host and against a dextd of
 * their own, in every configuration.
 *
 * Assertions are for the thread that runs the test; other threads put down what they saw.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_CONTRACT_H
#define DEXTLINK_TESTS_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apple-dext-client.h"
#include "dext-host.h"

struct contract_configuration {
    bool is_remote; /* a dextd, not this process */
    bool is_identity;
    bool is_open; /* access=open */
    uint32_t page_size;
};
extern struct contract_configuration contract;

/* Where the devices are that most executables have: edu 01:00.0, testdev 02:00.0. */
enum { EDU = 0x01, TESTDEV = 0x02 };

struct contract_suite {
    const char *name;
    const char *const *devices; /* specifications, NULL-terminated */
    const struct CMUnitTest *tests;
    size_t count;
    bool has_own_host;    /* the tests start and end hosts themselves */
    const char *patience; /* DEXTLINK_PATIENCE of all processes; NULL: longer than a test lives */
};

/** main of every executable; arguments: embedded|dextd 4096|16384 [identity] [open]
 * [frames]: no call slots. */
int contract_main(int argc, char **argv, const struct contract_suite *suite);

/* A test that must leave nothing behind: no claim, region or byte at the host. */
#define contract_test(function)                                                                    \
    {                                                                                              \
#function, function, contract_before, contract_after, NULL                                 \
    }
/* A test that concerns some configurations only, by the flags below. */
#define contract_test_when(function, when)                                                         \
    {                                                                                              \
#function, function, contract_before, contract_after, (void *)(uintptr_t)(when)            \
    }
enum contract_when {
    WHEN_EMBEDDED = 1,
    WHEN_REMOTE = 2,
    WHEN_NOT_IDENTITY = 4,
    WHEN_4K = 8,
    WHEN_IDENTITY = 16,
};
int contract_before(void **state);
int contract_after(void **state);

/** Host of the configuration, for has_own_host. Asserts. */
void contract_host_start(const char *const *devices);
/** End it in good order, and check that it did. */
void contract_host_end(void);
/** End it without warning: SIGKILL; the embedded one is destroyed. */
void contract_host_kill(void);

/** The embedded host; NULL with a dextd, which offers no such call. */
DextHost *contract_embedded_host(void);

/** Connect to BUS:00.0, with or without a claim. Asserts; closed after the test if not before. */
io_connect_t contract_connect(uint8_t bus);
io_connect_t contract_claimed(uint8_t bus);
void contract_disconnect(io_connect_t connection);

/** Descriptors open in a process (0: this one); -1 when it cannot be told. */
int contract_count_fds(int pid);

/** Whether a condition came true, for which two minutes are enough on any machine. */
bool contract_eventually(bool (*is_true)(void *opaque), void *opaque);

/** Private memory far from what the kernel gives out: parts that are unmapped stay unmapped. */
uint8_t *contract_map_apart(size_t bytes);

void contract_check_status(kern_return_t status, kern_return_t want, const char *what,
                           const char *file, int line);

/* Compare codes; a mismatch shows both in hex. */
#define assert_status(expression, want)                                                            \
    contract_check_status((expression), (want), #expression, __FILE__, __LINE__)
#define assert_ok(expression) assert_status(expression, kIOReturnSuccess)

#endif

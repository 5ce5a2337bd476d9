/*
 * Inside the harness: the dextd it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_CONTRACT_HOST_H
#define DEXTLINK_TESTS_CONTRACT_HOST_H

#include <sys/types.h>

/** Process of the dextd; 0 when there is none. */
pid_t contract_host_pid(void);

#endif

/*
 * Makes a dextctl that waits a tenth of a second for a host to greet, so that tests of hosts that
 * never do need not wait for 10 s.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/greeting.h"

__attribute__((constructor)) static void be_impatient(void)
{
    io_greeting_set_patience_ms(100);
}

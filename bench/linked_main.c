/*
 * A program that is linked with the client library and does nothing: what the library adds to one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stddef.h>

#include "apple-dext-client.h"

/* Without a use of it the linker would leave the library out. */
static void (*const volatile use)(io_connect_t connection) = apple_dext_disconnect;

int main(void)
{
    return use == NULL;
}

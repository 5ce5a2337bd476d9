/*
 * Where liburing was not there when this was built.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plain_io.h"

const char *uring_io_refusal(void)
{
    return "built without liburing";
}

bool uring_io_run(void *context, const struct io_shape *shape, struct io_place *place, double us,
                  struct samples *latencies, struct io_count *count)
{
    return false;
}

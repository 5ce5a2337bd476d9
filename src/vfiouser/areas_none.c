/*
 * A host that gives BARs as pointers only: every access goes through the server.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/areas.h"

size_t vu_areas_find(io_connect_t connection, unsigned bar, struct vu_area areas[VU_MAX_AREAS])
{
    (void)connection;
    (void)bar;
    (void)areas;
    return 0;
}

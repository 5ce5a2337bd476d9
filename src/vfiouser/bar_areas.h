/*
 * Which parts of BARs a peer may map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_BAR_AREAS_H
#define DEXTLINK_VFIOUSER_BAR_AREAS_H

struct vu_device;

/** Fill in the areas of a device's BARs; its BARs and config space are known. */
void vu_bar_areas_find(struct vu_device *device);

/** Unmap and close them. Takes a device that has none. */
void vu_bar_areas_drop(struct vu_device *device);

#endif

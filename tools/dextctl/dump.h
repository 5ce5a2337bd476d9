/*
 * Config space in the text form of lspci -xxxx, which lspci -F and the replay device read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_DUMP_H
#define DEXTLINK_DEXTCTL_DUMP_H

#include <stdio.h>

#include "capability.h"
#include "instance.h"

void dump_print(const AppleDextInstance *instance, const struct config_image *image);
void dump_write(FILE *file, const AppleDextInstance *instance, const struct config_image *image);

#endif

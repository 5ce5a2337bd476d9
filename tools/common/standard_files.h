/*
 * Standard input, output and error, as every program of the project wants them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TOOLS_STANDARD_FILES_H
#define DEXTLINK_TOOLS_STANDARD_FILES_H

/**
 * Occupy those of the descriptors 0 to 2 that the caller closed, so that using them fails as
 * before. First thing in main: else the next file opened gets such a number, and what is printed
 * lands in the memory of a device or on the socket of a host.
 */
void standard_files_occupy(void);

#endif

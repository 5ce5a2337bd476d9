/*
 * Basic types under the name that IOKit headers include.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_LIBKERN_OSTYPES_H
#define DEXTLINK_LIBKERN_OSTYPES_H

#include <MacTypes.h>

typedef unsigned int UInt;
typedef signed int SInt;

#endif

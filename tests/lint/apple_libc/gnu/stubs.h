/*
 * Functions that glibc has in name only: none are used here, and its list is a processor's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

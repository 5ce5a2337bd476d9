/*
 * Names out of pci.ids, by libpci.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "names.h"

#include <pci/pci.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "capability.h"
#include "dextctl.h"
#include "output.h"

/* udev's data base is no other than pci.ids, and libpci 3.9 leaks the access to it. */
#define FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)

static struct pci_access *access_handle;

static void on_error(char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* libpci takes it for granted that this does not return: a pci.ids that is no such file. */
static void on_error(char *format, ...)
{
    char text[160];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    exit(failure(NULL, "cannot read the names of devices: %s", text));
}

static void on_remark(char *format, ...) __attribute__((format(printf, 1, 2)));

static void on_remark(char *format, ...)
{
    (void)format;
}

/* Without pci_init, which would look for devices of this machine. NULL when out of memory. */
static struct pci_access *open_names(void)
{
    if (!access_handle) {
        access_handle = pci_alloc();
        if (access_handle) {
            access_handle->error = on_error;
            access_handle->warning = on_remark;
            access_handle->debug = on_remark;
        }
    }
    return access_handle;
}

const char *names_device(uint16_t vendor_id, uint16_t device_id, char text[NAME_BYTES])
{
    struct pci_access *names = open_names();
    const char *found = NULL;

    if (names) {
        found =
            pci_lookup_name(names, text, NAME_BYTES, PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE | FLAGS,
                            vendor_id, device_id);
        if (!found) {
            found = pci_lookup_name(names, text, NAME_BYTES, PCI_LOOKUP_VENDOR | FLAGS, vendor_id);
        }
    }
    return found;
}

const char *names_class(uint32_t class_code, char text[NAME_BYTES])
{
    struct pci_access *names = open_names();
    const char *found = NULL;

    if (names) {
        found = pci_lookup_name(names, text, NAME_BYTES, PCI_LOOKUP_CLASS | FLAGS, class_code >> 8);
    }
    return found ? found : class_text(class_code);
}

void names_close(void)
{
    if (access_handle) {
        pci_cleanup(access_handle);
        access_handle = NULL;
    }
}

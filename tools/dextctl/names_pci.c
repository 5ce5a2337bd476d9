/*
 * Names out of pci.ids. libpci knows where that is, and reads it where it is compressed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "names.h"

#include <pci/pci.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capability.h"
#include "dextctl.h"
#include "names_text.h"
#include "output.h"

/* udev's data base is no other than pci.ids, and libpci 3.9 leaks the access to it. */
#define FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)

static struct pci_access *access_handle;
static struct names_text plain; /* the same file, where it is a plain one */

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

/* Beside a compressed file, which libpci has a name for, there is often a plain one: it looks for
 * that as well. */
static void open_plain(void)
{
    char path[512];
    const char *name = access_handle->id_file_name;
    int length = name ? (int)strlen(name) : 0;

    if (length > 3 && strcmp(name + length - 3, ".gz") == 0 && access(name, F_OK) != 0) {
        length -= 3;
    }
    if (length > 0 && (size_t)snprintf(path, sizeof(path), "%.*s", length, name) < sizeof(path)) {
        names_text_open(&plain, path);
    }
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
            open_plain();
        }
    }
    return access_handle;
}

const char *names_device(uint16_t vendor_id, uint16_t device_id, char text[NAME_BYTES])
{
    struct pci_access *names = open_names();
    const char *found = NULL;

    if (names && plain.text) {
        return names_text_device(&plain, vendor_id, device_id, text, NAME_BYTES);
    }
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

    if (names && plain.text) {
        found = names_text_class(&plain, (uint16_t)(class_code >> 8), text, NAME_BYTES);
    } else if (names) {
        found = pci_lookup_name(names, text, NAME_BYTES, PCI_LOOKUP_CLASS | FLAGS, class_code >> 8);
    }
    return found ? found : class_text(class_code);
}

void names_close(void)
{
    names_text_close(&plain);
    if (access_handle) {
        pci_cleanup(access_handle);
        access_handle = NULL;
    }
}

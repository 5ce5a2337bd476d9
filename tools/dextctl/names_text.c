/*
 * Lines of pci.ids. At their beginning: "VVVV  name" a vendor, below it "\tDDDD  name" its devices
 * (and "\t\t…" their subsystems); "C CC  name" a class, below it "\tSS  name" its subclasses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "names_text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A piece of the text, or nothing (NULL). */
struct piece {
    const char *start;
    size_t length;
};

bool names_text_open(struct names_text *names, const char *path)
{
    static const char gzip[] = {'\x1f', '\x8b'};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *names = (struct names_text){0};
    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 2) {
        void *text = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (text != MAP_FAILED) {
            *names = (struct names_text){text, (size_t)status.st_size};
        }
    }
    close(fd);
    if (names->text && memcmp(names->text, gzip, sizeof(gzip)) == 0) {
        names_text_close(names);
    }
    return names->text != NULL;
}

void names_text_close(struct names_text *names)
{
    if (names->text) {
        munmap((void *)(uintptr_t)names->text, names->bytes);
    }
    *names = (struct names_text){0};
}

static struct piece rest_of_line(const char *start, const char *end)
{
    const char *line_end = memchr(start, '\n', (size_t)(end - start));
    return (struct piece){start, (size_t)((line_end ? line_end : end) - start)};
}

/* What follows "KEY  " on a line that begins with it. */
static struct piece find_line(struct piece in, const char *key)
{
    size_t length = strlen(key);
    const char *end = in.start + in.length;
    const char *at = in.start;

    while (at && (size_t)(end - at) >= length + 2) {
        if (memcmp(at, key, length) == 0 && at[length] == ' ' && at[length + 1] == ' ') {
            return rest_of_line(at + length + 2, end);
        }
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return (struct piece){0};
}

/* The lines below one, as far as they begin with a tab. */
static struct piece block_below(struct piece in, struct piece line)
{
    const char *end = in.start + in.length;
    const char *start = line.start + line.length;
    const char *at = start;

    while (at && at + 1 < end && (at[1] == '\t' || at[1] == '#')) {
        at = memchr(at + 1, '\n', (size_t)(end - at - 1));
    }
    return (struct piece){start, (size_t)((at ? at : end) - start)};
}

/* The classes are at the end of the file: whoever looks for one need not read the devices. */
static struct piece classes_of(const struct names_text *names)
{
    static const char first[] = "C 00";
    const size_t step = 65536;
    size_t from = names->bytes;

    while (from > 0) {
        from = from > step ? from - step : 0;
        struct piece found =
            find_line((struct piece){names->text + from, names->bytes - from}, first);
        if (found.start) {
            const char *line = found.start - sizeof("C 00  ") + 1;
            return (struct piece){line, names->bytes - (size_t)(line - names->text)};
        }
    }
    return (struct piece){0};
}

const char *names_text_device(const struct names_text *names, uint16_t vendor_id,
                              uint16_t device_id, char *text, size_t size)
{
    const struct piece all = {names->text, names->bytes};
    char key[8];

    snprintf(key, sizeof(key), "%04x", vendor_id);
    struct piece vendor = find_line(all, key);
    if (!vendor.start) {
        return NULL;
    }
    snprintf(key, sizeof(key), "\t%04x", device_id);
    struct piece device = find_line(block_below(all, vendor), key);
    snprintf(text, size, "%.*s%s%.*s", (int)vendor.length, vendor.start, device.start ? " " : "",
             (int)device.length, device.start ? device.start : "");
    return text;
}

const char *names_text_class(const struct names_text *names, uint16_t class_and_subclass,
                             char *text, size_t size)
{
    struct piece classes = classes_of(names);
    char key[8];

    if (!classes.start) {
        return NULL;
    }
    snprintf(key, sizeof(key), "C %02x", class_and_subclass >> 8);
    struct piece class = find_line(classes, key);
    if (!class.start) {
        return NULL;
    }
    snprintf(key, sizeof(key), "\t%02x", class_and_subclass & 0xff);
    struct piece subclass = find_line(block_below(classes, class), key);
    if (subclass.start) {
        snprintf(text, size, "%.*s", (int)subclass.length, subclass.start);
    } else {
        snprintf(text, size, "%.*s [%04x]", (int)class.length, class.start, class_and_subclass);
    }
    return text;
}

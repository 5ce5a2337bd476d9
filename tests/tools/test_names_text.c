/*
 * Unit tests of looking names up in the text of pci.ids.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names_text.h"

static const char ids[] = "# 1002  not a vendor\n"
                          "1002  First Maker\n"
                          "\t1234  Its Device\n"
                          "\t\t1002 5678  A Subsystem\n"
                          "\t\t5678  Not a device\n"
                          "# in between\n"
                          "\tabcd  Another,  with blanks\n"
                          "\n"
                          "1234  Second Maker\n"
                          "12ff  Third Maker\n"
                          "\t0001  Only Device\n"
                          "\n"
                          "C 00  Old Things\n"
                          "\t01  Old Display\n"
                          "C 02  Network\n"
                          "\t00  Ethernet\n"
                          "\t\t01  Not a subclass\n"
                          "C ff  Nothing";

static char path[] = "/tmp/dextctl-names.XXXXXX";

static void write_file(const char *text, size_t bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void check(const char *found, const char *want)
{
    if (want) {
        assert_non_null(found);
        assert_string_equal(found, want);
    } else {
        assert_null(found);
    }
}

static void check_device(const struct names_text *names, unsigned vendor, unsigned device,
                         const char *want)
{
    char text[64];
    check(names_text_device(names, (uint16_t)vendor, (uint16_t)device, text, sizeof(text)), want);
}

static void check_class(const struct names_text *names, unsigned code, const char *want)
{
    char text[64];
    check(names_text_class(names, (uint16_t)code, text, sizeof(text)), want);
}

static void devices_are_found_below_their_vendor(void **state)
{
    struct names_text names;
    (void)state;
    write_file(ids, strlen(ids));
    assert_true(names_text_open(&names, path));
    check_device(&names, 0x1002, 0x1234, "First Maker Its Device");
    check_device(&names, 0x1002, 0xabcd, "First Maker Another,  with blanks");
    check_device(&names, 0x1002, 0x5678, "First Maker");
    check_device(&names, 0x1002, 0x0001, "First Maker"); /* is somebody else's */
    check_device(&names, 0x1234, 0x0001, "Second Maker");
    check_device(&names, 0x12ff, 0x0001, "Third Maker Only Device");
    check_device(&names, 0xdead, 0x0001, NULL);
    names_text_close(&names);
    assert_null(names.text);
}

static void classes_are_found(void **state)
{
    struct names_text names;
    (void)state;
    write_file(ids, strlen(ids));
    assert_true(names_text_open(&names, path));
    check_class(&names, 0x0001, "Old Display");
    check_class(&names, 0x0200, "Ethernet");
    check_class(&names, 0x0201, "Network [0201]");
    check_class(&names, 0xff00, "Nothing [ff00]"); /* the file ends with this line */
    check_class(&names, 0x0300, NULL);
    names_text_close(&names);
}

static void long_names_are_cut(void **state)
{
    struct names_text names;
    char text[12];
    (void)state;
    write_file(ids, strlen(ids));
    assert_true(names_text_open(&names, path));
    assert_string_equal(names_text_device(&names, 0x1002, 0x1234, text, sizeof(text)),
                        "First Maker");
    names_text_close(&names);
}

/* The classes come after more lines than are looked at in one piece. */
static void a_long_file(void **state)
{
    struct names_text names;
    char *text = NULL;
    size_t bytes = 0;
    (void)state;
    FILE *file = open_memstream(&text, &bytes);
    assert_non_null(file);
    fputs("# begins with a remark\n", file);
    for (unsigned vendor = 0x2000; vendor < 0x4000; vendor++) {
        fprintf(file, "%04x  Maker %u\n\t00ff  Device %u\n", vendor, vendor, vendor);
    }
    fputs("C 00  Old Things\n", file);
    for (unsigned class = 1; class < 256; class ++) {
        fprintf(file, "C %02x  Class %u\n", class, class);
        for (unsigned subclass = 0; subclass < 100; subclass++) {
            fprintf(file, "\t%02x  Subclass %u\n", subclass, subclass);
        }
    }
    fclose(file);
    write_file(text, bytes);
    free(text);
    assert_true(names_text_open(&names, path));
    check_device(&names, 0x3fff, 0x00ff, "Maker 16383 Device 16383");
    check_class(&names, 0xff63, "Subclass 99");
    check_class(&names, 0x01ff, "Class 1 [01ff]");
    names_text_close(&names);
}

static void files_that_are_no_pci_ids(void **state)
{
    static const char compressed[] = "\x1f\x8b\x08 and so on";
    static const char odd[] = "\n\n\t\nC 00  \n1002  \n\t1234  \nC \n";
    struct names_text names;
    (void)state;
    assert_false(names_text_open(&names, "/nonexistent"));
    assert_false(names_text_open(&names, "/"));
    write_file("", 0);
    assert_false(names_text_open(&names, path));
    write_file(compressed, sizeof(compressed));
    assert_false(names_text_open(&names, path));
    write_file(odd, strlen(odd));
    assert_true(names_text_open(&names, path));
    check_device(&names, 0x1002, 0x1234, " ");
    check_device(&names, 0x1003, 0x1234, NULL);
    check_class(&names, 0x0000, " [0000]");
    check_class(&names, 0x0100, NULL);
    names_text_close(&names);
    for (size_t bytes = 3; bytes < strlen(ids); bytes++) { /* cut anywhere */
        write_file(ids, bytes);
        assert_true(names_text_open(&names, path));
        char text[64];
        names_text_device(&names, 0x12ff, 0x0001, text, sizeof(text));
        names_text_class(&names, 0x0200, text, sizeof(text));
        names_text_close(&names);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_found_below_their_vendor),
        cmocka_unit_test(classes_are_found),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(a_long_file),
        cmocka_unit_test(files_that_are_no_pci_ids),
    };
    int fd = mkstemp(path);
    if (fd < 0) {
        return 1;
    }
    close(fd);
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return status;
}

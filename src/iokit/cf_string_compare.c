/*
 * Order of CFStrings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_string.h"
#include "iokit/cf_string_encoding.h"

#include <stdint.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static CFComparisonResult order(bool is_less, bool is_greater)
{
    return is_less ? kCFCompareLessThan : is_greater ? kCFCompareGreaterThan : kCFCompareEqualTo;
}

/* Compare the numbers at *a and *b, of any length, and step over them. */
static CFComparisonResult compare_numbers(const char **a, const char **b)
{
    *a += strspn(*a, "0");
    *b += strspn(*b, "0");
    size_t a_digits = strspn(*a, "0123456789");
    size_t b_digits = strspn(*b, "0123456789");
    int by_text = a_digits == b_digits ? memcmp(*a, *b, a_digits) : 0;
    *a += a_digits;
    *b += b_digits;
    return order(a_digits < b_digits || by_text<0, a_digits> b_digits || by_text > 0);
}

static uint32_t fold(uint32_t character, CFStringCompareFlags flags)
{
    bool is_upper = character >= 'A' && character <= 'Z';
    return is_upper && (flags & kCFCompareCaseInsensitive) ? character + ('a' - 'A') : character;
}

/* By UTF-16 units: characters past U+FFFF are surrogates there, below U+E000. */
static CFComparisonResult compare_characters(uint32_t a, uint32_t b)
{
    if (a < 0x10000 || b < 0x10000) {
        a = a < 0x10000 ? a : 0xd800;
        b = b < 0x10000 ? b : 0xd800;
    }
    return order(a<b, a> b);
}

CFComparisonResult CFStringCompare(CFStringRef theString1, CFStringRef theString2,
                                   CFStringCompareFlags compareOptions)
{
    cf_check(theString1, &cf_string_class, __func__);
    cf_check(theString2, &cf_string_class, __func__);
    const char *a = theString1->text, *a_end = a + theString1->bytes;
    const char *b = theString2->text, *b_end = b + theString2->bytes;
    while (a < a_end && b < b_end) {
        CFComparisonResult result;
        if ((compareOptions & kCFCompareNumerically) && is_digit(*a) && is_digit(*b)) {
            result = compare_numbers(&a, &b);
        } else {
            uint32_t a_character = fold(cf_utf8_next(&a), compareOptions);
            uint32_t b_character = fold(cf_utf8_next(&b), compareOptions);
            result = compare_characters(a_character, b_character);
        }
        if (result != kCFCompareEqualTo) {
            return result;
        }
    }
    return order(b < b_end, a < a_end);
}

/*
 * CFSTR: constant strings, one immortal object a text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_string.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/sys/tree.h>

struct constant {
    RB_ENTRY(constant) link;
    char *literal; /* own copy: a literal in an unloaded library would be gone */
    struct __CFString *string;
};

static int compare_constants(struct constant *a, struct constant *b)
{
    return strcmp(a->literal, b->literal);
}

RB_HEAD(constants, constant);
/* RB_GENERATE_STATIC, whose spelling of "may be unused" glibc does not have. */
RB_GENERATE_INTERNAL(constants, constant, link, compare_constants, __attribute__((unused)) static)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct constants constants = RB_INITIALIZER(&constants);

static struct __CFString *make_string(const char *literal)
{
    size_t count = strlen(literal);
    struct __CFString *string =
        cf_object_create(NULL, &cf_string_class, cf_string_room(count, kCFStringEncodingMacRoman));
    if (string == NULL) {
        return NULL;
    }
    /* A literal is UTF-8 or, failing that, MacRoman, in which every byte means something. */
    if (!cf_string_fill(string, literal, count, kCFStringEncodingUTF8)) {
        cf_string_fill(string, literal, count, kCFStringEncodingMacRoman);
    }
    string->base.is_immortal = true;
    return string;
}

static struct constant *make_constant(const char *literal)
{
    struct constant *constant = calloc(1, sizeof(*constant));
    if (constant == NULL) {
        return NULL;
    }
    constant->literal = strdup(literal);
    constant->string = constant->literal != NULL ? make_string(literal) : NULL;
    if (constant->string == NULL) {
        free(constant->literal);
        free(constant);
        return NULL;
    }
    RB_INSERT(constants, &constants, constant);
    return constant;
}

CFStringRef __CFStringMakeConstantString(const char *cStr)
{
    struct constant key = {.literal = (char *)cStr};
    pthread_mutex_lock(&lock);
    struct constant *constant = RB_FIND(constants, &constants, &key);
    if (constant == NULL) {
        constant = make_constant(cStr);
    }
    pthread_mutex_unlock(&lock);
    return constant != NULL ? constant->string : NULL;
}

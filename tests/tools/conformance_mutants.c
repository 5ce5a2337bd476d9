/*
 * A dextctl whose driver is wrong on purpose: IOKit's calls pass through rules here, one set for
 * each conformance test, so that each test can be seen to fail.
 *
 * CONFORMANCE_MUTANTS names a file with a rule a line: the test's name, then one of
 *   code SELECTOR FROM TO NTH     the answer FROM becomes TO
 *   answer SELECTOR INDEX VALUE   a failure becomes success with an output
 *   out SELECTOR INDEX BITS NTH   bits of an output are flipped
 *   set SELECTOR INDEX VALUE NTH  an output is this
 *   count SELECTOR BY             so many outputs fewer
 *   word SELECTOR INDEX BITS NTH  bits of a 64-bit word of the reply's structure are flipped
 *   cut SELECTOR BYTES            so many bytes of the reply's structure fewer
 *   skip SELECTOR NTH             success without the driver
 *   sticky SELECTOR               outputs keep the bits they once had
 *   mute SELECTOR                 to other clients than the first the outputs are 0
 *   map TYPE FROM TO              the answer to a mapping
 *   mapsize TYPE BITS             bits of its size are flipped
 *   private TYPE                  the mapping is memory of nobody else
 *   async FROM TO, wake, deaf     the wait's answer; it completes at once; it never does
 *   open FROM TO                  the answer to opening
 *   foreign, ids, address         the service is of another class; what the registry says is wrong
 * Numbers are hexadecimal. NTH counts calls of that selector within the test that the rule fits, 0
 * is all of them; FROM 1 is every failure, SELECTOR ffff every one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOKitLib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conformance.h"

#define RULES_MAX      256
#define ANY_FAILURE    1
#define ANY_SELECTOR   0xffffu
#define PATIENCE       30.0
#define PATIENCE_WRONG 0.3 /* what is waited for may not come */
#define PRIVATE_BYTES  16384

struct rule {
    char test[64];
    char kind[16];
    uint64_t arguments[4];
    uint64_t seen; /* calls in this test */
    uint64_t sticky[16];
    io_connect_t first; /* the client that called first */
};

static struct rule rules[RULES_MAX];
static size_t rule_count;
static const char *current = "";

kern_return_t __real_IOConnectCallScalarMethod(io_connect_t connection, uint32_t selector,
                                               const uint64_t *in, uint32_t in_count, uint64_t *out,
                                               uint32_t *out_count);
kern_return_t __wrap_IOConnectCallScalarMethod(io_connect_t connection, uint32_t selector,
                                               const uint64_t *in, uint32_t in_count, uint64_t *out,
                                               uint32_t *out_count);
kern_return_t __real_IOConnectCallMethod(io_connect_t connection, uint32_t selector,
                                         const uint64_t *in, uint32_t in_count,
                                         const void *in_structure, size_t in_bytes, uint64_t *out,
                                         uint32_t *out_count, void *out_structure,
                                         size_t *out_bytes);
kern_return_t __wrap_IOConnectCallMethod(io_connect_t connection, uint32_t selector,
                                         const uint64_t *in, uint32_t in_count,
                                         const void *in_structure, size_t in_bytes, uint64_t *out,
                                         uint32_t *out_count, void *out_structure,
                                         size_t *out_bytes);
kern_return_t __real_IOConnectCallAsyncScalarMethod(io_connect_t connection, uint32_t selector,
                                                    mach_port_t port, uint64_t *reference,
                                                    uint32_t reference_count, const uint64_t *in,
                                                    uint32_t in_count, uint64_t *out,
                                                    uint32_t *out_count);
kern_return_t __wrap_IOConnectCallAsyncScalarMethod(io_connect_t connection, uint32_t selector,
                                                    mach_port_t port, uint64_t *reference,
                                                    uint32_t reference_count, const uint64_t *in,
                                                    uint32_t in_count, uint64_t *out,
                                                    uint32_t *out_count);
kern_return_t __real_IOConnectMapMemory64(io_connect_t connection, uint32_t type, task_port_t task,
                                          mach_vm_address_t *address, mach_vm_size_t *size,
                                          IOOptionBits options);
kern_return_t __wrap_IOConnectMapMemory64(io_connect_t connection, uint32_t type, task_port_t task,
                                          mach_vm_address_t *address, mach_vm_size_t *size,
                                          IOOptionBits options);
kern_return_t __real_IOServiceOpen(io_service_t service, task_port_t task, uint32_t type,
                                   io_connect_t *connection);
kern_return_t __wrap_IOServiceOpen(io_service_t service, task_port_t task, uint32_t type,
                                   io_connect_t *connection);
boolean_t __real_IOObjectConformsTo(io_object_t object, const io_name_t name);
boolean_t __wrap_IOObjectConformsTo(io_object_t object, const io_name_t name);
void __real_conformance_run(struct conformance *run, const struct conformance_test *test);
void __wrap_conformance_run(struct conformance *run, const struct conformance_test *test);

static void load_rules(void)
{
    const char *path = getenv("CONFORMANCE_MUTANTS");
    FILE *file = path && rule_count == 0 ? fopen(path, "r") : NULL;
    char line[256];

    while (file && rule_count < RULES_MAX && fgets(line, sizeof(line), file)) {
        struct rule *rule = &rules[rule_count];
        unsigned long long a[4] = {0};
        if (sscanf(line, "%63s %15s %llx %llx %llx %llx", rule->test, rule->kind, &a[0], &a[1],
                   &a[2], &a[3]) >= 2) {
            for (int i = 0; i < 4; i++) {
                rule->arguments[i] = a[i];
            }
            rule_count++;
        }
    }
    if (file) {
        fclose(file);
    }
}

/* The next rule of a kind, or of any, for the test that runs; NULL when there is none. */
static struct rule *next_rule(struct rule *from, const char *kind)
{
    for (struct rule *rule = from ? from + 1 : rules; rule < rules + rule_count; rule++) {
        if (strcmp(rule->test, current) == 0 && (!kind || strcmp(rule->kind, kind) == 0)) {
            return rule;
        }
    }
    return NULL;
}

static bool is_of(const struct rule *rule, uint32_t selector)
{
    return rule->arguments[0] == selector || rule->arguments[0] == ANY_SELECTOR;
}

static bool is_turn(struct rule *rule, uint64_t nth)
{
    rule->seen++;
    return nth == 0 || rule->seen == nth;
}

static void change_code(uint64_t from, uint64_t to, kern_return_t *code)
{
    if (from == ANY_FAILURE ? *code != KERN_SUCCESS : (uint32_t)*code == (uint32_t)from) {
        *code = (kern_return_t)(uint32_t)to;
    }
}

static bool is_skipped(uint32_t selector, uint64_t *out, const uint32_t *out_count)
{
    for (struct rule *rule = NULL; (rule = next_rule(rule, "skip")) != NULL;) {
        if (is_of(rule, selector) && is_turn(rule, rule->arguments[1])) {
            if (out_count) {
                memset(out, 0, *out_count * sizeof(*out));
            }
            return true;
        }
    }
    return false;
}

static void change_outputs(io_connect_t connection, uint32_t selector, uint64_t *out,
                           uint32_t *out_count)
{
    static const char *const kinds[] = {"out", "set", "sticky", "mute", "count"};

    for (int kind = 0; kind < 5; kind++) {
        for (struct rule *rule = NULL; (rule = next_rule(rule, kinds[kind])) != NULL;) {
            const uint64_t *a = rule->arguments;
            if (!is_of(rule, selector) || *out_count == 0) {
                continue;
            }
            rule->first = rule->first ? rule->first : connection;
            if (kind == 0 && is_turn(rule, a[3])) {
                out[a[1]] ^= a[2];
            } else if (kind == 1 && is_turn(rule, a[3])) {
                out[a[1]] = a[2];
            } else if (kind == 2) {
                for (uint32_t i = 0; i < *out_count; i++) {
                    out[i] = rule->sticky[i] |= out[i];
                }
            } else if (kind == 3 && rule->first != connection) {
                memset(out, 0, *out_count * sizeof(*out));
            } else if (kind == 4) {
                *out_count -= (uint32_t)a[1];
            }
        }
    }
}

/* What the rules make of an answer. */
static kern_return_t change_answer(io_connect_t connection, uint32_t selector, uint64_t *out,
                                   uint32_t *out_count, kern_return_t code)
{
    if (code == KERN_SUCCESS && out_count) {
        change_outputs(connection, selector, out, out_count);
    }
    struct rule *answer = next_rule(NULL, "answer");
    if (code != KERN_SUCCESS && answer && is_of(answer, selector)) {
        out[answer->arguments[1]] = answer->arguments[2];
        *out_count = (uint32_t)answer->arguments[1] + 1;
        code = KERN_SUCCESS;
    }
    for (struct rule *rule = NULL; (rule = next_rule(rule, "code")) != NULL;) {
        if (is_of(rule, selector) && is_turn(rule, rule->arguments[3])) {
            change_code(rule->arguments[1], rule->arguments[2], &code);
        }
    }
    return code;
}

kern_return_t __wrap_IOConnectCallScalarMethod(io_connect_t connection, uint32_t selector,
                                               const uint64_t *in, uint32_t in_count, uint64_t *out,
                                               uint32_t *out_count)
{
    if (is_skipped(selector, out, out_count)) {
        return KERN_SUCCESS;
    }
    kern_return_t code =
        __real_IOConnectCallScalarMethod(connection, selector, in, in_count, out, out_count);
    return change_answer(connection, selector, out, out_count, code);
}

static void change_structure(uint32_t selector, uint64_t *words, size_t *bytes)
{
    for (struct rule *rule = NULL; (rule = next_rule(rule, "word")) != NULL;) {
        const uint64_t *a = rule->arguments;
        if (is_of(rule, selector) && is_turn(rule, a[3]) && (a[1] + 1) * sizeof(*words) <= *bytes) {
            words[a[1]] ^= a[2];
        }
    }
    struct rule *cut = next_rule(NULL, "cut");
    if (cut && is_of(cut, selector) && cut->arguments[1] <= *bytes) {
        *bytes -= (size_t)cut->arguments[1];
    }
}

kern_return_t __wrap_IOConnectCallMethod(io_connect_t connection, uint32_t selector,
                                         const uint64_t *in, uint32_t in_count,
                                         const void *in_structure, size_t in_bytes, uint64_t *out,
                                         uint32_t *out_count, void *out_structure,
                                         size_t *out_bytes)
{
    kern_return_t code =
        __real_IOConnectCallMethod(connection, selector, in, in_count, in_structure, in_bytes, out,
                                   out_count, out_structure, out_bytes);
    if (code == KERN_SUCCESS && out_structure) {
        change_structure(selector, out_structure, out_bytes);
    }
    return change_answer(connection, selector, out, out_count, code);
}

kern_return_t __wrap_IOConnectCallAsyncScalarMethod(io_connect_t connection, uint32_t selector,
                                                    mach_port_t port, uint64_t *reference,
                                                    uint32_t reference_count, const uint64_t *in,
                                                    uint32_t in_count, uint64_t *out,
                                                    uint32_t *out_count)
{
    if (next_rule(NULL, "deaf")) {
        return KERN_SUCCESS;
    }
    kern_return_t code = __real_IOConnectCallAsyncScalarMethod(
        connection, selector, port, reference, reference_count, in, in_count, out, out_count);
    if (next_rule(NULL, "wake")) {
        IOAsyncCallback0 completion =
            (IOAsyncCallback0)(uintptr_t)reference[kIOAsyncCalloutFuncIndex];
        completion((void *)(uintptr_t)reference[kIOAsyncCalloutRefconIndex], KERN_SUCCESS);
    }
    struct rule *rule = next_rule(NULL, "async");
    if (rule) {
        change_code(rule->arguments[0], rule->arguments[1], &code);
    }
    return code;
}

kern_return_t __wrap_IOConnectMapMemory64(io_connect_t connection, uint32_t type, task_port_t task,
                                          mach_vm_address_t *address, mach_vm_size_t *size,
                                          IOOptionBits options)
{
    static uint64_t own_page[PRIVATE_BYTES / 8] __attribute__((aligned(PRIVATE_BYTES)));
    kern_return_t code =
        __real_IOConnectMapMemory64(connection, type, task, address, size, options);

    for (struct rule *rule = NULL; (rule = next_rule(rule, "map")) != NULL;) {
        if (is_of(rule, type)) {
            change_code(rule->arguments[1], rule->arguments[2], &code);
        }
    }
    struct rule *rule = next_rule(NULL, "mapsize");
    if (code == KERN_SUCCESS && rule && is_of(rule, type)) {
        *size ^= rule->arguments[1];
    }
    rule = next_rule(NULL, "private");
    if (code == KERN_SUCCESS && rule && is_of(rule, type)) {
        memset(own_page, 0, sizeof(own_page));
        *address = (mach_vm_address_t)(uintptr_t)own_page;
    }
    return code;
}

kern_return_t __wrap_IOServiceOpen(io_service_t service, task_port_t task, uint32_t type,
                                   io_connect_t *connection)
{
    kern_return_t code = __real_IOServiceOpen(service, task, type, connection);
    struct rule *rule = next_rule(NULL, "open");
    if (rule) {
        change_code(rule->arguments[0], rule->arguments[1], &code);
    }
    return code;
}

boolean_t __wrap_IOObjectConformsTo(io_object_t object, const io_name_t name)
{
    return next_rule(NULL, "foreign") ? 0 : __real_IOObjectConformsTo(object, name);
}

void __wrap_conformance_run(struct conformance *run, const struct conformance_test *test)
{
    AppleDextInstance instance = run->instance;

    load_rules();
    current = test->name;
    conformance_patience = next_rule(NULL, NULL) ? PATIENCE_WRONG : PATIENCE;
    run->instance.has_ids = next_rule(NULL, "ids") ? 0 : instance.has_ids;
    run->instance.bus ^= next_rule(NULL, "address") ? 1 : 0;
    __real_conformance_run(run, test);
    run->instance = instance;
    current = "";
}

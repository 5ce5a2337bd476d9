/*
 * What a conformance run prints: TAP or JSON, the same lines for every device and driver, so that
 * two runs can be compared.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>

#include "conformance.h"
#include "instance.h"
#include "output.h"

struct conformance_report {
    bool json;
    json_object *object; /* owned; NULL in TAP */
    json_object *tests;  /* of object */
    unsigned int counts[4];
    unsigned int total;
};

static const char *const outcome_names[] = {"ok", "failed", "known-difference", "skipped"};
static const char *const count_keys[] = {"ok", "failed", "known_differences", "skipped"};

struct conformance_report *conformance_report_begin(const struct conformance *run, bool json,
                                                    enum level level, size_t planned)
{
    struct conformance_report *report = calloc(1, sizeof(*report));
    char address[INSTANCE_TEXT_BYTES];
    char ids[INSTANCE_TEXT_BYTES];

    if (!report) {
        return NULL;
    }
    report->json = json;
    instance_address_text(&run->instance, address);
    instance_ids_text(&run->instance, ids);
    if (json) {
        report->object = json_object_new_object();
        json_add_text(report->object, "address", address);
        json_add_text(report->object, "name", run->instance.name);
        json_add_text(report->object, "ids", ids);
        json_add_text(report->object, "level", conformance_level_names[level]);
        report->tests = json_object_new_array();
        json_object_object_add(report->object, "tests", report->tests);
    } else {
        printf("TAP version 13\n1..%zu\n# device %s at %s\n", planned, ids, address);
    }
    return report;
}

static void add_text_or_null(json_object *object, const char *key, const char *text)
{
    json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

static json_object *test_json(const struct conformance_test *test)
{
    json_object *object = json_object_new_object();

    json_add_text(object, "name", test->name);
    json_add_text(object, "level", conformance_level_names[test->level]);
    json_add_text(object, "row", test->row);
    json_add_text(object, "expected", test->expects);
    add_text_or_null(object, "known_difference", test->known);
    return object;
}

static void add_json(struct conformance_report *report, const struct conformance *run, double ms)
{
    json_object *object = test_json(run->test);

    json_add_text(object, "outcome", outcome_names[run->outcome]);
    json_add_text(object, "seen", run->outcome == OUTCOME_OK ? "as expected" : run->seen);
    json_add_ms(object, "duration_ms", ms);
    json_object_array_add(report->tests, object);
}

/* No value, address or time on a line that is as it should be: those differ from run to run. */
static void print_tap(struct conformance_report *report, const struct conformance *run)
{
    const struct conformance_test *test = run->test;
    unsigned int number = report->total;

    switch (run->outcome) {
    case OUTCOME_OK:
        printf("ok %u - %s\n", number, test->name);
        if (test->known) {
            printf("#   seen: as the software dext: %s\n", test->expects);
        }
        break;
    case OUTCOME_FAILED:
        printf("not ok %u - %s\n#   row %s: %s\n#   seen: %s\n", number, test->name, test->row,
               test->expects, run->seen);
        break;
    case OUTCOME_KNOWN:
        printf("not ok %u - %s # TO" /* a directive of TAP */ "DO known difference: %s\n", number,
               test->name, run->seen);
        printf("#   seen: as the real dext: %s\n", run->seen);
        break;
    case OUTCOME_SKIPPED:
        printf("ok %u - %s # SKIP %s\n", number, test->name, run->seen);
        break;
    }
    fflush(stdout);
}

void conformance_report_add(struct conformance_report *report, const struct conformance *run,
                            double ms)
{
    report->counts[run->outcome]++;
    report->total++;
    if (report->json) {
        add_json(report, run, ms);
    } else {
        print_tap(report, run);
    }
}

unsigned int conformance_report_end(struct conformance_report *report)
{
    unsigned int failed = report->counts[OUTCOME_FAILED];

    if (report->json) {
        for (size_t i = 0; i < sizeof(count_keys) / sizeof(*count_keys); i++) {
            json_add_number(report->object, count_keys[i], report->counts[i]);
        }
        json_print(report->object);
    } else {
        printf("# %u ok, %u failed, %u known differences, %u skipped\n", report->counts[OUTCOME_OK],
               failed, report->counts[OUTCOME_KNOWN], report->counts[OUTCOME_SKIPPED]);
    }
    free(report);
    return failed;
}

static void list_one(const struct conformance_test *test, json_object *array)
{
    if (array) {
        json_object_array_add(array, test_json(test));
    } else {
        printf("%-36s %-11s %-20s %s\n", test->name, conformance_level_names[test->level],
               test->row, test->expects);
    }
}

void conformance_print_list(const struct conformance_group *const *groups, size_t count, bool json,
                            enum level level)
{
    json_object *array = json ? json_object_new_array() : NULL;

    if (!json) {
        printf("%-36s %-11s %-20s %s\n", "TEST", "LEVEL", "ROW", "EXPECTED");
    }
    for (int at = 0; at <= (int)level; at++) {
        for (size_t i = 0; i < count; i++) {
            for (size_t j = 0; j < groups[i]->count; j++) {
                if ((int)groups[i]->tests[j].level == at) {
                    list_one(&groups[i]->tests[j], array);
                }
            }
        }
    }
    if (json) {
        json_print(array);
    }
}

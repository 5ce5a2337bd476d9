/*
 * What the doctor says: a line a step with its findings below, or one JSON object.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "doctor.h"

static const char *const result_texts[] = {"ok", "warning", "failed", "skipped"};
static const char *const result_colours[] = {"\033[32m", "\033[33m", "\033[1;31m", "\033[2m"};
#define COLOUR_NONE "\033[0m"

static void put(struct doctor_step *step, enum doctor_result result, const char *format,
                va_list arguments)
{
    if (step->result == DOCTOR_FAILED && result != DOCTOR_FAILED) {
        return;
    }
    step->result = result;
    vsnprintf(step->text, sizeof(step->text), format, arguments);
}

static void add_finding(struct doctor_step *step, enum doctor_finding finding)
{
    for (size_t i = 0; i < step->finding_count; i++) {
        if (step->findings[i] == finding) {
            return;
        }
    }
    if (step->finding_count < DOCTOR_FINDINGS_MAX) {
        step->findings[step->finding_count++] = finding;
    }
}

void doctor_say(struct doctor_step *step, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put(step, step->result == DOCTOR_WARNING ? DOCTOR_WARNING : DOCTOR_OK, format, arguments);
    va_end(arguments);
}

void doctor_skip(struct doctor_step *step, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put(step, DOCTOR_SKIPPED, format, arguments);
    va_end(arguments);
}

void doctor_warn(struct doctor_step *step, enum doctor_finding finding, const char *format, ...)
{
    va_list arguments;
    add_finding(step, finding);
    va_start(arguments, format);
    put(step, DOCTOR_WARNING, format, arguments);
    va_end(arguments);
}

void doctor_fail(struct doctor_step *step, enum doctor_finding finding, const char *format, ...)
{
    va_list arguments;
    add_finding(step, finding);
    va_start(arguments, format);
    put(step, DOCTOR_FAILED, format, arguments);
    va_end(arguments);
}

bool doctor_report_open(struct doctor_report *report, bool json)
{
    const char *refused = getenv("NO_COLOR");
    *report = (struct doctor_report){.json = json, .start_ms = now_ms()};
    report->colourful = isatty(STDOUT_FILENO) && !(refused && refused[0]);
    report->top = json_object_new_object();
    if (report->top) {
        json_object_object_add(report->top, "devices", json_object_new_array());
    }
    return report->top != NULL;
}

void doctor_report_section(struct doctor_report *report, const AppleDextInstance *instance,
                           const char *title)
{
    report->section = json_object_new_array();
    if (instance) {
        json_object *device = instance_json(instance);
        json_object_object_add(device, "steps", report->section);
        json_object_array_add(json_object_object_get(report->top, "devices"), device);
    } else {
        json_object_object_add(report->top, "host", report->section);
    }
    if (!report->json) {
        printf("%s\n", title);
        output_flush();
    }
}

static json_object *finding_json(enum doctor_finding finding)
{
    json_object *object = json_object_new_object();
    char place[FINDING_PLACE_BYTES];
    json_add_text(object, "id", finding_texts[finding].id);
    json_add_text(object, "cause", finding_texts[finding].cause);
    json_add_text(object, "advice", finding_texts[finding].advice);
    json_add_text(object, "see", finding_place(finding, place));
    return object;
}

static json_object *step_json(const struct doctor_step *step)
{
    json_object *object = json_object_new_object();
    json_object *findings = json_object_new_array();
    json_add_text(object, "step", step->name);
    json_add_text(object, "result", result_texts[step->result]);
    json_add_text(object, "text", step->text);
    json_add_ms(object, "ms", step->ms);
    for (size_t i = 0; i < step->finding_count; i++) {
        json_object_array_add(findings, finding_json(step->findings[i]));
    }
    json_object_object_add(object, "findings", findings);
    return object;
}

static void print_step(const struct doctor_report *report, const struct doctor_step *step)
{
    char place[FINDING_PLACE_BYTES];

    printf("  %s%-8s%s %-13s %s\n", report->colourful ? result_colours[step->result] : "",
           result_texts[step->result], report->colourful ? COLOUR_NONE : "", step->name,
           step->text);
    for (size_t i = 0; i < step->finding_count; i++) {
        const struct finding_text *text = &finding_texts[step->findings[i]];
        printf("             cause: %s\n             do: %s\n             see: %s\n", text->cause,
               text->advice, finding_place(step->findings[i], place));
    }
    output_flush();
}

void doctor_report_step(struct doctor_report *report, const struct doctor_step *step)
{
    report->counts[step->result]++;
    json_object_array_add(report->section, step_json(step));
    if (!report->json) {
        print_step(report, step);
    }
}

int doctor_report_finish(struct doctor_report *report)
{
    double ms = now_ms() - report->start_ms;
    bool failed = report->counts[DOCTOR_FAILED] > 0;

    json_add_text(report->top, "result",
                  failed                           ? "failed"
                  : report->counts[DOCTOR_WARNING] ? "warning"
                                                   : "ok");
    for (int i = 0; i <= DOCTOR_SKIPPED; i++) {
        json_add_number(report->top, result_texts[i], report->counts[i]);
    }
    json_add_ms(report->top, "wall_ms", ms);
    if (report->json) {
        json_print(json_object_get(report->top));
    } else {
        printf("%u ok, %u warnings, %u failed, %u skipped in %.1f ms\n", report->counts[DOCTOR_OK],
               report->counts[DOCTOR_WARNING], report->counts[DOCTOR_FAILED],
               report->counts[DOCTOR_SKIPPED], ms);
    }
    return failed ? STATUS_FAILED : STATUS_OK;
}

void doctor_report_close(struct doctor_report *report)
{
    json_object_put(report->top);
    report->top = report->section = NULL;
}

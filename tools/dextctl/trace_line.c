/*
 * Lines of a hop trace: "SECONDS.NANOSECONDS call=ID HOP TEXT".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define NS_PER_S    UINT64_C(1000000000)
#define ROOM_FIRST  1024
#define CALL_NUMBER UINT32_MAX

static bool parse_time(char **at, uint64_t *time_ns)
{
    char *end;
    if (!isdigit((unsigned char)**at)) {
        return false;
    }
    uint64_t seconds = strtoull(*at, &end, 10);
    if (*end != '.' || seconds > UINT64_MAX / NS_PER_S - 1) {
        return false;
    }
    char *fraction = end + 1;
    uint64_t nanoseconds = strtoull(fraction, &end, 10);
    if (end - fraction != 9 || !isdigit((unsigned char)*fraction) || *end != ' ') {
        return false;
    }
    *time_ns = seconds * NS_PER_S + nanoseconds;
    *at = end + 1;
    return true;
}

static bool parse_call(char **at, uint64_t *call)
{
    static const char key[] = "call=";
    char *end;
    if (strncmp(*at, key, sizeof(key) - 1) != 0 ||
        !isxdigit((unsigned char)(*at)[sizeof(key) - 1])) {
        return false;
    }
    *call = strtoull(*at + sizeof(key) - 1, &end, 16);
    *at = end + 1;
    return *end == ' ';
}

bool trace_line_parse(char *text, struct trace_line *line)
{
    char *at = text;
    *line = (struct trace_line){0};
    if (!parse_time(&at, &line->time_ns) || !parse_call(&at, &line->call)) {
        return false;
    }
    size_t length = strcspn(at, " ");
    if (length == 0 || length >= sizeof(line->hop)) {
        return false;
    }
    memcpy(line->hop, at, length);
    at += length;
    line->text = at + strspn(at, " ");
    return true;
}

uint32_t trace_call_process(uint64_t call)
{
    return (uint32_t)(call >> 32);
}

uint32_t trace_call_number(uint64_t call)
{
    return (uint32_t)(call & CALL_NUMBER);
}

bool trace_hop_is_host(const char *hop)
{
    static const char *const hops[] = {"host", "dext", "provider", "backend", "model", "dart"};
    for (size_t i = 0; i < sizeof(hops) / sizeof(*hops); i++) {
        if (strcmp(hop, hops[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The dext's interface; what is not here is printed by its number. */
const char *trace_selector_name(unsigned long selector, char name[TRACE_NAME_BYTES])
{
    static const char *const names[] = {
        [0] = "GetIdentity",
        [1] = "Claim",
        [2] = "Terminate",
        [3] = "AllocateDMABuffer",
        [4] = "FreeDMABuffer",
        [5] = "RegisterDMARegion",
        [6] = "UnregisterDMARegion",
        [7] = "ProbeDMARegion",
        [8] = "ConfigRead",
        [9] = "ConfigWrite",
        [10] = "GetBARInfo",
        [11] = "MMIORead",
        [12] = "MMIOWrite",
        [13] = "SetupInterrupts",
        [14] = "CheckInterrupt",
        [15] = "WaitInterrupt",
        [16] = "SetIRQMask",
        [17] = "ResetDevice",
        [64] = "GetCapabilities",
        [65] = "RegisterDMARegions",
        [66] = "UnregisterDMARegions",
        [67] = "GetStatistics",
        [68] = "GetDeviceState",
        [69] = "GetCallCounts",
        [70] = "ReadCalls",
        [71] = "ListDMARegions",
        [72] = "GetBARRanges",
        [74] = "RegisterDMASegments",
    };
    const char *known = selector < sizeof(names) / sizeof(*names) ? names[selector] : NULL;
    if (known) {
        snprintf(name, TRACE_NAME_BYTES, "%s", known);
    } else {
        snprintf(name, TRACE_NAME_BYTES, "selector %lu", selector);
    }
    return name;
}

void trace_log_add(struct trace_log *log, const struct trace_line *line)
{
    if (log->count == log->room && log->room < TRACE_LINES_MAX) {
        size_t room = log->room ? 2 * log->room : ROOM_FIRST;
        struct trace_line *lines = realloc(log->lines, room * sizeof(*lines));
        if (lines) {
            log->lines = lines;
            log->room = room;
        }
    }
    char *text = log->count < log->room ? strdup(line->text) : NULL;
    if (!text) {
        log->lost++;
        return;
    }
    log->lines[log->count] = *line;
    log->lines[log->count].order = log->count;
    log->lines[log->count++].text = text;
}

void trace_log_clear(struct trace_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->lines[i].text);
    }
    free(log->lines);
    *log = (struct trace_log){0};
}

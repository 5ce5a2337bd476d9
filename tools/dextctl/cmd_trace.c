/*
 * dextctl trace: follows the calls of devices, or those of a program hop by hop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dextctl.h"
#include "output.h"
#include "trace.h"
#include "trace_device.h"
#include "trace_source.h"

#define LOOK_MS 20 /* how often files that grow are looked at */

struct trace {
    const struct options *options;
    FILE *out;
    struct trace_source sources[TRACE_SOURCES_MAX];
    size_t source_count;
    struct trace_child child;
    bool has_child;
    bool prints; /* each line as it comes */
    bool keeps;  /* for the summary or the file */
    struct trace_log log;
    size_t seen;
    uint64_t origin_ns;
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

static void print_json_line(const struct trace *trace, const struct trace_line *line, double ms)
{
    json_object *object = json_object_new_object();
    json_add_ms(object, "time_ms", ms);
    json_add_number(object, "process", trace_call_process(line->call));
    json_add_number(object, "call", trace_call_number(line->call));
    json_add_text(object, "hop", line->hop);
    json_add_text(object, "text", line->text);
    fprintf(trace->out, "%s\n",
            json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

static void print_line(const struct trace *trace, const struct trace_line *line)
{
    static const char selector[] = "IOConnectCallMethod selector=";
    double ms = ((double)line->time_ns - (double)trace->origin_ns) / 1e6;
    char name[TRACE_NAME_BYTES] = "";
    char *rest = line->text;

    if (trace->options->json) {
        print_json_line(trace, line, ms);
        return;
    }
    if (strncmp(line->text, selector, sizeof(selector) - 1) == 0) {
        trace_selector_name(strtoul(line->text + sizeof(selector) - 1, &rest, 10), name);
    }
    fprintf(trace->out, "%12.3f ms  %" PRIu32 "#%-5" PRIu32 " %-8s %s%s\n", ms,
            trace_call_process(line->call), trace_call_number(line->call), line->hop, name, rest);
}

static void take_line(void *context, char *text)
{
    struct trace *trace = context;
    struct trace_line line;

    if (!trace_line_parse(text, &line)) {
        return;
    }
    if (trace->seen++ == 0) {
        trace->origin_ns = line.time_ns;
    }
    if (trace->prints) {
        print_line(trace, &line);
    }
    if (trace->keeps) {
        trace_log_add(&trace->log, &line);
    }
}

/* Whether any of them may still have more. */
static bool read_all(struct trace *trace)
{
    bool more = false;
    for (size_t i = 0; i < trace->source_count; i++) {
        more = trace_source_read(&trace->sources[i], take_line, trace) || more;
    }
    fflush(trace->out);
    return more;
}

static void follow(struct trace *trace)
{
    const struct options *options = trace->options;
    struct pollfd pipe = {.fd = trace->has_child ? trace->sources[0].fd : -1, .events = POLLIN};
    double end = now_ms() + (options->seconds > 0 ? options->seconds : 1e12) * 1e3;
    bool ended = false;

    while (!ended) {
        ended =
            trace->has_child ? trace_child_ended(&trace->child) : stop_signal || now_ms() >= end;
        if (trace->has_child && stop_signal) {
            kill(trace->child.pid, stop_signal);
            stop_signal = 0;
        }
        bool more = read_all(trace);
        if (!ended) {
            /* a pipe whose writers are gone would always be ready */
            poll(more ? &pipe : NULL, more ? 1 : 0, LOOK_MS);
        }
    }
}

static int open_sources(struct trace *trace, int argc, char **argv)
{
    int status = STATUS_OK;
    if (trace->options->tail) {
        status = trace_child_start(&trace->child, &trace->sources[0], trace->options->tail);
        trace->has_child = status == STATUS_OK;
        trace->source_count += trace->has_child;
    }
    for (int i = 0; i < argc && status == STATUS_OK; i++) {
        status = trace_source_open(&trace->sources[trace->source_count], argv[i], trace->has_child);
        trace->source_count += status == STATUS_OK;
    }
    if (status != STATUS_OK && trace->has_child) {
        kill(trace->child.pid, SIGTERM);
    }
    return status;
}

static int report(struct trace *trace)
{
    const char *path = trace->options->output;
    struct trace_spans spans = {0};
    int status = STATUS_OK;

    if (trace->seen == 0) {
        fputs("dextctl: nothing was traced: no call, or an IOKit that writes no trace (a Mac's)\n",
              stderr);
    }
    if (trace->log.lost) {
        fprintf(stderr, "dextctl: %zu lines beyond the first %zu were not kept\n", trace->log.lost,
                trace->log.count);
    }
    if (trace->keeps && !trace_spans_make(&trace->log, &spans)) {
        return failure(NULL, "out of memory");
    }
    if (trace->options->given & OPTION_SUMMARY) {
        const struct trace_extent extent = {"lines", trace->log.count, trace->log.lost};
        trace_print_summary(trace->out, &extent, &spans, trace->options->json);
    }
    if (path) {
        int error = trace_export(path, &trace->log, &spans);
        status = error ? failure(path, "%s", strerror(-error)) : STATUS_OK;
    }
    trace_spans_clear(&spans);
    return status;
}

/* A terminal's Ctrl-C goes to the program too: it decides. Others are passed on. */
static void catch_signals(bool has_child)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    if (has_child) {
        action.sa_handler = SIG_IGN;
    }
    sigaction(SIGINT, &action, NULL);
}

static int check_usage(const struct options *options, int argc)
{
    if (options->given & (OPTION_RECENT | OPTION_CLIENT)) {
        return usage_error("trace: --recent and --client are for devices");
    }
    if (options->tail && !options->tail[0]) {
        return usage_error("trace: no command behind --");
    }
    if (argc >= TRACE_SOURCES_MAX) {
        return usage_error("trace: at most %d files", TRACE_SOURCES_MAX - 1);
    }
    if (options->tail && (options->given & (OPTION_FOLLOW | OPTION_SECONDS))) {
        return usage_error("trace: --follow and --seconds are for files alone");
    }
    return STATUS_OK;
}

static int run_hops(const struct options *options, int argc, char **argv)
{
    struct trace *trace = calloc(1, sizeof(*trace));
    int status = check_usage(options, argc);

    if (!trace) {
        return failure(NULL, "out of memory");
    }
    trace->options = options;
    trace->out = options->tail ? stderr : stdout; /* the program has stdout */
    trace->keeps = options->output || (options->given & OPTION_SUMMARY);
    trace->prints = !trace->keeps;
    if (status == STATUS_OK) {
        catch_signals(options->tail != NULL);
        status = open_sources(trace, argc, argv);
    }
    if (status == STATUS_OK) {
        if (trace->has_child || (options->given & (OPTION_FOLLOW | OPTION_SECONDS))) {
            follow(trace);
        }
        read_all(trace);
        status = report(trace);
        status =
            status == STATUS_OK && trace->has_child ? trace_child_status(&trace->child) : status;
    }
    for (size_t i = 0; i < trace->source_count; i++) {
        trace_source_close(&trace->sources[i]);
    }
    trace_log_clear(&trace->log);
    free(trace);
    return status;
}

/* Devices, or files and a command; nothing is all devices. */
static int run(const struct options *options, int argc, char **argv)
{
    int devices = 0;
    for (int i = 0; i < argc; i++) {
        devices += trace_is_device(argv[i]);
    }
    if (devices == 0 && (argc > 0 || options->tail)) {
        return run_hops(options, argc, argv);
    }
    if (devices != argc || options->tail) {
        return usage_error("trace: a device goes with neither a file nor a command");
    }
    return trace_devices(options, argc, argv);
}

const struct command command_trace = {
    .name = "trace",
    .summary = "follow the calls of devices, or of a program hop by hop",
    .synopsis = "[ADDRESS]... | [FILE]... [-- COMMAND...]",
    .details =
        "Print the calls that clients make to devices, all there are without an ADDRESS: time,\n"
        "process and number of the client, call with its first inputs, result, how long it\n"
        "took. Any dextd can be looked into, at any time: it keeps the last 1,024 calls of each\n"
        "device. --recent begins with those, and ends behind them without --follow or\n"
        "--seconds; otherwise it goes on with what comes, until Ctrl-C. A line says how many\n"
        "calls were lost where they came too fast.\n"
        "\n"
        "With a COMMAND: run it and print each hop of its calls on stderr: time, process and\n"
        "number of the call, hop, selector with arguments, result. Files are traces that other\n"
        "processes write (DEXTLINK_TRACE=FILE, as for a dextd): beside a command what is added\n"
        "to them meanwhile, alone what they hold, printed on stdout. The call's number is the\n"
        "same in every process. The exit status is the command's, and 128 more than the\n"
        "signal's number that ended it.\n"
        "\n"
        "--summary prints a line for each kind of call at the end instead; --output writes JSON\n"
        "trace events, which the Perfetto UI and chrome://tracing open.\n"
        "\n"
        "The software IOKit, dext and host write all this. The real driver keeps no calls, and\n"
        "Apple's IOKit writes no trace, so on a Mac a command runs but nothing is seen.\n"
        "\n"
        "Examples:\n"
        "  dextctl trace 01:00.0\n"
        "  dextctl trace --recent 01:00.0\n"
        "  dextctl trace --summary --client 1234 --seconds 10\n"
        "  dextctl trace -- dextctl show 01:00.0\n"
        "  dextctl trace --summary -- ./driver\n"
        "  dextctl trace -o trace.json /tmp/dextd.trace -- ./driver\n"
        "  dextctl trace --follow /tmp/dextd.trace\n",
    .accepts = OPTION_JSON | OPTION_SUMMARY | OPTION_OUTPUT | OPTION_FOLLOW | OPTION_SECONDS |
               OPTION_RECENT | OPTION_CLIENT,
    .arguments_max = TRACE_SOURCES_MAX,
    .run = run,
};

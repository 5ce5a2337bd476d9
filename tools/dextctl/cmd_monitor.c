/*
 * dextctl monitor: a full-screen live view of the devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <curses.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "dextctl.h"
#include "monitor.h"
#include "output.h"
#include "session.h"
#include "ticker.h"

#define INTERVAL_S 1.0
#define KEY_MS     50 /* how late a signal or a resize may be seen */
#define KEY_ESCAPE 27

static volatile sig_atomic_t end_signal;

static void on_signal(int number)
{
    end_signal = number;
}

static void catch_signals(void (*handler)(int number))
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    const struct sigaction action = {.sa_handler = handler};
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

struct screen_state {
    struct monitor monitor;
    char lines[MONITOR_LINES_MAX][MONITOR_LINE_BYTES];
    size_t line_count;
    size_t top; /* first line shown */
    double interval_s;
};

/* One row for the title, one for the keys; what is left shows the devices. */
static void draw(struct screen_state *state)
{
    int rows = LINES;
    size_t room = rows > 2 ? (size_t)rows - 2 : 0;

    if (state->top + room > state->line_count) {
        state->top = state->line_count > room ? state->line_count - room : 0;
    }
    erase();
    attron(A_REVERSE);
    mvprintw(0, 0, "%-*.*s", COLS, COLS, "dextctl monitor");
    attroff(A_REVERSE);
    for (size_t i = 0; i < room && state->top + i < state->line_count; i++) {
        const char *line = state->lines[state->top + i];
        bool is_title = line[0] != ' ';
        attrset(is_title ? A_BOLD : A_NORMAL);
        mvaddnstr((int)i + 1, 0, line, COLS);
    }
    attrset(A_NORMAL);
    mvprintw(rows - 1, 0, "%.*s", COLS > 1 ? COLS - 1 : 0,
             state->line_count > room ? "q quit  up/down scroll" : "q quit");
    refresh();
}

static bool is_quit(int key)
{
    return key == 'q' || key == 'Q' || key == KEY_ESCAPE;
}

/* Until the next look is due. false: it is over. */
static bool wait_for_keys(struct screen_state *state, double until_ms)
{
    while (now_ms() < until_ms) {
        double left_ms = until_ms - now_ms();
        timeout(left_ms < 1 ? 1 : left_ms < KEY_MS ? (int)left_ms : KEY_MS);
        int key = getch();
        if (end_signal || is_quit(key)) {
            return false;
        }
        if (key == KEY_DOWN || key == 'j') {
            state->top++;
        } else if ((key == KEY_UP || key == 'k') && state->top > 0) {
            state->top--;
        }
        if (key != ERR) { /* a resize is a key as well */
            draw(state);
        }
    }
    return !end_signal;
}

static kern_return_t show(struct screen_state *state, const struct options *options)
{
    double start_ms = now_ms();
    double end_ms = options->given & OPTION_SECONDS ? start_ms + options->seconds * 1e3 : 1e300;
    kern_return_t code = KERN_SUCCESS;
    bool goes_on = true;

    for (uint64_t looks = 1; goes_on; looks++) {
        code = monitor_look(&state->monitor);
        if (code != KERN_SUCCESS) {
            break;
        }
        state->line_count = monitor_text(&state->monitor, state->lines);
        draw(state);
        double next_ms = start_ms + (double)looks * state->interval_s * 1e3;
        double now = now_ms();
        next_ms = next_ms < now ? now : next_ms; /* slower than wanted: no catching up */
        goes_on = wait_for_keys(state, next_ms < end_ms ? next_ms : end_ms) && now_ms() < end_ms &&
                  !(options->count && looks >= options->count);
    }
    return code;
}

static int run_screen(struct screen_state *state, const struct options *options)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return failure(NULL, "monitor wants a terminal; --json prints without one");
    }
    catch_signals(on_signal); /* before the terminal is changed */
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (!screen) {
        return failure(NULL, "monitor does not know this terminal (TERM); --json needs none");
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    kern_return_t code = show(state, options);
    curs_set(1);
    endwin();
    delscreen(screen);
    return code == KERN_SUCCESS ? STATUS_OK : list_failure(code);
}

static int run_json(struct screen_state *state, const struct options *options)
{
    struct ticker ticker;
    int status = STATUS_OK;

    ticker_begin(&ticker, options, INTERVAL_S);
    while (status == STATUS_OK && ticker_next(&ticker)) {
        kern_return_t code = monitor_look(&state->monitor);
        if (code != KERN_SUCCESS) {
            status = list_failure(code);
        } else {
            json_object *object = monitor_json(&state->monitor);
            json_add_ms(object, "time_ms", ticker_time_ms(&ticker));
            json_print_line(object);
        }
    }
    ticker_end(&ticker);
    return status;
}

static int run(const struct options *options, int argc, char **argv)
{
    struct screen_state *state = calloc(1, sizeof(*state));
    (void)argc;
    (void)argv;
    if (!state) {
        return failure(NULL, "out of memory");
    }
    state->interval_s = options->given & OPTION_INTERVAL ? options->interval : INTERVAL_S;
    int status = options->json ? run_json(state, options) : run_screen(state, options);
    monitor_close(&state->monitor);
    free(state);
    return status;
}

const struct command command_monitor = {
    .name = "monitor",
    .summary = "full-screen live view: calls, interrupts, DMA, faults",
    .synopsis = "",
    .details =
        "Show every device with its state, claims, calls a second by selector, interrupts a\n"
        "second, DMA regions and bytes against the budget, and faults. Devices that come and go\n"
        "do so on the screen. Nothing is claimed and no device is touched; the monitor's own\n"
        "calls are left out. The real dext counts nothing, and the screen says so.\n"
        "\n"
        "q or Ctrl-C ends it, up and down scroll. --json prints an object a line instead.\n"
        "\n"
        "Examples:\n"
        "  dextctl monitor\n"
        "  dextctl monitor --interval 0.2\n"
        "  dextctl monitor --json --count 5 | jq '.devices[].statistics'\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_INTERVAL | OPTION_COUNT | OPTION_SECONDS,
    .run = run,
};

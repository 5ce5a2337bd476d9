"""The goals of speed, and what a run of dextbench says of each.

SPDX-License-Identifier: GPL-2.0-or-later

A goal is one row of GOALS: a new word of dextbench brings its rows. What was not measured is left
out of the table.
"""
from dataclasses import dataclass
from typing import Callable


def find(figures, path):
    """The value at a path of keys and indices, "dextd.dma.shared.rows.-1.batch_1"; KeyError."""
    for key in path.split("."):
        try:
            figures = figures[int(key)] if isinstance(figures, list) else figures[key]
        except IndexError as error:
            raise KeyError(path) from error
    return figures


def p50(path):
    """Of a set of times, in microseconds."""
    return lambda figures: find(figures, path)["p50_us"]


def ratio(ours, floor):
    return lambda figures: p50(ours)(figures) / p50(floor)(figures)


def value(path, scale=1.0):
    return lambda figures: find(figures, path) * scale


def milliseconds(path):
    return lambda figures: p50(path)(figures) / 1e3


@dataclass
class Goal:
    """What is measured, beside what, and how much of it there may be."""

    part: str
    what: str
    floor: str
    limit: float
    unit: str  # "×" for what is a ratio
    of: Callable  # of all figures; KeyError when it was not measured
    at_least: bool = False

    def measured(self, figures):
        """None when it was not."""
        try:
            return self.of(figures)
        except (KeyError, ZeroDivisionError):
            return None

    def is_met(self, measured):
        return measured >= self.limit if self.at_least else measured <= self.limit

    def share(self, measured):
        """Of the limit: up to 1 is met."""
        if self.at_least:
            return self.limit / measured if measured > 0 else float("inf")
        return measured / self.limit


def text_of(number, unit):
    if number == 0:
        digits = "0"
    elif abs(number) < 0.995:
        digits = f"{number:.2g}" if abs(number) >= 0.001 else f"{number:.1g}"
    else:
        digits = f"{number:.3g}" if number < 1000 else f"{number:.0f}"
    return digits + (unit if unit in ("×", "%") else f" {unit}")


def copy(way, size=1 << 20):
    """Speed of the copy engine against memcpy."""
    def of(figures):
        for row in find(figures, DATA + "copies"):
            if (row["way"], row["bytes"]) == (way, size):
                return row["engine_to_memcpy"]
        raise KeyError(way)
    return of


SHARED = "dextd.dma.shared."
DATA = "dextd.data."
GOALS = [
    Goal("calls", "config read, busy", "handoff by spinning", 3, "×",
         ratio("dextd.config_read", "dextd.handoff")),
    Goal("calls", "config read, busy", "socket ping-pong", 0.05, "×",
         ratio("dextd.config_read", "dextd.ping_pong")),
    Goal("calls", "config read after 20 ms of silence", "ping-pong as cold", 1.2,
         "×", ratio("dextd.config_read_cold", "dextd.ping_pong_cold")),
    Goal("calls", "calls a second of 4 threads", "those of 1 thread", 1, "×",
         value("dextd.threads_calls_per_s.four_to_one"), at_least=True),
    Goal("calls", "the host's processor time, 100 connections idle", "", 0.5, "%",
         value("dextd.idle.host_cpu_percent")),
    Goal("DMA", "register + unregister, 60,000 live", "the same, 1 live", 1.2, "×",
         ratio(SHARED + "rows.-1.batch_1", SHARED + "rows.0.batch_1")),
    Goal("DMA", "register + unregister, an entry of a batch of 256", "a single call", 0.1, "×",
         ratio(SHARED + "rows.-1.batch_256", SHARED + "rows.-1.batch_1")),
    Goal("DMA", "the host's memory for a live region", "", 128, "bytes",
         value(SHARED + "host_bytes_per_region")),
    Goal("interrupts", "vector fires, to the client's handler", "eventfd wake", 1.3,
         "×", ratio("dextd.interrupts.handler", "dextd.interrupts.eventfd")),
    Goal("interrupts", "vector fires, to a client that polls", "a store seen by who spins", 2, "×",
         ratio("dextd.interrupts.poll", "dextd.interrupts.handoff")),
    Goal("data", "copy engine, 1 MiB of a client's memory to a BAR, speed", "memcpy of the same",
         0.9, "×", copy("to_device"), at_least=True),
    Goal("data", "copy engine, 1 MiB of a BAR to a client's memory, speed", "memcpy of the same",
         0.9, "×", copy("to_memory"), at_least=True),
    Goal("data", "load from a direct BAR", "plain memory", 1.1, "×",
         value(DATA + "direct_load_to_plain")),
    Goal("data", "store to a direct BAR", "plain memory", 1.1, "×",
         value(DATA + "direct_store_to_plain")),
    Goal("data", "load from a trapped BAR", "SIGSEGV + a call", 1.5, "×",
         value(DATA + "trapped_load_to_floor")),
    Goal("data", "store to a trapped BAR", "SIGSEGV + a call", 1.5, "×",
         value(DATA + "trapped_store_to_floor")),
    Goal("vfio-user", "region read, two processors", "socket ping-pong", 1.3, "×",
         ratio("embedded.vfio_user.region_read", "embedded.vfio_user.ping_pong")),
    Goal("vfio-user", "region read, one processor", "socket ping-pong", 1.3, "×",
         ratio("embedded.vfio_user.region_read_together",
               "embedded.vfio_user.ping_pong_together")),
    Goal("vfio-user", "DMA map + unmap, 60,000 live", "the same, 1 live", 1.2, "×",
         ratio("embedded.vfio_user.map_unmap.-1", "embedded.vfio_user.map_unmap.0")),
    Goal("start-up", "`dextd` until it serves 1 device", "", 20, "ms",
         milliseconds("startup.dextd_1")),
    Goal("start-up", "`dextd` until it serves 256 devices", "", 200, "ms",
         milliseconds("startup.dextd_256")),
    Goal("start-up", "`dextctl list`", "", 10, "ms", milliseconds("startup.list")),
    Goal("start-up", "a program with `libappledext`", "the same without, subtracted", 1, "ms",
         value("startup.library_us", 1e-3)),
]


def results(figures):
    """(goal, measured) of what was."""
    for goal in GOALS:
        measured = goal.measured(figures)
        if measured is not None:
            yield goal, measured


def run_line(run):
    text = (f"{run['date']}, commit {run['commit']}: {run['processors']} × {run['processor']}, "
            f"{run['kernel']}, load {run['load_before']} before and {run['load_after']} after.")
    if run["load_before"] > run["processors"] / 2:
        text += ("\n**Taken while the machine was busy with other work: what spins or wakes somebody "
                 "up is mostly noise.**")
    return text


def table(figures):
    """Markdown."""
    lines = [run_line(figures["run"]), "",
             "| part | measured, p50 | against | goal | figure | met |", "|---|---|---|---|---|---|"]
    for goal, measured in results(figures):
        lines.append(f"| {goal.part} | {goal.what} | {goal.floor or '-'} "
                     f"| {'≥' if goal.at_least else '≤'} {text_of(goal.limit, goal.unit)} "
                     f"| {text_of(measured, goal.unit)} "
                     f"| {'yes' if goal.is_met(measured) else '**no**'} |")
    return "\n".join(lines) + "\n"

#!/usr/bin/env python3
"""scripts/bench: goals are judged right, and every picture is drawn, from figures made up here.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import copy
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import lintlib

sys.dont_write_bytecode = True
BENCH = lintlib.ROOT / "scripts" / "bench"
sys.path.insert(0, str(lintlib.ROOT / "bench"))
import goals  # noqa: E402 (found by the line above)
import plots  # noqa: E402


def times(half):
    return {"p50_us": half, "p99_us": half * 5, "p99_9_us": half * 20, "count": 2000,
            "distribution": [[0, half / 2], [50, half], [90, half * 2], [99, half * 5],
                             [99.9, half * 20], [99.99, half * 40], [100, half * 90]]}


def host():
    rows = [{"live": live, "batch_1": times(2), "batch_16": times(0.5), "batch_256": times(0.1),
             "config_read": times(2), "ping_pong": times(60)} for live in (1, 1000, 60000)]
    return {"config_read": times(1), "handoff": times(0.4), "ping_pong": times(30),
            "config_read_cold": times(66), "ping_pong_cold": times(60),
            "threads_calls_per_s": {"one": 1e6, "two": 1.1e6, "four": 0.9e6, "eight": 0.8e6,
                                    "four_connections": 1.2e6, "four_to_one": 0.9},
            "idle": {"connections": 100, "host_cpu_percent": 0.1},
            "dma": {"shared": {"rows": rows, "last_to_first": 1, "host_bytes_per_region": 96}},
            "interrupts": {name: times(us) for name, us in (
                ("handler", 24), ("eventfd", 20), ("futex", 19), ("poll", 0.5), ("handoff", 0.2))},
            "data": {"copies": [{"way": way, "bytes": size, "engine_to_memcpy": 0.8 + size / (1 << 22),
                                 "engine": times(size / 1e4), "memcpy": times(size / 2e4)}
                                for way in ("to_device", "to_memory")
                                for size in (1 << 12, 1 << 16, 1 << 20, 1 << 24)],
                     "direct_load": times(0.001), "plain_load": times(0.001),
                     "direct_load_to_plain": 1.05, "direct_store_to_plain": 1.2,
                     "trapped_load": times(5), "step_over": times(2), "mmio_read": times(2),
                     "trapped_load_to_floor": 1.25, "trapped_store_to_floor": 1.6},
            "nvme": {"rows": [{"memory": times(3), "file": times(4), "plain": times(2),
                               "io_uring": times(2.5)}]},
            "vfio_user": {"region_read": times(33), "ping_pong": times(30), "interrupt": times(40),
                          "region_read_together": times(14), "ping_pong_together": times(10),
                          "map_unmap": [{"live": live, **times(us)} for live, us in (
                              (1, 50), (1000, 51), (60000, 65))]}}


FIGURES = {
    "run": {"date": "2000-01-01 00:00 UTC", "commit": "none", "processor": "none", "processors": 2,
            "kernel": "none", "load_before": 0, "load_after": 0},
    "embedded": host(), "dextd": host(),
    "startup": {"dextd_1": times(4000), "dextd_256": times(240000), "list": times(5000),
                "library_us": 300},
}
# What these figures come to, by hand: what it is against, figure, whether the goal is met.
EXPECTED = [
    ("handoff by spinning", 2.5, True), ("socket ping-pong", 1 / 30, True),
    ("ping-pong as cold", 1.1, True), ("those of 1 thread", 0.9, False), ("", 0.1, True),
    ("the same, 1 live", 1, True), ("a single call", 0.05, True), ("", 96, True),
    ("eventfd wake", 1.2, True), ("a store seen by who spins", 2.5, False),
    ("memcpy of the same", 1.05, True), ("memcpy of the same", 1.05, True),
    ("plain memory", 1.05, True), ("plain memory", 1.2, False),
    ("SIGSEGV + a call", 1.25, True), ("SIGSEGV + a call", 1.6, False),
    ("socket ping-pong", 1.1, True), ("socket ping-pong", 1.4, False),
    ("the same, 1 live", 1.3, False), ("", 4, True),
    ("", 240, False), ("", 5, True), ("the same without, subtracted", 0.3, True)]


def judges():
    found = [(goal.floor, measured, goal.is_met(measured))
             for goal, measured in goals.results(FIGURES)]
    wrong = [f"{one} is not {other}" for one, other in zip(found, EXPECTED)
             if one[0] != other[0] or abs(one[1] - other[1]) > 1e-9 or one[2] != other[2]]
    return len(found) == len(EXPECTED) and not wrong, wrong or [f"{len(found)} goals"]


def leaves_out():
    figures = copy.deepcopy(FIGURES)
    del figures["startup"], figures["dextd"]["interrupts"], figures["dextd"]["data"]["copies"]
    figures["dextd"]["dma"]["shared"]["rows"] = []
    left = [goal.part for goal, _ in goals.results(figures)]
    return left == ["calls"] * 5 + ["DMA"] + ["data"] * 4 + ["vfio-user"] * 3, left


def keeps_apart():
    placed = plots.spread([1.0, 1.1, 5.0, 1.05], 1.0)
    order = sorted(placed, key=placed.get)
    gaps = [placed[b] - placed[a] for a, b in zip(order, order[1:])]
    below = plots.spread([4.9, 5.0, 4.95], 1.0, 5.0)
    return (order == [0, 3, 1, 2] and min(gaps) > 0.99 and abs(placed[2] - 5) < 1e-6
            and max(below.values()) <= 5 and below[0] < below[2] < below[1]), [str(placed), str(below)]


def run(*arguments):
    return subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True, check=False)


def pictures(folder):
    source = folder / "figures.json"
    source.write_text(json.dumps(FIGURES), encoding="utf-8")
    done = run("--from", source, "--output", folder / "out")
    yield (done.returncode == 0 and (folder / "out" / "goals.md").exists(),
           "figures of before are read, the table of goals is left", [done.stderr])
    if not shutil.which("gnuplot"):
        yield True, "pictures are drawn # SKIP gnuplot is not installed", []
        return
    names = [*(f"latency-{name}" for name in plots.DISTRIBUTIONS), "live-regions", "copies",
             "threads", "goals"]
    for name in names:
        svg, png = (folder / "out" / f"{name}.{suffix}" for suffix in ("svg", "png"))
        good = (svg.exists() and "</svg>" in svg.read_text(encoding="utf-8")
                and png.exists() and png.read_bytes()[:4] == b"\x89PNG")
        yield good, f"{name} is drawn as SVG and PNG", []


def points():
    yield (*(judges()[:1]), "each goal is judged by what was measured", judges()[1])
    yield (leaves_out()[0], "what was not measured is left out", leaves_out()[1])
    yield (keeps_apart()[0], "labels are kept apart, in their order", keeps_apart()[1])
    with tempfile.TemporaryDirectory(prefix="dextlink-lint-") as folder:
        yield from pictures(Path(folder))
        bad = run("--build", folder, "callz")
        yield bad.returncode == 2 and "callz" in bad.stderr, "a word that is none is refused", []
        bad = run("--build", folder, "calls")
        yield bad.returncode == 1 and "make build" in bad.stderr, "a build that is not there is named", []


if __name__ == "__main__":
    sys.exit(lintlib.speak_tap(points()))

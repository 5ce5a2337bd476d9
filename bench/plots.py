"""Plots of a run of dextbench, by gnuplot.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import math
import re
import subprocess

import goals

OURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]
FLOORS = ["#444444", "#888888", "#aaaaaa"]
TERMINALS = {"svg": 'svg size 960,600 dynamic background "white" font "{font},15"',
             "png": 'pngcairo size 1440,900 background "white" font "{font},17" linewidth 1.5'}
FONT = "DejaVu Sans"

# What each picture of a distribution shows: (label, path, whether it is a floor).
DISTRIBUTIONS = {
    "calls": ("Config read: round trip of a call while there is traffic", [
        ("through dextd", "dextd.config_read", False),
        ("host in the same process", "embedded.config_read", False),
        ("floor: socket ping-pong", "dextd.ping_pong", True),
        ("floor: handoff by spinning", "dextd.handoff", True)]),
    "calls-cold": ("Config read after 20 ms of silence", [
        ("through dextd", "dextd.config_read_cold", False),
        ("host in the same process", "embedded.config_read_cold", False),
        ("floor: socket ping-pong", "dextd.ping_pong_cold", True)]),
    "data": ("Loads from mapped BARs, through dextd", [
        ("from a trapped BAR", "dextd.data.trapped_load", False),
        ("from a direct BAR", "dextd.data.direct_load", False),
        ("floor: SIGSEGV, stepped over", "dextd.data.step_over", True),
        ("floor: MMIO read, a call", "dextd.data.mmio_read", True),
        ("floor: from plain memory", "dextd.data.plain_load", True)]),
    "dma": ("Register and unregister a DMA region through dextd, 60,000 live", [
        ("single calls", "dextd.dma.shared.rows.-1.batch_1", False),
        ("an entry of a batch of 16", "dextd.dma.shared.rows.-1.batch_16", False),
        ("an entry of a batch of 256", "dextd.dma.shared.rows.-1.batch_256", False),
        ("floor: two config reads", "dextd.dma.shared.rows.-1.config_read", True),
        ("two socket ping-pongs", "dextd.dma.shared.rows.-1.ping_pong", True)]),
    "interrupts": ("From a vector that fires to the client, through dextd", [
        ("the client's handler runs", "dextd.interrupts.handler", False),
        ("a client that polls sees it", "dextd.interrupts.poll", False),
        ("floor: eventfd wake", "dextd.interrupts.eventfd", True),
        ("floor: futex wake", "dextd.interrupts.futex", True),
        ("floor: a store is seen", "dextd.interrupts.handoff", True)]),
    "nvme": ("NVMe, 4 KiB random reads one at a time, through dextd", [
        ("namespace in memory", "dextd.nvme.rows.0.memory", False),
        ("namespace on a file", "dextd.nvme.rows.0.file", False),
        ("floor: pread", "dextd.nvme.rows.0.plain", True),
        ("io_uring", "dextd.nvme.rows.0.io_uring", True)]),
    "vfio-user": ("vfio-user: what a VMM waits for", [
        ("region read, server has the device", "embedded.vfio_user.region_read", False),
        ("the same, all on one processor", "embedded.vfio_user.region_read_together", False),
        ("region read, dextd has it", "dextd.vfio_user.region_read", False),
        ("write that fires, to its eventfd", "embedded.vfio_user.interrupt", False),
        ("floor: socket ping-pong", "embedded.vfio_user.ping_pong", True)]),
}


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def get(figures, path):
    try:
        return goals.find(figures, path)
    except KeyError:
        return None


def draw(folder, name, body, font=FONT):
    """The picture in both formats; body has no terminal and no output."""
    for suffix, terminal in TERMINALS.items():
        script = (f"set terminal {terminal.format(font=font)}\n"
                  f"set output {quoted(str(folder / f'{name}.{suffix}'))}\n{body}\n")
        done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True,
                              check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: gnuplot failed on {name}:\n{done.stderr[-2000:]}")


def head(title, note):
    """What every picture has: a title at the left, the run below it, quiet axes."""
    return "\n".join([
        "set encoding utf8", "set border 3 lc rgb '#666666'", "set tics nomirror out scale 0.6",
        "set grid ytics lc rgb '#e4e4e4' lt 1 lw 0.7", "unset key",
        f"set label 1001 {quoted(title)} at screen 0.025, screen 0.955 left noenhanced "
        f"font '{FONT} Bold'",
        f"set label 1002 {quoted(note)} at screen 0.025, screen 0.905 left noenhanced "
        "tc rgb '#777777' font ',12'",
        "set tmargin screen 0.85", ""])


def note_of(figures):
    run = figures["run"]
    return (f"dextbench, {run['date']}, {run['processors']} × {run['processor']}, "
            f"load {run['load_before']}")


def nines(percent):
    """0 at 0 %, 1 at 90 %, 2 at 99 %, …: the tail gets the room it deserves."""
    return -math.log10(1 - percent / 100)


def points_of(times):
    """(nines, us) up to what so many samples can tell."""
    most = 1 - 1 / max(times["count"], 2)
    return [(nines(percent), max(us, 1e-4)) for percent, us in times["distribution"]
            if percent / 100 <= most]


def time_text(us):
    if us >= 1000:
        return f"{us / 1000:.3g} ms"
    return f"{us:.3g} µs" if us >= 1 else f"{us * 1000:.3g} ns"


def time_tics(low, high):
    """Tics of a logarithmic axis of microseconds, in the unit that people would say."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if high / low < 300 else (1,)
    places = [step * 10.0 ** power for power in range(first, last + 1) for step in steps]
    return ", ".join(f"{quoted(time_text(place))} {place:g}" for place in places)


def rate_tics(low, high):
    """Of a logarithmic axis of thousands a second."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    texts = {power: f"{10.0 ** power:g} k/s" if power < 3 else f"{10.0 ** (power - 3):g} M/s"
             for power in powers}
    return ", ".join(f"{quoted(text)} {10.0 ** power:g}" for power, text in texts.items())


def spread(heights, gap, top=math.inf):
    """Heights in their order, moved about as little as it takes to be gap apart and below top."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = [heights[index] for index in order]
    for _ in range(100):
        for i in range(1, len(placed)):
            lack = gap - (placed[i] - placed[i - 1])
            if lack > 1e-9:
                placed[i - 1] -= lack / 2
                placed[i] += lack / 2
        placed[-1] = min(placed[-1], top)
    return {index: height for index, height in zip(order, placed)}


def style(index, is_floor, floor_index):
    if is_floor:
        return FLOORS[floor_index % len(FLOORS)], "dt (9,5) lw 2"
    return OURS[index % len(OURS)], "lw 3"


def styled(series):
    """(colour, dashes and width) of each (…, is_floor)."""
    ours = floors = 0
    for *_, is_floor in series:
        yield style(ours, is_floor, floors)
        ours, floors = ours + (not is_floor), floors + is_floor


def draw_lines(folder, name, title, note, series, axes, low, high, tics=time_tics):
    """series: (label, [(x, us)], is_floor), each with its name at the right end."""
    low, high = low / 1.5, high * 1.5
    ends = [math.log10(points[-1][1]) for _, points, _ in series]
    lines_each = 1 + max(label.count("\n") for label, _, _ in series)
    gap = (math.log10(high) - math.log10(low)) / 19 * lines_each
    heights = spread(ends, gap, math.log10(high) - gap / 4)
    right = max(points[-1][0] for _, points, _ in series)
    lines = [head(title, note), axes, "set logscale y", f"set yrange [{low:g}:{high:g}]",
             f"set ytics ({tics(low, high)})", "set rmargin screen 0.70",
             "set lmargin screen 0.10", "set bmargin screen 0.13"]
    plots = []
    for number, ((label, points, _), (colour, look)) in enumerate(zip(series, styled(series))):
        lines += [f"$s{number} << END", *(f"{x:g} {y:g}" for x, y in points), "END"]
        plots.append(f"$s{number} using 1:2 with lines lc rgb '{colour}' {look}")
        lines.append(f"set label {number + 1} {quoted(label)} at {right:g}, {10 ** heights[number]:g} "
                     f"left offset 1,0 noenhanced tc rgb '{colour}'")
    draw(folder, name, "\n".join([*lines, "plot " + ", ".join(plots)]))


def draw_distribution(figures, folder, name):
    title, wanted = DISTRIBUTIONS[name]
    series = []
    for label, path, is_floor in wanted:
        times = get(figures, path)
        if times and times.get("distribution"):
            half = time_text(times["p50_us"])
            series.append((f"{label}\np50 {half}", points_of(times), is_floor))
    if not series:
        return
    right = max(points[-1][0] for _, points, _ in series)
    tics = ", ".join(f'"{percent} %%" {nines(percent):g}' for percent in (0, 50, 90, 99, 99.9, 99.99))
    everything = [us for _, points, _ in series for _, us in points]
    axes = (f"set xrange [0:{right:g}]\nset xtics ({tics})\n"
            "set grid xtics lc rgb '#e4e4e4' lt 1 lw 0.7\n"
            "set xlabel 'so many are at most as long'")
    draw_lines(folder, f"latency-{name}", title, note_of(figures), series, axes,
               min(everything), max(everything))


def draw_live(figures, folder):
    """What a region costs with more and more that live."""
    series = []
    for label, path, key, is_floor in (
            ("single calls, dextd", "dextd.dma.shared.rows", "batch_1", False),
            ("an entry of 256, dextd", "dextd.dma.shared.rows", "batch_256", False),
            ("map + unmap, vfio-user", "embedded.vfio_user.map_unmap", None, False),
            ("two socket ping-pongs", "dextd.dma.shared.rows", "ping_pong", True)):
        rows = get(figures, path) or []
        points = [(row["live"], (row[key] if key else row)["p50_us"]) for row in rows]
        if points:
            series.append((label, points, is_floor))
    if not series:
        return
    everything = [us for _, points, _ in series for _, us in points]
    axes = ("set logscale x\nset xtics ('1' 1, '10' 10, '100' 100, '1,000' 1000, '10,000' 10000, "
            "'60,000' 60000)\nset xlabel 'regions that live meanwhile'\nset xrange [1:60000]")
    draw_lines(folder, "live-regions", "Register and unregister one more DMA region, p50",
               note_of(figures), series, axes, min(everything), max(everything))


def speed_tics(low, high):
    """Of a logarithmic axis of MB/s."""
    places = [step * 10.0 ** power for power in range(math.floor(math.log10(low)),
                                                      math.ceil(math.log10(high)) + 1)
              for step in (1, 2, 5)]
    return ", ".join(f"{quoted(f'{place / 1e3:g} GB/s')} {place:g}" for place in places)


def draw_copies(figures, folder):
    """How fast the copy engine is, by size."""
    rows = get(figures, "dextd.data.copies") or []
    series = []
    for way, text in (("to_device", "memory to BAR"), ("to_memory", "BAR to memory")):
        for key, who, is_floor in (("engine", "copy engine", False), ("memcpy", "memcpy", True)):
            points = [(row["bytes"], row["bytes"] / row[key]["p50_us"]) for row in rows
                      if row["way"] == way and row[key]["p50_us"] > 0]
            if points:
                series.append((f"{who}, {text}", points, is_floor))
    if not series:
        return
    everything = [speed for _, points, _ in series for _, speed in points]
    axes = ("set logscale x 2\nset xtics ('4 KiB' 4096, '64 KiB' 65536, '1 MiB' 1048576, "
            "'16 MiB' 16777216)\nset xrange [4096:16777300]\nset xlabel 'bytes copied at a time'")
    draw_lines(folder, "copies", "Copy engine beside memcpy of the same bytes, p50",
               note_of(figures), series, axes, min(everything), max(everything), speed_tics)


def draw_threads(figures, folder):
    """Calls a second by more and more threads."""
    counts = {"one": 1, "two": 2, "four": 4, "eight": 8}
    series = []
    for label, host in (("through dextd", "dextd"), ("host in the same process", "embedded")):
        rates = get(figures, f"{host}.threads_calls_per_s")
        if rates:
            points = [(count, rates[key] / 1e3) for key, count in counts.items() if key in rates]
            series.append((f"{label},\none connection", points, rates.get("four_connections")))
    if not series:
        return
    most = max(rate for _, points, _ in series for _, rate in points)
    least = min(rate for _, points, _ in series for _, rate in points)
    low, high = least / 2, most * 2
    lines = [head("Config reads of all threads together", note_of(figures)
                  + "; circles: 4 threads with a connection each"),
             "set logscale x 2", "set logscale y", "set xrange [0.9:8.9]", "set xtics (1, 2, 4, 8)",
             "set xlabel 'threads'", f"set yrange [{low:g}:{high:g}]",
             f"set ytics ({rate_tics(low, high)})", "set rmargin screen 0.70",
             "set lmargin screen 0.12", "set bmargin screen 0.13"]
    heights = spread([math.log10(points[-1][1]) for _, points, _ in series],
                     math.log10(high / low) / 8)
    plots = []
    for number, (label, points, apart) in enumerate(series):
        colour = OURS[number]
        lines += [f"$s{number} << END", *(f"{x} {y:g}" for x, y in points), "END",
                  f"set label {number + 1} {quoted(label)} at 8.9, {10 ** heights[number]:g} left "
                  f"offset 1,0 noenhanced tc rgb '{colour}'"]
        plots.append(f"$s{number} using 1:2 with linespoints lc rgb '{colour}' lw 3 pt 7 ps 1.1")
        if apart:
            lines += [f"$a{number} << END", f"4 {apart / 1e3:g}", "END"]
            plots.append(f"$a{number} using 1:2 with points lc rgb '{colour}' lw 2 pt 6 ps 2.2")
    draw(folder, "threads", "\n".join([*lines, "plot " + ", ".join(plots)]))


def draw_goals(figures, folder):
    """Each goal's figure as a share of what it may be."""
    rows = list(goals.results(figures))
    if not rows:
        return
    rows.reverse()
    shares = [min(max(goal.share(measured), 0.01), 100) for goal, measured in rows]
    low, high = min(0.05, min(shares) / 1.3), max(20.0, max(shares) * 1.3)
    lines = [head("Goals: what was measured against what it may be", note_of(figures)),
             "set logscale x", f"set xrange [{low:g}:{high:g}]",
             "set xtics ('1/100' 0.01, '1/10' 0.1, 'the goal' 1, '10×' 10, '100×' 100) "
             "font ',12'", f"set yrange [0.3:{len(rows) + 0.7}]", "unset grid", "set border 1",
             "set lmargin screen 0.47", "set rmargin screen 0.80", "set bmargin screen 0.08",
             f"set object 1 rectangle from {low:g}, graph 0 to 1, graph 1 fc rgb '#eef7f0' "
             "fs noborder behind", "set arrow 1 from 1, graph 0 to 1, graph 1 nohead "
             "lc rgb '#009e73' lw 2"]
    tics = []
    for number, ((goal, measured), share) in enumerate(zip(rows, shares), 1):
        colour = "#009e73" if goal.is_met(measured) else "#d55e00"
        against = f" / {goal.floor}" if goal.floor else ""
        text = re.sub("`", "", f"{goal.what}{against}")
        tics.append(f"{quoted(text)} {number}")
        said = (f"{goals.text_of(measured, goal.unit)}, goal {'≥' if goal.at_least else '≤'} "
                f"{goals.text_of(goal.limit, goal.unit)}")
        lines += [f"set arrow {number + 10} from 1, {number} to {share:g}, {number} nohead "
                  f"lc rgb '{colour}' lw 3",
                  f"set label {number + 10} {quoted(said)} at graph 1.02, first {number} left "
                  f"noenhanced tc rgb '{colour}' font ',11'",
                  f"$p{number} << END", f"{share:g} {number}", "END"]
    plots = [f"$p{number} using 1:2 with points pt 7 ps 1.4 lc rgb "
             f"'{'#009e73' if goal.is_met(measured) else '#d55e00'}'"
             for number, (goal, measured) in enumerate(rows, 1)]
    lines.append(f"set ytics ({', '.join(tics)}) font ',11' noenhanced scale 0")
    draw(folder, "goals", "\n".join([*lines, "plot " + ", ".join(plots)]))


def draw_all(figures, folder):
    for name in DISTRIBUTIONS:
        draw_distribution(figures, folder, name)
    draw_live(figures, folder)
    draw_copies(figures, folder)
    draw_threads(figures, folder)
    draw_goals(figures, folder)

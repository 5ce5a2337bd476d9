#!/usr/bin/env python3
"""scripts/run-tests counts right: every way a test can end, and what runs again because it may have
failed by chance, through real meson test runs.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import lintlib

RUN_TESTS = lintlib.ROOT / "scripts" / "run-tests"
# Seconds until a program that hangs is ended; long enough for it to speak before, however slowly.
HANG = 15

# name: (protocol, shell script, passed, failed, skipped)
SAMPLES = {
    "tap-good": ("tap", "echo 1..3; echo ok 1 - a; echo ok 2 - b; echo ok 3 - c", 3, 0, 0),
    "tap-fails": ("tap", "echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1", 1, 1, 0),
    "tap-skips": ("tap", "echo 1..2; echo 'ok 1 # SKIP no device'; echo ok 2", 1, 0, 1),
    "tap-skips-as-cmocka": ("tap", "echo 1..2; echo 'not ok 1 # SKIP it'; echo ok 2", 1, 0, 1),
    "tap-skips-and-dies": ("tap", "echo 1..1; echo 'not ok 1 # SKIP it'; kill -ABRT $$", 0, 1, 1),
    "tap-skips-and-stops": ("tap", "echo 1..2; echo 'not ok 1 # SKIP it'", 0, 1, 1),
    "tap-skips-all": ("tap", "echo '1..0 # SKIP no tool'", 0, 0, 1),
    "tap-crashes": ("tap", "echo 1..3; echo ok 1 - a; kill -SEGV $$", 1, 1, 0),
    "tap-fails-and-crashes": ("tap", "echo 1..3; echo not ok 1 - a; kill -SEGV $$", 0, 2, 0),
    "tap-crashes-at-once": ("tap", "kill -ABRT $$", 0, 1, 0),
    "tap-short": ("tap", "echo 1..3; echo ok 1 - a", 1, 1, 0),
    "tap-leaks": ("tap", "echo 1..1; echo ok 1 - a; exit 23", 1, 1, 0),
    "tap-bails": ("tap", "echo 1..2; echo ok 1 - a; echo 'Bail out! no memory'; exit 1", 1, 1, 0),
    "tap-hangs": ("tap", "echo 1..2; echo ok 1 - a; exec sleep 600", 1, 1, 0),
    "tap-says-nothing": ("tap", "true", 0, 1, 0),
    "exit-good": ("exitcode", "true", 1, 0, 0),
    "exit-fails": ("exitcode", "echo the reason; exit 3", 0, 1, 0),
    "exit-skips": ("exitcode", "echo no tool; exit 77", 0, 0, 1),
    "exit-crashes": ("exitcode", "kill -SEGV $$", 0, 1, 0),
    "exit-hangs": ("exitcode", "exec sleep 600", 0, 1, 0),
}

# What a program does when it runs first, and whether that is never the load's doing. Each one
# passes its test points `a` and `b` when it runs again.
FIRST_RUNS = {
    "fails": ("echo 1..2; echo ok 1 - a; echo not ok 2 - b; echo first words; exit 1", False),
    "stops": ("echo 1..2; echo ok 1 - a", False),
    "hangs": ("echo 1..2; echo ok 1 - a; exec sleep 600", False),
    "is-killed": ("echo 1..2; echo ok 1 - a; kill -KILL $$", False),
    "speaks": ("echo ok 1 - a; echo not ok 2 - b; echo '# RuntimeError: no answer'; echo 1..2",
               False),
    "asan": ("echo not ok 1 - a; echo '# ==9==ERROR: AddressSanitizer: heap-use-after-free on'",
             True),
    "asan-at-the-end": ("echo 1..1; echo ok 1 - a; echo 'SUMMARY: AddressSanitizer: x' >&2; exit 1",
                        True),
    "lsan": ("echo 1..1; echo ok 1 - a; exit 23", True),
    "lsan-says": ("echo not ok 1; echo '# ==7==ERROR: LeakSanitizer: detected memory leaks'", True),
    "ubsan": ("echo not ok 1; echo 'a.c:5:2: runtime error: signed integer overflow' >&2", True),
    "tsan": ("echo not ok 1; echo 'WARNING: ThreadSanitizer: data race (pid=1)' >&2", True),
    "tsan-code": ("echo 1..1; echo ok 1 - a; exit 66", True),
    "segv": ("kill -SEGV $$", True),
    "abrt": ("echo 1..1; echo ok 1 - a; kill -ABRT $$", True),
    "bus": ("kill -BUS $$", True),
    "ill": ("kill -ILL $$", True),
    "fpe": ("kill -FPE $$", True),
    "segv-below-a-shell": ("echo 1..1; echo ok 1; exit 139", True),
    "segv-in-cmocka": ("echo not ok 1; echo '# Test failed with exception: Bus error' >&2", True),
    "segv-of-a-daemon": ("echo not ok 1 - a; echo '# dextd: killed by signal 11'", True),
    "abrt-of-a-child": ("echo not ok 1; echo \"# died with <Signals.SIGABRT: 6>\"", True),
}
# The second run of a program that was not the first's kind: it counts as a failure.
FAILS_AGAIN = "echo 1..2; echo ok 1 - a; echo not ok 2 - b; echo second words; exit 1"
SKIPS_AGAIN = "echo 1..2; echo ok 1 - a; echo 'ok 2 - b # SKIP not now'; echo second words"
PASSES = "echo 1..2; echo ok 1 - a; echo ok 2 - b; echo second words"
# Says so when two of them run at once; only a second run takes the lock.
PASSES_ALONE = "mkdir lock && sleep 0.3 && rmdir lock && echo 1..1 && echo ok 1"


def make_build(folder, scripts):
    """Configure a project of nothing but tests, name: (protocol, script, suite); its build
    directory. Each notes in the file `runs` that it ran."""
    folder.mkdir()
    lines = ["project('sample', version: '1')", "sh = find_program('sh')"]
    for name, (protocol, script, suite) in scripts.items():
        head = f"cd {folder}; echo {name} >>runs\n"
        (folder / f"{name}.sh").write_text(head + script + "\n", encoding="utf-8")
        lines.append(f"test('{name}', sh, args: files('{name}.sh'), protocol: '{protocol}', "
                     f"timeout: {HANG if 'hangs' in name else 300}, suite: '{suite}')")
    (folder / "meson.build").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build = folder / "b"
    subprocess.run(["meson", "setup", build, folder], check=True, capture_output=True)
    return build


def make_samples(folder, names):
    return make_build(folder, {name: SAMPLES[name][:2] + SAMPLES[name][:1] for name in names})


def make_pairs(folder, pairs, suite="s"):
    """A build of TAP programs that run one script first and another from then on."""
    return make_build(folder, {name: (
        "tap", f"[ -e {name}.ran ] || {{ touch {name}.ran; {first}; exit; }}\n{second}", suite)
        for name, (first, second) in pairs.items()})


def run(*arguments):
    """Output lines and exit code of scripts/run-tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MESON")}
    done = subprocess.run([RUN_TESTS, *map(str, arguments)], capture_output=True, text=True,
                          check=False, env=environment)
    return done.stdout.splitlines() or [""], done.returncode


def expected_line(samples):
    passed, failed, skipped = (sum(SAMPLES[name][i] for name in samples) for i in (2, 3, 4))
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def counting_points(scratch):
    """Every way a program can end is counted."""
    everything = make_samples(scratch / "all", SAMPLES)
    lines, code = run(everything)
    yield lines[-1] == expected_line(SAMPLES), "the last line counts every end", lines[-3:]
    yield code != 0, "a failure ends non-zero", [str(code)]
    failures = [line for line in lines if line.startswith("FAILED: ")]
    for name, sample in SAMPLES.items():
        named = sum(f"/ {name}:" in line for line in failures)
        yield named == sample[3], f"{name} has {sample[3]} failures", failures
    yield "    the reason" in lines, "output of a failed test is shown", []
    yield any("tap-skips-all: no tool" in line for line in lines), "skips say why", []

    good = [name for name in SAMPLES if SAMPLES[name][3] == 0]
    build = make_samples(scratch / "good", good)
    lines, code = run(build)
    yield (lines[-1], code) == (expected_line(good), 0), "skips do not fail a run", lines[-3:]
    lines, code = run(build, build)
    twice = expected_line(good + good)
    yield (lines[-1], code) == (twice, 0), "two builds add up", lines[-3:]
    lines, code = run(f"{build}@exitcode")
    one_suite = expected_line([name for name in good if name.startswith("exit")])
    yield (lines[-1], code) == (one_suite, 0), "a suite alone", lines[-3:]
    lines, code = run(f"{build}@nosuchsuite")
    yield (lines[-1], code) == ("0 passed, 1 failed", 1), "no test is a failure", lines[-3:]
    only_skips = make_samples(scratch / "skips", ["exit-skips"])
    lines, code = run(only_skips)
    yield (lines[-1], code) == ("0 passed, 0 failed, 1 skipped", 1), "skips alone prove nothing", \
        lines[-3:]
    lines, code = run(scratch / "nowhere")
    yield (lines[-1], code) == ("0 passed, 1 failed", 1), "no build directory", lines[-3:]
    yield run()[1] == 2, "no argument is a usage error", []


def runs_of(folder):
    """How often each program of a build ran."""
    return Counter((folder / "runs").read_text(encoding="utf-8").split())


def is_named(lines, start, name):
    """Whether a line begins so and names a program, with or without its suite."""
    named = re.compile(re.escape(start) + r".*[:/] " + re.escape(name) + "(?: |$)")
    return any(named.match(line) for line in lines)


def second_run_points(scratch):
    """What failed under load runs again, and the summary says so."""
    flaky = {name: (first, PASSES) for name, (first, is_final) in FIRST_RUNS.items()
             if not is_final}
    folder = scratch / "flaky"
    build = make_pairs(folder, flaky)
    lines, code = run(build)
    yield (lines[-1], code) == (f"{2 * len(flaky)} passed, 0 failed, {len(flaky)} run again", 0), \
        "what passes alone has passed, and is counted as run again", lines[-12:]
    yield set(runs_of(folder).values()) == {2}, "each ran twice", [str(runs_of(folder))]
    for name in flaky:
        yield is_named(lines, "passed only when run again: ", name), \
            f"{name} is named", lines
    yield {"    first words", "    second words"} <= set(lines), "both outputs are shown", lines
    lines, code = run(build)
    yield (lines[-1], code) == (f"{2 * len(flaky)} passed, 0 failed", 0), \
        "nothing to run again", lines[-3:]

    broken = {"fails-twice": (FIRST_RUNS["fails"][0], FAILS_AGAIN)}
    folder = scratch / "broken"
    lines, code = run(make_pairs(folder, broken))
    yield (lines[-1], code) == ("1 passed, 1 failed, 1 run again", 1), \
        "what fails alone has failed", lines[-3:]
    yield {"    first words", "    second words"} <= set(lines), "both outputs of it are shown", lines
    yield runs_of(folder)["fails-twice"] == 2, "there is no third run", [str(runs_of(folder))]
    lines, code = run(make_pairs(scratch / "evasive", {"skips": (broken["fails-twice"][0],
                                                                 SKIPS_AGAIN)}))
    yield (lines[-1], code) == ("1 passed, 1 failed", 1), "a skip instead is no pass", lines[-3:]

    alone = {f"alone-{i}": ("exit 1", PASSES_ALONE) for i in range(4)}
    lines, code = run(make_pairs(scratch / "alone", alone), "--", "--num-processes", "4", "alone-0",
                      "alone-1", "alone-2", "alone-3")
    yield (lines[-1], code) == ("4 passed, 0 failed, 4 run again", 0), "nothing runs beside", \
        lines[-8:]
    yield set(runs_of(scratch / "alone").values()) == {2}, "named programs run alone too", \
        [str(runs_of(scratch / "alone"))]


def single_run_points(scratch):
    """What never runs again."""
    finals = {name: (first, PASSES) for name, (first, is_final) in FIRST_RUNS.items() if is_final}
    folder = scratch / "finals"
    lines, code = run(make_pairs(folder, finals))
    again = runs_of(folder)
    for name in finals:
        yield again[name] == 1 and is_named(lines, "not run again, ", name), \
            f"{name} fails at once", lines
    yield "run again" not in lines[-1] and code == 1, "and the run with them", lines[-3:]

    crowd = {f"busy-{i}": (FIRST_RUNS["fails"][0], PASSES) for i in range(6)}
    folder = scratch / "crowd"
    lines, code = run(make_pairs(folder, crowd))
    yield (lines[-1], code) == ("6 passed, 6 failed", 1), "six failures are no accident", lines[-3:]
    yield set(runs_of(folder).values()) == {1}, "none of six runs again", [str(runs_of(folder))]
    halves = [make_pairs(scratch / f"half-{i}", dict(list(crowd.items())[:3])) for i in range(2)]
    lines, code = run(*halves)
    yield (lines[-1], code) == ("6 passed, 6 failed", 1), "six in two builds neither", lines[-3:]

    one = {"once": (FIRST_RUNS["fails"][0], PASSES)}
    lines, code = run("--once", make_pairs(scratch / "once", one))
    yield (lines[-1], code) == ("1 passed, 1 failed", 1), "--once means it", lines[-3:]
    lines, code = run(make_pairs(scratch / "repeat", one), "--", "--repeat", "2")
    yield (lines[-1], code) == ("3 passed, 1 failed", 1), "meson's --repeat looks for them", \
        lines[-3:]
    lines, code = run(make_pairs(scratch / "lint", one, suite="lint"))
    yield (lines[-1], code) == ("1 passed, 1 failed", 1), "lint is no matter of load", lines[-3:]


def points(scratch):
    """Yield (is good, title, details)."""
    parts = (counting_points, second_run_points, single_run_points)
    with ThreadPoolExecutor(len(parts)) as pool:  # two of them wait for what hangs
        for done in pool.map(lambda part: list(part(scratch)), parts):
            yield from done


if __name__ == "__main__":
    sys.exit(lintlib.run_in_scratch(points))

#!/usr/bin/env python3
"""scripts/run-tests counts right: every way a test can end, through a real meson test run.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import subprocess
import sys

import lintlib

RUN_TESTS = lintlib.ROOT / "scripts" / "run-tests"

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
    "tap-hangs": ("tap", "echo 1..2; echo ok 1 - a; exec sleep 60", 1, 1, 0),
    "tap-says-nothing": ("tap", "true", 0, 1, 0),
    "exit-good": ("exitcode", "true", 1, 0, 0),
    "exit-fails": ("exitcode", "echo the reason; exit 3", 0, 1, 0),
    "exit-skips": ("exitcode", "echo no tool; exit 77", 0, 0, 1),
    "exit-crashes": ("exitcode", "kill -SEGV $$", 0, 1, 0),
    "exit-hangs": ("exitcode", "exec sleep 60", 0, 1, 0),
}


def make_build(folder, samples):
    """Configure a project of nothing but sample tests; returns its build directory."""
    folder.mkdir()
    lines = ["project('sample', version: '1')", "sh = find_program('sh')"]
    for name in samples:
        protocol, script = SAMPLES[name][:2]
        (folder / f"{name}.sh").write_text(script + "\n", encoding="utf-8")
        lines.append(f"test('{name}', sh, args: files('{name}.sh'), protocol: '{protocol}', "
                     f"timeout: 2, suite: '{protocol}')")
    (folder / "meson.build").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build = folder / "b"
    subprocess.run(["meson", "setup", build, folder], check=True, capture_output=True)
    return build


def run(*arguments):
    """Output lines and exit code of scripts/run-tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MESON")}
    done = subprocess.run([RUN_TESTS, *map(str, arguments)], capture_output=True, text=True,
                          check=False, env=environment)
    return done.stdout.splitlines() or [""], done.returncode


def expected_line(samples):
    passed, failed, skipped = (sum(SAMPLES[name][i] for name in samples) for i in (2, 3, 4))
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def points(scratch):
    """Yield (is good, title, details)."""
    everything = make_build(scratch / "all", SAMPLES)
    lines, code = run(everything)
    yield lines[-1] == expected_line(SAMPLES), "the last line counts every end", lines[-3:]
    yield code != 0, "a failure ends non-zero", [str(code)]
    failures = [line for line in lines if line.startswith("FAILED: ")]
    for name, sample in SAMPLES.items():
        named = sum(f"/ {name}:" in line for line in failures)
        yield named == sample[3], f"{name} has {sample[3]} failures", failures
    yield "the reason" in lines, "output of a failed test is shown", []
    yield any("tap-skips-all: no tool" in line for line in lines), "skips say why", []

    good = [name for name in SAMPLES if SAMPLES[name][3] == 0]
    build = make_build(scratch / "good", good)
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
    only_skips = make_build(scratch / "skips", ["exit-skips"])
    lines, code = run(only_skips)
    yield (lines[-1], code) == ("0 passed, 0 failed, 1 skipped", 1), "skips alone prove nothing", \
        lines[-3:]
    lines, code = run(scratch / "nowhere")
    yield (lines[-1], code) == ("0 passed, 1 failed", 1), "no build directory", lines[-3:]
    yield run()[1] == 2, "no argument is a usage error", []


if __name__ == "__main__":
    sys.exit(lintlib.run_in_scratch(points))

#!/usr/bin/env python3
"""scripts/setup-guest: says what is missing, leaves nothing half-done, waits for its like.

SPDX-License-Identifier: GPL-2.0-or-later

apt-get, apt-cache and uname are stand-ins; a whole run belongs to CI, which has the registry.
"""
import fcntl
import os
import subprocess
import sys
import time

import lintlib

SETUP = lintlib.ROOT / "scripts" / "setup-guest"
STAND_INS = {
    # Before the first update apt knows addresses and no origins.
    "apt-get": 'case " $* " in\n*indextargets*) printf "$TARGETS" ;;\n'
               '*) echo "apt-get $*" >>"$FAKE/calls"; cat "$APT_CONFIG" "$FAKE"/guest/new/apt/sources/* '
               '>>"$FAKE/calls"; echo no such mirror; exit 100 ;;\nesac',
    "apt-cache": "exit 1",
    "uname": 'echo "${MACHINE:-Linux x86_64}"',
}
DEBIAN = "http://mirror.example/debian/ Debian/Debian\\n"


class Machine:
    """A machine as scripts/setup-guest sees it."""

    def __init__(self, folder, without=()):
        self.folder, self.home = folder, folder / "guest"
        (folder / "bin").mkdir(parents=True)
        for name, body in STAND_INS.items():
            if name not in without:
                path = folder / "bin" / name
                path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
                path.chmod(0o755)
        for name in ("sh", "awk", "cat", "cksum", "dpkg-deb", "flock", "grep", "head", "id", "mkdir",
                     "rm", "sed", "sort", "tail"):
            if name not in without:
                (folder / "bin" / name).symlink_to(f"/usr/bin/{name}")

    def start(self, *arguments, **variables):
        environment = {"PATH": str(self.folder / "bin"), "FAKE": str(self.folder),
                       "DEXTLINK_GUEST_DIR": str(self.home), "TARGETS": DEBIAN, **variables}
        return subprocess.Popen([SETUP, *arguments], env=environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def run(self, *arguments, **variables):
        process = self.start(*arguments, **variables)
        text = process.communicate(timeout=600)[0]
        return process.returncode, text

    def left(self):
        return sorted(os.listdir(self.home)) if self.home.exists() else []


def points(scratch):
    """Yield (is good, title, details)."""
    machine = Machine(scratch / "plain")
    code, text = machine.run("--bogus")
    yield code == 2 and "usage" in text, "an unknown option is a usage error", [text]
    code, text = machine.run("--where")
    yield code == 1 and "scripts/setup-guest" in text and not machine.left(), \
        "--where without a guest: says what to run, makes nothing", [text]
    code, text = machine.run()
    yield code == 1 and "trixie" in text and "no such mirror" in text, \
        "a mirror that fails: its words are shown", [text]
    yield machine.left() == ["lock"], "a run that failed leaves nothing half-done", machine.left()
    calls = (scratch / "plain" / "calls").read_text(encoding="utf-8")
    yield calls.count("URIs: http://mirror.example/debian/\n") == 2 \
        and f'Dir::State "{machine.home}/new/apt"' in calls, \
        "apt is asked with lists of its own, at the machine's own mirror", [calls]
    yield machine.run("--where")[0] == 1, "a failed run is not taken for a guest", []

    code, text = machine.run(TARGETS="http://a.example/debian /\\nhttp://b.example/x /\\n")
    calls = (scratch / "plain" / "calls").read_text(encoding="utf-8")
    yield "URIs: http://a.example/debian\n" in calls, "without lists the address has to do", [text]
    code, text = machine.run(TARGETS="http://b.example/ubuntu Ubuntu/Ubuntu\\n")
    yield code == 1 and "DEBIAN_MIRROR" in text, "no Debian mirror: says how to name one", [text]
    machine.run(TARGETS="", DEBIAN_MIRROR="http://named.example/debian")
    calls = (scratch / "plain" / "calls").read_text(encoding="utf-8")
    yield "URIs: http://named.example/debian\n" in calls, "a mirror that is named is used", [calls]
    code, text = machine.run(MACHINE="Linux aarch64")
    yield code == 1 and "x86-64" in text, "another processor: says so", [text]
    for name in ("apt-get", "flock"):
        code, text = Machine(scratch / f"no-{name}", without=(name,)).run()
        yield code == 1 and name in text, f"without {name}: says so", [text]

    (machine.home / "lock").touch()
    with open(machine.home / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = machine.start()
        line = process.stdout.readline()
        time.sleep(0.2)
        yield "waiting" in line and process.poll() is None, "a second run waits for the first", [line]
    yield process.wait(600) == 1, "and goes on when that has ended", []
    process.stdout.close()


if __name__ == "__main__":
    sys.exit(lintlib.run_in_scratch(points))

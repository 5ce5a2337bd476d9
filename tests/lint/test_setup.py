#!/usr/bin/env python3
"""scripts/setup: knows its systems, installs only what is missing, does nothing the second time.

SPDX-License-Identifier: GPL-2.0-or-later

dpkg-query, apt-get, id and sudo are stand-ins that note how they were called.
"""
import os
import subprocess
import sys

import lintlib

SETUP = lintlib.ROOT / "scripts" / "setup"
DEBIAN = 'ID=debian\nVERSION_ID="{}"\n'
STAND_INS = {
    # Installed is whatever the file says; missing packages make dpkg-query fail, as it does.
    "dpkg-query": 'for p; do :; done\ngrep -qx "$p" "$FAKE/installed" && printf installed',
    "apt-get": 'echo "apt-get $*" >>"$FAKE/calls"\nexit "${APT_CODE:-0}"',
    "sudo": 'echo sudo >>"$FAKE/calls"\n"$@"',
    "id": 'echo "${FAKE_UID:-0}"',
}


class Machine:
    """A machine as scripts/setup sees it."""

    def __init__(self, folder, os_release, installed=(), without=()):
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        (folder / "os-release").write_text(os_release, encoding="utf-8")
        (folder / "installed").write_text("\n".join(installed), encoding="utf-8")
        for name, body in STAND_INS.items():
            if name not in without:
                path = folder / "bin" / name
                path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
                path.chmod(0o755)
        for name in ("sh", "cat", "cksum", "dirname", "env", "grep", "mv", "sed", "tr"):
            (folder / "bin" / name).symlink_to(f"/usr/bin/{name}")

    def run(self, *arguments, **variables):
        (self.folder / "calls").write_text("", encoding="utf-8")
        environment = {"PATH": str(self.folder / "bin"), "FAKE": str(self.folder),
                       "SETUP_OS_RELEASE": str(self.folder / "os-release"),
                       "SETUP_STAMP_DIR": str(self.folder), **variables}
        done = subprocess.run([SETUP, *arguments], env=environment, capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)
        calls = (self.folder / "calls").read_text(encoding="utf-8").splitlines()
        return done.returncode, calls, done.stdout + done.stderr


def wanted(*arguments):
    return subprocess.run([SETUP, *arguments, "--list"], capture_output=True, text=True,
                          check=True).stdout.split()


def points(scratch):
    """Yield (is good, title, details)."""
    packages = wanted()
    for version in ("12", "13"):
        machine = Machine(scratch / version, DEBIAN.format(version), packages[2:])
        code, calls, text = machine.run()
        installs = [call for call in calls if " install " in call]
        good = code == 0 and len(calls) == 2 and calls[0].endswith("update") \
            and installs[0].split()[-2:] == packages[:2]
        yield good, f"Debian {version}: installs what is missing and no more", calls + [text]
        code, calls, text = machine.run()
        yield (code, calls, text) == (0, [], ""), f"Debian {version}: nothing the second time", calls

    full = Machine(scratch / "full", DEBIAN.format("12"), wanted("--ci"))
    yield full.run("--ci") == (0, [], ""), "nothing is missing: apt-get is not called", []
    (scratch / "full" / ".setup-stamp").unlink()
    yield full.run("--ci") == (0, [], ""), "a lost stamp costs no installation", []
    (scratch / "full" / "installed").write_text("", encoding="utf-8")
    yield full.run("--ci") == (0, [], ""), "the stamp answers without dpkg", []
    (scratch / "full" / "os-release").write_text(DEBIAN.format("13"), encoding="utf-8")
    yield full.run("--ci")[1] != [], "a stamp of another system does not count", []
    smaller = Machine(scratch / "smaller", DEBIAN.format("12"), packages)
    yield smaller.run()[1] == [] and smaller.run("--tests")[1] != [], \
        "the stamp of a smaller set does not count for a larger", []

    user = Machine(scratch / "user", DEBIAN.format("12"))
    code, calls, text = user.run(FAKE_UID="1000")
    yield code == 0 and calls[0] == "sudo", "a user installs through sudo", calls + [text]
    no_sudo = Machine(scratch / "no-sudo", DEBIAN.format("12"), without=("sudo",))
    code, calls, text = no_sudo.run(FAKE_UID="1000")
    yield code == 1 and not calls and "meson" in text, "neither root nor sudo: says what is missing", \
        [text]
    broken = Machine(scratch / "broken", DEBIAN.format("12"))
    code, _, text = broken.run(APT_CODE="100")
    yield code == 1 and "apt-get" in text and "meson" in text, "a failed installation is named", [text]
    yield broken.run()[1] != [], "a failed installation leaves no stamp", []
    for what, text_of in (("another distribution", 'ID=fedora\nVERSION_ID=40\n'),
                          ("another release", DEBIAN.format("11"))):
        machine = Machine(scratch / what, text_of)
        code, calls, text = machine.run()
        named = all(package in text for package in packages)
        yield code == 1 and not calls and named, f"{what}: names the packages, installs none", [text]
    both = wanted("--ci", "--bench")
    yield (set(both) == {*wanted("--ci"), *wanted("--bench")} and len(both) == len(set(both))
           and "gnuplot-nox" in both and "clang" not in wanted("--bench")), \
        "groups of packages add up", both
    yield full.run("--bogus")[0] == 2, "an unknown option is a usage error", []


if __name__ == "__main__":
    sys.exit(lintlib.run_in_scratch(points))

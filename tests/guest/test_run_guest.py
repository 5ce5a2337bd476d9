#!/usr/bin/env python3
"""scripts/run-guest, as the README shows it.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pty
import select
import subprocess
import tempfile
import time
from pathlib import Path

import guesttest

RUN_GUEST = guesttest.ROOT / "scripts" / "run-guest"


def run_guest(*words, seconds=guesttest.BOOT_SECONDS):
    return subprocess.run([RUN_GUEST, "--build", guesttest.PROGRAMS.parents[2], *map(str, words)],
                          text=True, check=False, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=seconds)


def read_until(terminal, wanted, seconds=guesttest.BOOT_SECONDS):
    """Read what a terminal shows up to some text."""
    shown, end = "", time.monotonic() + seconds
    while wanted not in shown:
        left = end - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            raise AssertionError(f"no {wanted!r} in time: {shown[-2000:]}")
        shown += os.read(terminal, 4096).decode(errors="replace")


class RunGuest(guesttest.GuestTest):
    def test_a_command_sees_the_device(self):
        with guesttest.Server("01:00.0", "nvme,addr=01:00.0,dart=identity,size=16M") as server:
            done = run_guest(server.socket, "-c", "cat /sys/block/nvme0n1/size; exit 3")
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertEqual(done.stdout, "32768\n")
            self.assertTrue(server.lets_go())

    def test_the_console_is_a_shell(self):
        with guesttest.Server("01:00.0", "nvme,addr=01:00.0,dart=identity,size=16M") as server:
            ours, theirs = pty.openpty()
            with subprocess.Popen([RUN_GUEST, "--build", guesttest.PROGRAMS.parents[2],
                                   server.socket], stdin=theirs, stdout=theirs,
                                  stderr=theirs) as program:
                os.close(theirs)
                try:
                    read_until(ours, "~ # ")
                    os.write(ours, b"cat /sys/block/nvme0n1/size\r")
                    read_until(ours, "32768")
                    os.write(ours, b"exit\r")
                    self.assertEqual(program.wait(guesttest.SECONDS), 0)
                finally:
                    program.kill()
                    os.close(ours)

    def test_what_is_no_socket_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run_guest(Path(folder) / "none")
        self.assertEqual(done.returncode, 2)
        self.assertIn("none is no socket: is dext-vfio-user running?", done.stderr)


if __name__ == "__main__":
    guesttest.main(needs_server=True)

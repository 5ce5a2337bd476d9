#!/usr/bin/env python3
"""Output that nobody reads, that does not fit on the disk, or that has no place to go.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import signal
import subprocess

import toolstest
from toolstest import DEXTCTL, DEXTD, EDU, TESTDEV, environment

AT = "02:00.0"
ON = ("--device", TESTDEV)
# Those that watch would go on for ever.
COMMANDS = (
    ("--help",),
    ("--version",),
    ("show", "--help"),
    ("list", *ON),
    ("list", "--json", *ON),
    ("show", AT, *ON),
    ("show", AT, "--json", *ON),
    ("dump", AT, *ON),
    ("config", "read", AT, "COMMAND", *ON),
    ("config", "dump", AT, *ON),
    ("bar", "info", AT, *ON),
    ("bar", "dump", AT, "2", "0", "65536", *ON),
    ("bar", "watch", AT, "0", "0x20", "16", "-i", "0.01", *ON),
    ("bar", "watch", AT, "0", "0x20", "16", "-i", "0.01", "--json", *ON),
    ("dma", "test", AT, "--size", "4096", *ON),
    ("dma", "budget", AT, "-i", "0.01", *ON),
    ("dma", "budget", AT, "-i", "0.01", "--json", *ON),
    ("dma", "soak", AT, "-n", "20", *ON),
    ("irq", "test", AT, "-n", "1", *ON),
    ("irq", "watch", AT, "-i", "0.01", *ON),
    ("irq", "watch", AT, "--fire", "-n", "1000000", *ON),
    ("reset", AT, *ON),
    ("demo",),
    ("doctor", *ON),
    ("doctor", "--json", *ON),
    ("monitor", "--json", "-i", "0.01", *ON),
    ("list", "--watch", *ON),
    ("list", "--watch", "--json", *ON),
)


def spawn(*arguments, shell="exec \"$@\"", **options):
    done = subprocess.run(["sh", "-c", shell, "sh", *arguments], env=environment(), text=True,
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                          timeout=toolstest.SECONDS, **options)
    return done.returncode, done.stderr


class Output(toolstest.ToolTest):
    def assert_refused(self, ended, reason):
        status, err = ended
        self.assertEqual(status, 1, err)
        self.assertEqual(err, f"dextctl: cannot write the output: {reason}\n")

    def unread(self, *arguments, **options):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            return spawn(DEXTCTL, *arguments, stdout=writer, **options)
        finally:
            os.close(writer)

    def test_nobody_reads(self):
        """As of every program in a pipe: the end, without a word."""
        for command in COMMANDS:
            with self.subTest(command):
                self.assertEqual(self.unread(*command), (-signal.SIGPIPE, ""))

    def test_nobody_reads_and_that_is_no_signal(self):
        for command in (("list", *ON), ("list", "--watch", *ON), ("bar", "watch", AT, "0", *ON)):
            with self.subTest(command):
                self.assert_refused(self.unread(*command, shell="trap '' PIPE; exec \"$@\""),
                                    "Broken pipe")

    def test_the_disk_is_full(self):
        """Nothing is watched for nobody."""
        for command in COMMANDS:
            with self.subTest(command), open("/dev/full", "w", encoding="utf-8") as full:
                self.assert_refused(spawn(DEXTCTL, *command, stdout=full),
                                    "No space left on device")

    def test_it_is_closed(self):
        """Its number must not become that of a file of the devices."""
        for command in (("list", *ON), ("reset", AT, *ON), ("list", "--watch", *ON),
                        ("bar", "watch", AT, "0", "-i", "0.01", *ON)):
            with self.subTest(command):
                self.assert_refused(spawn(DEXTCTL, *command, shell="exec \"$@\" <&- >&-"),
                                    "Bad file descriptor")

    def test_an_error_without_a_place_to_tell_it(self):
        status, err = spawn(DEXTCTL, "show", "05:00.0", *ON, shell="exec \"$@\" 2>&-")
        self.assertEqual((status, err), (1, ""))


class Daemon(toolstest.ToolTest):
    def test_standard_files_are_never_devices_or_sockets(self):
        reader, writer = os.pipe()
        with toolstest.tempfile.TemporaryDirectory(prefix="dextd-test-") as folder:
            with subprocess.Popen(
                    ["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh", DEXTD, "-vv", "--device", EDU,
                     "--socket", f"{folder}/dext.sock", "--ready-fd", str(writer)],
                    pass_fds=[writer], env=environment()) as process:
                os.close(writer)
                self.assertEqual(os.read(reader, 16), b"\n")
                os.close(reader)
                places = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(toolstest.SECONDS), 0)
        self.assertEqual(places, ["/dev/null"] * 3)


if __name__ == "__main__":
    toolstest.main()

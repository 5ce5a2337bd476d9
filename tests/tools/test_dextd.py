#!/usr/bin/env python3
"""dextd: its command line, its socket, its signals.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import signal
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import toolstest
from toolstest import DEXTD, EDU, TESTDEV, Dextd, run


class CommandLine(toolstest.ToolTest):
    def check(self, status, arguments, *pieces):
        with self.subTest(" ".join(arguments)):
            result = run(*arguments, program=DEXTD)
            self.assert_fails(result, status, "dextd: ", *pieces)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dextd-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.socket = str(self.folder / "dext.sock")

    def test_output_that_cannot_be_written(self):
        for option in ("--help", "--version"):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([DEXTD, option], stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=toolstest.SECONDS, check=False)
            self.assertEqual((done.returncode, done.stderr), (
                1, "dextd: cannot write the output: No space left on device\n"))

    def test_help_lists_models(self):
        out = self.assert_fine(run("--help", program=DEXTD))
        for model in ("edu", "testdev", "nvme"):
            self.assertRegex(out, rf"(?m)^  {model} +\S")
        self.assertIn("dma_mask", out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)

    def test_version(self):
        self.assertRegex(self.assert_fine(run("--version", program=DEXTD)), r"^dextd [\d.]+\n$")

    def test_no_devices(self):
        self.check(2, [], "no devices", "--device edu,addr=01:00.0", "--help")

    def test_wrong_options(self):
        for option, value in (("--page-size", "8192"), ("--access", "shut"), ("--ready-fd", "x"),
                              ("--ready-fd", "-1"), ("--ready-fd", "999"), ("--socket", ""),
                              ("--group", ""), ("--per-client", "1"), ("--per-client", "65537"),
                              ("--per-client", "many"), ("--per-client", "8x"),
                              ("--per-client", ""), ("--per-client", "9" * 30)):
            self.check(2, ["--device", EDU, option, value], option, f'"{value}"')
        self.check(2, ["--device", EDU, "stray"], '"stray"')
        for arguments in (["--frobnicate"], ["--device"]):
            result = run(*arguments, program=DEXTD)
            self.assertEqual(result.status, 2)
            self.assertRegex(result.err, r"^dextd: [^\n]*option[^\n]*\n$")

    def test_wrong_devices(self):
        at = ["--socket", self.socket]
        self.check(2, [*at, "--device", "frobnicator,addr=01:00.0"], "frobnicator")
        self.check(2, [*at, "--device", "edu"], "addr")
        self.check(2, [*at, "--device", "edu,addr=01:20.0"], "01:20.0")
        self.check(2, [*at, "--device", "edu,addr=01:00.0,frob=1"], "frob")
        self.check(2, [*at, "--device", EDU, "--device", EDU], "01:00.0")
        self.assertEqual(os.listdir(self.folder), [])

    def test_wrong_sockets(self):
        self.check(2, ["--device", EDU, "--socket", "/tmp/" + "x" * 200], "socket")
        self.check(1, ["--device", EDU, "--socket", "/nonexistent/dext.sock"],
                   "/nonexistent/dext.sock", "No such file")

    def test_unknown_group(self):
        result = run("--device", EDU, "--socket", self.socket, "--group", "no-such-group",
                     program=DEXTD)
        self.assertIn(result.status, (1, 2))
        self.assertIn("no-such-group", result.err)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_file_that_is_no_socket_stays(self):
        Path(self.socket).write_text("mine", encoding="utf-8")
        result = run("--device", EDU, "--socket", self.socket, program=DEXTD)
        self.assert_fails(result, 1, "dextd: ", self.socket)
        self.assertEqual(Path(self.socket).read_text(encoding="utf-8"), "mine")


class Serving(toolstest.ToolTest):
    def test_says_ready_and_ends_by_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Dextd(EDU, TESTDEV) as host:
                self.assertEqual(host.stop(number), 0)
                self.assertEqual(host.err, f"dextd: ready: 2 devices at {host.socket}\n")
                self.assertEqual(host.out, "")
                self.assertFalse(host.socket.exists())

    def test_only_the_owner_may_connect(self):
        with Dextd(EDU) as host:
            mode = host.socket.stat().st_mode
            self.assertTrue(stat.S_ISSOCK(mode))
            self.assertEqual(stat.S_IMODE(mode) & 0o077, 0)

    def test_refuses_a_socket_in_use(self):
        with Dextd(EDU) as host:
            result = run("--device", TESTDEV, "--socket", host.socket, program=DEXTD)
            self.assert_fails(result, 1, "dextd: ", str(host.socket), "serving")
            self.assertIn("1234:11e8", run("list", socket=host.socket).out)
            self.assertEqual(host.stop(), 0)
            self.assertFalse(host.socket.exists())

    def test_replaces_a_stale_socket(self):
        with tempfile.TemporaryDirectory(prefix="dextd-test-") as folder:
            path = Path(folder) / "dext.sock"
            with Dextd(EDU, socket=path) as host:
                host.process.kill()
                host.process.communicate()
            self.assertTrue(path.exists())
            with Dextd(TESTDEV, socket=path):
                self.assertIn("1234:7e57", run("list", socket=path).out)
            self.assertFalse(path.exists())

    def test_removes_only_its_own_socket(self):
        with Dextd(EDU) as host:
            host.socket.unlink()
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(host.socket))
                self.assertEqual(host.stop(), 0)
                self.assertTrue(host.socket.exists())
            host.socket.unlink()

    def test_socket_from_the_environment(self):
        with tempfile.TemporaryDirectory(prefix="dextd-test-") as folder:
            path = Path(folder) / "named.sock"
            reader, writer = os.pipe()
            with subprocess.Popen([DEXTD, "--device", EDU, "--ready-fd", str(writer)],
                                  pass_fds=[writer], env=toolstest.environment(path),
                                  stderr=subprocess.PIPE, text=True) as process:
                os.close(writer)
                self.assertEqual(os.read(reader, 1), b"\n")
                self.assertTrue(path.exists())
                process.terminate()
                self.assertIn(str(path), process.communicate(timeout=toolstest.SECONDS)[1])
            os.close(reader)

    def test_verbose_names_the_signal(self):
        with Dextd(EDU, options=["-v"]) as host:
            host.stop()
            self.assertIn("SIGTERM", host.err)

    def test_access_open(self):
        with Dextd(EDU, options=["--access", "open"]) as host:
            self.assert_fine(run("bar", "read", "01:00.0", "0", "0", socket=host.socket))

    def test_page_size_of_clients(self):
        with Dextd(EDU, options=["--page-size", "16384"]) as host:
            self.assert_fine(run("dma", "test", "01:00.0", socket=host.socket))

    def test_many_clients_one_after_another_leave_nothing(self):
        with Dextd(EDU) as host:
            descriptors = Path(f"/proc/{host.process.pid}/fd")
            self.assert_fine(run("dma", "test", "01:00.0", socket=host.socket))
            before = len(list(descriptors.iterdir()))
            for _ in range(5):
                self.assert_fine(run("irq", "watch", "01:00.0", "--fire", "-n", "1",
                                     socket=host.socket))
            self.assertTrue(toolstest.wait_until(
                lambda: len(list(descriptors.iterdir())) <= before))


if __name__ == "__main__":
    toolstest.main()

#!/usr/bin/env python3
"""dextctl monitor: its JSON, and its screen in a real terminal (tmux).

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, EDU, SECONDS, TESTDEV, Dextd, environment, run



def client(dextd, *arguments):
    return subprocess.Popen([DEXTCTL, *arguments], env=environment(dextd.socket),
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


class Json(toolstest.ToolTest):

    def lines(self, *arguments, **options):
        result = run("monitor", "--json", *arguments, **options)
        return [json.loads(line) for line in self.assert_fine(result).splitlines()]

    def test_idle(self):
        looks = self.lines("--count", "2", "--interval", "0.05", "--device", EDU, "--device",
                           TESTDEV)
        self.assertEqual(len(looks), 2)
        for device, address in zip(looks[1]["devices"], ("01:00.0", "02:00.0"), strict=True):
            self.assertEqual((device["address"], device["state"]), (address, "present"))
            self.assertEqual(device["statistics"], {
                "claims": 0, "irqs_per_s": 0, "irqs_dropped_per_s": 0, "dma_regions": 0,
                "dma_bytes": 0, "dma_budget_bytes": 1610612736, "faults": 0})
            self.assertEqual(device["calls_per_s"], {})  # its own calls are left out
        self.assertGreaterEqual(looks[1]["time_ms"], 50)

    def test_a_driver_that_tells_nothing(self):
        device, = self.lines("--count", "1", "--device", f"{EDU},extensions=off")[0]["devices"]
        self.assertEqual((device["state"], device["statistics"], device["calls_per_s"]),
                         ("state unknown", None, None))

    def test_rates(self):
        with Dextd(TESTDEV) as dextd:
            user = client(dextd, "dma", "soak", "02:00.0", "--seconds", "3600")
            try:
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    last = self.lines("--count", "2", "--interval", "0.3",
                                      socket=dextd.socket)[-1]["devices"][0]
                    if last["calls_per_s"].get("RegisterDMARegion"):
                        break
                self.assertEqual(last["statistics"]["claims"], 1)
                self.assertGreater(last["calls_per_s"]["RegisterDMARegion"], 0)
            finally:
                user.kill()
                user.wait()

    def test_hosts_that_come_and_go(self):
        """Also while they are asked: looks without a pause meet that."""
        with tempfile.TemporaryDirectory(prefix="monitor-test-") as folder:
            socket = Path(folder) / "dext.sock"
            monitor = subprocess.Popen([DEXTCTL, "monitor", "--json", "--interval", "0.001"],
                                       env=environment(socket), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                for _ in range(10):
                    with Dextd(EDU, socket=socket) as dextd:
                        state = None
                        while state != "present":
                            line = monitor.stdout.readline() or self.fail(monitor.stderr.read())
                            state = next((d["state"] for d in json.loads(line)["devices"]
                                          if d["state"] == "present"), None)
                        dextd.stop(signal.SIGKILL)
                self.assertIsNone(monitor.poll())
            finally:
                monitor.terminate()
                monitor.communicate()

    def test_usage(self):
        self.assert_fails(run("monitor", "--device", EDU), 1, "wants a terminal")
        self.assert_fails(run("monitor", "01:00.0", "--device", EDU), 2, "too many arguments")
        self.assert_fails(run("monitor", "--interval", "x"), 2, "--interval")


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class Screen(toolstest.ToolTest):
    """The monitor in a tmux of its own, between two lines that a shell prints."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="monitor-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.servers = 1

    def tmux(self, *arguments):
        done = subprocess.run(["tmux", "-S", str(self.folder / f"tmux{self.servers}"), "-f", "/dev/null",
                               *arguments], capture_output=True, text=True, check=False,
                              timeout=SECONDS, env=environment() | {"LC_ALL": "C.UTF-8"})
        return done.stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "test")

    def wait_for(self, condition, what):
        end = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}:\n{self.screen()}")
            time.sleep(0.05)

    def begin(self, *arguments, socket=None, columns=100, rows=24):
        command = shlex.join([os.path.abspath(DEXTCTL), "monitor", "--interval", "0.1", *map(str, arguments)])
        script = self.folder / "script"
        script.write_text(
            f"cd {shlex.quote(str(self.folder))}\necho the line before\nstty -g >stty.before\n"
            f"sh -c {shlex.quote('echo $$ >pid.new; mv pid.new pid; exec ' + command)}\n"
            "echo $? >status.new; stty -g >stty.after; mv status.new status\n"
            "echo the line after; cat\n", encoding="utf-8")
        if socket:
            script.write_text(f"export DEXTLINK_SOCKET={shlex.quote(str(socket))}\n"
                              + script.read_text(encoding="utf-8"), encoding="utf-8")
        self.addCleanup(self.tmux, "kill-server")
        self.tmux("new-session", "-d", "-s", "test", "-x", str(columns), "-y", str(rows),
                  "sh", str(script))
        self.wait_for(lambda: "dextctl monitor" in self.screen(), "the monitor is on the screen")

    def pid(self):
        return int((self.folder / "pid").read_text(encoding="utf-8"))

    def assert_ended(self, status=0):
        """It has, and the terminal is what it was."""
        self.wait_for(lambda: "the line after" in self.screen(), "the shell goes on")
        lines = self.screen().split("\n")
        self.assertEqual([line for line in lines if line], ["the line before", "the line after"])
        self.assertEqual((self.folder / "status").read_text(encoding="utf-8"), f"{status}\n")
        self.assertEqual((self.folder / "stty.before").read_text(encoding="utf-8"),
                         (self.folder / "stty.after").read_text(encoding="utf-8"))
        flags = self.tmux("display-message", "-p", "-t", "test",
                          "#{alternate_on} #{cursor_flag} #{keypad_flag}")
        self.assertEqual(flags.split(), ["0", "1", "0"])

    # Each line of the screen, the last of 24 below the others.
    BUSY = (r"dextctl monitor.*", r"pci-bridge0/01:00\.0  1234:11e8  present  1 claim",
            r"  calls +[\d.]+/s  .*RegisterDMARegion [\d.]+.*", r"  irq +[\d.]+/s  dropped 0\.0/s.*",
            r"  dma +\d+ regions  .* of 1536 MiB \[\.*\] 0%", r"  faults +0",
            r"pci-bridge0/02:00\.0  1234:7e57  state unknown", r".*does not count.*",
            r".*keeps no statistics.*", *[".*"] * 14, r"q quit")

    def shows(self, patterns):
        """Whether one look at the screen, which may be one while it is drawn, shows all of it."""
        lines = [line.rstrip() for line in self.screen().split("\n")]
        return all(re.fullmatch(pattern, line) for pattern, line in zip(patterns, lines))

    def test_screen(self):
        with Dextd(EDU, f"{TESTDEV},extensions=off") as dextd:
            user = client(dextd, "dma", "soak", "01:00.0", "--seconds", "3600")
            try:
                self.begin(socket=dextd.socket)
                self.wait_for(lambda: self.shows(self.BUSY), "calls by selector")
            finally:
                user.kill()
                user.wait()
            self.tmux("send-keys", "-t", "test", "q")
            self.assert_ended()

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number.name):
                self.begin("--device", EDU)
                os.kill(self.pid(), number)
                self.assert_ended()
                self.tmux("kill-server")
                self.servers += 1
                (self.folder / "status").unlink()
                (self.folder / "pid").unlink()

    def test_resize_and_scroll(self):
        self.begin("--device", EDU, "--device", TESTDEV, "--device", "nvme,addr=03:00.0")
        self.wait_for(lambda: "03:00.0" in self.screen(), "all devices")
        self.tmux("resize-window", "-t", "test", "-x", "40", "-y", "8")
        self.wait_for(lambda: "up/down scroll" in self.screen(), "the smaller screen")
        self.wait_for(lambda: "03:00.0" not in self.screen(), "what does not fit is cut")
        self.assertTrue(all(len(line) <= 40 for line in self.screen().split("\n")))
        for _ in range(20):
            self.tmux("send-keys", "-t", "test", "Down")
        self.wait_for(lambda: "03:00.0" in self.screen(), "the end, scrolled to")
        self.tmux("resize-window", "-t", "test", "-x", "1", "-y", "1")
        time.sleep(0.3)
        self.tmux("resize-window", "-t", "test", "-x", "100", "-y", "30")
        self.wait_for(lambda: "01:00.0" in self.screen() and "03:00.0" in self.screen(),
                      "the larger screen")
        self.tmux("send-keys", "-t", "test", "Escape")
        self.assert_ended()

    def test_a_host_that_ends(self):
        with Dextd(EDU) as dextd:
            self.begin(socket=dextd.socket)
            self.wait_for(lambda: "present" in self.screen(), "the device")
            dextd.stop()
            self.wait_for(lambda: "gone" in self.screen(), "the device has gone")
        self.tmux("send-keys", "-t", "test", "q")
        self.assert_ended()

    def test_unknown_terminal(self):
        script = f"TERM=nonsense exec {shlex.quote(os.path.abspath(DEXTCTL))} monitor --device {EDU} 2>error"
        self.tmux("new-session", "-d", "-s", "test", "sh", "-c",
                  f"cd {shlex.quote(str(self.folder))}; ({script}); echo $? >status.new; "
                  "mv status.new status")
        self.addCleanup(self.tmux, "kill-server")
        self.wait_for((self.folder / "status").exists, "it ends")
        self.assertEqual((self.folder / "status").read_text(encoding="utf-8"), "1\n")
        self.assertIn("does not know this terminal",
                      (self.folder / "error").read_text(encoding="utf-8"))


if __name__ == "__main__":
    toolstest.main()

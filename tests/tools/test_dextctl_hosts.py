#!/usr/bin/env python3
"""dextctl and what serves it: several roots, hosts that come and go or are not there, the demo.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import pty
import re
import signal
import subprocess
import unittest

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run


class Watch(toolstest.ToolTest):
    """dextctl list --watch, and who holds claims."""

    def watcher(self, host, *options):
        return subprocess.Popen([DEXTCTL, "list", "--watch", *options],
                                env=environment(host.socket), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_departures_as_they_happen(self):
        with Dextd(EDU, TESTDEV) as host:
            with self.watcher(host, "--count", "4", "--seconds", "3600") as watcher:
                lines = [watcher.stdout.readline().split() for _ in range(3)]
                self.assertEqual(lines[0][:5], ["ADDRESS", "ROOT", "ID", "NAME", "STATE"])
                self.assertEqual([(line[0], line[4]) for line in lines[1:]],
                                 [("01:00.0", "present"), ("02:00.0", "present")])
                self.assertEqual(host.stop(), 0)
                out, err = watcher.communicate(timeout=toolstest.SECONDS)
            self.assertEqual((watcher.returncode, err), (0, ""))
            self.assertEqual(sorted((line.split()[0], line.split()[4])
                                    for line in out.splitlines()),
                             [("01:00.0", "gone"), ("02:00.0", "gone")])

    def test_json_lines(self):
        with Dextd(EDU) as host:
            with self.watcher(host, "--json", "--count", "2") as watcher:
                first = json.loads(watcher.stdout.readline())
                self.assertEqual((first["address"], first["state"]), ("01:00.0", "present"))
                self.assertEqual(host.stop(), 0)
                out, err = watcher.communicate(timeout=toolstest.SECONDS)
            self.assertEqual((watcher.returncode, err), (0, ""))
            self.assertEqual(json.loads(out)["state"], "gone")
            self.assertEqual(json.loads(out)["entry_id"], first["entry_id"])

    def test_an_interrupted_watch_ends_well(self):
        with Dextd(EDU) as host:
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.watcher(host) as watcher:
                    watcher.stdout.readline()
                    watcher.stdout.readline()
                    watcher.send_signal(number)
                    out, err = watcher.communicate(timeout=toolstest.SECONDS)
                self.assertEqual((watcher.returncode, out, err), (0, "", ""))

    def test_time_and_count_end_it(self):
        device = ("--device", EDU)
        def watched():  # a watch may end before a busy machine has let its thread see anything
            return self.assert_fine(run("list", "--watch", "-s", "0.2", *device)).splitlines()
        self.assertTrue(toolstest.wait_until(lambda: len(watched()) == 2))
        self.assertEqual(len(self.assert_fine(run("list", "--watch", "-n", "1",
                                                  *device)).splitlines()), 2)
        self.assert_fails(run("list", "-n", "1", *device), 2, "--watch")
        self.assert_fails(run("list", "--watch"), 1, "no devices", "dextd")

    def test_claims(self):
        with Dextd(TESTDEV) as host:
            def claims():
                text = self.assert_fine(run("list", "--json", socket=host.socket))
                return json.loads(text)["devices"][0]["claimed_by"]
            self.assertEqual(claims(), [])
            with subprocess.Popen([DEXTCTL, "irq", "watch", "02:00.0"], text=True,
                                  env=environment(host.socket), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as other:
                self.assertIn("watching", other.stdout.readline())
                self.assertEqual(claims(), [f"pid {other.pid}, dextctl"])
                self.assertIn(f"pid {other.pid}, dextctl", run("list", socket=host.socket).out)
                other.kill()
                other.communicate()
            self.assertTrue(toolstest.wait_until(lambda: not claims()))


class Log(toolstest.ToolTest):
    def test_nothing_unless_asked_for(self):
        self.assert_fine(run("list", "--device", EDU, log=""))

    def test_the_client_speaks_at_its_level(self):
        arguments = ("reset", "01:00.0", "--device", EDU)
        said = run(*arguments, log="info")
        self.assertEqual(said.status, 0)
        self.assertIn("dextlink: info: client: connected to 01:00.0\n", said.err)
        self.assertNotIn("client:", run(*arguments, log="warning").err)

    def test_an_unknown_level_is_refused(self):
        self.assert_fails(run("list", "--device", EDU, log="loud"), 2, "DEXTLINK_LOG=loud",
                          "error, warning, info or debug")

    def test_a_refused_access_is_named(self):
        result = run("dma", "test", "01:00.0", "--size", "4096", "--device",
                     EDU + ",dma_mask=0xfffffff", log="warning")
        self.assertEqual(result.status, 1)
        self.assertRegex(result.err, r"dextlink: warning: dart: 01:00\.0: read of \d+ bytes at 0x")
        self.assertIn("the copy of 4 KiB differs at byte 0", result.err)


class TwoRoots(toolstest.ToolTest):
    def test_ambiguous_address(self):
        roots = ("--device", EDU + ",root=left", "--device",
                 "testdev,addr=01:00.0,root=right")
        result = run("config", "read", "01:00.0", "0", *roots)
        self.assert_fails(result, 1, "01:00.0", "ambiguous", "left", "right")
        for root, ids in (("left", "0x11e81234"), ("right", "0x7e571234")):
            out = self.assert_fine(run("config", "read", f"{root}/01:00.0", "0", *roots))
            self.assertEqual(out.strip(), ids)


class NoHost(toolstest.ToolTest):
    def test_nothing_to_list_is_no_error(self):
        result = run("list")
        self.assertEqual((result.status, result.out), (0, ""))
        self.assertIn("no devices", result.err)
        self.assertEqual(json.loads(run("list", "--json").out), {"devices": []})

    def test_missing_device_hints_at_the_host(self):
        self.assert_fails(run("show", "01:00.0"), 1, "01:00.0: no devices", "dextd")
        self.assertIn("no dextd at /nonexistent/dextlink.sock: No such file or directory\n",
                      run("list", log="info").err)

    def test_dead_socket(self):
        with Dextd(EDU) as host:
            host.process.kill()
            host.process.communicate()
            self.assertTrue(host.socket.exists())
            self.assert_fails(run("show", "01:00.0", socket=host.socket), 1, "01:00.0", "dextd")

    def test_host_that_ends_under_a_watcher(self):
        with Dextd(TESTDEV) as host:
            with subprocess.Popen([DEXTCTL, "irq", "watch", "02:00.0", "--seconds", "3600",
                                   "--count", "1"], env=environment(host.socket), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watcher:
                self.assertIn("watching", watcher.stdout.readline())
                self.assertEqual(host.stop(), 0)
                out, err = watcher.communicate(timeout=toolstest.SECONDS)
            self.assertEqual((watcher.returncode, out), (1, "0 interrupts\n"))
            self.assertRegex(err, r"^dextctl: 02:00\.0: cannot wait for interrupts: .*gone")


class Demo(toolstest.ToolTest):
    STEPS = ["host", "list", "claim", "header", "map", "compute", "register", "dma in", "dma out",
             "arm", "interrupts", "reset", "leave"]

    def test_all_steps_pass(self):
        out = self.assert_fine(run("demo"))
        self.assertNotIn("\033", out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)
        steps = re.findall(r"(?m)^(\S+) +([\d.]+) ms  (\S+(?: \S+)?) {2,}(.+)$", out)
        self.assertEqual([(s[0], s[2]) for s in steps], [("ok", name) for name in self.STEPS])
        seen = {s[2]: s[3] for s in steps}
        self.assertIn("1234:11e8", seen["list"])
        self.assertIn("10! = 3628800", seen["compute"])
        self.assertIn("all 4096 bytes equal", seen["dma out"])
        self.assertIn("5 taken", seen["interrupts"])
        self.assertRegex(out, rf"\nall {len(self.STEPS)} steps passed in [\d.]+ ms\n$")

    def test_bus_addresses_are_not_the_iovas(self):
        pairs = re.findall(r"iova (0x\w+) -> bus (0x\w+)", run("demo").out)
        self.assertEqual(len(pairs), 2)
        for iova, bus in pairs:
            self.assertNotEqual(iova, bus)

    def on_a_terminal(self, **variables):
        controller, terminal = pty.openpty()
        env = {**environment(), "TERM": "xterm", **variables}
        with subprocess.Popen([DEXTCTL, "demo"], env=env, stdout=terminal, stderr=terminal,
                              stdin=subprocess.DEVNULL) as process:
            os.close(terminal)
            out = b""
            while True:
                try:
                    piece = os.read(controller, 4096)
                except OSError:
                    break
                if not piece:
                    break
                out += piece
        os.close(controller)
        self.assertEqual(process.returncode, 0)
        return out.decode()

    def test_colour_on_a_terminal_only_and_not_against_the_users_will(self):
        self.assertIn("\033[", self.on_a_terminal())
        self.assertNotIn("\033", self.on_a_terminal(NO_COLOR="1"))
        self.assertNotIn("\033", self.on_a_terminal(TERM="dumb"))


class OtherListeners(toolstest.ToolTest):
    """What answers at once and is no host: there are no devices, and the reason is told."""

    def check(self, said, **manner):
        with toolstest.Listener(**manner) as listener:
            result = run("list", socket=listener.path)
            self.assertEqual((result.status, result.out), (0, ""))
            self.assertIn(f"{listener.path}: {said}", result.err)
            self.assert_fails(run("show", "01:00.0", socket=listener.path), 1, "01:00.0", said)

    def test_one_that_hangs_up(self):
        self.check("it hangs up: it serves other users, or is no dextd", closes=True)

    def test_one_that_speaks_otherwise(self):
        self.check("what answers there is no dextd", answer=b"220 mail.example ESMTP" * 8)

    def test_a_path_that_is_too_long(self):
        result = run("list", socket="/" + "x" * 200)
        self.assertEqual((result.status, result.out), (0, ""))
        self.assertIn("the socket's path is longer than 107 bytes", result.err)

    def test_paths_that_are_no_sockets(self):
        for path in ("/", __file__):
            self.assertIn(f"no dextd at {path}: it is no socket", run("list", socket=path).err)
        done = subprocess.run([DEXTCTL, "list"], env=environment() | {"DEXTLINK_SOCKET": ""},
                              capture_output=True, text=True, timeout=toolstest.SECONDS, check=False)
        self.assertIn("the socket's path is empty", done.stderr)

    def test_a_socket_whose_dextd_has_died(self):
        with Dextd(EDU) as host:
            host.process.kill()
            host.process.communicate()
            self.assertIn(f"{host.socket}: Connection refused: the one that made it has died",
                          run("list", socket=host.socket).err)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_a_socket_of_another_user(self):
        with Dextd(EDU) as host:
            result = toolstest.run_unprivileged(host.socket.parent, "list", socket=host.socket)
            self.assertIn(f"{host.socket}: Permission denied: a dextd there serves other users",
                          result.err)


class Environment(toolstest.ToolTest):
    """What nobody knows is refused instead of passed over, by every program."""
    RIGHT = (("DEXTLINK_SLOTS", "on"), ("DEXTLINK_SLOTS", "off"), ("DEXTLINK_SLOTS", ""),
             ("DEXTLINK_PATIENCE", "1"), ("DEXTLINK_PATIENCE", "86400"), ("DEXTLINK_LOG", ""))
    WRONG = (("DEXTLINK_SLOTS", "of"), ("DEXTLINK_SLOTS", "0"), ("DEXTLINK_PATIENCE", "0"),
             ("DEXTLINK_PATIENCE", "-1"), ("DEXTLINK_PATIENCE", "86401"),
             ("DEXTLINK_PATIENCE", "9" * 40), ("DEXTLINK_PATIENCE", "5s"), ("DEXTLINK_LOG", "loud"))

    def of(self, name, value, *command):
        return subprocess.run(command, env=environment() | {name: value}, capture_output=True,
                              text=True, timeout=toolstest.SECONDS, check=False)

    def test_what_is_known(self):
        for name, value in self.RIGHT:
            done = self.of(name, value, DEXTCTL, "list", "--device", EDU)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_is_not(self):
        for command in ((DEXTCTL, "list", "--device", EDU),
                        (toolstest.DEXTD, "--device", EDU, "--socket", "/nonexistent/socket")):
            for name, value in self.WRONG:
                done = self.of(name, value, *command)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertRegex(done.stderr, rf"^dext(ctl|d): {name}={value}: want [^\n]+\n$")

    def test_a_trace_that_cannot_be_written(self):
        done = self.of("DEXTLINK_TRACE", "/dev/full", DEXTCTL, "config", "read", "01:00.0", "0",
                       "--device", EDU)
        self.assertEqual((done.returncode, done.stdout), (0, "0x11e81234\n"))
        self.assertEqual(done.stderr, "dextlink: DEXTLINK_TRACE=/dev/full: No space left on device: "
                                      "the trace ends here\n")


if __name__ == "__main__":
    toolstest.main()

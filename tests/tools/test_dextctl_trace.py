#!/usr/bin/env python3
"""dextctl trace: hops of a command, summaries, JSON trace events.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, EDU, Dextd, environment, run

READ = (DEXTCTL, "config", "read", "01:00.0", "0", "--device", EDU)
# Line by line: what a trace may look like, and what each call took.
SAMPLE = """\
10.000000000 call=2a00000001 iokit    IOConnectCallMethod selector=8 (0x0,0x4)
10.000001000 call=2a00000001 wire     request type=16, 128 bytes
10.000002000 call=2a00000001 dext     client=1 CONFIG_READ(0x0,0x4) kIOReturnSuccess
10.000003000 call=2a00000001 wire     reply type=16, 24 bytes (0)
10.000004000 call=2a00000001 iokit    selector=8 -> 0x0 (0x11e81234)
no line of a trace
10.000005000 call=2b00000001 iokit    IOConnectCallMethod selector=8 (0x0,0x3)
10.000025000 call=2b00000001 iokit    selector=8 -> 0xe00002c2 ()
10.000006000 call=2a00000002 iokit    IOConnectCallMethod selector=99 ()
10.000106000 call=2a00000002 iokit    selector=99 -> 0xe00002c7 ()
10.000200000 call=2a00000003 iokit    trapped load type=1 offset=0x0 width=4
10.000201000 call=2a00000003 wire     request type=18, 32 bytes
10.000230000 call=2a00000003 wire     reply type=18, 8 bytes (0)
10.000300000 call=2c00000001 dext     client=1 CLAIM() kIOReturnNotOpen
10.000400000 call=0 dart     something on its own
10.000500000 call=2a00000009 iokit    IOConnectCallMethod selector=1 ()
"""


def trace(*arguments, **options):
    return run("trace", *arguments, **options)


class Trace(toolstest.ToolTest):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="trace-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.sample = self.folder / "sample"
        self.sample.write_text(SAMPLE, encoding="utf-8")

    def events(self, path):
        """The events of a file, checked against the trace event format."""
        top = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual(set(top), {"displayTimeUnit", "traceEvents"})
        rows = {}
        for event in top["traceEvents"]:
            self.assertIn(event["ph"], "XiM")
            self.assertTrue(event["name"] and isinstance(event["cat"], str), event)
            for key in ("pid", "tid"):
                self.assertIsInstance(event[key], int)
            self.assertGreaterEqual(event["ts"], 0)
            self.assertIsInstance(event["args"], dict)
            if event["ph"] == "X":
                self.assertGreaterEqual(event["dur"], 0)
                rows.setdefault((event["pid"], event["tid"]), []).append(
                    (event["ts"], round(event["ts"] + event["dur"], 3)))
            elif event["ph"] == "i":
                self.assertIn(event["s"], ("g", "p", "t"))
            else:
                self.assertEqual((event["name"], list(event["args"])), ("process_name", ["name"]))
        for spans in rows.values():  # on one row they nest or are apart
            open_ = []
            for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
                while open_ and open_[-1] <= start:
                    open_.pop()
                self.assertTrue(not open_ or end <= open_[-1], spans)
                open_.append(end)
        return [event for event in top["traceEvents"] if event["ph"] != "M"]

    def test_hops_of_a_command(self):
        result = trace("--", *READ)
        self.assertEqual((result.status, result.out), (0, "0x11e81234\n"))
        lines = [line.split(None, 4) for line in result.err.splitlines()]
        reads = [line for line in lines if "ConfigRead" in line[4]]
        self.assertEqual(reads[0][3:], ["iokit", "ConfigRead (0x0,0x4)"])
        hops = [line[3] for line in lines if line[2] == reads[0][2]]
        self.assertEqual(hops[0], "iokit")
        self.assertEqual(hops[-4:], ["backend", "provider", "dext", "iokit"])
        self.assertEqual([line[4] for line in lines if line[2] == reads[0][2]][-1],
                         "selector=8 -> 0x0 (0x11e81234)")
        times = [float(line[0]) for line in lines if line[2] == reads[0][2]]
        self.assertEqual(times, sorted(times))

    def test_json_lines(self):
        result = trace("--json", "--", *READ)
        lines = [json.loads(line) for line in result.err.splitlines()]
        self.assertEqual(set(lines[0]), {"time_ms", "process", "call", "hop", "text"})
        self.assertTrue(any("selector=8 (0x0,0x4)" in line["text"] for line in lines))

    def test_with_the_file_of_dextd(self):
        file = self.folder / "dextd"
        file.touch()
        variables = os.environ.get("DEXTLINK_TRACE")
        original = toolstest.environment
        toolstest.environment = lambda *a: original(*a) | {"DEXTLINK_TRACE": str(file)}
        try:
            dextd = Dextd(EDU).__enter__()
        finally:
            toolstest.environment = original
        self.addCleanup(dextd.__exit__)
        self.assertIsNone(variables)
        out = self.folder / "out.json"
        result = trace("-o", out, file, "--", *READ[:5], socket=dextd.socket)
        self.assertEqual((result.status, result.out, result.err), (0, "0x11e81234\n", ""))
        events = self.events(out)
        read = next(e for e in events if e["name"] == "ConfigRead" and e["args"]["code"] == "0x0")
        call = (read["pid"], read["args"]["call"])
        self.assertEqual((read["ph"], read["args"]["arguments"]), ("X", "(0x0,0x4)"))
        host = {e["cat"]: e["args"]["text"] for e in events
                if e["pid"] == 1 and (e["args"]["process"], e["args"]["call"]) == call}
        self.assertEqual(set(host), {"dext", "provider", "backend"})
        self.assertIn("CONFIG_READ(0x0,0x4) kIOReturnSuccess", host["dext"])
        dextd.stop()

    def test_events_of_a_sample(self):
        out = self.folder / "out.json"
        self.assert_fine(trace("-o", out, self.sample))
        events = self.events(out)
        calls = [(e["pid"], e["name"], e["ph"], e["ts"], e.get("dur")) for e in events
                 if e["cat"] == "iokit"]
        self.assertEqual(sorted(calls), [
            (0x2a, "Claim", "i", 500, None), (0x2a, "ConfigRead", "X", 0, 4),
            (0x2a, "selector 99", "X", 6, 100), (0x2a, "trapped load", "X", 200, 30),
            (0x2b, "ConfigRead", "X", 5, 20)])
        self.assertEqual([e["args"]["text"] for e in events if e["cat"] == "dart"],
                         ["something on its own"])
        bad = next(e for e in events if e["pid"] == 0x2b and e["name"] == "ConfigRead")
        self.assertEqual(bad["args"], {"call": 1, "arguments": "(0x0,0x3)", "code": "0xe00002c2",
                                       "result": "()"})

    def test_overlapping_calls_have_rows_of_their_own(self):
        self.sample.write_text("".join(
            f"1.{start:09} call=2a0000000{n} iokit    IOConnectCallMethod selector=1 ()\n"
            f"1.{end:09} call=2a0000000{n} iokit    selector=1 -> 0x0 ()\n"
            for n, start, end in ((1, 0, 500), (2, 100, 600), (3, 550, 700), (4, 650, 800))),
            encoding="utf-8")
        out = self.folder / "out.json"
        self.assert_fine(trace("-o", out, self.sample))
        rows = {e["args"]["call"]: e["tid"] for e in self.events(out)}
        self.assertEqual(rows, {1: 1, 2: 2, 3: 1, 4: 2})

    def test_summary(self):
        out = self.assert_fine(trace("--summary", self.sample))
        lines = [line.split() for line in out.splitlines()]
        self.assertEqual(lines[0][:3], ["CALL", "COUNT", "ERRORS"])
        rows = json.loads(self.assert_fine(trace("--summary", "--json", self.sample)))
        self.assertEqual((rows["lines"], rows["lost"]), (15, 0))
        self.assertEqual(rows["calls"], [
            {"call": "Claim", "count": 1, "errors": 0, "p50_us": None, "p99_us": None,
             "max_us": None},
            {"call": "ConfigRead", "count": 2, "errors": 1, "p50_us": 4.0, "p99_us": 20.0,
             "max_us": 20.0},
            {"call": "dext CLAIM", "count": 1, "errors": 1, "p50_us": None, "p99_us": None,
             "max_us": None},
            {"call": "selector 99", "count": 1, "errors": 1, "p50_us": 100.0, "p99_us": 100.0,
             "max_us": 100.0},
            {"call": "trapped load", "count": 1, "errors": 0, "p50_us": 30.0, "p99_us": 30.0,
             "max_us": 30.0}])

    def test_percentiles(self):
        self.sample.write_text("".join(
            f"1.{n * 1000:09} call={n:x}00000001 iokit    IOConnectCallMethod selector=12 ()\n"
            f"1.{n * 1000 + n * 10:09} call={n:x}00000001 iokit    selector=12 -> 0x0 ()\n"
            for n in range(200, 0, -1)), encoding="utf-8")
        row, = json.loads(trace("--summary", "--json", self.sample).out)["calls"]
        self.assertEqual(row, {"call": "MMIOWrite", "count": 200, "errors": 0, "p50_us": 1.0,
                               "p99_us": 1.98, "max_us": 2.0})

    def test_status_is_the_commands(self):
        for script, status in (("exit 7", 7), ("kill -9 $$", 137), ("exit 0", 0)):
            result = trace("--", "/bin/sh", "-c", script)
            self.assertEqual((result.status, result.out), (status, ""))
            self.assertIn("nothing was traced", result.err)

    def test_options_behind_the_dashes_are_the_commands(self):
        result = trace("--summary", "--", "/bin/echo", "--", "--json", "-o", "x")
        self.assertEqual((result.status, result.out), (0, "-- --json -o x\n"))

    def test_follow(self):
        with subprocess.Popen([DEXTCTL, "trace", "--follow", self.sample], text=True,
                              stdout=subprocess.PIPE, env=environment()) as process:
            self.addCleanup(process.kill)
            lines = [process.stdout.readline() for _ in range(15)]
            self.assertTrue(all(lines))
            with open(self.sample, "a", encoding="utf-8") as file:
                file.write("11.000000000 call=1 dart     la")
                file.flush()
                time.sleep(0.1)
                file.write("ter\n")
            self.assertEqual(process.stdout.readline().split()[3:], ["dart", "later"])
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(toolstest.SECONDS), 0)

    def test_a_signal_is_passed_on(self):
        with subprocess.Popen([DEXTCTL, "trace", "--", "/bin/sh", "-c", "echo $$; sleep 60 & wait"],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env=environment(), start_new_session=True) as process:
            pid = int(process.stdout.readline())
            process.terminate()
            self.assertEqual(process.wait(toolstest.SECONDS), 128 + signal.SIGTERM)
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)
            try:
                os.killpg(process.pid, signal.SIGKILL)  # the sleep
            except ProcessLookupError:
                pass  # it had not been started yet

    def test_bad_lines_are_left_out(self):
        good = SAMPLE.splitlines(keepends=True)[0]
        self.sample.write_text("1.5 call=1 dart x\n1.000000000 call=x dart x\n"
                               "-1.000000000 call=1 dart x\n99999999999999999999.000000000 call=1 d x\n"
                               "1.000000000 call=1 averyverylonghop x\n\n" + "x" * 20000 + "\n" + good,
                               encoding="utf-8")
        out = self.assert_fine(trace(self.sample))
        self.assertEqual(len(out.splitlines()), 1)

    def test_usage(self):
        self.assert_fails(trace("--"), 2, "no command")
        self.assert_fails(trace("--device", EDU, "--", "true"), 2, "--device")
        self.assert_fails(trace("--follow", "--", "true"), 2, "--follow")
        self.assert_fails(trace(*["x"] * 17), 2, "too many")
        self.assert_fails(trace(*["x"] * 16), 2, "at most")
        self.assert_fails(trace("/nonexistent/file"), 1, "No such file")
        self.assert_fails(trace("--", "/nonexistent/program"), 1, "cannot run")
        self.assert_fails(trace("-o", "/nonexistent/x", self.sample), 1, "No such file")
        self.assert_fails(trace("-o", "/dev/full", self.sample), 1, "No space")


if __name__ == "__main__":
    toolstest.main()

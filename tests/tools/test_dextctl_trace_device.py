#!/usr/bin/env python3
"""dextctl trace of devices: what drivers keep of their clients' calls, read from a running dextd.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import select
import signal
import subprocess
import tempfile
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

BARE = "edu,addr=03:00.0,extensions=off"
TWINS = ("edu,addr=07:00.0,root=left", "edu,addr=07:00.0,root=right")
KEPT = 1024


def read(dextd, address="01:00.0", *registers):
    """Config registers, which are that many calls of ConfigRead."""
    return run("config", "read", address, *(registers or ("0",)), socket=dextd.socket)


def call_often(dextd):
    """More calls than are kept."""
    done = run("bar", "dump", "02:00.0", "2", "0", 8 * KEPT, "--call", socket=dextd.socket)
    assert done.status == 0, done


class TraceDevice(toolstest.ToolTest):

    def start(self, *devices):
        dextd = Dextd(*devices).__enter__()
        self.addCleanup(dextd.__exit__)
        return dextd

    def trace(self, dextd, *arguments):
        return run("trace", *arguments, socket=dextd.socket)

    def follow(self, dextd, *arguments):
        """A trace that goes on."""
        process = subprocess.Popen([DEXTCTL, "trace", *map(str, arguments)], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment(dextd.socket))
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def lines_after(self, process, dextd, address="01:00.0"):
        """A call is made again and again until the first line comes; that line."""
        def came():
            self.assertIsNone(process.poll())
            read(dextd, address)
            return select.select([process.stdout], [], [], 0)[0]
        self.assertTrue(toolstest.wait_until(came))
        return process.stdout.readline()

    def end(self, process, number=signal.SIGINT):
        process.send_signal(number)
        out, err = process.communicate(timeout=toolstest.SECONDS)
        return process.returncode, out, err

    def test_what_was_called_before_anybody_asked(self):
        dextd = self.start(EDU)
        self.assertEqual(read(dextd).out, "0x11e81234\n")
        out = self.assert_fine(self.trace(dextd, "--recent", "01:00.0"))
        lines = [line.split(None, 4) for line in out.splitlines()]
        self.assertEqual([line[1:3] for line in lines], [["ms", "01:00.0"]] * len(lines))
        reads = [line for line in lines if line[4].startswith("ConfigRead (0x0,0x4) -> success,")]
        self.assertEqual(len(reads), 1, out)
        self.assertRegex(reads[0][3], r"^\d+#1$")
        self.assertRegex(reads[0][4], r", \d+\.\d us$")
        times = [float(line[0]) for line in lines]
        self.assertEqual((times[0], times), (0, sorted(times)))

    def test_json_and_errors(self):
        dextd = self.start(TESTDEV)
        self.assertEqual(run("dma", "test", "02:00.0", socket=dextd.socket).status, 0)
        run("bar", "read", "02:00.0", "0", "0x80000000", "--call", "--force", socket=dextd.socket)
        out = self.assert_fine(self.trace(dextd, "--recent", "--json", "02:00.0"))
        calls = [json.loads(line) for line in out.splitlines()]
        for call in calls:
            self.assertEqual(list(call), ["time_ms", "device", "process", "client", "sequence", "call",
                                          "inputs", "code", "result", "duration_us"])
            self.assertEqual((call["device"], call["code"] == "0x0"), ("02:00.0", call["result"] == "success"))
        self.assertEqual([call["sequence"] for call in calls], list(range(len(calls))))
        register = next(call for call in calls if call["call"] == "RegisterDMARegion")
        self.assertEqual((len(register["inputs"]), register["inputs"][1]), (3, None))
        self.assertIn("trapped store", {call["call"] for call in calls})
        text = self.assert_fine(self.trace(dextd, "--recent", "02:00.0"))
        self.assertIn(f"RegisterDMARegion ({register['inputs'][0]},hidden,", text)

    def test_it_goes_on_with_what_comes(self):
        dextd = self.start(EDU)
        read(dextd, "01:00.0", "0x3c.B")  # before: not to be seen
        process = self.follow(dextd, "01:00.0")
        first = self.lines_after(process, dextd)
        self.assertIn("01:00.0", first)
        read(dextd, "01:00.0", "0x2c")
        line = process.stdout.readline()
        while "ConfigRead (0x2c,0x4) -> success" not in line:
            self.assertTrue(line)
            self.assertNotIn("0x3c", line)
            line = process.stdout.readline()
        self.assertEqual(self.end(process)[::2], (0, ""))

    def test_recent_and_on(self):
        dextd = self.start(EDU)
        read(dextd, "01:00.0", "0x3c.B")
        process = self.follow(dextd, "--recent", "--follow", "01:00.0")
        lines = [process.stdout.readline()]
        while "ConfigRead (0x3c,0x1)" not in lines[-1]:
            self.assertTrue(lines[-1])
            lines.append(process.stdout.readline())
        read(dextd, "01:00.0", "0x2c")
        while "ConfigRead (0x2c,0x4)" not in lines[-1]:
            self.assertTrue(lines[-1])
            lines.append(process.stdout.readline())
        self.assertEqual(self.end(process, signal.SIGTERM)[::2], (0, ""))

    def test_an_overrun_is_told(self):
        """A trace that is stopped cannot read; what it missed it says when it goes on."""
        dextd = self.start(TESTDEV)
        process = self.follow(dextd, "--json", "02:00.0")
        self.lines_after(process, dextd, "02:00.0")
        process.send_signal(signal.SIGSTOP)
        call_often(dextd)
        process.send_signal(signal.SIGCONT)
        read(dextd, "02:00.0", "0x2c")
        lost, expected = 0, None
        line = json.loads(process.stdout.readline())
        while line.get("inputs") != ["0x2c", "0x4"]:
            if "lost" in line:
                self.assertEqual(set(line), {"time_ms", "device", "lost"})
                lost += line["lost"]
                expected = None if expected is None else expected + line["lost"]
            else:
                if expected is not None:
                    self.assertEqual(line["sequence"], expected)
                expected = line["sequence"] + 1
            line = json.loads(process.stdout.readline())
        self.assertGreater(lost, KEPT // 2)
        self.assertEqual(self.end(process)[0], 0)

    def test_lost_calls_in_words(self):
        dextd = self.start(TESTDEV)
        process = self.follow(dextd, "02:00.0")
        self.lines_after(process, dextd, "02:00.0")
        process.send_signal(signal.SIGSTOP)
        call_often(dextd)
        process.send_signal(signal.SIGCONT)
        read(dextd, "02:00.0")  # a gap is told of with the call behind it
        line = process.stdout.readline()
        while "lost" not in line:
            self.assertTrue(line)
            line = process.stdout.readline()
        # Half read, its output is stuck in the pipe: the end waits for the reader.
        self.assertRegex(line, r"ms  02:00\.0 +\d+ calls lost: they came faster than they were read$")
        self.assertEqual(self.end(process)[0], 0)

    def test_filter_by_client(self):
        dextd = self.start(EDU)
        pids = []
        for register in ("0x2c", "0x3c.B"):
            with subprocess.Popen([DEXTCTL, "config", "read", "01:00.0", register],
                                  stdout=subprocess.DEVNULL, env=environment(dextd.socket)) as client:
                client.wait(toolstest.SECONDS)
                pids.append(client.pid)
        for pid, offset in zip(pids, ("0x2c", "0x3c")):
            out = self.assert_fine(self.trace(dextd, "--recent", "--json", "--client", pid, "01:00.0"))
            calls = [json.loads(line) for line in out.splitlines()]
            self.assertEqual({call["process"] for call in calls}, {pid})
            self.assertIn(offset, [call["inputs"][0] for call in calls if call["inputs"]])
        self.assertEqual(self.assert_fine(self.trace(dextd, "--recent", "--client", os.getpid())), "")

    def test_summary(self):
        dextd = self.start(EDU)
        read(dextd, "01:00.0", *["0"] * 30)
        rows = json.loads(self.assert_fine(self.trace(dextd, "--recent", "--summary", "--json")))
        row = next(row for row in rows["calls"] if row["call"] == "ConfigRead")
        self.assertGreaterEqual(row["count"], 30)
        self.assertEqual(row["errors"], 0)
        self.assertTrue(0 < row["p50_us"] <= row["p99_us"] <= row["max_us"])
        self.assertEqual((rows["records"], rows["lost"]), (sum(row["count"] for row in rows["calls"]), 0))
        text = self.assert_fine(self.trace(dextd, "--recent", "--summary"))
        self.assertEqual(text.split()[:3], ["CALL", "COUNT", "ERRORS"])

    def test_summary_of_a_while(self):
        dextd = self.start(EDU)
        read(dextd, "01:00.0", "0x3c.B")
        out = self.assert_fine(self.trace(dextd, "--summary", "--seconds", "0.2", "--json"))
        self.assertEqual(json.loads(out), {"calls": [], "records": 0, "lost": 0})

    def test_trace_events(self):
        dextd = self.start(EDU, TESTDEV)
        read(dextd)
        run("dma", "test", "02:00.0", socket=dextd.socket)
        with tempfile.TemporaryDirectory(prefix="trace-test-") as folder:
            path = Path(folder) / "out.json"
            self.assertEqual(self.assert_fine(self.trace(dextd, "--recent", "-o", path)), "")
            top = json.loads(path.read_text(encoding="utf-8"))
            self.assertEqual(set(top), {"displayTimeUnit", "traceEvents"})
            self.assert_fails(self.trace(dextd, "--recent", "-o", "/dev/full"), 1, "No space")
        names = {event["pid"]: event["args"]["name"] for event in top["traceEvents"]
                 if event["ph"] == "M"}
        calls = [event for event in top["traceEvents"] if event["ph"] == "X"]
        self.assertEqual({event["args"]["device"] for event in calls}, {"01:00.0", "02:00.0"})
        ends = {}
        for event in calls:
            self.assertEqual(names[event["pid"]], f"client {event['pid']}")
            self.assertTrue(event["ts"] >= 0 and event["dur"] >= 0 and event["cat"] == "dext")
            row = (event["pid"], event["tid"])  # calls on a row do not overlap
            self.assertLessEqual(ends.get(row, 0), event["ts"])
            ends[row] = round(event["ts"] + event["dur"], 3)
        read_event = next(event for event in calls if event["name"] == "ConfigRead" and
                          event["args"]["arguments"] == "(0x0,0x4)")
        self.assertEqual((read_event["args"]["code"], read_event["args"]["result"]), ("0x0", "success"))

    def test_all_devices_and_those_with_one_address(self):
        dextd = self.start(EDU, *TWINS)
        for address in ("01:00.0", "left/07:00.0", "right/07:00.0"):
            self.assertEqual(read(dextd, address).status, 0)
        for arguments in ((), ("left/07:00.0", "01:00.0", "right/07:00.0")):
            out = self.assert_fine(self.trace(dextd, "--recent", *arguments))
            self.assertEqual({line.split()[2] for line in out.splitlines()},
                             {"01:00.0", "left/07:00.0", "right/07:00.0"})
        self.assert_fails(self.trace(dextd, "--recent", "07:00.0"), 1, "left", "right")

    def test_the_real_driver_keeps_nothing(self):
        dextd = self.start(EDU, BARE)
        read(dextd)
        self.assert_fails(self.trace(dextd, "--recent", "03:00.0"), 1, "03:00.0",
                          "keeps no record of calls", "the real one", "trace -- COMMAND")
        both = self.trace(dextd, "--recent")  # the other is traced all the same
        self.assertEqual(both.status, 0)
        self.assertIn("03:00.0: this driver keeps no record", both.err)
        self.assertIn("ConfigRead", both.out)

    def test_a_device_that_goes(self):
        dextd = self.start(EDU)
        process = self.follow(dextd, "01:00.0")
        self.lines_after(process, dextd)
        dextd.stop()
        _, err = process.communicate(timeout=toolstest.SECONDS)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(err.splitlines()), 1)
        self.assertIn("01:00.0: its calls end here: ", err)

    def test_usage(self):
        dextd = self.start(EDU)
        with tempfile.TemporaryDirectory(prefix="trace-test-") as folder:
            file = Path(folder) / "01:00.0"
            file.write_text("1.000000000 call=1 dart x\n", encoding="utf-8")
            for arguments in (("01:00.0", file), ("01:00.0", "--", "true")):
                self.assert_fails(self.trace(dextd, *arguments), 2, "neither a file nor a command")
            # What is there as a file is a file.
            result = run("trace", "01:00.0", program=Path(DEXTCTL).resolve(), cwd=folder)
            self.assertEqual((result.status, len(result.out.splitlines())), (0, 1))
            for option in (("--recent",), ("--client", "1")):
                self.assert_fails(run("trace", *option, file), 2, "for devices")
        for pid in ("0", "x", "-1", str(2 ** 32)):
            self.assert_fails(self.trace(dextd, f"--client={pid}"), 2, "--client", "process id")
        self.assert_fails(self.trace(dextd, "--recent", "05:00.0"), 1, "05:00.0")
        self.assert_fails(run("trace", "--recent"), 1, "dextd")
        self.assert_fails(run("trace", "--recent", "01:00.0"), 1, "dextd")


if __name__ == "__main__":
    toolstest.main()

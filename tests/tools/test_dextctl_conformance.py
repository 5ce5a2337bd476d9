#!/usr/bin/env python3
"""dextctl conformance: the list and its rows, every level against every device, output, consent.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import functools
import json
import os
import pty
import re
import subprocess
import tempfile
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
LEVELS = ["read-only", "claimed", "dma", "interrupts", "reset", "terminate"]
NVME = "nvme,addr=03:00.0"
DEVICES = {"edu": ("01:00.0", EDU), "testdev": ("02:00.0", TESTDEV), "nvme": ("03:00.0", NVME)}
# What needs an aperture of more than one chunk.
LONG = {"RegisterDMARegion.chunks", "RegisterDMASegments.told", "RegisterDMASegments.overrun"}
EXTENSIONS = {"GetCapabilities", "RegisterDMARegions", "UnregisterDMARegions", "GetStatistics",
              "GetDeviceState", "GetCallCounts", "ReadCalls", "ListDMARegions", "GetBARRanges",
              "RegisterDMASegments"}
POINT = re.compile(r"(not )?ok (\d+) - (\S+)(?: # (SKIP|TO" r"DO) (.+))?$")
CALL = re.compile(r"client=\d+ (\w+)\(([0-9a-fx,]*)\)")
CODE = re.compile(r"`([a-z0-9]+\.[a-z0-9-]+)`")


def conformance(*arguments, trace=None, socket=None, patience=toolstest.PATIENCE):
    if trace is None:
        return run("conformance", *arguments, socket=socket, patience=patience)
    done = subprocess.run([DEXTCTL, "conformance", *arguments], capture_output=True, text=True,
                          env=environment(socket) | {"DEXTLINK_TRACE": str(trace)}, check=False,
                          timeout=toolstest.SECONDS, stdin=subprocess.DEVNULL)
    return toolstest.Result(done.returncode, done.stdout, done.stderr)


@functools.lru_cache
def listed(*arguments):
    return json.loads(conformance("--list", "--json", *arguments).out)


def parse_tap(test, text):
    """Points of a TAP text as (name, verdict, text behind the directive), checked for its form."""
    lines = text.splitlines()
    test.assertEqual(lines[0], "TAP version 13")
    points = []
    for line in lines[2:]:
        if line.startswith("#"):
            continue
        match = POINT.match(line)
        test.assertTrue(match, line)
        test.assertEqual(int(match[2]), len(points) + 1)
        verdict = {(None, None): "ok", ("not ", None): "failed", (None, "SKIP"): "skipped",
                   ("not ", "TO" "DO"): "known-difference"}[match[1], match[4]]
        points.append((match[3], verdict, match[5]))
    test.assertEqual(lines[1], f"1..{len(points)}")
    return points


class List(toolstest.ToolTest):
    def test_it_touches_nothing(self):
        """No dextd is there to be asked, and a device that breaks at a touch stays whole."""
        out = self.assert_fine(conformance("--list"))
        self.assertEqual(len(out.splitlines()), len(listed()) + 1)
        names = [test["name"] for test in listed()]
        levels = [LEVELS.index(test["level"]) for test in listed()]
        self.assertEqual(levels, sorted(levels))
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertRegex(name, r"^[A-Za-z]+\.[a-z0-9-]+$")

    def test_levels_of_the_list(self):
        for index, level in enumerate(LEVELS):
            got = {test["level"] for test in listed("--level", level)}
            self.assertEqual(got, set(LEVELS[:index + 1]))

    def test_every_row_has_a_test_or_a_reason_and_every_test_a_row(self):
        text = (DOCS / "dext.md").read_text(encoding="utf-8")
        numbers = re.findall(r"^\| (\d+) \| \w+ \|", text.split("## Selectors")[1].split("## ")[0],
                             re.M)
        section = text.split("\n## Rows\n")[1].split("\n## ")[0]
        table, reasons = section.split("Without a test there:")
        rows = {f"sel.{number}" for number in numbers}
        rows |= {row for line in table.splitlines() if line.startswith("| `")
                 for row in CODE.findall(line.split("|")[1])}
        rows |= set(re.findall(r"`(mem\.[\w-]+)`", table))
        without = set(CODE.findall(reasons))
        tested = {test["row"] for test in listed()}
        self.assertEqual(tested - rows, set(), "rows of tests that are not in docs/dext.md")
        self.assertEqual(tested & without, set(), "rows that have a test and a reason for none")
        self.assertEqual(without - rows, set(), "reasons for rows there are not")
        self.assertEqual(rows - tested - without, set(), "rows without a test")
        self.assertEqual({f"sel.{number}" for number in range(18)} - rows, set())

    def test_known_differences_are_described(self):
        section = (DOCS / "conformance.md").read_text(encoding="utf-8").split("## Known differences")[1]
        described = set(re.findall(r"`([A-Za-z]+\.[a-z0-9-]+)`", section))
        known = {test["name"] for test in listed() if test["known_difference"]}
        self.assertEqual(described, known)


class Usage(toolstest.ToolTest):
    def test_bad_options(self):
        at = ("--device", EDU)
        self.assert_fails(conformance("--level", "deep", *at), 2, '--level "deep"', "read-only")
        self.assert_fails(conformance("--only", "Nothing.here", *at), 2, "no such test")
        self.assert_fails(conformance("--only", "Claim.good", "--level", "read-only", *at), 2,
                          "a test of level claimed")
        self.assert_fails(conformance("--json", "--tap", *at), 2, "--json and --tap")
        self.assert_fails(conformance("--device", EDU, "--device", TESTDEV), 2, "2 devices")
        self.assert_fails(conformance("09:00.0", *at), 1, "09:00.0")
        self.assert_fails(conformance(), 1)

    def test_one_device_needs_no_address(self):
        points = parse_tap(self, self.assert_fine(conformance("--device", EDU)))
        self.assertEqual([p[0] for p in points], [t["name"] for t in listed("--level", "read-only")])

    def test_only_one_test(self):
        out = self.assert_fine(conformance("--only", "ConfigRead.good", "--device", EDU))
        self.assertEqual(parse_tap(self, out), [("ConfigRead.good", "ok", None)])

    def test_consent(self):
        with Dextd(TESTDEV) as host:
            self.assert_fine(conformance("02:00.0", socket=host.socket))
            result = conformance("02:00.0", "--level", "reset", socket=host.socket)
            self.assertEqual((result.status, result.out), (1, ""))
            self.assertIn("resets it", result.err)
            self.assertIn("--yes", result.err)
            self.assertNotIn("ends the driver", result.err)
            result = conformance("02:00.0", "--only", "Claim.good", socket=host.socket)
            self.assertEqual((result.status, result.out), (1, ""))
            result = conformance("02:00.0", "--level", "claimed", "--yes", socket=host.socket)
            self.assertEqual(result.status, 0, result.out)
            self.assertIn("interrupt line", result.err)

    def test_a_person_is_asked(self):
        for answer, status in (("y\n", 0), ("n\n", 1), ("\n", 1)):
            with Dextd(EDU) as host:
                controller, terminal = pty.openpty()
                os.write(controller, answer.encode())
                done = subprocess.run([DEXTCTL, "conformance", "01:00.0", "--only", "Claim.good"],
                                      env=environment(host.socket), capture_output=True, text=True,
                                      timeout=toolstest.SECONDS, check=False, stdin=terminal)
                os.close(controller)
                os.close(terminal)
            self.assertIn("Go on? [y/N]", done.stderr)
            self.assertEqual((done.returncode, done.stdout == ""), (status, status == 1))


class Levels(toolstest.ToolTest):
    """The whole list, in its order, on every device."""

    def check(self, out, level):
        points = parse_tap(self, out)
        wanted = listed("--level", level)
        self.assertEqual([p[0] for p in points], [test["name"] for test in wanted])
        for name, verdict, reason in points:
            self.assertIn(verdict, ("ok", "skipped"), out)
            self.assertTrue(verdict == "ok" or reason, name)
        return {name for name, verdict, _ in points if verdict == "skipped"}

    def test_embedded_at_every_level(self):
        for name, (address, device) in DEVICES.items():
            for level in LEVELS if name == "testdev" else LEVELS[-1:]:
                out = self.assert_fine(conformance(address, "--level", level, "--device", device))
                skipped = self.check(out, level)
                if name != "nvme":
                    self.assertEqual(skipped - LONG, set())

    def test_everything_runs_somewhere(self):
        device = TESTDEV + ",aperture=8G"
        out = self.assert_fine(conformance("--level", "terminate", "--device", device))
        self.assertEqual(self.check(out, "terminate"), set())

    def test_identity_and_pages(self):
        out = self.assert_fine(conformance("--level", "interrupts", "--page-size", "16384",
                                           "--device", TESTDEV + ",dart=identity"))
        self.check(out, "interrupts")

    def test_devices_that_are_not_known(self):
        out = self.assert_fine(conformance("--level", "claimed", "--device", NVME))
        self.assertIn("MMIORead.good # SKIP", out)
        out = self.assert_fine(conformance("--level", "claimed", "--device-is-safe",
                                           "--device", NVME))
        skipped = self.check(out, "claimed")
        self.assertEqual(skipped, {"MMIOWrite.unclaimed", "MMIOWrite.more-arguments"})

    def test_unknown_devices_are_asked_for_nothing_risky(self):
        """By the dext's own trace: no register, no odd offset, nothing past the end."""
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "trace"
            result = conformance("--level", "reset", "--device", NVME, trace=trace)
            self.assertEqual(result.status, 0, result.out)
            lines = trace.read_text(encoding="utf-8").splitlines()
        calls = [CALL.search(line) for line in lines if " dext " in line]
        accesses = {(call[1], *(int(number, 16) for number in call[2].split(",")))
                    for call in calls if call and call[1] in ("CONFIG_READ", "CONFIG_WRITE",
                                                              "MMIO_READ", "MMIO_WRITE")
                    and call[2].count(",") >= 1}
        self.assertGreater(len(accesses), 50)
        for name, *numbers in accesses:
            if name.startswith("MMIO"):
                self.assertGreaterEqual(numbers[0], 6, (name, numbers))
            elif numbers[1] in (1, 2, 4):
                self.assertEqual(numbers[0] % numbers[1], 0, (name, numbers))
                self.assertLessEqual(numbers[0] + numbers[1], 4096, (name, numbers))
        written = {tuple(numbers[:2]) for name, *numbers in accesses if name == "CONFIG_WRITE"}
        # ids, class, subsystem; the Interrupt Line, which is put back
        self.assertEqual({at for at, _ in written} - {0x00, 0x28, 0x3c}, set())

    def test_json_says_the_same(self):
        got = json.loads(self.assert_fine(conformance("--level", "claimed", "--json",
                                                      "--device", TESTDEV)))
        self.assertEqual((got["address"], got["ids"], got["level"], got["failed"]),
                         ("02:00.0", "1234:7e57", "claimed", 0))
        tap = parse_tap(self, conformance("--level", "claimed", "--device", TESTDEV).out)
        self.assertEqual([(t["name"], t["outcome"]) for t in got["tests"]],
                         [(name, verdict) for name, verdict, _ in tap])
        self.assertEqual(got["ok"] + got["skipped"], len(tap))
        for test in got["tests"]:
            self.assertEqual(set(test), {"name", "level", "row", "expected", "known_difference",
                                         "outcome", "seen", "duration_ms"})
            self.assertGreaterEqual(test["duration_ms"], 0)

    def config(self, address, host):
        """Config space without the message that the host last gave the device: address and data of
        the MSI capability stay when interrupts end."""
        text = self.assert_fine(run("dump", address, socket=host.socket))
        data = bytearray.fromhex("".join(re.findall(r"^[0-9a-f]+: (.*)$", text, re.M)))
        at = data[0x34]
        while at:
            if data[at] == 0x05:
                data[at + 4:at + 14] = bytes(10)
            at = data[at + 1]
        return data.hex()

    def test_dextd_at_every_level_leaves_the_device_as_found(self):
        with Dextd(EDU, TESTDEV, NVME) as host:
            fds = os.listdir(f"/proc/{host.process.pid}/fd")
            for address, _ in DEVICES.values():
                before = self.config(address, host)
                for level in ("claimed", "interrupts"):
                    result = conformance(address, "--level", level, "--yes", socket=host.socket)
                    self.assertEqual(result.status, 0, result.out)
                    self.check(result.out, level)
                    self.assertEqual(self.config(address, host), before, level)
            self.assertTrue(toolstest.wait_until(
                lambda: len(os.listdir(f"/proc/{host.process.pid}/fd")) <= len(fds)))
            for device in json.loads(run("list", "--json", socket=host.socket).out)["devices"]:
                self.assertEqual(device["claimed_by"], [], device)
            for address, _ in DEVICES.values():
                budget = json.loads(run("dma", "budget", address, "--json",
                                        socket=host.socket).out)
                self.assertEqual((budget["regions"], budget["faults"]), (0, 0))
            for address, _ in DEVICES.values():
                result = conformance(address, "--only", "Terminate.good", "--yes",
                                     socket=host.socket)
                self.assertEqual(result.status, 0, result.out)


class Known(toolstest.ToolTest):
    """What the real dext does otherwise is told apart from failures."""

    def test_open_access_without_extensions(self):
        out = self.assert_fine(conformance("--level", "terminate", "--access", "open",
                                           "--device", TESTDEV + ",extensions=off"))
        points = {name: (verdict, text) for name, verdict, text in parse_tap(self, out)}
        seen = {name for name, (verdict, _) in points.items() if verdict == "known-difference"}
        named = ("ConfigRead", "ConfigWrite", "MMIORead", "MMIOWrite", "FreeDMABuffer",
                 "UnregisterDMARegion", "ProbeDMARegion", "CheckInterrupt", "WaitInterrupt",
                 "SetIRQMask", "Terminate")
        wanted = {f"{name}.unclaimed" for name in named}
        wanted |= {f"{name}.extension" for name in EXTENSIONS}
        wanted |= {"Clients.second-unclaimed", "ResetDevice.generation"}
        self.assertEqual(seen, wanted)
        self.assertEqual(points["GetStatistics.extension"][1],
                         "known difference: kIOReturnUnsupported: it has no extensions")
        lines = out.splitlines()
        at = next(i for i, line in enumerate(lines) if "ConfigRead.unclaimed" in line)
        self.assertEqual(lines[at + 1], "#   seen: as the real dext: success: ones, or the value "
                                        "while somebody has a claim")

    def test_what_is_skipped_without_extensions(self):
        """Everything that an extension needs but its first test, and each says why."""
        device = TESTDEV + ",aperture=8G,extensions=off"
        out = self.assert_fine(conformance("--level", "terminate", "--device", device))
        points = parse_tap(self, out)
        skipped = {name: reason for name, verdict, reason in points if verdict == "skipped"}
        wanted = {test["name"] for test in listed() if not test["name"].endswith(".extension")
                  and test["name"].split(".")[0] in EXTENSIONS}
        self.assertEqual(set(skipped) - LONG, wanted - LONG)
        for name in wanted - LONG:
            self.assertEqual(skipped[name], f"the driver has no {name.split('.')[0]}, "
                                            "which is an extension")

    def test_batches_of_clients_without_a_claim_where_access_is_open(self):
        out = self.assert_fine(conformance("--level", "dma", "--access", "open",
                                           "--device", TESTDEV))
        verdicts = {name: verdict for name, verdict, _ in parse_tap(self, out)}
        self.assertEqual((verdicts["UnregisterDMARegions.unclaimed"],
                          verdicts["RegisterDMARegions.unclaimed"]), ("known-difference", "ok"))

    def test_which_of_both_was_seen(self):
        lines = self.assert_fine(conformance("--device", TESTDEV)).splitlines()
        at = next(i for i, line in enumerate(lines) if "ConfigRead.unclaimed" in line)
        self.assertTrue(lines[at].startswith("ok "))
        self.assertEqual(lines[at + 1], "#   seen: as the software dext: kIOReturnNotOpen for a "
                                        "client without a claim")

    def test_a_device_and_its_recording_are_equal_texts(self):
        """What docs/conformance.md has people do with a dump of their Mac's device."""
        ways = ("--level", "dma", "--access", "open")
        with tempfile.TemporaryDirectory() as folder:
            dump = Path(folder) / "device.txt"
            dump.write_text(run("dump", "03:00.0", "--device", NVME).out, encoding="utf-8")
            recording = self.assert_fine(conformance("03:00.0", *ways, "--device",
                                                     f"replay,file={dump},extensions=off"))
        device = self.assert_fine(conformance("03:00.0", *ways, "--device",
                                              NVME + ",extensions=off"))
        self.assertEqual(recording, device)

    def test_runs_of_two_hosts_are_equal_texts(self):
        with Dextd(TESTDEV) as host:
            there = conformance("02:00.0", "--level", "reset", "--yes", socket=host.socket)
        here = conformance("02:00.0", "--level", "reset", "--device", TESTDEV)
        self.assertEqual(there.out, here.out)


class Faults(toolstest.ToolTest):
    """Devices that are broken show in the tests of what is broken."""

    def assert_finds(self, fault, *names, device=TESTDEV, level="dma"):
        result = conformance("--level", level, "--device", f"{device},fault={fault}", patience=None)
        self.assertEqual(result.status, 1, result.out)
        failed = {name for name, verdict, _ in parse_tap(self, result.out) if verdict == "failed"}
        self.assertEqual(set(names) - failed, set(), result.out)
        return failed

    def test_faults(self):
        self.assertEqual(self.assert_finds("map", "Memory.bars", "Memory.bar-value",
                                           level="claimed"),
                         {"Memory.bars", "Memory.bar-value", "GetBARRanges.extension",
                          "GetBARRanges.more-arguments"})
        self.assert_finds("decode", "Claim.command", level="claimed")
        self.assert_finds("ones", "ConfigRead.good", "GetIdentity.claimed", level="claimed")
        self.assert_finds("mismatch", "ConfigRead.good", "GetIdentity.claimed", level="claimed")
        self.assert_finds("register", "RegisterDMARegion.good", "ProbeDMARegion.good")
        self.assert_finds("dma", "Device.copies")
        self.assert_finds("vectors", "SetupInterrupts.good", level="interrupts")
        self.assert_finds("held", "Claim.good", level="claimed")

    def test_vectors_that_do_not_arrive_are_not_waited_for_again_and_again(self):
        failed = self.assert_finds("interrupts", "Interrupts.each-vector", "WaitInterrupt.newest",
                                   level="interrupts")
        self.assertNotIn("SetupInterrupts.good", failed)

    def test_a_device_that_goes_ends_nothing(self):
        failed = self.assert_finds("gone", "ConfigRead.good", level="terminate")
        self.assertNotIn("Registry.class", failed)


if __name__ == "__main__":
    toolstest.main()

#!/usr/bin/env python3
"""Every conformance test can fail: each runs against a driver that is wrong in what it looks at.

SPDX-License-Identifier: GPL-2.0-or-later

usage: TEST.py DEXTCTL DEXTD, of which the first is the one with conformance_mutants.c.
"""
import json
import subprocess
import tempfile

import toolstest
from toolstest import DEXTCTL, SECONDS, environment

DEVICE = "testdev,addr=02:00.0,aperture=8G"
OK, ANY = 0, 1
BAD, BUSY, UNSUPPORTED, NOT_OPEN = 0xe00002c2, 0xe00002d5, 0xe00002c7, 0xe00002cd
STILL_OPEN, NOT_READY, NO_SPACE, OVERRUN = 0xe00002d2, 0xe00002d8, 0xe00002db, 0xe00002e8
NOT_FOUND, NOT_RESPONDING, DEAD, ABORTED = 0xe00002f0, 0xe00002ed, 0x10000003, 0xe00002eb
ONES = 0xffffffff
SELECTORS = ["GetIdentity", "Claim", "Terminate", "AllocateDMABuffer", "FreeDMABuffer",
             "RegisterDMARegion", "UnregisterDMARegion", "ProbeDMARegion", "ConfigRead",
             "ConfigWrite", "GetBARInfo", "MMIORead", "MMIOWrite", "SetupInterrupts",
             "CheckInterrupt", "WaitInterrupt", "SetIRQMask", "ResetDevice"]
EXTENSIONS = {"GetCapabilities": 64, "RegisterDMARegions": 65, "UnregisterDMARegions": 66,
              "GetStatistics": 67, "GetDeviceState": 68, "GetCallCounts": 69, "ReadCalls": 70,
              "ListDMARegions": 71, "GetBARRanges": 72, "RegisterDMASegments": 74}


def rule(kind, *numbers):
    return " ".join([kind, *(f"{number:x}" for number in numbers)])


def code(selector, before, after, nth=0):
    return rule("code", selector, before, after, nth)


# What is wrong while a test runs. Counts of arguments and claims follow below.
WRONG = {
    "Registry.class": "foreign",
    "Registry.ids": "ids",
    "Registry.address": "address",
    "Open.other-type": rule("open", UNSUPPORTED, OK),
    "Open.several-clients": code(0, OK, NOT_OPEN),
    "GetIdentity.good": rule("out", 0, 0, 1),
    "GetIdentity.claimed": rule("set", 0, 3, 0xffff),
    "GetBARInfo.good": rule("out", 10, 1, 3),
    "GetBARInfo.unused": code(10, NOT_FOUND, OK),
    "GetBARInfo.more-arguments": code(10, OK, BAD, 2),
    "GetBARInfo.range": code(10, BAD, OK),
    "Selectors.unknown": code(0xffff, UNSUPPORTED, BAD),
    "Selectors.order": code(8, BAD, NOT_OPEN),
    "WaitInterrupt.unclaimed": rule("async", NOT_OPEN, OK),
    "Memory.unclaimed": rule("map", 1, ANY, OK),
    "Memory.other-type": rule("map", 255, ANY, OK),
    "Claim.good": code(1, OK, STILL_OPEN, 2),
    "Claim.command": rule("out", 8, 0, 4),
    "ConfigRead.good": rule("out", 8, 0, 0x10000, 1),
    "ConfigRead.last": rule("out", 8, 0, 1),
    "ConfigRead.width": code(8, BAD, BUSY),
    "ConfigRead.alignment": code(8, BAD, BUSY),
    "ConfigRead.range": code(8, BAD, BUSY),
    "ConfigWrite.good": rule("skip", 9),
    "ConfigWrite.cut": rule("skip", 9),
    "ConfigWrite.read-only": rule("out", 8, 0, 1, 2),
    "ConfigWrite.width": code(9, BAD, BUSY),
    "ConfigWrite.alignment": code(9, BAD, BUSY),
    "ConfigWrite.range": code(9, BAD, BUSY),
    "ConfigRead.bar-words": rule("out", 8, 0, 0x80000000, 2),
    "ConfigRead.bar-halves": rule("out", 8, 0, 1, 2),
    "Device.as-found": rule("out", 8, 0, 0x100, 3),
    "Device.as-found-with-interrupts": rule("out", 8, 0, 1, 31),
    "MMIORead.good": rule("set", 11, 0, ONES),
    "MMIORead.index": code(11, NOT_FOUND, BAD),
    "MMIORead.width": code(11, BAD, BUSY),
    "MMIORead.alignment": code(11, BAD, BUSY),
    "MMIORead.range": code(11, BAD, OVERRUN),
    "MMIOWrite.good": rule("skip", 12),
    "MMIOWrite.index": code(12, NOT_FOUND, BAD),
    "MMIOWrite.width": code(12, BAD, BUSY),
    "MMIOWrite.alignment": code(12, BAD, BUSY),
    "MMIOWrite.range": code(12, BAD, OVERRUN),
    "Memory.bars": rule("mapsize", 5, 0x8000),
    "Memory.bar-value": rule("out", 11, 0, 1),
    "Clients.share-a-claim": rule("mute", 8),
    "Clients.second-unclaimed": code(8, NOT_OPEN, BUSY),
    "Clients.second-leaves": code(8, OK, NOT_OPEN),
    "Clients.first-leaves": code(8, OK, NOT_OPEN),
    "Clients.claim-again": rule("set", 8, 0, ONES),
    "AllocateDMABuffer.good": rule("out", 3, 2, 3),
    "AllocateDMABuffer.size": code(3, BAD, OK),
    "AllocateDMABuffer.alignment": code(3, BAD, OK),
    "AllocateDMABuffer.again": rule("skip", 3, 2) + "\n" + rule("set", 3, 0, 0),
    "AllocateDMABuffer.each-its-own": rule("set", 3, 3, 0x80000000),
    "Memory.no-buffer": rule("map", 0, ANY, OK),
    "Memory.buffer": rule("mapsize", 0, 20000),
    "FreeDMABuffer.good": rule("skip", 4),
    "FreeDMABuffer.none": code(4, OK, NOT_FOUND),
    "RegisterDMARegion.good": rule("out", 5, 0, 3),
    "RegisterDMARegion.size-0": code(5, BAD, OK),
    "RegisterDMARegion.address-0": code(5, BAD, OK),
    "RegisterDMARegion.iova-wraps": code(5, BAD, NO_SPACE),
    "RegisterDMARegion.address-wraps": code(5, BAD, OK),
    "RegisterDMARegion.same-iova": code(5, STILL_OPEN, OK),
    "RegisterDMARegion.overlap": code(5, OK, STILL_OPEN, 2),
    "RegisterDMARegion.too-long": code(5, NO_SPACE, OK),
    "RegisterDMARegion.chunks": rule("out", 5, 2, 1),
    "RegisterDMARegion.no-memory": code(5, ANY, OK),
    "RegisterDMARegion.each-its-own": code(6, NOT_FOUND, OK),
    "RegisterDMARegion.ends-with-client": code(5, OK, STILL_OPEN, 2),
    "UnregisterDMARegion.good": rule("skip", 6),
    "UnregisterDMARegion.not-found": code(6, NOT_FOUND, OK),
    "ProbeDMARegion.good": rule("out", 7, 0, 1 << 63),
    "ProbeDMARegion.overrun": code(7, OVERRUN, OK),
    "ProbeDMARegion.not-found": code(7, NOT_FOUND, OK),
    "Device.copies": rule("out", 5, 1, 0x4000, 2),
    "CheckInterrupt.not-ready": code(14, NOT_READY, OK),
    "SetIRQMask.not-ready": code(16, NOT_READY, OK),
    "WaitInterrupt.not-ready": rule("async", NOT_READY, OK),
    "Memory.irq-not-ready": rule("map", 7, ANY, OK),
    "SetupInterrupts.good": rule("set", 13, 0, 257),
    "SetupInterrupts.again": code(13, STILL_OPEN, OK),
    "SetupInterrupts.anew": rule("set", 13, 0, 1, 2),
    "CheckInterrupt.good": rule("out", 14, 0, 1 << 32),
    "Memory.irq-page": rule("private", 7),
    "WaitInterrupt.no-completion": code(15, BAD, OK),
    "Interrupts.each-vector": rule("out", 14, 0, 3),
    "Interrupts.reading-clears": rule("sticky", 14),
    "SetIRQMask.dropped": rule("skip", 16),
    "Interrupts.each-client": rule("mute", 14),
    "SetIRQMask.each-its-own": rule("skip", 16),
    "Interrupts.page-pending": rule("private", 7),
    "Interrupts.page-mask": rule("private", 7),
    "WaitInterrupt.completes": "wake",
    "WaitInterrupt.at-once": "deaf",
    "WaitInterrupt.newest": "deaf",
    "ResetDevice.good": code(17, OK, NOT_RESPONDING),
    "ResetDevice.command": rule("out", 8, 0, 2),
    "ResetDevice.bars": rule("out", 8, 0, 0x8000, 13),
    "ResetDevice.regions": code(7, OK, NOT_FOUND),
    "ResetDevice.interrupts": code(13, STILL_OPEN, OK),
    "ResetDevice.clients": rule("set", 8, 0, 0xffff),
    "ResetDevice.generation": rule("set", 68, 1, 0),
    "RegisterDMARegions.extension": rule("word", 65, 5, 0x1000),
    "RegisterDMARegions.shape": code(65, BAD, OK, 5),
    "RegisterDMARegions.undone": rule("word", 65, 6, ABORTED),
    "RegisterDMARegions.each": rule("word", 65, 8, 0x1000),
    "UnregisterDMARegions.extension": rule("word", 66, 1, NOT_FOUND),
    "UnregisterDMARegions.shape": code(66, BAD, OK, 4),
    "RegisterDMASegments.extension": rule("set", 74, 0, 2),
    "RegisterDMASegments.refused": code(74, BAD, OK, 4),
    "RegisterDMASegments.told": rule("word", 74, 3, 1),
    "RegisterDMASegments.overrun": code(74, OVERRUN, OK),
    "ReadCalls.extension": rule("word", 70, 3, 1),
    "ReadCalls.itself": rule("word", 70, 7, 10 ^ 70),
    "ReadCalls.ahead": rule("word", 70, 3, 1),
    "ReadCalls.overwritten": rule("set", 70, 2, 0),
    "ReadCalls.hidden": rule("word", 70, 4, 0x1000),
    "ListDMARegions.extension": rule("word", 71, 0, 0x1000),
    "ListDMARegions.goes-on": rule("set", 71, 1, 0, 1),
    "ListDMARegions.buffer": rule("word", 71, 3, 1 << 32),
    "GetBARRanges.extension": rule("out", 72, 1, 1),
    "Terminate.good": code(2, OK, UNSUPPORTED),
    "Terminate.dead": code(1, DEAD, OK),
}

# The real dext's known ways, for tests that know of them.
KNOWN = {
    "GetBARInfo.unused": code(10, NOT_FOUND, BAD),
    "GetBARInfo.range": code(10, BAD, NOT_FOUND),
    "WaitInterrupt.unclaimed": rule("async", NOT_OPEN, NOT_READY),
    "ConfigRead.unclaimed": rule("answer", 8, 0, ONES),
    "Clients.second-unclaimed": rule("answer", 8, 0, 0x7e571234),
    "Clients.first-leaves": rule("set", 8, 0, ONES),
    "RegisterDMARegion.iova-wraps": code(5, BAD, OK),
    "RegisterDMARegion.address-wraps": code(5, BAD, BUSY),
    "ResetDevice.good": rule("set", 8, 0, ONES),
    "ResetDevice.generation": code(68, OK, UNSUPPORTED),
    "Terminate.unclaimed": code(2, NOT_OPEN, OK),
}


def rule_for(name, of_real):
    """The rule for a test of one of the kinds that there is one of for each selector."""
    selector, aspect = name.split(".")
    number = SELECTORS.index(selector) if selector in SELECTORS else EXTENSIONS.get(selector)
    if aspect in ("few-inputs", "little-room"):
        return code(number, BAD, OK)
    if aspect == "more-arguments":
        return code(number, OK, BAD)
    if aspect == "extension":
        return code(number, OK, UNSUPPORTED if of_real else BUSY)
    if aspect == "unclaimed" and of_real:
        return code(number, NOT_OPEN, {6: NOT_FOUND, 7: NOT_FOUND, 14: NOT_READY,
                                       16: NOT_READY}.get(number, OK))
    if aspect == "unclaimed":
        return code(number, NOT_OPEN, BUSY)
    if aspect in ("width", "alignment", "range") and of_real:
        return code(number, BAD, OK)
    if aspect == "index" and of_real:
        return code(number, NOT_FOUND, OK)
    raise KeyError(name)


class Mutants(toolstest.ToolTest):
    def outcomes(self, rules, *arguments):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            for name, text in rules.items():
                file.writelines(f"{name} {line}\n" for line in text.splitlines())
            file.flush()
            done = subprocess.run(
                [DEXTCTL, "conformance", "--level", "terminate", "--json", "--device", DEVICE,
                 *arguments], env=environment() | {"CONFORMANCE_MUTANTS": file.name},
                capture_output=True, text=True, timeout=SECONDS, check=False,
                stdin=subprocess.DEVNULL)
        self.assertEqual(done.stderr, "")
        got = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if got["failed"] else 0)
        return {test["name"]: test for test in got["tests"]}

    def test_none_fails_without_a_reason(self):
        got = self.outcomes({})
        self.assertEqual({test["outcome"] for test in got.values()}, {"ok"})

    def test_every_test_can_fail(self):
        names = list(self.outcomes({}))
        self.assertEqual(set(WRONG) - set(names), set(), "rules for tests there are not")
        got = self.outcomes({name: WRONG.get(name) or rule_for(name, False) for name in names})
        quiet = {name: (test["outcome"], test["seen"]) for name, test in got.items()
                 if test["outcome"] != "failed"}
        self.assertEqual(quiet, {}, "tests that do not see what is wrong")

    def test_every_known_difference_is_told_apart(self):
        names = [name for name, test in self.outcomes({}).items() if test["known_difference"]]
        self.assertEqual(set(KNOWN) - set(names), set())
        got = self.outcomes({name: KNOWN.get(name) or rule_for(name, True) for name in names})
        for name in names:
            self.assertEqual((name, got[name]["outcome"]), (name, "known-difference"),
                             got[name]["seen"])
            self.assertEqual(got[name]["seen"], got[name]["known_difference"])

    def test_short_replies(self):
        numbers = {name: SELECTORS.index(name) for name in SELECTORS}
        outputs = ("GetIdentity", "GetBARInfo", "ConfigRead", "MMIORead", "AllocateDMABuffer",
                   "RegisterDMARegion", "ProbeDMARegion", "SetupInterrupts", "CheckInterrupt")
        got = self.outcomes({f"{name}.good": rule("count", numbers[name], 1) for name in outputs})
        for name in outputs:
            test = got[f"{name}.good"]
            self.assertEqual((name, test["outcome"]), (name, "known-difference"))
            self.assertIn("short reply: success with", test["seen"])
        self.assertEqual(sum(test["outcome"] != "ok" for test in got.values()), len(outputs))

    def test_more_outputs_than_there_are(self):
        got = self.outcomes({"GetIdentity.more-arguments": rule("count", 0, (1 << 32) - 1)})
        self.assertEqual(got["GetIdentity.more-arguments"]["outcome"], "failed")


if __name__ == "__main__":
    toolstest.main()

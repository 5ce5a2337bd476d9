#!/usr/bin/env python3
"""dextctl irq: what test finds, rates and latencies of watch.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import re
import signal
import subprocess

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

AT = "02:00.0"
TABLE, ENTRY_BYTES, CONTROL = 0x8000, 16, 12  # testdev's MSI-X table; an entry's mask bit


def irq(*arguments, device=TESTDEV, **options):
    address = device.split("addr=")[1].split(",")[0]
    return run("irq", arguments[0], address, *arguments[1:], "--device", device, **options)


class Test(toolstest.ToolTest):
    def result(self, *arguments, device=TESTDEV):
        result = json.loads(self.assert_fine(irq("test", *arguments, "--json", device=device)))
        result["checks"] = {c["name"]: (c["result"], c["text"]) for c in result["checks"]}
        return result

    def test_msix(self):
        result = self.result()
        self.assertEqual((result["offered"], result["kind"], result["asked"], result["granted"]),
                         ("MSI-X", "MSI-X", 32, 32))
        self.assertEqual(result["vectors"],
                         [{"vector": v, "fired": 3, "arrived": 3} for v in range(32)])
        self.assertEqual({n: r for n, (r, _) in result["checks"].items()},
                         {"kind": "ok", "vectors": "ok", "arrived": "ok", "only those": "ok",
                          "mask": "ok", "fired masked": "note", "driver's counts": "note"})
        self.assertIn("96 of 96", result["checks"]["arrived"][1])

    def test_masked_ones_are_dropped_and_counted(self):
        """E1: one vector is fired while masked, and one after unmasking; 96 before."""
        checks = self.result()["checks"]
        self.assertIn("dropped", checks["fired masked"][1])
        self.assertIn("98 raised, 97 delivered, 1 dropped", checks["driver's counts"][1])

    def test_kinds_and_counts(self):
        """E2, E4: testdev's options say what it offers; MSI has a power of two of messages."""
        for options, kind, count in (("irq=msi", "MSI", 32), ("irq=msi,vectors=5", "MSI", 4),
                                     ("irq=msix,vectors=5", "MSI-X", 5), ("vectors=1", "MSI-X", 1),
                                     ("vectors=256", "MSI-X", 256)):
            with self.subTest(options):
                result = self.result("-n", "1", device=f"{TESTDEV},{options}")
                self.assertEqual((result["kind"], result["asked"], result["granted"]),
                                 (kind, count, count))
                self.assertEqual([v["arrived"] for v in result["vectors"]], [1] * count)

    def test_edu_has_one(self):
        result = self.result("-n", "5", device=EDU)
        self.assertEqual((result["kind"], result["granted"], result["vectors"]),
                         ("MSI", 1, [{"vector": 0, "fired": 5, "arrived": 5}]))

    def test_without_interrupts(self):
        self.assert_fails(irq("test", device=TESTDEV + ",irq=none"), 1, "cannot set up interrupts")

    def test_device_that_cannot_be_made_to_fire(self):
        result = self.result(device="nvme,addr=03:00.0,size=1M")
        self.assertEqual((result["kind"], result["vectors"], result["latency_us"]),
                         ("MSI-X", [], None))
        self.assertEqual(result["checks"]["arrived"][0], "skipped")

    def test_driver_without_statistics(self):
        checks = self.result("-n", "1", device=TESTDEV + ",extensions=off")["checks"]
        self.assertEqual(checks["driver's counts"][0], "skipped")

    def test_lost_vectors_are_named(self):
        """E3: vector 5 is masked in the device, where the driver does not look."""
        with Dextd(TESTDEV) as host:
            with subprocess.Popen([DEXTCTL, "irq", "watch", AT], env=environment(host.socket),
                                  stdout=subprocess.PIPE, text=True) as holder:
                holder.stdout.readline()
                place = hex(TABLE + 5 * ENTRY_BYTES + CONTROL)
                self.assert_fine(run("bar", "write", AT, "0", place, "1", "--force",
                                     socket=host.socket))
                result = run("irq", "test", AT, "-n", "1", socket=host.socket)
                holder.send_signal(signal.SIGINT)
                holder.communicate(timeout=toolstest.SECONDS)
        self.assertEqual(result.status, 1, result)
        self.assertRegex(result.out, r"(?m)^failed +arrived +31 of 32 fired on 32 vectors: vectors 5$")
        self.assertEqual(result.err, "dextctl: 02:00.0: 1 check failed\n")

    def test_silent_vectors(self):
        """Nothing arrives at all: known after one round, and masking tells nothing."""
        result = irq("test", device=TESTDEV + ",vectors=4,fault=interrupts", patience=None)
        self.assertEqual(result.status, 1)
        self.assertRegex(result.out, r"(?m)^failed +arrived +0 of 4 fired on 4 vectors: "
                                     r"vectors 0, 1, 2, 3$")
        self.assertRegex(result.out, r"(?m)^skipped +mask +vector 3 never arrived$")
        self.assertIn("1 check failed", result.err)

    def test_fallback_is_named_and_nothing_else(self):
        """E2."""
        result = self.result(device=TESTDEV + ",fault=msix")
        self.assertEqual((result["offered"], result["kind"], result["asked"], result["granted"]),
                         ("MSI-X", "MSI", 32, 1))
        self.assertEqual([n for n, (r, _) in result["checks"].items() if r == "warning"], ["kind"])
        self.assertIn("fell back", result["checks"]["kind"][1])
        self.assertEqual(result["vectors"], [{"vector": 0, "fired": 3, "arrived": 3}])

    def test_fewer_vectors_are_named_and_nothing_else(self):
        """E5."""
        for options, kind in (("", "MSI-X"), (",irq=msi", "MSI")):
            result = self.result("-n", "1", device=f"{TESTDEV}{options},fault=fewer-vectors")
            self.assertEqual((result["offered"], result["kind"], result["asked"],
                              result["granted"]), (kind, kind, 32, 16))
            self.assertEqual([n for n, (r, _) in result["checks"].items() if r == "warning"],
                             ["vectors"])
            self.assertIn("earlier user", result["checks"]["vectors"][1])
            self.assertEqual([v["arrived"] for v in result["vectors"]], [1] * 16)

    def test_no_vectors_to_be_had(self):
        self.assert_fails(irq("test", device=TESTDEV + ",fault=vectors"), 1,
                          "cannot set up interrupts", "earlier user")

    def test_latencies(self):
        latency = self.result()["latency_us"]
        self.assertLessEqual(0, latency["min"])
        self.assertLessEqual(latency["min"], latency["p50"])
        self.assertLessEqual(latency["p50"], latency["p99"])
        self.assertLessEqual(latency["p99"], latency["max"])
        buckets = latency["histogram"]
        self.assertEqual(sum(b["count"] for b in buckets), 96)
        self.assertEqual([b["below"] for b in buckets],
                         [buckets[0]["below"] << n for n in range(len(buckets))])
        self.assertLess(latency["max"], buckets[-1]["below"])
        self.assertGreaterEqual(latency["min"], buckets[0]["below"] // 2)
        text = self.assert_fine(irq("test", "-n", "1"))
        self.assertEqual(sum(map(int, re.findall(r"(?m)^  below +\d+ us +(\d+) ", text))), 32)


class Rates(toolstest.ToolTest):
    def test_of_a_timer(self):
        """testdev's timer fires vectors 0 to 3 in turn, 1000 a second, for as long as it takes: those
        of a vector that is still pending become one, and a timer that is late catches up."""
        with Dextd(TESTDEV) as host:
            with subprocess.Popen([DEXTCTL, "irq", "watch", AT, "--interval", "0.1", "--count", "200",
                                   "--json"], env=environment(host.socket), text=True,
                                  stdout=subprocess.PIPE) as watcher:
                # nothing is printed before it watches: its claim is what to wait for
                self.wait_for_claim(host)
                for offset, value, width in (("0x10c", "4", "4"), ("0x110", "1000000", "8"),
                                             ("0x118", "3600000", "4"), ("0x11c", "1", "4")):
                    self.assert_fine(run("bar", "write", AT, "0", offset, value, "-w", width,
                                         socket=host.socket))
                out, _ = watcher.communicate(timeout=toolstest.SECONDS)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(lines[-1]["total"], sum(lines[-1]["vectors"].values()))
        self.assertTrue(200 <= lines[-1]["total"] < 204, lines[-1])
        self.assertEqual(set(lines[-1]["vectors"]), {"0", "1", "2", "3"})
        self.assertIsNone(lines[-1]["latency_us"])
        rates = [rate for line in lines[:-1] for rate in line["rates"].items()]
        self.assertTrue({vector for vector, _ in rates} <= {"0", "1", "2", "3"})
        self.assertTrue(all(0 < rate for _, rate in rates))

    def wait_for_claim(self, host):
        def is_set_up():  # MSI-X enabled: the watcher has set up its interrupts
            control = run("config", "read", AT, "CAP_MSIX+2.W", socket=host.socket)
            return int(self.assert_fine(control), 16) & 0x8000
        self.assertTrue(toolstest.wait_until(is_set_up))

    def first_rates(self, *options):
        """The first line of rates that tells of interrupts, or of none."""
        with subprocess.Popen([DEXTCTL, "irq", "watch", AT, "--device", TESTDEV, *options],
                              env=environment(), stdout=subprocess.PIPE, text=True) as watcher:
            lines = [watcher.stdout.readline() for _ in range(2)]
            while "--fire" in options and lines[-1].endswith("none\n"):
                lines.append(watcher.stdout.readline())
            watcher.send_signal(signal.SIGINT)
            watcher.communicate(timeout=toolstest.SECONDS)
        self.assertEqual(watcher.returncode, 0)
        return lines[-1]

    def test_text(self):
        self.assertRegex(self.first_rates("--fire", "--count", "1000000", "--interval", "0.1"),
                         r"^ +[\d.]+ ms  \d+: [\d.]+/s")
        self.assertRegex(self.first_rates("--interval", "0.04"), r"^ +[\d.]+ ms  none$")


if __name__ == "__main__":
    toolstest.main()

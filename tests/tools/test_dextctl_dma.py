#!/usr/bin/env python3
"""dextctl dma: what test finds and what it cannot know, budget, soak.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import pty
import re
import signal
import subprocess

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

AT = "02:00.0"
GRANULE, APERTURE, SLOTS = 16384, 1536 << 20, 65536  # docs/dart.md


def dma(*arguments, device=TESTDEV, **more):
    address = device.split("addr=")[1].split(",")[0]
    return run("dma", arguments[0], address, *arguments[1:], "--device", device, **more)


class Test(toolstest.ToolTest):
    def result(self, *arguments, device=TESTDEV):
        return json.loads(self.assert_fine(dma("test", *arguments, "--json", device=device)))

    def checks(self, *arguments, device=TESTDEV):
        return {c["name"]: (c["result"], c["text"])
                for c in self.result(*arguments, device=device)["checks"]}

    def test_every_check(self):
        for device in (EDU, TESTDEV):
            checks = self.checks("--size", "4096", device=device)
            self.assertEqual({name: result for name, (result, _) in checks.items()},
                             {"contiguous": "ok", "address width": "note", "alignment": "note",
                              "device reads": "ok", "device writes": "ok", "unaligned": "ok",
                              "driver's buffer": "ok", "faults": "ok", "leaks": "ok"})

    def test_addresses_are_described(self):
        """D7, D20, D21: the aperture starts at 2 GiB, and no alignment is promised."""
        result = self.result("--size", "4096", "--size", "64K")
        buses = [int(r[key], 16) for r in result["rounds"]
                 for key in ("source_bus_address", "target_bus_address")]
        texts = {c["name"]: c["text"] for c in result["checks"]}
        self.assertGreaterEqual(min(buses), 1 << 31)
        self.assertIn(f"{min(buses):#x} to ", texts["address width"])
        self.assertIn("must drive 32 bits", texts["address width"])
        counted = sum(int(n) for n in re.findall(r"(\d+) of \d+ (?:bytes|KiB|MiB|GiB)",
                                                 texts["alignment"]))
        self.assertEqual(counted, 4)
        self.assertEqual(texts["contiguous"].split()[:3], ["4", "of", "4"])

    def test_all_patterns_up_to_a_mebibyte(self):
        rounds = self.result("--size", "1M", "--size", "1025K")["rounds"]
        self.assertEqual([r["patterns"] for r in rounds], [5, 1])

    def test_up_to_the_budget(self):
        """D5: sizes double until two regions fill the aperture; one more is refused."""
        result = self.result("--size", "1", "--full", device=TESTDEV + ",aperture=64M")
        sizes = [r["bytes"] for r in result["rounds"]]
        self.assertEqual(sizes[:5], [1, 2 << 20, 4 << 20, 8 << 20, 16 << 20])
        self.assertEqual(sizes[5], (32 << 20) - GRANULE)
        self.assertTrue(all(r["copied"] for r in result["rounds"]))
        self.assertEqual([c["result"] for c in result["checks"] if c["name"] == "full"], ["ok"])

    def test_writes_that_do_not_land(self):
        """D13, D14, D20: a device that drives too few bits writes elsewhere."""
        self.assert_fails(dma("test", device=EDU + ",dma_mask=0xfffffff"), 1, "differs at byte 0",
                          "nothing landed", "32 bits")

    def test_fragmented_memory_is_named(self):
        """D9 to D11: the code says not aligned, and means fragmented."""
        self.assert_fails(dma("test", device=TESTDEV + ",fault=fragmented"), 1,
                          "cannot register 1 byte", "fragmented")

    def test_each_direction_is_told_apart(self):
        self.assert_fails(dma("test", device=TESTDEV + ",fault=dma"), 1, "nothing landed",
                          "mapped for writing")
        self.assert_fails(dma("test", device=TESTDEV + ",fault=dma-address"), 1,
                          "could not read the source")
        self.assert_fails(dma("test", device=TESTDEV + ",fault=register"), 1, "cannot register")

    def test_device_without_an_engine(self):
        device = "nvme,addr=03:00.0,size=1M"
        result = self.result("--size", "4096", device=device)
        self.assertEqual((result["engine"], result["rounds"][0]["copied"],
                          result["rounds"][0]["copy_ms"]), (None, False, None))
        checks = {c["name"]: c["result"] for c in result["checks"]}
        self.assertEqual((checks["device access"], checks["driver's buffer"]), ("skipped", "ok"))
        self.assertIn("probed\n", self.assert_fine(dma("test", device=device)))

    def test_driver_without_extensions(self):
        checks = self.checks("--size", "64", device=TESTDEV + ",extensions=off")
        self.assertNotIn("leaks", checks)
        self.assertEqual(checks["faults and leaks"][0], "skipped")
        self.assertIn("keeps no statistics", checks["faults and leaks"][1])

    def test_slots_run_out(self):
        """D6."""
        self.assert_fails(dma("test", device=TESTDEV + ",slots=1"), 1, "cannot register 1 byte",
                          "no space", "slots")

    def test_large_pages(self):
        self.assertEqual(self.result("--page-size", "16384")["rounds"][2]["bytes"], 16384)


class Budget(toolstest.ToolTest):
    def test_once(self):
        lines = self.assert_fine(dma("budget")).splitlines()
        self.assertEqual(lines[0], "02:00.0: at most 1536 MiB in 65536 regions, in units of 16 KiB")
        self.assertEqual([line.split()[:2] for line in lines[1:]],
                         [["regions", "0"], ["bytes", "0"], ["faults", "0"]])

    def test_json(self):
        self.assertEqual(json.loads(self.assert_fine(dma("budget", "--json"))), {
            "address": AT, "limits_asked": True, "max_regions": SLOTS, "aperture_bytes": APERTURE,
            "granule_bytes": GRANULE, "regions": 0, "peak_regions": 0, "bytes": 0, "peak_bytes": 0,
            "faults": 0})
        got = json.loads(self.assert_fine(dma("budget", "--json",
                                              device=TESTDEV + ",aperture=32M,slots=7")))
        self.assertEqual((got["max_regions"], got["aperture_bytes"]), (7, 32 << 20))

    def test_what_a_real_driver_cannot_tell(self):
        device = TESTDEV + ",extensions=off"
        out = self.assert_fine(dma("budget", device=device))
        self.assertIn("known limits", out)
        self.assertIn("cannot be known", out)
        got = json.loads(self.assert_fine(dma("budget", "--json", device=device)))
        self.assertEqual((got["limits_asked"], got["max_regions"], got["aperture_bytes"]),
                         (False, SLOTS, APERTURE))
        self.assertEqual([got[k] for k in ("regions", "peak_regions", "bytes", "peak_bytes",
                                           "faults")], [None] * 5)

    def test_peak_stays_after_a_test(self):
        with Dextd(TESTDEV) as host:
            self.assert_fine(run("dma", "test", AT, "--size", "1M", socket=host.socket))
            got = json.loads(self.assert_fine(run("dma", "budget", AT, "--json",
                                                  socket=host.socket)))
            self.assertEqual((got["regions"], got["bytes"], got["peak_regions"]), (0, 0, 2))
            self.assertGreaterEqual(got["peak_bytes"], 2 << 20)

    def test_again_and_again(self):
        out = self.assert_fine(dma("budget", "--count", "3", "--interval", "0.02"))
        lines = out.splitlines()
        self.assertEqual(len(lines), 4)
        for line in lines[1:]:
            self.assertRegex(line, r"^ *[\d.]+ s  regions 0  bytes 0 +0\.0 %$")
        out = self.assert_fine(dma("budget", "--count", "2", "--interval", "0.02", "--json"))
        self.assertEqual([json.loads(line)["regions"] for line in out.splitlines()], [0, 0])

    def test_warning_when_nearly_full(self):
        with Dextd(TESTDEV + ",slots=20") as host:
            def used():
                return self.assert_fine(run("dma", "budget", AT, socket=host.socket))
            self.assertNotIn("warning", used())
            with subprocess.Popen([DEXTCTL, "dma", "soak", AT, "--seconds", "3600", "--seed", "1"],
                                  env=environment(host.socket), stdout=subprocess.PIPE,
                                  text=True) as soak:
                soak.stdout.readline()
                with subprocess.Popen([DEXTCTL, "dma", "budget", AT, "-i", "0.01", "-s",
                                       str(toolstest.SECONDS)], text=True,
                                      env=environment(host.socket), stdout=subprocess.PIPE) as meter:
                    warned = any(line.endswith("warning\n") and float(line.split()[-3]) >= 80
                                 for line in meter.stdout if " s  regions" in line)
                    meter.send_signal(signal.SIGTERM)
                soak.send_signal(signal.SIGINT)
                soak.communicate(timeout=toolstest.SECONDS)
            self.assertTrue(warned)
            self.assertNotIn("warning", used())

    def test_meter_on_a_terminal(self):
        controller, terminal = pty.openpty()
        with subprocess.Popen([DEXTCTL, "dma", "budget", AT, "-i", "0.02", "-n", "2", "--device",
                               TESTDEV], env={**environment(), "TERM": "xterm"}, stdout=terminal,
                              stderr=terminal, stdin=subprocess.DEVNULL) as process:
            os.close(terminal)
            out = b""
            try:
                while piece := os.read(controller, 4096):
                    out += piece
            except OSError:
                pass
        os.close(controller)
        self.assertEqual((process.returncode, out.count(b"[" + b"." * 30 + b"]")), (0, 2), out)


class Soak(toolstest.ToolTest):
    def test_same_seed_same_run(self):
        runs = [json.loads(self.assert_fine(dma("soak", "-n", "300", "--seed", "5", "--json")))
                for _ in range(2)]
        for one in runs:
            one.pop("time_ms")
        self.assertEqual(runs[0], runs[1])
        self.assertEqual((runs[0]["seed"], runs[0]["operations"], runs[0]["leaks_checked"]),
                         (5, 300, True))
        self.assertGreater(runs[0]["copies"], 30)
        other = json.loads(self.assert_fine(dma("soak", "-n", "300", "--seed", "6", "--json")))
        self.assertNotEqual(other["copied_bytes"], runs[0]["copied_bytes"])

    def test_text(self):
        out = self.assert_fine(dma("soak", "-n", "50", device=EDU))
        self.assertRegex(out, r"^seed \d+\n50 operations in [\d.]+ s: \d+ registrations, .*\n"
                              r"nothing left behind: 0 live regions, as before; no faults\n$")
        out = self.assert_fine(dma("soak", "-n", "50", device=EDU + ",extensions=off"))
        self.assertIn("leaks cannot be known", out)

    def test_wrong_bytes_are_found(self):
        result = dma("soak", "--seed", "1", device=EDU + ",dma_mask=0xfffffff")
        self.assertEqual((result.status, result.out), (1, "seed 1\n"))
        self.assertRegex(result.err, r"operation \d+: byte \d+ of \d+ is 0x")

    def test_ends_on_time_and_on_a_signal(self):
        self.assert_fine(dma("soak", "--seconds", "0.1"))
        with subprocess.Popen([DEXTCTL, "dma", "soak", AT, "--device", TESTDEV], text=True,
                              env=environment(), stdout=subprocess.PIPE) as soak:
            soak.stdout.readline()
            soak.send_signal(signal.SIGINT)
            out, _ = soak.communicate(timeout=toolstest.SECONDS)
        self.assertEqual(soak.returncode, 0)
        self.assertIn("nothing left behind", out)


if __name__ == "__main__":
    toolstest.main()

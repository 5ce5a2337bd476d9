#!/usr/bin/env python3
"""dextctl at work: on embedded devices, and on those of a dextd.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import re
import shutil
import signal
import subprocess

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

FACTORIAL, STATUS = "0x8", "0x20"


class Both:
    """Tests that hold on an embedded host and on a dextd alike; ctl() is the difference."""

    def test_list(self):
        lines = self.assert_fine(self.ctl("list")).splitlines()
        self.assertEqual(lines[0].split(), ["ADDRESS", "ROOT", "ID", "NAME", "STATE", "CLAIMED",
                                            "BY", "CLASS,", "DEVICE"])
        self.assertEqual([line.split()[0] for line in lines[1:]], ["01:00.0", "02:00.0"])
        self.assertIn("1234:11e8", lines[1])
        self.assertIn("1234:7e57", lines[2])

    def test_list_json(self):
        devices = json.loads(self.assert_fine(self.ctl("list", "--json")))["devices"]
        self.assertEqual([d["address"] for d in devices], ["01:00.0", "02:00.0"])
        edu = devices[0]
        self.assertEqual(set(edu), {"address", "root", "name", "entry_id", "vendor_id",
                                    "device_id", "revision_id", "class_code", "class",
                                    "device", "subsystem_vendor_id", "subsystem_id", "state",
                                    "claimed_by"})
        self.assertEqual((edu["state"], edu["claimed_by"]), ("present", []))
        self.assertEqual((edu["vendor_id"], edu["device_id"], edu["class_code"]),
                         ("0x1234", "0x11e8", "0x00ff00"))
        self.assertTrue(edu["root"] and edu["name"])

    def test_show(self):
        text = self.assert_fine(self.ctl("show", "01:00.0"))
        self.assertRegex(text, r"(?m)^  ids +1234:11e8 revision 10$")
        self.assertRegex(text, r"(?m)^  command +0x\d+ +memory, bus master$")
        self.assertRegex(text, r"(?m)^  0  1 MiB +32-bit memory, memory index 0$")
        self.assertRegex(text, r"(?m)^  040 +0005  MSI: ")
        self.assertRegex(text, r"(?m)^  resets +hot ")
        self.assertNotRegex(text, r"(?m)^  link ")

    def test_show_says_what_can_be_had(self):
        text = self.assert_fine(self.ctl("show", "02:00.0"))
        for line in (r"link +16 GT/s x4 now, 16 GT/s x4 at most",
                     r"resets +function-level, power management, hot .*",
                     r"interrupts MSI-X 32, MSI 32; the driver offers 32 vectors",
                     r"dma +0 bytes of 1536 MiB mapped, 0 of 65536 regions, in units of 16 KiB"):
            self.assertRegex(text, rf"(?m)^  {line}$")
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        # A long capability goes on below its name.
        self.assertRegex(text, r"(?m)^  060 +0011  MSI-X: .*,\n {16,}\S")

    def test_show_json_says_what_can_be_had(self):
        view = json.loads(self.assert_fine(self.ctl("show", "02:00.0", "--json")))
        self.assertEqual(view["link"], {"speed": 4, "speed_text": "16 GT/s", "width": 4,
                                        "max_speed": 4, "max_speed_text": "16 GT/s",
                                        "max_width": 4})
        self.assertEqual(view["resets"], ["function", "power", "hot"])
        self.assertEqual(view["interrupts"], {"msix": 32, "msi": 32, "pin": False, "usable": 32})
        self.assertEqual(view["dma"], {"aperture_bytes": 3 << 29, "max_regions": 65536,
                                       "granule_bytes": 16384, "live_bytes": 0,
                                       "live_regions": 0})
        edu = json.loads(self.assert_fine(self.ctl("show", "01:00.0", "--json")))
        self.assertEqual((edu["link"], edu["resets"]), (None, ["hot"]))
        self.assertEqual(edu["interrupts"], {"msix": 0, "msi": 1, "pin": True, "usable": 1})

    def test_show_json(self):
        view = json.loads(self.assert_fine(self.ctl("show", "02:00.0", "--json")))
        self.assertEqual(view["header"]["device_id"], "0x7e57")
        self.assertEqual(view["header"]["command_bits"][-2:], ["memory", "bus master"])
        names = [c["name"] for c in view["capabilities"]]
        for name in ("Power Management", "MSI", "MSI-X", "PCI Express", "Vendor Specific",
                     "Advanced Error Reporting", "Device Serial Number"):
            self.assertIn(name, names)
        msix = next(c for c in view["capabilities"] if c["name"] == "MSI-X")
        self.assertIn("32 vectors", msix["detail"])
        self.assertEqual({bar["type"] for bar in view["bars"]} >= {"0x0", "0x1", "0xc"}, True)

    def test_show_tells_direct_from_trapped(self):
        text = self.assert_fine(self.ctl("show", "02:00.0"))
        self.assertRegex(text, r"(?m)^  0  64 KiB .*\n     trapped\n"
                         r"  1  256 bytes .*\n     not mapped: ports\n"
                         r"  2  4 MiB .*\n     direct   0x0-0x1fffff\n"
                         r"     trapped  0x200000-0x203fff\n     direct   0x204000-0x3fffff\n"
                         r"  4  64 KiB .*\n     direct\n")
        bars = {bar["bar"]: bar for bar in
                json.loads(self.assert_fine(self.ctl("show", "02:00.0", "--json")))["bars"]}
        self.assertEqual({number: bar["mapping"] for number, bar in bars.items()},
                         {0: "ranges", 1: "none", 2: "ranges", 4: "ranges"})
        self.assertEqual((bars[0]["direct"], bars[0]["trapped"]),
                         ([], [{"offset": 0, "bytes": 0x10000}]))
        self.assertEqual((bars[1]["direct"], bars[1]["trapped"]), (None, None))
        self.assertEqual(bars[2]["direct"], [{"offset": 0, "bytes": 0x200000},
                                             {"offset": 0x204000, "bytes": 0x1fc000}])
        self.assertEqual(bars[2]["trapped"], [{"offset": 0x200000, "bytes": 0x4000}])
        self.assertEqual((bars[4]["direct"], bars[4]["trapped"]),
                         ([{"offset": 0, "bytes": 0x10000}], []))

    def test_config_read(self):
        self.assertEqual(self.assert_fine(self.ctl("config", "read", "01:00.0", "0")),
                         "0x11e81234\n")
        self.assertEqual(self.assert_fine(self.ctl("config", "read", "01:00.0", "2", "-w", "2")),
                         "0x11e8\n")
        value = json.loads(self.assert_fine(self.ctl("config", "read", "01:00.0", "8", "--json",
                                                     "--width", "1")))
        self.assertEqual(value, {"address": "01:00.0", "registers": [
            {"register": "8", "offset": "0x08", "width": 1, "value": "0x10"}]})

    def test_config_dump_is_what_lspci_reads(self):
        lspci = shutil.which("lspci") or shutil.which("lspci", path="/usr/bin:/sbin:/usr/sbin")
        if not lspci:
            self.skipTest("lspci is not installed")
        for address, ids, size, words in (
                ("01:00.0", "1234:11e8", 256, ("MSI: Enable", "subsystem")),
                ("02:00.0", "1234:7e57", 4096, ("Express (v2) Endpoint", "MSI-X: Enable",
                                                "Advanced Error Reporting",
                                                "Device Serial Number"))):
            dump = self.assert_fine(self.ctl("config", "dump", address))
            self.assertEqual(len(re.findall(r" [0-9a-f]{2}\b", dump.split("\n", 1)[1])), size)
            done = subprocess.run([lspci, "-F", "/dev/stdin", "-vvv", "-n"], input=dump,
                                  capture_output=True, text=True, check=True)
            complaints = [line for line in done.stderr.splitlines() if "libkmod" not in line]
            self.assertEqual(complaints, [])  # that one is about the machine, not the dump
            self.assertTrue(done.stdout.startswith(address), done.stdout)
            self.assertIn(ids, done.stdout)
            for word in words:
                self.assertIn(word.lower(), done.stdout.lower())
            again = subprocess.run([lspci, "-F", "/dev/stdin", "-xxxx", "-n"], input=dump,
                                   capture_output=True, text=True, check=True)
            self.assertEqual(again.stdout.split("\n", 1)[1].split(), dump.split("\n", 1)[1].split())

    def test_config_dump_json(self):
        dump = json.loads(self.assert_fine(self.ctl("config", "dump", "01:00.0", "--json")))
        self.assertEqual((dump["address"], dump["length"]), ("01:00.0", 256))
        self.assertTrue(dump["data"].startswith("3412e811"))
        self.assertEqual(len(dump["data"]), 512)

    def test_bar_info(self):
        text = self.assert_fine(self.ctl("bar", "info", "01:00.0"))
        self.assertEqual(text.split(), ["0", "1", "MiB", "32-bit", "memory,", "memory", "index",
                                        "0"])
        bars = json.loads(self.assert_fine(self.ctl("bar", "info", "02:00.0", "--json")))["bars"]
        self.assertEqual(bars[0]["bar"], 0)
        self.assertEqual({"bar", "size", "type", "type_text", "memory_index"}, set(bars[0]))
        self.assert_fails(self.ctl("bar", "info", "01:00.0", "1"), 1, "01:00.0", "BAR 1")

    def test_bar_read_by_mapping_and_by_call(self):
        for path, more in (("mapping", ()), ("call", ("--call",))):
            with self.subTest(path):
                out = self.assert_fine(self.ctl("bar", "read", "01:00.0", "0", "0", *more))
                self.assertEqual(out, "0x010000ed\n")
                value = json.loads(self.assert_fine(
                    self.ctl("bar", "read", "01:00.0", "0", "0", "--json", *more)))
                self.assertEqual(value, {"address": "01:00.0", "bar": 0, "offset": "0x0",
                                         "width": 4, "path": path, "values": ["0x010000ed"]})
                self.assert_fine(self.ctl("bar", "write", "01:00.0", "0", "4", "1", *more))

    def test_bar_read_several(self):
        out = self.assert_fine(self.ctl("bar", "read", "01:00.0", "0", "0", "-n", "2"))
        self.assertRegex(out, r"^000000: 0x010000ed\n000004: 0x[0-9a-f]{8}\n$")

    def test_bar_places_outside(self):
        for place in (("0", "0x100000"), ("0", "0xfffffffffffffff0"), ("5", "0")):
            for more in ((), ("--call",)):
                self.assert_fails(self.ctl("bar", "read", "01:00.0", *place, *more), 1,
                                  "dextctl: 01:00.0: ", f"BAR {place[0]}")

    def test_ports_are_out_of_reach(self):
        for how in ((), ("--call",)):
            self.assert_fails(self.ctl("bar", "read", "02:00.0", "1", "0", *how), 1, "02:00.0",
                              "BAR 1 is I/O ports", "unsupported")

    def test_dma_test(self):
        for address, engine in (("01:00.0", "edu"), ("02:00.0", "testdev")):
            with self.subTest(engine):
                lines = self.assert_fine(self.ctl("dma", "test", address)).splitlines()
                self.assertTrue(lines[0].startswith("SIZE "))
                for line in lines[1:6]:
                    self.assertLessEqual(len(line), 100)
                    self.assertRegex(line, r"  0x[0-9a-f]+ +0x[0-9a-f]+ +[\d.]+ ms +[\d.]+ ms  "
                                           r"5 patterns, all equal$")
                self.assertEqual({line.split()[0] for line in lines[6:]}, {"ok", "note"}, lines)
                result = json.loads(self.assert_fine(
                    self.ctl("dma", "test", address, "--json", "--size", "4096", "--size", "12K")))
                self.assertEqual(result["engine"], engine)
                self.assertEqual([r["bytes"] for r in result["rounds"]], [4096, 12288])
                self.assertTrue(all(r["copied"] for r in result["rounds"]))

    def test_irq_watch(self):
        lines = self.assert_fine(
            self.ctl("irq", "watch", "02:00.0", "--fire", "--count", "3")).splitlines()
        self.assertEqual(lines[0], "watching 32 vectors of 02:00.0")
        self.assertEqual([re.sub(r"^ *[\d.]+ ms +", "", line) for line in lines[1:4]],
                         [f"vector   {n}  count 1" for n in range(3)])
        self.assertEqual(lines[4], "3 interrupts")
        self.assertRegex(lines[5], r"^latency, from firing to the process: min [\d.]+ us, p50 ")

    def test_irq_watch_json(self):
        out = self.assert_fine(self.ctl("irq", "watch", "01:00.0", "--fire", "-n", "2", "--json"))
        objects = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([(o["vector"], o["count"]) for o in objects[:2]], [(0, 1), (0, 2)])
        self.assertEqual((objects[2]["total"], objects[2]["vectors"]), (2, {"0": 2}))
        self.assertEqual(sum(b["count"] for b in objects[2]["latency_us"]["histogram"]), 2)

    def test_irq_watch_ends(self):
        out = self.assert_fine(self.ctl("irq", "watch", "01:00.0", "--seconds", "0.05"))
        self.assertTrue(out.endswith("\n0 interrupts\n"), out)
        result = self.ctl("irq", "watch", "01:00.0", "--seconds", "0.05", "--count", "1")
        self.assertEqual(result.status, 1)
        self.assertIn("01:00.0: 0 of 1 interrupts arrived", result.err)

    def test_reset(self):
        for address, ids in (("01:00.0", "1234:11e8"), ("02:00.0", "1234:7e57")):
            self.assertRegex(self.assert_fine(self.ctl("reset", address)),
                             rf"(?m)^{address}: reset in [\d.]+ ms, {ids} answers\nok ")
        result = json.loads(self.assert_fine(self.ctl("reset", "01:00.0", "--json")))
        self.assertEqual((result["vendor_id"], result["device_id"]), ("0x1234", "0x11e8"))
        self.assertGreater(result["time_ms"], 0)

    def test_missing_device(self):
        for command in (("show",), ("reset",), ("config", "dump"), ("bar", "info"),
                        ("dma", "test"), ("irq", "watch")):
            result = self.ctl(*command, "05:00.0")
            self.assert_fails(result, 1, "dextctl: 05:00.0: ")
        self.assert_fails(self.ctl("show", "elsewhere/01:00.0"), 1, "01:00.0", "elsewhere")


class Embedded(Both, toolstest.ToolTest):
    def ctl(self, *arguments):
        return run(*arguments, "--device", EDU, "--device", TESTDEV)

    def test_identity_dart(self):
        result = json.loads(self.assert_fine(
            run("dma", "test", "01:00.0", "--json", "--device", EDU + ",dart=identity")))
        self.assertEqual({(r["source_bus_address"], r["target_bus_address"])
                          for r in result["rounds"]}, {("0x10000000", "0x80000000")})

    def test_large_pages(self):
        self.assert_fine(run("dma", "test", "01:00.0", "--device", EDU, "--page-size", "16384"))

    def test_dma_that_does_not_fit(self):
        small = EDU + ",aperture=16k"
        self.assert_fails(run("dma", "test", "01:00.0", "--size", "64K", "--device", small), 1,
                          "01:00.0", "cannot register 64 KiB", "aperture")

    def test_full_output(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([DEXTCTL, "list", "--device", EDU], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write the output", done.stderr)


class Served(Both, toolstest.ToolTest):
    @classmethod
    def setUpClass(cls):
        cls.host = Dextd(EDU, TESTDEV)
        cls.host.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.host.__exit__()

    def ctl(self, *arguments):
        return run(*arguments, socket=self.host.socket)

    def test_two_watchers_see_what_one_fires(self):
        with subprocess.Popen([DEXTCTL, "irq", "watch", "02:00.0", "--count", "1"],
                              env=environment(self.host.socket), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watcher:
            self.assertIn("watching", watcher.stdout.readline())
            self.assert_fine(self.ctl("bar", "write", "02:00.0", "0", "0x100", "5"))
            out, err = watcher.communicate(timeout=toolstest.SECONDS)
        self.assertEqual((watcher.returncode, err), (0, ""))
        self.assertRegex(out, r"vector   5  count 1\n1 interrupt\n$")

    def test_interrupted_watch_ends_well(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([DEXTCTL, "irq", "watch", "02:00.0"],
                                  env=environment(self.host.socket), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watcher:
                self.assertIn("watching", watcher.stdout.readline())
                watcher.send_signal(number)
                out, err = watcher.communicate(timeout=toolstest.SECONDS)
            self.assertEqual((watcher.returncode, out, err), (0, "0 interrupts\n", ""))

    def test_state_stays_between_runs(self):
        self.assert_fine(self.ctl("bar", "write", "01:00.0", "0", FACTORIAL, "6"))
        self.assertTrue(toolstest.wait_until(
            lambda: self.ctl("bar", "read", "01:00.0", "0", STATUS).out == "0x00000000\n"))
        self.assertEqual(self.ctl("bar", "read", "01:00.0", "0", FACTORIAL).out, "0x000002d0\n")


if __name__ == "__main__":
    toolstest.main()

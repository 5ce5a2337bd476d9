#!/usr/bin/env python3
"""dextctl at work: on embedded devices, and on those of a dextd.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

FACTORIAL, STATUS = "0x8", "0x20"
DUMPS = Path(__file__).resolve().parent / "dumps"


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

    def test_device_that_does_not_come_back(self):
        result = run("reset", "01:00.0", "--device", "testdev,addr=01:00.0,reset=dead")
        self.assertEqual(result.status, 1)
        self.assertRegex(result.err, r"^dextctl: 01:00\.0: reset failed.*not responding[^\n]*\n$")

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
        deadline = time.monotonic() + 10
        while self.ctl("bar", "read", "01:00.0", "0", STATUS).out != "0x00000000\n":
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(self.ctl("bar", "read", "01:00.0", "0", FACTORIAL).out, "0x000002d0\n")


class Watch(toolstest.ToolTest):
    """dextctl list --watch, and who holds claims."""

    def watcher(self, host, *options):
        return subprocess.Popen([DEXTCTL, "list", "--watch", *options],
                                env=environment(host.socket), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_departures_as_they_happen(self):
        with Dextd(EDU, TESTDEV) as host:
            with self.watcher(host, "--count", "4", "--seconds", "50") as watcher:
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
        self.assertEqual(len(self.assert_fine(run("list", "--watch", "-s", "0.2",
                                                  *device)).splitlines()), 2)
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
            deadline = time.monotonic() + 10
            while claims():
                self.assertLess(time.monotonic(), deadline)


class OddBars(toolstest.ToolTest):
    """show where the driver does not tell ranges, and where there is nothing to map."""

    def show(self, device):
        text = self.assert_fine(run("show", "02:00.0", "--device", device))
        bars = json.loads(self.assert_fine(run("show", "02:00.0", "--json", "--device", device)))
        return text, {bar["bar"]: bar for bar in bars["bars"]}

    def test_without_extensions_a_bar_is_mapped_whole(self):
        text, bars = self.show(f"{TESTDEV},extensions=off")
        self.assertEqual(text.count("     mapped whole: this driver tells no direct and "), 3)
        self.assertIn("not mapped: ports", text)
        self.assertEqual([bars[n]["mapping"] for n in (0, 1, 2, 4)],
                         ["whole", "none", "whole", "whole"])
        self.assertEqual((bars[2]["direct"], bars[2]["trapped"]), (None, None))

    def test_a_bar_that_cannot_be_mapped(self):
        text, bars = self.show(f"{TESTDEV},fault=map")
        self.assertEqual(text.count("     cannot be mapped: "), 3)
        self.assertEqual(bars[2]["mapping"], "refused")


class RealDevices(toolstest.ToolTest):
    """Extended capabilities of dumps, against what lspci of their time said in the file."""

    def details(self, name, address):
        text = self.assert_fine(run("show", address, "--json", "--device",
                                    f"replay,file={DUMPS / name}"))
        return {c["name"]: c["detail"] for c in json.loads(text)["capabilities"]
                if c["extended"]}, json.loads(text)

    def test_network_controller(self):
        details, view = self.details("cap-pcie-2.lspci", "01:00.0")
        self.assertEqual(details["Device Serial Number"], "00-1b-21-ff-ff-2b-46-e0")
        self.assertEqual(details["Single Root I/O Virtualization"],
                         "1 of 8 virtual functions, device id 10ca")
        self.assertIn("correctable 0x00002000", details["Advanced Error Reporting"])
        self.assertEqual(view["interrupts"]["msix"], 10)
        self.assertEqual((view["link"]["speed_text"], view["link"]["width"]), ("2.5 GT/s", 4))

    def test_graphics(self):
        details, view = self.details("cap-rebar.lspci", "09:00.0")
        self.assertEqual(details["Resizable BAR"], "BAR 0: 256 MiB")
        self.assertEqual(details["Alternative Routing-ID"], "next function 1")
        self.assertEqual(view["resets"], ["hot"])  # FLReset-, NoSoftRst+

    def test_wireless(self):
        details, _ = self.details("cap-l1-pm.lspci", "01:00.0")
        self.assertEqual(details["Device Serial Number"], "18-5e-0f-ff-ff-61-9b-49")
        self.assertRegex(details["L1 PM Substates"], r"^PCI-PM L1\.2[+-], PCI-PM L1\.1[+-], ASPM")
        self.assertRegex(details["Latency Tolerance Reporting"], r"^at most \d+ ns snooped")

    def test_lines_fit(self):
        for path in DUMPS.glob("*.lspci"):
            listed = json.loads(self.assert_fine(run("list", "--json", "--device",
                                                     f"replay,file={path}"))
                                if path.name != "bridge-ctl-vga16.lspci" else '{"devices": []}')
            for device in listed["devices"][:1]:
                address = f"{device['root']}/{device['address']}"
                text = self.assert_fine(run("show", address, "--device", f"replay,file={path}"))
                # The first line has a name of any length.
                self.assertLessEqual(max(map(len, text.splitlines()[1:])), 100, path.name)


class Names(toolstest.ToolTest):
    def test_pci_ids(self):
        device = ("--device", f"replay,file={DUMPS / 'cap-rebar.lspci'}")
        found = json.loads(self.assert_fine(run("list", "--json", *device)))["devices"][0]
        if found["device"] is None:
            self.skipTest("built without libpci")
        self.assertIn("Fiji", found["device"])
        self.assertEqual(found["class"], "VGA compatible controller")
        self.assertRegex(self.assert_fine(run("list", *device)),
                         r"VGA compatible controller, .*Fiji.*\n$")
        self.assertRegex(self.assert_fine(run("show", "09:00.0", *device)),
                         r"^09:00\.0  VGA compatible controller, .*Fiji")


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
        self.assertIn("no host at /nonexistent/dextlink.sock: No such file or directory\n",
                      run("list", log="info").err)

    def test_dead_socket(self):
        with Dextd(EDU) as host:
            host.process.kill()
            host.process.communicate()
            self.assertTrue(host.socket.exists())
            self.assert_fails(run("show", "01:00.0", socket=host.socket), 1, "01:00.0", "dextd")

    def test_host_that_ends_under_a_watcher(self):
        with Dextd(TESTDEV) as host:
            with subprocess.Popen([DEXTCTL, "irq", "watch", "02:00.0", "--seconds", "20",
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


if __name__ == "__main__":
    toolstest.main()

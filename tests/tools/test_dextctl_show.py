#!/usr/bin/env python3
"""dextctl show on real devices' dumps, and on BARs that cannot be looked into; names of pci.ids.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
from pathlib import Path

import toolstest
from toolstest import TESTDEV, run

DUMPS = Path(__file__).resolve().parent / "dumps"


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


class Unwell(toolstest.ToolTest):
    """Devices that answer, but not as what they are."""

    def test_one_that_asks_for_a_retry_is_not_decoded(self):
        """F4."""
        self.assert_fails(run("show", "02:00.0", "--device", f"{TESTDEV},fault=retry"), 1,
                          "02:00.0: its vendor id reads 0x0001", "not ready")

    def test_one_that_was_exchanged(self):
        text = self.assert_fine(run("show", "02:00.0", "--device", f"{TESTDEV},fault=mismatch"))
        self.assertRegex(text, r"(?m)^  ids +1234:81a8 revision 01, but 1234:7e57 when it was found$")

    def test_one_that_is_gone_cannot_be_mapped(self):
        """The system says no more than bad argument."""
        self.assert_fails(run("bar", "read", "02:00.0", "0", "0", "--device",
                              f"{TESTDEV},fault=gone"), 1, "cannot map BAR 0", "no device")


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


if __name__ == "__main__":
    toolstest.main()

#!/usr/bin/env python3
"""dextctl dump: the text of lspci -xxxx, with lspci -F as the judge of what it says.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import re
import shutil
import subprocess
import unittest

import toolstest
from toolstest import EDU, Dextd, run

SERIAL = "testdev,addr=02:00.0,serial=0x0123456789abcdef,vectors=17"
LSPCI = shutil.which("lspci") or shutil.which("lspci", path="/usr/bin:/sbin:/usr/sbin")


def lspci(dump, *options):
    """What lspci says of a dump, with numbers for names."""
    done = subprocess.run([LSPCI, "-n", "-F", "/dev/stdin", *options], input=dump,
                          capture_output=True, text=True, check=True)
    complaints = [line for line in done.stderr.splitlines() if "libkmod" not in line]
    assert complaints == [], complaints  # that one is about the machine, not the dump
    return done.stdout


class Both:
    """Tests that hold on an embedded host and on a dextd alike; ctl() is the difference."""

    def dump(self, *addresses):
        return self.assert_fine(self.ctl("dump", *addresses))

    def test_form(self):
        lines = self.dump("01:00.0").splitlines()
        self.assertEqual(len(lines), 1 + 256 // 16)
        self.assertRegex(lines[0], r"^01:00\.0 \S.*: 1234:11e8$")
        self.assertRegex(lines[1], r"^00: 34 12 e8 11 06 00 [0-9a-f ]{29}$")
        lines = self.dump("02:00.0").splitlines()
        self.assertEqual(len(lines), 1 + 4096 // 16)
        for row, line in enumerate(lines[1:]):
            self.assertRegex(line, rf"^{row * 16:02x}:( [0-9a-f]{{2}}){{16}}$")

    @unittest.skipUnless(LSPCI, "lspci is not installed")
    def test_lspci_decodes_edu(self):
        said = lspci(self.dump("01:00.0"), "-vvv")
        self.assertTrue(said.startswith("01:00.0 00ff: 1234:11e8 (rev 10)\n"), said)
        self.assertIn("Subsystem: 1af4:1100\n", said)
        self.assertIn("Mem+ BusMaster+", said)
        self.assertRegex(said, r"Region 0: Memory at [1-9a-f][0-9a-f]{2}00000 \(32-bit, non-pref")
        self.assertIn("MSI: Enable- Count=1/1 Maskable- 64bit+", said)

    @unittest.skipUnless(LSPCI, "lspci is not installed")
    def test_lspci_decodes_testdev(self):
        said = lspci(self.dump("02:00.0"), "-vvv")
        self.assertTrue(said.startswith("02:00.0 ff00: 1234:7e57 (rev 01)\n"), said)
        for what in ("Region 1: I/O ports at 1", "(64-bit, prefetchable)",
                     "Power Management version 3", "MSI: Enable- Count=1/16 Maskable+ 64bit+",
                     "MSI-X: Enable- Count=17 Masked-", "Express (v2) Endpoint",
                     "MaxPayload 256 bytes", "FLReset+", "Speed 16GT/s, Width x4",
                     "Vendor Specific Information: Len=08", "Advanced Error Reporting",
                     "Device Serial Number 01-23-45-67-89-ab-cd-ef",
                     "Vendor Specific Information: ID=7e57 Rev=1 Len=010"):
            self.assertIn(what, said)

    @unittest.skipUnless(LSPCI, "lspci is not installed")
    def test_lspci_reads_back_every_byte(self):
        dump = self.dump("02:00.0", "01:00.0")
        again = lspci(dump, "-xxxx")
        rows = re.compile(r"(?m)^[0-9a-f]+: .*$")
        first, second = dump.strip().split("\n\n")
        self.assertEqual((first[:7], second[:7]), ("02:00.0", "01:00.0"))
        # lspci puts them into the order of their addresses
        self.assertEqual(rows.findall(again), rows.findall(second) + rows.findall(first))

    def test_is_what_config_dump_says(self):
        data = json.loads(self.assert_fine(self.ctl("config", "dump", "01:00.0", "--json")))["data"]
        bytes_of_rows = re.findall(r" ([0-9a-f]{2})(?= |$)", self.dump("01:00.0").split("\n", 1)[1],
                                   re.M)
        self.assertEqual("".join(bytes_of_rows), data)

    def test_one_missing_does_not_keep_the_others_from_it(self):
        result = self.ctl("dump", "03:00.0", "01:00.0")
        self.assertEqual(result.status, 1)
        self.assertRegex(result.err, r"^dextctl: [^\n]*03:00\.0[^\n]*\n$")
        self.assertTrue(result.out.startswith("01:00.0 "), result.out)

    def test_stable_names(self):
        names = {d["name"]: d["address"] for d in
                 json.loads(self.assert_fine(self.ctl("list", "--json")))["devices"]}
        self.assertEqual(len(names), 2)
        for name, address in names.items():
            self.assertTrue(self.dump(name).startswith(address + " "))
        self.assert_fails(self.ctl("dump", "no-such-root/00.0"), 1, "no-such-root/00.0", "no device")


class Embedded(Both, toolstest.ToolTest):
    def ctl(self, *arguments):
        return run(*arguments, "--device", EDU, "--device", SERIAL)


class Daemon(Both, toolstest.ToolTest):
    @classmethod
    def setUpClass(cls):
        cls.host = Dextd(EDU, SERIAL)
        cls.host.__enter__()

    @classmethod
    def tearDownClass(cls):
        assert cls.host.stop() == 0, cls.host.err
        cls.host.folder.cleanup()

    def ctl(self, *arguments):
        return run(*arguments, socket=self.host.socket)


if __name__ == "__main__":
    toolstest.main()

#!/usr/bin/env python3
"""Replayed devices: real dumps become devices and come back as dumps, byte for byte.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import toolstest
from toolstest import Dextd, run

DUMPS = Path(__file__).resolve().parent / "dumps"
FILES = sorted(DUMPS.glob("*.lspci"))
LSPCI = shutil.which("lspci") or shutil.which("lspci", path="/usr/bin:/sbin:/usr/sbin")
ADDRESS = re.compile(r"^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?: |$)")
ROW = re.compile(r"^([0-9a-f]{2,3}):((?: [0-9a-f]{2})+) *$")
# What lspci says of registers that VOLATILE leaves out.
VOLATILE_LINES = ("Control:", "Status:", "Region ", "Memory at ", "I/O ports at ", "Latency",
                  "BIST", "DevSta:")


def parse(text):
    """{(domain, address): bytes} of a dump; a reader of its own."""
    found, now = {}, None
    for line in text.splitlines():
        address, row = ADDRESS.match(line), ROW.match(line)
        if address:
            now = found.setdefault((int(address[1] or "0", 16), address[2]), bytearray())
        elif row and now is not None:
            assert int(row[1], 16) == len(now), line
            now += bytes.fromhex(row[2])
        elif not line:
            now = None
    return found


def capability(config, wanted):
    """Offset of a standard capability; 0: none."""
    at, seen = config[0x34] & 0xfc if config[6] & 0x10 and len(config) > 64 else 0, 0
    while at >= 0x40 and seen < 48:
        if config[at] == wanted:
            return at
        at, seen = config[at + 1] & 0xfc, seen + 1
    return 0


def volatile(config):
    """Offsets whose content is the host's or of the moment: what docs/replay.md lists."""
    kind = config[0x0e] & 0x7f
    bars = {0: 6, 1: 2, 2: 1}.get(kind, 0)
    out = set(range(0x04, 0x08)) | set(range(0x10, 0x10 + 4 * bars))
    power, express = capability(config, 0x01), capability(config, 0x10)
    if power:
        out.add(power + 4)  # the power state: a replayed device starts in D0
    if express:
        out.add(express + 10)  # Device Status: Transactions Pending
    return out


def specification(path, key, place):
    domain, address = key
    return f"replay,file={path},function={domain:04x}:{address},addr={place}"


def decode(text):
    """What lspci says of a dump, without its volatile lines."""
    done = subprocess.run([LSPCI, "-n", "-vvv", "-F", "/dev/stdin"], input=text, text=True,
                          capture_output=True, check=True)
    return [line for line in done.stdout.splitlines()
            if not line.strip().startswith(VOLATILE_LINES)]


def as_text(address, config):
    rows = [f"{at:02x}: " + " ".join(f"{b:02x}" for b in config[at:at + 16])
            for at in range(0, len(config), 16)]
    return "\n".join([f"{address} x", *rows, ""])


class RoundTrip(toolstest.ToolTest):
    """Each function of each file, all devices of one file at a time."""

    @classmethod
    def setUpClass(cls):
        """{file: {function: (where it was replayed, its bytes before, its bytes after)}}"""
        cls.files = {}
        for path in FILES:
            originals = parse(path.read_text(encoding="utf-8"))
            # Functions of several domains sit side by side here.
            places = {key: f"{i // 32 + 1:02x}:{i % 32:02x}.0" for i, key in enumerate(originals)}
            devices = [word for key, place in places.items()
                       for word in ("--device", specification(path, key, place))]
            said = run("dump", *places.values(), *devices)
            assert (said.status, said.err) == (0, ""), said
            dumps = parse(said.out)
            cls.files[path.name] = {key: (place, originals[key], dumps[(0, place)])
                                    for key, place in places.items()}

    def functions(self):
        for name, functions in self.files.items():
            for key, (_, before, after) in functions.items():
                with self.subTest(f"{name} {key}"):
                    yield before, after

    def test_every_byte_that_is_the_devices_own(self):
        count = 0
        for before, after in self.functions():
            count += 1
            self.assertEqual(len(after), 4096 if capability(before, 0x10) else 256)
            ignored = volatile(before)
            wrong = [f"{at:#x}: {before[at]:02x} became {after[at]:02x}"
                     for at in range(min(len(before), len(after)))
                     if before[at] != after[at] and at not in ignored]
            self.assertEqual(wrong, [])
        self.assertGreaterEqual(count, 40)

    @unittest.skipUnless(LSPCI, "lspci is not installed")
    def test_lspci_says_the_same(self):
        for name, functions in self.files.items():
            # lspci says of bare headers that the rest is denied
            whole = [f for f in functions.values() if len(f[1]) > 64]
            with self.subTest(name):
                before = decode("\n".join(as_text(place, was) for place, was, _ in whole))
                self.assertEqual(decode("\n".join(as_text(place, now) for place, _, now in whole)),
                                 before)
                self.assertGreater(len(before), len(whole))

    def test_bars_keep_their_types(self):
        for before, after in self.functions():
            kind = before[0x0e] & 0x7f
            bar, count = 0, {0: 6, 1: 2, 2: 1}.get(kind, 0)
            while bar < count:
                was, now = before[0x10 + 4 * bar], after[0x10 + 4 * bar]
                mask = 0x3 if was & 1 else 0xf
                self.assertEqual(was & mask, now & mask, f"BAR {bar}")
                bar += 2 if was & 7 == 4 else 1


GPU = DUMPS / "cap-rebar.lspci"
NIC = DUMPS / "cap-pcie-2.lspci"
MACHINE = DUMPS / "PCI-X-bridges-and-domains.lspci"


class Both:
    """A network controller and a graphics card, on an embedded host and on a dextd."""
    DEVICES = (f"replay,file={NIC}", f"replay,file={GPU},addr=05:00.0,bar2=2M")

    def show(self, address):
        return json.loads(self.assert_fine(self.ctl("show", address, "--json")))

    def test_list(self):
        devices = json.loads(self.assert_fine(self.ctl("list", "--json")))["devices"]
        self.assertEqual([(d["address"], d["vendor_id"], d["device_id"]) for d in devices],
                         [("01:00.0", "0x8086", "0x10c9"), ("05:00.0", "0x1002", "0x7300")])

    def test_bars(self):
        # As lspci of the file says: 128K, 4M, 32 ports, 16K.
        self.assertEqual([(b["bar"], b["size"], b["type"]) for b in self.show("01:00.0")["bars"]],
                         [(0, 128 << 10, "0x0"), (1, 4 << 20, "0x0"), (2, 32, "0x1"),
                          (3, 16 << 10, "0x0")])
        # That file has no sizes: as large as the address allows, and no larger than usual.
        self.assertEqual([(b["bar"], b["size"], b["type"]) for b in self.show("05:00.0")["bars"]],
                         [(0, 256 << 20, "0xc"), (2, 2 << 20, "0xc"), (4, 256, "0x1"),
                          (5, 8 << 20, "0x0")])

    def test_bars_are_memory(self):
        for more in ((), ("--call",)):
            read = ("bar", "read", "01:00.0", "1", "0x3ffff8", "-w", "8", *more)
            self.assert_fine(self.ctl("bar", "write", "01:00.0", "1", "0x3ffff8",
                                      "0x0123456789abcdef", "-w", "8", *more))
            if self.keeps_state:
                self.assertEqual(self.assert_fine(self.ctl(*read)), "0x0123456789abcdef\n")
                self.assertEqual(self.assert_fine(self.ctl(
                    "bar", "read", "01:00.0", "1", "0x3ffffd", "-w", "1")), "0x45\n")
            self.assertEqual(self.assert_fine(self.ctl("bar", "read", "01:00.0", "1", "0x1000")),
                             "0x00000000\n")

    def test_interrupts_are_granted(self):
        said = self.assert_fine(self.ctl("irq", "watch", "01:00.0", "--seconds", "0.1"))
        self.assertIn("10 vectors", said.splitlines()[0])  # MSI-X: Count=10

    def test_reset(self):
        self.assert_fine(self.ctl("reset", "01:00.0"))

    def test_capabilities_answer_as_hardware_does(self):
        if not self.keeps_state:
            self.skipTest("each run has devices of its own")
        config = parse(NIC.read_text(encoding="utf-8"))[(0, "01:00.0")]
        power, msi = capability(config, 0x01), capability(config, 0x05)
        # Read-only: ids, the capability's header. Writable: the message's address, bits 31:2.
        for offset, value, width, wanted in ((0, "0", "2", "0x8086\n"),
                                             (msi, "0", "1", "0x05\n"),
                                             (msi + 4, "0xffffffff", "4", "0xfffffffc\n"),
                                             (power + 2, "0", "1", f"{config[power + 2]:#04x}\n")):
            self.assert_fine(self.ctl("config", "write", "01:00.0", offset, value, "-w", width,
                                      "--force"))
            self.assertEqual(self.assert_fine(self.ctl("config", "read", "01:00.0", offset,
                                                       "-w", width)), wanted)


class Embedded(Both, toolstest.ToolTest):
    keeps_state = False

    def ctl(self, *arguments):
        return run(*arguments, *(w for d in self.DEVICES for w in ("--device", d)))


class Daemon(Both, toolstest.ToolTest):
    keeps_state = True

    @classmethod
    def setUpClass(cls):
        cls.host = Dextd(*cls.DEVICES)
        cls.host.__enter__()

    @classmethod
    def tearDownClass(cls):
        assert cls.host.stop() == 0, cls.host.err
        cls.host.folder.cleanup()

    def ctl(self, *arguments):
        return run(*arguments, socket=self.host.socket)


class Choice(toolstest.ToolTest):
    """Which functions of a file become devices, and where."""

    def devices(self, *specifications):
        words = [word for one in specifications for word in ("--device", one)]
        found = json.loads(self.assert_fine(run("list", "--json", *words)))["devices"]
        return [(d["root"], d["address"], d["device_id"]) for d in found]

    def test_all_but_bridges_a_root_for_each_domain(self):
        wanted = sorted(
            (f"pci-domain{domain:x}" if domain else "pci-bridge0", address,
             f"{config[2] | config[3] << 8:#06x}")
            for (domain, address), config in parse(MACHINE.read_text(encoding="utf-8")).items()
            if config[0x0e] & 0x7f == 0)
        self.assertGreater(len({root for root, _, _ in wanted}), 2)
        self.assertEqual(sorted(self.devices(f"replay,file={MACHINE}")), wanted)

    def test_addr_chooses(self):
        ports = DUMPS / "cap-aer-root.lspci"
        self.assertEqual(self.devices(f"replay,file={ports},addr=03:00.0,root=a"),
                         [("a", "03:00.0", "0x1007")])

    def test_function_chooses_and_addr_places(self):
        self.assertEqual(self.devices(f"replay,file={MACHINE},function=0002:42:03.0,addr=07:01.2"),
                         [("pci-bridge0", "07:01.2", "0x2000")])
        self.assertEqual(self.devices(f"replay,file={MACHINE},function=0002:42:03.0"),
                         [("pci-domain2", "42:03.0", "0x2000")])

    def test_one_function_goes_anywhere(self):
        self.assertEqual(self.devices(f"replay,file={GPU},addr=1f:00.0"),
                         [("pci-bridge0", "1f:00.0", "0x7300")])

    def test_a_bridge_when_it_is_alone_or_named(self):
        self.assertEqual(len(self.devices(f"replay,file={DUMPS / 'cap-MSI-mapping.lspci'}")), 1)
        bridges = DUMPS / "bridge-ctl-vga16.lspci"
        key = next(iter(parse(bridges.read_text(encoding="utf-8"))))
        self.assertEqual([d[1] for d in self.devices(f"replay,file={bridges},function={key[1]}")],
                         [key[1]])
        self.assert_fails(run("list", "--device", f"replay,file={bridges}"), 2, "nothing", "bridges")

    def test_what_dump_wrote(self):
        with tempfile.TemporaryDirectory(prefix="replay-test-") as folder:
            path = Path(folder) / "own.txt"
            device = ("--device", "testdev,addr=02:00.0,serial=77")
            path.write_text(self.assert_fine(run("dump", "02:00.0", *device)), encoding="utf-8")
            again = self.assert_fine(run("dump", "02:00.0", "--device", f"replay,file={path}"))
            before = parse(path.read_text(encoding="utf-8"))[(0, "02:00.0")]
            after = parse(again)[(0, "02:00.0")]
            ignored = volatile(before)
            self.assertEqual([i for i in range(4096)
                              if before[i] != after[i] and i not in ignored], [])


ROWS = "\n".join(f"{at:02x}:" + " 00" * 16 for at in range(0, 64, 16)) + "\n"
GOOD = "01:00.0 x\n" + ROWS


class Mistakes(toolstest.ToolTest):
    """Every bad file is met with status 2 and one line that names what is wrong, and where."""

    def check(self, text, *pieces, options=""):
        with tempfile.TemporaryDirectory(prefix="replay-test-") as folder:
            path = Path(folder) / "dump"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            with self.subTest(text[:60]):
                self.assert_fails(run("list", "--device", f"replay,file={path}{options}"), 2,
                                  "dextctl: --device: ", *pieces)

    def test_good(self):
        for text in (GOOD, GOOD.replace("\n", "\r\n"), "some words\n\n" + GOOD, GOOD + "\nend",
                     GOOD.rstrip(), GOOD.replace("01:00.0 x", "00000001:01:00.0")):
            with tempfile.TemporaryDirectory(prefix="replay-test-") as folder:
                path = Path(folder) / "dump"
                path.write_bytes(text.encode())
                self.assert_fine(run("list", "--device", f"replay,file={path}"))

    def test_lines(self):
        self.check("", "no function", "lspci -x")
        self.check("nothing here\n", "line 1", "no function")
        self.check(ROWS, "line 1", "without a line with an address")
        self.check("01:00.0 x\n", "line 1", "01:00.0 has no bytes")
        self.check("01:00.0 x\n00: 00\n", "line 1", "fewer than the 64 bytes")
        self.check(GOOD + "40: 0\n", "line 6", "two digits a byte")
        self.check(GOOD + "40: 000\n", "line 6", "two digits a byte")
        self.check(GOOD + "40: 00 zz\n", "line 6", "two digits a byte")
        self.check(GOOD + "40: 00,00\n", "line 6", "two digits a byte")
        self.check(GOOD + "30: 00\n", "line 6", "twice")
        self.check(GOOD + "50: 00\n", "line 6", "lacks the row before")
        self.check(GOOD + "\n" + GOOD, "line 7", "before")
        rows = "".join(f"{at:02x}:" + " 00" * 16 + "\n" for at in range(0, 4096, 16))
        self.check("01:00.0 x\n" + rows + "1000: 00\n" + "fff: 00\n", "line 259", "twice")
        self.check("01:00.0 x\n" + rows.rstrip("\n") + " 00\n", "line 257", "ends at 4096")
        for size in ("3", "0", "3M", "M", "", "16Q", "99999999999999999999"):
            self.check(f"01:00.0 x\n\tMemory at f0000000 (32-bit) [size={size}]\n" + ROWS,
                       "line 2", "power of two")
        self.check(b"01:00.0 x\n\0\n", "NUL")

    def test_files(self):
        self.assert_fails(run("list", "--device", "replay"), 2, "file=PATH is missing")
        self.assert_fails(run("list", "--device", "replay,file"), 2, "file=PATH is missing")
        self.assert_fails(run("list", "--device", "replay,file=a,file=b"), 2, "file: given twice")
        self.assert_fails(run("list", "--device", "replay,file=/nonexistent/dump"), 2,
                          "/nonexistent/dump", "No such file")
        self.assert_fails(run("list", "--device", "replay,file=/"), 2, "file=/", "directory")
        self.assert_fails(run("list", "--device", "replay,file=/dev/zero"), 2, "larger than 16 MiB")

    def test_choice(self):
        two = GOOD + "\n" + GOOD.replace("01:00.0", "02:00.0")
        self.check(two, "addr=03:00.0", "not in the file", "0000:01:00.0, 0000:02:00.0",
                   options=",addr=03:00.0")
        self.check(two, "function=03:00.0", "not in the file", options=",function=03:00.0")
        self.check(two, "not an address", options=",function=3")
        self.check(two, "not an address", options=",function=123:03:00.0")
        self.check(GOOD + "\n" + GOOD.replace("01:00.0", "0001:01:00.0"), "several domains",
                   options=",function=01:00.0")
        self.check(GOOD, "unknown option", "addr, root", options=",frob=1")

    def test_sizes(self):
        self.check(GOOD, "bar0", "power of two", options=",bar0=3")
        self.check(GOOD, "bar0", "16 bytes and more", options=",bar0=8")
        self.check(GOOD, "bar0", "2 GiB", options=",bar0=4G")
        bridge = GOOD.replace("00: " + "00 " * 14 + "00", "00: " + "00 " * 14 + "01")
        self.check(bridge, "bar2", "no such BAR", options=",bar2=4K")

    def test_all_or_nothing(self):
        two = GOOD + "\n" + GOOD.replace("01:00.0", "02:00.0")
        with tempfile.TemporaryDirectory(prefix="replay-test-") as folder:
            path = Path(folder) / "dump"
            path.write_text(two, encoding="utf-8")
            self.assert_fails(run("list", "--device", "edu,addr=02:00.0", "--device",
                                  f"replay,file={path}"), 2, "02:00.0", "already")


class Dead(toolstest.ToolTest):
    def test_a_device_that_had_fallen_off_its_bus(self):
        with tempfile.TemporaryDirectory(prefix="replay-test-") as folder:
            path = Path(folder) / "dump"
            path.write_text(GOOD.replace(" 00", " ff"), encoding="utf-8")
            device = ("--device", f"replay,file={path}")
            device_list = json.loads(self.assert_fine(run("list", "--json", *device)))["devices"]
            self.assertEqual((device_list[0]["address"], device_list[0]["vendor_id"]),
                             ("01:00.0", None))
            self.assert_fails(run("config", "read", "01:00.0", "0", *device), 1, "01:00.0",
                              "reads as ones")


if __name__ == "__main__":
    toolstest.main()

#!/usr/bin/env python3
"""dextctl config and bar: register names, stretches of BARs, and writes that are refused.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

AT = "02:00.0"
# testdev (docs/testdev.md): MSI-X table and pending bits in BAR 0, memory in BAR 2
TABLE, PENDING = 0x8000, 0x9000
TIME_HIGH, TIME_LOW, SCRATCH, DIE = "0x24", "0x20", "0x50", "0x30"


def ctl(*arguments, device=TESTDEV):
    return run(*arguments, "--device", device)


def dump_text(config):
    """As lspci -xxxx prints it, for a replay device."""
    return "01:00.0 0200: 1234:5678\n" + "".join(
        f"{at:02x}: {config[at:at + 16].hex(' ')}\n" for at in range(0, len(config), 16))


class Names(toolstest.ToolTest):
    def value(self, register, *more):
        return self.assert_fine(ctl("config", "read", AT, register, *more)).strip()

    def test_header(self):
        for name, value in (("VENDOR_ID", "0x1234"), ("device_id", "0x7e57"), ("REVISION", "0x01"),
                            ("CLASS_DEVICE", "0xff00"), ("SUBSYSTEM_ID", "0x7e57"),
                            ("VENDOR_ID.L", "0x7e571234"), ("VENDOR_ID.B", "0x34"),
                            ("0.W", "0x1234"), ("2.W", "0x7e57"), ("VENDOR_ID+2", "0x7e57")):
            self.assertEqual(self.value(name), value, name)
        self.assertEqual(self.value("VENDOR_ID", "--width", "4"), "0x7e571234")

    def test_capabilities(self):
        """Ids are what the capability headers hold: PCI Local Bus and PCI Express numbers."""
        for name, value in (("CAP_PM.B", "0x01"), ("CAP_MSI.B", "0x05"), ("CAP_EXP.B", "0x10"),
                            ("CAP_MSIX.B", "0x11"), ("CAP11.B", "0x11"), ("ECAP_AER.W", "0x0001"),
                            ("ECAP_DSN.W", "0x0003"), ("ECAP0003.W", "0x0003")):
            self.assertEqual(self.value(name), value, name)
        self.assertEqual(self.value("CAP_MSIX+2.W"), "0x001f")  # 32 vectors
        self.assertEqual(int(self.value("CAP_MSIX+4"), 16), TABLE)
        self.assertEqual(int(self.value("CAP_MSIX+0x8"), 16), PENDING)
        self.assertEqual(len(self.value("CAP_MSIX+2")), len("0x0000"))
        self.assertEqual(len(self.value("CAP_MSIX+1")), len("0x00"))

    def test_capability_that_is_not_there(self):
        for name in ("CAP_AGP", "CAP_EXP@1", "ECAP_SRIOV+8", "CAP_VNDR@2"):
            self.assert_fails(ctl("config", "read", AT, name), 1, AT, name, "no such capability")
        self.assert_fails(ctl("config", "read", AT, "CAP_PM+1.W"), 1, "CAP_PM+1.W", "multiple")
        self.assert_fails(ctl("config", "read", AT, "ECAP_DSN+f00"), 1, "outside config space")

    def test_several(self):
        out = self.assert_fine(ctl("config", "read", AT, "COMMAND", "STATUS", "CAP_EXP+8.W"))
        self.assertEqual([line.split() for line in out.splitlines()],
                         [["004", "COMMAND", "0x0006"], ["006", "STATUS", "0x0010"],
                          ["074", "CAP_EXP+8.W", "0x2810"]])
        got = json.loads(self.assert_fine(ctl("config", "read", AT, "BAR0", "STATUS", "--json")))
        self.assertEqual([(r["register"], r["offset"], r["width"]) for r in got["registers"]],
                         [("BAR0", "0x10", 4), ("STATUS", "0x06", 2)])

    def test_names_are_those_of_setpci(self):
        setpci = shutil.which("setpci", path="/usr/bin:/sbin:/usr/sbin")
        if not setpci:
            self.skipTest("setpci is not installed")
        rows = subprocess.run([setpci, "--dumpregs"], capture_output=True, text=True, check=True)
        names, offsets = [], []
        for line in rows.stdout.splitlines()[1:]:
            name, place, width = line[10:], int(line[5:7], 16), {"B": 1, "W": 2, "L": 4}.get(line[8])
            if name == "PRIMARY_BUS":
                break
            names.append(name)
            offsets.append((f"0x{place:02x}", width))
        got = json.loads(self.assert_fine(ctl("config", "read", AT, *names, "--json")))["registers"]
        self.assertEqual([(r["offset"], r["width"]) for r in got], offsets)
        self.check_capabilities([(line[10:], int(line[:4], 16)) for line in rows.stdout.splitlines()
                                 if line[10:].startswith(("CAP_", "ECAP_"))])

    def check_capabilities(self, names):
        """A device that has one of each, 8 bytes apart: what is found under a name is its id."""
        plain = [(name, number) for name, number in names if name.startswith("CAP_")]
        extended = [(name, number) for name, number in names if name.startswith("ECAP_")]
        config = bytearray(4096)
        config[0x00:0x08] = bytes.fromhex("3412785606001000")
        config[0x34] = 0x40
        for i, (_, number) in enumerate(plain):
            at = 0x40 + 8 * i
            config[at:at + 2] = bytes([number, at + 8 if i + 1 < len(plain) else 0])
        for i, (_, number) in enumerate(extended):
            at = 0x100 + 8 * i
            after = at + 8 if i + 1 < len(extended) else 0
            config[at:at + 4] = (number | 1 << 16 | after << 20).to_bytes(4, "little")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "dump"
            path.write_text(dump_text(config), encoding="utf-8")
            for some in (plain, extended):
                width = "B" if some is plain else "W"
                got = self.assert_fine(run("config", "read", "01:00.0", "--json",
                                           *(f"{name}.{width}" for name, _ in some),
                                           "--device", f"replay,file={path}"))
                self.assertEqual([int(r["value"], 16) for r in json.loads(got)["registers"]],
                                 [number for _, number in some])


class Writes(toolstest.ToolTest):
    def test_several_and_masks(self):
        with Dextd(TESTDEV) as host:
            def serve(*arguments):
                return self.assert_fine(run(*arguments, socket=host.socket))
            with subprocess.Popen([DEXTCTL, "irq", "watch", AT], env=environment(host.socket),
                                  stdout=subprocess.PIPE, text=True) as holder:
                holder.stdout.readline()  # its claim keeps the device as it is between our runs
                serve("config", "write", AT, "INTERRUPT_LINE", "0xa5", "CACHE_LINE_SIZE", "16")
                values = serve("config", "read", AT, "INTERRUPT_LINE", "CACHE_LINE_SIZE").split()
                self.assertEqual(values[2::3], ["0xa5", "0x10"])
                serve("config", "write", AT, "INTERRUPT_LINE", "0x0f:0x3c")
                self.assertEqual(serve("config", "read", AT, "INTERRUPT_LINE"), "0x8d\n")
                holder.send_signal(signal.SIGINT)
                holder.communicate(timeout=toolstest.SECONDS)

    def refused(self, *arguments, why):
        with self.subTest(" ".join(arguments)):
            result = ctl("config", "write", AT, *arguments)
            self.assert_fails(result, 1, AT, why, "--force")
            self.assert_fine(ctl("config", "write", AT, *arguments, "--force"))

    def test_harmful_ones_are_refused(self):
        """field-notes C15: the host owns these."""
        self.refused("BAR0", "0", why="host owns the addresses")
        self.refused("0x24", "0", why="host owns the addresses")
        self.refused("0x11", "0", "--width", "1", why="host owns the addresses")
        self.refused("ROM_ADDRESS", "1", why="expansion ROM")
        self.refused("STATUS", "0x8000", why="record of errors")
        self.refused("4", "0x80000000", why="record of errors")
        self.refused("CAP_PM+4.W", "3", why="power state")
        self.refused("CAP_MSI+2.W", "1:1", why="MSI's enable bit")
        self.refused("CAP_MSI+4.L", "0xfee00000", why="MSI's address")
        self.refused("CAP_MSI+c.W", "0x41", why="MSI's address or data")
        self.refused("CAP_MSIX+2.W", "0x8000", why="MSI-X's enable")
        self.refused("CAP_EXP+8.W", "0xe0:0xe0", why="payload or read request size")
        self.refused("CAP_EXP+8.W", "0x7000:0x7000", why="payload or read request size")
        self.refused("CAP_EXP+8.W", "0x8000:0x8000", why="function-level reset")

    def test_harmful_ones_of_other_capabilities(self):
        """Advanced Features, SR-IOV and Resizable BAR, on a device replayed from a dump."""
        config = bytearray(4096)
        config[0x00:0x10] = bytes.fromhex("34127856" "06001000" "00000002" "00000000")
        config[0x34] = 0x40
        config[0x40:0x44] = bytes.fromhex("10800200")  # PCI Express endpoint, next 0x80
        config[0x80:0x84] = bytes.fromhex("13000603")  # Advanced Features
        config[0x100:0x104] = (0x0010 | 1 << 16 | 0x140 << 20).to_bytes(4, "little")  # SR-IOV
        config[0x140:0x144] = (0x0015 | 1 << 16).to_bytes(4, "little")  # Resizable BAR
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "dump"
            path.write_text(dump_text(config), encoding="utf-8")
            for register, value, why in (("CAP_AF+4.B", "1", "function-level reset"),
                                         ("ECAP_SRIOV+8.W", "1", "virtual functions"),
                                         ("ECAP_REBAR+8.L", "0x100", "BAR's size")):
                words = ("config", "write", "01:00.0", register, value)
                device = ("--device", f"replay,file={path}")
                self.assert_fails(run(*words, *device), 1, register, why)
                self.assert_fine(run(*words, *device, "--force"))

    def test_harmless_neighbours_are_not(self):
        for arguments in (("COMMAND", "0"), ("4", "6"), ("STATUS", "0x6ff"), ("CAP_PM+4.W", "0x100"),
                          ("CAP_EXP+8.W", "0xf:0xf"), ("ECAP_AER+8.L", "0xffffffff"),
                          ("INTERRUPT_LINE", "7"), ("CAP_MSIX+2.W", "0")):
            with self.subTest(arguments):
                self.assert_fine(ctl("config", "write", AT, *arguments))

    def test_nothing_is_written_when_one_is_refused(self):
        with Dextd(TESTDEV) as host:
            result = run("config", "write", AT, "INTERRUPT_LINE", "7", "BAR0", "0",
                         socket=host.socket)
            self.assert_fails(result, 1, "BAR0 touches")
            self.assertEqual(self.assert_fine(run("config", "read", AT, "INTERRUPT_LINE",
                                                  socket=host.socket)), "0x00\n")

    def test_msix_structures_are_refused(self):
        for place, what in ((TABLE, "MSI-X table"), (TABLE + 511, "MSI-X table"),
                            (PENDING, "pending bits")):
            width = ("--width", "1")
            self.assert_fails(ctl("bar", "write", AT, "0", hex(place), "0", *width), 1, what,
                              "--force")
            self.assert_fine(ctl("bar", "write", AT, "0", hex(place), "0", "--force", *width))
        self.assert_fails(ctl("bar", "fill", AT, "0", "0x7ffc", "8", "0"), 1, "MSI-X table")
        self.assert_fine(ctl("bar", "write", AT, "0", "0x7ffc", "0"))
        self.assert_fine(ctl("bar", "write", AT, "0", hex(TABLE + 512), "0"))


class Stretches(toolstest.ToolTest):
    def test_dump(self):
        for how in ((), ("--call",)):
            out = self.assert_fine(ctl("bar", "dump", AT, "0", "0", "0x14", *how))
            self.assertEqual(out.splitlines(), [
                "000000: 54 45 53 54 00 00 01 00  20 00 00 00 00 00 00 00  |TEST.... .......|",
                "000010: 00 00 40 00" + " " * 39 + "|..@.|"])
        got = json.loads(self.assert_fine(ctl("bar", "dump", AT, "0", "0", "8", "--json", "-w", "4")))
        self.assertEqual(got, {"address": AT, "bar": 0, "offset": "0x0", "length": 8, "width": 4,
                               "path": "mapping", "data": "5445535400000100"})

    def test_dump_default_and_repeats(self):
        out = self.assert_fine(ctl("bar", "dump", AT, "2"))
        zeros = "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|"
        self.assertEqual(out.splitlines(), ["000000: " + zeros, "*", "0000f0: " + zeros])
        out = self.assert_fine(ctl("bar", "dump", AT, "4", "0xfff8"))
        self.assertEqual(out.split()[0], "00fff8:")

    def test_places_outside(self):
        for words in (("dump", "0", "0x10000"), ("dump", "0", "0xfff8", "16"),
                      ("dump", "5"), ("fill", "2", "0", "8M", "0"), ("watch", "0", "0xfffc", "8"),
                      ("dump", "0", "8", "0xfffffffffffffffc")):
            self.assert_fails(ctl("bar", words[0], AT, *words[1:]), 1, AT, f"BAR {words[1]}")
        self.assert_fails(ctl("bar", "dump", AT, "1"), 1, "I/O ports")

    def test_fill(self):
        with Dextd(TESTDEV) as host:
            def serve(*arguments):
                return self.assert_fine(run(*arguments, socket=host.socket))
            serve("bar", "fill", AT, "2", "0x1f8000", "64K", "0x4847464544434241", "-w", "8",
                  "--verify")  # memory and, from the middle of the BAR, the trapped window
            lines = serve("bar", "dump", AT, "2", "0x1f7ff8", "0x10010").splitlines()
            self.assertEqual(lines[0], "1f7ff8: " + "00 " * 8 + " 41 42 43 44 45 46 47 48  "
                             "|........ABCDEFGH|")
            self.assertEqual(lines[1][-18:], "|ABCDEFGHABCDEFGH|")
            self.assertEqual(lines[2], "*")
            self.assertEqual(lines[-1], "207ff8: " + "41 42 43 44 45 46 47 48  " + "00 " * 8 +
                             " |ABCDEFGH........|")
            serve("bar", "fill", AT, "4", "0", "32", "0x11", "-w", "1", "--call", "--verify")
            self.assertEqual(serve("bar", "read", AT, "4", "0x1c"), "0x11111111\n")

    def test_fill_that_does_not_stick(self):
        self.assert_fails(ctl("bar", "fill", AT, "0", "0", "8", "7", "--verify"), 1,
                          "BAR 0 reads 0x54534554 at 0x0, was written 0x00000007")
        self.assert_fine(ctl("bar", "fill", AT, "0", "0", "8", "7"))

    def test_a_dead_device_is_not_ones(self):
        """field-notes C1, C3: a mapping gives ones and no error."""
        with Dextd(TESTDEV) as host:
            self.assert_fine(run("bar", "write", AT, "0", DIE, "0xdeadd1e5", socket=host.socket))
            for words in (("read", AT, "0", "0"), ("dump", AT, "0"),
                          ("dump", AT, "0", "0", "16", "--json"), ("watch", AT, "0", "-n", "1")):
                result = run("bar", *words, socket=host.socket)
                self.assertEqual(result.status, 1, words)
                self.assertRegex(result.err, r"^dextctl: 02:00\.0: .*no device: it reads as ones[^\n]*\n$")
            result = run("bar", "fill", AT, "0", SCRATCH, "4", "1", "--verify", socket=host.socket)
            self.assertEqual(result.status, 1)

    def test_ones_of_a_device_that_lives(self):
        self.assertEqual(self.assert_fine(ctl("bar", "read", AT, "0", "0x60")), "0xffffffff\n")


class Connecting(toolstest.ToolTest):
    """What a command asks the registry before it gets to the device; type 3 is ENTRY (docs/wire.md)."""

    def requests(self, host):
        trace = Path(host.folder.name) / "trace"
        trace.unlink(missing_ok=True)
        done = subprocess.run([DEXTCTL, "bar", "read", AT, "0", "0"],
                              env=environment(host.socket) | {"DEXTLINK_TRACE": str(trace)},
                              capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "0x54534554\n")
        return trace.read_text(encoding="utf-8").count("wire request type=3,")

    def test_other_devices_cost_little(self):
        with Dextd(TESTDEV) as host:
            alone = self.requests(host)
        with Dextd(TESTDEV, *(f"edu,addr=03:{n:02x}.0" for n in range(8))) as host:
            among_nine = self.requests(host)
        self.assertLessEqual(alone, 20)
        self.assertLessEqual(among_nine - alone, 8 * 4)


class Watch(toolstest.ToolTest):
    def test_lines_in_a_pipe(self):
        out = self.assert_fine(ctl("bar", "watch", AT, "0", TIME_LOW, "16", "-i", "0.02", "-n", "4"))
        lines = out.splitlines()
        self.assertEqual(lines[0], "watching 0x10 bytes at 0x20 of BAR 0 of 02:00.0")
        clock = [line for line in lines if " 000020: " in line]
        self.assertEqual(len(clock), 3)
        for line in clock:
            self.assertRegex(line, r"^ *[\d.]+ ms  000020: 0x[0-9a-f]{8} -> 0x[0-9a-f]{8}$")
        self.assertRegex(lines[-1], r"^\d+ changes in 4 looks$")

    def test_json(self):
        out = self.assert_fine(ctl("bar", "watch", AT, "0", TIME_LOW, "4", "-i", "0.02", "-n", "3",
                                   "--json"))
        objects = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(set(objects[0]), {"time_ms", "offset", "before", "after"})
        self.assertEqual(objects[0]["after"], objects[1]["before"])
        self.assertEqual(objects[2], {"looks": 3, "changes": 2})

    def test_nothing_changes(self):
        out = self.assert_fine(ctl("bar", "watch", AT, "0", "0", "4", "-i", "0.01", "-n", "2"))
        self.assertEqual(out.splitlines()[1:], ["0 changes in 2 looks"])
        out = self.assert_fine(ctl("bar", "watch", AT, "0", "0", "8", "--seconds", "0.05"))
        self.assertEqual(out.splitlines()[1:], ["0 changes in 1 look"])

    def test_signals_end_it_well(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([DEXTCTL, "bar", "watch", "01:00.0", "0", "0", "-i", "30",
                                   "--device", EDU], env=environment(), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watcher:
                self.assertIn("watching", watcher.stdout.readline())
                watcher.send_signal(number)
                out, err = watcher.communicate(timeout=toolstest.SECONDS)
            self.assertEqual((watcher.returncode, err), (0, ""))
            self.assertRegex(out, r"^0 changes in [01] look(s|)\n$")

    def test_marks_on_a_terminal(self):
        controller, terminal = pty.openpty()
        arguments = ["bar", "watch", AT, "0", TIME_LOW, "8", "-i", "0.02", "-n", "3", "--device",
                     TESTDEV]
        with subprocess.Popen([DEXTCTL, *arguments], env={**environment(), "TERM": "xterm"},
                              stdout=terminal, stderr=terminal,
                              stdin=subprocess.DEVNULL) as process:
            os.close(terminal)
            out = b""
            try:
                while piece := os.read(controller, 4096):
                    out += piece
            except OSError:
                pass
        os.close(controller)
        self.assertEqual(process.returncode, 0)
        text = out.decode()
        self.assertEqual(len(re.findall(r"\x1b\[7m[0-9a-f]{8}\x1b\[0m", text)) >= 2, True, text)
        self.assertEqual(text.count("\x1b[2A"), 2)


if __name__ == "__main__":
    toolstest.main()

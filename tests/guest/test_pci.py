#!/usr/bin/env python3
"""A guest on edu and testdev: what it sees, registers and memory, MSI and MSI-X, DMA.

SPDX-License-Identifier: GPL-2.0-or-later

Two devices of one dextd, two servers, one guest, which has an IOMMU so that its vfio-pci serves.
"""
import contextlib
import re

import guesttest
import pcichecks
import toolstest
from guesttest import Host, Machine, Server
from pcichecks import orders

EDU, TESTDEV = "01:00.0", "02:00.0"
VECTORS = 8
DEVICES = {EDU: "edu", TESTDEV: f"testdev,vectors={VECTORS}"}
# What the guest or QEMU owns: decoding, addresses, interrupt routing, the link QEMU emulates.
OWNED = ("Control:", "Status:", "Region ", "Interrupt:", "Address:", "Masking:", "DevCtl:", "LnkCap:",
         "LnkCtl:", "LnkSta:", "LnkCap2:", "LnkCtl2:", "LnkSta2:", "Latency:", "ClockPM", "Speed",
         "EqualizationPhase", "Transmit", "Compliance", "AtomicOps", "Retimer", "DevSta:")


def facts(lines):
    """lspci's lines without what is not the device's to say."""
    kept = []
    for line in lines[1:]:
        text = re.sub(r"(Enable|ExtTag)[+-]", r"\1", line.strip())
        if text and not text.startswith(OWNED):
            kept.append(text)
    return kept


class Pci(guesttest.GuestTest):
    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            cls.host = stack.enter_context(Host(*(
                f"{device},addr={at},dart=identity" for at, device in DEVICES.items())))
            cls.servers = [stack.enter_context(Server(at, host=cls.host)) for at in DEVICES]
            cls.machine = stack.enter_context(Machine(
                cls.pool, *pcichecks.IOMMU, *cls.servers[0].qemu("edu"), "-device",
                "pcie-root-port,id=slot1,chassis=1,slot=1",
                *cls.servers[1].qemu("testdev", bus="slot1"), append=pcichecks.IOMMU_APPEND))
            cls.machine.check("echo 4 >/proc/sys/vm/nr_hugepages")
            cls.edu, = pcichecks.find(cls.machine, 0x1234, 0x11e8)
            cls.testdev, = pcichecks.find(cls.machine, 0x1234, 0x7e57)
            cls.addClassCleanup(stack.pop_all().close)

    def test_10_config(self):
        """lspci says the same of the config space in the guest and on the host."""
        for there, here in ((self.edu, EDU), (self.testdev, TESTDEV)):
            done = toolstest.run("config", "dump", here, socket=self.host.socket)
            self.assertEqual(done.status, 0, done.err)
            dump = bytes.fromhex("".join(line.split(":", 1)[1] for line in done.out.splitlines()
                                         if re.match(r"[0-9a-f]+: ", line)))
            host, guest = pcichecks.lspci(dump), pcichecks.lspci(
                pcichecks.config(self.machine, there))
            self.assertGreater(len(pcichecks.capabilities(guest)), 0)
            with self.subTest(here):
                self.assertEqual(facts(guest), facts(host))

    def test_20_bars(self):
        """Sizes and kinds as docs/edu.md and docs/testdev.md say; flags are Linux's.

        The ports of testdev's BAR 1 are not there: the dext's interface does not reach ports.
        """
        memory, prefetch, wide = 0x200, 0x2000, 0x100000
        kinds = 0x100 | memory | prefetch | wide
        self.assertEqual([(size, flags & kinds) for size, flags in
                          pcichecks.bars(self.machine, self.edu)],
                         [(1 << 20, memory)] + [(0, 0)] * 5)
        self.assertEqual([(size, flags & kinds) for size, flags in
                          pcichecks.bars(self.machine, self.testdev)],
                         [(64 << 10, memory), (0, 0), (4 << 20, memory | prefetch | wide), (0, 0),
                          (64 << 10, memory | prefetch), (0, 0)])

    def test_30_edu_sysfs(self):
        self.assertEqual(orders(self.machine, "sysfs", self.edu, pcichecks.EDU_SYSFS),
                         pcichecks.EDU_SYSFS_ANSWERS)

    def test_31_testdev_sysfs(self):
        """Every width once, each arriving as that; memory that is mapped and that is trapped."""
        answers = orders(self.machine, "sysfs", self.testdev, """
            write 4 0 0x0b4 1
            write 1 0 0x040 0x5a
            write 2 0 0x042 0x1234
            write 4 0 0x044 0x89abcdef
            write 8 0 0x048 0x0123456789abcdef
            read 1 0 0x040
            read 2 0 0x042
            read 4 0 0x044
            read 8 0 0x048
            read 4 0 0x090
            read 4 0 0x094
            read 4 0 0x098
            read 4 0 0x09c
            read 4 0 0x080
            read 4 0 0x08c
            write 8 2 0x1000 0x1122334455667788
            read 4 2 0x1004
            write 4 2 0x200000 0xfeedface
            read 2 2 0x200002
            write 4 4 0xfffc 0x0badcafe
            read 4 4 0xfffc
            read 8 2 0x1000
            """)
        self.assertEqual(answers, [
            "0x5a", "0x1234", "0x89abcdef", "0x123456789abcdef", "0x1", "0x1", "0x1", "0x1", "0x1",
            "0x1", "0x11223344", "0xfeed", "0xbadcafe",
            "0x1122334455667788"])

    def test_32_testdev_dma(self):
        """The copy engine moves a megabyte of guest memory, from and to BAR 2 as well."""
        answers = orders(self.machine, "sysfs", self.testdev, """
            buffer 0x200000 0
            pattern 0 0x100000 5
            write 8 0 0x200 @0
            write 8 0 0x208 @0x100000
            write 8 0 0x210 0x100000
            write 4 0 0x22c 1
            until 4 0 0x228 0xe 2
            compare 0x100000 0x100000 5
            pattern 0 0x1000 6
            write 8 0 0x208 0x3000
            write 8 0 0x210 0x1000
            write 4 0 0x22c 0x401
            until 4 0 0x228 0xe 2
            write 8 0 0x200 0x3000
            write 8 0 0x208 @0x5000
            write 4 0 0x22c 0x201
            until 4 0 0x228 0xe 2
            compare 0x5000 0x1000 6
            read 4 0 0x240
            """)
        self.assertEqual(answers, ["0x0"])

    def test_40_edu_vfio(self):
        pcichecks.give_to_vfio(self.machine, self.edu)
        self.assertEqual(orders(self.machine, "vfio", self.edu, pcichecks.EDU_VFIO),
                         pcichecks.EDU_VFIO_ANSWERS)

    def test_41_testdev_msix(self):
        """Each vector arrives as itself and as no other; the reset of vfio-pci resets the device."""
        pcichecks.give_to_vfio(self.machine, self.testdev)
        fire = "".join(f"write 4 0 0x100 {v}\nwait {v}\n" for v in reversed(range(VECTORS)))
        quiet = "".join(f"quiet {v}\n" for v in range(VECTORS))
        answers = orders(self.machine, "vfio", self.testdev, f"""
irqs msix {VECTORS}
read 4 0 0x00c
{quiet}{fire}{quiet}
buffer 0x4000 0x200000
pattern 0 0x1000 2
write 8 0 0x200 @0
write 8 0 0x208 @0x1000
write 8 0 0x210 0x1000
write 4 0 0x224 3
write 4 0 0x22c 0x101
wait 3
compare 0x1000 0x1000 2
irqs msix 0
write 4 0 0x044 7
read 4 0 0x028
reset
read 4 0 0x044
""")
        self.assertEqual(answers[:-2], ["0x2"] + ["1"] * (VECTORS + 1))
        generation, scratch = (int(word, 16) for word in answers[-2:])
        self.assertEqual(scratch, 0, "a reset clears it")
        self.assertGreater(generation, 0, "QEMU reset the device when it started")

    def test_42_testdev_msi(self):
        answers = orders(self.machine, "vfio", self.testdev, """
            irqs msi 4
            write 4 0 0x100 0
            wait 0
            write 4 0 0x100 3
            wait 3
            quiet 0
            quiet 1
            quiet 2
            irqs msi 0
            """)
        self.assertEqual(answers, ["1", "1"])

    def test_90_power_off(self):
        """Nothing of the guest stays, in the servers or in the host."""
        self.machine.poweroff()
        for server in self.servers:
            self.assertTrue(server.lets_go(), server.held())
            self.assertEqual(server.end(), 0, server.said())
        self.assertTrue(self.host.holds_nothing(), f"{self.host.holdings()} {self.host.held()}")


if __name__ == "__main__":
    guesttest.main(needs_server=True)

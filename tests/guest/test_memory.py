#!/usr/bin/env python3
"""Memory of a guest in the other ways that QEMU can present it to a device.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import guesttest
import pcichecks
from guesttest import Machine, Server

ADDRESS = "02:00.0"
MIB = 1 << 20
DISK_BYTES = 32 * MIB
USE = """
    guestio write /dev/nvme0n1 threads=2 depth=4 block=65536 seed=5 sync=1
    guestio verify /dev/nvme0n1 threads=2 depth=4 block=16384 seed=5
"""


class Memory(guesttest.GuestTest):
    def server(self, device="", options=()):
        self.disk = self.pool.disk(f"{self.id()}.img", DISK_BYTES)
        return Server(ADDRESS, f"nvme,addr={ADDRESS},drive={self.disk}{device}", options=options)

    def test_translated(self):
        """Every buffer is mapped at the server for its command alone, by the guest's IOMMU."""
        append = "intel_iommu=on iommu.passthrough=0 iommu.strict=1"
        with self.server(",dart=identity") as server:
            with Machine(self.pool, *pcichecks.IOMMU, *server.qemu(), append=append) as machine:
                machine.check(USE)
                machine.poweroff()
            self.assertTrue(server.lets_go(), server.held())

    def test_large_pages(self):
        """A host whose DART maps 16 KiB at least; the guest's memory comes in pieces of 4 KiB."""
        with self.server(",dart=identity", ["--page-size", "16384"]) as server:
            with Machine(self.pool, *server.qemu()) as machine:
                machine.check(USE)
                machine.poweroff()
            self.assertTrue(server.lets_go(), server.held())

    def test_without_a_file(self):
        """Memory that QEMU sends no descriptor for is read and written by messages."""
        with self.server(",dart=identity") as server:
            with Machine(self.pool, *server.qemu(), shared=False) as machine:
                machine.check(USE)
                machine.poweroff()
            self.assertTrue(server.lets_go(), server.held())

    def test_private(self):
        """Pages that are the guest's alone: the server refuses and names what QEMU needs."""
        private = ["-object", f"memory-backend-memfd,id=ram,size={256 * MIB},share=off",
                   "-machine", "memory-backend=ram"]
        # QEMU waits for an answer, also of a server that has hung up, and that by default.
        patience = {"x-msg-timeout": 5000}
        with self.server(",dart=identity") as server:
            with self.assertRaises(guesttest.GuestLost):
                with Machine(self.pool, *private, *server.qemu(**patience), shared=False):
                    pass
            self.assertTrue(guesttest.wait_until(lambda: "share=on" in server.said()))
            self.assertTrue(server.lets_go(), server.held())

    def test_host_that_chooses_addresses(self):
        """Without dart=identity a guest would write over memory that is not its own: no service."""
        server = self.server()
        with self.assertRaisesRegex(AssertionError, "dart=identity"):
            server.start()
        self.assertEqual(server.end(), 1)
        server.folder.cleanup()


if __name__ == "__main__":
    guesttest.main(needs_server=True)

#!/usr/bin/env python3
"""Devices that QEMU plugs and unplugs while the guest runs.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import guesttest
import pcichecks
from guesttest import Machine, Server

PORT = ["-device", "pcie-root-port,id=slot1,chassis=1,slot=1"]


class Plug(guesttest.GuestTest):
    def wait_for(self, machine, there):
        """Wait until the guest has, or has not, the functions with edu's ids."""
        machine.check(f"""
            for i in $(seq 1200); do
                grep -q -l 0x11e8 /sys/bus/pci/devices/*/device && found=yes || found=no
                [ $found = {there} ] && exit 0
                sleep 0.1
            done
            exit 1""")

    def test_without_msix(self):
        """edu comes, works, goes and comes again; the server lets go of the guest in between."""
        with Server("01:00.0", "edu,addr=01:00.0,dart=identity") as server, \
                Machine(self.pool, *PORT) as machine:
            machine.check("echo 4 >/proc/sys/vm/nr_hugepages")
            for _ in range(2):
                machine.qmp("device_add", bus="slot1", **server.plug("plugged"))
                self.wait_for(machine, "yes")
                at, = pcichecks.find(machine, 0x1234, 0x11e8)
                self.assertEqual(pcichecks.orders(machine, "sysfs", at, pcichecks.EDU_SYSFS),
                                 pcichecks.EDU_SYSFS_ANSWERS)
                self.assertNotEqual(server.mappings("memory-backend-memfd"), 0)
                machine.qmp("device_del", id="plugged")
                machine.wait_event("DEVICE_DELETED")
                self.wait_for(machine, "no")
                self.assertTrue(server.lets_go(), server.held())
            machine.poweroff()

    def test_with_msix(self):
        """QEMU 11.1.3 aborts when such a device is unplugged; the server outlives that."""
        with Server("02:00.0", "testdev,addr=02:00.0,dart=identity") as server:
            with Machine(self.pool, *PORT) as machine:
                machine.qmp("device_add", bus="slot1", **server.plug("plugged"))
                self.assertTrue(guesttest.wait_until(
                    lambda: pcichecks.find(machine, 0x1234, 0x7e57) != [], pause=0.2))
                machine.qmp("device_del", id="plugged")
                if machine.goes_or_deletes() != "deleted":
                    self.assertIn("memory_region_del_subregion", machine.said())
            self.assertTrue(server.lets_go(), server.held())
            with Machine(self.pool, *PORT, *server.qemu("cold", bus="slot1")) as machine:
                at, = pcichecks.find(machine, 0x1234, 0x7e57)
                self.assertEqual(pcichecks.orders(machine, "sysfs", at, "read 4 0 0\n"),
                                 ["0x54534554"])
                machine.poweroff()


if __name__ == "__main__":
    guesttest.main(needs_server=True)

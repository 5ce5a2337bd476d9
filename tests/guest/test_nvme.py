#!/usr/bin/env python3
"""A guest's own driver and file system on our NVMe controller, through dext-vfio-user.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import guesttest
import nvmechecks
from guesttest import Machine, Server

ADDRESS = "02:00.0"


def device(disk, **options):
    """The --device option."""
    more = "".join(f",{key}={value}" for key, value in options.items())
    return f"nvme,addr={ADDRESS},drive={disk},dart=identity{more}"


class Nvme(nvmechecks.NvmeChecks, guesttest.GuestTest):
    @classmethod
    def setUpClass(cls):
        cls.disk = cls.pool.disk("nvme.img", nvmechecks.DISK_BYTES)
        cls.server = Server(ADDRESS, device(cls.disk))
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.server.__enter__()
        super().setUpClass()

    @classmethod
    def arguments(cls):
        return cls.server.qemu()

    def after_power_off(self):
        """The server has let go of the guest, and another may come: it finds what the first left."""
        self.assertTrue(self.server.lets_go(), f"{self.server.held()}, not {self.server.resting}\n"
                        + self.server.said())
        with Machine(self.pool, *self.server.qemu(), reboots=True) as machine:
            machine.check(f"guestio verify /dev/nvme0n1 {nvmechecks.PATTERN} seed=7\n"
                          "fsck.ext4 -fn /dev/nvme0n1\n")
            machine.check("mount /dev/nvme0n1 /mnt; echo before >/mnt/reboot")
            machine.send("umount /mnt; reboot -f")
            machine.wait_ready()
            self.assertEqual(machine.check("mount -o ro /dev/nvme0n1 /mnt; cat /mnt/reboot"),
                             "before")
            machine.check(f"guestio verify /dev/nvme0n1 {nvmechecks.PATTERN} seed=7")
            machine.check("umount /mnt; mount /dev/nvme0n1 /mnt; rm /mnt/reboot; umount /mnt; sync")
            machine.poweroff()
        self.assertTrue(self.server.lets_go(), self.server.held())
        self.assertEqual(self.server.stop(), 0, self.server.said())


if __name__ == "__main__":
    guesttest.main(needs_server=True)

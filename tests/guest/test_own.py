#!/usr/bin/env python3
"""A guest with QEMU's own devices: the checks of the other tests hold on a second implementation.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import guesttest
import nvmechecks


class OwnNvme(nvmechecks.NvmeChecks, guesttest.GuestTest):
    serial = "own"

    @classmethod
    def setUpClass(cls):
        cls.disk = cls.pool.disk("own.img", nvmechecks.DISK_BYTES)
        super().setUpClass()

    @classmethod
    def arguments(cls):
        return guesttest.qemu_nvme(cls.disk)


if __name__ == "__main__":
    guesttest.main()

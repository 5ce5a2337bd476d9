#!/usr/bin/env python3
"""Devices that are otherwise: fewer or more vectors, other BARs, other pages, resets that fail.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import errno
import os
import select
import sys

import devices
import vfiouser as vu
import vfiousertest
from devices import Config, Testdev
from vfiousertest import IS_PORTABLE


class VariantTest(vfiousertest.ServerTest):
    """A server for each device."""

    def serve(self, options, *more, device="testdev"):
        """Serve such a device instead; a client, its config space and its registers."""
        self.end()
        self.server = vfiousertest.Server(lambda path: [
            sys.argv[3], "--socket", path, "--device",
            f"{device},addr=01:00.0,dart=identity{options}", *more])
        self.server.launch()
        return self.guest()

    def guest(self):
        client = self.attach()
        config = Config(client)
        config.enable()
        return client, config, Testdev(client)

    def setUp(self):
        super().setUp()
        self.server = None

    def tearDown(self):
        self.end()

    def end(self):
        """The server ends, not by an error of its own."""
        if not self.server:
            return
        self.closing.close()
        has_ended = self.server.has_ended()
        status, said = self.server.stop(), self.server.said()
        self.server.folder.cleanup()
        self.server = None
        self.assertEqual(status, 1 if has_ended else 0, said)
        self.assertNotIn("Sanitizer", said)
        self.assertNotIn("runtime error", said)


class Vectors(VariantTest):
    """What the device has is what the client is told."""

    def assert_fires(self, client, device, index, count):
        events = self.eventfds(count)
        most = client.capabilities["max_msg_fds"]
        for at in range(0, count, most):
            fds = events.fds[at:at + most]
            client.set_irqs(index, 0x24, at, len(fds), fds=fds)
        for vector in range(count):
            device.write(Testdev.FIRE, vector)
            self.assertGreaterEqual(events.arrived(vector), 1, f"vector {vector}")
        self.assertEqual(select.select(events.ends, [], [], 0)[0], [])

    def kinds(self, config):
        return {kind for kind, _ in config.capabilities()} & {devices.CAP_MSI, devices.CAP_MSIX}

    def test_none(self):
        client, config, device = self.serve(",irq=none")
        self.assertEqual([client.irq_info(i)[1] for i in range(3)], [0, 0, 0])
        self.assertEqual(self.kinds(config), set())
        for index in (vu.INTX, vu.MSI, vu.MSIX):
            self.assert_errno(client.errno(vu.SET_IRQS, vu.set_irqs_payload(index, 0x24, 0, 1),
                                           self.eventfds(1).fds), errno.EINVAL)
        device.write(Testdev.FIRE, 0)
        self.assertEqual(device.read(0), 0x54534554)

    def test_256(self):
        client, config, device = self.serve(",irq=msix,vectors=256")
        self.assertEqual([client.irq_info(i)[1] for i in range(3)], [0, 0, 256])
        self.assertEqual(self.kinds(config), {devices.CAP_MSIX})
        self.assertEqual(config.get(config.capability(devices.CAP_MSIX) + 2, 2), 255)
        self.assert_fires(client, device, vu.MSIX, 256)

    def test_msi_alone(self):
        for vectors, messages in ((1, 1), (4, 4), (5, 4), (32, 32)):
            client, config, device = self.serve(f",irq=msi,vectors={vectors}")
            self.assertEqual([client.irq_info(i)[1] for i in range(3)], [0, messages, 0])
            self.assertEqual(self.kinds(config), {devices.CAP_MSI})
            control = config.get(config.capability(devices.CAP_MSI) + 2, 2)
            self.assertEqual(1 << (control >> 1 & 7), messages)
            self.assert_fires(client, device, vu.MSI, messages)

    def test_fewer_messages_than_there_are(self):
        """A guest that grants 4 of 32: the others are folded into them."""
        client, _, device = self.serve(",irq=msi,vectors=32")
        events = self.eventfds(4)
        client.set_irqs(vu.MSI, 0x24, 0, 4, fds=events.fds)
        for vector in (0, 5, 10, 31):
            device.write(Testdev.FIRE, vector)
            self.assertEqual(events.arrived(vector % 4), 1, f"vector {vector}")


class Bars(VariantTest):
    """Other BARs."""

    def sizing(self, config, bar):
        at = devices.BAR_REGISTERS + 4 * bar
        config.set(at, 4, 0xFFFFFFFF)
        return config.get(at, 4)

    def test_a_second_one_of_64_bits(self):
        client, config, _ = self.serve(",bar4=m64")
        self.assertEqual([client.region_info_once(i).size for i in range(6)],
                         [65536, 0, 4 << 20, 0, 65536, 0])
        self.assertEqual([hex(self.sizing(config, bar)) for bar in (4, 5)],
                         ["0xffff000c" if config.get(0x20, 4) & 8 else "0xffff0004", "0xffffffff"])

    def test_one_less(self):
        client, config, _ = self.serve(",bar4=none")
        self.assertEqual(client.region_info_once(4).size, 0)
        self.assertEqual(self.sizing(config, 4), 0)

    def assert_areas(self, info, wanted):
        """What may be mapped: nothing where the host's files are not to be had."""
        for fd in info.fds:
            os.close(fd)
        self.assertEqual((info.flags, info.areas, len(info.fds)),
                         (3, None, 0) if IS_PORTABLE else (15, wanted, 1))

    def test_a_large_one(self):
        client, config, _ = self.serve(",bar2=1G")
        info = client.region_info(vu.BAR2)
        self.assertEqual(info.size, 1 << 30)
        self.assert_areas(info, [(0, 1 << 29), ((1 << 29) + 16384, (1 << 29) - 16384)])
        self.assertEqual([hex(self.sizing(config, bar)) for bar in (2, 3)],
                         ["0xc000000c", "0xffffffff"])
        for offset in (0, (1 << 29) - 8, 1 << 29, (1 << 30) - 8):
            client.write_number(vu.BAR2, offset, 8, offset + 1)
            self.assertEqual(client.read_number(vu.BAR2, offset, 8), offset + 1)

    def test_doorbells_that_are_memory(self):
        """The controller's page of doorbells may be mapped, nothing else of its BAR."""
        client, _, _ = self.serve(",size=1M", device="nvme")
        info = client.region_info(vu.BAR0)
        for fd in info.fds:
            os.close(fd)
        self.assertIn(info.areas, (None, [(0x1000, 0x1000)]))

    def test_pages_of_16k(self):
        client, _, device = self.serve("", "--page-size", "16384")
        info = client.region_info(vu.BAR2)
        window = 2 << 20
        self.assert_areas(info, [(0, window), (window + 16384, window - 16384)])
        ram = self.memory(1 << 20)
        client.dma_map(0x80000000, ram.size, ram.fd)
        self.assertEqual(device.access_write(0x80000000 + 65528, 8, 77), 0)
        self.assertEqual(ram.map[65528:65536], (77).to_bytes(8, "little"))
        client.dma_unmap_all()
        # A VMM maps in its own pages: several in one of the host's.
        for address, size, offset in ((0x80001000, 0x3000, 0x1000), (0x80004000, 0x1000, 0x4000),
                                      (0x80005000, 0x1000, 0x5000), (0x80006000, 0x2000, 0)):
            client.dma_map(address, size, ram.fd, offset=offset)
            self.assertEqual(device.access_write(address + size - 1, 1, 0xA5), 0)
            self.assertEqual(ram.map[offset + size - 1], 0xA5)
        self.assertNotEqual(device.access_write(0x80008000, 1, 0xA5), 0)
        self.assertNotEqual(device.access_write(0x80000FFF, 1, 0xA5), 0)
        client, _, _ = self.serve(",size=1M", "--page-size", "16384", device="nvme")
        self.assertEqual(client.region_info_once(vu.BAR0).flags & vu.REGION_MMAP, 0,
                         "a page of 4 KiB among registers")


class Resets(VariantTest):
    """Resets by request and between clients, of devices that are hard to reset."""

    def assert_reset(self, client, config, device):
        generation = device.read(Testdev.GENERATION)
        device.write(Testdev.SCRATCH[4], 5)
        client.reset()
        config.enable()
        self.assertGreater(device.read(Testdev.GENERATION), generation)
        self.assertEqual(device.read(Testdev.SCRATCH[4]), 0)

    def test_each_way(self):
        for how in ("flr", "noflr", "hotonly", "ignored", "stuck"):
            for late in ("", ",ready_after_ns=150M"):
                if how not in ("flr", "noflr") and late:
                    continue
                with self.subTest(how=how, late=late):
                    client, config, device = self.serve(f",reset={how}{late}")
                    if how == "ignored":
                        # The device says it has been reset; nobody can know that it was not.
                        client.reset()
                    else:
                        self.assert_reset(client, config, device)
                    client.close()
                    client, config, device = self.guest()
                    self.assertEqual(device.read(0), 0x54534554)
                    express = config.capability(devices.CAP_PCIE)
                    self.assertEqual(config.get(express + 4, 4) >> 28 & 1,
                                     int(how in ("flr", "ignored", "stuck")))

    def assert_lost(self, client, events):
        self.assertTrue(events.arrived(0), "no word to the client")
        try:
            reply = client.ask(vu.REGION_READ, vu.access_payload(vu.BAR0, 0, 4))
            self.assertEqual((reply.error, reply.payload[16:]), (0, b"\xff" * 4))
        except (vu.Closed, BrokenPipeError):
            pass

    def test_a_device_that_dies_of_it(self):
        client, _, _ = self.serve(",reset=dead")
        events = self.eventfds(1)
        client.set_irqs(vu.ERR, 0x24, 0, 1, fds=events.fds)
        self.assertNotEqual(client.errno(vu.DEVICE_RESET), 0)
        self.assertEqual(client.read(vu.BAR0, 0, 4), b"\xff" * 4)
        self.assert_lost(client, events)
        client.close()
        self.assertTrue(vfiousertest.wait_until(self.server.has_ended))
        self.assertEqual(self.server.process.returncode, 1)

    def test_a_device_that_dies_by_itself(self):
        client, config, device = self.serve("")
        events = self.eventfds(1)
        client.set_irqs(vu.ERR, 0x24, 0, 1, fds=events.fds)
        device.write(0x30, 0xDEADD1E5)
        self.assertEqual(client.read(vu.BAR0, 0, 4), b"\xff" * 4)
        self.assertEqual(client.read(vu.CONFIG, 0, 4), b"\xff" * 4)
        self.assert_lost(client, events)
        # A hot reset revives it.
        client.reset()
        config.enable()
        self.assertEqual(device.read(0), 0x54534554)
        client.close()
        self.assertEqual(self.guest()[2].read(0), 0x54534554)

    def test_a_device_that_dies_under_a_client_is_there_for_the_next(self):
        client, _, device = self.serve("")
        device.write(0x30, 0xDEADD1E5)
        self.assertEqual(client.read(vu.BAR0, 0, 4), b"\xff" * 4)
        client.close()
        self.assertEqual(self.guest()[2].read(0), 0x54534554)


if __name__ == "__main__":
    vfiousertest.main()

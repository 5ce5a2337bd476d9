#!/usr/bin/env python3
"""The device behind the server as a VMM sees it: config space, BARs, interrupts.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import errno
import mmap
import os
import select
import struct

import devices
import rules
import vfiouser as vu
import vfiousertest
from devices import Config, Edu, Testdev
from vfiousertest import IS_PORTABLE

TRIGGER_NONE, TRIGGER_EVENTFD = vu.DATA_NONE | vu.TRIGGER, vu.DATA_EVENTFD | vu.TRIGGER


class TestdevTest(vfiousertest.DextTest, rules.Device):
    """A client that a guest's driver works through."""

    def setUp(self):
        super().setUp()
        self.client = self.attach()
        self.config = Config(self.client)
        self.config.enable()
        self.device = Testdev(self.client)


class ConfigSpace(TestdevTest):
    """Registers that the host owns are the guest's only in appearance (field note C15)."""

    def test_identity(self):
        data = self.client.read(vu.CONFIG, 0, 64)
        self.assertEqual(struct.unpack_from("<HH", data), (0x1234, 0x7E57))
        self.assertEqual(data[8:12], bytes([0x01, 0x00, 0x00, 0xFF]))
        self.assertEqual(data[14], 0, "header type")
        self.assertEqual(struct.unpack_from("<HH", data, 0x2C), (0x1234, 0x7E57))

    def test_any_piece_of_it_reads_the_same(self):
        whole = self.client.read(vu.CONFIG, 0, 4096)
        for offset, count in ((0, 256), (0, 1), (1, 2), (1, 4), (3, 3), (6, 7), (0x0F, 0x40),
                              (0x100, 0xF00), (4095, 1), (0x10, 0x18), (0x11, 1)):
            self.assertEqual(self.client.read(vu.CONFIG, offset, count),
                             whole[offset:offset + count], f"{count} at {offset:#x}")

    def test_no_pin_and_no_rom(self):
        self.assertEqual(self.config.get(devices.PIN, 1), 0)
        self.config.set(devices.PIN, 1, 1)
        self.assertEqual(self.config.get(devices.PIN, 1), 0)
        self.config.set(devices.ROM_REGISTER, 4, 0xFFFFF800)
        self.assertEqual(self.config.get(devices.ROM_REGISTER, 4), 0)

    def test_sizing(self):
        kinds = [0x0, 0x0, 0xC, 0, 0x8, 0]
        for _ in range(2):
            for bar, kind in enumerate(kinds):
                at = devices.BAR_REGISTERS + 4 * bar
                size = self.regions[bar]
                mask = 0xFFFFFFFF & ~(size - 1) if size else 0
                if bar == 3:
                    mask = 0xFFFFFFFF  # upper half of BAR 2
                before = self.config.get(at, 4)
                self.config.set(at, 4, 0xFFFFFFFF)
                with self.subTest(bar=bar):
                    self.assertEqual(hex(self.config.get(at, 4)), hex(mask | kind))
                self.config.set(at, 4, before)
                self.assertEqual(self.config.get(at, 4), before)

    def test_addresses(self):
        for bar, value in ((0, 0xFE010000), (2, 0x80000000), (3, 0x12),
                           (4, 0xFE020000)):
            at = devices.BAR_REGISTERS + 4 * bar
            kind = self.config.get(at, 4) & 0xF if bar != 3 else 0
            self.config.set(at, 4, value)
            self.assertEqual(hex(self.config.get(at, 4)), hex(value | kind))
            self.assertEqual(self.client.read(vu.CONFIG, at, 4),
                             b"".join(self.client.read(vu.CONFIG, at + i, 1) for i in range(4)))
        for bar in (1, 5):
            self.config.set(devices.BAR_REGISTERS + 4 * bar, 4, 0xFE030000)
            self.assertEqual(self.config.get(devices.BAR_REGISTERS + 4 * bar, 4), 0, "not there")
        # Wherever the guest puts them, the device is there.
        self.assertEqual(self.device.read(0), 0x54534554)

    def test_sizing_by_bytes(self):
        at = devices.BAR_REGISTERS
        for i in range(4):
            self.config.set(at + i, 1, 0xFF)
        self.assertEqual(hex(self.config.get(at, 4)), "0xffff0000")
        self.config.set(at + 2, 2, 0xFE01)
        self.assertEqual(hex(self.config.get(at, 4)), "0xfe010000")

    def test_command_is_stored(self):
        for value in (0, 2, 4, 6, 0x406, 0x106):
            self.config.set(devices.COMMAND, 2, value)
            self.assertEqual(hex(self.config.get(devices.COMMAND, 2)), hex(value))
        self.config.set(devices.COMMAND, 1, 0x06)
        self.assertEqual(hex(self.config.get(devices.COMMAND, 2)), "0x106")

    def test_status_keeps_its_capability_bit(self):
        self.config.set(devices.STATUS, 2, 0xFFFF)
        self.assertEqual(self.config.get(devices.STATUS, 2) & 0x10, 0x10)
        self.config.set(devices.STATUS, 2, 0)
        self.assertEqual(self.config.get(devices.STATUS, 2) & 0x10, 0x10)

    def test_what_is_read_only_stays(self):
        before = self.client.read(vu.CONFIG, 0, 4096)
        for offset in (0x00, 0x02, 0x08, 0x09, 0x0E, 0x2C, 0x2E, 0x34, 0x100, 0x102):
            for value in (0, 0xFFFF):
                self.config.set(offset, 2, value)
        after = self.client.read(vu.CONFIG, 0, 4096)
        for start, end in ((0, 4), (8, 12), (0x0E, 0x0F), (0x2C, 0x30), (0x34, 0x35),
                           (0x100, 0x104)):
            self.assertEqual(before[start:end], after[start:end], f"at {start:#x}")

    def test_capabilities_stay_what_and_where_they_are(self):
        before = self.config.capabilities(), self.config.extended()
        self.assertEqual(sorted(kind for kind, _ in before[0]),
                         [devices.CAP_POWER, devices.CAP_MSI, devices.CAP_VENDOR,
                          devices.CAP_PCIE, devices.CAP_MSIX])
        for _, at in before[0]:
            self.config.set(at, 2, 0xFFFF)
            self.config.set(at, 1, 0)
            self.config.set(at + 1, 1, 0)
        self.assertEqual((self.config.capabilities(), self.config.extended()), before)
        self.client.reset()
        self.assertEqual((self.config.capabilities(), self.config.extended()), before)
        self.client.close()
        self.client = self.attach()
        self.config = Config(self.client)
        self.assertEqual((self.config.capabilities(), self.config.extended()), before)

    def test_msix_capability(self):
        at = self.config.capability(devices.CAP_MSIX)
        self.assertEqual(self.config.get(at + 2, 2), 31, "32 vectors, disabled")
        self.assertEqual(self.config.get(at + 4, 4), 0x8000)
        self.assertEqual(self.config.get(at + 8, 4), 0x9000)
        for value in (0xC000, 0x8000, 0x4000, 0):
            self.config.set(at + 2, 2, value)
            self.assertEqual(hex(self.config.get(at + 2, 2)), hex(value | 31))
        self.config.set(at + 2, 2, 0xFFFF)
        self.assertEqual(hex(self.config.get(at + 2, 2)), hex(0xC000 | 31))
        self.config.set(at + 3, 1, 0x80)
        self.assertEqual(hex(self.config.get(at + 2, 2)), hex(0x8000 | 31))
        self.config.set(at + 4, 4, 0xFFFFFFFF)
        self.assertEqual(self.config.get(at + 4, 4), 0x8000)

    def test_msi_capability(self):
        at = self.config.capability(devices.CAP_MSI)
        control = self.config.get(at + 2, 2)
        self.assertEqual(control & 0x71, 0, "disabled, one message")
        self.assertEqual(control & 0x8E, 0x80 | 5 << 1, "64 bits, 32 messages")
        self.config.set(at + 4, 4, 0xFEE01000)
        self.config.set(at + 8, 4, 0x1)
        self.config.set(at + 12, 2, 0x4041)
        self.config.set(at + 2, 2, control | 0x51)
        self.assertEqual(self.config.get(at + 2, 2), control | 0x51)
        self.assertEqual([self.config.get(at + 4, 4), self.config.get(at + 8, 4),
                          self.config.get(at + 12, 2)], [0xFEE01000, 1, 0x4041])
        self.config.set(at + 2, 2, control)

    def test_writes_of_odd_sizes(self):
        for offset, count in ((0x04, 3), (0x05, 2), (0x3C, 4), (0x0D, 1), (0x10, 24), (0, 256),
                              (0x41, 7), (4095, 1), (4094, 2)):
            with self.subTest(offset=hex(offset), count=count):
                reply = self.client.ask(vu.REGION_WRITE, vu.access_payload(
                    vu.CONFIG, offset, count, bytes(count)))
                self.assertIn(reply.error, (0, errno.EINVAL))
        self.assertEqual(struct.unpack("<HH", self.client.read(vu.CONFIG, 0, 4)),
                         (0x1234, 0x7E57))

    def test_interrupt_line_is_scratch(self):
        self.config.set(devices.LINE, 1, 0x0B)
        self.assertEqual(self.config.get(devices.LINE, 1), 0x0B)

    def test_function_level_reset(self):
        at = self.config.capability(devices.CAP_PCIE)
        self.assertEqual(self.config.get(at + 4, 4) >> 28 & 1, 1, "offered")
        generation = self.device.read(Testdev.GENERATION)
        self.device.write(Testdev.SCRATCH[4], 0x11223344)
        self.config.set(devices.BAR_REGISTERS, 4, 0xFE010000)
        control = self.config.get(at + 8, 2)
        self.config.set(at + 8, 2, control | devices.PCIE_FLR)
        self.assertEqual(self.config.get(at + 8, 2) & devices.PCIE_FLR, 0)
        self.assertEqual(self.config.get(devices.COMMAND, 2) & 7, 0)
        self.assertEqual(self.config.get(devices.BAR_REGISTERS, 4), 0)
        self.config.enable()
        self.assertEqual(self.device.read(Testdev.GENERATION), generation + 1)
        self.assertEqual(self.device.read(Testdev.SCRATCH[4]), 0)

    def test_reset_by_request(self):
        generation = self.device.read(Testdev.GENERATION)
        self.device.write(Testdev.SCRATCH[4], 0x11223344)
        self.config.set(devices.BAR_REGISTERS, 4, 0xFE010000)
        self.client.reset()
        self.assertEqual(self.config.get(devices.COMMAND, 2) & 7, 0)
        self.assertEqual(self.config.get(devices.BAR_REGISTERS, 4), 0)
        self.config.enable()
        self.assertEqual(self.device.read(Testdev.GENERATION), generation + 1)
        self.assertEqual(self.device.read(Testdev.SCRATCH[4]), 0)

    def test_sleep_and_waking(self):
        at = self.config.capability(devices.CAP_POWER) + 4
        self.device.write(Testdev.SCRATCH[4], 0x11223344)
        self.config.set(at, 2, 3)
        self.assertEqual(self.config.get(at, 2) & 3, 3)
        self.assertEqual(self.client.read(vu.BAR0, 0, 4), b"\xff" * 4)
        self.device.write(Testdev.SCRATCH[4], 0x55667788)
        self.config.set(at, 2, 0)
        self.assertEqual(self.config.get(at, 2) & 3, 0)
        self.config.enable()
        self.assertEqual(self.device.read(0), 0x54534554)
        self.assertEqual(self.device.read(Testdev.SCRATCH[4]), 0, "no state is kept")


class Bars(TestdevTest):
    """Accesses arrive once, with their width, in order."""

    def test_widths(self):
        self.device.write(Testdev.COUNT_CLEAR, 1)
        for index, width in enumerate((1, 2, 4, 8)):
            value = 0x8877665544332211 & (1 << 8 * width) - 1
            at = Testdev.SCRATCH[width]
            self.device.write(at, value, width)
            self.assertEqual(hex(self.device.read(at, width)), hex(value))
            for counters in (Testdev.COUNT_READ, Testdev.COUNT_WRITE):
                self.assertEqual(self.device.read(counters + 4 * index), 1, f"width {width}")

    def test_accesses_without_a_natural_width(self):
        self.client.write(vu.BAR0, Testdev.SCRATCH_ANY, bytes(range(16)))
        self.assertEqual(self.client.read(vu.BAR0, Testdev.SCRATCH_ANY, 16), bytes(range(16)))
        for offset, count in ((1, 1), (1, 2), (1, 7), (3, 4), (0, 3), (5, 8), (2, 14), (15, 1)):
            at = Testdev.SCRATCH_ANY + offset
            self.assertEqual(self.client.read(vu.BAR0, at, count),
                             bytes(range(offset, offset + count)))
            self.client.write(vu.BAR0, at, bytes(range(offset, offset + count)))
        self.assertEqual(self.client.read(vu.BAR0, Testdev.SCRATCH_ANY, 16), bytes(range(16)))

    def test_a_whole_bar_of_registers(self):
        self.assertEqual(len(self.client.read(vu.BAR0, 0, 65536)), 65536)
        self.assertEqual(self.device.read(0), 0x54534554)

    def test_4000_posted_writes_without_a_pause(self):
        self.device.write(Testdev.COUNT_CLEAR, 1)
        for number in range(4000):
            self.device.write(Testdev.SCRATCH[4], number, posted=True)
        self.assertEqual(self.device.read(Testdev.SCRATCH[4]), 3999)
        self.assertEqual(self.device.read(Testdev.COUNT_WRITE + 8), 4000)

    def test_a_read_does_not_overtake_posted_writes(self):
        for number in range(200):
            self.device.write(Testdev.SCRATCH[4], number, posted=True)
            self.assertEqual(self.device.read(Testdev.SCRATCH[4]), number)

    def test_posted_writes_that_are_wrong_are_silent(self):
        for region, offset, data in ((vu.BAR0, 65536, bytes(4)), (9, 0, bytes(4)),
                                     (vu.BAR5, 0, bytes(4)), (vu.ROM, 0, bytes(4))):
            self.client.write(region, offset, data, posted=True)
        self.assert_in_step(self.client)

    def test_interrupt_table_and_pending_bits(self):
        """QEMU keeps the table for itself, and asks for the pending bits (8.3, 9.4)."""
        for offset, count in ((0x8000, 512), (0x8000, 4), (0x8008, 8), (0x9000, 8), (0x9000, 4),
                              (0x9004, 4)):
            self.assertEqual(len(self.client.read(vu.BAR0, offset, count)), count)
        self.assertEqual(self.client.read(vu.BAR0, 0x9000, 8), bytes(8))

    def areas(self, index):
        """A mapping of each area that may be mapped: (offset, mmap)."""
        info = self.client.region_info(index)
        fd, = info.fds
        self.closing.callback(os.close, fd)
        for offset, size in info.areas or [(0, info.size)]:
            area = mmap.mmap(fd, size, offset=info.offset + offset)
            self.closing.callback(area.close)
            yield offset, area

    def test_mapped_areas_are_the_device(self):
        for index, count in ((vu.BAR2, 2), (vu.BAR4, 1)):
            if IS_PORTABLE:
                info = self.client.region_info(index)
                self.assertEqual((info.flags, info.fds), (3, []))
                continue
            areas = list(self.areas(index))
            self.assertEqual(len(areas), count)
            for offset, area in areas:
                for at in (0, 4096, len(area) - 16):
                    data = os.urandom(16)
                    area[at:at + 16] = data
                    self.assertEqual(self.client.read(index, offset + at, 16), data)
                    data = os.urandom(16)
                    self.client.write(index, offset + at, data)
                    self.assertEqual(area[at:at + 16], data)

    def test_the_trapped_window_between_them(self):
        window = self.regions[vu.BAR2] // 2
        self.device.write(Testdev.COUNT_CLEAR, 1)
        memory = devices.Registers(self.client, vu.BAR2)
        memory.write(window + 8, 0x0123456789ABCDEF, 8)
        self.assertEqual(memory.read(window + 8, 8), 0x0123456789ABCDEF)
        self.assertEqual(self.device.read(Testdev.COUNT_WRITE + 12), 1)
        self.assertEqual(self.device.read(Testdev.COUNT_READ + 12), 1)
        data = os.urandom(64)
        self.client.write(vu.BAR2, window - 32, data)
        self.assertEqual(self.client.read(vu.BAR2, window - 32, 64), data)


class WriteMulti(TestdevTest):
    """REGION_WRITE_MULTI, which both sides must have offered."""

    def setUp(self):
        super().setUp()
        if not self.client.capabilities.get("write_multiple"):
            self.skipTest("the server does not offer it")

    def multi_errno(self, writes, count=None):
        return self.client.errno(vu.REGION_WRITE_MULTI, vu.multi_payload(writes, count))

    def scratch(self, number):
        return vu.BAR0, Testdev.SCRATCH[4], struct.pack("<I", number)

    def test_200_at_once_in_order_with_single_ones(self):
        self.device.write(Testdev.COUNT_CLEAR, 1)
        number = 0
        for _ in range(10):
            self.device.write(Testdev.SCRATCH[4], number, posted=True)
            payload = vu.multi_payload([self.scratch(number + i) for i in range(200)])
            self.assertEqual(16 + len(payload), 4824)
            self.client.send(vu.REGION_WRITE_MULTI, payload, kind=vu.NO_REPLY)
            number += 200
            self.device.write(Testdev.SCRATCH[4], number, posted=True)
        self.assertEqual(self.device.read(Testdev.SCRATCH[4]), number)
        self.assertEqual(self.device.read(Testdev.COUNT_WRITE + 8), 2020)

    def test_how_many_were_done(self):
        payload = self.client.request(vu.REGION_WRITE_MULTI, vu.multi_payload(
            [self.scratch(1), (vu.BAR0, Testdev.SCRATCH[2], b"\x34\x12"),
             (vu.CONFIG, devices.LINE, b"\x07")]))
        self.assertEqual(payload[:8], struct.pack("<Q", 3))
        self.assertEqual(self.device.read(Testdev.SCRATCH[2], 2), 0x1234)
        self.assertEqual(self.config.get(devices.LINE, 1), 7)

    def test_wrong_ones(self):
        for writes, count in (([self.scratch(1)], 0), ([self.scratch(1)], 2),
                              ([self.scratch(1)] * 2, 1), ([self.scratch(1)], 1 << 63),
                              ([], 1), ([], 0x0AAAAAAAAAAAAAAB)):
            self.assert_errno(self.multi_errno(writes, count), errno.EINVAL)
        bad = struct.pack("<QQII8s", 1, Testdev.SCRATCH[8], vu.BAR0, 9, bytes(8))
        self.assert_errno(self.client.errno(vu.REGION_WRITE_MULTI, bad), errno.EINVAL)
        for region, offset in ((9, 0), (vu.BAR0, 65536), (vu.BAR5, 0), (vu.BAR0, 1 << 63)):
            self.assert_errno(self.multi_errno([(region, offset, bytes(4))]), errno.EINVAL)
        self.assert_in_step(self.client)
        self.client.send(vu.REGION_WRITE_MULTI, b"\xff" * 32, kind=vu.NO_REPLY)
        self.assert_in_step(self.client)


class Vectors(TestdevTest):
    """A device's interrupts and the eventfds of a VMM."""

    def setUp(self):
        super().setUp()
        self.vectors = self.irqs[vu.MSIX]
        self.events = self.eventfds(self.vectors)

    def set_eventfds(self, first, fds, index=vu.MSIX):
        """In messages of as many descriptors as the server takes."""
        most = self.client.capabilities.get("max_msg_fds", 8)
        for at in range(0, len(fds), most):
            chunk = fds[at:at + most]
            self.client.set_irqs(index, TRIGGER_EVENTFD, first + at, len(chunk), fds=chunk)

    def fire(self, vector):
        self.device.write(Testdev.FIRE, vector)

    def assert_arrives(self, vector, events=None):
        self.fire(vector)
        self.assertGreaterEqual((events or self.events).arrived(vector), 1, f"vector {vector}")

    def assert_quiet(self, seconds=0.1):
        self.assertEqual(select.select(self.events.ends, [], [], seconds)[0], [])

    def test_as_linux_enables_them(self):
        """Enabled without a vector, then one after the other as the driver asks."""
        at = self.config.capability(devices.CAP_MSIX)
        self.config.set(at + 2, 2, 0xC000)
        self.client.set_irqs(vu.MSIX, TRIGGER_EVENTFD, 0, 1)
        self.config.set(at + 2, 2, 0x8000)
        for vector in range(self.vectors):
            self.set_eventfds(vector, self.events.fds[vector:vector + 1])
            self.assert_arrives(vector)
        self.config.set(at + 2, 2, 0)
        self.client.set_irqs(vu.MSIX, TRIGGER_NONE, 0, 0)
        for vector in range(self.vectors):
            self.fire(vector)
        self.assert_quiet()

    def test_all_at_once_each_to_its_own(self):
        self.set_eventfds(0, self.events.fds)
        for vector in range(self.vectors):
            self.assert_arrives(vector)
            self.assert_quiet(0)

    def test_holes(self):
        """Vectors 0, 1, 4 and 9 as QEMU sends them."""
        for first, count, fds in ((0, 1, 0), (0, 2, 2), (2, 2, 0), (4, 1, 1), (5, 4, 0), (9, 1, 1)):
            self.client.set_irqs(vu.MSIX, TRIGGER_EVENTFD, first, count,
                                 fds=self.events.fds[first:first + fds])
        for vector in range(12):
            self.fire(vector)
            seconds = vu.SECONDS if vector in (0, 1, 4, 9) else 0.02
            self.assertEqual(self.events.taken(vector, seconds) > 0, vector in (0, 1, 4, 9),
                             f"vector {vector}")

    def test_the_newest_eventfd_gets_it(self):
        self.set_eventfds(0, self.events.fds[:1])
        newer = self.eventfds(1)
        self.set_eventfds(0, newer.fds)
        self.assert_arrives(0, newer)
        self.assert_quiet(0)

    def test_one_vector_is_let_go(self):
        self.set_eventfds(0, self.events.fds[:4])
        self.client.set_irqs(vu.MSIX, TRIGGER_EVENTFD, 1, 2)
        for vector in (1, 2):
            self.fire(vector)
        for vector in (0, 3):
            self.assert_arrives(vector)
        self.assert_quiet()

    def test_triggered_by_message(self):
        self.set_eventfds(0, self.events.fds)
        self.client.set_irqs(vu.MSIX, TRIGGER_NONE, 3, 4)
        self.assertEqual([self.events.taken(v) for v in range(8)], [0, 0, 0, 1, 1, 1, 1, 0])
        self.client.set_irqs(vu.MSIX, vu.DATA_BOOL | vu.TRIGGER, 0, 8, b"\1\0\0\1\0\xff\0\1")
        self.assertEqual([self.events.taken(v) for v in range(8)], [1, 0, 0, 1, 0, 1, 0, 1])
        self.assert_quiet(0)

    def test_masked_vectors_wait(self):
        if not self.client.irq_info(vu.MSIX)[0] & vu.IRQ_MASKABLE:
            self.skipTest("the server does not mask MSI-X")
        self.set_eventfds(0, self.events.fds[:4])
        self.client.set_irqs(vu.MSIX, vu.DATA_NONE | vu.MASK, 1, 2)
        for vector in range(4):
            self.fire(vector)
        self.assertEqual([self.events.arrived(v) > 0 for v in (0, 3)], [True, True])
        self.assert_quiet()
        self.client.set_irqs(vu.MSIX, vu.DATA_BOOL | vu.UNMASK, 1, 2, b"\0\1")
        self.assertEqual(self.events.arrived(2), 1, "what waited arrives")
        self.assert_quiet()
        self.client.set_irqs(vu.MSIX, vu.DATA_NONE | vu.UNMASK, 1, 1)
        self.assertEqual(self.events.arrived(1), 1)
        for vector in range(4):
            self.assert_arrives(vector)

    def test_msi_instead(self):
        self.assertEqual(self.client.irq_info(vu.MSI)[1], 32)
        self.set_eventfds(0, self.events.fds, vu.MSIX)
        self.client.set_irqs(vu.MSIX, TRIGGER_NONE, 0, 0)
        self.set_eventfds(0, self.events.fds, vu.MSI)
        for vector in (0, 1, 31):
            self.assert_arrives(vector)
        self.client.set_irqs(vu.MSI, TRIGGER_NONE, 0, 0)
        self.fire(0)
        self.assert_quiet()

    def test_the_guests_table_is_not_the_hosts(self):
        """Zeros, ones and a mask in table and capability change nothing for the eventfds."""
        self.set_eventfds(0, self.events.fds[:2])
        at = self.config.capability(devices.CAP_MSIX)
        self.config.set(at + 2, 2, 0)
        for value in (0, 0xFFFFFFFF):
            for offset in range(0, 32, 4):
                self.device.write(Testdev.MSIX_TABLE + offset, value)
            self.assert_arrives(0)
            self.assert_arrives(1)

    def test_they_survive_a_reset_of_the_function(self):
        self.set_eventfds(0, self.events.fds[:2])
        at = self.config.capability(devices.CAP_PCIE)
        self.config.set(at + 8, 2, devices.PCIE_FLR)
        self.config.enable()
        self.assert_arrives(0)
        self.assert_arrives(1)

    def test_a_burst(self):
        self.set_eventfds(0, self.events.fds)
        self.device.write(Testdev.TIMER_SPAN, 32)
        self.device.write(Testdev.TIMER_PERIOD, 20000, 8)
        self.device.write(Testdev.TIMER_COUNT, 2000)
        self.device.write(Testdev.TIMER_CONTROL, 3)
        self.device.wait(Testdev.TIMER_CONTROL, 1, 0)
        for vector in range(32):
            self.assertGreaterEqual(self.events.arrived(vector), 1)
            # Nothing is lost: one that fires after all were taken arrives.
            self.assert_arrives(vector)

    def test_an_eventfd_that_is_full(self):
        """Nobody reads it: a server that waits for room would stand still."""
        full = os.eventfd(0, os.EFD_CLOEXEC)
        self.closing.callback(os.close, full)
        os.eventfd_write(full, 0xFFFFFFFFFFFFFFFE)
        self.client.set_irqs(vu.MSIX, TRIGGER_EVENTFD, 0, 1, fds=[full])
        self.set_eventfds(1, self.events.fds[1:2])
        for _ in range(3):
            self.fire(0)
            self.client.set_irqs(vu.MSIX, TRIGGER_NONE, 0, 1)
        self.assert_arrives(1)

    def pipe(self):
        reader, writer = os.pipe()
        self.closing.callback(os.close, writer)
        return reader, writer

    def test_a_pipe(self):
        """What a VMM has where there are no eventfds: eight bytes into the end it handed over."""
        reader, writer = self.pipe()
        self.closing.callback(os.close, reader)
        self.set_eventfds(0, [writer])
        for _ in range(3):
            self.fire(0)
            self.assertTrue(select.select([reader], [], [], vu.SECONDS)[0])
            self.assertEqual(os.read(reader, 8), struct.pack("=Q", 1))

    def test_a_pipe_that_nobody_reads_any_more(self):
        reader, writer = self.pipe()
        self.set_eventfds(0, [writer])
        self.set_eventfds(1, self.events.fds[1:2])
        os.close(reader)
        for _ in range(3):
            self.fire(0)
            self.assert_arrives(1)

    def test_descriptors_that_are_no_eventfds(self):
        reader, writer = os.pipe()
        self.closing.callback(os.close, reader)
        self.closing.callback(os.close, writer)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, bytes(65536))
        except BlockingIOError:
            pass
        os.set_blocking(writer, True)
        self.set_eventfds(1, self.events.fds[1:2])
        for fd in (writer, reader, self.spare_fds(1)[0]):
            error = self.client.errno(vu.SET_IRQS, vu.set_irqs_payload(
                vu.MSIX, TRIGGER_EVENTFD, 0, 1), [fd])
            self.assertIn(error, (0, errno.EINVAL))
            self.fire(0)
            self.client.ask(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, TRIGGER_NONE, 0, 1))
            self.assert_arrives(1)


class EduInterrupts(vfiousertest.DextTest, rules.Device):
    """A device with MSI alone."""
    device = "edu"
    ids = (0x1234, 0x11E8)
    regions = (1 << 20, 0, 0, 0, 0, 0, 0, 256, 0)
    irqs = (0, 1, 0)

    test_regions = rules.Information.test_regions
    test_interrupts = rules.Information.test_interrupts

    def test_identity(self):
        client = self.attach()
        self.assertEqual(struct.unpack("<HH", client.read(vu.CONFIG, 0, 4)), self.ids)
        self.assertEqual([kind for kind, _ in Config(client).capabilities()], [devices.CAP_MSI])
        self.assertEqual(client.read_number(vu.CONFIG, devices.PIN, 1), 0)

    def test_registers_and_interrupt(self):
        client = self.attach()
        Config(client).enable()
        edu = Edu(client)
        self.assertEqual(edu.read(Edu.ID), 0x010000ED)
        edu.write(Edu.LIVENESS, 0x12345678)
        self.assertEqual(edu.read(Edu.LIVENESS), 0xEDCBA987)
        events = self.eventfds(1)
        client.set_irqs(vu.MSI, TRIGGER_EVENTFD, 0, 1, fds=events.fds)
        edu.write(Edu.COMPUTING, 0x80)
        edu.write(Edu.FACTORIAL, 10)
        self.assertEqual(events.arrived(0), 1)
        self.assertEqual(edu.read(Edu.FACTORIAL), 3628800)
        self.assertEqual(edu.read(Edu.IRQ_STATUS), 1)
        edu.write(Edu.IRQ_ACKNOWLEDGE, 1)
        self.assertEqual(edu.read(Edu.IRQ_STATUS), 0)
        edu.write(Edu.IRQ_RAISE, 0x10, posted=True)
        self.assertEqual(events.arrived(0), 1)
        edu.write(Edu.IRQ_ACKNOWLEDGE, 0x10)


if __name__ == "__main__":
    vfiousertest.main()

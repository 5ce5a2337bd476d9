#!/usr/bin/env python3
"""What the device does with a guest's memory: mapped by descriptor, by messages, in crowds.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import errno
import mmap
import os
import struct
import time

import devices
import rules
import vfiouser as vu
import vfiousertest
from devices import Config, Edu, Nvme, Testdev
from vfiousertest import IS_PORTABLE

RAM = 0x80000000
GRANULE = 16384
MANY = 20000
# Of the vfio-user server and the host in one process, built with sanitizers.
GROWTH = 64 << 20


class GuestTest(vfiousertest.DextTest, rules.Device):
    """A client with 1 MiB of memory that the device may use."""

    def setUp(self):
        super().setUp()
        self.client = self.attach()
        Config(self.client).enable()
        self.device = Testdev(self.client)
        self.ram = self.memory(1 << 20)


class ByDescriptor(GuestTest):
    """Memory that came as a file is the guest's own, not a copy."""

    def setUp(self):
        super().setUp()
        self.client.dma_map(RAM, self.ram.size, self.ram.fd)

    def test_single_accesses(self):
        self.ram.map[0x1000:0x1008] = bytes(range(1, 9))
        for width in (1, 2, 4, 8):
            value, status = self.device.access_read(RAM + 0x1000, width)
            self.assertEqual((hex(value), status),
                             (hex(0x0807060504030201 & (1 << 8 * width) - 1), 0))
            at = 0x2000 + 16 * width
            self.assertEqual(self.device.access_write(RAM + at, width, 0x1122334455667788), 0)
            self.assertEqual(self.ram.map[at:at + 16],
                             struct.pack("<Q", 0x1122334455667788)[:width] + bytes(16 - width))

    def test_later_writes_of_either_side_are_seen(self):
        for number in range(20):
            self.ram.map[0:4] = struct.pack("<I", number)
            self.assertEqual(self.device.access_read(RAM, 4), (number, 0))
            self.device.access_write(RAM + 8, 4, number)
            self.assertEqual(struct.unpack_from("<I", self.ram.map, 8), (number,))

    def test_copies(self):
        data = os.urandom(300000)
        self.ram.map[5:5 + len(data)] = data
        self.assertEqual(self.device.copy(RAM + 5, RAM + 600001, len(data)), (Testdev.DONE, 0))
        self.assertEqual(self.ram.map[600001:600001 + len(data)], data)

    def test_a_copy_ends_with_an_interrupt(self):
        events = self.eventfds(4)
        self.client.set_irqs(vu.MSIX, vu.DATA_EVENTFD | vu.TRIGGER, 0, 4, fds=events.fds)
        self.device.write(Testdev.VECTOR, 3)
        self.device.write(Testdev.PATTERN, 0x5A5A5A5A5A5A5A5A, 8)
        self.device.start_copy(0, RAM, 65536, Testdev.FILL | Testdev.FIRE_AT_END)
        self.assertEqual(events.arrived(3), 1)
        self.assertEqual(self.ram.map[:65537], b"\x5a" * 65536 + b"\0")

    def test_two_regions_of_one_file_at_offsets(self):
        self.client.dma_unmap_all()
        half = self.ram.size // 2
        self.client.dma_map(RAM, half, self.ram.fd, offset=half)
        self.client.dma_map(RAM + (4 << 30), half, self.ram.fd)
        self.ram.map[0:4], self.ram.map[half:half + 4] = b"low.", b"high"
        self.assertEqual(self.device.access_read(RAM, 4)[0], int.from_bytes(b"high", "little"))
        self.assertEqual(self.device.access_read(RAM + (4 << 30), 4)[0],
                         int.from_bytes(b"low.", "little"))
        # Nothing passes from one into what is no neighbour.
        self.assertEqual(self.device.copy(RAM, RAM + half - 64, 128)[0], Testdev.FAILED)

    def test_neighbours_are_one_memory(self):
        other = self.memory(1 << 20)
        self.client.dma_map(RAM + self.ram.size, other.size, other.fd)
        data = os.urandom(8192)
        self.ram.map[:8192] = data
        at = self.ram.size - 4096
        self.assertEqual(self.device.copy(RAM, RAM + at, 8192), (Testdev.DONE, 0))
        self.assertEqual(self.ram.map[at:] + other.map[:4096], data)

    def test_what_is_unmapped_is_out_of_reach(self):
        self.client.dma_unmap(RAM, self.ram.size)
        self.ram.map[:8] = bytes(8)
        self.assertEqual(self.device.access_read(RAM, 8), (devices.ONES_8, 1))
        self.assertEqual(self.device.access_write(RAM, 8, 1), 2)
        self.assertEqual(self.ram.map[:8], bytes(8))
        self.assertTrue(vfiousertest.wait_until(
            lambda: self.server.mappings("memfd:guest") == 0))
        self.assertEqual(self.device.copy(RAM, RAM + 4096, 64), (Testdev.FAILED, 1))
        self.client.dma_map(RAM, self.ram.size, self.ram.fd)
        self.assertEqual(self.device.access_write(RAM, 8, 1), 0)

    def test_read_only(self):
        self.client.dma_unmap_all()
        self.client.dma_map(RAM, self.ram.size, self.ram.fd, flags=vu.MAP_READ)
        self.ram.map[:4] = b"keep"
        self.assertEqual(self.device.access_read(RAM, 4),
                         (int.from_bytes(b"keep", "little"), 0))
        self.assertNotEqual(self.device.access_write(RAM, 4, 0), 0)
        self.assertEqual(self.ram.map[:4], b"keep")

    def test_a_descriptor_without_write_access(self):
        rom = self.memory(1 << 20)
        reading = os.open(f"/proc/self/fd/{rom.fd}", os.O_RDONLY | os.O_CLOEXEC)
        self.closing.callback(os.close, reading)
        at = RAM + (1 << 30)
        self.assertNotEqual(self.client.errno(vu.DMA_MAP, vu.dma_map_payload(at, rom.size),
                                              [reading]), 0)
        self.client.dma_map(at, rom.size, reading, flags=vu.MAP_READ)
        rom.map[:4] = b"look"
        self.assertEqual(self.device.access_read(at, 4)[0], int.from_bytes(b"look", "little"))
        self.assertNotEqual(self.device.access_write(at, 4, 0), 0)
        self.assertEqual(rom.map[:4], b"look")
        self.client.dma_unmap(at, rom.size)

    def test_bus_mastering_off(self):
        Config(self.client).enable(2)
        self.assertEqual(self.device.access_read(RAM, 4)[1], 3)
        Config(self.client).enable(6)
        self.assertEqual(self.device.access_read(RAM, 4)[1], 0)

    def test_a_file_that_is_shorter_than_said(self):
        """The server must outlive what the device does beyond the end."""
        at = RAM + (1 << 30)
        for length in (0, 4096, GRANULE):
            short = self.memory(max(length, 1), "guest-short")
            error = self.client.errno(vu.DMA_MAP, vu.dma_map_payload(at, 1 << 20), [short.fd])
            if error:
                continue
            self.device.access_read(at + (1 << 19), 8)
            self.device.access_write(at + (1 << 19), 8, 1)
            self.client.dma_unmap(at, 1 << 20)
        self.assert_in_step(self.client)

    def test_a_file_that_becomes_shorter(self):
        at = RAM + (1 << 30)
        short = self.memory(1 << 20, "guest-short")
        self.client.dma_map(at, 1 << 20, short.fd)
        self.assertEqual(self.device.access_write(at + (1 << 19), 8, 1), 0)
        os.ftruncate(short.fd, 4096)
        self.device.access_read(at + (1 << 19), 8)
        self.device.access_write(at + (1 << 19), 8, 1)
        self.device.copy(at + (1 << 19), RAM, 65536)
        self.device.copy(RAM, at + (1 << 19), 65536)
        self.client.dma_unmap(at, 1 << 20)
        self.assertEqual(self.device.copy(RAM, RAM + 65536, 4096), (Testdev.DONE, 0))

    def test_a_file_of_an_exabyte(self):
        """Too long to be mapped whole: just what is used of it is."""
        vast = os.memfd_create("guest-vast", os.MFD_CLOEXEC)
        self.closing.callback(os.close, vast)
        os.ftruncate(vast, 1 << 60)
        for number, offset in enumerate((0, 1 << 59, (1 << 60) - (1 << 20))):
            at = RAM + ((number + 1) << 30)
            self.client.dma_map(at, 1 << 20, vast, offset=offset)
            self.assertEqual(self.device.access_write(at + 8, 8, number + 1), 0)
            self.assertEqual(os.pread(vast, 8, offset + 8), struct.pack("<Q", number + 1))

    def test_descriptors_that_are_no_memory(self):
        reader, writer = os.pipe()
        self.closing.callback(os.close, reader)
        self.closing.callback(os.close, writer)
        folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        self.closing.callback(os.close, folder)
        held = self.server.settled(self.client)
        for fd in (reader, writer, folder, self.eventfds(1).fds[0], self.spare_fds(1)[0],
                   self.client.sock.fileno()):
            self.assertNotEqual(self.client.errno(
                vu.DMA_MAP, vu.dma_map_payload(RAM + (1 << 30), 1 << 20), [fd]), 0)
        self.assert_held(held[0])
        self.assert_in_step(self.client)

    def test_offsets_that_cannot_be(self):
        for offset in (1 << 63, 0xFFFFFFFFFFFFF000, 0xFFFFFFFFFFFFFFFF):
            self.assertNotEqual(self.client.errno(vu.DMA_MAP, vu.dma_map_payload(
                RAM + (1 << 30), 1 << 20, offset=offset), [self.ram.fd]), 0)
        self.assert_in_step(self.client)

    def test_what_is_not_a_multiple_of_pages(self):
        """Accepted and then exact, or refused."""
        at = RAM + (1 << 30)
        self.ram.map[:] = bytes(self.ram.size)
        for address, size, offset in ((at + 1, 100, 0), (at, 1, 0), (at + 0x234, 0x2345, 0x1234),
                                      (at, 4096, 4096), (at + 4096, 8192, 0)):
            error = self.client.errno(vu.DMA_MAP, vu.dma_map_payload(address, size, offset=offset),
                                      [self.ram.fd])
            with self.subTest(address=hex(address), size=size, offset=offset, error=error):
                if error:
                    self.assertIn(error, (errno.EINVAL, errno.ENOTSUP))
                    continue
                self.assertEqual(self.device.access_write(address + size - 1, 1, 0xA5), 0)
                self.assertEqual(self.ram.map[offset + size - 1], 0xA5)
                self.assertNotEqual(self.device.access_write(address + size, 1, 0xA5), 0)
                self.client.dma_unmap(address, size)

    def test_reset_keeps_the_memory(self):
        """QEMU maps once and resets often (section 6)."""
        self.client.reset()
        Config(self.client).enable()
        self.assertEqual(self.device.access_write(RAM, 4, 7), 0)


class Pages:
    """What a client answers when the server asks for its guest's memory."""

    def __init__(self, byte):
        self.byte = byte

    def read(self, _, count):
        return None if self.byte is None else bytes([self.byte]) * count

    def write(self, *_):
        return None


class WithoutDescriptor(GuestTest):
    """Such memory is asked for (test_vfiouser_served.py); this client has none to give."""

    def test_it_is_taken_and_there_is_nothing(self):
        for flags in (vu.MAP_READ | vu.MAP_WRITE, vu.MAP_READ, 0):
            self.client.dma_map(RAM, 1 << 20, flags=flags)
            self.assertEqual(self.device.access_read(RAM, 8), (devices.ONES_8, 1))
            self.assertEqual(self.device.access_write(RAM, 8, 1), 2)
            self.assertEqual(self.device.copy(RAM, RAM + 4096, 64), (Testdev.FAILED, 1))
            self.client.dma_unmap(RAM, 1 << 20)

    def test_beside_memory_with_a_descriptor(self):
        self.client.dma_map(RAM, 1 << 20)
        self.client.dma_map(RAM + (1 << 20), 1 << 20, self.ram.fd)
        self.assertEqual(self.device.access_write(RAM + (1 << 20), 8, 5), 0)
        self.assertEqual(self.ram.map[:8], struct.pack("<Q", 5))
        self.assertEqual(self.device.access_write(RAM + (1 << 20) - 8, 8, 5), 2)


class Private(vfiousertest.DextTest, rules.Device):
    """Guest memory that QEMU mapped privately (share=off): the file is sent and stays empty."""

    def ask(self, memory, size=64 << 20):
        """A client whose guest turns bus mastering on, and the number of questions it got."""
        client = self.attach(memory=memory)
        ram = self.memory(size)
        client.dma_map(0, size, ram.fd)
        Config(client).enable()
        self.answer_all(client)
        return client, ram

    def answer_all(self, client):
        """Until a request gets its answer without a question before it: the server asks the next one
        when it has the last answer, and before it takes another request."""
        before = None
        while before != len(client.served):
            before = len(client.served)
            number = client.send(vu.GET_INFO, vu.info_payload())
            while ((reply := client.receive()).id, reply.command) != (number, vu.GET_INFO):
                if reply.flags & 0xF == vu.COMMAND:
                    client.serve(reply)

    def test_pages_with_contents_that_the_file_has_not(self):
        client = self.attach(memory=Pages(0xA5))
        ram = self.memory(64 << 20)
        client.dma_map(0, ram.size, ram.fd)
        Config(client).enable()
        with self.assertRaises((vu.Closed, BrokenPipeError)):
            for _ in range(1000):
                client.serve(client.receive())
        self.assertIn("share=on", self.server.said())
        self.assertTrue(all(command == vu.DMA_READ for command, *_ in client.served))
        self.closing.close()
        self.assert_in_step(self.attach())

    def test_pages_that_are_empty_on_both_sides(self):
        client, _ = self.ask(Pages(0))
        self.assertGreater(len(client.served), 0)
        self.assert_in_step(client)

    def test_a_client_that_refuses_to_answer(self):
        client, _ = self.ask(Pages(None))
        self.assert_in_step(client)

    def test_memory_in_use_is_not_asked_about(self):
        client = self.attach()
        ram = self.memory(64 << 20)
        for at in range(0, ram.size, 4096):
            ram.map[at] = 1
        client.dma_map(0, ram.size, ram.fd)
        Config(client).enable()
        self.answer_all(client)
        self.assertEqual(client.served, [])

    def test_a_file_that_became_shorter(self):
        client = self.attach(memory=Pages(0xA5))
        ram = self.memory(64 << 20)
        client.dma_map(0, ram.size, ram.fd)
        os.ftruncate(ram.fd, 4096)
        Config(client).enable()
        self.answer_all(client)
        self.assert_in_step(client)

    def asked(self):
        """A client and the first question, unanswered."""
        client = self.attach(memory=Pages(0))
        ram = self.memory(64 << 20)
        client.dma_map(0, ram.size, ram.fd)
        Config(client).enable()
        question = client.receive()
        self.assertEqual((question.command, question.flags), (vu.DMA_READ, vu.COMMAND))
        return client, question

    def test_one_that_never_answers(self):
        client, _ = self.asked()
        self.assertEqual(Testdev(client).read(0), 0x54534554)
        client.reset()
        Config(client).enable()
        client.dma_unmap_all()
        self.answer_all(client)
        self.assert_in_step(client)

    def test_wrong_answers(self):
        page = bytes(4096)

        def answer(question, payload, **header):
            header = {"number": question.id, "kind": vu.REPLY} | header
            return vu.message(question.command, payload, **header)

        for change in (lambda q: answer(q, q.payload[:16]),
                       lambda q: answer(q, q.payload[:16] + page[:-1]),
                       lambda q: answer(q, q.payload[:16] + page + b"!"),
                       lambda q: answer(q, b""),
                       lambda q: answer(q, b"\xff" * 16 + page),
                       lambda q: answer(q, q.payload[:16] + page, kind=vu.REPLY | vu.ERROR),
                       lambda q: answer(q, b"", kind=vu.REPLY | vu.ERROR, error=errno.EIO),
                       lambda q: answer(q, q.payload[:16] + page) * 2):
            client, question = self.asked()
            client.send_bytes(change(question))
            self.answer_all(client)
            self.assert_in_step(client)
            client.close()

    def test_unmapped_before_the_answer(self):
        client, question = self.asked()
        client.dma_unmap_all()
        client.serve(question)
        self.answer_all(client)
        self.assert_in_step(client)

    def test_gone_before_the_answer(self):
        client, _ = self.asked()
        client.close()
        self.assert_in_step(self.attach())


class Crowds(GuestTest):
    """Regions by the thousand."""

    def pipelined(self, requests, window=64):
        """Send all, with at most a window of replies outstanding; the errnos."""
        waiting, errors = [], set()
        for command, payload, fds in requests:
            waiting.append((self.client.send(command, payload, fds), command))
            if len(waiting) >= window:
                errors.add(self.client.receive_reply(*waiting.pop(0)).error)
        errors |= {self.client.receive_reply(*one).error for one in waiting}
        return errors

    def test_20000_regions(self):
        big = self.memory(MANY * GRANULE)
        held, grown = self.server.settled(self.client), self.server.memory_bytes()
        start = time.monotonic()
        self.assertEqual(self.pipelined(
            (vu.DMA_MAP, vu.dma_map_payload(i * 2 * GRANULE, GRANULE, offset=i * GRANULE),
             [big.fd]) for i in range(MANY)), {0})
        mapped = time.monotonic()
        self.assertLess(self.server.held()[0], 1024, "a descriptor for each region")
        for i in (0, 1, MANY // 2, MANY - 1):
            self.assertEqual(self.device.access_write(i * 2 * GRANULE + 8, 8, i + 1), 0)
            self.assertEqual(struct.unpack_from("<Q", big.map, i * GRANULE + 8), (i + 1,))
            self.assertNotEqual(self.device.access_write((i * 2 + 1) * GRANULE, 8, 1), 0)
        again = time.monotonic()
        self.assertEqual(self.pipelined(
            (vu.DMA_UNMAP, vu.dma_unmap_payload(i * 2 * GRANULE, GRANULE), ())
            for i in range(0, MANY, 2)), {0})
        self.client.dma_unmap_all()
        print(f"# {MANY} regions: mapped in {mapped - start:.2f} s, unmapped in "
              f"{time.monotonic() - again:.2f} s")
        self.assert_held(held[0])
        self.assertTrue(vfiousertest.wait_until(
            lambda: self.server.mappings("memfd:guest") == 0))
        self.assertLess(self.server.memory_bytes() - grown, GROWTH)

    def test_as_many_as_are_announced(self):
        """Each takes memory of the server, so there is an end to them."""
        most = self.client.capabilities["max_dma_maps"]
        self.assertEqual(self.pipelined((vu.DMA_MAP, vu.dma_map_payload(i << 12, 4096), ())
                                        for i in range(most)), {0})
        one_more = vu.dma_map_payload(most << 12, 4096)
        self.assert_errno(self.client.errno(vu.DMA_MAP, one_more), errno.ENOSPC)
        self.client.dma_unmap(4096, 4096)
        self.assert_errno(self.client.errno(vu.DMA_MAP, one_more), 0)
        # One answer for as many calls of the driver: on a busy machine, with sanitizers, beside a
        # dextd, that is more than the usual patience.
        self.client.sock.settimeout(5 * vu.SECONDS)
        self.client.dma_unmap_all()

    def test_regions_come_and_go_without_growth(self):
        def rounds(count):
            for number in range(count):
                fds = [self.ram.fd] if number % 2 else []
                self.pipelined((vu.DMA_MAP, vu.dma_map_payload(RAM + i * GRANULE, GRANULE), fds)
                               for i in range(64))
                self.client.dma_unmap_all()

        rounds(5)
        before = self.server.memory_bytes()
        rounds(20)
        self.assertLess(self.server.memory_bytes() - before, GROWTH // 4)

    def test_a_client_that_goes_with_everything_mapped(self):
        for i in range(1000):
            self.client.dma_map(RAM + i * GRANULE, GRANULE, self.ram.fd)
        self.client.close()
        self.client = self.attach()
        for i in range(0, 1000, 100):
            self.client.dma_map(RAM + i * GRANULE, GRANULE, self.ram.fd)


class EduDma(vfiousertest.DextTest, rules.Device):
    """The educational device's engine."""
    device = "edu"

    def test_there_and_back(self):
        client = self.attach()
        Config(client).enable()
        edu, ram, events = Edu(client), self.memory(1 << 20), self.eventfds(1)
        client.dma_map(RAM, ram.size, ram.fd)
        client.set_irqs(vu.MSI, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=events.fds)
        data = os.urandom(4096)
        ram.map[100:100 + 4096] = data
        edu.to_buffer(RAM + 100, 4096)
        edu.from_buffer(RAM + 50001, 4096, flags=4)
        self.assertEqual(ram.map[50001:50001 + 4096], data)
        self.assertEqual(events.arrived(0), 1)
        self.assertEqual(edu.read(Edu.IRQ_STATUS), 0x100)
        edu.write(Edu.IRQ_ACKNOWLEDGE, 0x100)
        # What is not mapped reads as ones.
        edu.to_buffer(RAM + (1 << 30), 16)
        edu.from_buffer(RAM, 16)
        self.assertEqual(ram.map[:16], b"\xff" * 16)


class NvmeDma(vfiousertest.DextTest, rules.Device):
    """A controller with its queues in the guest's memory."""
    device = "nvme"
    device_options = ",dart=identity,size=1M,serial=PYWIRE"

    def test_a_disk(self):
        client = self.attach()
        Config(client).enable()
        ram, events = self.memory(1 << 20), self.eventfds(2)
        client.dma_map(RAM, ram.size, ram.fd)
        client.set_irqs(vu.MSIX, vu.DATA_EVENTFD | vu.TRIGGER, 0, 2, fds=events.fds)
        nvme = Nvme(client, ram, RAM)
        for _ in range(2):
            nvme.enable()
            self.assertEqual(nvme.run(0, 0x06, data=RAM + 0x8000, words=[1]), 0)
            self.assertEqual(ram.map[0x8004:0x8018], b"PYWIRE".ljust(20))
            self.assertGreaterEqual(events.arrived(0), 1)
            self.assertEqual(nvme.create_queues(1), (0, 0))
            data = os.urandom(4096)
            ram.map[0x10000:0x11000] = data
            for block in range(0, 2048, 8 * 32):
                self.assertEqual(nvme.run(1, 0x01, namespace=1, data=RAM + 0x10000,
                                          words=[block, 0, 7]), 0)
                self.assertGreaterEqual(events.arrived(1), 1)
                self.assertEqual(nvme.run(1, 0x02, namespace=1, data=RAM + 0x20000,
                                          words=[block, 0, 7]), 0)
                self.assertEqual(ram.map[0x20000:0x21000], data)
            # Past the end: LBA Out of Range.
            self.assertEqual(nvme.run(1, 0x02, namespace=1, data=RAM + 0x20000,
                                      words=[2048, 0, 7]) & 0x7FF, 0x80)
            client.reset()
            Config(client).enable()
            nvme = Nvme(client, ram, RAM)

    def test_doorbells_without_messages(self):
        client = self.attach()
        Config(client).enable()
        ram, events = self.memory(1 << 20), self.eventfds(1)
        client.dma_map(RAM, ram.size, ram.fd)
        client.set_irqs(vu.MSIX, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=events.fds)
        info = client.region_info(vu.BAR0)
        if IS_PORTABLE:
            self.assertEqual((info.flags, info.fds), (3, []))
            return
        if not info.flags & vu.REGION_MMAP:
            self.skipTest("the doorbells are not to be mapped")
        self.closing.callback(os.close, info.fds[0])
        (offset, size), = info.areas
        self.assertEqual(offset, Nvme.DOORBELLS)
        nvme = Nvme(client, ram, RAM)
        nvme.enable()
        nvme.doorbells = mmap.mmap(info.fds[0], size, offset=info.offset + offset)
        self.closing.callback(nvme.doorbells.close)
        for _ in range(40):
            self.assertEqual(nvme.run(0, 0x06, data=RAM + 0x8000, words=[1]), 0)
            self.assertEqual(ram.map[0x8004:0x8018], b"PYWIRE".ljust(20))
            self.assertGreaterEqual(events.arrived(0), 1)
            ram.map[0x8000:0x9000] = bytes(4096)


if __name__ == "__main__":
    vfiousertest.main()

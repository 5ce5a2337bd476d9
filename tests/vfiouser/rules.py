"""What any vfio-user server answers: mixed into test classes that name the server and its device.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import errno
import os
import struct

import vfiouser as vu
import vfiousertest
from vfiouser import message

EINVAL = errno.EINVAL
PAGE = 4096
# A payload of the right size for each command a client may send.
WELL_FORMED = {
    vu.DMA_MAP: vu.dma_map_payload(0x10000000, PAGE),
    vu.DMA_UNMAP: vu.dma_unmap_payload(0x10000000, PAGE),
    vu.GET_INFO: vu.info_payload(),
    vu.GET_REGION_INFO: vu.region_info_payload(vu.CONFIG),
    vu.GET_IRQ_INFO: vu.info_payload(vu.ERR),
    vu.SET_IRQS: vu.set_irqs_payload(vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 0, 0),
    vu.REGION_READ: vu.access_payload(vu.CONFIG, 0, 4),
    vu.REGION_WRITE: vu.access_payload(vu.CONFIG, 0x3C, 1, b"\x05"),
}
UNKNOWN = (0, vu.DMA_READ, vu.DMA_WRITE, vu.DIRTY_PAGES, vu.MIG_DATA_READ, vu.MIG_DATA_WRITE,
           19, 99, 0x7FFF, 0xFFFF)


class Device:
    """What the rules must know about a server's device; the defaults are testdev's."""
    ids = (0x1234, 0x7E57)
    # The I/O ports of BAR 1 are out of the driver's reach.
    regions = (65536, 0, 4 << 20, 0, 65536, 0, 0, 4096, 0)
    irqs = (0, 32, 32)
    usable_irq = vu.MSIX      # an index whose vectors may be tried
    readable = (vu.BAR0, 0)   # 4 bytes that can be read at any time
    kept_by_map = 1           # descriptors
    deviations = ()           # rules of its own that a server breaks


class Framing(Device):
    """Headers and order."""

    def test_any_id_comes_back(self):
        client = self.attach()
        for number in (0, 1, 0x7FFF, 0x8000, 0xFFFF, 7, 7, 7, 0):
            self.assertEqual(client.ask(vu.GET_INFO, vu.info_payload(), number=number).id, number)

    def test_requests_in_one_segment_are_answered_in_order(self):
        client = self.attach()
        wanted = []
        data = b""
        for number in range(50):
            for command in (vu.GET_INFO, vu.REGION_READ, vu.GET_IRQ_INFO):
                data += message(command, WELL_FORMED[command], number=number)
                wanted.append((number, command))
        client.send_bytes(data)
        replies = [client.receive() for _ in wanted]
        self.assertEqual([(reply.id, reply.command) for reply in replies], wanted)
        self.assertEqual({reply.flags for reply in replies}, {vu.REPLY})

    def test_sizes_below_a_header(self):
        for size in (0, 1, 15):
            with self.server.attach() as client:
                client.send_bytes(message(vu.GET_INFO, size=size))
                self.assert_refused(client)
        self.assert_in_step(self.attach())

    def test_sizes_above_every_message(self):
        for size in (vu.MAX_DATA + 33, 1 << 24, 1 << 31, 0xFFFFFFFF):
            with self.server.attach() as client:
                client.send_bytes(message(vu.REGION_WRITE, size=size))
                self.assert_refused(client)
        self.assert_in_step(self.attach())

    def test_unknown_commands(self):
        client = self.attach()
        for command in UNKNOWN:
            for payload in (b"", bytes(16), bytes(4096)):
                with self.subTest(command=command, payload=len(payload)):
                    self.assert_errno(client.errno(command, payload), EINVAL)
        self.assert_in_step(client)

    def test_a_second_version(self):
        client = self.attach()
        self.assert_errno(client.errno(vu.VERSION, vu.version_payload()), EINVAL)
        self.assert_in_step(client)

    def test_no_payload(self):
        client = self.attach()
        for command in WELL_FORMED:
            with self.subTest(command=command):
                self.assert_errno(client.errno(command), EINVAL)
        self.assert_in_step(client)

    def test_every_shorter_payload(self):
        client = self.attach()
        for command, payload in WELL_FORMED.items():
            for length in range(1, len(payload)):
                with self.subTest(command=command, length=length):
                    self.assert_errno(client.errno(command, payload[:length]), EINVAL)
        self.assert_in_step(client)

    def test_no_reply_is_kept_even_for_failures(self):
        client = self.attach()
        for command in UNKNOWN + tuple(WELL_FORMED):
            client.send(command, b"", kind=vu.NO_REPLY)
            client.send(command, b"\xff" * 16, kind=vu.NO_REPLY)
        client.send(vu.REGION_READ, vu.access_payload(vu.CONFIG, 0, 4), kind=vu.NO_REPLY)
        client.send(vu.REGION_WRITE, vu.access_payload(99, 0, 4, bytes(4)), kind=vu.NO_REPLY)
        self.assertTrue(client.is_silent())
        self.assert_in_step(client)

    def test_a_reply_nobody_asked_for(self):
        for payload in (b"",) if "replies" in self.deviations else (b"", bytes(16)):
            with self.server.attach() as client:
                client.send(vu.DMA_READ, payload, kind=vu.REPLY)
                if not client.is_silent():
                    self.assert_refused(client)
        self.assert_in_step(self.attach())

    def test_descriptors_that_nobody_wants_are_closed(self):
        client = self.attach()
        before = self.server.settled(client)
        fds = self.spare_fds(8)
        for command in UNKNOWN + tuple(WELL_FORMED):
            if command == vu.DMA_MAP:
                continue  # takes the first
            for payload in (b"", b"\xff" * 24, WELL_FORMED.get(command, b"")):
                client.ask(command, payload, fds).close_fds()
        self.assert_held(*before)
        self.assert_in_step(client)

    def test_reset_with_a_payload(self):
        client = self.attach()
        for payload in (b"", bytes(4), bytes(1000)):
            self.assert_errno(client.errno(vu.DEVICE_RESET, payload), 0)
        self.assert_in_step(client)


class Negotiation(Device):
    """VERSION. After a failure the connection is of no use; the next client attaches."""
    # What cannot be accepted: payload of a VERSION request.
    BAD = {
        "nothing": b"",
        "half a major": b"\0",
        "no minor": b"\0\0",
        "three bytes": b"\0\0\0",
        "major 1": vu.version_payload(major=1),
        "major 999": vu.version_payload(major=999),
        "no NUL": vu.version_payload(said=b"{}"),
        "truncated": vu.version_payload(said=b'{"capabilities": {\0'),
        "a string": vu.version_payload(said=b'"capabilities"\0'),
        "capabilities a number": vu.version_payload(said={"capabilities": 5}),
        "capabilities a list": vu.version_payload(said={"capabilities": []}),
        "max_msg_fds a string": vu.version_payload(said={"capabilities": {"max_msg_fds": "x"}}),
        "max_msg_fds negative": vu.version_payload(said={"capabilities": {"max_msg_fds": -1}}),
        "max_msg_fds 1025": vu.version_payload(said={"capabilities": {"max_msg_fds": 1025}}),
        "migration a string": vu.version_payload(said={"capabilities": {"migration": "x"}}),
        "pgsize a string": vu.version_payload(
            said={"capabilities": {"migration": {"pgsize": "x"}}}),
        "pgsize 4095": vu.version_payload(said={"capabilities": {"migration": {"pgsize": 4095}}}),
    }

    def negotiated(self, minor, said):
        """Negotiate once; the connection is of use afterwards."""
        with self.server.connect() as client:
            answer = client.version(minor, said)
            self.assert_in_step(client)
            return answer

    def test_qemu_11(self):
        payload = vu.version_payload()
        self.assertEqual(16 + len(payload), 214)
        with self.server.connect() as client:
            reply = client.ask(vu.VERSION, payload, number=0)
        self.assertEqual((reply.flags, reply.fds), (vu.REPLY, []))
        self.assertLessEqual(16 + len(reply.payload), 214, "QEMU has no room for more")
        self.assertEqual(reply.payload[:4], bytes(4))

    def test_the_answer_suits_qemu(self):
        _, _, answer = self.negotiated(0, vu.QEMU)
        self.assertLessEqual(set(answer), {"capabilities"})
        capabilities = answer["capabilities"]
        self.assertLessEqual(set(capabilities), {
            "max_msg_fds", "max_data_xfer_size", "pgsizes", "max_dma_maps", "migration",
            "write_multiple"})
        self.assertIn(capabilities.get("max_msg_fds", 8), range(1, 17))
        self.assertIn(capabilities["max_data_xfer_size"], range(4096, 64 << 20))
        self.assertLessEqual(capabilities.get("max_dma_maps", 65535), 65535)

    def test_minors(self):
        for asked, least, most in ((0, 0, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3), (0xFFFF, 0, 100)):
            major, minor, _ = self.negotiated(asked, vu.QEMU)
            self.assertEqual(major, 0)
            self.assertIn(minor, range(least, most + 1))

    def test_other_capabilities(self):
        for said in (None, {}, {"capabilities": {}}, {"capabilities": {"max_msg_fds": 0}},
                     {"capabilities": {"max_msg_fds": 1024}},
                     {"capabilities": {"max_data_xfer_size": 4096}},
                     {"capabilities": {"unheard_of": {"deep": [1, 2, {"er": None}]}}},
                     {"other": 1, "capabilities": {"max_msg_fds": 3}}):
            with self.subTest(said=said):
                self.negotiated(1, said)

    def test_what_cannot_be_accepted(self):
        for name, payload in self.BAD.items():
            if name in self.deviations:
                continue
            with self.subTest(name):
                with self.server.connect() as client:
                    self.assert_errno(client.errno(vu.VERSION, payload), EINVAL)
                    self.assert_closed(client)
                self.assert_the_next_attaches()

    def assert_the_next_attaches(self):
        with self.server.attach() as client:
            self.assert_in_step(client)

    def test_descriptors_with_version(self):
        with self.server.connect() as client:
            client.send(vu.VERSION, vu.version_payload(), self.spare_fds(1))
            self.assert_closed(client)
        self.assert_the_next_attaches()

    def test_another_command_first(self):
        for command, payload in WELL_FORMED.items():
            with self.subTest(command=command):
                with self.server.connect() as client:
                    self.assert_errno(client.errno(command, payload), EINVAL)
                    self.assert_closed(client)
                self.assert_the_next_attaches()


class Information(Device):
    """GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS, GET_IRQ_INFO."""

    def test_device(self):
        client = self.attach()
        flags, regions, irqs = client.info()
        self.assertEqual(flags, vu.INFO_PCI | vu.INFO_RESET)
        self.assertEqual((regions, irqs), (9, 5))
        for argsz in (17, 32, 4096, 0xFFFFFFFF):
            payload = client.request(vu.GET_INFO, vu.info_payload(argsz=argsz))
            self.assertEqual(struct.unpack("<IIII", payload), (16, flags, 9, 5))

    def test_device_with_little_room(self):
        client = self.attach()
        for argsz in (0, 8, 15):
            self.assert_errno(client.errno(vu.GET_INFO, vu.info_payload(argsz=argsz)), EINVAL)

    def test_regions(self):
        client = self.attach()
        for index, size in enumerate(self.regions):
            info = client.region_info(index)
            with self.subTest(index=index):
                self.assertEqual(info.size, size)
                if size == 0:
                    self.assertEqual((info.flags, info.argsz, info.cap_offset), (0, 32, 0))
                else:
                    self.assertEqual(info.flags & 3, 3)
                # More than one breaks QEMU's connection.
                self.assertEqual(len(info.fds), 1 if info.flags & vu.REGION_MMAP else 0)
            for fd in info.fds:
                os.close(fd)
        self.assertEqual(client.region_info(vu.CONFIG).flags & vu.REGION_MMAP, 0)

    def test_bad_region_questions(self):
        client = self.attach()
        for index in (9, 10, 0x7FFFFFFF, 0xFFFFFFFF):
            self.assert_errno(client.errno(vu.GET_REGION_INFO, vu.region_info_payload(index)),
                              EINVAL)
        for argsz in (0, 8, 31):
            self.assert_errno(client.errno(vu.GET_REGION_INFO,
                                           vu.region_info_payload(0, argsz=argsz)), EINVAL)
        self.assert_in_step(client)

    def test_more_room_than_a_region_needs(self):
        client = self.attach()
        for index in range(9):
            exact = client.region_info(index)
            more = client.region_info_once(index, 4096)
            self.assertEqual((more.argsz, more.flags, more.areas),
                             (exact.argsz, exact.flags, exact.areas))
            for fd in exact.fds + more.fds:
                os.close(fd)

    def test_io_descriptors(self):
        client = self.attach()
        for index in range(9):
            reply = client.ask(vu.GET_REGION_IO_FDS, vu.info_payload(index))
            self.assertEqual(reply.fds, [])
            if reply.error:
                self.assert_errno(reply.error, EINVAL)
            else:
                self.assertEqual(struct.unpack_from("<IIII", reply.payload)[3], 0)
        for payload in (vu.info_payload(9), vu.info_payload(0, 1), vu.info_payload(argsz=15),
                        vu.info_payload(argsz=0x7FFFFFFF), b"", bytes(8)):
            self.assert_errno(client.errno(vu.GET_REGION_IO_FDS, payload), EINVAL)
        self.assert_in_step(client)

    def test_interrupts(self):
        client = self.attach()
        for index, count in enumerate(self.irqs):
            flags, said = client.irq_info(index)
            self.assertEqual(said, count, f"index {index}")
            if count:
                self.assertEqual(flags & vu.IRQ_EVENTFD, vu.IRQ_EVENTFD)
        for index in (vu.ERR, vu.REQ):
            self.assertIn(client.irq_info(index)[1], (0, 1))

    def test_bad_interrupt_questions(self):
        client = self.attach()
        for index in (5, 6, 0x7FFFFFFF, 0xFFFFFFFF):
            self.assert_errno(client.errno(vu.GET_IRQ_INFO, vu.info_payload(index)), EINVAL)
        for argsz in (0, 8, 15):
            self.assert_errno(client.errno(vu.GET_IRQ_INFO, vu.info_payload(argsz=argsz)), EINVAL)
        payload = client.request(vu.GET_IRQ_INFO, vu.info_payload(vu.ERR, argsz=64))
        self.assertEqual(len(payload), 16)

    def test_features(self):
        client = self.attach()
        for feature in (1, 2, 6, 7, 8, 0xFFFF):
            for operation in (0x10000, 0x20000, 0x40000, 0x50000, 0):
                if feature in (1, 2, 6, 7, 8) and "features" in self.deviations:
                    continue
                payload = struct.pack("<IIQ", 16, feature | operation, 0)
                self.assert_errno(client.errno(vu.DEVICE_FEATURE, payload), EINVAL)
        self.assert_in_step(client)


class Interrupts(Device):
    """SET_IRQS, as far as it does not need a device that raises any."""

    def bad_requests(self):
        """Name and payload, with no descriptors."""
        index, count = self.usable_irq, self.irqs[self.usable_irq]
        none, trigger = vu.DATA_NONE, vu.TRIGGER

        def request(flags, start, number, data=b"", at=index, **options):
            return vu.set_irqs_payload(at, flags, start, number, data, **options)

        yield "argsz 0", request(none | trigger, 0, 1, argsz=0)
        yield "argsz 19", request(none | trigger, 0, 1, argsz=19)
        for bad in (5, 99, 0xFFFFFFFF):
            yield f"index {bad}", request(none | trigger, 0, 1, at=bad)
        for flags in (0, none, trigger, vu.DATA_EVENTFD, vu.MASK, none | vu.MASK | trigger,
                      none | vu.UNMASK | trigger, none | vu.MASK | vu.UNMASK,
                      none | vu.DATA_BOOL | trigger, none | vu.DATA_EVENTFD | trigger,
                      7 | trigger, none | 0x38):
            yield f"flags {flags:#x}", request(flags, 0, 1, b"\1")
        for start, number in ((count, 1), (0, count + 1), (count - 1, 2), (0xFFFFFFFF, 1),
                              (1, 0xFFFFFFFF), (0xFFFFFFFF, 2), (0, 0xFFFFFFFF),
                              (0x80000000, 0x80000000)):
            yield f"range {start:#x}+{number:#x}", request(none | trigger, start, number)
            yield f"eventfds {start:#x}+{number:#x}", request(vu.DATA_EVENTFD | trigger, start,
                                                              number)
        yield "count 0, start 1", request(none | trigger, 1 if count > 1 else 5, 0)
        yield "count 0, MASK", request(none | vu.MASK, 0, 0)
        yield "count 0, BOOL", request(vu.DATA_BOOL | trigger, 0, 0)
        yield "BOOL without data", request(vu.DATA_BOOL | trigger, 0, 1)
        yield "BOOL with more data", request(vu.DATA_BOOL | trigger, 0, 1, b"\1\1")
        for other in (vu.ERR, vu.REQ):
            yield f"MASK {other}", request(none | vu.MASK, 0, 1, at=other)
            yield f"two of {other}", request(none | trigger, 0, 2, at=other)

    def test_bad_requests(self):
        client = self.attach()
        for name, payload in self.bad_requests():
            with self.subTest(name):
                self.assert_errno(client.errno(vu.SET_IRQS, payload), EINVAL)
        self.assert_in_step(client)

    def test_descriptors_that_do_not_fit(self):
        client = self.attach()
        fds = self.eventfds(4).fds
        before = self.server.settled(client)
        index, trigger = self.usable_irq, vu.TRIGGER
        for flags, count, data, given in (
                (vu.DATA_NONE | trigger, 1, b"", 1), (vu.DATA_BOOL | trigger, 1, b"\1", 1),
                (vu.DATA_EVENTFD | trigger, 1, b"", 2), (vu.DATA_EVENTFD | trigger, 1, b"", 4)):
            with self.subTest(flags=flags, count=count, given=given):
                payload = vu.set_irqs_payload(index, flags, 0, count, data)
                self.assert_errno(client.errno(vu.SET_IRQS, payload, fds[:given]), EINVAL)
        self.assert_held(*before)
        self.assert_in_step(client)

    def test_what_a_client_triggers_arrives_in_its_eventfd(self):
        client = self.attach()
        events = self.eventfds(1)
        index = self.usable_irq
        client.set_irqs(index, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=events.fds)
        self.assertEqual(events.taken(), 0)
        client.set_irqs(index, vu.DATA_NONE | vu.TRIGGER, 0, 1)
        self.assertEqual(events.taken(), 1)
        client.set_irqs(index, vu.DATA_BOOL | vu.TRIGGER, 0, 1, b"\0")
        self.assertEqual(events.taken(), 0)
        client.set_irqs(index, vu.DATA_BOOL | vu.TRIGGER, 0, 1, b"\1")
        self.assertEqual(events.taken(), 1)
        client.set_irqs(index, vu.DATA_NONE | vu.TRIGGER, 0, 0)

    def test_eventfds_are_let_go(self):
        client = self.attach()
        before = self.server.settled(client)
        index = self.usable_irq
        for _ in range(100):
            client.set_irqs(index, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=self.eventfds(1).fds)
        self.assert_held(before[0] + 1)
        client.set_irqs(index, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1)
        self.assert_held(*before)
        client.set_irqs(index, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=self.eventfds(1).fds)
        client.set_irqs(index, vu.DATA_NONE | vu.TRIGGER, 0, 0)
        self.assert_held(*before)
        client.set_irqs(index, vu.DATA_NONE | vu.TRIGGER, 0, 0)


class Dma(Device):
    """DMA_MAP and DMA_UNMAP."""
    BASE = 0x40000000

    def map_errno(self, client, address, size, fd=None, **options):
        return client.errno(vu.DMA_MAP, vu.dma_map_payload(address, size, **options),
                            () if fd is None else (fd,))

    def unmap_errno(self, client, address, size, **options):
        return client.errno(vu.DMA_UNMAP, vu.dma_unmap_payload(address, size, **options))

    def test_map_and_unmap(self):
        client = self.attach()
        memory = self.memory(1 << 20)
        before = self.server.settled(client)
        for flags in (vu.MAP_READ | vu.MAP_WRITE, vu.MAP_READ):
            for fd in (memory.fd, None):
                client.dma_map(self.BASE, 1 << 20, fd, flags=flags)
                echo = client.dma_unmap(self.BASE, 1 << 20)
                self.assertIn(echo, (b"", vu.dma_unmap_payload(self.BASE, 1 << 20)))
        self.assert_held(before[0])

    def test_bad_maps(self):
        client = self.attach()
        memory = self.memory(1 << 20)
        for argsz in (0, 24, 31):
            self.assert_errno(self.map_errno(client, self.BASE, PAGE, memory.fd, argsz=argsz),
                              EINVAL)
        for flags in (0x10, 0x13, 0x80000003):
            self.assert_errno(self.map_errno(client, self.BASE, PAGE, memory.fd, flags=flags),
                              EINVAL)
        for flags in (7, 11):
            self.assert_errno(self.map_errno(client, self.BASE, PAGE, flags=flags), EINVAL)
        for address, size in ((0xFFFFFFFFFFFFF000, 2 * PAGE), (1 << 63, 1 << 63),
                              (0xFFFFFFFFFFFFF000, 0xFFFFFFFFFFFFF000), (self.BASE, 0)):
            if size == 2 * PAGE and "wrap" in self.deviations:
                continue
            with self.subTest(address=hex(address), size=hex(size)):
                self.assert_errno(self.map_errno(client, address, size, memory.fd), EINVAL,
                                  errno.ENOSPC)
        self.assertNotEqual(self.map_errno(client, self.BASE, 1 << 44, memory.fd), 0)
        self.assert_errno(self.unmap_errno(client, self.BASE, PAGE), errno.ENOENT)
        self.assert_in_step(client)

    def test_the_same_again_and_almost_the_same(self):
        client = self.attach()
        memory, other = self.memory(1 << 20), self.memory(1 << 20)
        size = 1 << 16
        client.dma_map(self.BASE, size, memory.fd, offset=size)
        held = self.server.settled(client)
        self.assert_errno(self.map_errno(client, self.BASE, size, memory.fd, offset=size), 0,
                          errno.EEXIST)
        for fd, options in ((other.fd, {"offset": size}), (None, {}), (memory.fd, {"offset": 0}),
                            (memory.fd, {"offset": size, "flags": vu.MAP_READ})):
            self.assert_errno(self.map_errno(client, self.BASE, size, fd, **options), EINVAL,
                              errno.EEXIST)
        self.assert_held(*held)
        client.dma_unmap(self.BASE, size)
        self.assert_errno(self.unmap_errno(client, self.BASE, size), errno.ENOENT)

    def test_overlaps(self):
        client = self.attach()
        memory = self.memory(1 << 20)
        unit = 1 << 16
        client.dma_map(self.BASE, 4 * unit, memory.fd)
        for at, size in ((-1, 2), (3, 2), (-1, 6), (1, 1), (0, 1), (3, 1), (0, 5), (-1, 5)):
            for fd in (memory.fd, None):
                with self.subTest(at=at, size=size, fd=fd):
                    self.assert_errno(self.map_errno(client, self.BASE + at * unit, size * unit,
                                                     fd), EINVAL, errno.EEXIST)
        client.dma_map(self.BASE - unit, unit, memory.fd)
        client.dma_map(self.BASE + 4 * unit, unit, memory.fd)
        client.dma_unmap_all()

    def test_bad_unmaps(self):
        client = self.attach()
        memory = self.memory(1 << 20)
        unit = 1 << 16
        client.dma_map(self.BASE, 4 * unit, memory.fd)
        for at, size in ((0, 1), (1, 3), (1, 1), (-1, 5), (0, 5), (8, 1)):
            with self.subTest(at=at, size=size):
                self.assert_errno(self.unmap_errno(client, self.BASE + at * unit, size * unit),
                                  errno.ENOENT)
        for argsz in (0, 23, 2 << 20):
            self.assert_errno(self.unmap_errno(client, self.BASE, 4 * unit, argsz=argsz), EINVAL)
        for flags in (1, 3, 4, 0x80000000):
            self.assert_errno(self.unmap_errno(client, self.BASE, 4 * unit, flags=flags), EINVAL)
        for address, size in ((self.BASE, 0), (0, unit), (self.BASE, 4 * unit)):
            self.assert_errno(self.unmap_errno(client, address, size, flags=vu.UNMAP_ALL), EINVAL)
        client.dma_unmap(self.BASE, 4 * unit)

    def test_unmap_all(self):
        client = self.attach()
        client.dma_unmap_all()
        memory = self.memory(1 << 20)
        before = self.server.settled(client)
        for i in range(100):
            client.dma_map(self.BASE + (i << 20), 1 << 16, memory.fd)
        client.dma_unmap_all()
        self.assert_held(before[0])
        self.assert_errno(self.unmap_errno(client, self.BASE, 1 << 16), errno.ENOENT)
        client.dma_map(self.BASE, 1 << 20, memory.fd)
        client.dma_unmap_all()

    def test_maps_before_anything_else_and_without_reading_replies(self):
        with self.server.connect() as client:
            client.version()
            memory = self.memory(1 << 20)
            sent = [(client.send(vu.DMA_MAP, vu.dma_map_payload(i << 20, 1 << 20),
                                 [memory.fd]), vu.DMA_MAP) for i in range(100)]
            sent += [(client.send(vu.DMA_UNMAP, vu.dma_unmap_payload(i << 20, 1 << 20)),
                      vu.DMA_UNMAP) for i in range(100)]
            for number, command in sent:
                self.assertEqual(client.receive_reply(number, command).error, 0)

    def test_descriptors_beyond_the_first_are_closed(self):
        client = self.attach()
        memory = self.memory(1 << 20)
        held = self.server.settled(client)
        reply = client.ask(vu.DMA_MAP, vu.dma_map_payload(self.BASE, 1 << 20),
                           [memory.fd, *self.spare_fds(3)])
        self.assertTrue(vfiousertest.wait_until(
            lambda: self.server.held()[0] <= held[0] + self.kept_by_map))
        if reply.error:
            self.assert_errno(reply.error, EINVAL)
        else:
            client.dma_unmap(self.BASE, 1 << 20)
        self.assert_held(held[0])


class Regions(Device):
    """REGION_READ and REGION_WRITE."""

    def test_config_space_in_one_read(self):
        client = self.attach()
        data = client.read(vu.CONFIG, 0, self.regions[vu.CONFIG])
        self.assertEqual(struct.unpack_from("<HH", data), self.ids)

    def test_outside(self):
        client = self.attach()
        for region, size in enumerate(self.regions):
            for offset, count in ((size, 1), (size, 4), (max(size, 4) - 2, 4), (1 << 32, 4),
                                  (0xFFFFFFFFFFFFFFFF, 1), (0xFFFFFFFFFFFFFFFC, 8),
                                  (0x8000000000000000, 4)):
                with self.subTest(region=region, offset=hex(offset), count=count):
                    self.assert_errno(client.errno(
                        vu.REGION_READ, vu.access_payload(region, offset, count)), EINVAL)
                    self.assert_errno(client.errno(
                        vu.REGION_WRITE, vu.access_payload(region, offset, count, bytes(count))),
                        EINVAL)
        self.assert_in_step(client)

    def test_no_such_region(self):
        client = self.attach()
        for region in (9, 10, 0x7FFFFFFF, 0xFFFFFFFF):
            self.assert_errno(client.errno(vu.REGION_READ, vu.access_payload(region, 0, 4)),
                              EINVAL)
            self.assert_errno(client.errno(vu.REGION_WRITE,
                                           vu.access_payload(region, 0, 4, bytes(4))), EINVAL)

    def test_more_than_a_message_holds(self):
        client = self.attach()
        for count in (vu.MAX_DATA + 1, 1 << 31, 0xFFFFFFFF):
            self.assert_errno(client.errno(vu.REGION_READ,
                                           vu.access_payload(vu.CONFIG, 0, count)), EINVAL)
        self.assert_in_step(client)

    def test_data_of_another_length(self):
        client = self.attach()
        for count, length in ((4, 3), (4, 5), (4, 0), (1, 4096), (0xFFFFFFFF, 4), (0, 1)):
            self.assert_errno(client.errno(vu.REGION_WRITE, vu.access_payload(
                vu.CONFIG, 0x3C, count, bytes(length))), EINVAL)
        self.assert_in_step(client)

    def test_nothing(self):
        client = self.attach()
        reply = client.ask(vu.REGION_READ, vu.access_payload(*self.readable, 0))
        self.assertEqual(reply.error, 0)
        self.assertIn(len(reply.payload), (0, 16))
        self.assert_errno(client.errno(vu.REGION_WRITE, vu.access_payload(*self.readable, 0)), 0)
        self.assert_in_step(client)

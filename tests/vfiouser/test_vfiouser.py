#!/usr/bin/env python3
"""Every request of the protocol, good and bad, in pieces and in crowds.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import errno
import os
import random
import struct
import time

import devices
import rules
import vfiouser as vu
import vfiousertest
from vfiouser import message
from vfiousertest import IS_PORTABLE

SEED = 20240229
FUZZ_MESSAGES = 3000
FUZZ_SECONDS = 5


class Framing(vfiousertest.DextTest, rules.Framing):
    """Also what a stream may do to messages."""

    def test_bytes_one_by_one(self):
        with self.server.connect() as client:
            for command, payload in ((vu.VERSION, vu.version_payload()),
                                     (vu.GET_INFO, vu.info_payload()),
                                     (vu.REGION_READ, vu.access_payload(vu.CONFIG, 0, 4))):
                for byte in message(command, payload):
                    client.send_bytes(bytes([byte]))
                self.assertEqual(client.receive_reply(1, command).error, 0)
            self.assert_in_step(client)

    def test_a_header_in_two_pieces_with_time_between(self):
        client = self.attach()
        data = message(vu.REGION_READ, vu.access_payload(vu.CONFIG, 0, 4))
        for cut in (1, 8, 15, 16, 17, 31):
            client.send_bytes(data[:cut])
            self.assertTrue(client.is_silent(0.02))
            client.send_bytes(data[cut:])
            self.assertEqual(client.receive_reply(1, vu.REGION_READ).error, 0)

    def test_descriptors_with_a_message_in_pieces(self):
        client = self.attach()
        memory = self.memory(1 << 20)
        for cut in (1, 16, 20):
            data = message(vu.DMA_MAP, vu.dma_map_payload(1 << 30, 1 << 20))
            client.send_bytes(data[:cut], [memory.fd])
            time.sleep(0.01)
            client.send_bytes(data[cut:])
            self.assertEqual(client.receive_reply(1, vu.DMA_MAP).error, 0)
            self.assertEqual(self.server.mappings("memfd:guest") > 0, True)
            client.dma_unmap(1 << 30, 1 << 20)

    def test_descriptors_behind_a_message_that_is_short(self):
        """A message of a header alone, in the socket together with one that brings descriptors."""
        client, ram, events = self.attach(), self.memory(1 << 20), self.eventfds(2)
        for _ in range(20):
            sent = [(client.send(command, payload, fds), command) for command, payload, fds in (
                (vu.REGION_READ, vu.access_payload(vu.BAR0, 0, 4096), ()),
                (99, b"", ()), (vu.DMA_MAP, vu.dma_map_payload(1 << 30, 1 << 20), [ram.fd]),
                (99, b"1234", ()), (vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x24, 0, 2),
                                    events.fds),
                (99, b"", self.spare_fds(1)), (vu.DMA_UNMAP,
                                               vu.dma_unmap_payload(1 << 30, 1 << 20), ()),
                (99, b"", ()), (vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x21, 0, 2), ()))]
            errors = [client.receive_reply(*one).error for one in sent]
            self.assertEqual(errors, [0, errno.EINVAL, 0, errno.EINVAL, 0, errno.EINVAL, 0,
                                      errno.EINVAL, 0])
            self.assertEqual([events.taken(0), events.taken(1)], [1, 1])
            client.set_irqs(vu.MSIX, 0x21, 0, 0)

    def test_descriptors_with_every_byte(self):
        """More than a message may have: all closed, whatever becomes of the connection."""
        client = self.attach()
        held = self.server.settled(client)
        fds = self.spare_fds(4)
        data = message(vu.DMA_MAP, vu.dma_map_payload(1 << 30, 1 << 20))
        try:
            for byte in data:
                client.send_bytes(bytes([byte]), fds)
            client.receive().close_fds()
        except (BrokenPipeError, vu.Closed):
            pass
        self.assertTrue(vfiousertest.wait_until(
            lambda: self.server.held()[0] <= held[0] + self.kept_by_map))

    def test_a_great_many_descriptors(self):
        client = self.attach()
        held = self.server.settled(client)
        fds = self.spare_fds(200)
        try:
            client.ask(vu.GET_INFO, vu.info_payload(), fds).close_fds()
        except (BrokenPipeError, vu.Closed):
            pass
        self.assertTrue(vfiousertest.wait_until(lambda: self.server.held()[0] <= held[0]))

    def test_the_largest_message_is_read(self):
        client = self.attach()
        for count in (vu.MAX_DATA, vu.MAX_DATA - 3):
            client.write(vu.BAR2, 0, os.urandom(count))
            self.assertEqual(len(client.read(vu.BAR2, 0, count)), count)

    def test_unknown_commands_with_large_payloads_are_skipped(self):
        client = self.attach()
        for length in (4096, 65536, vu.MAX_DATA):
            self.assert_errno(client.errno(99, bytes(length)), errno.EINVAL)
            self.assert_in_step(client)

    def test_unknown_kinds(self):
        for kind in (2, 3, 15):
            with self.server.attach() as client:
                client.send(vu.GET_INFO, vu.info_payload(), kind=kind)
                if not client.is_silent():
                    self.assert_refused(client)
        self.assert_in_step(self.attach())

    def test_http(self):
        client = self.connect()
        client.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
        self.assert_closed(client)


class Negotiation(vfiousertest.DextTest, rules.Negotiation):
    """Also where our limits lie."""

    def test_a_peer_that_takes_little_data(self):
        client = self.attach(1, {"capabilities": {"max_data_xfer_size": 4096}})
        self.assertEqual(len(client.read(vu.CONFIG, 0, 4096)), 4096)

    def test_a_peer_that_takes_no_descriptors(self):
        client = self.attach(1, {"capabilities": {"max_msg_fds": 0}})
        for index in range(9):
            self.assertEqual(client.region_info_once(index, 4096).fds, [])

    def test_long_json(self):
        said = {"capabilities": {"padding": "x" * 3000}}
        with self.server.connect() as client:
            client.version(1, said)
            self.assert_in_step(client)
        for text in (b"[" * 3000 + b"\0", b'{"a":' * 500 + b"1" + b"}" * 500 + b"\0"):
            with self.server.connect() as client:
                client.send(vu.VERSION, vu.version_payload(said=text))
                self.assertIn(client.receive().error, (0, errno.EINVAL))
        self.assert_the_next_attaches()

    def test_a_version_larger_than_any(self):
        with self.server.connect() as client:
            text = b'{"a":"' + b"x" * (vu.MAX_DATA - 100) + b'"}\0'
            try:
                client.send(vu.VERSION, vu.version_payload(said=text))
                self.assertIn(client.receive().error, (0, errno.EINVAL))
            except (vu.Closed, BrokenPipeError, ConnectionResetError):
                pass
        self.assert_the_next_attaches()


class Information(vfiousertest.DextTest, rules.Information):
    """Also the sparse areas."""

    def test_areas(self):
        client = self.attach()
        first = client.region_info_once(vu.BAR2)
        if IS_PORTABLE:
            self.assertEqual((first.argsz, first.flags, first.fds), (32, 3, []))
            return
        self.assertEqual((first.argsz, first.cap_offset, first.fds), (32 + 16 + 2 * 16, 0, []))
        self.assertEqual(first.flags, 7)
        second = client.region_info_once(vu.BAR2, first.argsz)
        self.closing.callback(os.close, second.fds[0])
        self.assertEqual((second.argsz, second.cap_offset, second.flags, len(second.fds)),
                         (80, 32, 15, 1))
        window = self.regions[vu.BAR2] // 2
        behind = window + devices.Testdev.WINDOW_BYTES
        self.assertEqual(second.areas, [(0, window), (behind, self.regions[vu.BAR2] - behind)])
        for argsz in (33, 48, 64, 79):
            between = client.region_info_once(vu.BAR2, argsz)
            self.assertEqual((between.argsz, between.flags, between.fds), (80, 7, []))

    def test_a_whole_region(self):
        client = self.attach()
        info = client.region_info(vu.BAR4)
        if IS_PORTABLE:
            self.assertEqual((info.flags, info.fds), (3, []))
            return
        self.closing.callback(os.close, info.fds[0])
        self.assertEqual(info.areas or [(0, 65536)], [(0, 65536)])

    def test_registers_are_not_mapped(self):
        client = self.attach()
        for index in (vu.BAR0, vu.CONFIG):
            info = client.region_info(index)
            self.assertEqual((info.flags, info.argsz, info.fds), (3, 32, []))


class Interrupts(vfiousertest.DextTest, rules.Interrupts):
    """As it says."""


class Dma(vfiousertest.DextTest, rules.Dma):
    """As it says."""


class Regions(vfiousertest.DextTest, rules.Regions):
    """As it says."""


class Fuzz(vfiousertest.DextTest, rules.Device):
    """Valid shapes with random contents; the same messages each run."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)

    def number(self, bits):
        small = self.random.randrange(64)
        return self.random.choice((small, self.random.getrandbits(bits), (1 << bits) - 1 - (small & 3),
                                   1 << self.random.randrange(bits)))

    def payload(self, command):
        pick = self.random.choice
        if command in (vu.REGION_READ, vu.REGION_WRITE):
            region, offset = pick(range(9)), self.number(pick((12, 16, 22, 64)))
            count = pick((1, 2, 4, 8, self.number(16)))
            data = self.random.randbytes(count) if command == vu.REGION_WRITE else b""
            return vu.access_payload(region, offset, count, data)
        if command == vu.SET_IRQS:
            count = pick((0, 1, 2, 32, self.number(32)))
            return vu.set_irqs_payload(pick(range(6)), pick((0x21, 0x24, 0x22, self.number(6))),
                                       self.number(5), count, self.random.randbytes(count & 31))
        if command == vu.DMA_MAP:
            return vu.dma_map_payload(self.number(8) << 16, self.number(8) << 16,
                                      flags=self.number(2))
        if command == vu.DMA_UNMAP:
            return vu.dma_unmap_payload(self.number(8) << 16, self.number(8) << 16,
                                        flags=pick((0, 0, 2)))
        if command == vu.REGION_WRITE_MULTI:
            writes = [(pick(range(9)), self.number(22), self.random.randbytes(self.number(3) & 15))
                      for _ in range(self.random.randrange(20))]
            return vu.multi_payload(writes)
        return struct.pack("<6I", *(self.number(32) for _ in range(6)))[:pick((8, 16, 24))]

    def test_random_requests(self):
        end = time.monotonic() + FUZZ_SECONDS
        client = self.attach()
        memory = self.memory(1 << 20)
        for _ in range(FUZZ_MESSAGES):
            if time.monotonic() > end:
                break
            command = self.random.choice(range(2, 18))
            fds = [memory.fd] * self.random.choice((0, 0, 0, 1, 2))
            # The server must outlive it; a client with a wrong reply would raise.
            client.ask(command, self.payload(command), fds).close_fds()
        self.assert_in_step(client)

    def test_random_bytes(self):
        end = time.monotonic() + FUZZ_SECONDS
        for _ in range(100):
            if time.monotonic() > end:
                break
            with self.server.attach() as client:
                try:
                    client.send_bytes(self.random.randbytes(self.random.randrange(1, 200)))
                except BrokenPipeError:
                    pass
        self.assert_in_step(self.attach())


if __name__ == "__main__":
    vfiousertest.main()

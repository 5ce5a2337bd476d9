#!/usr/bin/env python3
"""Frames that are wrong: each has its precise answer, and the host goes on serving the others.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import socket

import wire
import wiretest
from wiretest import CLAIM, CONFIG_READ, MMIO_READ, REGISTER

# A well-formed request of each type, on the control channel and on a call channel.
CONTROL = {
    wire.MATCH: wire.encode_value({"IOProviderClass": "IOUserService"}),
    wire.ENTRY: wire.u64(1),
    wire.OPEN: wire.u64(1) + wire.u32(0),
    wire.NOTIFY_ADD: wire.u64(1) + wire.u32(1) + wire.encode_value({}),
    wire.NOTIFY_REMOVE: wire.u64(1),
    wire.INTEREST_ADD: wire.u64(1, 1),
    wire.MEMORY_OPEN: b"",
    wire.MEMORY_SERVE: wire.u64(1, 4096, 4096),
    wire.MEMORY_WITHDRAW: wire.u64(4096),
    wire.MEMORY_CLOSE: wire.u64(1),
}
CALLS = {
    wire.CALL: wire.Connection.call_payload(0),
    wire.MAP: wire.u64(1),
    wire.ACCESS: wire.u64(1, 0) + wire.u32(4, 0) + wire.u64(0),
    wire.CLOSE: b"",
}


def spare_fds(count):
    return [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]


class BadTest(wiretest.WireTest):
    """A bystander works before and after each test."""

    def setUp(self):
        super().setUp()
        self.bystander = self.opened(0)

    def tearDown(self):
        self.assertEqual(self.bystander.call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])
        super().tearDown()


class Headers(BadTest):
    """After a header that cannot be believed the stream is out of step: the channel ends."""

    def each_channel(self):
        yield self.client()
        yield self.opened(0)

    def test_wrong_magic(self):
        for magic in (0, wire.MAGIC ^ 1, 0x4458314C, 0xFFFFFFFF):
            for channel in self.each_channel():
                channel.send(wire.MATCH, b"", magic=magic)
                self.assert_closed(channel)

    def test_a_payload_larger_than_any(self):
        for length in (wire.MAX_PAYLOAD + 1, 1 << 31, 0xFFFFFFFF):
            for channel in self.each_channel():
                channel.send(wire.MATCH, b"", payload_bytes=length)
                self.assert_closed(channel)

    def test_the_largest_payload_is_read_and_refused(self):
        for channel, kind in ((self.client(), wire.MATCH), (self.opened(0), wire.CALL)):
            reply = channel.request(kind, bytes(wire.MAX_PAYLOAD))
            self.assert_status(reply, wire.IPC_ERROR)

    def test_a_frame_without_a_header(self):
        for channel in self.each_channel():
            channel.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
            self.assert_closed(channel)

    def test_more_descriptors_than_announced_and_fewer(self):
        fds = spare_fds(8)
        for sent, said in ((0, 1), (1, 0), (1, 2), (8, 7), (0, 8), (0, 9), (8, 9), (3, 65535)):
            for channel in self.each_channel():
                channel.send(wire.ENTRY, wire.u64(1), fds[:sent], fd_count=said)
                self.assert_closed(channel)
        for fd in fds:
            os.close(fd)

    def test_more_descriptors_than_a_frame_may_have(self):
        fds = spare_fds(200)
        for channel in self.each_channel():
            channel.send(wire.ENTRY, wire.u64(1), fds, fd_count=8)
            self.assert_closed(channel)
        for channel in self.each_channel():
            data = channel.frame(wire.ENTRY, wire.u64(1), fd_count=8)
            try:
                for byte in range(16):
                    channel.send_bytes(data[byte:byte + 1], fds[:1])
                channel.send_bytes(data[16:])
            except (BrokenPipeError, ConnectionResetError):
                pass  # it had enough after nine
            self.assert_closed(channel)
        for fd in fds:
            os.close(fd)

    def test_every_prefix_of_a_frame_then_the_end(self):
        frame = wire.Channel(None).frame(wire.MATCH, wire.encode_value({"IOProviderClass": "x"}))
        for length in range(len(frame)):
            with self.host.client() as client:
                client.send_bytes(frame[:length])
        call = wire.Channel(None).frame(wire.CALL, CALLS[wire.CALL])
        for length in range(0, len(call)):
            _, connection = self.clients[0].open(self.clients[0].services()[0])
            connection.send_bytes(call[:length])
            connection.close()
            self.clients[0].connections.remove(connection)

    def test_a_header_half_closed(self):
        client = self.client()
        client.send_bytes(client.frame(wire.MATCH)[:31])
        client.sock.shutdown(socket.SHUT_WR)
        self.assert_closed(client)


class Greeting(BadTest):
    def raw(self):
        client = wire.Client(self.host.socket)
        self.clients.append(client)
        return client

    def test_a_request_before_hello(self):
        for kind in [*CONTROL, *CALLS, 0, 99, 65535]:
            client = self.raw()
            self.assert_status(client.request(kind, CONTROL.get(kind, b"")), wire.IPC_ERROR)
            self.assert_closed(client)

    def test_hello_twice(self):
        client = self.client()
        self.assert_status(client.request(wire.HELLO, wire.u32(1)), wire.IPC_ERROR)
        self.assert_closed(client)

    def test_another_version_is_told_ours(self):
        for version in (0, 2, 0xFFFFFFFF):
            client = self.raw()
            reply = client.request(wire.HELLO, wire.u32(version))
            self.assertEqual((hex(reply.status), reply.fds), (hex(wire.UNSUPPORTED), []))
            self.assertEqual(reply.payload[:4], wire.u32(1))
            self.assert_closed(client)

    def test_hello_of_a_wrong_shape(self):
        for payload in (b"", b"\1", wire.u32(1)[:3], wire.u32(1, 1), wire.u64(1, 1)):
            client = self.raw()
            self.assert_status(client.request(wire.HELLO, payload), wire.IPC_ERROR)
            self.assert_closed(client)

    def test_hello_with_descriptors(self):
        fds = spare_fds(8)
        client = self.raw()
        self.assert_status(client.request(wire.HELLO, wire.u32(1), fds), wire.IPC_ERROR)
        self.assert_closed(client)
        for fd in fds:
            os.close(fd)


class Requests(BadTest):
    """A header that is right and a content that is not: an answer, and the channel stays."""

    def refuse(self, channel, kind, payload, status=wire.IPC_ERROR, fds=()):
        with self.subTest(kind=kind, payload=payload[:64].hex(), length=len(payload)):
            self.assert_status(channel.request(kind, payload, fds), status)

    def test_unknown_types(self):
        client, connection = self.client(), self.opened(0)
        for kind in (0, 13, 15, 16, 17, 18, 19, 20, 32, 36, 48, 49, 255, 65535):
            self.refuse(client, kind, b"")
        for kind in (0, 1, 2, 3, 4, 7, 8, 11, 15, 20, 32, 33, 65535):
            self.refuse(connection, kind, CONTROL.get(kind, b""))

    def test_stray_descriptors_on_every_type(self):
        client, connection = self.client(), self.opened(0)
        fds = spare_fds(8)
        for count in (1, 8):
            for kind, payload in CONTROL.items():
                self.refuse(client, kind, payload, fds=fds[:count])
            for kind, payload in CALLS.items():
                self.refuse(connection, kind, payload, fds=fds[:count])
        self.assertEqual(connection.call(CONFIG_READ, 0, 4)[1], [0x11E81234])
        for fd in fds:
            os.close(fd)

    def test_payloads_shorter_and_longer_than_they_say(self):
        client, connection = self.client(), self.opened(0)
        for channel, requests in ((client, CONTROL), (connection, CALLS)):
            for kind, payload in requests.items():
                for length in range(len(payload)):
                    self.refuse(channel, kind, payload[:length])
                self.refuse(channel, kind, payload + b"\0")
                self.refuse(channel, kind, payload + bytes(4096))

    def test_counts_out_of_range(self):
        connection = self.opened(0)
        make = wire.Connection.call_payload
        many = [0] * 17
        for payload in (make(0, many), make(0, scalars_in=16), make(0, scalars_in=0xFFFFFFFF),
                        make(0, [0], scalars_in=0), make(0, room=17), make(0, room=0xFFFFFFFF),
                        make(0, structure=b"x", struct_in=2), make(0, struct_in=4 << 20),
                        make(0, struct_in=(4 << 20) + 1), make(0, struct_in=2 ** 64 - 1),
                        make(0, struct_in=2 ** 64 - 8), make(0, struct_out=(4 << 20) + 1),
                        make(0, struct_out=2 ** 64 - 1), make(0, flags=2),
                        make(0, flags=0xFFFFFFFE), make(0, many, scalars_in=0x20000001)):
            self.refuse(connection, wire.CALL, payload)
        full = make(0, [0] * 16, structure=bytes(4 << 20), structure_room=4 << 20)
        self.assert_status(connection.request(wire.CALL, full), wire.SUCCESS)

    def test_fewer_scalars_than_a_selector_takes(self):
        connection = self.opened(0)
        takes = {3: 2, 5: 3, 6: 1, 7: 2, 8: 2, 9: 3, 10: 1, 11: 3, 12: 4, 16: 4}
        for selector, count in takes.items():
            for fewer in range(count):
                self.assertEqual(connection.call(selector, *[0] * fewer)[0], wire.BAD_ARGUMENT)

    def test_unknown_selectors(self):
        connection = self.opened(0)
        for selector in (18, 19, 63, 96, 255, 256, 1 << 16, 1 << 31, 0xFFFFFFFF):
            self.assertEqual(connection.call(selector, *[0] * 16)[0], wire.UNSUPPORTED)

    def test_unknown_entries(self):
        client = self.client()
        for entry in (0, 1, 0x1000000FF, 2 ** 32 - 1, 2 ** 63, 2 ** 64 - 1):
            self.assertEqual(client.entry(entry)[0], wire.NOT_FOUND)
            self.assertEqual(client.open(entry)[0], wire.NO_DEVICE)
            self.refuse(client, wire.INTEREST_ADD, wire.u64(1, entry), wire.UNSUPPORTED)

    def test_entries_that_take_no_clients_and_types_there_are_not(self):
        client = self.client()
        nub = client.match({"IONameMatch": "pci1234,11e8"})[0]
        self.assertEqual(client.open(nub)[0], wire.UNSUPPORTED)
        for kind in (1, 2, 0xFFFFFFFF):
            self.assertEqual(client.open(client.services()[0], kind)[0], wire.UNSUPPORTED)

    def test_notifications_of_no_kind(self):
        client = self.client()
        for kind in (0, 3, 0xFFFFFFFF):
            self.refuse(client, wire.NOTIFY_ADD, wire.u64(1) + wire.u32(kind)
                        + wire.encode_value({}))

    def test_as_many_watches_as_one_client_may_have(self):
        """Each is kept by the host, with its dictionary."""
        client = self.client()
        watch = wire.u32(2) + wire.encode_value({"IOProviderClass": "IOUserService"})
        for token in range(1024):
            self.refuse(client, wire.NOTIFY_ADD, wire.u64(token) + watch, wire.SUCCESS)
        self.refuse(client, wire.NOTIFY_ADD, wire.u64(1024) + watch, wire.NO_RESOURCES)
        self.refuse(client, wire.NOTIFY_REMOVE, wire.u64(7), wire.SUCCESS)
        self.refuse(client, wire.NOTIFY_ADD, wire.u64(1024) + watch, wire.SUCCESS)
        self.refuse(self.client(), wire.NOTIFY_ADD, wire.u64(1) + watch, wire.SUCCESS)

    def test_a_watch_for_more_than_the_host_keeps(self):
        client = self.client()
        head = wire.u64(1) + wire.u32(2)
        for extra, status in ((0, wire.SUCCESS), (1, wire.NO_RESOURCES)):
            value = wire.encode_value({"IONameMatch": ""})
            value = wire.encode_value({"IONameMatch": "x" * (65536 - len(head + value) + extra)})
            self.refuse(client, wire.NOTIFY_ADD, head + value, status)

    def test_as_many_interests_as_one_client_may_have(self):
        client = self.client()
        edu = client.services()[0]
        for first in range(0, 65536, 512):
            client.send_bytes(b"".join(client.frame(wire.INTEREST_ADD, wire.u64(token, edu))
                                       for token in range(first, first + 512)))
            self.assertEqual({client.receive().status for _ in range(512)}, {wire.SUCCESS})
        self.refuse(client, wire.INTEREST_ADD, wire.u64(65536, edu), wire.NO_RESOURCES)
        self.refuse(client, wire.NOTIFY_REMOVE, wire.u64(7), wire.SUCCESS)
        self.refuse(client, wire.INTEREST_ADD, wire.u64(65536, edu), wire.SUCCESS)

    def test_memory_types_and_accesses_out_of_range(self):
        connection = self.opened(0)
        self.assertEqual(connection.map(0)[0], wire.NOT_READY)
        for kind in (8, 1 << 32, 2 ** 64 - 1):
            self.assertEqual(connection.map(kind)[0], wire.BAD_ARGUMENT)
        for offset, width in ((1 << 20, 4), (2 ** 64 - 1, 1), (2 ** 64 - 4, 4), (1, 4), (0, 3),
                              (0, 0), (0, 16), ((1 << 20) - 2, 4)):
            self.assertEqual(connection.access(1, offset, width)[0], wire.BAD_ARGUMENT,
                             (offset, width))
        self.refuse(connection, wire.ACCESS, wire.u64(1, 0) + wire.u32(4, 2) + wire.u64(0))


class Values(BadTest):
    """What a decoder must not swallow, through MATCH and NOTIFY_ADD."""

    def refuse(self, encoded):
        client = self.clients[0]
        for payload, kind in ((encoded, wire.MATCH),
                              (wire.u64(1) + wire.u32(1) + encoded, wire.NOTIFY_ADD)):
            self.assert_status(client.request(kind, payload), wire.IPC_ERROR)

    def nested(self, depth):
        value = []
        for _ in range(depth):
            value = [value]
        return wire.encode_value(value)

    def test_nesting(self):
        client = self.clients[0]
        self.assert_status(client.request(wire.MATCH, self.nested(8)), wire.SUCCESS)
        self.refuse(self.nested(9))
        self.refuse(self.nested(100))
        self.refuse(wire.u32(wire.ARRAY, 1) * 200000)

    def test_number_of_items(self):
        client = self.clients[0]
        fits = wire.u32(wire.ARRAY, 65536) + wire.encode_value("") * 65536
        self.assert_status(client.request(wire.MATCH, fits), wire.SUCCESS)
        self.refuse(wire.u32(wire.ARRAY, 65537) + wire.encode_value("") * 65537)
        for count in (1, 65536, 65537, 0xFFFFFFFF):
            self.refuse(wire.u32(wire.ARRAY, count))
            self.refuse(wire.u32(wire.DICTIONARY, count))

    def test_number_of_keys(self):
        client = self.clients[0]
        keys = [wire.u32(5) + b"%05d" % i + wire.encode_value("") for i in range(65536)]
        fits = wire.u32(wire.DICTIONARY, 1024) + b"".join(keys[:1024])
        self.assert_status(client.request(wire.MATCH, fits), wire.SUCCESS)
        for count in (1025, 65536):
            self.refuse(wire.u32(wire.DICTIONARY, count) + b"".join(keys[:count]))

    def test_the_most_expensive_value_holds_up_nobody(self):
        one = wire.u32(wire.DICTIONARY, 1024) + b"".join(
            wire.u32(4) + b"%04d" % i + wire.encode_value("") for i in range(1024))
        count = wire.MAX_PAYLOAD // len(one) - 1
        client = self.client()
        client.send(wire.MATCH, wire.u32(wire.ARRAY, count) + one * count)
        self.assertEqual(self.bystander.call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])
        self.assert_status(client.receive(), wire.SUCCESS)

    def test_text_and_keys(self):
        for text in (b"a\0b", b"\0", b"end\0"):
            self.refuse(wire.u32(wire.STRING, len(text)) + text)
            self.refuse(wire.u32(wire.DICTIONARY, 1, len(text)) + text + wire.encode_value(1))
        self.refuse(wire.u32(wire.DICTIONARY, 1, 256) + b"k" * 256 + wire.encode_value(1))
        for length in (1, 4, 0x7FFFFFFF, 0xFFFFFFFF):
            self.refuse(wire.u32(wire.STRING, length))
            self.refuse(wire.u32(wire.DATA, length))
            self.refuse(wire.u32(wire.DICTIONARY, 1, length))

    def test_types_and_numbers(self):
        for kind in (0, 7, 8, 255, 0xFFFFFFFF):
            self.refuse(wire.u32(kind, 0))
        for bits in (0, 1, 7, 24, 33, 128, 0xFFFFFFFF):
            self.refuse(wire.u32(wire.NUMBER, bits) + wire.u64(0))
        for truth in (2, 2 ** 64 - 1):
            self.refuse(wire.u32(wire.BOOLEAN, 0) + wire.u64(truth))
        self.refuse(wire.encode_value({}) + b"\0")
        self.refuse(b"")


class Extremes(BadTest):
    """The ends of 64 bits in every argument of every selector."""
    NUMBERS = (0, 1, 3, 4, 4095, 4096, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63,
               2 ** 64 - 4096, 2 ** 64 - 8, 2 ** 64 - 1)
    CODES = (wire.SUCCESS, wire.BAD_ARGUMENT, wire.NOT_FOUND, wire.OVERRUN, wire.VM_ERROR,
             wire.NOT_ALIGNED, wire.NO_SPACE, wire.NO_MEMORY, wire.NOT_READY, wire.STILL_OPEN,
             wire.NO_DEVICE)

    def test_each_argument_of_each_selector(self):
        connection = self.opened(1)
        takes = {3: 2, 5: 3, 6: 1, 7: 2, 8: 2, 9: 3, 10: 1, 11: 3, 12: 4, 16: 4}
        for selector, count in takes.items():
            for position in range(count):
                for number in self.NUMBERS:
                    scalars = [4] * count
                    scalars[position] = number
                    if selector == 3 and number > 65536 and position == 0:
                        continue  # a large buffer that may be had is no error; see below
                    status = connection.call(selector, *scalars)[0]
                    self.assertIn(status, self.CODES, (selector, scalars))
        self.assertEqual(connection.call(3, 2 ** 64 - 1, 0)[0], wire.BAD_ARGUMENT)

    def test_regions_that_wrap_or_are_not_there(self):
        connection = self.opened(1)
        memory = wire.Memory(16384)
        top = 2 ** 64 - 16384
        for iova, address, size, status in (
                (0, 0, 16384, wire.BAD_ARGUMENT), (0, memory.address, 0, wire.BAD_ARGUMENT),
                (top + 1, memory.address, 16384, wire.BAD_ARGUMENT),
                (0, top + 4096, 16384, wire.BAD_ARGUMENT),
                (0, 4096, 4096, wire.VM_ERROR),
                (0, memory.address, 129 * 1536 << 20, wire.NO_SPACE)):
            self.assertEqual(hex(connection.call(REGISTER, iova, address, size)[0]), hex(status),
                             (iova, address, size))
        memory.close()

    def test_an_unclaimed_client_gets_nothing_by_any_number(self):
        connection = self.opened(1, claim=False)
        for selector in (3, 5, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 2, 4):
            for number in (0, 4, 2 ** 64 - 1):
                self.assertEqual(connection.call(selector, *[number] * 4)[0], wire.NOT_OPEN)
        for kind in range(1, 7):
            self.assertEqual(connection.map(kind)[0], wire.NOT_OPEN)
            self.assertEqual(connection.access(kind, 0, 4)[0], wire.NOT_OPEN)
        self.assertEqual(connection.call(CLAIM)[0], wire.SUCCESS)


if __name__ == "__main__":
    wiretest.main()

#!/usr/bin/env python3
"""Memory that a client answers for: what may be served, and clients that answer badly or never.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import select
import signal
import threading
import time

import wire
import wiretest
from wiretest import MMIO_READ, MMIO_WRITE, REGISTER, UNREGISTER

TESTDEV = 1
BASE, SIZE = 0x6000_0000_0000, 1 << 20  # nobody has anything there
ACCESS_ADDRESS, ACCESS_DATA, ACCESS_COMMAND, ACCESS_STATUS = 0x280, 0x288, 0x290, 0x294
IS_WRITE = 0x100
NO_ERROR, READ_ERROR, WRITE_ERROR = 0, 1, 2
ONES = 2 ** 64 - 1
DEADLINE = 3  # seconds for one access, without DEXTLINK_PATIENCE


class Server(threading.Thread):
    """Answers on a memory channel until it ends; answer(self, request) replaces the plain one."""

    def __init__(self, channel, answer=None):
        super().__init__()
        self.channel = channel
        self.bytes = bytearray(i * 7 & 0xFF for i in range(SIZE))
        self.requests = []
        self.how = answer or Server.plain
        self.start()

    def plain(self, request):
        reader = wire.Reader(request.payload)
        at, length = reader.u64() - BASE, reader.u64()
        if request.type == wire.MEMORY_READ:
            reader.end()
            self.channel.answer(request, bytes(self.bytes[at:at + length]))
        else:
            self.bytes[at:at + length] = reader.bytes(length)
            reader.end()
            self.channel.answer(request)

    def run(self):
        try:
            while True:
                request = self.channel.receive()
                self.requests.append((request.type, *wire.Reader(request.payload).u64s(2)))
                self.how(self, request)
        except (wire.Closed, OSError):
            pass


class Memory(wiretest.WireTest):
    def setUp(self):
        super().setUp()
        self.servers = []
        self.bystander = self.opened(0)

    def tearDown(self):
        self.assertEqual(self.bystander.call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])
        super().tearDown()
        for server in self.servers:
            server.join(wiretest.SECONDS)
            self.assertFalse(server.is_alive())

    def served(self, answer=None, size=SIZE):
        """A claimed testdev with a served region; connection, its bus address, server."""
        client = self.client()
        status, channel_id, channel = client.memory_open()
        self.assertEqual(status, wire.SUCCESS)
        self.assertEqual(client.memory_serve(channel_id, BASE, size), wire.SUCCESS)
        self.servers.append(Server(channel, answer))
        connection = self.opened(TESTDEV, client=client)
        status, scalars, _ = connection.call(REGISTER, 0x100000, BASE, size)
        self.assertEqual(status, wire.SUCCESS)
        return connection, scalars[1], self.servers[-1]

    def reg(self, connection, offset, width, value=None):
        if value is None:
            status, scalars, _ = connection.call(MMIO_READ, 0, offset, width)
            self.assertEqual(status, wire.SUCCESS)
            return scalars[0]
        self.assertEqual(connection.call(MMIO_WRITE, 0, offset, width, value)[0], wire.SUCCESS)
        return value

    def access(self, connection, bus, width=8, value=None):
        """One access of the device: its status and, for a read, what it had."""
        self.reg(connection, ACCESS_ADDRESS, 8, bus)
        if value is not None:
            self.reg(connection, ACCESS_DATA, 8, value)
        self.reg(connection, ACCESS_COMMAND, 4, width | (IS_WRITE if value is not None else 0))
        return self.reg(connection, ACCESS_STATUS, 4), self.reg(connection, ACCESS_DATA, 8)


class Serving(Memory):
    def test_reads_and_writes_are_requests(self):
        connection, bus, server = self.served()
        self.assertEqual(self.access(connection, bus + 5),
                         (NO_ERROR, int.from_bytes(server.bytes[5:13], "little")))
        self.assertEqual(self.access(connection, bus + SIZE - 2, 2, 0xBEEF)[0], NO_ERROR)
        self.assertEqual(server.bytes[-2:], b"\xef\xbe")
        self.assertEqual(server.requests, [(wire.MEMORY_READ, BASE + 5, 8),
                                           (wire.MEMORY_WRITE, BASE + SIZE - 2, 2)])

    def test_a_status_is_a_fault_and_nothing_more(self):
        for status in (wire.NO_DEVICE, wire.VM_ERROR, 1):
            def refuse(server, request, status=status):
                signed = status - (1 << 32) if status >> 31 else status
                server.channel.answer(request, status=signed)
            connection, bus, server = self.served(refuse)
            self.assertEqual(self.access(connection, bus), (READ_ERROR, ONES))
            self.assertEqual(self.access(connection, bus, 4, 1)[0], WRITE_ERROR)
            server.how = Server.plain
            self.assertEqual(self.access(connection, bus, 4, 1)[0], NO_ERROR)
            self.clients.pop().close()

    def test_what_may_be_served(self):
        client = self.client()
        _, one, _ = client.memory_open()
        _, two, _ = client.memory_open()
        for channel, address, size, status in (
                (one, BASE, 4096, wire.SUCCESS), (two, BASE + 4096, 4096, wire.SUCCESS),
                (one, BASE, 4096, wire.STILL_OPEN), (two, BASE, 1, wire.STILL_OPEN),
                (one, BASE - 1, 2, wire.STILL_OPEN), (one, BASE + 8191, 1, wire.STILL_OPEN),
                (one, 1, ONES, wire.STILL_OPEN), (one, 0, 4096, wire.BAD_ARGUMENT),
                (one, BASE, 0, wire.BAD_ARGUMENT), (one, ONES, 2, wire.BAD_ARGUMENT),
                (one, 2, ONES, wire.BAD_ARGUMENT), (one, ONES, 1, wire.SUCCESS),
                (0, 4096, 4096, wire.NOT_FOUND), (99, 4096, 4096, wire.NOT_FOUND)):
            self.assertEqual(hex(client.memory_serve(channel, address, size)), hex(status),
                             (channel, address, size))
        self.assertEqual(client.memory_withdraw(BASE + 1), wire.NOT_FOUND)
        self.assertEqual(client.memory_withdraw(BASE), wire.SUCCESS)
        self.assertEqual(client.memory_withdraw(BASE), wire.NOT_FOUND)
        self.assertEqual(client.memory_close(two), wire.SUCCESS)
        self.assertEqual(client.memory_close(two), wire.NOT_FOUND)
        self.assertEqual(client.memory_serve(one, BASE, 8192), wire.SUCCESS)

    def test_one_clients_ranges_are_not_anothers(self):
        self.served()
        stranger = self.opened(TESTDEV)
        self.assertEqual(stranger.call(REGISTER, 0x100000, BASE, 4096)[0], wire.VM_ERROR)

    def test_sixteen_channels_each_with_one_descriptor(self):
        client = self.client()
        held = self.host.resting[0] + 4 + 1 + 4  # the bystander, its connection, and this one
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == held))
        ids = []
        for _ in range(16):
            status, channel_id, _ = client.memory_open()
            self.assertEqual(status, wire.SUCCESS)
            ids.append(channel_id)
        self.assertEqual(len(set(ids)), 16)
        self.assertEqual(client.memory_open()[0], wire.NO_SPACE)
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == held + 16))
        for channel_id in ids:
            self.assertEqual(client.memory_close(channel_id), wire.SUCCESS)
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == held))

    def test_a_region_outlives_its_range_and_faults(self):
        connection, bus, server = self.served()
        client = self.clients[-1]
        self.assertEqual(client.memory_withdraw(BASE), wire.SUCCESS)
        self.assertEqual(self.access(connection, bus), (READ_ERROR, ONES))
        self.assertEqual(server.requests, [])
        self.assertEqual(connection.call(UNREGISTER, 0x100000)[0], wire.SUCCESS)
        self.assertEqual(connection.call(REGISTER, 0x100000, BASE, 4096)[0], wire.VM_ERROR)


class Ending(Memory):
    """What ends a channel."""

    def check_end(self, answer, at_least=0.0):
        """Such an answer is a fault of the device, and so is every access from then on, without another
        request."""
        connection, bus, server = self.served(answer)
        begin = time.monotonic()
        self.assertEqual(self.access(connection, bus), (READ_ERROR, ONES))
        self.assertGreaterEqual(time.monotonic() - begin, at_least)
        server.how = Server.plain
        self.assertEqual(self.access(connection, bus), (READ_ERROR, ONES))
        self.assertEqual(self.access(connection, bus, 4, 1)[0], WRITE_ERROR)
        server.join(wiretest.SECONDS)  # whatever was sent to it has come
        self.assertFalse(server.is_alive())
        self.assertEqual(len(server.requests), 1)
        client = self.clients.pop()
        self.assertEqual(client.memory_serve(1, 4096, 4096), wire.NOT_OPEN)
        client.close()


class Silence(Ending):
    """The device waits for its time, once."""
    patience = None

    def test_no_answer(self):
        self.check_end(lambda s, r: None, at_least=DEADLINE - 0.1)

    def test_half_an_answer(self):
        self.check_end(lambda s, r: s.channel.answer(r, bytes(4), length=8),
                       at_least=DEADLINE - 0.1)


class BadServers(Ending):
    """Whatever comes back, the device faults at once: the host would wait longer than the test."""

    def test_answers_of_a_wrong_shape(self):
        fds = [os.open("/dev/null", os.O_RDONLY)]
        for answer in (
                lambda s, r: s.channel.answer(r, bytes(7)),
                lambda s, r: s.channel.answer(r, bytes(9)),
                lambda s, r: s.channel.answer(r),
                lambda s, r: s.channel.answer(r, bytes(1 << 20)),
                lambda s, r: s.channel.answer(r, bytes(8), sequence=r.sequence + 1),
                lambda s, r: s.channel.answer(r, bytes(8), sequence=r.sequence - 1),
                lambda s, r: s.channel.answer(r, bytes(8), type=wire.MEMORY_WRITE),
                lambda s, r: s.channel.answer(r, bytes(8), fds=fds),
                lambda s, r: s.channel.answer(r, bytes(8), length=1 << 31),
                lambda s, r: s.channel.send_bytes(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n" + bytes(99)),
                lambda s, r: s.channel.close()):
            self.check_end(answer)
        os.close(fds[0])

    def test_an_answer_before_the_request(self):
        """It is taken for that of the request that comes, and does not fit."""
        connection, bus, server = self.served(lambda s, r: None)
        server.channel.send_bytes(wire.HEADER.pack(wire.MAGIC, wire.MEMORY_READ, 0, 8, 0, 0, 2)
                                  + bytes(8))
        self.assertEqual(self.access(connection, bus), (READ_ERROR, ONES))

    def test_half_an_answer_while_others_do_not_wait(self):
        connection, bus, server = self.served(
            lambda s, r: s.channel.answer(r, bytes(4), length=8))
        self.reg(connection, ACCESS_ADDRESS, 8, bus)
        connection.send(wire.CALL, wire.Connection.call_payload(MMIO_WRITE,
                                                                (0, ACCESS_COMMAND, 4, 8)))
        self.assertTrue(wiretest.wait_until(lambda: server.requests))
        self.assertEqual(self.bystander.call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])
        self.assertEqual(select.select([connection.sock], [], [], 0)[0], [], "it did not wait")
        server.channel.send_bytes(bytes(4))  # the other half
        self.assert_status(connection.receive(), wire.SUCCESS)
        self.assertEqual(self.reg(connection, ACCESS_STATUS, 4), NO_ERROR)


class Deaths(Memory):
    """A client that goes while its device waits for it takes nothing with it, and at once: the host
    would wait for it longer than the test for the host."""

    def begin(self, client, pipe=None):
        """Start an access that nobody answers; the channel that has its request."""
        status, channel_id, channel = client.memory_open()
        assert status == wire.SUCCESS
        assert client.memory_serve(channel_id, BASE, SIZE) == wire.SUCCESS
        connection = self.opened(TESTDEV, client=client)
        _, scalars, _ = connection.call(REGISTER, 0x100000, BASE, SIZE)
        self.reg(connection, ACCESS_ADDRESS, 8, scalars[1])
        connection.send(wire.CALL, wire.Connection.call_payload(MMIO_WRITE,
                                                                (0, ACCESS_COMMAND, 4, 8)))
        assert channel.receive().type == wire.MEMORY_READ
        if pipe:
            os.write(pipe, b"x")

    def assert_gone_soon(self):
        for client in self.clients:
            client.close()
        self.clients.clear()
        self.assertTrue(self.host.rests())
        self.bystander = self.opened(0)

    def test_the_sockets_are_closed(self):
        self.begin(self.client())
        self.assert_gone_soon()

    def test_the_process_is_killed(self):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                self.begin(self.host.client(), writer)
                signal.pause()
            finally:
                os._exit(1)
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"x")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        self.assert_gone_soon()

    def test_the_host_ends_in_good_order(self):
        host = wiretest.Host().start()
        try:
            client = host.client()
            self.clients.append(client)
            self.begin(client)
            self.assertEqual(host.stop(), 0)
            self.clients.remove(client)
            client.close()
        finally:
            host.stop(signal.SIGKILL)
            host.folder.cleanup()


if __name__ == "__main__":
    wiretest.main()

#!/usr/bin/env python3
"""Clients that are many, slow, silent, strangers or at random: the others never notice.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import random
import signal
import socket
import threading
import time
import unittest

import wire
import wiretest
from wiretest import (CLAIM, MMIO_READ, MMIO_WRITE, REGISTER, SETUP_INTERRUPTS, STATISTICS,
                      TERMINATE, WAIT_INTERRUPT)

SEED = 20240229
FUZZ_FRAMES = 3000
FUZZ_SECONDS = 8
FUZZ_LEAST = 200  # frames, however long they take


class Crowd(wiretest.WireTest):
    def test_200_connections_at_once(self):
        client = self.client()
        connections = [self.opened(1, client=client) for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.send(wire.CALL, connection.call_payload(MMIO_WRITE, [0, 0x44, 4, number]))
            connection.send(wire.CALL, connection.call_payload(STATISTICS))
        for connection in connections:
            self.assert_status(connection.receive(), wire.SUCCESS)
            reader = wire.Reader(connection.receive().payload)
            counts = reader.bytes(16) and reader.u64s(10)
            self.assertEqual(counts[wiretest.STAT_CLAIMS], 200)
        self.assertEqual(connections[0].call(MMIO_READ, 0, 0x44, 4)[0], wire.SUCCESS)

    def test_100_processes_worth_of_clients_at_once(self):
        for _ in range(100):
            self.assertEqual(self.opened(0).call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])

    def test_connections_opened_and_closed_leave_nothing(self):
        client = self.client()
        service = client.services()[1]
        for _ in range(20):
            self.assertEqual(self.held(client, service), [0, 0, 0])
        before = self.host.memory_bytes()
        for _ in range(200):
            self.assertEqual(self.held(client, service), [0, 0, 0])
        self.assertLess(self.host.memory_bytes() - before, 32 << 20)

    def test_peers_that_say_nothing(self):
        silent = [wire.Client(self.host.socket) for _ in range(50)]
        self.clients += silent
        self.assertEqual(self.opened(0).call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])

    def test_a_peer_that_stops_in_the_middle_of_a_frame(self):
        slow, connection = self.client(), self.opened(0)
        frame = slow.frame(wire.MATCH, wire.encode_value({}))
        call = connection.frame(wire.CALL, connection.call_payload(MMIO_READ, [0, 0, 4]))
        slow.send_bytes(frame[:20])
        connection.send_bytes(call[:50])
        other = self.opened(0)
        for _ in range(100):
            self.assertEqual(other.call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])
        slow.send_bytes(frame[20:])
        connection.send_bytes(call[50:])
        self.assert_status(slow.receive(), wire.SUCCESS)
        self.assert_status(connection.receive(), wire.SUCCESS)

    def test_a_peer_that_never_reads_its_replies(self):
        deaf = self.opened(0)
        deaf.sock.settimeout(0.2)
        frame = deaf.frame(wire.CALL, deaf.call_payload(STATISTICS))
        with self.assertRaises(TimeoutError):
            while True:
                deaf.sock.sendall(frame)
        other = self.opened(0)
        for _ in range(100):
            self.assertEqual(other.call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])

    def test_a_peer_that_never_takes_its_events(self):
        testdev = self.opened(1)
        other = self.opened(1)
        testdev.call(SETUP_INTERRUPTS)
        testdev.call(MMIO_WRITE, 0, 0x100, 4, 0)  # pending: every wait completes at once
        frame = testdev.frame(wire.CALL, testdev.call_payload(WAIT_INTERRUPT, wake=(1, [0] * 8)))
        for _ in range(50):
            for _ in range(40):
                testdev.sock.sendall(frame)
            for _ in range(40):
                self.assert_status(testdev.receive(), wire.SUCCESS)
            self.assertEqual(other.call(MMIO_READ, 0, 0, 4)[1], [0x54534554])
        events = self.clients[0].events
        for _ in range(2000):
            self.assertEqual(events.receive().type, wire.EVENT_COMPLETION)

    def test_calls_of_many_threads_at_once(self):
        wrong = []

        def work(number):
            with self.host.client() as client:
                connection = self.opened(1, client=client)
                for count in range(100):
                    memory = number << 20 | count << 14
                    status = connection.call(REGISTER, memory, view.address, 16384)[0]
                    if status or connection.call(6, memory)[0]:
                        wrong.append((number, count, status))

        view = wire.Memory(16384)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        view.close()
        self.assertEqual(wrong, [])

    @unittest.skipIf(os.geteuid() != 0, "only root can become another user")
    def test_another_user_is_refused(self):
        os.chmod(self.host.folder.name, 0o755)
        os.chmod(self.host.socket, 0o777)  # past the file's mode, to the credentials
        child = os.fork()
        if child == 0:
            result = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                peer = socket.socket(socket.AF_UNIX)
                peer.settimeout(wiretest.SECONDS)
                peer.connect(str(self.host.socket))
                stranger = wire.Channel(peer)
                try:
                    stranger.request(wire.HELLO, wire.u32(1))
                except (wire.Closed, ConnectionResetError, BrokenPipeError):
                    result = 0
            finally:
                os._exit(result)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(self.opened(0).call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])


class Descriptors(unittest.TestCase):
    """A host that has no descriptor left says so, goes on, and serves again when it has."""

    def setUp(self):
        self.host = wiretest.Host(descriptors=40).start()
        self.addCleanup(self.host.folder.cleanup)
        self.addCleanup(self.host.stop)
        self.clients = []
        self.addCleanup(lambda: [client.close() for client in self.clients])

    def test_opening_when_there_is_none(self):
        client = self.host.client()
        self.clients.append(client)
        service = client.services()[1]
        first = client.open(service)[1]
        self.assertEqual(first.call(CLAIM)[0], wire.SUCCESS)
        self.assertEqual(first.call(SETUP_INTERRUPTS)[0], wire.SUCCESS)
        status = wire.SUCCESS
        while status == wire.SUCCESS:
            status, last = client.open(service)
        self.assertEqual(hex(status), hex(wire.NO_RESOURCES))
        self.assertGreater(len(client.connections), 10)
        self.assertEqual(first.call(MMIO_READ, 0, 0, 4)[1], [0x54534554])
        last = client.connections.pop()
        last.request(wire.CLOSE)
        last.close()
        self.assertTrue(wiretest.wait_until(lambda: client.open(service)[0] == wire.SUCCESS))
        self.assertEqual(client.entry(service)[0], wire.SUCCESS)

    def test_connecting_when_there_is_none(self):
        working = self.host.client()
        self.clients.append(working)
        connection = working.open(working.services()[1])[1]
        self.assertEqual(connection.call(CLAIM)[0], wire.SUCCESS)
        try:
            while len(self.clients) < 40:
                self.clients.append(wire.Client(self.host.socket, timeout=1))
                self.clients[-1].hello()
        except (TimeoutError, wire.Closed, ConnectionResetError, BrokenPipeError):
            pass  # waits in the queue, or was sent away
        except wire.Refused as refusal:
            self.assertEqual(hex(refusal.status), hex(wire.NO_RESOURCES))
        self.assertLess(len(self.clients), 12)
        self.assertEqual(connection.call(MMIO_READ, 0, 0, 4)[1], [0x54534554])
        while len(self.clients) > 1:
            self.clients.pop().close()
        self.assertTrue(wiretest.wait_until(self.serves_again))

    def serves_again(self):
        """Whether it has given back what those who went had."""
        try:
            with self.host.client() as client:
                return len(client.services()) == 2
        except (wire.Refused, wire.Closed, ConnectionResetError, BrokenPipeError):
            return False
        self.assertEqual(self.host.stop(), 0, self.host.said())


class Fuzz(wiretest.WireTest):
    """Valid shapes, random contents; the same frames each run."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.memory = wire.Memory(65536)
        self.addCleanup(self.memory.close)

    def number(self):
        pick = self.random
        return pick.choice((pick.randrange(8), pick.randrange(4096), 1 << pick.randrange(64),
                            (1 << 64) - 1 - pick.randrange(4096), pick.randrange(1 << 64),
                            self.memory.address + pick.randrange(65536)))

    def value(self, depth=0):
        pick = self.random
        kind = pick.randrange(6 if depth < 4 else 4)
        if kind == 0:
            return pick.choice(("", "IOUserService", "VFIOUserPCIDriver", "x" * 300))
        if kind == 1:
            return wire.Number(self.number() - (1 << 63), pick.choice((8, 16, 32, 64)))
        if kind == 2:
            return pick.randbytes(pick.randrange(64))
        if kind == 3:
            return pick.random() < 0.5
        if kind == 4:
            return [self.value(depth + 1) for _ in range(pick.randrange(4))]
        keys = ("IOProviderClass", "IONameMatch", "IOPropertyMatch", "IOPropertyExistsMatch",
                "IOLocationMatch", "IORegistryEntryID", "k")
        return {key: self.value(depth + 1) for key in pick.sample(keys, pick.randrange(4))}

    def control_frame(self, services):
        pick = self.random
        entry = pick.choice([*services, services[0] - 1, self.number()])
        return pick.choice((
            lambda: (wire.MATCH, wire.encode_value(self.value())),
            lambda: (wire.ENTRY, wire.u64(entry)),
            lambda: (wire.NOTIFY_ADD, wire.u64(self.number())
                     + wire.u32(pick.randrange(4)) + wire.encode_value(self.value())),
            lambda: (wire.NOTIFY_REMOVE, wire.u64(self.number())),
            lambda: (wire.INTEREST_ADD, wire.u64(self.number(), entry)),
            lambda: (pick.randrange(2, 70000) & 0xFFFF or 2, pick.randbytes(pick.randrange(64))),
        ))()

    def call_frame(self):
        pick = self.random
        selector = pick.choice((*range(18), 64, 67, 68, pick.randrange(1 << 32)))
        scalars = [self.number() for _ in range(pick.randrange(17))]
        if selector == TERMINATE or (selector == 3 and scalars and 65536 < scalars[0] < 1 << 31):
            selector = 0  # ends the service, or takes more memory than a test should
        wake = (self.number(), [self.number() for _ in range(8)]) if pick.random() < 0.2 else None
        shape = pick.randrange(10)
        if shape == 0:
            return wire.MAP, wire.u64(self.number())
        if shape == 1:
            return wire.ACCESS, (wire.u64(pick.randrange(9), self.number())
                                 + wire.u32(pick.choice((1, 2, 4, 8, 3)), pick.randrange(2))
                                 + wire.u64(self.number()))
        return wire.CALL, wire.Connection.call_payload(
            selector, scalars, pick.randrange(17), wake=wake,
            structure=pick.randbytes(pick.choice((0, 0, 0, 5000))),
            structure_room=pick.choice((0, 0, 4096, 100000)))

    def test_random_frames(self):
        client = self.client()
        services = client.services()
        connections = [self.opened(i, client=client) for i in (0, 1)]
        end = time.monotonic() + FUZZ_SECONDS
        for count in range(FUZZ_FRAMES):
            if count > FUZZ_LEAST and time.monotonic() > end:
                break
            if count % 4 == 0:
                channel, (kind, payload) = client, self.control_frame(services)
                if kind in (wire.HELLO, wire.OPEN):
                    continue
            else:
                channel, (kind, payload) = self.random.choice(connections), self.call_frame()
            if channel is not client and kind == wire.CLOSE:
                continue
            reply = channel.request(kind, payload, call_id=count)
            reply.close_fds()
            self.assertLessEqual(len(reply.payload), wire.MAX_PAYLOAD)
        self.assertEqual(self.opened(0).call(CLAIM)[0], wire.SUCCESS)

    def test_random_damage_to_frames(self):
        end = time.monotonic() + FUZZ_SECONDS
        for count in range(FUZZ_FRAMES // 10):
            if count > FUZZ_LEAST // 10 and time.monotonic() > end:
                break
            with self.host.client() as client:
                connection = self.opened(self.random.randrange(2), client=client)
                channel = self.random.choice((client, connection))
                if channel is client:
                    frame = bytearray(client.frame(*self.control_frame([1 << 32])))
                else:
                    frame = bytearray(connection.frame(*self.call_frame()))
                for _ in range(self.random.randrange(1, 4)):
                    frame[self.random.randrange(len(frame))] = self.random.randrange(256)
                try:
                    channel.send_bytes(bytes(frame[:self.random.randrange(1, len(frame) + 1)]))
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.assertEqual(self.opened(0).call(CLAIM)[0], wire.SUCCESS)


class Ending(unittest.TestCase):
    """A host that is told to end does so, whatever its clients are up to."""

    def setUp(self):
        self.host = wiretest.Host().start()
        self.addCleanup(self.host.folder.cleanup)
        self.addCleanup(self.host.stop)

    def opened(self, client):
        return client.open(client.services()[0])[1]

    def calls(self, connection):
        return connection.call(STATISTICS)[1][wiretest.STAT_CALLS]

    def fill(self, channel, frame):
        """Send until nothing goes any more: nobody reads the replies."""
        channel.sock.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            while True:
                channel.sock.sendall(frame)

    def test_with_clients_in_every_state(self):
        silent = wire.Client(self.host.socket)
        halfway = self.host.client()
        halfway.send_bytes(halfway.frame(wire.MATCH)[:9])
        owner = self.host.client()
        deaf, stopped = self.opened(owner), self.opened(owner)
        stopped.send_bytes(stopped.frame(wire.CALL, bytes(100))[:40])
        self.fill(deaf, deaf.frame(wire.CALL, deaf.call_payload(STATISTICS)))
        self.assertEqual(self.host.stop(), 0, self.host.said())
        for client in (silent, halfway, owner):
            client.close()

    def test_with_a_client_that_closed_without_room_for_the_answer(self):
        with self.host.client() as client, self.host.client() as other:
            watch = self.opened(other)
            deaf = self.opened(client)
            frame = deaf.frame(wire.CALL, deaf.call_payload(STATISTICS))
            before = self.calls(watch)
            self.fill(deaf, frame)
            fitting = self.calls(watch) - before - 2  # the last answer waits for room
            deaf = self.opened(client)
            for _ in range(fitting):
                deaf.sock.sendall(frame)
            deaf.send(wire.CLOSE)
            time.sleep(0.3)
            self.assertEqual(self.host.stop(), 0, self.host.said())

    def stop_in_a_frame(self, channel):
        channel.send_bytes(channel.frame(wire.MATCH, bytes(100))[:40])

    def stop_reading(self, channel):
        self.fill(channel, channel.frame(wire.ENTRY, wire.u64(1)))

    def die_with_child(self, service, what, on_control):
        """A process that claims, does what it is told and waits for its end; its id and that of
        its child, which has all its sockets too and does nothing."""
        reader, writer = os.pipe()
        parent = os.fork()
        if parent == 0:
            client = self.host.client()
            connection = client.open(service)[1]
            connection.call(CLAIM)
            what(client if on_control else connection)
            child = os.fork()
            if child:
                os.write(writer, str(child).encode())
            signal.alarm(10 * wiretest.SECONDS)
            signal.pause()
            os._exit(0)
        os.close(writer)
        child = int(os.read(reader, 20))
        os.close(reader)
        return parent, child

    def test_clients_that_died_while_a_child_keeps_their_sockets(self):
        """What is awaited from them will never come, and the streams will not end either."""
        with self.host.client() as watcher:
            service = watcher.services()[0]
            watch = self.opened(watcher)

            def claims():
                return watch.call(STATISTICS)[1][wiretest.STAT_CLAIMS]

            for what in (self.stop_in_a_frame, self.stop_reading):
                for on_control in (True, False):
                    parent, child = self.die_with_child(service, what, on_control)
                    self.assertEqual(claims(), 1)
                    os.kill(parent, signal.SIGKILL)
                    os.waitpid(parent, 0)
                    is_free = wiretest.wait_until(lambda: claims() == 0)
                    os.kill(child, signal.SIGKILL)
                    self.assertTrue(is_free, (what, on_control))


if __name__ == "__main__":
    wiretest.main()

#!/usr/bin/env python3
"""Clients that go at any point, wait, never read, or are not let in: the next one attaches.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import errno
import os
import resource
import signal
import socket
import struct
import threading
import time
import unittest
from pathlib import Path

import devices
import rules
import vfiouser as vu
import vfiousertest
from devices import Config, Testdev
from vfiouser import message

RAM = 0x80000000
GROWTH = 16 << 20


def conversation(fd, event):
    """What a VMM says from its start to its end: (bytes, descriptors)."""
    yield message(vu.VERSION, vu.version_payload()), []
    for i in range(3):
        yield message(vu.DMA_MAP, vu.dma_map_payload(RAM + (i << 20), 1 << 20)), [fd]
    yield message(vu.GET_INFO, vu.info_payload()), []
    for index in range(9):
        yield message(vu.GET_REGION_INFO, vu.region_info_payload(index)), []
        yield message(vu.GET_REGION_INFO, vu.region_info_payload(index, argsz=80)), []
    yield message(vu.GET_IRQ_INFO, vu.info_payload(vu.MSIX)), []
    yield message(vu.REGION_READ, vu.access_payload(vu.CONFIG, 0, 4096)), []
    yield message(vu.DEVICE_RESET), []
    yield message(vu.REGION_WRITE, vu.access_payload(vu.CONFIG, 4, 2, b"\6\0")), []
    yield message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x24, 0, 1)), []
    yield message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x24, 0, 2)), [event, event]
    for offset, value in ((Testdev.SOURCE, RAM), (Testdev.DESTINATION, RAM + (1 << 20)),
                          (Testdev.LENGTH, 1 << 20)):
        yield message(vu.REGION_WRITE, vu.access_payload(vu.BAR0, offset, 8,
                                                         struct.pack("<Q", value))), []
    yield message(vu.REGION_WRITE, vu.access_payload(
        vu.BAR0, Testdev.COPY_COMMAND, 4, struct.pack("<I", 0x101)), kind=vu.NO_REPLY), []
    yield message(vu.REGION_READ, vu.access_payload(vu.BAR0, Testdev.COPY_STATUS, 4)), []
    yield message(vu.DMA_UNMAP, vu.dma_unmap_payload(RAM, 1 << 20)), []
    yield message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x21, 0, 0)), []


class Hangup(vfiousertest.DextTest, rules.Device):
    """Whatever a client leaves behind is gone when the next one comes."""

    def assert_fresh(self):
        """The next client finds the device as after power-on."""
        with self.server.attach() as client:
            self.assertEqual(Config(client).get(devices.COMMAND, 2) & 7, 0)
            self.assert_errno(client.errno(vu.DMA_UNMAP, vu.dma_unmap_payload(RAM, 1 << 20)),
                              errno.ENOENT)
            Config(client).enable()
            self.assertEqual(Testdev(client).read(Testdev.SCRATCH[4]), 0)
            self.assertEqual(Testdev(client).read(Testdev.COPY_STATUS), 0)

    def test_after_every_message(self):
        memory, event = self.memory(4 << 20), self.eventfds(1)
        said = list(conversation(memory.fd, event.fds[0]))
        for last in range(len(said) + 1):
            with self.server.connect() as client:
                for data, fds in said[:last]:
                    client.send_bytes(data, fds)
        self.assert_fresh()

    def test_after_every_reply(self):
        memory, event = self.memory(4 << 20), self.eventfds(1)
        said = list(conversation(memory.fd, event.fds[0]))
        for last in range(0, len(said) + 1, 3):
            with self.server.connect() as client:
                for data, fds in said[:last]:
                    client.send_bytes(data, fds)
                    if not vu.HEADER.unpack(data[:16])[3] & vu.NO_REPLY:
                        client.receive().close_fds()
            self.assert_fresh()

    def test_inside_messages(self):
        memory = self.memory(4 << 20)
        start = message(vu.VERSION, vu.version_payload())
        for cut in (*range(1, 22), 100, len(start) - 1):
            with self.server.connect() as client:
                client.send_bytes(start[:cut])
        data = message(vu.DMA_MAP, vu.dma_map_payload(RAM, 1 << 20))
        for cut in (1, 15, 16, 17, len(data) - 1):
            with self.server.attach() as client:
                client.send_bytes(data[:cut], [memory.fd])
        data = message(vu.REGION_WRITE, vu.access_payload(vu.BAR2, 0, 1 << 20, bytes(1 << 20)))
        with self.server.attach() as client:
            client.send_bytes(data[:70000])
        self.assert_fresh()

    def test_half_closed(self):
        client = self.attach()
        client.send(vu.GET_INFO, vu.info_payload())
        client.sock.shutdown(socket.SHUT_WR)
        try:
            self.assertEqual(client.receive().error, 0)
            client.receive()
            self.fail("it goes on")
        except vu.Closed:
            pass
        self.assert_fresh()

    def test_with_the_device_at_work(self):
        for _ in range(3):
            with self.server.attach() as client:
                memory, events = self.memory(4 << 20), self.eventfds(32)
                Config(client).enable()
                device = Testdev(client)
                client.dma_map(RAM, memory.size, memory.fd)
                for first in range(0, 32, 8):
                    client.set_irqs(vu.MSIX, 0x24, first, 8, fds=events.fds[first:first + 8])
                device.write(Testdev.SCRATCH[4], 99)
                device.write(Testdev.TIMER_SPAN, 32)
                device.write(Testdev.TIMER_PERIOD, 10000, 8)
                device.write(Testdev.TIMER_CONTROL, 3)
                device.write(Testdev.REQUEST, 64)
                device.start_copy(RAM, RAM + (2 << 20), 2 << 20)
            self.assert_fresh()
            # Neither memory nor eventfds are touched any more.
            memory.map[:] = bytes(memory.size)
            for event in range(32):
                events.taken(event)
            time.sleep(0.02)
            self.assertEqual(memory.map[2 << 20:(2 << 20) + 65536], bytes(65536))
            self.assertEqual([events.taken(event) for event in range(32)], [0] * 32)

    def test_a_process_that_is_killed(self):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                client = self.server.attach()
                Config(client).enable()
                with vu.GuestMemory(1 << 20) as memory:
                    client.dma_map(RAM, memory.size, memory.fd)
                    os.write(writer, b"!")
                    while True:
                        Testdev(client).write(Testdev.SCRATCH[4], 1, posted=True)
            finally:
                os._exit(1)
        self.assertEqual(os.read(reader, 1), b"!")
        os.close(reader)
        os.close(writer)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.assert_fresh()

    def test_one_that_never_reads_its_replies(self):
        with self.server.attach() as deaf:
            deaf.sock.settimeout(0.3)
            data = message(vu.REGION_READ, vu.access_payload(vu.BAR2, 0, 65536))
            try:
                while True:
                    deaf.send_bytes(data)
            except TimeoutError:
                pass
        self.assert_fresh()

    def test_many_one_after_the_other(self):
        memory, event = self.memory(4 << 20), self.eventfds(1)

        def visit():
            with self.server.attach() as client:
                client.dma_map(RAM, 1 << 20, memory.fd)
                client.set_irqs(vu.MSIX, 0x24, 0, 1, fds=event.fds)
                info = client.region_info(vu.BAR2)
                for fd in info.fds:
                    os.close(fd)

        for _ in range(10):
            visit()
        before = self.server.memory_bytes()
        for _ in range(50):
            visit()
        self.assertLess(self.server.memory_bytes() - before, GROWTH)


def set_blocking_and_full(fd):
    """So that the next write of an interrupt to it waits for somebody who reads."""
    try:
        while True:
            os.write(fd, struct.pack("Q", 0xFFFFFFFFFFFFFFFE))
    except BlockingIOError:
        os.set_blocking(fd, True)


class Notices(vfiousertest.DextTest, rules.Device):
    """Descriptors for interrupts that begin to block when they have been handed over: the mode is
    the open file's, and so the client's to change at any moment. What waits there is let go when
    the client leaves."""

    def descriptors(self):
        """One of each kind: an eventfd (where there are any) or pipe, a pipe, a socket."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        for fd in (reader, writer):
            self.closing.callback(os.close, fd)
        for end in (ours, theirs):
            self.closing.callback(end.close)
        return self.eventfds(1).fds[0], writer, theirs.fileno()

    def test_a_trigger_of_its_own(self):
        for fd in self.descriptors():
            with self.server.attach() as client:
                client.set_irqs(vu.MSIX, 0x24, 0, 1, fds=[fd])
                set_blocking_and_full(fd)
                client.send(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x21, 0, 1), kind=vu.NO_REPLY)
            self.assert_next()

    def test_an_interrupt_of_the_device(self):
        for fd in self.descriptors():
            with self.server.attach() as client:
                Config(client).enable()
                client.set_irqs(vu.MSIX, 0x24, 0, 1, fds=[fd])
                set_blocking_and_full(fd)
                Testdev(client).write(Testdev.FIRE, 0)
                # The thread that tells of interrupts holds up who asks for others.
                client.send(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x22, 0, 1), kind=vu.NO_REPLY)
            self.assert_next()

    def assert_next(self):
        with self.server.attach() as client:
            self.assert_in_step(client)

    def test_what_is_no_notice(self):
        """Files and devices: writing to one may wait for anything."""
        client, events = self.attach(), self.eventfds(1)
        client.set_irqs(vu.MSIX, 0x24, 0, 1, fds=events.fds)
        for fd in (*self.spare_fds(1), self.memory(4096).fd):
            self.assert_errno(client.errno(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x24, 0, 2),
                                           [events.fds[0], fd]), errno.EINVAL)
        client.set_irqs(vu.MSIX, 0x21, 0, 1)
        self.assertEqual(events.taken(0), 1)


class Waiting(vfiousertest.DextTest, rules.Device):
    """One client at a time; the others wait in the queue."""

    def test_a_second_client_is_served_when_the_first_has_gone(self):
        first = self.attach()
        second = self.connect()
        second.send(vu.VERSION, vu.version_payload())
        self.assertTrue(second.is_silent())
        self.assert_in_step(first)
        first.close()
        self.assertEqual(second.receive_reply(0, vu.VERSION).error, 0)
        self.assert_in_step(second)

    def test_a_crowd_takes_turns(self):
        served = []

        def visit():
            with self.server.connect() as client:
                client.version()
                served.append(client.read_number(vu.CONFIG, 0, 4))

        threads = [threading.Thread(target=visit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(served, [0x7E571234] * 8)

    def test_one_that_connects_and_goes_while_waiting(self):
        first = self.attach()
        for _ in range(3):
            self.server.connect().close()
        self.assert_in_step(first)
        first.close()
        self.assert_in_step(self.attach())


class Descriptors(vfiousertest.DextTest, rules.Device):
    """A server that may open no more descriptors: what cannot come with a message fails it."""

    def setUp(self):
        super().setUp()
        self.limits = resource.prlimit(self.server.process.pid, resource.RLIMIT_NOFILE)
        self.addCleanup(lambda: resource.prlimit(self.server.process.pid,
                                                 resource.RLIMIT_NOFILE, self.limits))

    def allow(self, more):
        """The server may open that many more."""
        numbers = [int(name.name) for name in
                   (Path("/proc") / str(self.server.process.pid) / "fd").iterdir()]
        free = [n for n in range(max(numbers) + 2 + more) if n not in numbers]
        most = free[more] if more < len(free) else max(numbers) + 1
        resource.prlimit(self.server.process.pid, resource.RLIMIT_NOFILE, (most, self.limits[1]))

    def test_eventfds(self):
        client, events = self.attach(), self.eventfds(4)
        client.set_irqs(vu.MSIX, 0x24, 0, 1, fds=events.fds[:1])
        for room in range(3):
            self.allow(room)
            error = client.errno(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x24, 0, 4), events.fds)
            self.assertNotEqual(error, 0)
        # Not taken for "no eventfds": the first is where it was.
        client.set_irqs(vu.MSIX, 0x21, 0, 1)
        self.assertEqual(events.taken(0), 1)
        self.assert_in_step(client)

    def test_behind_a_message_that_is_short(self):
        """The server may read the start of the next message along with it."""
        client, events = self.attach(), self.eventfds(4)
        self.allow(0)
        sent = [(client.send(command, payload, fds), command) for command, payload, fds in (
            (vu.REGION_READ, vu.access_payload(vu.BAR0, 0, 16384), ()),
            (vu.DEVICE_RESET, b"", ()),
            (vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x24, 0, 4), events.fds),
            (vu.DEVICE_RESET, b"", ()))]
        errors = [client.receive_reply(*one).error for one in sent]
        self.assertEqual(errors, [0, 0, errno.EMFILE, 0])

    def test_memory(self):
        client, ram = self.attach(), self.memory(1 << 20)
        self.allow(0)
        payload = vu.dma_map_payload(RAM, ram.size)
        self.assertNotEqual(client.errno(vu.DMA_MAP, payload, [ram.fd]), 0)
        self.allow(20)
        Config(client).enable()
        client.dma_map(RAM, ram.size, ram.fd)
        self.assertEqual(Testdev(client).access_write(RAM, 4, 1), 0)

    def test_a_client_waits_until_there_is_one(self):
        self.allow(0)
        client = self.connect()
        client.send(vu.VERSION, vu.version_payload())
        self.assertTrue(client.is_silent(0.3))
        self.assertTrue(vfiousertest.wait_until(
            lambda: "a client has to wait: Too many open files" in self.server.said()))
        self.allow(20)
        self.assertEqual(client.receive_reply(0, vu.VERSION).error, 0)
        self.assert_in_step(client)
        self.assertEqual(self.server.said().count("a client has to wait"), 1)

    def test_many_files(self):
        """Refused, or within the device's reach."""
        client = self.attach()
        Config(client).enable()
        self.allow(20)
        for i in range(40):
            ram = self.memory(1 << 16)
            at = RAM + (i << 16)
            if client.errno(vu.DMA_MAP, vu.dma_map_payload(at, ram.size), [ram.fd]) == 0:
                self.assertEqual(Testdev(client).access_write(at, 4, i + 1), 0)
                self.assertEqual(struct.unpack_from("<I", ram.map), (i + 1,))
        client.dma_unmap_all()
        ram = self.memory(1 << 20)
        client.dma_map(RAM, ram.size, ram.fd)


class End(unittest.TestCase):
    """How the server ends."""

    def setUp(self):
        self.server = None

    def start(self, *options):
        class Options(vfiousertest.DextTest):
            """Its command alone."""
            device = "testdev"
        Options.options = options
        self.server = vfiousertest.Server(Options.command)
        self.addCleanup(self.server.folder.cleanup)
        self.server.start()
        self.addCleanup(self.server.stop, signal.SIGKILL)

    def test_terminated_with_a_client(self):
        self.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.server.attach() as client, vu.GuestMemory(1 << 20) as memory:
                client.dma_map(RAM, memory.size, memory.fd)
                self.assertEqual(self.server.stop(number), 0, self.server.said())
                with self.assertRaises(vu.Closed):
                    client.receive()
            self.assertFalse(self.server.socket.exists())
            self.server.start()

    def test_terminated_in_the_middle_of_a_message(self):
        self.start()
        with self.server.attach() as client:
            client.send_bytes(message(vu.REGION_WRITE, bytes(30), size=4000)[:20])
            self.assertEqual(self.server.stop(), 0, self.server.said())

    def test_terminated_with_a_client_that_reads_nothing(self):
        self.start()
        with self.server.attach() as deaf:
            deaf.sock.settimeout(0.3)
            try:
                while True:
                    deaf.send_bytes(message(vu.REGION_READ, vu.access_payload(vu.BAR2, 0, 65536)))
            except TimeoutError:
                pass
            self.assertEqual(self.server.stop(), 0, self.server.said())

    def test_terminated_while_an_interrupt_waits(self):
        """The client stays, and takes nothing."""
        self.start()
        with self.server.attach() as client, vu.EventFds(2) as events:
            client.set_irqs(vu.MSIX, 0x24, 0, 1, fds=events.fds[:1])
            client.set_irqs(vu.REQ, 0x24, 0, 1, fds=events.fds[1:])
            for fd in events.fds:
                set_blocking_and_full(fd)
            client.send(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x21, 0, 1), kind=vu.NO_REPLY)
            self.assertEqual(self.server.stop(), 0, self.server.said())


if __name__ == "__main__":
    vfiousertest.main()

#!/usr/bin/env python3
"""Wake channels, spoken by the second implementation: completions without a frame.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import mmap
import os
import platform
import struct
import threading
import time

import wire
import wiretest
from wiretest import MMIO_WRITE, SETUP_INTERRUPTS, WAIT_INTERRUPT

COUNT, SLEEPER, PUT, TAKEN, ATTENDED, RING = 0, 4, 64, 128, 132, 256
SLOTS, CHANNELS = 32, 64
FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}.get(platform.machine())
REFERENCE = [0xFFFFFFFFFFFFFFFF - i for i in range(8)]


class Wake:
    """The client's end of a channel."""

    def __init__(self, client):
        reply = client.request(wire.WAKE_OPEN)
        self.status = reply.status
        if reply.status != wire.SUCCESS:
            return
        reader = wire.Reader(reply.payload)
        self.number = reader.u64()
        reader.end()
        self.map = mmap.mmap(reply.fds[0], RING + SLOTS * 256)
        os.close(reply.fds[0])

    def __getitem__(self, offset):
        return struct.unpack_from("I", self.map, offset)[0]

    def __setitem__(self, offset, value):
        struct.pack_into("I", self.map, offset, value & 0xFFFFFFFF)

    def completion(self, index):
        """Port, reference, status, arguments of completion number index."""
        fields = struct.unpack_from("9Q2I", self.map, RING + index % SLOTS * 256)
        return fields[0], list(fields[1:9]), fields[9], fields[10]


class WakeTest(wiretest.WireTest):
    def ready(self):
        """A client, its testdev with interrupts set up, and a channel."""
        client = self.client()
        testdev = self.opened(1, client=client)
        self.assertEqual(testdev.call(SETUP_INTERRUPTS)[1], [32])
        wake = Wake(client)
        self.assertEqual(wake.status, wire.SUCCESS)
        return client, testdev, wake

    def wait(self, testdev, number, port=5):
        return testdev.call(WAIT_INTERRUPT, wake=(port, REFERENCE),
                            flags=wire.ASYNC | number << 8)[0]

    def fire(self, testdev, vector=0):
        testdev.call(MMIO_WRITE, 0, 0x100, 4, vector)
        testdev.call(wiretest.CHECK_INTERRUPT)

    def assert_silent(self, client):
        client.events.sock.settimeout(0.05)
        with self.assertRaises(TimeoutError):
            client.events.receive()
        client.events.sock.settimeout(wiretest.SECONDS)

    def test_a_completion_is_put_where_somebody_waits(self):
        client, testdev, wake = self.ready()
        self.assertEqual(wake.number, 1)
        self.assertEqual((wake[COUNT], wake[PUT], wake[TAKEN]), (0, 0, 0))
        wake[ATTENDED] = 1
        for number in range(3):
            self.assertEqual(self.wait(testdev, 1, port=0x1234567800000000 + number), wire.SUCCESS)
            self.fire(testdev, 31)
            self.assertEqual((wake[COUNT], wake[PUT]), (number + 1, number + 1))
            self.assertEqual(wake.completion(number),
                             (0x1234567800000000 + number, REFERENCE, 0, 0))
            wake[TAKEN] = number + 1
        self.assert_silent(client)

    def test_an_event_tells_where_nobody_waits(self):
        client, testdev, wake = self.ready()
        self.assertEqual(self.wait(testdev, 1), wire.SUCCESS)
        self.fire(testdev)
        event = client.events.receive()
        self.assertEqual((event.type, event.status, event.fds), (wire.EVENT_WAKE, 0, []))
        self.assertEqual(struct.unpack("II", event.payload), (1, 0))
        self.assertEqual((wake[PUT], wake.completion(0)), (1, (5, REFERENCE, 0, 0)))

    def test_who_sleeps_is_woken(self):
        if not FUTEX:
            self.skipTest("which number the system call has here is not known")
        _, testdev, wake = self.ready()
        futex = ctypes.CDLL(None, use_errno=True).syscall
        count = ctypes.c_uint32.from_buffer(wake.map, COUNT)
        woken = []

        def sleep():
            woken.append(futex(ctypes.c_long(FUTEX), ctypes.byref(count), 0, 0, None, None, 0))

        wake[ATTENDED] = wake[SLEEPER] = 1
        self.assertEqual(self.wait(testdev, 1), wire.SUCCESS)
        thread = threading.Thread(target=sleep, daemon=True)
        thread.start()
        time.sleep(0.05) # too short: it finds the count changed, and does not sleep
        self.fire(testdev)
        thread.join(wiretest.SECONDS)
        self.assertEqual(len(woken), 1)
        self.assertEqual(wake[PUT], 1)
        del count

    def test_what_does_not_fit_is_an_event(self):
        client, testdev, wake = self.ready()
        wake[ATTENDED] = 1
        for number in range(SLOTS + 2):
            self.assertEqual(self.wait(testdev, 1, port=number), wire.SUCCESS)
            self.fire(testdev)
        self.assertEqual(wake[PUT], SLOTS)
        for number in range(SLOTS):
            self.assertEqual(wake.completion(number)[0], number)
        for number in (SLOTS, SLOTS + 1):
            event = client.events.receive()
            self.assertEqual((event.type, wire.Reader(event.payload).u64()),
                             (wire.EVENT_COMPLETION, number))
        wake[TAKEN] = 1
        self.assertEqual(self.wait(testdev, 1, port=99), wire.SUCCESS)
        self.fire(testdev)
        self.assertEqual((wake[PUT], wake.completion(SLOTS)[0]), (SLOTS + 1, 99))

    def test_rubbish_in_the_page_harms_its_owner(self):
        client, testdev, wake = self.ready()
        for number, taken in enumerate((1, 0x7FFFFFFF, 0xFFFFFFE0, 0x80000000)):
            wake.map[:] = b"\xff" * len(wake.map)
            wake[TAKEN] = taken
            self.assertEqual(self.wait(testdev, 1, port=number), wire.SUCCESS)
            self.fire(testdev)
            event = client.events.receive()
            self.assertEqual((event.type, wire.Reader(event.payload).u64()),
                             (wire.EVENT_COMPLETION, number))
        other, device, channel = self.ready()
        channel[ATTENDED] = 1
        self.assertEqual(self.wait(device, 1), wire.SUCCESS)
        self.fire(device)
        self.assertEqual(channel[PUT], 1)
        self.assert_silent(other)

    def test_channels_that_are_not_there(self):
        client, testdev, _ = self.ready()
        self.assertEqual(self.wait(testdev, 2), wire.IPC_ERROR)
        self.assertEqual(self.wait(testdev, 255), wire.IPC_ERROR)
        self.assertEqual(testdev.call(WAIT_INTERRUPT, flags=1 << 8)[0], wire.IPC_ERROR)
        self.assertEqual(testdev.call(WAIT_INTERRUPT, wake=(1, REFERENCE), flags=1 | 1 << 16)[0],
                         wire.IPC_ERROR)
        self.assert_status(client.request(wire.WAKE_OPEN, b"\0" * 4), wire.IPC_ERROR)
        stranger = self.opened(1) # channels belong to one client
        self.assertEqual(self.wait(stranger, 1), wire.IPC_ERROR)

    def test_there_are_so_many(self):
        client = self.client()
        numbers = [Wake(client).number for _ in range(CHANNELS)]
        self.assertEqual(numbers, list(range(1, CHANNELS + 1)))
        self.assertEqual(Wake(client).status, wire.NO_RESOURCES)
        self.assertEqual(Wake(self.client()).number, 1)


if __name__ == "__main__":
    wiretest.main()

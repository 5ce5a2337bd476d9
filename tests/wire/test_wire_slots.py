#!/usr/bin/env python3
"""Call slots, spoken by the second implementation: what they carry, and what a client can do wrong.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import os
import platform
import random
import signal
import struct
import time
import unittest

import wire
import wiretest
from wiretest import (CLAIM, CONFIG_READ, CONFIG_WRITE, MMIO_READ, MMIO_WRITE, STAT_CALLS,
                      STATISTICS)

BAR0 = 1
EDU_ID = 0x11E81234
SLOTS = 31
FUTEX = {"x86_64": 202, "aarch64": 98}  # the system call, where it is known


def requeue(memory, at, to):
    """Move who sleeps on one word of shared memory to another; how many. Wakes nobody."""
    word = ctypes.c_uint32.from_buffer(memory, at)
    other = ctypes.c_uint32.from_buffer(memory, to)
    return ctypes.CDLL(None).syscall(FUTEX[platform.machine()], ctypes.byref(word), 3, 0, ctypes.c_long(1000),
                                     ctypes.byref(other), 0)


class SlotTest(wiretest.WireTest):
    def slotted(self, index=0, **options):
        """An opened connection and its slots."""
        connection = self.opened(index, **options)
        status, slots = connection.slots()
        self.assertEqual(hex(status), hex(wire.SUCCESS))
        self.addCleanup(slots.close)
        return connection, slots

    def assert_serves(self, connection, slots):
        """Both ways still work."""
        self.assertEqual(slots.call(CONFIG_READ, 0, 4), (wire.SUCCESS, [EDU_ID]))
        self.assertEqual(connection.call(CONFIG_READ, 0, 4), (wire.SUCCESS, [EDU_ID], b""))


class Asking(SlotTest):
    def test_there_are_31_in_a_file_that_keeps_its_size(self):
        connection = self.opened()
        reply = connection.request(wire.SLOTS, wire.u32(2))
        self.assertEqual(reply.payload, wire.u32(SLOTS))
        for size in (0, 4096, 1 << 20):
            with self.assertRaises(PermissionError):
                os.ftruncate(reply.fds[0], size)
        self.assertGreaterEqual(os.fstat(reply.fds[0]).st_size, 512 * (1 + SLOTS))
        self.assertEqual(os.pread(reply.fds[0], 16384, 0)[4:], bytes(16380))
        reply.close_fds()

    def test_they_cost_the_host_no_descriptor(self):
        connection = self.opened()
        held = self.host.resting[0] + 4 + 1  # a client's, and the connection
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == held))
        connection.slots()[1].close()
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == held))

    def test_they_are_asked_for_once(self):
        connection, slots = self.slotted()
        self.assertEqual(hex(connection.slots()[0]), hex(wire.STILL_OPEN))
        self.assert_serves(connection, slots)

    def test_another_layout_is_refused(self):
        connection = self.opened()
        for layout in (0, 1, 3, 0xFFFFFFFF):
            self.assertEqual(hex(connection.slots(layout)[0]), hex(wire.UNSUPPORTED))
        self.assert_serves(connection, connection.slots()[1])

    def test_malformed_requests(self):
        connection = self.opened()
        for payload in (b"", bytes(3), wire.u32(2, 0), bytes(4096)):
            self.assert_status(connection.request(wire.SLOTS, payload), wire.IPC_ERROR)
        null = os.open("/dev/null", os.O_RDONLY)
        self.assert_status(connection.request(wire.SLOTS, wire.u32(2), fds=[null]), wire.IPC_ERROR)
        os.close(null)
        self.assert_status(connection.request(wire.KICK), wire.IPC_ERROR)
        self.assert_serves(connection, connection.slots()[1])
        self.assert_status(connection.request(wire.KICK, bytes(8)), wire.IPC_ERROR)

    def test_the_control_channel_has_none(self):
        client = self.client()
        self.assert_status(client.request(wire.SLOTS, wire.u32(2)), wire.IPC_ERROR)
        self.assert_status(client.request(wire.KICK), wire.IPC_ERROR)


class Calls(SlotTest):
    def test_a_call_does_what_its_frame_does(self):
        connection, slots = self.slotted()
        self.assert_serves(connection, slots)
        self.assertEqual(slots.call(CONFIG_WRITE, 0x3C, 1, 0x5A), (wire.SUCCESS, []))
        self.assertEqual(connection.call(CONFIG_READ, 0x3C, 1)[1], [0x5A])
        self.assertEqual(slots.call(0)[1][3:5], [0x1234, 0x11E8])
        for scalars in ([], [0], [0, 3], [0x2000, 4]):
            self.assertEqual(slots.call(CONFIG_READ, *scalars)[0],
                             connection.call(CONFIG_READ, *scalars)[0])
        self.assertEqual(hex(slots.call(999)[0]), hex(wire.UNSUPPORTED))
        self.assertEqual(hex(slots.call(CONFIG_READ, 0, 4, room=0)[0]), hex(wire.BAD_ARGUMENT))

    def test_an_access_does_what_its_frame_does(self):
        connection, slots = self.slotted()
        self.assertEqual(slots.access(BAR0, 4, 4, 0x12345678)[0], wire.SUCCESS)
        self.assertEqual(slots.access(BAR0, 4, 4), (wire.SUCCESS, 0xEDCBA987))  # edu inverts
        self.assertEqual(connection.access(BAR0, 4, 4), (wire.SUCCESS, 0xEDCBA987))
        for wrong in ((BAR0, 2, 4), (BAR0, 4, 3), (7777, 0, 4), (BAR0, 1 << 63, 4)):
            self.assertEqual(slots.access(*wrong), connection.access(*wrong))

    def test_calls_are_counted_either_way(self):
        connection, slots = self.slotted()
        before = connection.call(STATISTICS)[1][STAT_CALLS]
        for _ in range(7):
            slots.call(CONFIG_READ, 0, 4)
        connection.call(CONFIG_READ, 0, 4)
        self.assertEqual(slots.call(STATISTICS)[1][STAT_CALLS], before + 9)

    def test_a_claim_by_slot_is_held_and_released(self):
        connection, slots = self.slotted(claim=False)
        self.assertEqual(hex(slots.call(CONFIG_READ, 0, 4)[0]), hex(wire.NOT_OPEN))
        self.assertEqual(slots.call(CLAIM), (wire.SUCCESS, []))
        self.assert_serves(connection, slots)

    def test_any_call_id_and_place(self):
        slots = self.slotted()[1]
        for call_id in (1, 1 << 63, 2 ** 64 - 1):
            for where in (0, 1, 64, 65, 0xFFFF):
                self.assertEqual(slots.call(CONFIG_READ, 0, 4, call_id=call_id, where=where),
                                 (wire.SUCCESS, [EDU_ID]))

    def test_all_slots_at_once(self):
        _, slots = self.slotted(1)
        for number, slot in enumerate(slots.slots):
            slot.write(wire.CALL, [CONFIG_READ | 2 << 32 | 1 << 48, number & ~3, 4])
            slot.post()
        slots.connection.kick()
        for number in range(SLOTS):
            slots.wait(number)
            status, words = slots.slots[number].read()
            self.assertEqual((status, slots.slots[number].taken), (wire.SUCCESS, 1))
            self.assertEqual(words, slots.connection.call(CONFIG_READ, number & ~3, 4)[1])

    def test_a_thousand_calls_in_a_row(self):
        """Through being polled and being kicked, with frames in between."""
        connection, slots = self.slotted()
        for number in range(1000):
            value = number % 251
            self.assertEqual(slots.call(CONFIG_WRITE, 0x3C, 1, value, number=number % SLOTS)[0],
                             wire.SUCCESS)
            self.assertEqual(slots.call(CONFIG_READ, 0x3C, 1, number=number % 3)[1], [value])
            if number % 100 == 0:
                self.assertEqual(connection.call(CONFIG_READ, 0x3C, 1)[1], [value])
                time.sleep(0.001)

    def test_a_terminated_service_answers_as_a_dead_name(self):
        host = wiretest.Host().start()
        with host.client() as client:
            status, connection = client.open(client.services()[0])
            self.assertEqual(status, wire.SUCCESS)
            _, slots = connection.slots()
            self.assertEqual(slots.call(CLAIM)[0], wire.SUCCESS)
            self.assertEqual(slots.call(wiretest.TERMINATE)[0], wire.SUCCESS)
            self.assertTrue(wiretest.wait_until(
                lambda: slots.call(CONFIG_READ, 0, 4)[0] == wire.DEAD_NAME))
            slots.close()
        self.assertEqual(host.stop(), 0, host.said())
        host.folder.cleanup()


class Structures(SlotTest):
    """CALL_AT: the host fetches them from this process, and puts them there."""
    BATCH, UNBATCH = 65, 66
    COUNT = 300

    def setUp(self):
        super().setUp()
        self.connection, self.slots = self.slotted(1)
        self.pages = ctypes.create_string_buffer(1 << 16)
        self.iovas = [0x100000 + i * 0x10000 for i in range(self.COUNT)]
        entries = b"".join(wire.u64(iova, ctypes.addressof(self.pages), 16) for iova in self.iovas)
        self.source = self.place(entries)
        self.target = self.place(bytes(24 * self.COUNT))

    def place(self, content):
        """Address and length of a copy that lives as long as the test."""
        buffer = ctypes.create_string_buffer(content, len(content))
        self.addCleanup(lambda: buffer)
        return ctypes.addressof(buffer), len(content)

    def regions(self):
        return self.connection.call(STATISTICS)[1][wiretest.STAT_REGIONS]

    def test_a_call_does_what_its_frame_does(self):
        self.assertEqual(self.slots.call_at(self.BATCH, [0], self.source, self.target),
                         (wire.SUCCESS, [24 * self.COUNT, self.COUNT]))
        self.assertEqual(self.regions(), self.COUNT)
        results = struct.unpack(f"={3 * self.COUNT}Q", ctypes.string_at(*self.target))
        self.assertEqual((set(results[0::3]), set(results[2::3])), ({0}, {16}))
        self.assertEqual(len(set(results[1::3])), self.COUNT)
        status, scalars, codes = self.connection.call(
            self.UNBATCH, structure=wire.u64(*self.iovas), structure_room=8 * self.COUNT)
        self.assertEqual((status, scalars, codes), (wire.SUCCESS, [self.COUNT], bytes(8 * self.COUNT)))

    def test_what_the_driver_refuses_has_been_carried_out(self):
        short = self.target[0], 8
        for source, target in ((self.source, short), ((0, 0), self.target), (self.source, (0, 0))):
            self.assertEqual(self.slots.call_at(self.BATCH, [0], source, target),
                             (wire.BAD_ARGUMENT, [0]))
        self.assertEqual(self.slots.call_at(999, [], (0, 0), self.target), (wire.UNSUPPORTED, [0]))
        self.assertEqual(self.regions(), 0)

    def test_what_cannot_be_fetched_is_not_carried_out(self):
        top = 2 ** 64
        calls = self.connection.call(STATISTICS)[1][STAT_CALLS]
        for place in ((0, 24), (4096, 24), (top - 24, 24), (top - 8, 24), (1 << 63, 24),
                      (self.source[0], (4 << 20) + 1)):
            self.assertEqual(self.slots.call_at(self.BATCH, [0], place, self.target),
                             (wire.IPC_ERROR, []), place)
        self.assertEqual(self.slots.call_at(self.BATCH, [0], self.source, (top - 8, 24)),
                         (wire.IPC_ERROR, []))
        for words in ([], [self.BATCH], [self.BATCH | 1 << 32, *self.source, 0],
                      [self.BATCH, 0, 0, 0, 0], [self.BATCH | 16 << 48, 0, 0, 0]):
            self.assertEqual(self.slots.request(wire.CALL_AT, words), (wire.IPC_ERROR, []), words)
        self.assertEqual(self.connection.call(STATISTICS)[1][STAT_CALLS], calls + 1)

    def test_results_that_find_no_place(self):
        """The call has been carried out: its code says that the client took the memory away."""
        self.assertEqual(self.slots.call_at(self.BATCH, [0], self.source, (4096, 24 * self.COUNT)),
                         (wire.VM_ERROR, [0]))
        self.assertEqual(self.regions(), self.COUNT)

    def test_no_frame_fetches(self):
        self.assert_status(self.connection.request(wire.CALL_AT, wire.u64(0, 0, 0, 0)),
                           wire.IPC_ERROR)


class Endings(SlotTest):
    def test_close_ends_every_slot(self):
        connection, slots = self.slotted()
        self.assert_serves(connection, slots)
        connection.request(wire.CLOSE)
        self.assertTrue(wiretest.wait_until(
            lambda: all(slot.mark & wire.Slot.ENDED for slot in slots.slots)))
        mark = slots.slots[0].mark
        slots.slots[0].post()
        connection.sock.settimeout(wiretest.SECONDS)
        self.assertEqual(connection.sock.recv(1), b"")  # the host has closed: nobody answers
        self.assertEqual(slots.slots[0].mark, mark)

    def test_the_end_of_the_host_ends_every_slot(self):
        host = wiretest.Host().start()
        with host.client() as client:
            _, slots = client.open(client.services()[0])[1].slots()
            self.assertEqual(host.stop(), 0, host.said())
            self.assertEqual({slot.mark for slot in slots.slots}, {wire.Slot.ENDED})
            slots.close()
        host.folder.cleanup()

    def test_a_client_that_dies_with_requests_in_its_slots(self):
        child = os.fork()
        if child == 0:
            with self.host.client() as client:
                _, connection = client.open(client.services()[0])
                _, slots = connection.slots()
                for slot in slots.slots:
                    slot.write(wire.CALL, [CLAIM])
                    slot.mark |= wire.Slot.WAITING
                    slot.post()
                connection.kick()
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)  # that it holds nothing any more is seen at the end of every test

    def test_a_client_that_hangs_up_without_reading_a_reply(self):
        connection, slots = self.slotted()
        for number in range(SLOTS):
            slots.slots[number].write(wire.CALL, [CONFIG_READ | 2 << 32 | 1 << 48, 0, 4])
            slots.slots[number].post()
        connection.kick()
        connection.close()


class Rubbish(SlotTest):
    def test_a_request_that_makes_no_sense_is_refused(self):
        connection, slots = self.slotted()
        first = CONFIG_READ | 2 << 32 | 1 << 48
        for kind in (0, 1, wire.HELLO, wire.OPEN, wire.MAP, wire.CLOSE, wire.SLOTS, wire.KICK,
                     wire.EVENT_DEAD, 0xFF):
            self.assertEqual(slots.request(kind, [first, 0, 4])[0], wire.IPC_ERROR, kind)
        for count in (0, 1, 2, 4, 17, 18, 22, 23, 0x7F, 0xFF):
            self.assertEqual(slots.request(wire.CALL, [first, 0, 4], count=count)[0],
                             wire.IPC_ERROR, count)
        for scalars_in in (0, 1, 3, 16, 17, 0x8000, 0xFFFF):
            self.assertEqual(slots.call(CONFIG_READ, 0, 4, scalars_in=scalars_in)[0],
                             wire.IPC_ERROR, scalars_in)
        for room in (17, 0x8000, 0xFFFF):
            self.assertEqual(slots.call(CONFIG_READ, 0, 4, room=room)[0], wire.IPC_ERROR, room)
        for count in (0, 3, 5, 17, 18, 0xFF):
            self.assertEqual(slots.request(wire.ACCESS, [BAR0, 4, 4, 0], count=count)[0],
                             wire.IPC_ERROR, count)
        self.assertEqual(slots.request(wire.ACCESS, [BAR0, 4, 4 | 2 << 32, 0])[0], wire.IPC_ERROR)
        self.assert_serves(connection, slots)

    def test_any_other_number_is_a_request(self):
        connection, slots = self.slotted()
        slots.slots[0].write(wire.CALL, [CONFIG_READ | 2 << 32 | 1 << 48, 0, 4])
        for number in (1, 2, 0x3FFFFFFF, 0, 0x40000000, 0xFFFFFFFF, 7):
            slots.slots[0].number = number
            connection.kick()
            answer = number << 2 & 0xFFFFFFFF
            self.assertTrue(wiretest.wait_until(lambda: slots.slots[0].mark == answer))
        self.assert_serves(connection, slots)

    def test_a_number_again_is_none(self):
        connection, slots = self.slotted()
        self.assert_serves(connection, slots)
        before = connection.call(STATISTICS)[1][STAT_CALLS]
        slots.slots[0].number = slots.slots[0].number
        slots.slots[0].mark = 0
        connection.kick()
        self.assertEqual(slots.call(STATISTICS, number=1)[1][STAT_CALLS], before + 1)
        self.assertEqual(slots.slots[0].mark, 0)

    def test_flags_that_were_there_already(self):
        slots = self.slotted()[1]
        for flags in (wire.Slot.WAITING, wire.Slot.ENDED, 3):
            slots.slots[0].write(wire.CALL, [CONFIG_READ | 2 << 32 | 1 << 48, 0, 4])
            slots.slots[0].mark |= flags
            slots.slots[0].post()
            slots.connection.kick()
            self.assertTrue(wiretest.wait_until(lambda: slots.slots[0].is_answered))

    def test_scribbling_over_everything(self):
        """Whatever stands there: this connection's frames and everybody else are served."""
        seed = 20260101
        noise = random.Random(seed)
        connection, slots = self.slotted()
        _, others = self.slotted(1)
        for _ in range(100):
            slots.memory[:] = noise.randbytes(wire.Slots.BYTES)
            for slot in slots.slots:
                if noise.random() < 0.7:
                    struct.pack_into("=BB", slots.memory, slot.at + 6,
                                     noise.choice((wire.CALL, wire.ACCESS)), noise.randrange(20))
                    # No selector does anything: that is for the tests of the dext.
                    struct.pack_into("=I", slots.memory, slot.at + 16, 1000)
            connection.kick()
            self.assertEqual(others.call(CONFIG_READ, 0, 2)[0], wire.SUCCESS)
        self.assertEqual(connection.call(CONFIG_READ, 0, 4)[1], [EDU_ID], f"seed {seed}")

    def test_scribbling_over_the_hosts_word(self):
        """A host that looks asleep, or awake, or anywhere: a kick finds it."""
        connection, slots = self.slotted()
        _, others = self.slotted(1)
        for awake in (0, 1, 2, 64, 65, 0x10000, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF) * 3:
            slots.awake = awake
            slots.slots[0].write(wire.CALL, [CONFIG_READ | 2 << 32 | 1 << 48, 0, 4])
            slots.slots[0].post()
            connection.kick()
            slots.wait(0)
            self.assertEqual(others.call(CONFIG_READ, 0, 2)[0], wire.SUCCESS)
        self.assert_serves(connection, slots)

    def test_scribbling_does_not_keep_the_host_awake(self):
        """Requests without sense, over and over, are no traffic that is worth polling for."""
        connection, slots = self.slotted()
        for slot in slots.slots:
            slot.write(wire.CALL, [0], count=0xFF)
        for _ in range(50):
            for slot in slots.slots:
                slot.post()
            connection.kick()
        deadline = time.monotonic() + wiretest.SECONDS
        while slots.awake != wire.Slots.ASLEEP:
            for slot in slots.slots:
                slot.post()
            self.assertLess(time.monotonic(), deadline, "the host polls for rubbish")

    @unittest.skipUnless(platform.machine() in FUTEX, "no number of the system call")
    def test_a_host_that_was_moved_to_another_word(self):
        """A client can move who sleeps on a word of theirs: nobody wakes him there, and yet he
        goes when the connection does."""
        connection, slots = self.slotted()
        self.assert_serves(connection, slots)
        threads = self.threads()

        def is_moved():
            return slots.awake == wire.Slots.ASLEEP and requeue(slots.memory, 0, 4) > 0
        self.assertTrue(wiretest.wait_until(is_moved))
        connection.close()
        slots.close()
        self.assertTrue(wiretest.wait_until(lambda: self.threads() < threads))

    def threads(self):
        return len(os.listdir(f"/proc/{self.host.process.pid}/task"))

    def test_kicks_for_nothing(self):
        connection, slots = self.slotted()
        for _ in range(2000):
            connection.kick()
        self.assert_serves(connection, slots)


class Off(SlotTest):
    def test_a_host_that_does_without_refuses(self):
        os.environ["DEXTLINK_SLOTS"] = "off"
        try:
            host = wiretest.Host().start()
        finally:
            del os.environ["DEXTLINK_SLOTS"]
        with host.client() as client:
            connection = client.open(client.services()[0])[1]
            self.assertEqual(hex(connection.slots()[0]), hex(wire.UNSUPPORTED))
            self.assertEqual(connection.call(CLAIM)[0], wire.SUCCESS)
            self.assert_status(connection.request(wire.KICK), wire.IPC_ERROR)
        self.assertEqual(host.stop(), 0, host.said())
        host.folder.cleanup()


if __name__ == "__main__":
    wiretest.main()

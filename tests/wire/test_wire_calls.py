#!/usr/bin/env python3
"""The record of calls and the list of DMA regions as they cross the wire, and lies about both.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import struct
import time
import unittest

import wiretest
import wire
from wiretest import CLAIM, CONFIG_READ, MMIO_READ, REGISTER, STATISTICS

READ_CALLS, LIST = 70, 71
KEPT = 1024
CALL = struct.Struct("<Q QQ 4Q IIII BBB 5x")
SEGMENT = struct.Struct("<QQQ II")
NEW = 2 ** 64 - 1
CURSORS = (0, 1, KEPT, 2 ** 31, 2 ** 32, 2 ** 63 - 1, 2 ** 63, NEW - KEPT, NEW)


def read_calls(connection, cursor, room=KEPT * CALL.size):
    """Records as dicts, the next number, how many are lost."""
    status, (count, following, lost), structure = connection.call(READ_CALLS, cursor,
                                                                  structure_room=room)
    assert status == wire.SUCCESS and len(structure) == count * CALL.size, (status, count)
    keys = ("sequence", "start", "duration", "in0", "in1", "in2", "in3", "selector", "code",
            "client", "process", "kind", "inputs", "hidden")
    return [dict(zip(keys, fields)) for fields in CALL.iter_unpack(structure)], following, lost


class Calls(wiretest.WireTest):
    """ReadCalls."""

    def test_a_record_is_as_documented(self):
        edu = self.opened(0, claim=False)
        _, first, _ = read_calls(edu, NEW)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        edu.call(CLAIM)
        edu.call(CONFIG_READ, 4, 2)
        edu.call(CONFIG_READ, 4096, 4)
        edu.access(1, 0, 4)
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        calls, following, lost = read_calls(edu, first)
        self.assertEqual((len(calls), following, lost), (4, first + 4, 0))
        self.assertEqual([(c["selector"], c["code"], c["kind"], c["inputs"], c["in0"], c["in1"], c["in2"])
                          for c in calls],
                         [(CLAIM, 0, 0, 0, 0, 0, 0), (CONFIG_READ, 0, 0, 2, 4, 2, 0),
                          (CONFIG_READ, wire.BAD_ARGUMENT, 0, 2, 4096, 4, 0), (0, 0, 1, 3, 1, 0, 4)])
        for number, call in enumerate(calls):
            self.assertEqual(call["sequence"], first + number)
            self.assertEqual(call["process"], os.getpid())
            self.assertEqual(call["client"], calls[0]["client"])
            self.assertEqual(call["hidden"], 0)
            self.assertLessEqual(before, call["start"])
            self.assertLessEqual(call["start"] + call["duration"], after)
            before = call["start"]

    def test_client_addresses_do_not_cross(self):
        edu = self.opened(0)
        memory = wire.Memory(16384)
        _, first, _ = read_calls(edu, NEW)
        self.assertEqual(edu.call(REGISTER, 0x4000, memory.address, 16384)[0], wire.SUCCESS)
        for selector, size in ((READ_CALLS, CALL.size), (LIST, SEGMENT.size)):
            _, _, structure = edu.call(selector, first if selector == READ_CALLS else 0,
                                       structure_room=64 * size)
            self.assertEqual(len(structure), size)
            self.assertNotIn(struct.pack("<Q", memory.address), structure)
        call = read_calls(edu, first)[0][0]
        self.assertEqual((call["in0"], call["in1"], call["in2"], call["hidden"]),
                         (0x4000, 0, 16384, 2))
        edu.call(6, 0x4000)
        memory.close()

    def test_every_client_sees_the_calls_of_all(self):
        one, other = self.opened(0), self.opened(0)
        _, first, _ = read_calls(one, NEW)
        for _ in range(3):
            one.call(STATISTICS)
            other.call(STATISTICS)
        seen = [read_calls(connection, first) for connection in (one, other)]
        for calls, _, _ in seen:
            for call in calls:
                del call["start"]  # differs by what two conversions do
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(len({call["client"] for call in seen[0][0]}), 2)
        self.assertEqual(len(seen[0][0]), 6)

    def test_a_reader_that_is_too_slow_learns_what_it_missed(self):
        edu = self.opened(0)
        _, first, _ = read_calls(edu, NEW)
        for _ in range(KEPT + 7):
            edu.call(MMIO_READ, 0, 0, 4)
        calls, following, lost = read_calls(edu, first)
        self.assertEqual((len(calls), following, lost), (KEPT, first + KEPT + 7, 7))
        self.assertEqual(calls[0]["sequence"], first + 7)

    def test_any_cursor_and_any_room(self):
        edu = self.opened(0)
        edu.call(STATISTICS)
        _, end, _ = read_calls(edu, NEW)
        for cursor in CURSORS:
            for room in (0, 1, CALL.size - 1, CALL.size, CALL.size + 1, 4096, KEPT * CALL.size,
                         4 << 20):
                calls, following, lost = read_calls(edu, cursor, room)
                self.assertLessEqual(len(calls) * CALL.size, room)
                self.assertEqual(following, min(cursor, end) + lost + len(calls))
        self.assertEqual(edu.call(READ_CALLS, structure_room=4096)[0], wire.BAD_ARGUMENT)
        self.assertEqual(edu.call(READ_CALLS, 0, room=2, structure_room=4096)[0], wire.BAD_ARGUMENT)
        # A structure that nobody asked for is no harm.
        status, _, structure = edu.call(READ_CALLS, 0, structure=bytes(4 << 20), structure_room=80)
        self.assertEqual((status, len(structure)), (wire.SUCCESS, 80))


class Regions(wiretest.WireTest):
    """ListDMARegions."""

    def test_segments_are_as_documented(self):
        testdev, other = self.opened(1), self.opened(1)
        memory = wire.Memory(5 * 16384)
        _, (_, bus, _), _ = testdev.call(REGISTER, 0x10000, memory.address, 16384 + 1)
        _, (_, bus2, _), _ = other.call(REGISTER, 0x10000, memory.address, 16384)
        _, out, _ = other.call(3, 4096, 0)
        looker = self.opened(1, claim=False)
        status, scalars, structure = looker.call(LIST, 0, structure_room=4096)
        self.assertEqual((status, scalars), (wire.SUCCESS, [3, 0]))
        segments = list(SEGMENT.iter_unpack(structure))
        clients = {segment[1]: segment[3] for segment in segments}
        self.assertEqual(sorted(segments), sorted([
            (0x10000, bus, 16385, clients[bus], 0), (0x10000, bus2, 16384, clients[bus2], 0),
            (0, out[3], 4096, clients[bus2], 1)]))
        self.assertNotEqual(clients[bus], clients[bus2])
        self.assertEqual([segment[1] for segment in segments], sorted(clients))
        other.request(wire.CLOSE)
        self.assertEqual(looker.call(LIST, 0, structure_room=4096)[1], [1, 0])
        testdev.request(wire.CLOSE)
        memory.close()

    def test_any_cursor_and_any_room(self):
        testdev = self.opened(1)
        memory = wire.Memory(16384)
        for number in range(5):
            testdev.call(REGISTER, number << 20, memory.address, 4096)
        for cursor in CURSORS:
            for room in (0, 1, 31, 32, 33, 4096, 4 << 20):
                status, (count, following), structure = testdev.call(LIST, cursor,
                                                                     structure_room=room)
                self.assertEqual((status, len(structure)), (wire.SUCCESS, 32 * count))
                self.assertLessEqual(len(structure), room)
                self.assertTrue(following == 0 or following >= cursor)
        self.assertEqual(testdev.call(LIST, structure_room=64)[0], wire.BAD_ARGUMENT)
        self.assertEqual(testdev.call(LIST, 0, room=1, structure_room=64)[0], wire.BAD_ARGUMENT)
        memory.close()


class WithoutExtensions(unittest.TestCase):
    """As the real dext."""

    def test_both_are_unsupported(self):
        host = wiretest.Host(wiretest.EDU + ",extensions=off").start()
        self.addCleanup(host.folder.cleanup)
        self.addCleanup(host.stop)
        with host.client() as client:
            _, edu = client.open(client.services()[0])
            for selector in (READ_CALLS, LIST):
                self.assertEqual(edu.call(selector, 0, structure_room=4096)[0], wire.UNSUPPORTED)
            edu.close()


if __name__ == "__main__":
    wiretest.main()

#!/usr/bin/env python3
"""Batches of DMA regions as bytes: what they must look like, and what becomes of others.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import os

import wire
import wiretest
from wiretest import UNREGISTER

REGISTER_BATCH, UNREGISTER_BATCH, REGISTER_SEGMENTS = 65, 66, 74
EACH = 1
MOST = 4096
ABORTED, STILL_OPEN = 0xE00002EB, 0xE00002D2
TESTDEV = 1


class Batches(wiretest.WireTest):
    def setUp(self):
        super().setUp()
        self.pages = ctypes.create_string_buffer(1 << 16)
        self.address = ctypes.addressof(self.pages)
        self.connection = self.opened(TESTDEV)

    def entries(self, count):
        return [(0x100000 + i * 0x10000, self.address + i % 1024, 16) for i in range(count)]

    def register(self, entries, flags=0, **options):
        """Status, regions registered, results."""
        options.setdefault("structure", b"".join(wire.u64(*entry) for entry in entries))
        options.setdefault("structure_room", 24 * len(entries))
        status, scalars, structure = self.connection.call(REGISTER_BATCH, flags, **options)
        if status != wire.SUCCESS:
            return status, 0, []
        words = wire.Reader(structure).u64s(len(structure) // 8)
        return status, scalars[0], list(zip(*[iter(words)] * 3))

    def unregister(self, iovas, **options):
        options.setdefault("structure", wire.u64(*iovas))
        options.setdefault("structure_room", 8 * len(iovas))
        status, scalars, structure = self.connection.call(UNREGISTER_BATCH, **options)
        if status != wire.SUCCESS:
            return status, 0, []
        return status, scalars[0], wire.Reader(structure).u64s(len(structure) // 8)

    def regions(self):
        return self.connection.call(wiretest.STATISTICS)[1][wiretest.STAT_REGIONS]

    def test_in_and_out(self):
        entries = self.entries(300)
        status, registered, results = self.register(entries)
        self.assertEqual((status, registered, len(results)), (wire.SUCCESS, 300, 300))
        self.assertEqual({(code, size) for code, _, size in results}, {(0, 16)})
        self.assertEqual(len({bus for _, bus, _ in results}), 300)
        self.assertEqual(self.regions(), 300)
        iovas = [iova for iova, _, _ in entries]
        self.assertEqual(self.unregister(iovas), (wire.SUCCESS, 300, [0] * 300))
        self.assertEqual(self.unregister(iovas[:2]), (wire.SUCCESS, 0, [wire.NOT_FOUND] * 2))

    def test_entries_that_meet(self):
        """The same IOVA twice is refused; regions that merely overlap are not."""
        entries = self.entries(4)
        entries[2] = entries[0]
        _, registered, results = self.register(entries)
        self.assertEqual(registered, 0)
        self.assertEqual([code for code, _, _ in results], [ABORTED, ABORTED, STILL_OPEN, ABORTED])
        self.assertEqual(self.regions(), 0)
        _, registered, results = self.register(entries, EACH)
        self.assertEqual((registered, results[2]), (3, (STILL_OPEN, 0, 0)))
        overlapping = [(0x900000 + i, self.address, 4096) for i in range(3)]
        self.assertEqual(self.register(overlapping)[1], 3)
        self.assertEqual(self.regions(), 6)

    def test_entries_that_wrap(self):
        top = 2 ** 64 - 1
        for bad in ((top, self.address, 2), (0x1000, top, 2), (0x1000, self.address, top),
                    (top, top, top), (0x1000, 0, 16), (0x1000, self.address, 0)):
            entries = self.entries(3)
            entries[1] = bad
            status, registered, results = self.register(entries, EACH)
            self.assertEqual((status, registered, results[1]),
                             (wire.SUCCESS, 2, (wire.BAD_ARGUMENT, 0, 0)))
            for i in (0, 2):
                self.assertEqual(self.connection.call(UNREGISTER, entries[i][0])[0], wire.SUCCESS)
        self.assertEqual(self.regions(), 0)

    def test_structures_cut_anywhere(self):
        whole = b"".join(wire.u64(*entry) for entry in self.entries(2))
        for length in range(len(whole)):
            if length != 24:
                self.assertEqual(self.register([], structure=whole[:length], structure_room=48)[0],
                                 wire.BAD_ARGUMENT)
        for room in (0, 1, 23, 24, 47):
            self.assertEqual(self.register([], structure=whole, structure_room=room)[0],
                             wire.BAD_ARGUMENT)
        for length, room in ((0, 8), (1, 8), (7, 8), (9, 16), (15, 16), (8, 0), (8, 7), (16, 15)):
            self.assertEqual(self.unregister([], structure=bytes(length), structure_room=room)[0],
                             wire.BAD_ARGUMENT)
        self.assertEqual(self.regions(), 0)

    def test_too_many_entries(self):
        self.assertEqual(self.register(self.entries(MOST + 1))[0], wire.BAD_ARGUMENT)
        self.assertEqual(self.unregister([0] * (MOST + 1))[0], wire.BAD_ARGUMENT)
        self.assertEqual(self.unregister([], structure=bytes(4 << 20), structure_room=4 << 20)[0],
                         wire.BAD_ARGUMENT)
        self.assertEqual(self.register(self.entries(MOST))[:2], (wire.SUCCESS, MOST))

    def test_flags_and_scalars(self):
        for flags in (2, 3, 1 << 32, 2 ** 64 - 1):
            self.assertEqual(self.register(self.entries(1), flags)[0], wire.BAD_ARGUMENT)
        structure = wire.u64(*self.entries(1)[0])
        self.assertEqual(self.connection.call(REGISTER_BATCH, structure=structure,
                                              structure_room=24)[0], wire.BAD_ARGUMENT)
        self.assertEqual(self.register(self.entries(1), room=0)[0], wire.BAD_ARGUMENT)
        self.assertEqual(self.unregister([1], room=0)[0], wire.BAD_ARGUMENT)
        self.assertEqual(self.regions(), 0)

    def test_segments(self):
        """One here, since nothing is fragmented; no room, or scalars that make no sense."""
        entry = self.entries(1)[0]
        for room in (0, 1, 15):
            self.assertEqual(self.connection.call(REGISTER_SEGMENTS, *entry,
                                                  structure_room=room)[0], wire.BAD_ARGUMENT)
        for few in range(3):
            self.assertEqual(self.connection.call(REGISTER_SEGMENTS, *entry[:few],
                                                  structure_room=16)[0], wire.BAD_ARGUMENT)
        for bad in ((1, 0, 1), (1, 1, 0), (2 ** 64 - 1, 1, 2), (1, 2 ** 64 - 1, 2)):
            self.assertEqual(self.connection.call(REGISTER_SEGMENTS, *bad,
                                                  structure_room=16)[0], wire.BAD_ARGUMENT)
        self.assertEqual(self.regions(), 0)
        for room in (16, 31, 4 << 20):
            status, scalars, structure = self.connection.call(REGISTER_SEGMENTS, *entry,
                                                              structure_room=room)
            self.assertEqual((status, scalars, len(structure)), (wire.SUCCESS, [1], 16))
            self.assertEqual(wire.Reader(structure).u64s(2)[1], 16)
            self.assertEqual(self.connection.call(UNREGISTER, entry[0])[0], wire.SUCCESS)

    def test_random_structures(self):
        """Nothing here is memory of ours but by accident; the host answers all of it."""
        for length in (24, 240, 2400):
            status, registered, results = self.register(
                [], EACH, structure=os.urandom(length), structure_room=length)
            self.assertEqual((status, len(results)), (wire.SUCCESS, length // 24))
            self.assertEqual(registered, sum(code == 0 for code, _, _ in results))

    def test_a_client_that_dies_after_its_batch(self):
        self.assertEqual(self.register(self.entries(1000))[1], 1000)
        self.connection.close()  # tearDown looks for what is left


if __name__ == "__main__":
    wiretest.main()

#!/usr/bin/env python3
"""Write the hand-made inputs of corpus/nvme: programs for fuzz_nvme.c, one a case.

SPDX-License-Identifier: GPL-2.0-or-later

usage: make_nvme_corpus.py DIRECTORY

Inputs that a run of the fuzzer found are named by their hash and are not made here.
"""
import struct
import sys
from pathlib import Path

(ADMIN, IO, RAW, REGISTER, BAR, DOORBELL, RING, CONFIG, RESET, ENABLE, STORAGE, STORAGE_ALL, TIME,
 FIRE, ACCESS, MAP_ALL, LIST, RANGES, SHUTDOWN, CREATE, COLLECT) = range(21)
DELETE_SQ, CREATE_SQ, GET_LOG, DELETE_CQ, CREATE_CQ, IDENTIFY, ABORT, SET, GET, EVENT, FORMAT = range(11)
FLUSH, WRITE, READ, UNCORRECTABLE, COMPARE, ZEROES, DSM, VERIFY = range(8)
MEMORY, FILES, FILES_READ_ONLY = 0, 1 | 4, 1 | 4 | 0x38
OK, EIO, ENOSPC = 0, 4, 5
ALL = 12  # namespaces
EDGE_FFFFFFFF = 15


def page(number):
    """Start of a page, counted from the first for data."""
    return bytes([9, number])


def inside(number, offset):
    return bytes([4, number]) + struct.pack("<H", offset)


def last_entries(number, back):
    return bytes([6, number, back])


def anywhere(address):
    return bytes([0, 0]) + struct.pack("<Q", address)


def begin(shape, queues=1, mps=0):
    """The device, controller enabled, queues 1 made."""
    return bytes([queues, shape, mps, 0, 1])


def io(kind, prp1, prp2=page(1), block=0, blocks=1, queue=1, nsid=0):
    return bytes([IO, queue - 1, kind, 0, 0, nsid]) + prp1 + prp2 + bytes([block, 0, blocks - 1, 0, 0])


def admin(kind, low=0, high=0, edge=0, prp1=page(0), prp2=page(1), nsid=0):
    return (bytes([ADMIN, kind, low, 0, 0, nsid]) + prp1 + prp2 + struct.pack("<H", high) +
            (edge if isinstance(edge, bytes) else bytes([edge])) + bytes([0, 0]))


def number(value):
    """Any number where a step takes an edge."""
    return bytes([17]) + struct.pack("<I", value)


def fire(times=16):
    return bytes([FIRE, times - 1])


def chain(where, first, data, last, odd=b"\1"):
    """A list at page `where`: whole, or its last entries alone."""
    return bytes([LIST, where, *first, data, 1]) + last + odd


WHOLE, TAIL = (0,), (1, 2)
STORAGE_GOOD, STORAGE_EIO = bytes([STORAGE, 0, OK]), bytes([STORAGE, 0, EIO])
COLLECT_ALL = bytes([COLLECT, 4])

CASES = {
    "every-admin-command": begin(MEMORY) + b"".join(
        admin(kind) + fire(2) + COLLECT_ALL for kind in range(FORMAT + 2)),
    "every-identify": begin(MEMORY) + b"".join(
        admin(IDENTIFY, cns) + fire(1) + COLLECT_ALL for cns in range(9)),
    "every-log": begin(FILES) + admin(12, 0) + b"".join(
        admin(GET_LOG, log, 1023, nsid=ALL) + fire(1) + COLLECT_ALL for log in range(8)),
    "every-feature": begin(FILES) + b"".join(
        admin(SET, feature, 0, value, nsid=ALL) + admin(GET, feature, nsid=ALL) + fire(2) +
        COLLECT_ALL for feature in range(18) for value in (0, 1, 5, 9)),
    "every-io-command": begin(FILES) + b"".join(
        io(kind, page(0), blocks=8) + fire(2) + STORAGE_GOOD + fire(2) for kind in range(VERIFY + 1)),
    "every-io-command-fails": begin(FILES) + b"".join(
        io(kind, page(0), blocks=8) + fire(2) + STORAGE_EIO + fire(2) for kind in range(VERIFY + 1)),
    "writes-to-read-only": begin(FILES_READ_ONLY) + b"".join(
        io(kind, page(0), blocks=8) + fire(2) for kind in range(VERIFY + 1)) + admin(FORMAT) + fire(),
    "no-space-in-format": begin(FILES) + admin(FORMAT, 1) + fire() + bytes([STORAGE, 0, ENOSPC]) +
        fire() + io(READ, page(0)) + fire(),
    "list-with-offset": begin(MEMORY) + chain(0, WHOLE, 20, page(9)) +
        io(WRITE, inside(40, 512), inside(0, 8), blocks=100) + fire(),
    "list-that-chains": begin(MEMORY) + chain(0, TAIL, 20, page(1)) + chain(1, WHOLE, 30, page(9)) +
        io(WRITE, page(40), last_entries(0, 2), blocks=128) + fire(),
    "list-that-loops": begin(MEMORY) + chain(0, TAIL, 20, page(0)) +
        io(READ, page(40), last_entries(0, 0), blocks=200) + fire(),
    "list-to-nowhere": begin(MEMORY) + chain(0, TAIL, 20, anywhere(0x123456789000)) +
        io(READ, page(40), last_entries(0, 0), blocks=200) + fire(),
    "list-entry-with-offset": begin(MEMORY) + chain(0, WHOLE, 20, page(9), b"\0\1" + inside(30, 64)) +
        io(READ, page(40), page(0), blocks=64) + fire(),
    "end-of-address-space": begin(MEMORY) +
        io(WRITE, anywhere(2**64 - 4096), anywhere(2**64 - 8192), blocks=16) + fire() +
        io(READ, anywhere(2**64 - 4), page(0), blocks=9) + fire(),
    "data-over-queues": begin(MEMORY) + io(READ, b"\3\0\0\x20", blocks=8) + fire() +
        io(READ, b"\3\0\0\x30", blocks=8) + fire() + COLLECT_ALL,
    "memory-freed-under-way": begin(FILES) + io(READ, page(0), blocks=8) + fire() +
        bytes([ACCESS, 8, 0, 0]) + STORAGE_GOOD + fire() + bytes([MAP_ALL, 0]) + io(READ, page(0)) +
        fire() + STORAGE_GOOD + fire(),
    "queues-freed-under-way": begin(FILES) + io(WRITE, page(0)) + fire() + bytes([ACCESS, 0, 7, 0]) +
        STORAGE_GOOD + fire() + bytes([ENABLE, 1, 0, 0, 1]),
    "reset-under-way": begin(FILES) + b"".join(
        io(WRITE, page(0), block=i) for i in range(4)) + fire(1) + bytes([RESET, 0]) +
        bytes([ENABLE, 0, 0, 0, 1]) + STORAGE_EIO + STORAGE_GOOD * 3 + fire(),
    "disable-under-way": begin(FILES) + b"".join(
        io(READ, page(0), block=i) for i in range(4)) + fire(1) + bytes([ENABLE, 0, 0, 0, 1]) +
        STORAGE_GOOD * 4 + fire() + io(READ, page(0)) + fire(),
    "destroy-under-way": begin(FILES) + b"".join(
        io(kind, page(0), block=9) for kind in (WRITE, READ, COMPARE, ZEROES, VERIFY)) + fire(),
    "shutdown-under-way": begin(FILES) + io(WRITE, page(0)) + fire(1) + bytes([SHUTDOWN, 1]) +
        STORAGE_GOOD * 3 + fire() + bytes([SHUTDOWN, 0]) + fire() + io(READ, page(0)) + fire(),
    "shutdown-flush-fails": begin(FILES) + bytes([SHUTDOWN, 1]) + STORAGE_EIO + STORAGE_GOOD +
        bytes([ENABLE, 1, 0, 0, 1]) + io(READ, page(0)) + fire(),
    "delete-under-way": begin(FILES) + io(READ, page(0)) * 3 + fire(1) + admin(DELETE_SQ, 1) +
        admin(DELETE_SQ, 1) + admin(DELETE_CQ, 1) + fire() + STORAGE_GOOD * 3 + fire() +
        admin(DELETE_CQ, 1) + fire(),
    "abort-between-steps": begin(MEMORY) + admin(FORMAT, nsid=ALL) + admin(ABORT, 0) + fire(1) +
        admin(EVENT) * 6 + admin(ABORT, 0, 5) + fire(),
    "completion-queue-full": begin(MEMORY) + (io(READ, page(0)) * 14 + fire()) * 3 + COLLECT_ALL +
        fire(),
    "more-under-way-than-room": begin(FILES) + (io(READ, page(0)) * 14 + fire()) * 3 +
        STORAGE_GOOD * 15 + fire() + COLLECT_ALL + fire() + STORAGE_GOOD * 15 + fire(),
    "four-thousand-commands": begin(MEMORY) + admin(CREATE_CQ, 2, 4095, 1, page(70)) +
        admin(CREATE_SQ, 2, 4095, number(0x20001), page(2)) + fire(2) +
        bytes([DOORBELL, 4, 1]) + number(4000) + fire() * 8,
    "one-command-id": begin(FILES) + (bytes([IO, 0, READ, 0, 15, 0]) + page(0) + page(1) +
        bytes([0, 0, 0, 0, 0])) * 4 + fire() + STORAGE_GOOD * 4 + fire(),
    "bad-doorbells": begin(MEMORY) + b"".join(
        bytes([DOORBELL, index, 0, 19]) + bytes([DOORBELL, index, 1, EDGE_FFFFFFFF])
        for index in (0, 1, 2, 3, 4, 5, 130)) + fire(),
    "pages-of-64k": begin(MEMORY, mps=4) + io(READ, page(8), page(24), blocks=136) + fire(),
    "sixty-four-queues": begin(FILES, queues=3) + bytes([CREATE, 1, 1]) + bytes([CREATE, 2, 1]) +
        (io(READ, page(0)) + io(READ, page(0), queue=2) + io(READ, page(0), queue=3)) * 3 + fire() +
        STORAGE_GOOD * 9 + fire(),
    "ranges-past-the-end": begin(MEMORY) + bytes([RANGES, 0, 3]) + bytes([0, 8, 0, 0]) * 2 +
        bytes([7, EDGE_FFFFFFFF, 7]) + b"\xff" * 8 + bytes([0, 8, 0, 0]) +
        io(DSM, page(0), block=3) + fire(),
    "uncorrectable": begin(MEMORY) + b"".join(
        io(UNCORRECTABLE, page(0), block=2 * i) + fire(1) for i in range(20)) +
        io(READ, page(0), blocks=8) + io(VERIFY, page(0), blocks=64) + fire() +
        io(ZEROES, page(0), blocks=64) + io(READ, page(0), blocks=8) + fire(),
    "no-bus-mastering": begin(FILES) + io(READ, page(0)) + fire(1) +
        bytes([CONFIG, 3, 1, 0, 0, 2, 0]) + STORAGE_GOOD + fire() + bytes([CONFIG, 3, 1, 0, 0, 6, 0]) +
        fire(),
    "d3-and-back": begin(FILES) + io(READ, page(0)) + fire(1) + bytes([CONFIG, 0, 1, 4, 0, 3, 0]) +
        STORAGE_GOOD + fire() + bytes([CONFIG, 0, 1, 4, 0, 0, 0]) + fire(),
    "function-level-reset": begin(FILES) + io(WRITE, page(0)) + fire(1) +
        bytes([CONFIG, 2, 1, 8, 0, 0, 0x80]) + STORAGE_GOOD + bytes([ENABLE, 0, 0, 0, 1]) +
        io(READ, page(0)) + fire(),
    "subsystem-reset": begin(FILES) + io(WRITE, page(0)) + fire(1) +
        bytes([REGISTER, 0, 0x20]) + b"eMVN" + STORAGE_GOOD + bytes([ENABLE, 0, 0, 0, 1]),
}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, content in CASES.items():
        (Path(sys.argv[1]) / name).write_bytes(content)

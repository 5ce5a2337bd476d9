#!/usr/bin/env python3
"""Write the hand-made inputs of corpus/replay for fuzz_replay.c: texts, and config spaces.

SPDX-License-Identifier: GPL-2.0-or-later

usage: make_replay_corpus.py DIRECTORY

Inputs that a run of the fuzzer found are named by their hash and are not made here.
"""
import struct
import sys
from pathlib import Path


def config(size=256, first=0x40, status=0x10, kind=0, bars=(), **pieces):
    """Config space; pieces are at_OFFSET=bytes."""
    out = bytearray(size)
    out[0:4] = b"\xcd\xab\x78\x56"
    struct.pack_into("<HH", out, 4, 0x547, status)
    out[0x0e], out[0x34] = kind, first
    for i, bar in enumerate(bars):
        struct.pack_into("<I", out, 0x10 + 4 * i, bar)
    for key, piece in pieces.items():
        at = int(key[3:], 16)
        out[at:at + len(piece)] = piece
    return bytes(out[:size])


def text(*functions, before=""):
    out = ""
    for address, content in functions:
        out += address + "\n" + before
        for at in range(0, len(content), 16):
            out += f"{at:02x}: " + " ".join(f"{b:02x}" for b in content[at:at + 16]) + "\n"
        out += "\n"
    return b"t" + out.encode()


def raw(content):
    return b"c" + content


def capability(identity, following, body):
    return bytes([identity, following]) + body


EVERYTHING = config(
    4096, bars=(0xe0001000, 0xf000000c, 0x10, 0xe001, 0x8, 1),
    at_40=capability(0x01, 0x50, b"\x03\x00\x0b\x01\x00\x00"),
    at_50=capability(0x05, 0x70, b"\x84\x01" + bytes(20)),
    at_70=capability(0x11, 0x80, b"\x0f\x00\x00\x80\x00\x00\x00\xc0\x00\x00"),
    at_80=capability(0x10, 0x00, b"\x02\x00\x01\x80\x00\x10"),
    at_100=b"\x01\x00\x02\x20", at_200=b"\x03\x00\x01\x00")
SIZES = ("\tRegion 0: Memory at e0001000 (32-bit, non-prefetchable) [size=64K]\n"
         "\tRegion 1: Memory at 10f0000000 (64-bit, prefetchable) [size=16G]\n"
         "\tI/O ports at e000 [size=32]\n"
         "\tMemory at <unassigned> (32-bit, prefetchable) [disabled] [size=1M]\n")

CASES = {
    "everything": raw(EVERYTHING),
    "everything-as-text": text(("01:00.0 x", EVERYTHING), before=SIZES),
    "header-alone": raw(config(64)),
    "header-too-short": raw(config(63)),
    "two-functions": text(("01:00.0 x", config()), ("0001:01:00.0 y", config(64))),
    "same-address": text(("01:00.0 x", config(64)), ("0000:01:00.0 y", config(64))),
    "bridge": raw(config(64, kind=0x81, bars=(0xe0000004, 0, 0x20201, 0xffffffff))),
    "cardbus": raw(config(128, kind=2, bars=(0xe0000004,))),
    "unknown-header": raw(config(64, kind=0x7e, bars=(0xe0000004,))),
    "dead": raw(b"\xff" * 256),
    "loop": raw(config(at_40=capability(9, 0x40, b"\x08"))),
    "loop-of-two": raw(config(at_40=capability(9, 0x44, b""), at_44=capability(9, 0x40, b""))),
    "list-into-the-header": raw(config(first=0x04)),
    "last-bytes": raw(config(first=0xfc, at_fc=b"\x11\xfc\xff\xff")),
    "every-capability-at-the-end": raw(config(
        first=0xf0, at_f0=capability(1, 0xf4, b""), at_f4=capability(5, 0xf8, b"\xff\xff"),
        at_f8=capability(0x10, 0xfc, b"\xff\xff"), at_fc=capability(0x11, 0xf0, b"\xff\xff"))),
    "msix-behind-its-bar": raw(config(
        bars=(0xe0000004, 0x7f), at_40=capability(0x11, 0, b"\xff\x07\xf8\xff\xff\xff\xf8\xff\xff\xff"))),
    "msix-table-on-its-pending-bits": raw(config(
        bars=(0xe0000000,), at_40=capability(0x11, 0, b"\x3f\x00\x08\x00\x00\x00\x08\x00\x00\x00"))),
    "msix-in-no-bar": raw(config(
        at_40=capability(0x11, 0, b"\x07\x00\x07\x00\x00\x00\x06\x00\x00\x00"))),
    "msix-in-ports": raw(config(
        bars=(0xe001,), at_40=capability(0x11, 0, b"\xff\x00\x00\x10\x00\x00\x00\x20\x00\x00"))),
    "bar-5-of-64-bits": raw(config(bars=(0, 0, 0, 0, 0, 0xe000000c))),
    "reserved-bar-types": raw(config(bars=(0xe0000002, 0xe0000006, 0xf000000e, 0x3))),
    "extended-loop": raw(config(4096, at_100=b"\x01\x00\x01\x10")),
    "extended-at-the-end": raw(config(4096, at_100=b"\x02\x00\xc1\xff", at_ffc=b"\x01\x00\x01\x00")),
    "no-newline": text(("01:00.0", config(64)))[:-2],
    "carriage-returns": text(("01:00.0 x", config(64))).replace(b"\n", b"\r\n"),
    "words": b"t01:00.0 words\nbe: careful\n00: 12\n",
    "wide-row": b"t01:00.0\n00:" + b" 00" * 5000,
    "bad-size": b"t01:00.0\n\tRegion 0: Memory at 0 [size=18446744073709551615G]\n",
    "size-without-end": b"t01:00.0\n\tRegion 0: Memory at 0 [size=",
    "region-without-end": b"t01:00.0\n\tRegion 0:",
}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, content in CASES.items():
        (Path(sys.argv[1]) / name).write_bytes(content)

#!/usr/bin/env python3
"""Write the hand-made inputs of corpus/vfiouser_codec and corpus/vfiouser_session: the messages of
the Python client in tests/vfiouser.

SPDX-License-Identifier: GPL-2.0-or-later

usage: make_vfiouser_corpus.py DIRECTORY

Inputs that a run of the fuzzer found are named by their hash and are not made here.
"""
import struct
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vfiouser"))
# pylint: disable=wrong-import-position
import vfiouser as vu

RAM = 0x80000000
GUEST, EVENT, FULL, NULL = (kind << 3 for kind in range(4))
AS_IT_IS = 0x80
NEGOTIATED, FROM_THE_START = b"\0", b"\1"


def said(text):
    return vu.message(vu.VERSION, vu.version_payload(1, text))


# Name: number of descriptors, message.
MESSAGES = {
    "version-qemu": (0, vu.message(vu.VERSION, vu.version_payload())),
    "version-bare": (0, said(None)),
    "version-twin": (0, said({"capabilities": {"twin_socket": {"supported": True}}})),
    "version-odd": (0, said({"capabilities": {"max_msg_fds": 1024, "write_multiple": False,
                                              "max_data_xfer_size": -1, "pgsizes": 4097,
                                              "migration": {"pgsize": "x"}}})),
    "dma-map": (1, vu.message(vu.DMA_MAP, vu.dma_map_payload(RAM, 1 << 20))),
    "dma-map-message": (0, vu.message(vu.DMA_MAP, vu.dma_map_payload(RAM, 1 << 20, flags=1))),
    "dma-map-wraps": (1, vu.message(vu.DMA_MAP, vu.dma_map_payload((1 << 64) - 4096, 8192))),
    "dma-unmap": (0, vu.message(vu.DMA_UNMAP, vu.dma_unmap_payload(RAM, 1 << 20))),
    "dma-unmap-all": (0, vu.message(vu.DMA_UNMAP, vu.dma_unmap_payload(0, 0, flags=2))),
    "info": (0, vu.message(vu.GET_INFO, vu.info_payload())),
    "region-info": (0, vu.message(vu.GET_REGION_INFO, vu.region_info_payload(2, argsz=80))),
    "io-fds": (0, vu.message(vu.GET_REGION_IO_FDS, vu.info_payload())),
    "irq-info": (0, vu.message(vu.GET_IRQ_INFO, vu.info_payload(vu.MSIX))),
    "irqs-eventfds": (2, vu.message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x24, 0, 2))),
    "irqs-none": (0, vu.message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x21, 1, 2))),
    "irqs-bool": (0, vu.message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x22, 0, 3,
                                                                 b"\1\0\1"))),
    "irqs-mask": (0, vu.message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x09, 0, 1))),
    "irqs-disable": (0, vu.message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, 0x21, 0, 0))),
    "read": (0, vu.message(vu.REGION_READ, vu.access_payload(vu.CONFIG, 0, 4096))),
    "write": (0, vu.message(vu.REGION_WRITE, vu.access_payload(vu.BAR0, 0x44, 4, b"abcd"))),
    "write-multi": (0, vu.message(vu.REGION_WRITE_MULTI, vu.multi_payload(
        [(vu.BAR0, 0x44, b"abcd"), (vu.BAR0, 0x48, b"12345678"), (vu.CONFIG, 4, b"\6\0")]))),
    "reset": (0, vu.message(vu.DEVICE_RESET)),
    "feature": (0, vu.message(vu.DEVICE_FEATURE, struct.pack("<IIQ", 16, 0x10001, 0))),
}


def record(message, how=0):
    return bytes([how]) + message


def read(region, offset, count):
    return record(vu.message(vu.REGION_READ, vu.access_payload(region, offset, count)))


def write(region, offset, width, value, posted=False):
    payload = vu.access_payload(region, offset, width, value.to_bytes(width, "little"))
    return record(vu.message(vu.REGION_WRITE, payload, kind=vu.NO_REPLY if posted else 0))


def register(offset, width, value):
    return write(vu.BAR0, offset, width, value)


def irqs(flags, start, count, how=0, data=b""):
    return record(vu.message(vu.SET_IRQS, vu.set_irqs_payload(vu.MSIX, flags, start, count, data)),
                  how)


def dma_map(address, size, how=GUEST | 1, **options):
    return record(vu.message(vu.DMA_MAP, vu.dma_map_payload(address, size, **options)), how)


def dma_unmap(address, size, **options):
    return record(vu.message(vu.DMA_UNMAP, vu.dma_unmap_payload(address, size, **options)))


ENABLE = write(vu.CONFIG, 4, 2, 6)
QUESTIONS = record(MESSAGES["info"][1]) + b"".join(
    record(vu.message(vu.GET_REGION_INFO, vu.region_info_payload(index, argsz=argsz)))
    for index in range(9) for argsz in (32, 80)) + b"".join(
        record(vu.message(vu.GET_IRQ_INFO, vu.info_payload(index))) for index in range(5))
COPY = (register(0x200, 8, RAM) + register(0x208, 8, RAM + 0x80000) + register(0x210, 8, 0x10000) +
        register(0x224, 4, 1) + register(0x22C, 4, 0x101))



def access(width, is_write=False):
    """A posted write lets the device ask for 4 bytes of the client's memory, and more."""
    return (write(vu.BAR0, 0x280, 8, RAM + 8, posted=True) +
            write(vu.BAR0, 0x290, 4, width | is_write << 8, posted=True))


def answer(number, command=vu.DMA_READ, count=4, data=b"abcd", address=RAM + 8, **header):
    """To the server's request of that number."""
    payload = struct.pack("<QQ", address, count) + data
    return record(vu.message(command, payload, number=number, **({"kind": vu.REPLY} | header)))


SERVED = NEGOTIATED + dma_map(RAM, 1 << 20, 0) + ENABLE
REFUSED = {"kind": vu.REPLY | vu.ERROR, "error": 19}

# Conversations.
CASES = {
    "answers": SERVED + access(4) + answer(1) + access(4, True) +
        answer(2, vu.DMA_WRITE, data=b"") + access(8) + answer(3, count=8, data=bytes(8)) +
        read(vu.BAR0, 0x288, 8) + dma_unmap(RAM, 1 << 20),
    "answers-among-commands": SERVED + access(4) + QUESTIONS + answer(1) + access(4) +
        record(vu.message(vu.DEVICE_RESET)) + ENABLE + answer(2) + access(4) +
        dma_unmap(RAM, 1 << 20) + answer(3) + access(4),
    "answers-that-are-wrong": SERVED + access(4) + answer(1, data=b"abc") + access(4) +
        answer(2, data=b"abcde") + access(4) + answer(3, address=RAM) + access(4) +
        answer(4, count=5) + access(4) + answer(7) + answer(5, **REFUSED) + access(4) +
        answer(6, data=b"", **REFUSED) + access(4) + answer(7, vu.DMA_WRITE) + access(4) +
        answer(8) + answer(8) + access(4, True) + answer(9, vu.DMA_WRITE, data=b"abcd"),
    "twin-socket": FROM_THE_START + record(said({"capabilities": {
        "twin_socket": {"supported": True}}})) + dma_map(RAM, 1 << 20, 0) + ENABLE + access(4) +
        answer(1) + read(vu.BAR0, 0x288, 8),
    "every-message": FROM_THE_START + b"".join(
        record(message, EVENT | count if "irqs" in name else GUEST | count)
        for name, (count, message) in MESSAGES.items() if "version" not in name or "qemu" in name),
    "questions": NEGOTIATED + QUESTIONS + read(vu.CONFIG, 0, 4096),
    "a-guest": NEGOTIATED + dma_map(RAM, 1 << 20) + ENABLE + irqs(0x24, 0, 4, EVENT | 4) + COPY +
        read(vu.BAR0, 0x228, 4) * 4 + irqs(0x21, 0, 0) + dma_unmap(RAM, 1 << 20),
    "goes-while-copying": NEGOTIATED + dma_map(RAM, 1 << 20) + ENABLE + COPY,
    "unmaps-while-copying": NEGOTIATED + dma_map(RAM, 1 << 20) + ENABLE + COPY +
        dma_unmap(0, 0, flags=2) + read(vu.BAR0, 0x228, 4),
    "resets-while-copying": NEGOTIATED + dma_map(RAM, 1 << 20) + ENABLE + COPY +
        record(vu.message(vu.DEVICE_RESET)) + ENABLE + COPY,
    "maps": NEGOTIATED + b"".join(dma_map(RAM + (i << 14), 1 << 14, offset=i << 14)
                                  for i in range(20)) + dma_map(RAM, 1 << 14) +
        dma_map(RAM - 4096, 8192) + dma_map(1 << 40, 1 << 20, 0) + dma_map(2 << 40, 1 << 20, flags=1) +
        dma_map(3 << 40, 2 << 20) + dma_map(4 << 40, 4096, NULL | 1) + dma_map(5 << 40, 4096, EVENT | 1) +
        dma_unmap(RAM + (1 << 14), 1 << 14) + dma_unmap(RAM, 1 << 15) + dma_unmap(0, 0, flags=2),
    "vectors": NEGOTIATED + irqs(0x24, 0, 1) + irqs(0x24, 0, 4, EVENT | 4) + irqs(0x24, 1, 2) +
        irqs(0x24, 1, 1, FULL | 1) + irqs(0x21, 0, 4) + irqs(0x22, 0, 4, data=b"\0\1\1\0") +
        irqs(0x09, 0, 2) + register(0x100, 4, 0) + irqs(0x11, 0, 2) + irqs(0x24, 0, 1, NULL | 1) +
        register(0x100, 4, 0) + irqs(0x24, 0, 7, EVENT | 7) + irqs(0x21, 0, 0),
    "config-writes": NEGOTIATED + b"".join(write(vu.CONFIG, offset, width, (1 << 8 * width) - 1)
                                           for offset in range(0, 0x100, 4) for width in (4,)) +
        read(vu.CONFIG, 0, 256),
    "function-level-reset": NEGOTIATED + ENABLE + b"".join(
        write(vu.CONFIG, offset + 9, 1, 0x80) for offset in range(0x40, 0xC0, 4)) + read(vu.BAR0, 0, 4),
    "sleep": NEGOTIATED + ENABLE + write(vu.CONFIG, 0x44, 2, 3) + read(vu.BAR0, 0, 4) +
        write(vu.CONFIG, 0x44, 2, 0) + read(vu.BAR0, 0, 4),
    "posted": NEGOTIATED + write(vu.BAR0, 0x44, 4, 1, posted=True) * 30 +
        record(vu.message(vu.REGION_WRITE_MULTI, vu.multi_payload(
            [(vu.BAR0, 0x44, b"abcd"), (vu.BAR2, 0x7FFE, b"12345678")] * 20), kind=vu.NO_REPLY)) +
        read(vu.BAR0, 0x44, 4),
    "odd-accesses": NEGOTIATED + read(vu.BAR0, 0, 65536) + read(vu.BAR2, 3, 40000) +
        read(vu.BAR2, 32767, 16387) + read(vu.BAR1, 1, 7) + read(vu.BAR4, 65535, 2) +
        read(vu.CONFIG, 1, 4095) + read(vu.BAR0, 0, 0) + read(vu.BAR0, (1 << 64) - 1, 2),
    "die": NEGOTIATED + register(0x30, 4, 0xDEADD1E5) + read(vu.BAR0, 0, 4) +
        record(vu.message(vu.DEVICE_RESET)) + read(vu.BAR0, 0, 4),
    "size-of-15": NEGOTIATED + record(vu.message(vu.GET_INFO, size=15), AS_IT_IS),
    "size-of-4g": NEGOTIATED + record(vu.message(vu.REGION_WRITE, size=0xFFFFFFFF), AS_IT_IS),
    "ends-inside": NEGOTIATED + record(vu.message(vu.REGION_WRITE, bytes(40), size=200), AS_IT_IS),
    "reply-of-nobody": NEGOTIATED + record(vu.message(vu.DMA_READ, bytes(32), kind=vu.REPLY)) +
        record(MESSAGES["info"][1]),
    "two-versions": FROM_THE_START + record(MESSAGES["version-qemu"][1]) * 2,
    "no-version": FROM_THE_START + record(MESSAGES["info"][1]),
}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for folder, contents in (("vfiouser_codec", {name: bytes([count]) + message for
                                                 name, (count, message) in MESSAGES.items()}),
                             ("vfiouser_session", CASES)):
        (Path(sys.argv[1]) / folder).mkdir(exist_ok=True)
        for name, content in contents.items():
            (Path(sys.argv[1]) / folder / name).write_bytes(content)

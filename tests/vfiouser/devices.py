"""The simulated devices as their drivers see them, written from docs/edu.md, docs/testdev.md and
the NVM Express specification.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import struct
import time

import vfiouser as vu

COMMAND, STATUS, BAR_REGISTERS, ROM_REGISTER, CAPABILITIES, LINE, PIN = \
    0x04, 0x06, 0x10, 0x30, 0x34, 0x3C, 0x3D
IO_MEMORY_MASTER, MEMORY_MASTER = 7, 6
CAP_POWER, CAP_MSI, CAP_VENDOR, CAP_PCIE, CAP_MSIX = 1, 5, 9, 0x10, 0x11
PCIE_FLR = 0x8000
ONES_4, ONES_8 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


class Config:
    """Config space through a client."""

    def __init__(self, client):
        self.client = client

    def get(self, offset, width):
        return self.client.read_number(vu.CONFIG, offset, width)

    def set(self, offset, width, value):
        self.client.write_number(vu.CONFIG, offset, width, value)

    def capabilities(self):
        """Pairs of id and offset in the order of the list."""
        found, at = [], self.get(CAPABILITIES, 1)
        while at:
            if at < 0x40 or at & 3 or len(found) > 48:
                raise ValueError(f"capability at {at:#x}")
            found.append((self.get(at, 1), at))
            at = self.get(at + 1, 1)
        return found

    def capability(self, kind):
        return dict(self.capabilities())[kind]

    def extended(self):
        """Pairs of id and offset of the extended list."""
        found, at = [], 0x100
        while at:
            header = self.get(at, 4)
            found.append((header & 0xFFFF, at))
            at = header >> 20
            if at and (at < 0x100 or at & 3 or len(found) > 100):
                raise ValueError(f"extended capability at {at:#x}")
        return found

    def enable(self, bits=MEMORY_MASTER):
        self.set(COMMAND, 2, bits)


class Registers:
    """Registers of one region."""

    def __init__(self, client, region=vu.BAR0):
        self.client, self.region = client, region

    def read(self, offset, width=4):
        return self.client.read_number(self.region, offset, width)

    def write(self, offset, value, width=4, *, posted=False):
        self.client.write_number(self.region, offset, width, value, posted=posted)

    def wait(self, offset, mask, wanted, width=4, seconds=120):
        """The register, once its masked bits are as wanted."""
        end = time.monotonic() + seconds
        while (value := self.read(offset, width)) & mask != wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"register {offset:#x} is {value:#x}")
        return value


class Testdev(Registers):
    """docs/testdev.md"""
    VECTORS, GENERATION, LAST_RESET = 0x008, 0x028, 0x02C
    SCRATCH = {1: 0x040, 2: 0x042, 4: 0x044, 8: 0x048}
    SCRATCH_ANY = 0x050
    COUNT_READ, COUNT_WRITE, LAST_OFFSET, LAST_VALUE, LAST_ACCESS, COUNT_CLEAR = \
        0x080, 0x090, 0x0A0, 0x0A8, 0x0B0, 0x0B4
    FIRE, FIRE_RESULT = 0x100, 0x104
    TIMER_FIRST, TIMER_SPAN, TIMER_PERIOD, TIMER_COUNT, TIMER_CONTROL, TIMER_TICKS = \
        0x108, 0x10C, 0x110, 0x118, 0x11C, 0x120
    SOURCE, DESTINATION, LENGTH, PATTERN, REQUEST, VECTOR, COPY_STATUS, COPY_COMMAND, COPY_DONE, \
        COPY_FAULT, COPY_ERROR = 0x200, 0x208, 0x210, 0x218, 0x220, 0x224, 0x228, 0x22C, 0x230, \
        0x238, 0x240
    COPY, FILL, FIRE_AT_END = 1, 2, 0x100
    RUNNING, DONE, FAILED = 1, 2, 3
    ACCESS_ADDRESS, ACCESS_DATA, ACCESS_COMMAND, ACCESS_STATUS = 0x280, 0x288, 0x290, 0x294
    MSIX_TABLE = 0x8000
    WINDOW_BYTES = 16384

    def access_read(self, address, width):
        """What the device reads at a bus address, and the access's status."""
        self.write(self.ACCESS_ADDRESS, address, 8)
        self.write(self.ACCESS_COMMAND, width)
        return self.read(self.ACCESS_DATA, 8), self.read(self.ACCESS_STATUS)

    def access_write(self, address, width, value):
        self.write(self.ACCESS_ADDRESS, address, 8)
        self.write(self.ACCESS_DATA, value, 8)
        self.write(self.ACCESS_COMMAND, width | 0x100)
        return self.read(self.ACCESS_STATUS)

    def start_copy(self, source, destination, length, command=COPY):
        self.write(self.SOURCE, source, 8)
        self.write(self.DESTINATION, destination, 8)
        self.write(self.LENGTH, length, 8)
        self.write(self.COPY_COMMAND, command, posted=True)

    def copy(self, source, destination, length, command=COPY):
        """Status and error of a copy, at its end."""
        self.start_copy(source, destination, length, command)
        end = time.monotonic() + 120
        while (status := self.read(self.COPY_STATUS)) == self.RUNNING:
            if time.monotonic() > end:
                raise TimeoutError("the copy goes on")
        return status, self.read(self.COPY_ERROR)


class Edu(Registers):
    """docs/edu.md"""
    ID, LIVENESS, FACTORIAL, COMPUTING, IRQ_STATUS, IRQ_RAISE, IRQ_ACKNOWLEDGE = \
        0x00, 0x04, 0x08, 0x20, 0x24, 0x60, 0x64
    SOURCE, DESTINATION, COUNT, RUN = 0x80, 0x88, 0x90, 0x98
    BUFFER = 0x40000

    def transfer(self, source, destination, count, command=1):
        self.write(self.SOURCE, source, 8)
        self.write(self.DESTINATION, destination, 8)
        self.write(self.COUNT, count, 8)
        self.write(self.RUN, command)
        self.wait(self.RUN, 1, 0)

    def to_buffer(self, source, count, flags=0):
        self.transfer(source, self.BUFFER, count, 1 | flags)

    def from_buffer(self, destination, count, flags=0):
        self.transfer(self.BUFFER, destination, count, 3 | flags)


class Nvme(Registers):
    """An NVM Express controller with an admin queue and one pair of I/O queues."""
    CAP, CC, CSTS, AQA, ASQ, ACQ, DOORBELLS = 0x00, 0x14, 0x1C, 0x24, 0x28, 0x30, 0x1000
    ENTRIES = 16

    def __init__(self, client, memory, base):
        """Queues go into the first 16 KiB of memory, which the device sees at base."""
        super().__init__(client)
        self.memory, self.base = memory, base
        self.stride = 4 << (self.read(self.CAP + 4) & 0xF)
        self.doorbells = None  # a mapping of their page, to be used instead of messages
        self.tails, self.heads, self.phases = [0, 0], [0, 0], [1, 1]

    def submission(self, queue):
        return 0x2000 * queue

    def completion(self, queue):
        return 0x2000 * queue + 0x1000

    def enable(self):
        self.write(self.CC, 0)
        self.wait(self.CSTS, 1, 0)
        self.memory.map[:0x4000] = bytes(0x4000)
        self.write(self.AQA, (self.ENTRIES - 1) << 16 | (self.ENTRIES - 1))
        self.write(self.ASQ, self.base + self.submission(0), 8)
        self.write(self.ACQ, self.base + self.completion(0), 8)
        self.write(self.CC, 4 << 20 | 6 << 16 | 1)
        self.wait(self.CSTS, 3, 1)

    def ring(self, number, value):
        at = number * self.stride
        if self.doorbells is None:
            self.write(self.DOORBELLS + at, value, posted=True)
        else:
            self.doorbells[at:at + 4] = struct.pack("<I", value)

    def submit(self, queue, opcode, *, namespace=0, data=0, words=()):
        """data: bus address of a page."""
        words = [*words, *[0] * (6 - len(words))]
        entry = struct.pack("<IIQQQQ6I", opcode | (self.tails[queue] + 1) << 16, namespace, 0, 0,
                            data, 0, *words)
        at = self.submission(queue) + 64 * self.tails[queue]
        self.memory.map[at:at + 64] = entry
        self.tails[queue] = (self.tails[queue] + 1) % self.ENTRIES
        self.ring(2 * queue, self.tails[queue])

    def completed(self, queue, seconds=120):
        """The status of the next completion, once it is there."""
        at = self.completion(queue) + 16 * self.heads[queue]
        end = time.monotonic() + seconds
        while True:
            status, = struct.unpack_from("<H", self.memory.map, at + 14)
            if status & 1 == self.phases[queue]:
                break
            if time.monotonic() > end:
                raise TimeoutError("no completion")
            time.sleep(0.0005)
        self.heads[queue] = (self.heads[queue] + 1) % self.ENTRIES
        if self.heads[queue] == 0:
            self.phases[queue] ^= 1
        self.ring(2 * queue + 1, self.heads[queue])
        return status >> 1

    def run(self, queue, opcode, **options):
        self.submit(queue, opcode, **options)
        return self.completed(queue)

    def create_queues(self, vector):
        """The I/O queues; completions fire vector. Statuses of both commands."""
        size = (self.ENTRIES - 1) << 16 | 1
        return (self.run(0, 0x05, data=self.base + self.completion(1),
                         words=[size, vector << 16 | 3]),
                self.run(0, 0x01, data=self.base + self.submission(1), words=[size, 1 << 16 | 1]))

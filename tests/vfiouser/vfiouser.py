"""The vfio-user protocol as a client speaks it, written from the protocol's description alone.

A second implementation: it shares no code and no constant with src/vfiouser.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import array
import errno
import json
import mmap
import os
import select
import socket
import struct
from dataclasses import dataclass, field

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS, GET_IRQ_INFO, SET_IRQS, \
    REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE, DEVICE_RESET, DIRTY_PAGES, REGION_WRITE_MULTI, \
    DEVICE_FEATURE, MIG_DATA_READ, MIG_DATA_WRITE = range(1, 19)

HEADER = struct.Struct("<HHIII")  # id, command, size, flags, error
COMMAND, REPLY, NO_REPLY, ERROR = 0, 1, 0x10, 0x20

MAP_READ, MAP_WRITE = 1, 2
UNMAP_ALL = 2
INFO_RESET, INFO_PCI = 1, 2
REGION_READABLE, REGION_WRITABLE, REGION_MMAP, REGION_CAPS = 1, 2, 4, 8
CAP_SPARSE = 1
BAR0, BAR1, BAR2, BAR3, BAR4, BAR5, ROM, CONFIG, VGA = range(9)
INTX, MSI, MSIX, ERR, REQ = range(5)
IRQ_EVENTFD, IRQ_MASKABLE, IRQ_AUTOMASKED, IRQ_NORESIZE = 1, 2, 4, 8
DATA_NONE, DATA_BOOL, DATA_EVENTFD = 1, 2, 4
MASK, UNMASK, TRIGGER = 8, 0x10, 0x20

SECONDS = 120  # for an answer, on a machine that is busy
MAX_DATA = 1 << 20
# What QEMU 11.1 says: with its spacing these are the 194 bytes, NUL included, that it sends.
QEMU = {"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535,
                         "max_data_xfer_size": 1048576,
                         "migration": {"max_bitmap_size": 268435456, "pgsize": 4096},
                         "write_multiple": True}}
MAX_FDS = 64


class Closed(Exception):
    """The server closed the connection, between messages or inside one."""


class Failed(Exception):
    """The server's reply was an error."""

    def __init__(self, number):
        super().__init__(errno.errorcode.get(number, str(number)))
        self.errno = number


@dataclass
class Message:
    """One message as it came."""
    id: int
    command: int
    flags: int
    error: int
    payload: bytes
    fds: list = field(default_factory=list)

    def close_fds(self):
        while self.fds:
            os.close(self.fds.pop())


@dataclass
class RegionInfo:
    """A reply to GET_REGION_INFO; areas is None without a sparse capability."""
    argsz: int
    flags: int
    cap_offset: int
    size: int
    offset: int
    areas: list
    fds: list


def message(command, payload=b"", *, number=1, kind=COMMAND, size=None, error=0):
    """The bytes of a message, with a header that may lie."""
    size = HEADER.size + len(payload) if size is None else size
    return HEADER.pack(number & 0xFFFF, command, size, kind, error) + payload


def version_payload(minor=0, said=QEMU, major=0):
    """said: a dict, the bytes themselves, or None for none at all."""
    if isinstance(said, dict):
        said = json.dumps(said).encode() + b"\0"
    return struct.pack("<HH", major, minor) + (said or b"")


def dma_map_payload(address, size, *, offset=0, flags=MAP_READ | MAP_WRITE, argsz=32):
    return struct.pack("<IIQQQ", argsz, flags, offset, address, size)


def dma_unmap_payload(address, size, *, flags=0, argsz=24):
    return struct.pack("<IIQQ", argsz, flags, address, size)


def region_info_payload(index, *, argsz=32):
    return struct.pack("<IIIIQQ", argsz, 0, index, 0, 0, 0)


def info_payload(first=0, second=0, *, argsz=16):
    """GET_INFO, GET_IRQ_INFO (index first) and GET_REGION_IO_FDS."""
    return struct.pack("<IIII", argsz, 0, first, second)


def set_irqs_payload(index, flags, start, count, data=b"", *, argsz=None):
    argsz = 20 + len(data) if argsz is None else argsz
    return struct.pack("<IIIII", argsz, flags, index, start, count) + data


def access_payload(region, offset, count, data=b""):
    return struct.pack("<QII", offset, region, count) + data


def multi_payload(writes, count=None):
    """writes: (region, offset, bytes of at most 8)."""
    count = len(writes) if count is None else count
    return struct.pack("<Q", count) + b"".join(
        struct.pack("<QII8s", offset, region, len(data), data) for region, offset, data in writes)


class Client:
    """One connection. memory, when given, answers the server's DMA requests: it has
    read(address, count) and write(address, data), which return None where there is nothing."""

    def __init__(self, path, *, timeout=SECONDS, memory=None):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(str(path))
        except OSError:
            self.sock.close()
            raise
        self.next_id = 0
        self.memory = memory
        self.served = []  # the server's requests: (command, address, count)
        self.capabilities = {}

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending and receiving

    def send_bytes(self, data, fds=()):
        """Send all of data; fds travel with its first byte."""
        while data:
            sent = socket.send_fds(self.sock, [data], list(fds))
            data, fds = data[sent:], ()

    def send(self, command, payload=b"", fds=(), **header):
        """Send a command; its id."""
        number = header.setdefault("number", self.next_id)
        self.next_id = (self.next_id + 1) & 0xFFFF
        self.send_bytes(message(command, payload, **header), fds)
        return number

    def _read(self, count, fds):
        data = b""
        while len(data) < count:
            room = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)
            try:
                more, control, flags, _ = self.sock.recvmsg(count - len(data), room,
                                                            socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:
                more, control, flags = b"", [], 0
            for level, kind, value in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    numbers = array.array("i")
                    numbers.frombytes(value[:len(value) - len(value) % numbers.itemsize])
                    fds += numbers
            if flags & socket.MSG_CTRUNC:
                raise ValueError("descriptors were cut off")
            if not more:
                raise Closed()
            data += more
        return data

    def receive(self):
        """The next message, whatever it is; Closed when there is none."""
        fds = []
        number, command, size, flags, error = HEADER.unpack(self._read(HEADER.size, fds))
        if size < HEADER.size or size > HEADER.size + 40 + MAX_DATA:
            raise ValueError(f"a message of {size} bytes")
        return Message(number, command, flags, error, self._read(size - HEADER.size, fds), fds)

    def is_silent(self, seconds=0.2):
        """Whether nothing comes, nor the end of the stream, for a while."""
        return not select.select([self.sock], [], [], seconds)[0]

    def receive_reply(self, number, command):
        """The reply to a command; requests of the server that come before it are served."""
        while True:
            reply = self.receive()
            if reply.flags & 0xF == COMMAND:
                self.serve(reply)
                continue
            if (reply.id, reply.command) != (number, command):
                raise ValueError(f"reply to {reply.id}, {reply.command}, not {number}, {command}")
            if reply.flags not in (REPLY, REPLY | ERROR):
                raise ValueError(f"reply with flags {reply.flags:#x}")
            if bool(reply.error) != bool(reply.flags & ERROR):
                raise ValueError(f"errno {reply.error} with flags {reply.flags:#x}")
            return reply

    def serve(self, request):
        """Answer a DMA request of the server from self.memory."""
        if request.fds or request.command not in (DMA_READ, DMA_WRITE) or len(request.payload) < 16:
            raise ValueError(f"request of the server: {request}")
        address, count = struct.unpack("<QQ", request.payload[:16])
        data = request.payload[16:]
        if len(data) != (count if request.command == DMA_WRITE else 0):
            raise ValueError(f"{len(data)} bytes for a DMA request of {count}")
        self.served.append((request.command, address, count))
        if request.command == DMA_READ:
            out = self.memory.read(address, count) if self.memory else None
            found = out is not None
        else:
            out = b""
            found = bool(self.memory) and self.memory.write(address, data) is not None
        if request.flags & NO_REPLY:
            return
        if found:
            self.send_bytes(message(request.command, request.payload[:16] + out, number=request.id,
                                    kind=REPLY))
        else:
            self.send_bytes(message(request.command, number=request.id, kind=REPLY | ERROR,
                                    error=errno.ENODEV))

    # Requests

    def ask(self, command, payload=b"", fds=(), **header):
        """Send a command and receive its reply, good or bad; the reply's fds are the caller's."""
        return self.receive_reply(self.send(command, payload, fds, **header), command)

    def errno(self, command, payload=b"", fds=(), **header):
        """The errno of the reply, 0 for success."""
        reply = self.ask(command, payload, fds, **header)
        reply.close_fds()
        return reply.error

    def request(self, command, payload=b"", fds=(), want_fds=False, **header):
        """The reply's payload, or the reply itself when it may have fds; Failed for an error."""
        reply = self.ask(command, payload, fds, **header)
        if reply.flags & ERROR:
            reply.close_fds()
            raise Failed(reply.error)
        if want_fds:
            return reply
        if reply.fds:
            reply.close_fds()
            raise ValueError("descriptors in a reply that has none")
        return reply.payload

    def version(self, minor=0, said=QEMU):
        """Negotiate; returns (major, minor, dict or None), and keeps the capabilities."""
        payload = self.request(VERSION, version_payload(minor, said))
        text = payload[4:]
        if text and text[-1:] != b"\0":
            raise ValueError("the server's JSON does not end in NUL")
        answer = json.loads(text[:-1]) if text else None
        self.capabilities = (answer or {}).get("capabilities", {})
        return (*struct.unpack("<HH", payload[:4]), answer)

    def dma_map(self, address, size, fd=None, **options):
        self.request(DMA_MAP, dma_map_payload(address, size, **options),
                     () if fd is None else (fd,))

    def dma_unmap(self, address, size, **options):
        return self.request(DMA_UNMAP, dma_unmap_payload(address, size, **options))

    def dma_unmap_all(self):
        return self.dma_unmap(0, 0, flags=UNMAP_ALL)

    def info(self):
        """flags, regions, kinds of interrupt."""
        argsz, *rest = struct.unpack("<IIII", self.request(GET_INFO, info_payload()))
        if argsz != 16:
            raise ValueError(f"argsz {argsz}")
        return rest

    def region_info_once(self, index, argsz=32):
        """One GET_REGION_INFO with this argsz."""
        reply = self.request(GET_REGION_INFO, region_info_payload(index, argsz=argsz),
                             want_fds=True)
        said, flags, _, cap_offset, size, offset = struct.unpack("<IIIIQQ", reply.payload[:32])
        areas = None
        at = cap_offset if flags & REGION_CAPS else 0
        while at:
            kind, _, following = struct.unpack_from("<HHI", reply.payload, at)
            if kind == CAP_SPARSE:
                count, = struct.unpack_from("<I", reply.payload, at + 8)
                areas = [struct.unpack_from("<QQ", reply.payload, at + 16 + 16 * i)
                         for i in range(count)]
            at = following
        if struct.unpack_from("<I", reply.payload, 8)[0] != index:
            raise ValueError("information about another region")
        return RegionInfo(said, flags, cap_offset, size, offset, areas, reply.fds)

    def region_info(self, index):
        """As a VMM asks: again with the argsz that the first answer wants."""
        info = self.region_info_once(index)
        if info.argsz > 32:
            for fd in info.fds:
                os.close(fd)
            info = self.region_info_once(index, info.argsz)
        return info

    def irq_info(self, index):
        """flags, count."""
        argsz, flags, said, count = struct.unpack("<IIII", self.request(GET_IRQ_INFO,
                                                                        info_payload(index)))
        if (argsz, said) != (16, index):
            raise ValueError(f"argsz {argsz}, index {said}")
        return flags, count

    def set_irqs(self, index, flags, start, count, data=b"", *, fds=()):
        self.request(SET_IRQS, set_irqs_payload(index, flags, start, count, data), fds)

    def read(self, region, offset, count):
        payload = self.request(REGION_READ, access_payload(region, offset, count))
        if payload[:16] != access_payload(region, offset, count) or len(payload) != 16 + count:
            raise ValueError(f"{len(payload)} bytes for a read of {count}")
        return payload[16:]

    def write(self, region, offset, data, *, posted=False):
        payload = access_payload(region, offset, len(data), data)
        if posted:
            self.send(REGION_WRITE, payload, kind=NO_REPLY)
        else:
            self.request(REGION_WRITE, payload)

    def read_number(self, region, offset, width):
        return int.from_bytes(self.read(region, offset, width), "little")

    def write_number(self, region, offset, width, value, *, posted=False):
        self.write(region, offset, value.to_bytes(width, "little"), posted=posted)

    def reset(self):
        self.request(DEVICE_RESET)


class GuestMemory:
    """Memory of a guest: a file that both sides map."""

    def __init__(self, size, name="guest"):
        self.size = size
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)

    def close(self):
        self.map.close()
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class EventFds:
    """Eventfds to hand over, and what arrived in them; pipes, as a VMM has them on a system without
    eventfds, where the build is for such systems."""

    def __init__(self, count):
        self.is_pipes = os.environ.get("DEXTLINK_TEST_OS") == "portable"
        if self.is_pipes:
            pairs = [os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) for _ in range(count)]
        else:
            pairs = [(fd, fd) for fd in (os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                                         for _ in range(count))]
        self.ends = [reader for reader, _ in pairs]  # to wait on
        self.fds = [writer for _, writer in pairs]   # to hand over

    def close(self):
        for fd in {*self.ends, *self.fds}:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def taken(self, index=0, seconds=0):
        """The count of one, after it has become readable or the time is over; then it is 0."""
        if not select.select([self.ends[index]], [], [], seconds)[0]:
            return 0
        if self.is_pipes:
            data = os.read(self.ends[index], 65536)
            return sum(struct.unpack(f"={len(data) // 8}Q", data))
        return os.eventfd_read(self.ends[index])

    def arrived(self, index=0):
        """The count of one, as soon as there is one."""
        return self.taken(index, SECONDS)

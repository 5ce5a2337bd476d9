"""The frames between a client process and a host, written from docs/wire.md alone.

A second implementation: it shares no code and no constant with src/wire.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import mmap
import os
import socket
import struct
import time
from dataclasses import dataclass, field

MAGIC = 0x314C5844
VERSION = 1
MAX_PAYLOAD = 4 * 1024 * 1024 + 65536
MAX_FDS = 8
HEADER = struct.Struct("=IHHIiQQ")  # magic, type, fds, payload bytes, status, call id, sequence

HELLO, MATCH, ENTRY, OPEN, NOTIFY_ADD, NOTIFY_REMOVE, INTEREST_ADD = range(1, 8)
MEMORY_OPEN, MEMORY_SERVE, MEMORY_WITHDRAW, MEMORY_CLOSE, WAKE_OPEN = range(8, 13)
CALL, MAP, ACCESS, CLOSE, SLOTS, KICK, CALL_AT = range(16, 23)
EVENT_COMPLETION, EVENT_MATCH, EVENT_DEAD, EVENT_INTEREST, EVENT_WAKE = range(32, 37)
MEMORY_READ, MEMORY_WRITE = 48, 49
PUBLISH, TERMINATED = 1, 2
ASYNC = 1

STRING, NUMBER, DATA, BOOLEAN, ARRAY, DICTIONARY = range(1, 7)

SUCCESS = 0
NO_MEMORY = 0xE00002BD
NO_RESOURCES = 0xE00002BE
IPC_ERROR = 0xE00002BF
NO_DEVICE = 0xE00002C0
BAD_ARGUMENT = 0xE00002C2
UNSUPPORTED = 0xE00002C7
VM_ERROR = 0xE00002C8
NOT_OPEN = 0xE00002CD
NOT_ALIGNED = 0xE00002D0
STILL_OPEN = 0xE00002D2
NOT_READY = 0xE00002D8
NOT_PERMITTED = 0xE00002E2
NO_SPACE = 0xE00002DB
OVERRUN = 0xE00002E8
NOT_FOUND = 0xE00002F0
DEAD_NAME = 0x10000003
SERVICE_IS_TERMINATED = 0xE0000010


class Closed(Exception):
    """The other end closed the stream, between frames (whole) or inside one."""

    def __init__(self, is_whole):
        super().__init__("between frames" if is_whole else "inside a frame")
        self.is_whole = is_whole


class Refused(Exception):
    """The host's answer to HELLO was not success."""

    def __init__(self, status):
        super().__init__(hex(status))
        self.status = status


@dataclass
class Frame:
    """One frame as it came."""
    type: int
    status: int
    call_id: int
    sequence: int
    payload: bytes
    fds: list = field(default_factory=list)

    def close_fds(self):
        """Close the descriptors nobody took."""
        while self.fds:
            os.close(self.fds.pop())


def u32(*numbers):
    return struct.pack(f"={len(numbers)}I", *(n & 0xFFFFFFFF for n in numbers))


def u64(*numbers):
    return struct.pack(f"={len(numbers)}Q", *(n & 0xFFFFFFFFFFFFFFFF for n in numbers))


@dataclass(frozen=True)
class Number:
    """A number value of a given width; a plain int is one of 64 bits."""
    value: int
    bits: int = 64


def encode_value(value):
    """A property value: str, bool, int or Number, bytes, list, dict of str."""
    if isinstance(value, str):
        text = value.encode()
        return u32(STRING, len(text)) + text
    if isinstance(value, bool):
        return u32(BOOLEAN, 0) + u64(int(value))
    if isinstance(value, int):
        value = Number(value)
    if isinstance(value, Number):
        return u32(NUMBER, value.bits) + u64(value.value)
    if isinstance(value, bytes):
        return u32(DATA, len(value)) + value
    if isinstance(value, list):
        return u32(ARRAY, len(value)) + b"".join(map(encode_value, value))
    out = [u32(DICTIONARY, len(value))]
    for key, item in value.items():
        out += [u32(len(key.encode())), key.encode(), encode_value(item)]
    return b"".join(out)


class Reader:
    """Reads a payload from its start; every read past the end is a struct.error."""

    def __init__(self, payload):
        self.payload = payload
        self.at = 0

    def bytes(self, count):
        if count > len(self.payload) - self.at:
            raise struct.error("past the end")
        self.at += count
        return self.payload[self.at - count:self.at]

    def u32(self):
        return struct.unpack("=I", self.bytes(4))[0]

    def u64(self):
        return struct.unpack("=Q", self.bytes(8))[0]

    def u64s(self, count):
        return list(struct.unpack(f"={count}Q", self.bytes(8 * count)))

    def value(self):
        kind = self.u32()
        if kind in (STRING, DATA):
            data = self.bytes(self.u32())
            return data.decode() if kind == STRING else data
        if kind in (NUMBER, BOOLEAN):
            bits, number = self.u32(), struct.unpack("=q", self.bytes(8))[0]
            return bool(number) if kind == BOOLEAN else Number(number, bits)
        count = self.u32()
        if kind == ARRAY:
            return [self.value() for _ in range(count)]
        if kind != DICTIONARY:
            raise ValueError(f"value of type {kind}")
        out = {}
        for _ in range(count):
            key = self.bytes(self.u32()).decode()
            out[key] = self.value()
        return out

    def end(self):
        if self.at != len(self.payload):
            raise ValueError(f"{len(self.payload) - self.at} bytes are left")


class Channel:
    """One stream socket and the frames on it."""

    def __init__(self, sock):
        self.sock = sock
        self.sequence = 0

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_bytes(self, data, fds=()):
        """Send all of data; fds travel with its first byte."""
        while data:
            sent = socket.send_fds(self.sock, [data], list(fds))
            data, fds = data[sent:], ()

    def frame(self, kind, payload=b"", *, fd_count=0, magic=MAGIC, payload_bytes=None,
              call_id=0):
        """The bytes of a frame, with a header that may lie."""
        self.sequence += 1
        length = len(payload) if payload_bytes is None else payload_bytes
        return HEADER.pack(magic, kind, fd_count, length, 0, call_id, self.sequence) + payload

    def send(self, kind, payload=b"", fds=(), **header):
        header.setdefault("fd_count", len(fds))
        self.send_bytes(self.frame(kind, payload, **header), fds)

    def _read(self, count, fds, is_first):
        data = b""
        while len(data) < count:
            more, came, flags, _ = socket.recv_fds(self.sock, count - len(data), MAX_FDS)
            fds += came
            if not more:
                raise Closed(is_first and not data)
            if flags & socket.MSG_CTRUNC:
                raise ValueError("more descriptors than a frame may have")
            data += more
        return data

    def receive(self):
        """The next frame; Closed when there is none."""
        fds = []
        magic, kind, count, length, status, call_id, sequence = HEADER.unpack(
            self._read(HEADER.size, fds, True))
        if magic != MAGIC or length > MAX_PAYLOAD:
            raise ValueError(f"bad header: {magic:#x}, {length} bytes")
        payload = self._read(length, fds, False)
        if len(fds) != count:
            raise ValueError(f"{len(fds)} descriptors, {count} announced")
        return Frame(kind, status & 0xFFFFFFFF, call_id, sequence, payload, fds)

    def answer(self, request, payload=b"", status=SUCCESS, fds=(), **lies):
        """The reply to a frame that came; lies replaces type, sequence, length."""
        self.send_bytes(HEADER.pack(MAGIC, lies.get("type", request.type), len(fds),
                                    lies.get("length", len(payload)), status, request.call_id,
                                    lies.get("sequence", request.sequence)) + payload, fds)

    def request(self, kind, payload=b"", fds=(), **header):
        """Send a request, receive its reply, which must repeat type, sequence and call id."""
        self.send(kind, payload, fds, **header)
        reply = self.receive()
        wanted = (kind, self.sequence, header.get("call_id", 0))
        if (reply.type, reply.sequence, reply.call_id) != wanted:
            raise ValueError(f"reply to {reply.type}, {reply.sequence}, {reply.call_id}, not to "
                             f"{wanted}")
        return reply


class Connection(Channel):
    """An open user client."""

    def __init__(self, sock, connection_id):
        super().__init__(sock)
        self.id = connection_id

    @staticmethod
    def call_payload(selector, scalars=(), room=16, *, structure=b"", structure_room=0,
                     wake=None, **lies):
        """A CALL; lies replaces fields: scalars_in, scalars_out, struct_in, struct_out, flags."""
        port, reference = wake or (0, [0] * 8)
        return (u32(selector, lies.get("flags", ASYNC if wake else 0),
                    lies.get("scalars_in", len(scalars)), lies.get("scalars_out", room))
                + u64(lies.get("struct_in", len(structure)), lies.get("struct_out", structure_room))
                + u64(port, *reference) + u64(*scalars) + structure)

    def call(self, selector, *scalars, **options):
        """Returns status, list of scalars, bytes of the structure."""
        reply = self.request(CALL, self.call_payload(selector, scalars, **options))
        if reply.status != SUCCESS:
            return reply.status, [], b""
        reader = Reader(reply.payload)
        count, zero, size = reader.u32(), reader.u32(), reader.u64()
        out = reader.u64s(count), reader.bytes(size)
        reader.end()
        if zero:
            raise ValueError("padding is not 0")
        return reply.status, *out

    def map(self, kind):
        """Returns status, bytes, whether it is read-only, list of (offset, bytes, fd offset, fd);
        the fds are the caller's."""
        reply = self.request(MAP, u64(kind))
        if reply.status != SUCCESS:
            return reply.status, 0, False, []
        reader = Reader(reply.payload)
        size, read_only, count = reader.u64(), reader.u32(), reader.u32()
        ranges = []
        for _ in range(count):
            offset, length, at = reader.u64s(3)
            ranges.append((offset, length, at, reply.fds[reader.u32()]))
            reader.u32()
        reader.end()
        return reply.status, size, bool(read_only), ranges

    def access(self, kind, offset, width, value=None):
        """A read, or a write of value. Returns status and the value that came back."""
        reply = self.request(ACCESS, u64(kind, offset) + u32(width, int(value is not None))
                             + u64(value or 0))
        reader = Reader(reply.payload)
        return reply.status, reader.u64() if reply.payload else None

    def slots(self, layout=2):
        """Status and Slots."""
        reply = self.request(SLOTS, u32(layout))
        if reply.status != SUCCESS:
            return reply.status, None
        reader = Reader(reply.payload)
        count = reader.u32()
        reader.end()
        slots = Slots(self, reply.fds[0], count)
        reply.close_fds()
        return reply.status, slots

    def kick(self):
        self.send(KICK)


class Slot:
    """One call slot, as the client sees it. Numbers and marks are stored whole ("I" is native, "=I"
    may go byte by byte), and an interpreter puts more than enough between a store and the next
    load."""
    BYTES, TAKEN, REPLY = 512, 192, 256
    WAITING, ENDED = 1, 2
    NUMBERS = 1 << 30

    def __init__(self, memory, index):
        self.memory, self.at = memory, self.BYTES * (1 + index)

    def _word(self, offset):
        return struct.unpack_from("I", self.memory, self.at + offset)[0]

    @property
    def number(self):
        return self._word(0)

    @number.setter
    def number(self, number):
        struct.pack_into("I", self.memory, self.at, number)

    @property
    def taken(self):
        return self._word(self.TAKEN)

    @property
    def mark(self):
        return self._word(self.REPLY)

    @mark.setter
    def mark(self, mark):
        struct.pack_into("I", self.memory, self.at + self.REPLY, mark)

    @property
    def is_answered(self):
        return self.mark == self.number % self.NUMBERS << 2

    def write(self, kind, words, *, count=None, call_id=0, where=0):
        """A request, but for its number; count may lie."""
        struct.pack_into("=HBBQ", self.memory, self.at + 4, where, kind,
                         len(words) if count is None else count, call_id)
        struct.pack_into(f"={len(words)}Q", self.memory, self.at + 16, *words)

    def post(self):
        """What was written is a request from here on."""
        self.number = (self.number + 1) % self.NUMBERS

    def read(self):
        """Status and words of a reply."""
        status, count = struct.unpack_from("=II", self.memory, self.at + self.REPLY + 4)
        at = self.at + self.REPLY + 16
        return status, list(struct.unpack_from(f"={count}Q", self.memory, at))


class Slots:
    """The call slots of a connection, which the host serves when it is kicked, or awake."""
    BYTES = 16384
    ASLEEP, RUNG = 0, 0xFFFFFFFF

    def __init__(self, connection, fd, count):
        self.connection = connection
        self.memory = mmap.mmap(fd, self.BYTES)
        self.slots = [Slot(self.memory, index) for index in range(count)]

    @property
    def awake(self):
        return struct.unpack_from("I", self.memory, 0)[0]

    @awake.setter
    def awake(self, awake):
        struct.pack_into("I", self.memory, 0, awake)

    def publish(self, index):
        self.slots[index].post()
        if self.awake == self.ASLEEP:
            self.connection.kick()

    def wait(self, index, seconds=120):
        """Until a request is answered."""
        slot = self.slots[index]
        deadline = time.monotonic() + seconds
        while not slot.is_answered:
            if slot.mark & Slot.ENDED:
                raise ConnectionError(f"slot {index}: the channel has ended")
            if time.monotonic() > deadline:
                raise TimeoutError(f"slot {index} stays {slot.mark:#x}")
            time.sleep(0)

    def request(self, kind, words, number=0, **lies):
        """Status and words of the reply."""
        self.slots[number].write(kind, words, **lies)
        self.publish(number)
        self.wait(number)
        return self.slots[number].read()

    def call(self, selector, *scalars, room=16, number=0, **lies):
        """Returns status, list of scalars."""
        first = selector | lies.pop("scalars_in", len(scalars)) << 32 | room << 48
        return self.request(CALL, [first, *(n & (1 << 64) - 1 for n in scalars)], number, **lies)

    def call_at(self, selector, scalars, source, target, *, scalar_room=15, number=0):
        """A call with structures at (address, bytes). Status and words of the reply."""
        first = selector | len(scalars) << 32 | scalar_room << 48
        return self.request(CALL_AT, [first, source[0], source[1] | target[1] << 32, target[0],
                                      *scalars], number)

    def access(self, kind, offset, width, value=None, number=0):
        """Returns status and the value that came back."""
        status, words = self.request(
            ACCESS, [kind, offset, width | (value is not None) << 32, value or 0], number)
        return status, words[0] if words else None

    def close(self):
        self.memory.close()


class Client(Channel):
    """A client process's control channel; events once it has said HELLO."""

    def __init__(self, path, timeout=120):
        super().__init__(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self.events = None
        self.page_size = 0
        self.connections = []
        # Where only parents may look into a process, the host must be let in for DMA.
        pid = struct.unpack("3i", self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED,
                                                       12))[0]
        ctypes.CDLL(None).prctl(0x59616D61, pid, 0, 0, 0)

    def close(self):
        for connection in self.connections:
            connection.close()
        if self.events:
            self.events.close()
        super().close()

    def _channel(self, fd, make, *arguments):
        sock = socket.socket(fileno=fd)
        sock.settimeout(self.sock.gettimeout())
        return make(sock, *arguments)

    def hello(self):
        """Greet. A host may refuse the connection before it has read who greets: with sequence 0."""
        try:
            self.send(HELLO, u32(VERSION))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the refusal has come already
        reply = self.receive()
        if reply.type != HELLO or reply.sequence not in (0, self.sequence):
            raise ValueError(f"HELLO: {reply}")
        if reply.status:
            raise Refused(reply.status)
        reader = Reader(reply.payload)
        version, self.page_size = reader.u32(), reader.u32()
        reader.end()
        if version != VERSION or len(reply.fds) != 1:
            raise ValueError(f"HELLO: {reply}")
        self.events = self._channel(reply.fds[0], Channel)
        return self

    def _ids(self, reply):
        reader = Reader(reply.payload)
        ids = reader.u64s(reader.u32())
        reader.end()
        return ids

    def match(self, matching):
        return self._ids(self.request(MATCH, encode_value(matching)))

    def entry(self, entry_id):
        """Status and dictionary."""
        reply = self.request(ENTRY, u64(entry_id))
        if reply.status != SUCCESS:
            return reply.status, None
        reader = Reader(reply.payload)
        value = reader.value()
        reader.end()
        return reply.status, value

    def services(self):
        """Ids of the dext's services, in the order of their devices."""
        return self.match({"IOProviderClass": "IOUserService",
                           "IOPropertyMatch": {"IOUserClass": "VFIOUserPCIDriver"}})

    def open(self, entry_id, kind=0):
        """Status and Connection."""
        reply = self.request(OPEN, u64(entry_id) + u32(kind))
        if reply.status != SUCCESS:
            return reply.status, None
        reader = Reader(reply.payload)
        connection_id = reader.u64()
        reader.end()
        connection = self._channel(reply.fds[0], Connection, connection_id)
        self.connections.append(connection)
        return reply.status, connection

    def memory_open(self):
        """Status, channel id and memory channel, which is closed with the client."""
        reply = self.request(MEMORY_OPEN)
        if reply.status != SUCCESS:
            return reply.status, 0, None
        reader = Reader(reply.payload)
        channel_id = reader.u64()
        reader.end()
        channel = self._channel(reply.fds[0], Channel)
        self.connections.append(channel)
        return reply.status, channel_id, channel

    def memory_serve(self, channel_id, address, size):
        return self.request(MEMORY_SERVE, u64(channel_id, address, size)).status

    def memory_withdraw(self, address):
        return self.request(MEMORY_WITHDRAW, u64(address)).status

    def memory_close(self, channel_id):
        return self.request(MEMORY_CLOSE, u64(channel_id)).status

    def notify_add(self, token, kind, matching):
        return self._ids(self.request(NOTIFY_ADD, u64(token) + u32(kind) + encode_value(matching)))


class Memory:
    """Private memory of this process at an address that the host may be told."""

    def __init__(self, size):
        self.map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.anchor = ctypes.c_char.from_buffer(self.map)
        self.address = ctypes.addressof(self.anchor)

    def close(self):
        del self.anchor
        self.map.close()

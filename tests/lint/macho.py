"""What a Mach-O file says of itself: its symbols, the libraries they come from, its names.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import struct
from dataclasses import dataclass, field
from pathlib import Path

MAGIC_64 = 0xFEEDFACF
PROCESSORS = {0x01000007: "x86_64", 0x0100000C: "arm64"}
KINDS = {1: "object", 2: "program", 6: "library"}
# Load commands.
SYMTAB, LOAD_DYLIB, ID_DYLIB, BUILD_VERSION = 0x2, 0xC, 0xD, 0x32
# A symbol's type and what its description holds.
EXTERNAL, PRIVATE_EXTERNAL, DEBUG, TYPE = 0x01, 0x10, 0xE0, 0x0E
UNDEFINED = 0


@dataclass
class MachO:
    """One file. Symbols are without the underscore that C puts before them."""

    processor: str
    kind: str
    name: str = ""  # of a library: how programs will look for it
    oldest_system: str = ""
    libraries: list = field(default_factory=list)
    imports: dict = field(default_factory=dict)  # symbol: library, "" in an object
    exports: set = field(default_factory=set)


def text_at(data, offset):
    return data[offset:data.index(b"\0", offset)].decode()


def version_text(packed):
    return f"{packed >> 16}.{packed >> 8 & 0xFF}"


def commands(data, count):
    """(number, offset) of each load command."""
    offset = 32
    for _ in range(count):
        number, size = struct.unpack_from("<II", data, offset)
        yield number, offset
        offset += size


def add_symbols(found, data, table):
    """The symbols of one table, once the libraries are known."""
    _, _, offset, count, strings, _ = struct.unpack_from("<6I", data, table)
    for at in range(offset, offset + 16 * count, 16):
        name_at, kind, _, description, _ = struct.unpack_from("<IBBHQ", data, at)
        name = text_at(data, strings + name_at)
        name = name[1:] if name.startswith("_") else name
        if kind & DEBUG or not kind & EXTERNAL:
            continue
        if kind & TYPE == UNDEFINED:
            ordinal = description >> 8
            known = found.kind != "object" and 0 < ordinal <= len(found.libraries)
            found.imports[name] = found.libraries[ordinal - 1] if known else ""
        elif not kind & PRIVATE_EXTERNAL:
            found.exports.add(name)


def read(path):
    """The file at path. Raises ValueError for one that is no 64-bit Mach-O."""
    data = Path(path).read_bytes()
    if len(data) < 32 or struct.unpack_from("<I", data)[0] != MAGIC_64:
        raise ValueError(f"{path}: no 64-bit Mach-O")
    _, processor, _, kind, count = struct.unpack_from("<5I", data)
    found = MachO(PROCESSORS.get(processor, hex(processor)), KINDS.get(kind, str(kind)))
    tables = []
    for number, offset in commands(data, count):
        number &= 0x7FFFFFFF  # the top bit asks the loader to know the command
        if number == SYMTAB:
            tables.append(offset)
        elif number == LOAD_DYLIB:
            found.libraries.append(text_at(data, offset + struct.unpack_from("<I", data,
                                                                             offset + 8)[0]))
        elif number == ID_DYLIB:
            found.name = text_at(data, offset + struct.unpack_from("<I", data, offset + 8)[0])
        elif number == BUILD_VERSION:
            found.oldest_system = version_text(struct.unpack_from("<I", data, offset + 12)[0])
    for table in tables:
        add_symbols(found, data, table)
    return found

#!/usr/bin/env python3
"""The build for macOS, as far as it goes without one: Meson, compiler, linker, what is imported.

SPDX-License-Identifier: GPL-2.0-or-later

usage: apple_build.py [--record]

Builds client library, dextctl, dext-vfio-user and the examples with -Werror, links them and looks
into the files: for arm64 against our IOKit headers and this machine's C library with Apple's
integer types, and for both processors against Apple's headers when DEXTLINK_APPLE_HEADERS says
where they are (apple_sdk.py). Nothing of it is run. What the files import is compared with
apple_imports.txt, which --record writes anew.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import apple_sdk
import exports
import lintlib
import macho

RECORD = lintlib.ROOT / "tests" / "lint" / "apple_imports.txt"
RECORD_HEAD = """# What files for macOS import: FILE LIBRARY SYMBOL.
#
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A new line is a question: does a Mac have it? Then: tests/lint/apple_build.py --record
"""
HEADER = lintlib.ROOT / "include" / "apple-dext-client.h"
LIBRARY = "libappledext.0.dylib"
FILES = {LIBRARY: "src/client", "dextctl": "tools/dextctl",
         "dext-vfio-user": "tools/dext-vfio-user", "nvme": "examples", "factorial": "examples"}
INSTALLED = ["bin/dext-vfio-user", "bin/dextctl", "include/apple-dext-client.h",
             f"lib/{LIBRARY}", "lib/libappledext.a", "lib/libappledext.dylib",
             "lib/pkgconfig/appledext.pc"]


def read_record():
    """[(file, library, symbol)]"""
    if not RECORD.exists():
        return []
    return [tuple(line.split()) for line in RECORD.read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")]


class Build:
    """A build directory for one processor."""

    def __init__(self, sdk, processor):
        self.sdk, self.processor = sdk, processor
        self.folder = sdk.folder / f"build-{processor}"
        self.environment = {**os.environ, "PATH": f"{sdk.folder / 'bin'}:{os.environ['PATH']}"}
        # What this machine's compilers are told is nothing to this one.
        for name in ("CFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH",
                     "PKG_CONFIG_PATH", "DESTDIR"):
            self.environment.pop(name, None)

    def run(self, *command, **more):
        done = subprocess.run(command, env={**self.environment, **more}, text=True, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def setup(self):
        return self.run("meson", "setup", self.folder, lintlib.ROOT, "--cross-file",
                        self.sdk.cross_file(self.processor), "--buildtype=plain", "-Dwerror=true",
                        "--prefix=/usr/local")

    def compile(self, *options):
        return self.run("ninja", "-C", self.folder, "-j2", "--quiet", *options)

    def install(self, destination):
        return self.run("meson", "install", "-C", self.folder, "--no-rebuild", "--quiet",
                        DESTDIR=str(destination))

    def compiles(self, text, *options):
        """Whether a source compiles and links with these options."""
        source = self.folder / "sample.c"
        source.write_text(text, encoding="utf-8")
        compiler = self.sdk.compiler(self.processor)
        return self.run(*compiler, "-fuse-ld=lld", "-Wall", "-Wextra", "-Werror", source, "-o",
                        self.folder / "sample", "-I", lintlib.ROOT / "include", *options)

    def file(self, name):
        return macho.read(self.folder / FILES[name] / name)


def imports_of(file):
    """{(library, symbol)} of a linked file, but for what is our own library's."""
    short = {install: name for name, install in apple_sdk.INSTALL_NAMES.items()}
    found = set()
    for symbol, library in file.imports.items():
        name = apple_sdk.plain_name(symbol)
        if name is not None and not library.endswith(LIBRARY):
            # A part of the C library is the C library.
            system = library.startswith("/usr/lib/system/")
            found.add((apple_sdk.SYSTEM if system else short.get(library, library), name))
    return found


def differences(recorded, found):
    """Lines that say how what was found differs from the record."""
    for library, symbol in sorted(found - recorded):
        yield f"new: {symbol} of {library}"
    for library, symbol in sorted(recorded - found):
        yield f"gone: {symbol} of {library}"


# What must not compile, or not link: (what, source, words of the message).
BAD = [
    ("a header that macOS does not have", "#include <IOKit/IOLinux.h>\n", "file not found"),
    ("a size where 64 bits are wanted",
     "#include <IOKit/IOKitLib.h>\nint main(void)\n{\n    size_t bytes;\n"
     "    mach_vm_address_t at;\n"
     "    return IOConnectMapMemory64(0, 0, 0, &at, &bytes, 0);\n}\n",
     "incompatible pointer types"),
    ("a width that printf is not told",
     "#include <stdint.h>\n#include <stdio.h>\nint main(void)\n{\n    uint64_t value = 1;\n"
     "    return printf(\"%lu\", value);\n}\n", "format specifies type 'unsigned long'"),
    ("a function of Linux", "int eventfd(unsigned count, int flags);\nint main(void)\n{\n"
     "    return eventfd(0, 0);\n}\n", "undefined symbol: _eventfd"),
    ("a framework that is not asked for", "#include <IOKit/IOKitLib.h>\nint main(void)\n{\n"
     "    return IOServiceClose(0);\n}\n", "undefined symbol: _IOServiceClose"),
]


def library_points(build, where):
    """The client library: its names, what it offers, as a file of its own and inside a program."""
    file = build.file(LIBRARY)
    seen = (file.processor, file.kind, file.name, file.oldest_system)
    wanted = (build.processor, "library", f"@rpath/{LIBRARY}", apple_sdk.OLDEST_SYSTEM)
    yield seen == wanted, f"{where}: the library's names", [f"{seen} is not {wanted}"]
    lines = exports.differences(exports.declared(HEADER.read_text(encoding="utf-8")), file.exports)
    yield not lines, f"{where}: the library offers what its header declares", lines
    program = (lintlib.ROOT / "examples" / "factorial.c").read_text(encoding="utf-8")
    code, lines = build.compiles(program, build.folder / "src/client/libappledext.a",
                                 "-framework", "IOKit", "-framework", "CoreFoundation")
    yield code == 0, f"{where}: a program links the static library", lines


def installed_points(build, where):
    destination = build.sdk.folder / f"installed-{build.processor}"
    code, lines = build.install(destination)
    prefix = destination / "usr/local"
    found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    lines += [f"not installed: {name}" for name in INSTALLED if name not in found]
    lines += [f"not for a Mac: {name}" for name in sorted(found)
              if name.split("/")[0] in ("bin", "lib", "include") and name not in INSTALLED]
    yield code == 0 and not lines, f"{where}: what is installed", lines
    name = macho.read(prefix / "lib" / LIBRARY).name if code == 0 else ""
    yield name == f"/usr/local/lib/{LIBRARY}", f"{where}: the installed library's name", [name]


def build_points(build, where, record):
    code, lines = build.setup()
    yield code == 0, f"{where}: meson setup", lines
    if code != 0:
        return
    code, lines = build.compile("-k0")
    if "undefined symbol" in "\n".join(lines):
        lines.append(f"{RECORD.name} does not have it: if a Mac does, apple_build.py --record")
    yield code == 0, f"{where}: compiles with -Werror and links", lines
    if code != 0:
        return
    for name in FILES:
        recorded = {(library, symbol) for file, library, symbol in record if file == name}
        lines = list(differences(recorded, imports_of(build.file(name))))
        yield not lines, f"{where}: imports of {name} are those of {RECORD.name}", lines
    yield from library_points(build, where)
    yield from installed_points(build, where)
    for what, source, words in BAD:
        code, lines = build.compiles(source)
        yield code != 0 and words in "\n".join(lines), f"{where}: refused: {what}", lines


def points(scratch):
    apple = os.environ.get("DEXTLINK_APPLE_HEADERS")
    record = read_record()
    # Types are the same on both processors: the first is enough where the headers are ours.
    kinds = [("our headers", None, list(apple_sdk.PROCESSORS)[:1])]
    if apple:
        kinds.append(("Apple's headers", Path(apple), apple_sdk.PROCESSORS))
    for number, (name, headers, processors) in enumerate(kinds):
        folder = scratch / str(number)
        folder.mkdir()
        sdk = apple_sdk.Sdk(folder, headers, record)
        for processor in processors:
            yield from build_points(Build(sdk, processor), f"{name}, {processor}", record)
    recorded, found = {("IOKit", "a"), ("IOKit", "b")}, {("IOKit", "a"), ("libSystem", "b")}
    yield list(differences(recorded, found)) == ["new: b of libSystem", "gone: b of IOKit"], \
        "a difference from the record is seen", []


def offered_here(path):
    """Functions of a shared library of this machine."""
    run = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True,
                         check=True)
    return {line.split()[-1].split("@")[0] for line in run.stdout.splitlines() if line}


def origins():
    """{symbol: library} of libraries that no system has by itself."""
    found = {}
    for library, (package, file) in {"libjson-c": ("json-c", "libjson-c.so"),
                                     "libarchive": ("libarchive", "libarchive.so"),
                                     "libpci": ("libpci", "libpci.so"),
                                     "libncurses": ("ncurses", "libtinfo.so"),
                                     "libncurses ": ("ncurses", "libncurses.so.6")}.items():
        folder = subprocess.run(["pkg-config", "--variable=libdir", package], capture_output=True,
                                text=True, check=True).stdout.strip()
        found |= {symbol: library.strip() for symbol in offered_here(Path(folder) / file)}
    return found


def origin(symbol, known):
    if symbol.startswith(("CF", "kCF", "__CF")):
        return "CoreFoundation"
    if symbol.startswith(("IO", "kIO")):
        return "IOKit"
    return known.get(symbol, apple_sdk.SYSTEM)


def new_record(scratch):
    """The record as the tree has it now: first without stub libraries, then with what it missed."""
    known, needed = origins(), set()
    for attempt in ("objects", "files"):
        folder = scratch / attempt
        folder.mkdir()
        build = Build(apple_sdk.Sdk(folder, None, needed), next(iter(apple_sdk.PROCESSORS)))
        for code, lines in (build.setup(), build.compile("-k0")):
            if code != 0 and needed:
                sys.exit("\n".join(lines))
        names = {name for path in build.folder.rglob("*.o") for name in macho.read(path).imports}
        needed = {("", origin(name, known), name) for name in map(apple_sdk.plain_name, names)
                  if name is not None}
    return sorted((file, library, symbol) for file in FILES
                  for library, symbol in imports_of(build.file(file)))


def write_record():
    with tempfile.TemporaryDirectory(prefix="dextlink-apple-") as scratch:
        lines = [" ".join(line) for line in new_record(Path(scratch))]
    RECORD.write_text(RECORD_HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def main():
    missing = apple_sdk.missing_tools()
    if missing:
        lintlib.skip("not here: " + ", ".join(missing))
    if sys.argv[1:] == ["--record"]:
        write_record()
        return 0
    return lintlib.run_in_scratch(points)


if __name__ == "__main__":
    sys.exit(main())

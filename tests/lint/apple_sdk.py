"""A folder that Apple's compiler would take for an SDK, made of what is here.

SPDX-License-Identifier: GPL-2.0-or-later

With Apple's headers (Frameworks/ and include/, as DEXTLINK_APPLE_HEADERS says) they and their stub
libraries are used. Without, headers are this machine's C library with Apple's integer types
(apple_libc/) and src/iokit/include. Stub libraries that are not at hand are written: they offer the
functions that apple_imports.txt names and no others, so that anything else does not link. Of the
C library Apple's own stub is used when it lies in lib/.
"""
import re
import shutil
import subprocess
from pathlib import Path

import lintlib

OLDEST_SYSTEM = "13.0"
PROCESSORS = {"arm64": "aarch64", "x86_64": "x86_64"}
SYSTEM = "libSystem"
# Short names of libraries, as the record has them, and what a linked file says.
INSTALL_NAMES = {
    "IOKit": "/System/Library/Frameworks/IOKit.framework/Versions/A/IOKit",
    "CoreFoundation":
        "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
    SYSTEM: "/usr/lib/libSystem.B.dylib",
    "libncurses": "/usr/lib/libncurses.5.4.dylib",
    "libjson-c": "/usr/local/opt/json-c/lib/libjson-c.5.dylib",
    "libarchive": "/usr/local/opt/libarchive/lib/libarchive.13.dylib",
    "libpci": "/usr/local/opt/pciutils/lib/libpci.3.dylib",
}
FRAMEWORKS = ("IOKit", "CoreFoundation")
# Neither Apple's nor of this project: the headers of this machine, found by their pkg-config files.
PACKAGES = {"libjson-c": ("json-c", "json-c"), "libarchive": ("libarchive", "archive.h"),
            "libpci": ("libpci", "pci")}
# What glibc calls what Apple's C library calls otherwise.
GLIBC = {"__errno_location": "__error", "stdin": "__stdinp", "stdout": "__stdoutp",
         "stderr": "__stderrp", "__CFStringMakeConstantString": "__CFConstantStringClassReference"}
# Functions in one C library, macros or other names in the other: in no record, always offered.
EITHER = {"__cmsg_nxthdr", "__ctype_b_loc", "__ctype_tolower_loc", "__ctype_toupper_loc",
          "__maskrune", "__tolower", "__toupper", "_DefaultRuneLocale", "tolower", "toupper",
          "sigaddset", "sigdelset", "sigemptyset", "sigfillset", "sigismember",
          "dyld_stub_binder",
          # The compiler's choice: it calls them, or writes out what they do.
          "bzero", "memcmp", "memcpy", "memmove", "memset"} | \
    {f"is{kind}" for kind in ("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph",
                              "lower", "print", "punct", "space", "upper", "xdigit")}
# Spellings of one function: revisions of the C standard, checked sizes.
RENAMED = re.compile(r"^_{1,2}isoc(?:99|23)_(\w+)$|^__(\w+)_chk$")
VARIANTS = ("$INODE64", "$DARWIN_EXTSN", "$1050", "$UNIX2003")


def plain_name(symbol):
    """A symbol as the record has it, None for those of EITHER."""
    symbol = symbol.split("$", maxsplit=1)[0]
    match = RENAMED.match(symbol)
    if match:
        symbol = match[1] or match[2]
    symbol = GLIBC.get(symbol, symbol)
    return None if symbol in EITHER else symbol


def spellings(symbol):
    """Every name, as objects have it, by which a function of the C library may be asked for."""
    yield f"_{symbol}"
    yield f"___{symbol}_chk"
    for prefix in ("__isoc99_", "__isoc23_"):
        yield f"_{prefix}{symbol}"
        yield f"{prefix}{symbol}"
    yield from (f"_{symbol}{variant}" for variant in VARIANTS)
    yield from (f"_{name}" for name, apples in GLIBC.items() if apples == symbol)


def tool(*names):
    """The first of the programs that is here, also with Debian's version behind its name."""
    for name in names:
        for candidate in [name] + [f"{name}-{version}" for version in range(22, 13, -1)]:
            path = shutil.which(candidate)
            if path:
                return path
    return None


def missing_tools():
    wanted = {"clang": "clang", "ld64.lld": "lld", "llvm-ar": "llvm", "meson": "meson",
              "ninja": "ninja-build", "pkg-config": "pkgconf"}
    return [f"{name} (Debian: {package})" for name, package in wanted.items() if not tool(name)]


def write_stub(path, install_name, symbols):
    """A stub library: a text that names what a library has."""
    targets = ", ".join(f"{processor}-macos" for processor in PROCESSORS)
    names = ", ".join(f"'{name}'" for name in sorted(symbols))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"--- !tapi-tbd\ntbd-version: 4\ntargets: [ {targets} ]\n"
                    f"install-name: '{install_name}'\nexports:\n  - targets: [ {targets} ]\n"
                    f"    symbols: [ {names} ]\n...\n", encoding="utf-8")


class Sdk:
    """The folder, and the options that make a compiler use it."""

    def __init__(self, folder, apple, record):
        self.folder, self.apple = Path(folder), apple
        self.root, self.packages = self.folder / "sdk", self.folder / "packages"
        for path in ("bin", "sdk/usr/lib", "sdk/System/Library", "packages/include",
                     "packages/lib/pkgconfig"):
            (self.folder / path).mkdir(parents=True, exist_ok=True)
        self.add_tools()
        self.offered = {library: set() for library in INSTALL_NAMES}
        for _, library, symbol in record:
            self.offered[library].add(symbol)
        if apple:
            self.use_apples()
        else:
            self.use_ours()
        self.add_system()
        self.add_packages()

    def add_tools(self):
        for name, here in {"ld64.lld": "ld64.lld", "install_name_tool": "llvm-install-name-tool",
                           "otool": "llvm-otool"}.items():
            if tool(here):
                (self.folder / "bin" / name).symlink_to(tool(here))

    def stub(self, library, path, more=()):
        names = {name for symbol in self.offered[library] for name in spellings(symbol)}
        write_stub(path, INSTALL_NAMES[library], names | set(more))

    def add_system(self):
        """What the C library and the terminal library offer, and what linkers want of them."""
        for given in ("lib/libSystem.tbd", "lib/libSystem.B.tbd"):
            if self.apple and (self.apple / given).exists():
                shutil.copy(self.apple / given, self.root / "usr/lib/libSystem.tbd")
                break
        else:
            self.stub(SYSTEM, self.root / "usr/lib/libSystem.tbd",
                      {"dyld_stub_binder"}.union(*map(spellings, EITHER)))
        self.stub("libncurses", self.root / "usr/lib/libncurses.tbd")

    def use_apples(self):
        (self.root / "usr/include").symlink_to(self.apple / "include")
        (self.root / "System/Library/Frameworks").symlink_to(self.apple / "Frameworks")
        for path in (self.apple / "lib").glob("libobjc*.tbd"):
            shutil.copy(path, self.root / "usr/lib" / path.name)
        self.options = ["-isysroot", str(self.root)]

    def use_ours(self):
        for name in FRAMEWORKS:
            self.stub(name, self.root / f"System/Library/Frameworks/{name}.framework/{name}.tbd")
        triple = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True,
                                check=True).stdout.strip()
        self.options = ["-isysroot", str(self.root), "-nostdlibinc",
                        # A word of Apple's compiler that glibc has a macro for.
                        "-U__nonnull"]
        for path in (lintlib.ROOT / "tests/lint/apple_libc", lintlib.ROOT / "src/iokit/include",
                     f"/usr/include/{triple}", "/usr/include"):
            self.options += ["-isystem", str(path)]

    def add_packages(self):
        """What a package manager brings on a Mac."""
        for library, (name, header) in PACKAGES.items():
            where = subprocess.run(["pkg-config", "--variable=includedir", name],
                                   capture_output=True, text=True, check=False).stdout.strip()
            if not (Path(where or "/usr/include") / header).exists():
                continue
            for path in Path(where or "/usr/include").glob(header.replace(".h", "*.h")):
                (self.packages / "include" / path.name).symlink_to(path)
            self.stub(library, self.packages / "lib" / f"{library}.tbd")
            (self.packages / "lib/pkgconfig" / f"{name}.pc").write_text(
                f"Name: {name}\nDescription: {name}\nVersion: 99\n"
                f"Cflags: -isystem {self.packages}/include\n"
                f"Libs: -L{self.packages}/lib -l{library[3:]}\n", encoding="utf-8")

    def compiler(self, processor):
        return ["clang", f"--target={processor}-apple-macos{OLDEST_SYSTEM}", "-Qunused-arguments",
                "-B", str(self.folder / "bin"), *self.options, "-U_FORTIFY_SOURCE",
                "-fno-stack-protector"]

    def cross_file(self, processor):
        """Write the Meson cross file of a processor; returns its path."""
        def words(values):
            return "[" + ", ".join(f"'{value}'" for value in values) + "]"
        path = self.folder / f"{processor}.ini"
        path.write_text(
            f"[binaries]\nc = {words(self.compiler(processor))}\nc_ld = 'lld'\n"
            f"ar = '{tool('llvm-ar')}'\nstrip = '{tool('llvm-strip')}'\n"
            # Meson before 1.3 knows the first spelling only.
            f"pkgconfig = '{tool('pkg-config')}'\npkg-config = '{tool('pkg-config')}'\n"
            f"[properties]\nneeds_exe_wrapper = true\n"
            f"pkg_config_libdir = '{self.packages}/lib/pkgconfig'\n"
            f"[host_machine]\nsystem = 'darwin'\ncpu_family = '{PROCESSORS[processor]}'\n"
            f"cpu = '{PROCESSORS[processor]}'\nendian = 'little'\n", encoding="utf-8")
        return path

#!/usr/bin/env python3
"""The client, the vfio-user server and its program compile against Apple's SDK headers: syntax and
types, no link.

SPDX-License-Identifier: GPL-2.0-or-later

Of json-c, which macOS has from elsewhere, this machine's headers are used.

DEXTLINK_APPLE_HEADERS holds Frameworks/ and include/ of an SDK. Without it, or without clang, the
test is skipped.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import lintlib

TARGETS = ("arm64-apple-macos13", "x86_64-apple-macos13")
OPTIONS = ["-nostdlibinc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
# Source folders that macOS builds, with the options of their Meson files.
CLIENT = ["-std=c11", "-D_POSIX_C_SOURCE=200809L"]
SERVER = ["-std=gnu11", "-Wno-unused-parameter", "-Wno-missing-field-initializers",
          '-DDEXTLINK_VERSION="0"']
FOLDERS = {"src/client": CLIENT, "examples": CLIENT, "src/vfiouser": SERVER,
           "tools/daemon": SERVER, "tools/dext-vfio-user": SERVER, "tools/dextctl": SERVER}
# Of dextctl all but the host inside the tool, and what needs headers of libraries besides json-c.
EXCEPT = {"tools/dextctl": {"embedded.c", "names_pci.c", "bundle.c", "monitor.c"}}
OTHER_SYSTEM = re.compile(r"_linux\.c$")
FINDING = re.compile(r"^(.*?):(\d+):\d+: (?:fatal )?error: (.*)$", re.M)


def json_headers(folder):
    """A folder with json-c's headers and nothing else of this machine."""
    where = subprocess.run(["pkg-config", "--variable=includedir", "json-c"], capture_output=True,
                           text=True, check=False).stdout.strip() or "/usr/include"
    os.symlink(Path(where) / "json-c", Path(folder) / "json-c")
    return folder


def sources_of(root, folder):
    others = EXCEPT.get(folder, ())
    return [str(path) for path in lintlib.c_files(root, (folder.split("/", maxsplit=1)[0],))
            if path.suffix == ".c" and path.parent == root / folder
            and not OTHER_SYSTEM.search(path.name) and path.name not in others]


def compile_for(target, root, options, sources, json_c):
    sdk = Path(os.environ["DEXTLINK_APPLE_HEADERS"])
    run = subprocess.run(["clang", "-target", target, *OPTIONS, *options, "-isystem",
                          sdk / "include", "-isystem", json_c, "-iframework", sdk / "Frameworks",
                          f"-I{root / 'src'}", f"-I{root / 'include'}", f"-I{root / 'tools/dextctl'}",
                          f"-I{root / 'tools/daemon'}",
                          *sources], capture_output=True, text=True, check=False)
    for path, line, text in FINDING.findall(run.stderr):
        yield path, line, f"{target}: {text}"
    if run.returncode != 0 and not FINDING.search(run.stderr):
        yield "clang", 0, f"{target}: {run.stderr.strip()}"


def check(root):
    with tempfile.TemporaryDirectory(prefix="dextlink-lint-") as folder:
        json_c = json_headers(folder)
        for target in TARGETS:
            for place, options in FOLDERS.items():
                sources = sources_of(root, place)
                if sources:
                    yield from compile_for(target, root, options, sources, json_c)


BAD = [
    ("a header that macOS does not have", {"src/client/a.c": "#include <sys/eventfd.h>\n"}),
    ("what only Linux has, in the server", {"src/vfiouser/a.c": "#include <sys/socket.h>\n"
                                                            "int f = MSG_CMSG_CLOEXEC;\n"}),
    ("a wrong type", {"src/client/a.c": "#include <IOKit/IOKitLib.h>\n"
                                        "int (*f)(io_service_t) = IOServiceClose + 0, g = f;\n"}),
]
GOOD = [("Apple's API", {"src/client/a.c": "#include <IOKit/IOKitLib.h>\n"
                                           "kern_return_t f(io_connect_t c);\n"
                                           "kern_return_t f(io_connect_t c)\n{\n"
                                           "    return IOServiceClose(c);\n}\n"}),
        ("another system's file", {"src/vfiouser/a_linux.c": "#include <sys/eventfd.h>\n"})]

if __name__ == "__main__":
    if "DEXTLINK_APPLE_HEADERS" not in os.environ:
        lintlib.skip("DEXTLINK_APPLE_HEADERS does not say where Apple's SDK headers are")
    if not shutil.which("clang"):
        lintlib.skip("clang is not here")
    sys.exit(lintlib.run("client on Apple's headers", check, BAD, GOOD))

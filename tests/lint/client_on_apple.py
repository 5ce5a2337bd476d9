#!/usr/bin/env python3
"""The client's sources and headers compile against Apple's SDK headers: syntax and types, no link.

SPDX-License-Identifier: GPL-2.0-or-later

DEXTLINK_APPLE_HEADERS holds Frameworks/ and include/ of an SDK. Without it, or without clang, the
test is skipped.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lintlib

TARGETS = ("arm64-apple-macos13", "x86_64-apple-macos13")
OPTIONS = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-nostdlibinc", "-fsyntax-only", "-Wall",
           "-Wextra", "-Werror"]
FINDING = re.compile(r"^(.*?):(\d+):\d+: (?:fatal )?error: (.*)$", re.M)


def check(root):
    sdk = Path(os.environ["DEXTLINK_APPLE_HEADERS"])
    sources = [str(path) for path in lintlib.c_files(root, ("src", "examples"))
               if path.suffix == ".c" and path.parent.name in ("client", "examples")]
    for target in TARGETS:
        run = subprocess.run(["clang", "-target", target, *OPTIONS, "-isystem", sdk / "include",
                              "-iframework", sdk / "Frameworks", f"-I{root / 'src'}",
                              f"-I{root / 'include'}", *sources],
                             capture_output=True, text=True, check=False)
        for path, line, text in FINDING.findall(run.stderr):
            yield path, line, f"{target}: {text}"
        if run.returncode != 0 and not FINDING.search(run.stderr):
            yield "clang", 0, f"{target}: {run.stderr.strip()}"


BAD = [
    ("a header that macOS does not have", {"src/client/a.c": "#include <sys/eventfd.h>\n"}),
    ("a wrong type", {"src/client/a.c": "#include <IOKit/IOKitLib.h>\n"
                                        "int (*f)(io_service_t) = IOServiceClose + 0, g = f;\n"}),
]
GOOD = [("Apple's API", {"src/client/a.c": "#include <IOKit/IOKitLib.h>\n"
                                           "kern_return_t f(io_connect_t c);\n"
                                           "kern_return_t f(io_connect_t c)\n{\n"
                                           "    return IOServiceClose(c);\n}\n"})]

if __name__ == "__main__":
    if "DEXTLINK_APPLE_HEADERS" not in os.environ:
        lintlib.skip("DEXTLINK_APPLE_HEADERS does not say where Apple's SDK headers are")
    if not shutil.which("clang"):
        lintlib.skip("clang is not here")
    sys.exit(lintlib.run("client on Apple's headers", check, BAD, GOOD))

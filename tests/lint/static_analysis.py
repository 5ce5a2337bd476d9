#!/usr/bin/env python3
"""Static analysis with cppcheck: no finding left unexplained.

SPDX-License-Identifier: GPL-2.0-or-later

usage: static_analysis.py [CACHE_DIR]

Findings that are not defects are listed in cppcheck.suppressions, each with its reason, or beside
the line as `cppcheck-suppress`. Findings differ between versions, so only 2.10 (Debian 12) decides.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import lintlib

VERSION = "2.10"
SUPPRESSIONS = lintlib.ROOT / "tests" / "lint" / "cppcheck.suppressions"
OPTIONS = ["--enable=warning,performance,portability", "--inline-suppr", "--std=c11", "--quiet",
           "-D_Noreturn=__attribute__((noreturn))",
           "--platform=unix64", "--max-configs=2", "--template={file}:{line}: {id}: {message}",
           f"--suppressions-list={SUPPRESSIONS}"]
FINDING = re.compile(r"^(.*?):(\d+): (\w+: .*)$", re.M)


def check(root):
    sources = [str(path) for path in lintlib.c_files(root, ("src", "tools", "bench", "examples"))
               if path.suffix == ".c"]
    includes = [f"-I{root / name}" for name in ("src", "include", "src/iokit/include")]
    # The list macros make sense only expanded; the rest of the system's headers stays out. Where a
    # source takes them from the C library, those of libbsd stand in: they are the same.
    scratch = tempfile.TemporaryDirectory(prefix="dextlink-cppcheck-")
    (Path(scratch.name) / "bsd").symlink_to("/usr/include/bsd")
    (Path(scratch.name) / "sys").mkdir()
    (Path(scratch.name) / "sys" / "queue.h").symlink_to("/usr/include/bsd/sys/queue.h")
    includes.append(f"-I{scratch.name}")
    cache = []
    if root == lintlib.ROOT and len(sys.argv) > 1:
        cache = [f"--cppcheck-build-dir={sys.argv[1]}"]
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    with scratch:
        run = subprocess.run(["cppcheck", "-j2", *OPTIONS, *includes, *cache, *sources],
                             capture_output=True, text=True, check=False)
    for path, line, text in FINDING.findall(run.stderr):
        yield path, line, text
    if run.returncode != 0:
        yield "cppcheck", 0, f"ended with {run.returncode}: {run.stdout.strip()}"


BAD = [
    ("a leak", {"src/a.c": "#include <stdlib.h>\nint f(int n)\n{\n    char *p = malloc(4);\n"
                           "    if (n) {\n        return 1;\n    }\n    free(p);\n    return 0;\n}\n"}),
    ("an index past the end", {"src/a.c": "int f(void)\n{\n    int a[4] = {0};\n"
                                          "    return a[4];\n}\n"}),
    ("an unset variable", {"src/a.c": "int f(void)\n{\n    int a;\n    return a + 1;\n}\n"}),
]

if __name__ == "__main__":
    if not shutil.which("cppcheck"):
        lintlib.skip("cppcheck is not here")
    version = subprocess.run(["cppcheck", "--version"], capture_output=True, text=True, check=True)
    if VERSION not in version.stdout.split()[-1:]:
        lintlib.skip(f"cppcheck {VERSION} decides, this is {version.stdout.strip()}")
    sys.exit(lintlib.run("static analysis", check, BAD))

#!/usr/bin/env python3
"""The style check: clang-format would change nothing.

SPDX-License-Identifier: GPL-2.0-or-later

Versions of clang-format disagree about details, so only version 14 (Debian 12) decides.
"""
import re
import shutil
import subprocess
import sys

import lintlib

VERSION = "14"


def find_clang_format():
    """A clang-format of the deciding version, or None."""
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name):
            text = subprocess.run([name, "--version"], capture_output=True, text=True,
                                  check=True).stdout
            if re.search(rf"version {VERSION}\.", text):
                return name
    return None


TOOL = find_clang_format()
STYLE = f"--style=file:{lintlib.ROOT / '.clang-format'}"


def check(root):
    paths = [str(path) for path in lintlib.c_files(root)]
    for start in range(0, len(paths), 50):
        run = subprocess.run([TOOL, STYLE, "--dry-run", "--Werror", *paths[start:start + 50]],
                             capture_output=True, text=True, check=False)
        found = re.findall(r"^(.*?):(\d+):\d+: error: (.*)$", run.stderr, re.M)
        for path in dict.fromkeys(path for path, _, _ in found):
            places = [line for where, line, _ in found if where == path]
            yield path, places[0], f"{len(places)} places differ; run make format"
        if run.returncode != 0 and not found:
            yield TOOL, 0, run.stderr.strip()


BAD = [("a wrong indent", {"src/a.c": "int f(void)\n{\n  return 0;\n}\n"})]
GOOD = [("the house style", {"src/a.c": "int f(void)\n{\n    return 0;\n}\n"})]

if __name__ == "__main__":
    if not TOOL:
        lintlib.skip(f"clang-format {VERSION} is not here")
    sys.exit(lintlib.run("format", check, BAD, GOOD))

#!/usr/bin/env python3
"""Documents: links to files of the project resolve, C samples are programs that are built.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import sys

import lintlib

LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
C_BLOCK = re.compile(r"^```c\n(.*?)^```$", re.M | re.S)
# Names of files in prose and tables: `src/base/status.c`, `scripts/setup`.
NAMED = re.compile(r"`((?:src|include|tests|tools|scripts|examples|bench)/[\w./-]+)`")


def check(root):
    samples = [path.read_text(encoding="utf-8") for path in lintlib.c_files(root, ("examples",))]
    for path in lintlib.project_files(root):
        if path.suffix != ".md":
            continue
        relative = path.relative_to(root)
        text = path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            for target in LINK.findall(line):
                if not (path.parent / target).exists():
                    yield relative, number, f"no such file: {target}"
            for target in NAMED.findall(line):
                if not (root / target).exists():
                    yield relative, number, f"no such file: {target}"
        for block in C_BLOCK.findall(text):
            if not any(block in sample for sample in samples):
                yield relative, 1, f"a C sample is in no file of examples/: {block.splitlines()[0]}"


BAD = [
    ("a dead link", {"README.md": "[x](docs/none.md)\n"}),
    ("a dead name", {"README.md": "see `src/none.c`\n"}),
    ("a sample that is not built", {"README.md": "```c\nint a;\n```\n", "examples/a.c": "int b;\n"}),
]
GOOD = [
    ("what is there", {"docs/a.md": "[x](../README.md#top) and `examples/a.c`\n",
                       "README.md": "[y](https://example.org) [z](#top)\n```c\nint b;\n```\n",
                       "examples/a.c": "int b;\n"}),
]

if __name__ == "__main__":
    sys.exit(lintlib.run("documents", check, BAD, GOOD))

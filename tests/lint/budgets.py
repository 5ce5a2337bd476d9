#!/usr/bin/env python3
"""Budgets and marks: length of functions and files, licence line, unfinished work, own paths.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import sys

import lintlib

FUNCTION_LINES = 100
FILE_LINES = 600
SPDX = "SPDX-License-Identifier: GPL-2.0-or-later"
SPDX_WITHIN = 40
# Spelled in pieces, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|not imple" r"mented")
OWN_PATH = re.compile(r"(?:^|[^\w.])/(?:ro" r"ot|ho" r"me|wo" r"rk|Us" r"ers)/\w")
MARKED = (".c", ".h", ".py", ".sh", ".build", ".txt", ".map", ".in", ".s", ".S")


def functions(lines):
    """Yield (first line number, length) of each function; relies on the brace style."""
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
            while start > 0 and lines[start - 1] and not lines[start - 1].endswith((";", "}", "*/")) \
                    and not lines[start - 1].startswith("#"):
                start -= 1
        elif line.startswith("}") and start is not None:
            yield start + 1, number - start + 1
            start = None


def needs_mark(path, text):
    """Whether a file is a source or a script, which must name its licence."""
    if path.name == "Makefile" or text.startswith("#!"):
        return True
    return path.suffix in MARKED


def check(root):
    for path in lintlib.project_files(root):
        relative = path.relative_to(root)
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        lines = text.splitlines()
        if path.suffix == ".c" and len(lines) > FILE_LINES:
            yield relative, len(lines), f"{len(lines)} lines, at most {FILE_LINES}"
        if path.suffix in (".c", ".h"):
            for first, length in functions(lines):
                if length > FUNCTION_LINES:
                    yield relative, first, f"function of {length} lines, at most {FUNCTION_LINES}"
            if not text.startswith("/*"):
                yield relative, 1, "the first line is not a comment that says the purpose"
        if needs_mark(path, text) and SPDX not in "\n".join(lines[:SPDX_WITHIN]):
            yield relative, 1, "no SPDX line"
        if relative.name == "LICENSE":
            continue
        for number, line in enumerate(lines, 1):
            if match := UNFINISHED.search(line) or OWN_PATH.search(line):
                yield relative, number, f"must not stay: {match[0].strip()}"


HEAD = f"/* A sample.\n * {SPDX}\n */\n"


def sample(lines):
    """A function of that many lines."""
    return HEAD + "\nint f(void)\n{\n" + "    g();\n" * (lines - 3) + "}\n"


BAD = [
    ("a long function", {"src/a.c": sample(FUNCTION_LINES + 1)}),
    ("a long file", {"src/a.c": HEAD + "\n" * FILE_LINES}),
    ("a source without licence", {"src/a.c": "/* A sample. */\n"}),
    ("a source without purpose", {"src/a.c": f"int a; /* {SPDX} */\n"}),
    ("a script without licence", {"scripts/a": "#!/bin/sh\n"}),
    ("a meson file without licence", {"src/meson.build": "x = 1\n"}),
    ("unfinished work", {"src/a.c": HEAD + "/* TO" "DO: later */\n"}),
    ("unfinished work in prose", {"docs/a.md": "This is not imple" "mented yet.\n"}),
    ("a path of one machine", {"scripts/a": f"#!/bin/sh\n# {SPDX}\ncd /ho" "me/me/src\n"}),
]
GOOD = [
    ("a function at the limit", {"src/a.c": sample(FUNCTION_LINES)}),
    ("a template of mkstemp", {"src/a.c": HEAD + 'char t[] = "/tmp/x-XXXXXX";\n'}),
    ("two functions in a row", {"src/a.c": sample(60) + "\nint h(void)\n{\n" + "    g();\n" * 60
                                + "}\n"}),
]

if __name__ == "__main__":
    sys.exit(lintlib.run("budgets", check, BAD, GOOD))

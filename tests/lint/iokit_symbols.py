#!/usr/bin/env python3
"""What our Apple headers declare is there: each function and variable has a definition.

SPDX-License-Identifier: GPL-2.0-or-later

usage: iokit_symbols.py LIBRARY

LIBRARY is the static library of the iokit layer. A declaration without a definition would let a
program compile here that does not link.
"""
import re
import subprocess
import sys
from pathlib import Path

import lintlib

HEADERS = lintlib.ROOT / "src" / "iokit" / "include"
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
MACRO = re.compile(r"^\s*#(?:.*\\\n)*.*$", re.M)
BODY = re.compile(r"\{[^{}]*\}")
FUNCTION = re.compile(r"(\w+)\s*\([^;]*\)(?:\s*CF_\w+)?$", re.S)
VARIABLE = re.compile(r"^(?:extern|CF_EXPORT)\b[^()]*\b(\w+)$", re.S)


def declared(text):
    """Names of external functions and variables that a header declares."""
    text = MACRO.sub("", COMMENT.sub("", text)).replace('extern "C" {', "")
    text = re.sub(r"\bCF_EXTERN_C_\w+", "", text)
    text = re.sub(r"CF_INLINE[^{;]*\{[^}]*\}", "", text)
    while BODY.search(text):
        text = BODY.sub("", text)
    for statement in text.split(";"):
        statement = statement.strip()
        if statement.startswith(("typedef", "static", "enum", "struct", "DEXTLINK_CF_",
                                 "__extension__", "DISPATCH_DECL")):
            continue
        match = VARIABLE.match(statement) or FUNCTION.search(first_list(statement))
        if match:
            yield match[1]


def first_list(statement):
    """A declaration up to the end of its first parameter list."""
    depth = 0
    for at, character in enumerate(statement):
        depth += (character == "(") - (character == ")")
        if character == ")" and depth == 0:
            return statement[:at + 1]
    return statement


def defined(library):
    listing = subprocess.run(["nm", "--defined-only", "-g", library], capture_output=True, text=True,
                             check=True).stdout
    return {line.split()[2] for line in listing.splitlines() if len(line.split()) == 3}


SAMPLE = """
/* int a_comment(void); */
#define MACRO(x) \\
    f(x)
#ifdef __cplusplus
extern "C" {
#endif
typedef struct { int a; } thing;
typedef void (*callback)(void *refcon);
enum { one = 1 };
DEXTLINK_CF_ENUM(CFIndex, CFSample){two = 2};
extern const mach_port_t kSample;
CF_EXPORT const CFSampleRef kOther;
CF_EXPORT CFIndex CFFirst(CFTypeRef cf);
CF_INLINE int inside(int a)
{
    return f(a);
}
kern_return_t IOSecond(io_name_t name,
                       CFDictionaryRef matching CF_RELEASES_ARGUMENT);
void *third(void (*callback)(void *), int a) CF_RETURNS_RETAINED;
"""


def points(library):
    there = defined(library)
    count, missing = 0, []
    for path in sorted(HEADERS.rglob("*.h")):
        for name in declared(path.read_text(encoding="utf-8")):
            count += 1
            if name not in there:
                missing.append(f"{path.relative_to(HEADERS)}: {name} has no definition")
    yield not missing, f"{count} declarations have definitions", missing
    yield count > 100, "declarations are found at all", [f"{count} only"]
    names = sorted(declared(SAMPLE))
    yield names == ["CFFirst", "IOSecond", "kOther", "kSample", "third"], \
        "the reader finds what a sample declares", [str(names)]


if __name__ == "__main__":
    sys.exit(lintlib.speak_tap(points(Path(sys.argv[1]))))

#!/usr/bin/env python3
"""Exports: the shared library offers exactly what its public headers declare, both ways.

SPDX-License-Identifier: GPL-2.0-or-later

usage: exports.py LIBRARY HEADER...
"""
import re
import subprocess
import sys

import lintlib

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
# A declaration's name is the last word before the parameter list of a statement at file level.
DECLARATION = re.compile(r"^[\w\s*]+?\b(\w+)\s*\([^;{]*\)\s*(?:__attribute__[^;]*)?;", re.M)


def declared(text):
    """Functions a header declares."""
    text = COMMENT.sub("", text)
    text = re.sub(r"^\s*#(?:.*\\\n)*.*$", "", text, flags=re.M)
    text = re.sub(r"\btypedef\b[^;{]*(\{.*?\})?[^;]*;", "", text, flags=re.S)
    text = re.sub(r'extern\s+"C"\s*\{', "", text)
    return {match[1] for match in DECLARATION.finditer(text)}


def exported(listing):
    """Symbols of `nm -D --defined-only` output, without versions and version names."""
    names = set()
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] != "A":
            names.add(fields[2].split("@")[0])
    return names


def differences(header_names, library_names):
    """What is in one and not in the other, as text lines."""
    lines = [f"declared, not exported: {name}" for name in sorted(header_names - library_names)]
    return lines + [f"exported, not declared: {name}"
                    for name in sorted(library_names - header_names)]


SAMPLE_HEADER = """
/* int a_comment(void); */
#define MACRO(x) f(x)
typedef struct Thing { int a; } Thing;
typedef void (*callback_fn)(void *opaque);
extern "C" {
int first(io_connect_t connection, uint8_t bus);
void         second(Thing *thing,
                    void (*handler_fn)(void *opaque), void *opaque);
const char *third(kern_return_t code);
Thing *fourth(void);
}
"""
SAMPLE_LIST = """0000000000001110 T first@@LIB_1
0000000000001120 T second@@LIB_1
0000000000001130 T third@@LIB_1
0000000000001140 T fourth@@LIB_1
0000000000000000 A LIB_1
"""


def points(library, headers):
    """Points of the real library, then of the samples."""
    listing = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True,
                             text=True, check=True).stdout
    names = set()
    for header in headers:
        with open(header, encoding="utf-8") as stream:
            names |= declared(stream.read())
    lines = differences(names, exported(listing))
    yield not lines and len(names) > 20, f"exports of {len(names)} functions", lines

    sample = declared(SAMPLE_HEADER)
    yield sample == {"first", "second", "third", "fourth"}, "a header is read", sorted(sample)
    yield not differences(sample, exported(SAMPLE_LIST)), "a matching library is fine", []
    less = SAMPLE_LIST.replace("third@", "thrid@")
    lines = differences(sample, exported(less))
    yield lines == ["declared, not exported: third", "exported, not declared: thrid"], \
        "a missing and a stray symbol are caught", lines


if __name__ == "__main__":
    sys.exit(lintlib.speak_tap(points(sys.argv[1], sys.argv[2:])))

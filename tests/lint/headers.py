#!/usr/bin/env python3
"""Public headers stand alone: each compiles by itself as C11 and C++17, and with a consumer's flags.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import concurrent.futures
import shutil
import subprocess
import sys

import lintlib

FOLDERS = ("include", "src/iokit/include")
CONSUMER_PROGRAM = "tests/lint/apple_consumer.c"
STRICT = ["-Wall", "-Wextra", "-pedantic"]
# What QEMU compiles with, as far as headers are concerned.
CONSUMER = ["-Wall", "-Wundef", "-Wwrite-strings", "-Wmissing-prototypes", "-Wredundant-decls",
            "-Wold-style-definition", "-Wstrict-prototypes", "-Wempty-body", "-Wnested-externs",
            "-Wendif-labels", "-Wshadow", "-Wvla", "-Wformat-security", "-Wformat-y2k",
            "-Winit-self", "-Wignored-qualifiers", "-Wtype-limits"]
WAYS = [("c", ["-std=c11", *STRICT]), ("c", ["-std=gnu11", *CONSUMER]),
        ("c++", ["-std=c++17", *STRICT])]
COMPILERS = {"c": ("gcc", "clang"), "c++": ("g++", "clang++")}


def compile_header(root, header, language, compiler, flags):
    """Findings of one header, included twice, compiled one way."""
    includes = [f"-I{root / folder}" for folder in FOLDERS]
    source = f"#include <{header}>\n" * 2 + "extern int unit_is_not_empty;\n"
    run = subprocess.run([compiler, "-x", language, *flags, "-Werror", *includes, "-fsyntax-only",
                          "-"], input=source, text=True, capture_output=True, check=False)
    if run.returncode == 0:
        return []
    lines = [line for line in run.stderr.splitlines() if "error" in line]
    return [(header, 0, f"{compiler} {flags[0]}: {(lines or [run.stderr])[0]}")]


def compile_consumer(root, language, compiler, flags):
    """Findings of the program that uses Apple's interface as C and as C++."""
    includes = [f"-I{root / folder}" for folder in FOLDERS]
    run = subprocess.run([compiler, "-x", language, *flags, "-Werror", *includes, "-fsyntax-only",
                          str(root / CONSUMER_PROGRAM)], text=True, capture_output=True, check=False)
    return [(CONSUMER_PROGRAM, 0, f"{compiler}: {run.stderr}")] if run.returncode else []


def check(root):
    if (root / CONSUMER_PROGRAM).exists():
        for language, flags in WAYS:
            for compiler in filter(shutil.which, COMPILERS[language]):
                yield from compile_consumer(root, language, compiler, flags)
    jobs = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.h")):
            header = str(path.relative_to(root / folder))
            jobs += [(root, header, language, compiler, flags) for language, flags in WAYS
                     for compiler in COMPILERS[language] if shutil.which(compiler)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for findings in pool.map(lambda job: compile_header(*job), jobs):
            yield from findings


def sample(text, name="sample.h"):
    return {f"include/{name}": f"#ifndef SAMPLE_H\n#define SAMPLE_H\n{text}\n#endif\n"}


BAD = [
    ("a type that it does not include", sample("uint32_t f(void);")),
    ("no guard", {"include/sample.h": "struct a { int b; };\n"}),
    ("a word of C++", sample("int new(int class);")),
    ("a prototype without parameters", sample("int f();")),
    ("a function that is no prototype's", sample("int f(void) { return 1; }")),
    ("a condition on an unknown name", sample("#if SOME_SYSTEM\n#endif")),
    ("a declaration made twice", sample("extern int a;\nextern int a;")),
    ("a zero-length array", sample("struct a { int b; int c[0]; };")),
    ("an Apple header", {"src/iokit/include/IOKit/sample.h": "size_t f(void);\n"}),
]
GOOD = [
    ("a header that stands alone", sample("#include <stdint.h>\nuint32_t f(void);")),
    ("a header that includes another", {
        **sample("#include <other.h>\nstruct b { struct a a; };"),
        "include/other.h": "#ifndef O\n#define O\nstruct a { int b; };\n#endif\n"}),
]

if __name__ == "__main__":
    if not any(shutil.which(name) for name in ("gcc", "clang")):
        lintlib.skip("no compiler is here")
    sys.exit(lintlib.run("headers", check, BAD, GOOD))

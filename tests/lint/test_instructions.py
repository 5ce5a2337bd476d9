#!/usr/bin/env python3
"""scripts/instructions reads profiles right and finds what grew.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import sys
import tempfile
from pathlib import Path

import lintlib

sys.dont_write_bytecode = True


def load(path):
    loader = importlib.machinery.SourceFileLoader("instructions", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("instructions", loader))
    sys.modules["instructions"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


script = load(lintlib.ROOT / "scripts" / "instructions")

# Ten runs. Inlined code of a header counts with its function; a test's own code, and what the C
# library does, do not; calls are counted where they leave src/.
PROFILE = """\
# callgrind format
cmd:  /w/instructions --all
positions: line
events: Ir
summary: 700

ob=/lib/libc.so.6
fl=/usr/src/malloc.c
fn=malloc
3 5000
+2 100

ob=/w/instructions
fl=/w/src/dext/dma.c
fn=dext_dma_add
10 100
fi=/w/src/base/checked.h
+4 20
fe=/w/src/dext/dma.c
cob=/lib/libc.so.6
cfi=/usr/src/malloc.c
cfn=malloc
calls=30 3
12 5100
cfn=dext_find
calls=10 40
13 70
* 5
cob=/lib/libc.so.6
cfi=???
cfn=__memmove_avx_unaligned_erms
calls=20 0
14 400

fn=dext_find
40 70

fl=/w/tests/instructions/main.c
fn=main
cfi=/w/src/dext/dma.c
cfn=dext_dma_add
calls=10 9
5 5700
6 900
cob=/lib/libc.so.6
cfi=???
cfn=puts
calls=10 0
7 900
"""


def profile(functions, calls=None):
    return script.Profile(script.Counter(functions), script.Counter(calls or {}))


def reads_profiles():
    read = script.parse_profile(PROFILE, 10)
    return (read.functions == {"src/dext/dma.c:dext_dma_add": 12.5, "src/dext/dma.c:dext_find": 7}
            and read.calls == {"malloc": 3, "memmove": 2})


def keeps_budgets():
    was = {"a": profile({"src/a.c:f": 100, "src/a.c:g": 2.25}, {"malloc": 1}),
           "b-2": profile({"src/b.c:h": 7})}
    with tempfile.TemporaryDirectory(prefix="dextlink-lint-") as folder:
        path = Path(folder) / "budgets" / "gcc-0-none.txt"
        script.write_budgets(path, was)
        return script.parse_budgets(path.read_text(encoding="utf-8")) == was


BUDGET = profile({"src/a.c:f": 900, "src/a.c:g": 100}, {"malloc": 1})
CASES = {
    "the same": (BUDGET, BUDGET, False),
    "less": (profile({"src/a.c:f": 500}), BUDGET, False),
    "within the tolerance": (profile({"src/a.c:f": 1020}, {"malloc": 1}), BUDGET, False),
    "over the tolerance": (profile({"src/a.c:f": 1024}, {"malloc": 1}), BUDGET, True),
    "two instructions of a short path": (profile({"src/a.c:f": 12}),
                                         profile({"src/a.c:f": 10}), False),
    "five instructions of a short path": (profile({"src/a.c:f": 15}),
                                          profile({"src/a.c:f": 10}), True),
    "one more call into a library": (profile({"src/a.c:f": 900}, {"malloc": 1, "read": 1}),
                                     BUDGET, True),
    "a path without budget": (BUDGET, None, True),
    "a budget without path": (None, BUDGET, True),
}


def names_what_grew():
    now = profile({"src/a.c:f": 880, "src/a.c:new": 300}, {"malloc": 3})
    rows = [(change, name) for change, _, _, name in script.differences(now, BUDGET)]
    return rows == [(300, "src/a.c:new"), (2, "-> malloc"), (-20, "src/a.c:f"),
                    (-100, "src/a.c:g")]


def says_it_in_tap():
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        script.print_tap({"a": profile({"src/a.c:new": 2000}), "b": BUDGET}, {"a": BUDGET, "b": BUDGET})
    text = said.getvalue()
    return ("not ok 1 - a" in text and "src/a.c:new" in text and "\nok 2 - b" in text
            and text.endswith("1..2\n"))


def points():
    yield reads_profiles(), "a profile of callgrind is read", []
    yield keeps_budgets(), "budgets come back as they were written", []
    for name, (now, budget, is_fault) in CASES.items():
        found = list(script.faults(now, budget))
        yield bool(found) == is_fault, f"{name} is {'a fault' if is_fault else 'none'}", found
    yield names_what_grew(), "what grew is named, most first", []
    yield says_it_in_tap(), "a failure names what grew", []


if __name__ == "__main__":
    sys.exit(lintlib.speak_tap(points()))

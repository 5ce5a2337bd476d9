#!/usr/bin/env python3
"""apple-dext-client.c as one file: made the same each time, warning-free with QEMU's compiler
options, exporting the functions of its header and nothing else.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_amalgamation.py NM LIBRARY CONSUMER OPTION...

LIBRARY is the client library as Meson built it, CONSUMER what uses it as QEMU does, OPTIONs are
QEMU's. With DEXTLINK_APPLE_HEADERS the
file is compiled against Apple's headers, too.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "packaging/qemu"), str(ROOT / "tests/lint")]
# pylint: disable=wrong-import-position
import amalgamate
import exports
import lintlib

NM, LIBRARY, CONSUMER, *OPTIONS = sys.argv[1:]
SCRIPT = ROOT / "packaging/qemu/amalgamate.py"
OURS = ["-isystem", str(ROOT / "src/iokit/include")]
CLANG = ["-Wno-unknown-warning-option"]  # some options are gcc's
APPLE_TARGETS = ("arm64-apple-macos13", "x86_64-apple-macos13")


def make(folder, *options):
    """Run the script; its exit status and what it said."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    run = subprocess.run([sys.executable, SCRIPT, *options, folder], capture_output=True,
                         text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def compile_one(folder, compiler, options, *extra):
    """Compile the product in a folder. Returns the compiler's words, empty when it had none."""
    run = subprocess.run([*compiler, *OPTIONS, "-Werror", *options, *extra, "-c",
                          folder / "apple-dext-client.c", "-o", folder / "client.o"],
                         capture_output=True, text=True, check=False)
    return run.stderr if run.returncode == 0 else run.stderr or "it failed"


def symbols(path, *options):
    """{kind: names} of an object or library."""
    run = subprocess.run([NM, *options, path], capture_output=True, text=True, check=True)
    found = {}
    for kind, name in re.findall(r"([A-Za-z]) (\S+)$", run.stdout, re.M):
        found.setdefault(kind, set()).add(name)
    return found


def imports(path):
    """What it needs from elsewhere, but for what sanitizers and compilers bring along."""
    found = symbols(path)
    own = set().union(*(names for kind, names in found.items() if kind != "U"))
    return {name for name in found["U"] - own
            if not re.match(r"__(?:[at]san|ubsan|sanitizer|stack_chk)|_GLOBAL_", name)}


def same_each_time(scratch):
    first, second = scratch / "first", scratch / "second"
    said = [make(first), make(second)]
    for name in ("apple-dext-client.c", "apple-dext-client.h"):
        text = (first / name).read_bytes()
        if text != (second / name).read_bytes():
            said.append(f"{name} differs from run to run")
        if str(ROOT).encode() in text:
            said.append(f"{name} tells where it was made")
    header = (ROOT / "include/apple-dext-client.h").read_bytes()
    if (first / "apple-dext-client.h").read_bytes() != header:
        said.append("the header is not the installed one")
    text = (first / "apple-dext-client.c").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    if re.findall(r'#include "(.*)"', text) != ["apple-dext-client.h"]:
        said.append("it includes more of the project than its header")
    return [line for line in said if line != (0, "")]


def exports_are_the_header(folder):
    with open(folder / "apple-dext-client.h", encoding="utf-8") as stream:
        wanted = exports.declared(stream.read())
    found = symbols(folder / "client.o")
    defined = set().union(*(found.get(kind, set()) for kind in "TDBRCVW"))
    return exports.differences(wanted, defined) + [
        f"needed, not by the library: {name}"
        for name in sorted(imports(folder / "client.o") - imports(LIBRARY))]


def unused_by_the_consumer():
    """Functions of the first part of the header that the consumer does not call."""
    text = (ROOT / "include/apple-dext-client.h").read_text(encoding="utf-8")
    part, mark, _ = text.partition("/* ==== Additions")
    wanted = exports.declared(part)
    return sorted(wanted - imports(CONSUMER)) if mark and len(wanted) > 20 else ["no part found"]


def with_other_options(scratch):
    """First include and line length, as README.md has them for QEMU."""
    folder = scratch / "qemu"
    said = [make(folder, "--first-include", "qemu/osdep.h", "--columns", "80")]
    for name in ("apple-dext-client.c", "apple-dext-client.h"):
        lines = (folder / name).read_text(encoding="utf-8").split("\n")
        said += [f"{name}:{n}: {line}" for n, line in enumerate(lines, 1) if len(line) > 80]
        includes = [line for line in lines if line.startswith("#include")]
        if name.endswith(".c") and includes[0] != '#include "qemu/osdep.h"':
            said.append(f"the first include is {includes[0]}")
    (folder / "qemu").mkdir()
    (folder / "qemu/osdep.h").write_text("#include <stddef.h>\n", encoding="utf-8")
    said.append(compile_one(folder, [shutil.which("cc")], OURS, "-iquote", str(folder)))
    return [line for line in said if line not in ((0, ""), "")]


def apple_points(folder):
    sdk = os.environ.get("DEXTLINK_APPLE_HEADERS")
    for target in APPLE_TARGETS:
        title = f"it compiles against Apple's headers for {target}"
        if not sdk or not shutil.which("clang"):
            yield True, f"{title} # SKIP no headers, or no clang", []
            continue
        said = compile_one(folder, ["clang", "-target", target, "-nostdlibinc", *CLANG],
                           ["-isystem", f"{sdk}/include", "-iframework", f"{sdk}/Frameworks"])
        yield said == "", title, said.splitlines()


HEAD = "/*\n * Part.\n *\n * SPDX-License-Identifier: GPL-2.0-or-later\n */\n"
BUILD = {"meson.build": "project('x',\n  version: '1.2')\n", ".clang-format": "",
         "include/apple-dext-client.h": "int x;\n",
         "src/client/meson.build": "client_sources = files(\n  'a.c',\n  'b.c',\n)\n"}
# (what, files, words of the refusal)
BAD = [
    ("one static function in two parts",
     {"src/client/a.c": HEAD + "static int f(void)\n{\n    return 0;\n}\n",
      "src/client/b.c": HEAD + "static int f(int a)\n{\n    return a;\n}\n"}, "both define f"),
    ("one variable in two parts",
     {"src/client/a.c": HEAD + "static const char key;\n",
      "src/client/b.c": HEAD + "static int key[3] = {0};\n"}, "both define key"),
    ("one constant in two parts",
     {"src/client/a.c": HEAD + "enum { FIRST, LAST = 3 };\n",
      "src/client/b.c": HEAD + "enum kind {\n    OTHER,\n    LAST,\n};\n"}, "both define LAST"),
    ("one structure in two parts",
     {"src/client/a.c": HEAD + "struct row {\n    int a;\n};\n",
      "src/client/b.c": HEAD + "struct row {\n    int b;\n};\n"}, "both define row"),
    ("a part that is not there", {"src/client/a.c": HEAD}, "src/client/b.c: there is no such file"),
    ("a header that is not there", {"src/client/a.c": HEAD + '#include "client/z.h"\n',
                                    "src/client/b.c": HEAD}, "src/client/z.h: there is no"),
    ("a header without a guard", {"src/client/a.c": HEAD + '#include "client/z.h"\n',
                                  "src/client/b.c": HEAD, "src/client/z.h": HEAD + "int y;\n"},
     "without a guard"),
    ("an include under a condition",
     {"src/client/a.c": HEAD + "#ifdef X\n#include <x.h>\n#endif\n", "src/client/b.c": HEAD},
     "depends on a condition"),
    ("a part without a license", {"src/client/a.c": "int x;\n", "src/client/b.c": HEAD},
     "purpose and license"),
    ("a build file without sources", {"src/client/meson.build": "x = 1\n"}, "no client_sources"),
]
GUARD = "#ifndef Z_H\n#define Z_H\n{}#endif\n"
GOOD = {"src/client/a.c": HEAD + '#include "client/z.h"\n\n#include <a.h>\n\nlong client_f(int a,\n'
                                 "              int b)\n{\n    return client_g(a) + b;\n}\n",
        "src/client/b.c": HEAD + '#include <b.h>\n#include "client/z.h"\n'
                                 "int client_g(int a)\n{\n    return a;\n}\n",
        "src/client/z.h": HEAD + GUARD.format("#include <a.h>\nint client_g(int a);\n"
                                              "struct client_x {\n    int a;\n};\n")}
GOOD_TEXT = """#include "apple-dext-client.h"

#include <a.h>
#include <b.h>

/*
 * ---- client/z.h ----
 *
 * Part.
 */

static int client_g(int a);
struct client_x {
    int a;
};

/*
 * ---- client/a.c ----
 *
 * Part.
 */

static long client_f(int a,
                     int b)
{
    return client_g(a) + b;
}

/*
 * ---- client/b.c ----
 *
 * Part.
 */

static int client_g(int a)
{
    return a;
}
"""


def sample_points():
    for what, files, words in BAD:
        with lintlib.sample_tree(BUILD | files) as name:
            status, said = make(Path(name) / "out", "--root", name)
            left = list((Path(name) / "out").iterdir())
        yield status == 1 and words in said and not left, f"refused: {what}", [said]
    with lintlib.sample_tree(BUILD | GOOD) as name:
        text = amalgamate.amalgamate(Path(name))[0]["apple-dext-client.c"]
    yield text.endswith(GOOD_TEXT) and "dextlink 1.2," in text, "a small library", [text]


def points(scratch):
    said = same_each_time(scratch)
    yield not said, "the same sources give the same bytes", said
    folder = scratch / "first"
    for name, extra in (("gcc", []), ("clang", CLANG)):
        title = f"{name} has no word for it"
        if not shutil.which(name):
            yield True, f"{title} # SKIP {name} is not here", []
            continue
        said = compile_one(folder, [name, *extra], OURS, "-O2")
        yield said == "", title, said.splitlines()
    said = exports_are_the_header(folder)
    yield not said, "it exports the functions of the header, and needs what the library needs", said
    said = unused_by_the_consumer()
    yield not said, "the stand-in for QEMU's back end uses every function of QEMU's", said
    if shutil.which("clang-format"):
        said = with_other_options(scratch)
        yield not said, "as QEMU's style wants it", said
    else:
        yield True, "as QEMU's style wants it # SKIP clang-format is not here", []
    yield from apple_points(folder)
    yield from sample_points()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="dextlink-qemu-") as place:
        sys.exit(lintlib.speak_tap(points(Path(place))))

#!/usr/bin/env python3
"""Make apple-dext-client.c and apple-dext-client.h, the client library as one file each.

SPDX-License-Identifier: GPL-2.0-or-later

For trees that want it so, as QEMU's hw/vfio/ does. The same sources give the same bytes. What the
parts of the library share becomes static, so that only the functions of the header are exported;
two parts that use one name for different things are refused.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PUBLIC_HEADER = "apple-dext-client.h"

BANNER = """/*
 * Client of the VFIOUserPCIDriver DriverKit extension, in one file.
 *
 * Made by dextlink {version}, packaging/qemu/amalgamate.py: changes belong into its src/client.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
"""

HEAD_COMMENT = re.compile(r"\A/\*\n(.*?) \*/\n", re.S)
INCLUDE = re.compile(r'#include (?:<([^>]+)>|"([^"]+)")$')
CONDITION = re.compile(r"# *(if|ifdef|ifndef|endif)\b")
# A declaration or definition at file level of a function that the parts share.
SHARED = re.compile(r"(?!static |typedef |struct \w+ \{)([A-Za-z_][\w ]*[ *])(client_\w+)\(")
# What two parts must not both define at file level.
NAMES = (re.compile(r"^static [^;={(]*?\b(\w+) ?(?=[(=;\[])", re.M),
         re.compile(r"^(?:struct|union|enum) (\w+) \{", re.M),
         re.compile(r"^#define (\w+)", re.M))
ENUMERATION = re.compile(r"^enum(?: \w+)? \{(.*?)\}", re.M | re.S)


class Refused(Exception):
    """What stands in the way of one file."""


def library_sources(root):
    """The sources of the library, in the order of its build file."""
    text = (root / "src/client/meson.build").read_text(encoding="utf-8")
    match = re.search(r"^client_sources = files\((.*?)\)", text, re.M | re.S)
    names = re.findall(r"'([^']+)'", match[1]) if match else []
    if not names:
        raise Refused("src/client/meson.build: no client_sources = files(...) there")
    return [f"client/{name}" for name in names]


def project_version(root):
    text = (root / "meson.build").read_text(encoding="utf-8")
    match = re.search(r"^ +version: '([^']+)'", text, re.M)
    if not match:
        raise Refused("meson.build: it names no version")
    return match[1]


def without_guard(name, lines):
    """The lines of a header between its guard's."""
    opening = next((i for i, line in enumerate(lines) if line.startswith("#ifndef ")), None)
    closing = max((i for i, line in enumerate(lines) if line.startswith("#endif")), default=None)
    if opening is None or closing is None or lines[opening + 1].split()[0] != "#define":
        raise Refused(f"src/{name}: a header without a guard")
    return lines[:opening] + lines[opening + 2:closing]


def names_of(text):
    """Names that a part defines at file level."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = set()
    for pattern in NAMES:
        found |= set(pattern.findall(text))
    for body in ENUMERATION.findall(text):
        found |= set(re.findall(r"(?:^|,)\s*([A-Z]\w*)", body))
    return found - set(re.findall(r"^#undef (\w+)", text, re.M))


def make_static(lines):
    """Shared functions as static ones, what follows their parenthesis moved along."""
    depth = 0
    for line in lines:
        if depth > 0:
            yield "       " + line
        elif SHARED.match(line):
            yield "static " + line
        else:
            yield line
            continue
        depth += line.count("(") - line.count(")")


class Amalgamation:
    """The one file while it grows."""

    def __init__(self, root):
        self.root = root
        self.done = set()
        self.system = set()
        self.owner = {}
        self.parts = []

    def own_names(self, name, text):
        for word in sorted(names_of(text)):
            other = self.owner.setdefault(word, name)
            if other != name:
                raise Refused(f"src/{name} and src/{other} both define {word}")

    def take_include(self, name, line, depth):
        match = INCLUDE.match(line)
        if not match:
            raise Refused(f"src/{name}: not understood: {line}")
        if depth != 0:
            raise Refused(f"src/{name}: an include that depends on a condition: {line}")
        if match[1]:
            self.system.add(match[1])
        elif match[2] != PUBLIC_HEADER:
            self.add(match[2])

    def add(self, name):
        """Add a part, after the headers it includes."""
        if name in self.done:
            return
        self.done.add(name)
        path = self.root / "src" / name
        if not path.is_file():
            raise Refused(f"src/{name}: there is no such file")
        text = path.read_text(encoding="utf-8")
        head = HEAD_COMMENT.match(text)
        if not head or "SPDX-License-Identifier: GPL-2.0-or-later" not in head[1]:
            raise Refused(f"src/{name}: it does not begin with its purpose and license")
        self.own_names(name, text)
        lines = text[head.end():].split("\n")
        if name.endswith(".h"):
            lines = without_guard(name, lines)
        kept, depth = [], 0
        for line in lines:
            if line.startswith("#include"):
                self.take_include(name, line, depth)
                continue
            condition = CONDITION.match(line)
            if condition:
                depth += -1 if condition[1] == "endif" else 1
            kept.append(line)
        purpose = re.sub(r" \*\n \* SPDX-[^\n]*\n", "", head[1])
        self.parts.append(f"/*\n * ---- {name} ----\n *\n{purpose} */\n\n" +
                          "\n".join(make_static(kept)).strip("\n"))

    def text(self, version, first_include):
        lines = [BANNER.format(version=version).rstrip("\n")]
        if first_include:
            lines.append(f'#include "{first_include}"\n')
        lines.append(f'#include "{PUBLIC_HEADER}"\n')
        lines.append("\n".join(f"#include <{name}>" for name in sorted(self.system)) + "\n")
        text = "\n".join(lines) + "\n" + "\n\n".join(self.parts) + "\n"
        return re.sub(r"\n{3,}", "\n\n", text)


def amalgamate(root, first_include=None):
    """{file name: text} of the product, and the files it was made of."""
    whole = Amalgamation(root)
    for name in library_sources(root):
        whole.add(name)
    header = root / "include" / PUBLIC_HEADER
    files = {"apple-dext-client.c": whole.text(project_version(root), first_include),
             PUBLIC_HEADER: header.read_text(encoding="utf-8")}
    return files, [header, root / "src/client/meson.build", root / "meson.build",
                   *(root / "src" / name for name in sorted(whole.done))]


def reflow(root, name, text, columns):
    """The text in the house's style with shorter lines."""
    style = (root / ".clang-format").read_text(encoding="utf-8")
    style = re.sub(r"^ColumnLimit: .*$", f"ColumnLimit: {columns}", style, flags=re.M)
    rules = ", ".join(line for line in style.splitlines() if line)
    text = re.sub(r"^(/\* [-=]{4} .*?) [-=]+ \*/$", r"\1 */", text, flags=re.M)
    run = subprocess.run(["clang-format", f"--style={{{rules}}}", f"--assume-filename={name}"],
                         input=text, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise Refused(f"clang-format: {run.stderr.strip()}")
    return run.stdout


def main():
    parser = argparse.ArgumentParser(description="Make apple-dext-client.c and .h.")
    parser.add_argument("folder", type=Path, help="where to put the two files")
    parser.add_argument("--first-include", metavar="HEADER",
                        help='include this before all else; QEMU wants "qemu/osdep.h"')
    parser.add_argument("--columns", type=int, metavar="N",
                        help="break lines at N columns, by clang-format, whose version decides "
                        "about details; without it lines stay as they are, up to 107 columns")
    parser.add_argument("--depfile", type=Path, help="tell here, as make does, what was read")
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree to read")
    arguments = parser.parse_args()
    try:
        files, parts = amalgamate(arguments.root, arguments.first_include)
        for name, text in files.items():
            if arguments.columns:
                text = reflow(arguments.root, name, text, arguments.columns)
            (arguments.folder / name).write_text(text, encoding="utf-8")
        if arguments.depfile:
            arguments.depfile.write_text(f"{next(iter(files))}: {' '.join(map(str, parts))}\n",
                                         encoding="utf-8")
    except (Refused, OSError) as error:
        sys.exit(f"amalgamate: {error}")


if __name__ == "__main__":
    main()

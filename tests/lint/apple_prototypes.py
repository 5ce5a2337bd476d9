#!/usr/bin/env python3
"""Our headers against Apple's: every prototype, variable, type, structure and constant agrees.

SPDX-License-Identifier: GPL-2.0-or-later

usage: apple_prototypes.py [ROOT]

ROOT (or DEXTLINK_APPLE_HEADERS) holds Apple's SDK headers: Frameworks/ and include/. Without it the
test is skipped. For each header of ours and each processor, what the header declares is read from
clang's syntax tree and its values from clang's output; then a file that includes Apple's header of
the same name asserts all of it. So a name that Apple declares elsewhere is a finding, too. Nothing
is run on macOS.
"""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import lintlib

TARGETS = ("arm64-apple-macos13", "x86_64-apple-macos13")
HEADERS = Path("src/iokit/include")
LANGUAGE = ["-x", "c", "-std=gnu11", "-nostdlibinc", "-w"]
NEUTRAL = ("stddef.h", "stdint.h", "stdbool.h")

# Macros of ours that are no interface: attributes and the like.
NO_INTERFACE = {"CF_EXPORT", "CF_INLINE", "CF_RETURNS_RETAINED", "CF_RELEASES_ARGUMENT",
                "CF_EXTERN_C_BEGIN", "CF_EXTERN_C_END", "DISPATCH_DECL"}
# Macros with parameters, or that are no constants: uses of them that must mean the same.
USES = {
    "CFSTR": ["sizeof(CFSTR(\"a\"))"],
    "DISPATCH_QUEUE_SERIAL": ["sizeof(DISPATCH_QUEUE_SERIAL)"],
    "MACH_PORT_VALID": ["MACH_PORT_VALID(1)", "MACH_PORT_VALID(MACH_PORT_NULL)",
                        "MACH_PORT_VALID(MACH_PORT_DEAD)"],
    "mach_task_self": ["sizeof(mach_task_self())"],
    "current_task": ["sizeof(current_task())"],
    "trunc_page": ["sizeof(trunc_page((vm_size_t)1))"],
    "round_page": ["sizeof(round_page((vm_size_t)1))"],
    "mach_vm_trunc_page": ["sizeof(mach_vm_trunc_page(1))"],
    "mach_vm_round_page": ["sizeof(mach_vm_round_page(1))"],
    "err_system": ["err_system(0x38)", "err_system(4)"],
    "err_sub": ["err_sub(1)", "err_sub(-2)"],
    "err_get_system": ["err_get_system(0x10004003)", "err_get_system(-536870206)"],
    "err_get_sub": ["err_get_sub(0x10004003)", "err_get_sub(-469794815)"],
    "err_get_code": ["err_get_code(0x10004003)", "err_get_code(-536870206)"],
    "unix_err": ["unix_err(2)"],
    "iokit_common_err": ["iokit_common_err(0x2c2)"],
    "iokit_family_err": ["iokit_family_err(sub_iokit_usb, 1)"],
    "iokit_vendor_specific_err": ["iokit_vendor_specific_err(7)"],
    "iokit_common_msg": ["iokit_common_msg(0x10)"],
    "iokit_family_msg": ["iokit_family_msg(sub_iokit_usb, 1)"],
    "iokit_vendor_specific_msg": ["iokit_vendor_specific_msg(7)"],
}
# Typedefs of plain integers here that are enumerations of that width there.
WIDTH_ONLY = {"CFComparisonResult", "CFStringBuiltInEncodings", "CFStringCompareFlags",
              "CFNumberType"}
# A union with more members there; what counts is how it is passed.
SIZE_ONLY = {"dispatch_object_t"}


class Headers:
    """How to compile against one set of headers."""

    def __init__(self, target, arguments):
        self.arguments = ["clang", f"--target={target}", *LANGUAGE, *arguments]

    def run(self, source, *extra):
        return subprocess.run([*self.arguments, *extra, "-"], input=source, text=True,
                              capture_output=True, check=False)


def ours(root, target):
    return Headers(target, ["-ffreestanding", "-I", str(root / HEADERS)])


def apples(headers_root, target):
    return Headers(target, ["-isystem", str(headers_root / "include"),
                            "-iframework", str(headers_root / "Frameworks")])


def include(names):
    return "".join(f"#include <{name}>\n" for name in names)


def tree(headers, source):
    run = headers.run(source, "-fsyntax-only", "-Xclang", "-ast-dump=json")
    if run.returncode != 0:
        raise RuntimeError(run.stderr)
    return [node for node in json.loads(run.stdout)["inner"] if not node.get("isImplicit")]


def macros(headers, source):
    """{name: (has parameters, body)} of what a source defines."""
    run = headers.run(source, "-E", "-dM")
    found = {}
    for line in run.stdout.splitlines():
        match = re.match(r"#define (\w+)(\([^)]*\))?(?: (.*))?$", line)
        found[match[1]] = (match[2] is not None, match[3] or "")
    return found


class Declared:
    """What one header of ours declares."""

    def __init__(self, headers, header):
        before = {node.get("name") for node in tree(headers, include(NEUTRAL))}
        neutral = macros(headers, include(NEUTRAL))
        self.functions, self.variables, self.typedefs = {}, {}, {}
        self.enumerators, self.records = [], {}
        by_id = {}
        for node in tree(headers, include(NEUTRAL) + include([header])):
            by_id[node["id"]] = node
            name, kind = node.get("name"), node["kind"]
            if kind == "EnumDecl":
                self.enumerators += [inner["name"] for inner in node.get("inner", [])
                                     if inner["kind"] == "EnumConstantDecl"]
            if name in before:
                continue
            if kind == "RecordDecl" and name and node.get("completeDefinition"):
                raise RuntimeError(f"{header}: fields of struct {name} are not compared")
            if kind == "FunctionDecl":
                self.functions[name] = node["type"]["qualType"]
            elif kind == "VarDecl":
                self.variables[name] = node["type"]["qualType"]
            elif kind == "TypedefDecl":
                record = owned_record(node, by_id)
                if record is None:
                    self.typedefs[name] = node["type"]["qualType"]
                elif name not in SIZE_ONLY:
                    self.records[name] = [(f["name"], f["type"]["qualType"])
                                          for f in record["inner"] if f["kind"] == "FieldDecl"]
        self.strings, self.constants, self.uses = {}, [], []
        for name, (has_parameters, body) in macros(headers, include(NEUTRAL) +
                                                   include([header])).items():
            if name in neutral or name in NO_INTERFACE or name.startswith("DEXTLINK_"):
                continue
            if name in USES:
                self.uses += [(name, use) for use in USES[name]]
            elif has_parameters:
                raise RuntimeError(f"{header}: no uses of {name} are known to this check")
            elif body.startswith('"'):
                self.strings[name] = body
            elif body != "":
                self.constants.append(name)

    def expressions(self):
        """Integer expressions whose value and type must agree."""
        yield from ((name, True) for name in self.constants)
        yield from ((name, False) for name in self.enumerators)
        yield from ((use, True) for _, use in self.uses)
        for name in self.typedefs:
            if name in WIDTH_ONLY:
                yield f"({name})-1", True
        for name, fields in self.records.items():
            yield f"sizeof({name})", True
            yield from ((f"__builtin_offsetof({name}, {field})", True) for field, _ in fields)


def owned_record(node, by_id):
    """The structure or union that a typedef of one without a tag names."""
    inner = (node.get("inner") or [{}])[0]
    tag = inner.get("ownedTagDecl")
    record = by_id.get(tag["id"]) if tag else None
    return record if record is not None and record["kind"] == "RecordDecl" else None


def values(headers, header, expressions):
    """[(value, size, is signed)] of integer expressions, from the compiler's output."""
    lines = []
    for number, (expression, _) in enumerate(expressions):
        kind = f"__typeof__({expression})"
        lines.append(f"const unsigned long long v{number} = (unsigned long long)({expression});")
        lines.append(f"const unsigned long long s{number} = sizeof({expression});")
        lines.append(f"const unsigned long long n{number} = ({kind})-1 < ({kind})0;")
    run = headers.run(include(NEUTRAL) + include([header]) + "\n".join(lines),
                      "-S", "-emit-llvm", "-o", "-")
    if run.returncode != 0:
        raise RuntimeError(run.stderr)
    seen = {name: int(value) % 2**64 for name, value in
            re.findall(r"^@_?([vsn]\d+) = .*constant i64 (-?\d+)", run.stdout, re.M)}
    return [(seen[f"v{i}"], seen[f"s{i}"], seen[f"n{i}"]) for i in range(len(expressions))]


def assertions(declared, headers, header):
    """C source, a line an assertion: (what it is about, text)."""
    same = "_Static_assert(__builtin_types_compatible_p(__typeof__({}) *, __typeof__({}) *), \"\");"
    for name, kind in declared.functions.items():
        yield name, same.format(name, kind)
    for name, kind in declared.variables.items():
        yield name, same.format(name, kind)
    for name, kind in declared.typedefs.items():
        if name not in WIDTH_ONLY:
            yield name, same.format(name, kind)
    for name, fields in declared.records.items():
        for field, kind in fields:
            yield f"{name}.{field}", same.format(f"(({name} *)0)->{field}", kind)
    for name, body in declared.strings.items():
        yield name, f"_Static_assert(__builtin_strcmp({name}, {body}) == 0, \"\");"
    for name, _ in declared.uses:
        yield name, f"#ifndef {name}\n#error {name}\n#endif"
    expressions = list(declared.expressions())
    for (expression, has_type), (value, size, is_signed) in zip(
            expressions, values(headers, header, expressions)):
        yield expression, (f"_Static_assert((unsigned long long)({expression}) == {value}u"
                           "ll, \"\");")
        if has_type:
            yield expression, (f"_Static_assert(sizeof({expression}) == {size} && "
                               f"(((__typeof__({expression}))-1 < (__typeof__({expression}))0) == "
                               f"{is_signed}), \"\");")


def compare(root, headers_root, target, header):
    """Findings of one header for one processor, and how many assertions were made."""
    mine = ours(root, target)
    about, source = {}, include(NEUTRAL) + include([header])
    line, count = source.count("\n") + 1, 0
    for what, text in assertions(Declared(mine, header), mine, header):
        count += 1
        for part in text.split("\n"):
            about[line] = what
            source += part + "\n"
            line += 1
    run = apples(headers_root, target).run(source, "-fsyntax-only", "-ferror-limit=0",
                                           "-fno-caret-diagnostics")
    findings = set()
    for place, number, text in re.findall(r"^(.*?):(\d+):\d+: (?:fatal )?error: (.*)$",
                                          run.stderr, re.M):
        what = about.get(int(number), "?") if place == "<stdin>" else place
        findings.add((str(HEADERS / header), 0, f"{target}: {what}: {text}"))
    if run.returncode != 0 and not findings:
        findings.add((str(HEADERS / header), 0, f"{target}: {run.stderr.strip()}"))
    return sorted(findings), count


def header_names(root):
    return sorted(str(path.relative_to(root / HEADERS))
                  for path in (root / HEADERS).rglob("*.h"))


def check(root, headers_root, targets=TARGETS, only=None):
    """All findings, and the number of assertions."""
    jobs = [(root, headers_root, target, header) for target in targets
            for header in (only or header_names(root))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda job: compare(*job), jobs))
    return [f for findings, _ in results for f in findings], sum(n for _, n in results)


# What must be caught: (header, text in it, its replacement).
BAD = [
    ("a parameter of another width", "IOKit/IOKitLib.h",
     "task_port_t owningTask, uint32_t type", "task_port_t owningTask, uint64_t type"),
    ("another result type", "IOKit/IOKitLib.h", "void IOIteratorReset(", "int IOIteratorReset("),
    ("a function that Apple does not have", "IOKit/IOKitLib.h", "IOIteratorReset(",
     "IOIteratorRewind("),
    ("another code", "IOKit/IOReturn.h", "iokit_common_err(0x2c2)", "iokit_common_err(0x2c3)"),
    ("an unsigned code", "IOKit/IOReturn.h", "iokit_common_err(0x2c2)", "0xe00002c2"),
    ("a type of the same width", "mach/machine/vm_types.h", "typedef uint64_t mach_vm_size_t",
     "typedef uintptr_t mach_vm_size_t"),
    ("another key", "IOKit/IOKitKeys.h", '"IONameMatch"', '"IONamedMatch"'),
    ("another enumerator", "IOKit/IOMapTypes.h", "kIOWriteCombineCache = 4",
     "kIOWriteCombineCache = 5"),
    ("another order of fields", "CoreFoundation/CFBase.h",
     "    CFIndex location;\n    CFIndex length;", "    CFIndex length;\n    CFIndex location;"),
    ("a variable that is not const", "IOKit/IOKitLib.h", "extern const mach_port_t kIOMain",
     "extern mach_port_t kIOMain"),
    ("an enumeration of another width", "CoreFoundation/CFNumber.h",
     "DEXTLINK_CF_ENUM(CFIndex, CFNumberType)", "DEXTLINK_CF_ENUM(int32_t, CFNumberType)"),
    ("a macro that means something else", "mach/error.h", "(x)&0xfff) << 14", "(x)&0xfff) << 13"),
]


def compile_consumer(headers_root):
    """Findings of the program that compiles against our headers, against Apple's."""
    source = (lintlib.ROOT / "tests" / "lint" / "apple_consumer.c").read_text(encoding="utf-8")
    for target in TARGETS:
        run = apples(headers_root, target).run(source, "-fsyntax-only", "-Wall", "-Werror")
        if run.returncode != 0:
            yield f"{target}: {run.stderr}"


def is_caught(headers_root, scratch, sample):
    _, header, text, replacement = sample
    copy = Path(scratch) / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(lintlib.ROOT / HEADERS, copy / HEADERS)
    path = copy / HEADERS / header
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(text, replacement), encoding="utf-8")
    findings, _ = check(copy, headers_root, TARGETS[:1], [header])
    return text in before and bool(findings)


def points(headers_root):
    findings, count = check(lintlib.ROOT, headers_root)
    lines = [f"{path}: {text}" for path, _, text in findings]
    yield not lines, f"agreement with Apple's headers: {count} assertions", lines
    lines = list(compile_consumer(headers_root))
    yield not lines, "a program of ours compiles against Apple's headers", lines
    with tempfile.TemporaryDirectory(prefix="dextlink-apple-") as scratch:
        for sample in BAD:
            yield is_caught(headers_root, scratch, sample), f"catches {sample[0]}", []


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DEXTLINK_APPLE_HEADERS")
    if not where:
        lintlib.skip("DEXTLINK_APPLE_HEADERS does not say where Apple's SDK headers are")
    if not shutil.which("clang"):
        lintlib.skip("clang is not here")
    if not (Path(where) / "include").is_dir() or not (Path(where) / "Frameworks").is_dir():
        sys.exit(f"{where}: no include/ and Frameworks/ there")
    sys.exit(lintlib.speak_tap(points(Path(where))))

#!/usr/bin/env python3
"""Include directions: which layer may include what, and no OS conditionals outside OS files.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import sys

import lintlib

APPLE = ("IOKit/", "CoreFoundation/", "dispatch/", "mach/")
PUBLIC = ("apple-dext-client.h", "dext-host.h")
CODES = "IOKit/IOReturn.h"

# Layer -> layers it may include besides itself. What is not a row may not exist.
ARROWS = {
    "abi": set(),
    "base": set(),
    "model": {"abi"},
    "dart": {"base"},
    "provider": {"dart", "abi", "base"},
    "backend": {"provider", "dart", "model", "abi", "base"},
    "dext": {"provider", "dart", "abi", "base"},
    "wire": {"base"},
    "iokit": {"wire", "base"},
    "host": {"dext", "provider", "backend", "model", "dart", "wire", "abi", "base"},
    "client": {"abi"},
    "vfiouser": {"base"},
}
# Single headers beyond the rows above, with the reason.
EXTRA = {
    "model": {"base/checked.h"},   # arithmetic only, no side effect
    "base": {CODES},               # the one table between errno and IOReturn
    "dext": {CODES},               # dispatch answers in IOReturn
    "host": {CODES, "dext-host.h"},
    "client": {"apple-dext-client.h"},
    "vfiouser": {"apple-dext-client.h"},
}
# Single headers that one file may include besides.
EXTRA_OF_FILE = {
    "src/vfiouser/areas_linux.c": {"iokit/direct.h"},  # the files behind BARs
    "src/vfiouser/served_linux.c": {"iokit/served_memory.h"},  # memory that a peer answers for
}
MAY_USE_APPLE = {"iokit", "client", "vfiouser"}
# Layers that a tool may use besides the public headers.
OF_TOOL = {"dext-vfio-user": "vfiouser"}
# A model has no fd, thread, clock or log, so it needs only these of the C library; of stdio.h only
# what formats into memory.
MODEL_LIBC = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "string.h", "stdlib.h",
              "errno.h", "limits.h", "inttypes.h", "assert.h", "ctype.h"}
MODEL_STREAM = re.compile(r"\b(?:(?:v?f?printf|f?puts|f?putc|putchar|perror|f(?:re)?open|popen|getenv|"
                          r"system|exit|abort)\(|std(?:out|err|in)\b)")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
OS_CONDITION = re.compile(r"^\s*#\s*(?:el)?if\w*\b.*\b(__APPLE__|__linux__|__MACH__|__FreeBSD__)\b")
OS_FILE = re.compile(r"_(linux|darwin)\.[ch]$")


def forbidden(layer, relative, name, is_system):
    """Why a file of this layer may not include name, or None."""
    if name in EXTRA.get(layer, ()) or name in EXTRA_OF_FILE.get(relative.as_posix(), ()):
        return None
    if name.startswith(APPLE):
        return None if layer in MAY_USE_APPLE else f"{layer} must not use Apple's headers: {name}"
    if name in PUBLIC:
        return f"{layer} must not include {name}"
    target = name.split("/")[0] if "/" in name else None
    if target in ARROWS:
        if target == layer or target in ARROWS[layer]:
            return None
        return f"no arrow {layer} -> {target}: {name}"
    if not is_system:
        here = (relative.parent / name)
        return None if here.parts[1] == layer and ".." not in here.parts else \
            f"include of another place by a relative path: {name}"
    if layer == "client" and name.startswith("bsd/"):
        return f"client uses libc and Apple's headers only: {name}"
    if layer == "model" and name not in MODEL_LIBC and not name.startswith("bsd/sys/"):
        return f"model is pure: {name}"
    return None


def forbidden_in_tools(relative, name, is_system):
    """The same for tools: public headers, Apple's headers, libc, their own folder."""
    if name.startswith(APPLE) or name in PUBLIC or is_system and name.split("/")[0] not in ARROWS:
        return None
    if name.split("/")[0] == OF_TOOL.get(relative.parts[1]):
        return None
    here = relative.parent / name
    if not is_system and ".." not in here.parts and name.split("/")[0] not in ARROWS:
        return None
    return f"tools use include/ and their own folder only: {name}"


def check(root):
    for path in lintlib.c_files(root, ("src", "tools", "include")):
        relative = path.relative_to(root)
        layer = relative.parts[1]
        if relative.parts[0] == "src" and layer not in ARROWS:
            yield relative, 1, f"no row in ARROWS for the layer {layer}"
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if OS_CONDITION.match(line) and not OS_FILE.search(path.name):
                yield relative, number, "OS condition outside a _linux or _darwin file"
            if layer == "model" and (match := MODEL_STREAM.search(line)):
                yield relative, number, f"model is pure: {match[0]}"
            match = INCLUDE.match(line)
            if not match or relative.parts[0] == "include":
                continue
            is_system, name = match[1] == "<", match[2]
            why = forbidden_in_tools(relative, name, is_system) if relative.parts[0] == "tools" \
                else forbidden(layer, relative, name, is_system)
            if why:
                yield relative, number, why


BAD = [
    ("dext -> wire", {"src/dext/a.c": '#include "wire/frame.h"\n'}),
    ("iokit -> abi", {"src/iokit/a.c": '#include "abi/dext_abi.h"\n'}),
    ("client -> base", {"src/client/a.c": '#include "base/log.h"\n'}),
    ("client -> libbsd", {"src/client/a.c": "#include <bsd/sys/queue.h>\n"}),
    ("model -> a clock", {"src/model/nvme/a.c": "#include <time.h>\n"}),
    ("model -> a stream", {"src/model/a.c": "#include <stdio.h>\nfprintf(stderr, text);\n"}),
    ("model -> the environment", {"src/model/a.c": 'getenv("HOME");\n'}),
    ("model -> the log", {"src/model/a.c": '#include "base/log.h"\n'}),
    ("abi -> anything", {"src/abi/a.h": '#include "base/checked.h"\n'}),
    ("dart -> Apple", {"src/dart/a.h": "#include <IOKit/IOReturn.h>\n"}),
    ("a layer in angle brackets", {"src/dart/a.h": "#include <wire/frame.h>\n"}),
    ("a relative path out", {"src/dext/a.c": '#include "../wire/frame.h"\n'}),
    ("tools -> src", {"tools/dextctl/a.c": '#include "host/host.h"\n'}),
    ("tools -> src by path", {"tools/dextctl/a.c": '#include "../../src/host/host.h"\n'}),
    ("tools -> a layer that is another's", {"tools/dextctl/a.c": '#include "vfiouser/server.h"\n'}),
    ("vfiouser -> host", {"src/vfiouser/a.c": '#include "dext-host.h"\n'}),
    ("vfiouser -> provider", {"src/vfiouser/a.c": '#include "provider/pci_provider.h"\n'}),
    ("vfiouser -> iokit", {"src/vfiouser/a.c": '#include "iokit/direct.h"\n'}),
    ("an unknown layer", {"src/extra/a.c": "\n"}),
    ("an OS condition", {"src/host/a.c": "#if defined(__linux__)\n#endif\n"}),
    ("an OS condition in a tool", {"tools/dextd/a.c": "#ifdef __APPLE__\n#endif\n"}),
]
GOOD = [
    ("the arrows of the house", {
        "src/host/a.c": '#include "dext/dext.h"\n#include "wire/frame.h"\n#include <poll.h>\n',
        "src/model/a.c": '#include "base/checked.h"\n#include "model/model.h"\n'
                         "#include <stdio.h>\nvsnprintf(text, size, format, list);\n",
        "src/client/a.c": '#include "apple-dext-client.h"\n#include <IOKit/IOKitLib.h>\n',
        "src/vfiouser/a.c": '#include "apple-dext-client.h"\n#include "base/checked.h"\n',
        "src/vfiouser/areas_linux.c": '#include "iokit/direct.h"\n',
        "tools/dext-vfio-user/a.c": '#include "vfiouser/server.h"\n#include "own.h"\n',
        "src/iokit/clock_linux.c": "#ifdef __linux__\n#endif\n",
        "tools/dextctl/a.c": '#include "dextctl.h"\n#include <dext-host.h>\n'}),
]

if __name__ == "__main__":
    sys.exit(lintlib.run("include arrows", check, BAD, GOOD))

#!/usr/bin/env python3
"""What is packaged for a Mac says the same as the Meson files and the documents.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import plistlib
import re
import shutil
import subprocess
import sys

import lintlib

FORMULA = lintlib.ROOT / "packaging" / "homebrew" / "dextlink.rb"
ENTITLEMENTS = lintlib.ROOT / "packaging" / "macos" / "client.entitlements"
DOCUMENT = lintlib.ROOT / "docs" / "macos.md"
KEY = "com.apple.developer.driverkit.userclient-access"
# Where the programs of a Mac say what they depend on.
BUILDS = ("meson.build", "src/client/meson.build", "src/vfiouser/meson.build",
          "tools/dextctl/meson.build", "tools/dext-vfio-user/meson.build")
# Apple's own, and what Meson knows by itself.
OF_THE_SYSTEM = {"threads", "appleframeworks", "ncurses"}


def formula_problems(text, wanted, options):
    """Lines about a formula: packages too few or too many, unknown options, open blocks."""
    named = set(re.findall(r'^  depends_on "([\w-]+)"$', text, re.M))
    without = set(re.findall(r"-D(\w+)=disabled", text))
    for name in sorted(wanted - without - named):
        yield f"depends_on {name} is missing"
    for name in sorted(named - wanted):
        yield f"depends_on {name} is in no Meson file"
    for name in sorted(set(re.findall(r"-D(\w+)=", text)) - options):
        yield f"there is no option {name}"
    # A here-document ends at its own word; what is left is balanced by `end`.
    code = re.sub(r"<<~(\w+)\n.*?^\s*\1$", "", text, flags=re.M | re.S)
    opened = len(re.findall(r"^\s*(?:class|def|if|unless)\b|\bdo$", code, re.M))
    closed = len(re.findall(r"^\s*end$", code, re.M))
    if opened != closed:
        yield f"{opened} blocks are opened, {closed} closed"


def dependencies():
    found = set()
    for name in BUILDS:
        text = (lintlib.ROOT / name).read_text(encoding="utf-8")
        found |= set(re.findall(r"\bdependency\('([\w-]+)'", text))
    return found - OF_THE_SYSTEM


def ruby_problems():
    if not shutil.which("ruby"):
        return []
    run = subprocess.run(["ruby", "-c", FORMULA], capture_output=True, text=True, check=False)
    return [] if run.returncode == 0 else run.stderr.splitlines()


def entitlement_problems(data, document):
    found = plistlib.loads(data)
    if list(found) != [KEY] or not isinstance(found[KEY], list) or len(found[KEY]) != 1 or \
            not isinstance(found[KEY][0], str):
        yield f"not {KEY} with a list of one identifier: {found}"
    if KEY not in document:
        yield f"docs/macos.md does not explain {KEY}"


def points():
    text, document = FORMULA.read_text(encoding="utf-8"), DOCUMENT.read_text(encoding="utf-8")
    options = set(re.findall(r"^option\('(\w+)'", (lintlib.ROOT / "meson_options.txt").read_text(
        encoding="utf-8"), re.M))
    wanted = dependencies()
    lines = list(formula_problems(text, wanted, options)) + ruby_problems()
    yield not lines, "the Homebrew formula follows the Meson files", lines
    bad = [("a package less", text.replace('  depends_on "json-c"\n', "")),
           ("a package more", text.replace('"json-c"\n', '"json-c"\n  depends_on "zydis"\n')),
           ("an option that is gone", text.replace("-Dtests=", "-Dcheck=")),
           ("a block that stays open", text.replace("\n  end\n", "\n", 1))]
    for what, sample in bad:
        yield sample != text and bool(list(formula_problems(sample, wanted, options))), \
            f"caught: {what}", []
    data = ENTITLEMENTS.read_bytes()
    lines = list(entitlement_problems(data, document))
    yield not lines, "the client's entitlement", lines
    other = data.replace(b"userclient-access", b"userclient")
    yield bool(list(entitlement_problems(other, document))), "caught: another entitlement", []


if __name__ == "__main__":
    sys.exit(lintlib.speak_tap(points()))

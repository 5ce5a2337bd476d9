#!/usr/bin/env python3
"""Manual pages: they know the commands and options that the programs have.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_man.py DEXTCTL DEXTD DEXT_VFIO_USER DEXTBENCH SOURCE_ROOT
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, DEXTD, run

PROGRAMS = {"dextctl": DEXTCTL, "dextd": DEXTD, "dext-vfio-user": sys.argv[3],
            "dextbench": sys.argv[4]}
ROOT = Path(sys.argv[5])
OPTION = re.compile(r"^ *(?:(-[a-z]), +)?(--[a-z][a-z-]*)", re.M)


def page(name):
    return (ROOT / "man" / f"{name}.1.scd").read_text(encoding="utf-8")


def commands():
    listed = run("--help").out.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def helps(name):
    """Help texts of a program, of each of its commands too."""
    yield run("--help", program=PROGRAMS[name]).out
    if name == "dextctl":
        for command in commands():
            yield run(command, "--help").out.split("\nOptions:\n")[1]


class Pages(toolstest.ToolTest):
    def test_options_are_those_of_help(self):
        for name in PROGRAMS:
            with self.subTest(name):
                offered = {option for text in helps(name) for option in OPTION.findall(text)}
                entries = re.findall(r"^(?:\*(-[a-z])\*, )?\*(--[a-z-]+)\*(?: |$)", page(name), re.M)
                self.assertEqual(len(entries), len(set(entries)))
                self.assertEqual({long for _, long in entries} - {"--version"},
                                 {long for _, long in offered} - {"--version"})
                for short, long in offered:
                    if short:
                        self.assertIn((short, long), entries)

    def test_options_take_what_help_says(self):
        for name in PROGRAMS:
            for text in helps(name):
                for long, argument in re.findall(r"^ +(?:-[a-z], +)?(--[a-z-]+) ([A-Z:.]+|open)  ",
                                                 text, re.M):
                    with self.subTest(f"{name} {long}"):
                        self.assertIn(f"*{long}* _{argument}_\n", page(name))

    def test_commands_of_dextctl(self):
        text = page("dextctl").split("# COMMANDS")[1].split("# OPTIONS")[0]
        self.assertEqual(set(re.findall(r"^\*([a-z]+)[ a-z]*\*", text, re.M)), set(commands()))
        for command in commands():
            verbs = re.match(rf"Usage: dextctl {command} ([a-z]+(?:\|[a-z]+)*) ",
                             run(command, "--help").out)
            for verb in verbs[1].split("|") if verbs else []:
                self.assertIn(f"*{command} {verb}*", text)

    def test_they_render(self):
        scdoc, groff = shutil.which("scdoc"), shutil.which("groff")
        if not scdoc:
            self.skipTest("scdoc is not installed")
        for name in PROGRAMS:
            made = subprocess.run([scdoc], input=page(name), capture_output=True, text=True,
                                  check=False)
            self.assertEqual((made.returncode, made.stderr), (0, ""), name)
            self.assertIn(f'.TH "{name}" "1"', made.stdout)
            if groff:
                shown = subprocess.run([groff, "-man", "-Tutf8", "-ww"], input=made.stdout,
                                       capture_output=True, text=True, check=False)
                self.assertEqual((shown.returncode, shown.stderr), (0, ""), name)


if __name__ == "__main__":
    toolstest.main()

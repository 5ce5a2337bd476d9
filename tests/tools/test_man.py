#!/usr/bin/env python3
"""Manual pages and completion: they know the commands and options that the programs have.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_man.py DEXTCTL DEXTD DEXT_VFIO_USER DEXTBENCH SOURCE_ROOT
"""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, DEXTD, environment, run

PROGRAMS = {"dextctl": DEXTCTL, "dextd": DEXTD, "dext-vfio-user": sys.argv[3],
            "dextbench": sys.argv[4]}
ROOT = Path(sys.argv[5])
BASH = shutil.which("bash")
OPTION = re.compile(r"^ *(?:(-[a-z]), +)?(--[a-z][a-z-]*)", re.M)
DEVICES = "--device edu,addr=01:00.0 --device testdev,addr=02:00.0"


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


class Completion(toolstest.ToolTest):
    """The script sourced in bash, with the words of a command line."""

    def setUp(self):
        if not BASH:
            self.skipTest("bash is not installed")

    def offered(self, line, function="_dextctl"):
        script = (f'source "{ROOT}/completions/dextctl.bash"\n'
                  f'COMP_LINE=$1 COMP_POINT=${{#1}}\n{function}\nprintf "%s\\n" "${{COMPREPLY[@]}}"')
        program = line.split()[0]
        line = line.replace(program, str(PROGRAMS[program]), 1)
        done = subprocess.run([BASH, "--norc", "-c", script, "bash", line], capture_output=True,
                              text=True, check=True, env=environment(), timeout=toolstest.SECONDS)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands(self):
        self.assertEqual(self.offered("dextctl "), commands() + ["--help", "--version"])
        self.assertEqual(self.offered("dextctl re"), ["reset"])
        self.assertEqual(self.offered("dextctl frobnicate x"), [])

    def test_words_after_a_command(self):
        self.assertEqual(self.offered("dextctl config "), ["read", "write", "dump"])
        self.assertEqual(self.offered("dextctl dma s"), ["soak"])
        self.assertEqual(self.offered("dextctl demo "), [])

    def test_options(self):
        self.assertEqual(self.offered("dextctl config write --f"), ["--force"])
        found = set(self.offered("dextctl reset --"))
        self.assertEqual(found, {"--json", "--dry-run", "--yes", "--device", "--page-size",
                                 "--access", "--help"})
        self.assertEqual(self.offered("dextctl reset --page-size "), ["4096", "16384"])
        self.assertEqual(self.offered("dextd --so", "_dextlink_program"), ["--socket"])
        self.assertEqual(self.offered("dextbench v", "_dextlink_program"), ["vfio-user"])
        self.assertIn("--log-json", self.offered("dext-vfio-user --", "_dextlink_program"))

    def test_addresses(self):
        self.assertEqual(self.offered(f"dextctl show {DEVICES} "), ["01:00.0", "02:00.0"])
        self.assertEqual(self.offered(f"dextctl bar read {DEVICES} 02"), ["02:00.0"])
        # the colon starts a word of its own for bash, which replaces only what is behind it
        self.assertEqual(self.offered(f"dextctl bar read {DEVICES} 02:0"), ["00.0"])

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "report.tar").touch()
            self.assertEqual(self.offered(f"dextctl doctor --bundle {folder}/rep"),
                             [f"{folder}/report.tar"])

    def test_tab_in_a_shell(self):
        """A whole address by the tab key, colon and all."""
        controller, terminal = pty.openpty()
        folder = os.path.dirname(os.path.abspath(DEXTCTL))
        with subprocess.Popen([BASH, "--norc", "-i"], stdin=terminal, stdout=terminal,
                              stderr=terminal, start_new_session=True,
                              env={**environment(), "TERM": "dumb", "PS1": "",
                                   "PATH": f"{folder}:{os.environ['PATH']}"}) as shell:
            os.close(terminal)
            os.write(controller, f'source "{ROOT}/completions/dextctl.bash"\n'
                     f"dextctl bar read {DEVICES} 02:0\t 0 0; exit\n".encode())
            said = b""
            try:
                while select.select([controller], [], [], toolstest.SECONDS)[0]:
                    piece = os.read(controller, 4096)
                    said += piece
                    if not piece:
                        break
            except OSError:
                pass
            shell.wait(timeout=toolstest.SECONDS)
        os.close(controller)
        self.assertIn(b"0x54534554", said)

    def test_zsh(self):
        zsh = shutil.which("zsh")
        if not zsh:
            self.skipTest("zsh is not installed")
        done = subprocess.run([zsh, "-n", str(ROOT / "completions" / "_dextctl")],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    toolstest.main()

#!/usr/bin/env python3
"""Completion of command lines, asked of the shells themselves.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_completion.py DEXTCTL DEXTD DEXT_VFIO_USER DEXTBENCH SOURCE_ROOT
"""
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import toolstest
from toolstest import DEXTCTL, DEXTD, environment, run

PROGRAMS = [DEXTCTL, DEXTD, sys.argv[3], sys.argv[4]]
SCRIPTS = Path(sys.argv[5]) / "completions"
DEVICES = "--device edu,addr=01:00.0 --device testdev,addr=02:00.0"
HOST = {"--device", "--page-size", "--access"}

# A line up to the tab key, and what is offered in a folder with a file report.tar and a folder host.
LINES = {
    "dextctl sh": {"show"},
    "dextctl re": {"reset"},
    "dextctl frobnicate x": set(),
    "dextctl config ": {"read", "write", "dump"},
    "dextctl bar ": {"info", "read", "write", "dump", "fill", "watch"},
    "dextctl irq t": {"test"},
    "dextctl dma s": {"soak"},
    "dextctl demo ": set(),
    "dextctl config write --f": {"--force"},
    "dextctl reset --": {"--json", "--dry-run", "--yes", "--help"} | HOST,
    "dextctl reset --page-size ": {"4096", "16384"},
    "dextctl reset --access o": {"open"},
    "dextctl irq watch 01:00.0 --count ": set(),
    "dextctl irq watch 01:00.0 -n ": set(),
    "dextctl conformance --level re": {"read-only", "reset"},
    "dextctl conformance --only Clients.first": {"Clients.first-leaves"},
    f"dextctl show {DEVICES} ": {"01:00.0", "02:00.0"},
    f"dextctl bar read {DEVICES} 02": {"02:00.0"},
    "dextctl doctor --bundle rep": {"report.tar"},
    "dextctl doctor --host-root ": {"host"},
    "dextctl trace rep": {"report.tar"},
    "dextctl trace ": {"report.tar", "host"},
    "dextctl trace --output ": {"report.tar", "host"},
    "dextctl trace -o rep": {"report.tar"},
    "dextd --so": {"--socket"},
    "dextd --access ": {"open", "claimed"},
    "dextd --socket r": {"report.tar"},
    "dextbench v": {"vfio-user"},
    "dextbench ": {"calls", "data", "dma", "interrupts", "nvme", "startup", "vfio-user"},
    "dextbench nvme --js": {"--json"},
    "dextbench --directory ": {"host"},
    "dext-vfio-user --log": {"--log-json"},
    "dext-vfio-user --page-size 1": {"16384"},
    "dext-vfio-user --connect rep": {"report.tar"},
}


def commands():
    listed = run("--help").out.split("Commands:\n")[1].split("\n\n")[0]
    return {line.split()[0] for line in listed.splitlines()}


def shell_environment(**more):
    folders = ":".join(os.path.dirname(os.path.abspath(program)) for program in PROGRAMS)
    return {**environment(), "PATH": f"{folders}:{os.environ['PATH']}", "TERM": "dumb", **more}


def on_a_terminal(shell, folder, text="", **variables):
    """What an interactive shell says, given text by the keyboard, until it ends."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(shell, stdin=terminal, stdout=terminal, stderr=terminal, cwd=folder,
                          start_new_session=True, env=shell_environment(**variables)) as process:
        os.close(terminal)
        os.write(controller, text.encode())
        said = b""
        try:
            while select.select([controller], [], [], 8 * toolstest.SECONDS)[0]:
                piece = os.read(controller, 4096)
                said += piece
                if not piece:
                    break
        except OSError:
            pass
        process.kill()
        process.wait()
    os.close(controller)
    return said.decode()


class Shell(toolstest.ToolTest):
    """What both shells must offer; offered() asks one."""

    program = None

    def setUp(self):
        if not self.program or not shutil.which(self.program):
            self.skipTest(f"{self.program} is not installed")
        self.folder = tempfile.TemporaryDirectory(prefix="completion-test-")
        self.addCleanup(self.folder.cleanup)
        self.data = Path(self.folder.name) / "data"
        (self.data / "host").mkdir(parents=True)
        (self.data / "report.tar").touch()

    def check_lines(self):
        lines = {**LINES, "dextctl ": commands() | {"--help", "--version"}}
        offered = self.offered(lines)
        for line, wanted in lines.items():
            with self.subTest(line):
                self.assertEqual({word.rstrip("/") for word in offered[line]}, wanted)


class Bash(Shell):
    """The script sourced in bash, with the words of a command line."""

    program = "bash"

    def offered(self, lines):
        script = (f'source "{SCRIPTS}/dextctl.bash"\n'
                  'for COMP_LINE; do\n'
                  '  COMP_POINT=${#COMP_LINE} COMPREPLY=()\n'
                  '  set -- $(complete -p "${COMP_LINE%% *}")\n'
                  '  "$3" && printf "%s\\n" "== $COMP_LINE" "${COMPREPLY[@]}"\ndone\n')
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", *lines],
                              capture_output=True, text=True, check=True, cwd=self.data,
                              env=shell_environment(), timeout=toolstest.SECONDS)
        self.assertEqual(done.stderr, "")
        return answers(done.stdout)

    def test_lines(self):
        self.check_lines()

    def test_the_colon_starts_a_word_of_its_own(self):
        """bash replaces only what is behind it."""
        line = f"dextctl bar read {DEVICES} 02:0"
        self.assertEqual(self.offered([line])[line], ["00.0"])

    def test_tab_in_a_shell(self):
        """A whole address by the tab key, colon and all."""
        said = on_a_terminal(["bash", "--norc", "-i"], self.data,
                             f'source "{SCRIPTS}/dextctl.bash"\n'
                             f"dextctl bar read {DEVICES} 02:0\t 0 0; exit\n", PS1="")
        self.assertIn("0x54534554", said)


class Zsh(Shell):
    """An interactive zsh with its completion system, whose compadd says what matches."""

    program = "zsh"
    START = """
fpath=("$SCRIPTS" $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
    local -a hits
    builtin compadd -O hits "$@"
    ((asking && $#hits)) && print -rlu 3 -- $hits
    builtin compadd "$@"
}
zle -C ask complete-word _main_complete
ask_all() {
    local line asking=1
    exec 3>"$ZDOTDIR/said"
    for line in ${(f)"$(<"$ZDOTDIR/lines")"}; do
        print -ru 3 -- "== $line"
        BUFFER=$line CURSOR=$#line
        zle ask
    done
    exit
}
[[ -e $ZDOTDIR/lines ]] && zle -N zle-line-init ask_all
"""

    def start(self, text=""):
        (Path(self.folder.name) / ".zshrc").write_text(self.START, encoding="utf-8")
        return on_a_terminal(["zsh", "-d", "-i"], self.data, text, ZDOTDIR=self.folder.name,
                             SCRIPTS=str(SCRIPTS))

    def offered(self, lines):
        folder = Path(self.folder.name)
        (folder / "lines").write_text("\n".join(lines) + "\n", encoding="utf-8")
        said = self.start()
        self.assertTrue((folder / "said").exists(), said)
        return answers((folder / "said").read_text(encoding="utf-8"))

    def test_lines(self):
        self.check_lines()

    def test_an_address_with_its_colon(self):
        line = f"dextctl bar read {DEVICES} 02:0"
        self.assertEqual(self.offered([line])[line], ["02:00.0"])

    def test_tab_in_a_shell(self):
        said = self.start(f"dextctl bar read {DEVICES} 02:0\t0 0; exit\n")
        self.assertIn("0x54534554", said)

    def test_the_script_is_sound(self):
        done = subprocess.run(["zsh", "-n", str(SCRIPTS / "_dextctl")], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


def answers(text):
    """Lines to what was offered for each."""
    found = {}
    for line in text.splitlines():
        if line.startswith("== "):
            offered = found[line[3:]] = []
        elif line:
            offered.append(line)
    return found


if __name__ == "__main__":
    toolstest.main()

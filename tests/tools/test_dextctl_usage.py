#!/usr/bin/env python3
"""dextctl: every wrong command line is met with status 2 and one line that says what is wrong.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import toolstest
from toolstest import EDU, run

COMMANDS = ("list", "show", "dump", "config", "bar", "dma", "irq", "reset", "demo")


class Help(toolstest.ToolTest):
    def test_overview_names_every_command(self):
        text = self.assert_fine(run("--help"))
        for command in COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} +\S")

    def test_each_command_explains_itself_with_examples(self):
        for command in COMMANDS:
            with self.subTest(command):
                text = self.assert_fine(run(command, "--help"))
                self.assertTrue(text.startswith(f"Usage: dextctl {command}"))
                self.assertIn(f"Examples:\n  dextctl {command}", text)

    def test_version(self):
        self.assertRegex(self.assert_fine(run("--version")), r"^dextctl \d+\.\d+\.\d+\n$")

    def test_lines_fit_a_terminal_of_100_columns(self):
        for arguments in ((), *((command,) for command in COMMANDS)):
            for line in run(*arguments, "--help").out.splitlines():
                self.assertLessEqual(len(line), 100, line)


class CommandLine(toolstest.ToolTest):
    def check(self, arguments, *pieces):
        with self.subTest(" ".join(arguments)):
            self.assert_fails(run(*arguments), 2, "dextctl: ", *pieces)

    def test_commands(self):
        self.check([], "no command")
        self.check(["frobnicate"], '"frobnicate"', "--help")
        self.check(["frobnicate", "--help"], '"frobnicate"')
        for command in ("config", "bar", "dma", "irq"):
            self.check([command, "frobnicate", "01:00.0"], command, '"frobnicate"')

    def test_number_of_arguments(self):
        for arguments in (["show"], ["dump"], ["reset"], ["config"], ["bar"], ["config", "dump"],
                          ["config", "read", "01:00.0"], ["config", "write", "01:00.0", "0"],
                          ["bar", "info"], ["bar", "read", "01:00.0", "0"],
                          ["bar", "write", "01:00.0", "0", "0"], ["dma"], ["irq", "watch"]):
            self.check(arguments, "too few arguments", f"dextctl {arguments[0]}")
        for arguments in (["list", "x"], ["show", "01:00.0", "x"], ["demo", "x"],
                          ["config", "dump", "01:00.0", "0"], ["bar", "dump", "01:00.0", "0", "0", "4", "x"],
                          ["bar", "read", "01:00.0", "0", "0", "0"]):
            self.check(arguments, "too many arguments", f"dextctl {arguments[0]}")

    def test_unknown_options(self):
        for arguments in (["list", "--frobnicate"], ["-x", "list"], ["list", "--device"]):
            with self.subTest(" ".join(arguments)):
                result = run(*arguments)
                self.assertEqual((result.status, result.out), (2, ""))
                self.assertRegex(result.err, r"^dextctl: [^\n]*option[^\n]*\n$")

    def test_options_of_other_commands(self):
        self.check(["list", "--fire"], "list takes no --fire")
        self.check(["demo", "--device", EDU], "demo takes no --device")
        self.check(["config", "dump", "01:00.0", "--width", "2"], "config dump takes no --width")
        self.check(["dump", "01:00.0", "--json"], "dump takes no --json")
        self.check(["bar", "write", "01:00.0", "0", "0", "0", "--json"], "takes no --json")

    def test_malformed_addresses(self):
        for address in ("", "01", "01:00", "01:00.", "1:0.8", "100:00.0", "01:20.0", "0x1:00.0",
                        "01:00.0 ", " 01:00.0", "/01:00.0", "/00.0", "01:00.00", "g1:00.0", "0000:01:00.0",
                        "a" * 128 + "/01:00.0"):
            self.check(["show", address, "--device", EDU], f'"{address}" is no address')

    def test_widths(self):
        for width in ("0", "3", "16", "-1", "x", "", "4x"):
            self.check(["config", "read", "01:00.0", "0", "--width", width], "--width", width)
        self.check(["config", "read", "01:00.0", "0", "--width", "8", "--device", EDU], "not 8")

    def test_config_places(self):
        outside = "not all inside the 4096 bytes"
        for offset, piece in (("4096", outside), ("4094", outside), ("2", "multiple"),
                              ("+4", "no offset"), ("zz", "no offset"), ("", "no offset"),
                              ("0xffffffffffffffff", outside),
                              ("0x10000000000000000", "no offset"), ("0x", "no offset")):
            self.check(["config", "read", "01:00.0", offset, "--device", EDU], piece)
        self.check(["config", "write", "01:00.0", "4", "0x10000", "--width", "2", "--device", EDU],
                   '"0x10000"', "2 bytes")

    def test_bar_places(self):
        for bar in ("6", "255", "+1", "x"):
            self.check(["bar", "read", "01:00.0", bar, "0", "--device", EDU], f'"{bar}" is no BAR')
            self.check(["bar", "info", "01:00.0", bar, "--device", EDU], f'"{bar}" is no BAR')
        self.check(["bar", "read", "01:00.0", "0", "2", "--device", EDU], "multiple of the width 4")
        self.check(["bar", "read", "01:00.0", "0", "nowhere", "--device", EDU], '"nowhere"')
        self.check(["bar", "write", "01:00.0", "0", "0", "0x100", "-w", "1", "--device", EDU],
                   '"0x100"', "1 byte")
        for length in ("0", "6", "x", "+4"):
            self.check(["bar", "dump", "01:00.0", "0", "0", length], f'"{length}" is no length')
            self.check(["bar", "fill", "01:00.0", "0", "0", length, "1"], f'"{length}"')
        self.check(["bar", "watch", "01:00.0", "0", "0", "8192"], "at most 4096 bytes")

    def test_register_names(self):
        for name in ("COMAND", "CAP_EXP+", "CAP_EXP+xyz", "CAP_EXP+8.Q", "CAP_EXP+8.", "CAP_EXP.W.W",
                     "CAP_EXP+8+8", "CAP_EXP@", "COMMAND@1", "CAP_EXP+1000", "0x4+4", "4.", "CAP",
                     "CAP100", "ECAP10000", "CAP_", "+", ".W", "N" * 50):
            self.check(["config", "read", "01:00.0", "COMMAND", name], f'"{name}" is no offset')
        self.check(["config", "read", "01:00.0", "STATUS.L"], "STATUS.L", "multiple of the width 4")
        self.check(["config", "read", "01:00.0", *["COMMAND"] * 65], "64 registers")

    def test_register_values(self):
        for value in ("0x10000", "1:0x10000", "1:", ":1", "x", "1:2:3", "+1", ""):
            self.check(["config", "write", "01:00.0", "COMMAND", value], f'"{value}" is no value')
        self.check(["config", "write", "01:00.0", "COMMAND", "1", "STATUS"], "STATUS has no value")
        self.check(["config", "write", "01:00.0", "CAP_EXP+8", "1"], "how wide", ".B, .W or .L")

    def test_counts_times_and_sizes(self):
        for count in ("0", "-1", "x", "1000001"):
            self.check(["irq", "watch", "01:00.0", "--count", count], "--count")
        for seconds in ("0", "-1", "x", "nan", "inf", "1e9", ""):
            self.check(["irq", "watch", "01:00.0", "--seconds", seconds], "--seconds")
            self.check(["bar", "watch", "01:00.0", "0", "--interval", seconds], "--interval")
        for seed in ("-1", "x", "4294967296"):
            self.check(["dma", "soak", "01:00.0", f"--seed={seed}"], "--seed")
        self.check(["dma", "budget", "01:00.0", "--seed", "1"], "dma budget takes no --seed")
        for size in ("0", "2G", "-1", "x", "4KiB", "18446744073709551616", "17179869184G"):
            self.check(["dma", "test", "01:00.0", "--size", size], "--size")

    def test_host_options(self):
        self.check(["list", "--device", EDU, "--page-size", "8192"], "8192", "4096 or 16384")
        self.check(["list", "--device", EDU, "--access", "shut"], "shut")
        self.check(["list", "--page-size", "4096"], "--device")
        self.check(["list", "--access", "open"], "--device")


class Devices(toolstest.ToolTest):
    def check(self, specifications, *pieces):
        arguments = [word for one in specifications for word in ("--device", one)]
        with self.subTest(" ".join(specifications)):
            self.assert_fails(run("list", *arguments), 2, "dextctl: --device: ", *pieces)

    def test_models(self):
        self.check(["frobnicator,addr=01:00.0"], "frobnicator")
        self.check(["", EDU], "device")
        self.check([",addr=01:00.0"], "device")

    def test_keys(self):
        self.check(["edu"], "addr")
        self.check(["edu,addr=01:00.0,frob=1"], "frob")
        self.check(["edu,addr=01:00.0,"], "empty")
        self.check(["edu,addr=01:00.0,addr=02:00.0"], "twice")
        self.check(["edu,addr=01:00.0,dma_mask"], "dma_mask")

    def test_values(self):
        for value in ("", "01", "01:20.0", "01:00.8", "100:00.0", "zz:00.0", "root/01:00.0"):
            self.check([f"edu,addr={value}"], "addr=")
        self.check(["edu,addr=01:00.0,root="], "root")
        self.check(["edu,addr=01:00.0,root=a/b"], "root")
        self.check(["edu,addr=01:00.0,dart=maybe"], "dart", "maybe")
        self.check(["edu,addr=01:00.0,aperture=1"], "aperture")
        self.check(["edu,addr=01:00.0,slots=0"], "slots")
        self.check(["edu,addr=01:00.0,latency_ns=x"], "latency_ns")

    def test_two_at_one_address(self):
        self.check([EDU, EDU], "01:00.0")
        self.check(["edu,addr=01:00.0,root=a", "edu,addr=01:00.0,root=a"], "01:00.0")


if __name__ == "__main__":
    toolstest.main()

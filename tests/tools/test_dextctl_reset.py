#!/usr/bin/env python3
"""dextctl reset: the plan, who has to agree, and what is verified.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import pty
import signal
import subprocess
import tempfile

import toolstest
from toolstest import DEXTCTL, EDU, TESTDEV, Dextd, environment, run

AT = "02:00.0"
SIBLINGS = ("--device", "edu,addr=01:00.0", "--device", "edu,addr=01:00.3")
GENERATION, DIE = "0x28", "0x30"  # testdev


def plan(device, *arguments):
    address = device.split("addr=")[1].split(",")[0]
    return run("reset", address, "--dry-run", *arguments, "--device", device)


class Plan(toolstest.ToolTest):
    def test_steps_are_those_of_the_device(self):
        for options, steps in (("", ["function", "power", "hot"]),
                               (",reset=noflr", ["power", "hot"]), (",reset=hotonly", ["hot"])):
            got = json.loads(self.assert_fine(plan(TESTDEV + options, "--json")))
            self.assertEqual((got["steps"], got["was_reset"], got["needs_consent"]),
                             (steps, False, False))
            self.assertNotIn("checks", got)
        out = self.assert_fine(plan(EDU))
        self.assertTrue(out.startswith("01:00.0: reset by hot reset\n"), out)
        self.assertIn("nothing was done", out)

    def test_functions_below_the_port(self):
        """F8: a hot reset hits them all; another root or bus is another port."""
        got = json.loads(self.assert_fine(
            run("reset", "left/01:00.0", "--dry-run", "--json",
                "--device", "edu,addr=01:00.0,root=left", "--device", "edu,addr=01:00.3,root=left",
                "--device", "edu,addr=01:02.0,root=left", "--device", "edu,addr=03:00.0,root=left",
                "--device", "edu,addr=01:00.1,root=right")))
        self.assertEqual((got["functions"], got["needs_consent"]), (["01:00.3", "01:02.0"], True))

    def test_a_dry_run_resets_nothing(self):
        with Dextd(TESTDEV) as host:
            self.assert_fine(run("reset", AT, "--dry-run", socket=host.socket))
            self.assertEqual(run("bar", "read", AT, "0", GENERATION, socket=host.socket).out,
                             "0x00000000\n")

    def test_what_a_real_driver_cannot_tell(self):
        got = json.loads(self.assert_fine(plan(TESTDEV + ",extensions=off", "--json")))
        self.assertEqual((got["regions"], got["bytes"]), (None, None))
        self.assertIn("cannot be known", self.assert_fine(plan(TESTDEV + ",extensions=off")))
        self.assert_fine(run("reset", AT, "--device", TESTDEV + ",extensions=off"))

    def test_devices_that_break_are_known(self):
        """F4: Linux keeps 10de:2b85 from function-level resets."""
        config = bytearray(64)
        config[0:16] = bytes.fromhex("de10852b00000000a100000300000000")
        rows = "".join(f"{at:02x}: " + " ".join(f"{b:02x}" for b in config[at:at + 16]) + "\n"
                       for at in range(0, 64, 16))
        folder = self.enterContext(tempfile.TemporaryDirectory())
        path = os.path.join(folder, "gpu.txt")
        with open(path, "w", encoding="utf-8") as dump:
            dump.write("01:00.0 0300: 10de:2b85 (rev a1)\n" + rows)
        device = f"replay,file={path}"
        out = run("reset", "01:00.0", "--dry-run", "--json", "--device", device)
        got = json.loads(self.assert_fine(out))
        self.assertEqual((got["breaks_by_function_reset"], got["needs_consent"]), (True, True))
        self.assertEqual(run("reset", "01:00.0", "--device", device).status, 1)


class Consent(toolstest.ToolTest):
    def test_others_are_not_hit_without_it(self):
        result = run("reset", "01:00.0", *SIBLINGS)
        self.assertEqual(result.status, 1)
        self.assertIn("functions  01:00.3: a hot reset hits them too", result.out)
        self.assertRegex(result.err, r"^dextctl: 01:00\.0: not reset: .*--yes.*\n$")
        self.assert_fails(run("reset", "01:00.0", *SIBLINGS, "--json"), 1, "not reset")

    def test_yes(self):
        self.assertIn("answers", self.assert_fine(run("reset", "01:00.0", *SIBLINGS, "--yes")))
        self.assertIn("answers", self.assert_fine(run("reset", "01:00.0", *SIBLINGS, "-y")))

    def answered(self, answer):
        """dextctl with a terminal to ask on; (status, stdout)."""
        controller, terminal = pty.openpty()
        with subprocess.Popen([DEXTCTL, "reset", "01:00.0", *SIBLINGS], env=environment(),
                              stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as process:
            os.close(terminal)
            os.write(controller, answer)
            out, err = process.communicate(timeout=toolstest.SECONDS)
        os.close(controller)
        self.assertIn("Reset 01:00.0? [y/N] ", err)
        return process.returncode, out

    def test_a_person_is_asked(self):
        status, out = self.answered(b"y\n")
        self.assertEqual(status, 0)
        self.assertIn("answers", out)
        for answer in (b"n\n", b"\n", b"\x04"):
            status, out = self.answered(answer)
            self.assertEqual(status, 1)
            self.assertNotIn("answers", out)

    def test_other_clients_and_their_regions(self):
        with Dextd(TESTDEV) as host:
            with subprocess.Popen([DEXTCTL, "dma", "soak", AT, "--seconds", "3600"],
                                  env=environment(host.socket), stdout=subprocess.PIPE,
                                  text=True) as soak:
                soak.stdout.readline()
                plans = []

                def has_regions():
                    plans.append(json.loads(self.assert_fine(run(
                        "reset", AT, "--dry-run", "--json", socket=host.socket))))
                    return plans[-1]["regions"]
                self.assertTrue(toolstest.wait_until(has_regions))
                got = plans[-1]
                self.assertEqual(got["clients"], f"pid {soak.pid}, dextctl")
                self.assertTrue(got["needs_consent"])
                refused = run("reset", AT, socket=host.socket)
                soak.send_signal(signal.SIGINT)
                soak.communicate(timeout=toolstest.SECONDS)
            self.assertEqual(refused.status, 1)
            alone = self.assert_fine(run("reset", AT, socket=host.socket))
            self.assertIn("clients    no other claim", alone)


class Verified(toolstest.ToolTest):
    @classmethod
    def setUpClass(cls):
        """A step of a reset is given a second for the device to answer: wait for all at once."""
        cls.slow = {how: subprocess.Popen(  # pylint: disable=consider-using-with
            [DEXTCTL, "reset", AT, "--device", f"{TESTDEV},{how}"], env=environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    for how in ("fault=retry", "reset=dead")}

    @classmethod
    def tearDownClass(cls):
        for process in cls.slow.values():
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def slow_result(self, how):
        out, err = self.slow[how].communicate(timeout=toolstest.SECONDS)
        return toolstest.Result(self.slow[how].returncode, out, err)

    def test_checks(self):
        with Dextd(TESTDEV) as host:
            got = json.loads(self.assert_fine(run("reset", AT, "--json", socket=host.socket)))
            self.assertEqual({c["name"]: c["result"] for c in got["checks"]},
                             {"ids": "ok", "generation": "ok", "decoding": "ok",
                              "base addresses": "ok", "link": "ok"})
            self.assertEqual([c["text"] for c in got["checks"] if c["name"] == "generation"],
                             ["1, was 0"])
            self.assertEqual(run("bar", "read", AT, "0", GENERATION, socket=host.socket).out,
                             "0x00000001\n")

    def test_driver_that_counts_nothing(self):
        got = json.loads(self.assert_fine(run("reset", AT, "--json", "--device",
                                              TESTDEV + ",extensions=off")))
        self.assertEqual([c["result"] for c in got["checks"] if c["name"] == "generation"],
                         ["skipped"])

    def test_a_device_that_asks_for_a_retry_is_revived(self):
        out = self.assert_fine(self.slow_result("fault=retry"))
        self.assertIn("does not answer with its ids", out)
        self.assertIn("nothing to compare with", out)

    def test_a_device_that_does_not_come_back(self):
        result = self.slow_result("reset=dead")
        self.assertEqual(result.status, 1)
        self.assertRegex(result.err, r"^dextctl: 02:00\.0: reset failed.*not responding[^\n]*\n$")

    def test_a_device_that_is_gone(self):
        result = run("reset", AT, "--device", TESTDEV + ",fault=gone")
        self.assertEqual(result.status, 1)
        self.assertRegex(result.err, r"^dextctl: 02:00\.0: reset failed after .*: no device: .*\n$")

    def test_a_dead_device_is_revived(self):
        with Dextd(TESTDEV) as host:
            self.assert_fine(run("bar", "write", AT, "0", DIE, "0xdeadd1e5", socket=host.socket))
            result = run("reset", AT, socket=host.socket)
            out = self.assert_fine(result)
            self.assertIn("does not answer with its ids; what it can be reset by is not known", out)
            self.assertIn("1234:7e57 answers", out)
            self.assertIn("nothing to compare with", out)


if __name__ == "__main__":
    toolstest.main()

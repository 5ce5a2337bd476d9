#!/usr/bin/env python3
"""dextbench: every figure is there for both hosts, and wrong command lines are met.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import sys

import toolstest
from toolstest import DEXTD, run

DEXTBENCH = sys.argv[3]
TIMES = ["config_read", "ping_pong", "mmio_read_call", "mmio_load_trapped", "mmio_load_direct"]


class Bench(toolstest.ToolTest):
    def test_every_figure_is_there(self):
        result = run("--json", "--rounds", "50", "--region-rounds", "5", "--dextd", DEXTD,
                     program=DEXTBENCH)
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"embedded", "dextd"})
        for host in figures.values():
            self.assertEqual(set(host), {*TIMES, "register_unregister",
                                         "register_ratio_last_first"})
            rows = [*(host[name] for name in TIMES), *host["register_unregister"]]
            for row in rows:
                self.assertGreater(row["count"], 0)
                self.assertLessEqual(row["p50_us"], row["p99_us"])
            self.assertEqual([row["live"] for row in host["register_unregister"]],
                             [1, 1000, 60000])

    def test_wrong_command_lines(self):
        for arguments in (("--rounds", "0"), ("--rounds", "x"), ("--region-rounds", "-1"),
                          ("stray",)):
            self.assert_fails(run(*arguments, program=DEXTBENCH), 2, "dextbench: ", arguments[-1])

    def test_a_dextd_that_is_not_there(self):
        result = run("--measure", "dextd", "--dextd", "/nonexistent/dextd", program=DEXTBENCH)
        self.assertEqual((result.status, result.out), (1, ""))
        self.assertIn("cannot run /nonexistent/dextd: No such file", result.err)


if __name__ == "__main__":
    toolstest.main()

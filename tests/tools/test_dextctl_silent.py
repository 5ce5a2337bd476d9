#!/usr/bin/env python3
"""dextctl where something listens on the host's socket and says nothing.

SPDX-License-Identifier: GPL-2.0-or-later

usage: TEST.py DEXTCTL DEXTD, of which the first is the one with impatient.c.
"""
import json

import toolstest
from toolstest import Listener, run

HALF_A_HEADER = b"DXL1\x01\x00\x01\x00"


class Silent(toolstest.ToolTest):
    COMMANDS = (("list",), ("list", "--json"), ("list", "--watch"), ("show", "01:00.0"),
                ("show", "root/01:00.0"), ("config", "read", "01:00.0", "0"), ("monitor", "--json"))

    def check(self, said, **manner):
        with Listener(**manner) as listener:
            for command in self.COMMANDS:
                result = run(*command, socket=listener.path)
                self.assert_fails(result, 1, str(listener.path), said, "DEXTLINK_SOCKET")
            report = json.loads(run("doctor", "--json", socket=listener.path).out)
        step = report["devices"][0]["steps"][0]
        self.assertEqual((step["step"], step["findings"][0]["id"]), ("registry", "host-silent"))
        self.assertIn(said, step["text"])

    def test_one_that_never_answers(self):
        self.check("takes connections there but does not answer within 1 s")

    def test_one_that_answers_by_half(self):
        self.check("takes connections there but does not answer within 1 s", answer=HALF_A_HEADER)

    def test_one_that_takes_no_connections(self):
        self.check("listens there but takes no connections within 1 s", accepts=False)


if __name__ == "__main__":
    toolstest.main()

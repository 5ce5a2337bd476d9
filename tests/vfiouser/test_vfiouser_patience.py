#!/usr/bin/env python3
"""Guest memory without a descriptor, of clients that never answer for it, or late: the device waits
two seconds, once. Apart from test_vfiouser_served.py, so that both wait side by side.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time

import vfiousertest
from devices import Testdev
from test_vfiouser_served import PATIENCE, RAM, READ_FAULT, SIZE, ServedTest, TwinTest


class OnTheClientsSocket(ServedTest):
    def test_never_then_late(self):
        request = self.asked()
        begin = time.monotonic()
        self.assertTrue(self.client.is_silent(PATIENCE + 0.5))
        self.assert_fault()
        # It is not asked again before it has answered, so that the device waits once.
        begin = time.monotonic()
        self.device.start_copy(RAM, RAM + SIZE, 64)
        self.assert_fault()
        self.assertLess(time.monotonic() - begin, PATIENCE)
        self.reply(request)
        self.assert_in_step(self.client)
        self.assert_works()
        self.assertIn("does not answer", self.server.said())


class OnTheTwinSocket(TwinTest):
    def setUp(self):
        super().setUp()
        self.client, self.twin = self.attach_twin(self.guest)
        self.testdev = Testdev(self.client)

    def test_late(self):
        late = []
        self.twin.how = late.append
        begin = time.monotonic()
        self.assertEqual(self.testdev.access_read(RAM, 8)[1], READ_FAULT)
        self.assertGreater(time.monotonic() - begin, PATIENCE - 0.1)
        begin = time.monotonic()
        self.assertEqual(self.testdev.access_read(RAM, 8)[1], READ_FAULT)
        self.assertLess(time.monotonic() - begin, PATIENCE)
        self.assertEqual(len(late), 1)
        self.twin.how = self.twin.client.serve
        self.twin.client.serve(late[0])
        self.assertEqual(self.testdev.access_read(RAM, 8)[1], 0)


if __name__ == "__main__":
    vfiousertest.main()

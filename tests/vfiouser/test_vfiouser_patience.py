#!/usr/bin/env python3
"""Guest memory without a descriptor, of clients that never answer for it, or late: the device waits
two seconds, once. Apart from test_vfiouser_served.py, so that both wait side by side.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time

import vfiousertest
from devices import Testdev
from test_vfiouser_served import RAM, READ_FAULT, SIZE, ServedTest, TwinTest

PATIENCE = 2  # seconds for an answer


class OnTheClientsSocket(ServedTest):
    patience = None  # the server's own

    def test_never_then_late(self):
        begin = time.monotonic()
        request = self.asked()
        # Not by looking at the copy: a command in the server's hands ends its waiting, too.
        self.assertTrue(vfiousertest.wait_until(lambda: "does not answer" in self.server.said()))
        self.assertGreater(time.monotonic() - begin, PATIENCE - 0.1)
        self.assert_fault()
        # It is not asked again before it has answered, so that the device waits once.
        self.device.start_copy(RAM, RAM + SIZE, 64)
        self.assert_fault()
        self.assertEqual(self.client.served, [])
        self.reply(request)
        self.assert_in_step(self.client)
        self.assertTrue(vfiousertest.wait_until(self.works), "it is not asked any more")

    def works(self):
        """Whether a copy comes to its end; on a busy machine one may have to wait too long."""
        self.guest.fill(11)
        self.device.start_copy(RAM + 512, RAM + SIZE, 64)
        return self.wait_for_copy() == (Testdev.DONE, 0) and \
            self.ram.map[:64] == bytes(self.guest.map[512:576])


class OnTheTwinSocket(TwinTest):
    patience = None

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
        self.assertEqual(self.testdev.access_read(RAM, 8)[1], READ_FAULT)
        self.assertTrue(vfiousertest.wait_until(lambda: late))
        self.assertEqual(len(late), 1)
        self.twin.how = self.twin.client.serve
        self.twin.client.serve(late[0])
        self.assertTrue(vfiousertest.wait_until(
            lambda: self.testdev.access_read(RAM, 8)[1] == 0), "it is not asked any more")


if __name__ == "__main__":
    vfiousertest.main()

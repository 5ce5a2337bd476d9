#!/usr/bin/env python3
"""A channel that is closed at the client's end is closed.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os

import wiretest


class Hangup(wiretest.WireTest):
    def test_a_call_socket_that_is_closed_ends_its_connection(self):
        """The host must not keep the client's end of a socket that it has handed out."""
        watcher = self.client()
        service = watcher.services()[0]
        connection = self.opened(0)
        self.assertEqual(self.held(watcher, service)[2], 1)
        connection.close()
        self.assertTrue(wiretest.wait_until(lambda: self.held(watcher, service)[2] == 0))

    def test_handed_out_descriptors_are_not_kept(self):
        client = self.client()
        before = self.host.resting[0] + 4  # control and event socket, process, wake-up
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == before))
        connection = self.opened(0, client=client)
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == before + 1))
        connection.call(13)  # interrupts: the state page is one descriptor
        with_page = before + 2
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == with_page))
        for *_, fd in connection.map(7)[3]:
            os.close(fd)
        self.assertTrue(wiretest.wait_until(lambda: self.host.held()[0] == with_page))


if __name__ == "__main__":
    wiretest.main()

#!/usr/bin/env python3
"""One client has no more channels than it may have (dextd --per-client), and takes nobody else's.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import grp
import os
import unittest

import wire
import wiretest
import toolstest
from toolstest import NOBODY
from wiretest import CLAIM, MMIO_READ

MOST = 8
GROUP = "daemon"


class PerClient(unittest.TestCase):
    """A host for each test: none has a place left over from another."""
    options = ("--per-client", str(MOST))

    def setUp(self):
        self.host = wiretest.Host(options=self.options).start()
        self.addCleanup(self.host.folder.cleanup)
        self.addCleanup(self.stop)
        self.clients = []

    def stop(self):
        for client in self.clients:
            client.close()
        self.assertEqual(self.host.stop(), 0, self.host.said())

    def client(self):
        self.clients.append(self.host.client())
        return self.clients[-1]

    def open(self, client):
        return client.open(client.services()[1])

    def opened(self, client, count):
        opened = [self.open(client) for _ in range(count)]
        self.assertEqual({status for status, _ in opened}, {wire.SUCCESS})
        return [connection for _, connection in opened]

    def assert_full(self, client):
        self.assertEqual(hex(self.open(client)[0]), hex(wire.NO_RESOURCES))

    def assert_refused(self):
        with wire.Client(self.host.socket) as client:
            with self.assertRaises(wire.Refused) as caught:
                client.hello()
        self.assertEqual(hex(caught.exception.status), hex(wire.NO_RESOURCES))

    def in_child(self, work, user=None):
        """Run work in another process; when it has returned, and when the test ends, all is well."""
        reader, writer = os.pipe()
        hold, release = os.pipe()
        child = os.fork()
        if child == 0:
            result = 1
            try:
                os.close(release)
                if user is not None:
                    os.setgroups([])
                    os.setgid(grp.getgrnam(GROUP).gr_gid)
                    os.setuid(user)
                kept = work()
                os.write(writer, b"\n")
                os.read(hold, 1)  # until the parent lets go
                del kept
                result = 0
            finally:
                os._exit(result)
        os.close(writer)
        os.close(hold)

        def end():
            os.close(release)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.addCleanup(end)
        with open(reader, "rb") as done:
            self.assertEqual(done.read(1), b"\n")

    def test_opening_beyond_it(self):
        client = self.client()
        connections = self.opened(client, MOST - 1)
        for _ in range(3):
            self.assert_full(client)
        self.assertEqual(connections[-1].call(CLAIM)[0], wire.SUCCESS)
        self.assertEqual(connections[-1].call(MMIO_READ, 0, 0, 4)[1], [0x54534554])
        for _ in range(50):  # whoever has closed may open at once
            connections[-1].request(wire.CLOSE)
            connections[-1].close()
            connections[-1] = self.opened(client, 1)[0]
        self.assert_full(client)

    def test_one_that_hangs_up_makes_room(self):
        client = self.client()
        self.opened(client, MOST - 1)[0].close()
        self.assertTrue(wiretest.wait_until(lambda: self.open(client)[0] == wire.SUCCESS))

    def test_an_open_that_fails_takes_no_place(self):
        client = self.client()
        for _ in range(3 * MOST):
            self.assertNotEqual(client.open(0x7777)[0], wire.SUCCESS)
        self.opened(client, MOST - 1)

    def test_connecting_beyond_it(self):
        clients = [self.client() for _ in range(MOST)]
        for _ in range(3):
            self.assert_refused()
        self.assert_full(clients[0])
        self.assertEqual(len(clients[-1].services()), 2)
        clients[-1].close()
        self.assertTrue(wiretest.wait_until(lambda: self.open(clients[0])[0] == wire.SUCCESS))

    def test_connections_that_say_nothing_count(self):
        self.clients = [wire.Client(self.host.socket) for _ in range(MOST)]
        self.assert_refused()
        for client in self.clients:
            client.hello()

    def test_other_processes_are_not_hit(self):
        self.opened(self.client(), MOST - 1)
        self.in_child(lambda: self.opened(self.client(), MOST - 1))
        self.assert_refused()

    def test_the_library_says_why(self):
        """A program with a control channel and one device has room for no other device."""
        with toolstest.Dextd(toolstest.EDU, toolstest.TESTDEV,
                             options=("--per-client", "2")) as host:
            result = toolstest.run("trace", "--recent", socket=host.socket)
            self.assertRegex(result.err, r"02:00\.0.*0xe00002be.*dextd --per-client")


@unittest.skipUnless(os.geteuid() == 0, "only root may serve another user's processes")
class OtherUsers(PerClient):
    """All processes of another user are one client; those of the host's own user are one each."""
    options = (*PerClient.options, "--group", GROUP)

    def setUp(self):
        super().setUp()
        os.chmod(self.host.folder.name, 0o755)

    def test_they_share(self):
        self.in_child(lambda: self.opened(self.client(), 4), user=NOBODY)
        self.opened(self.client(), MOST - 1)

        def work():
            client = self.client()
            connections = self.opened(client, 2)
            self.assert_full(client)
            self.assert_refused()
            return connections
        self.in_child(work, user=NOBODY)


if __name__ == "__main__":
    wiretest.main()

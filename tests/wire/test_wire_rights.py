#!/usr/bin/env python3
"""Clients of another user, admitted by --group: what the host does for them is what they may do.

The host is root here, and reads and writes memory of the process that connected. That process may
become another program, also one that is more privileged than its user (set-user-id): whatever it
has then is not the client's.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import grp
import os
import shutil
import socket
import subprocess
import sys
import unittest

import wire
import wiretest
from toolstest import NOBODY
from wiretest import MMIO_READ, MMIO_WRITE, REGISTER, UNREGISTER

PLACE_WORD = sys.argv[3]
TESTDEV, PROBE = 1, 7
ACCESS_ADDRESS, ACCESS_DATA, ACCESS_COMMAND, ACCESS_STATUS = 0x280, 0x288, 0x290, 0x294
IS_WRITE = 0x100
NO_ERROR, READ_ERROR, WRITE_ERROR = 0, 1, 2
GROUP = "daemon"
PLACE, SIZE, IOVA = 0x2000_0000_0000, 1 << 16, 0x100000
OWN, FOREIGN, WRITTEN = 0x1111111111111111, 0x5EC2E75EC2E75EC2, 0x3333333333333333

class Process:
    """A process of nobody's, in the group, which has connected a socket of ours and has the word
    OWN at PLACE. Following: what it becomes then."""

    def __init__(self, program, sock, path, *following, protection=3):
        def connect():
            sock.connect(str(path))
        self.process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
            [program, str(PLACE), str(OWN), str(protection), *following], text=True, user=NOBODY,
            group=grp.getgrnam(GROUP).gr_gid, extra_groups=[], preexec_fn=connect,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        self.user = int(self.process.stdout.readline())

    def go_on(self):
        """Its next line."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.kill()
        self.process.communicate()


@unittest.skipUnless(os.geteuid() == 0, "only root may serve another user's processes")
class Rights(wiretest.WireTest):
    options = ("--group", GROUP)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chmod(cls.host.folder.name, 0o755)

    def program(self, name, mode):
        """A copy of the helper, which the build may keep where only root goes."""
        program = os.path.join(self.host.folder.name, name)
        if not os.path.exists(program):
            shutil.copy(PLACE_WORD, program)
            os.chmod(program, mode)
        return program

    def connected(self, *following, **options):
        """A process of another user, and its claimed testdev, spoken for by this one."""
        client = wire.Client.__new__(wire.Client)
        wire.Channel.__init__(client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        client.events, client.connections = None, []
        process = Process(self.program("own", 0o755), client.sock, self.host.socket, *following,
                          **options)
        self.addCleanup(process.close)
        self.clients.append(client)
        client.sock.settimeout(wiretest.SECONDS)
        client.hello()
        return process, self.opened(TESTDEV, client=client)

    def registered(self, connection):
        status, scalars, _ = connection.call(REGISTER, IOVA, PLACE, SIZE)
        self.assertEqual(hex(status), hex(wire.SUCCESS))
        return scalars[1]

    def access(self, connection, bus, value=None):
        """An access of the device: how it ended and what it read."""
        for offset, width, number in ((ACCESS_ADDRESS, 8, bus), (ACCESS_DATA, 8, value or 0),
                                      (ACCESS_COMMAND, 4, 8 | (IS_WRITE if value else 0))):
            self.assertEqual(connection.call(MMIO_WRITE, 0, offset, width, number)[0], wire.SUCCESS)
        read = [connection.call(MMIO_READ, 0, offset, width)[1][0]
                for offset, width in ((ACCESS_STATUS, 4), (ACCESS_DATA, 8))]
        return tuple(read)

    def test_private_memory(self):
        """What the client may do is done for it."""
        process, connection = self.connected()
        bus = self.registered(connection)
        self.assertEqual(connection.call(PROBE, IOVA, 0)[1], [OWN])
        self.assertEqual(self.access(connection, bus), (NO_ERROR, OWN))
        self.assertEqual(self.access(connection, bus, WRITTEN)[0], NO_ERROR)
        self.assertEqual(process.go_on(), hex(WRITTEN))

    def test_memory_the_client_may_only_read(self):
        process, connection = self.connected(protection=1)
        bus = self.registered(connection)
        self.assertEqual(self.access(connection, bus), (NO_ERROR, OWN))
        self.assertEqual(self.access(connection, bus, WRITTEN)[0], WRITE_ERROR)
        self.assertEqual(process.go_on(), hex(OWN))

    def test_memory_the_client_may_not_read(self):
        _, connection = self.connected(protection=0)
        self.assertEqual(hex(connection.call(REGISTER, IOVA, PLACE, SIZE)[0]), hex(wire.VM_ERROR))

    def privileged(self):
        """A command that is root's, whoever starts it, and has a word of its own at PLACE."""
        return self.program("privileged", 0o4755), str(PLACE), str(FOREIGN), "3"

    def become(self, process):
        if process.go_on() != "0":
            self.skipTest("this file system gives no rights to programs")

    def test_a_region_ends_where_its_process_becomes_another(self):
        process, connection = self.connected(*self.privileged())
        bus = self.registered(connection)
        self.assertEqual(connection.call(PROBE, IOVA, 0)[1], [OWN])
        self.become(process)
        self.assertEqual(connection.call(PROBE, IOVA, 0)[1], [])
        self.assertEqual(self.access(connection, bus)[0], READ_ERROR)
        self.assertEqual(self.access(connection, bus, WRITTEN)[0], WRITE_ERROR)
        self.assertEqual(process.go_on(), hex(FOREIGN))

    def test_memory_of_what_it_became_is_not_registered(self):
        process, connection = self.connected(*self.privileged())
        self.become(process)
        self.assertEqual(hex(connection.call(REGISTER, IOVA, PLACE, SIZE)[0]),
                         hex(wire.NOT_PERMITTED))
        self.assertEqual(connection.call(UNREGISTER, IOVA)[0], wire.NOT_FOUND)


if __name__ == "__main__":
    wiretest.main()

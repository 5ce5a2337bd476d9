"""What the wire tests share: a dextd that is watched, and clients of it.

SPDX-License-Identifier: GPL-2.0-or-later

usage of each test: TEST.py DEXTCTL DEXTD
"""
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
# pylint: disable=wrong-import-position
import toolstest
from toolstest import SECONDS, wait_until
import wire

EDU, TESTDEV = toolstest.EDU, toolstest.TESTDEV
CLAIM, TERMINATE, REGISTER, UNREGISTER = 1, 2, 5, 6
CONFIG_READ, CONFIG_WRITE, MMIO_READ, MMIO_WRITE = 8, 9, 11, 12
SETUP_INTERRUPTS, CHECK_INTERRUPT, WAIT_INTERRUPT, STATISTICS = 13, 14, 15, 67
STAT_REGIONS, STAT_BYTES, STAT_CALLS, STAT_CLAIMS = 0, 2, 4, 9


class Host:
    """A dextd on a private socket, and what it holds as the kernel sees it."""

    def __init__(self, *devices, options=(), folder=None, descriptors=None,
                 patience=toolstest.PATIENCE):
        self.descriptors = descriptors  # the most it may have open
        self.patience = patience        # with its clients
        self.folder = folder or tempfile.TemporaryDirectory(prefix="wire-test-")
        self.socket = Path(self.folder.name) / "dext.sock"
        self.log = Path(self.folder.name) / "log"
        self.arguments = [toolstest.DEXTD, "--socket", str(self.socket), *options]
        for device in devices or (EDU, TESTDEV):
            self.arguments += ["--device", device]
        self.process = None
        self.resting = ()

    def limit(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def start(self):
        reader, writer = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
                [*self.arguments, "--ready-fd", str(writer)], pass_fds=[writer], preexec_fn=self.limit,
                env=toolstest.environment(patience=self.patience), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        os.close(writer)
        with open(reader, "rb") as ready:
            said = ready.read() if select.select([reader], [], [], SECONDS)[0] else b""
        if said != b"\n":
            raise AssertionError(f"dextd does not serve: {self.said()}")
        self.resting = self.held()
        return self

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def held(self):
        """Descriptors and threads."""
        proc = Path("/proc") / str(self.process.pid)
        return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

    def rests(self):
        """Whether it comes back to the descriptors and threads it had without clients."""
        def is_at_rest():
            descriptors, threads = self.held()
            return descriptors == self.resting[0] and threads <= self.resting[1]
        return wait_until(is_at_rest)

    def stop(self, number=signal.SIGTERM):
        """End it by a signal; its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            toolstest.note_end(toolstest.DEXTD, self.process.returncode)
        return self.process.returncode

    def client(self):
        return wire.Client(self.socket).hello()

    def memory_bytes(self):
        """Resident memory of the host."""
        for line in (Path("/proc") / str(self.process.pid) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0


class WireTest(unittest.TestCase):
    """One host for all tests of a class; after each it must hold nothing."""
    devices = (EDU, TESTDEV)
    options = ()
    patience = toolstest.PATIENCE

    @classmethod
    def setUpClass(cls):
        cls.host = Host(*cls.devices, options=cls.options, patience=cls.patience).start()

    @classmethod
    def tearDownClass(cls):
        """A test point of its own could not be seen here: a failure is an error of the class."""
        status = cls.host.stop()
        said = cls.host.said()
        cls.host.folder.cleanup()
        if status != 0 or "Sanitizer" in said or "runtime error" in said:
            print(f"# dextd ended with {status}", *said.splitlines(), sep="\n# ", flush=True)
            raise AssertionError(f"dextd ended with {status}")

    def setUp(self):
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.close()
        self.assertTrue(self.host.rests(), f"held {self.host.held()}, not {self.host.resting}")
        with self.host.client() as client:
            for service in client.services():
                self.assertEqual(self.held(client, service), [0, 0, 0])
        self.assertTrue(self.host.rests())

    def client(self):
        client = self.host.client()
        self.clients.append(client)
        return client

    def opened(self, index=0, claim=True, client=None):
        """A connection to a service: 0 edu, 1 testdev."""
        client = client or self.client()
        status, connection = client.open(client.services()[index])
        self.assertEqual(status, wire.SUCCESS)
        if claim:
            self.assertEqual(connection.call(CLAIM)[0], wire.SUCCESS)
        return connection

    def held(self, client, service):
        """Live regions, live bytes and claims of a service, asked by another client."""
        status, connection = client.open(service)
        self.assertEqual(status, wire.SUCCESS)
        status, counts, _ = connection.call(STATISTICS)
        self.assertEqual(status, wire.SUCCESS)
        connection.request(wire.CLOSE)
        connection.close()
        return [counts[i] for i in (STAT_REGIONS, STAT_BYTES, STAT_CLAIMS)]

    def assert_closed(self, channel):
        """The host has closed this channel without an answer."""
        with self.assertRaises((wire.Closed, ConnectionResetError)):
            channel.receive()

    def assert_status(self, reply, status):
        self.assertEqual(hex(reply.status), hex(status))
        reply.close_fds()


def main():
    """Run the calling script's tests as TAP."""
    toolstest.main()

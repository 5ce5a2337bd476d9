"""What the vfio-user tests share: a server that is watched, and clients of it.

SPDX-License-Identifier: GPL-2.0-or-later

usage of each test: TEST.py DEXTCTL DEXTD [DEXT-VFIO-USER [beside-dextd]]
"""
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
# pylint: disable=wrong-import-position
import toolstest
from toolstest import IS_PORTABLE, SECONDS, wait_until  # the first for the tests
import vfiouser

ADDRESS = "01:00.0"
BESIDE_DEXTD = sys.argv[4:] == ["beside-dextd"]


class Server:
    """A server on a private socket, and what it holds as the kernel sees it."""

    def __init__(self, command, *, folder=None, patience=toolstest.PATIENCE, is_ours=True):
        """command: its arguments, a function of the socket's path. patience: its own with a client.
        is_ours: it says when a client has gone."""
        self.folder = folder or tempfile.TemporaryDirectory(prefix="vfio-user-test-")
        self.socket = Path(self.folder.name) / "vfio-user.sock"
        self.log = Path(self.folder.name) / "log"
        self.arguments = [str(word) for word in command(self.socket)]
        self.patience = patience
        self.is_ours = is_ours
        self.process = None
        self.resting = ()

    def launch(self):
        """Start it and wait until it listens."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                self.arguments, env=toolstest.environment(patience=self.patience),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not wait_until(lambda: self.has_ended() or self.listens()) or self.has_ended():
            raise AssertionError(f"no server: {self.said()}")

    def start(self):
        """Launch it and note what it holds at rest."""
        self.launch()
        gone = self.said().count("client gone")
        with self.attach():
            pass
        # Counted after a first client: what a server keeps from then on is its own.
        if not self.is_ours:
            time.sleep(1)
        elif not wait_until(lambda: self.said().count("client gone") > gone):
            raise AssertionError(f"the first client has not gone: {self.said()}")
        self.resting = self.held()
        return self

    def listens(self):
        """Whether the kernel knows a listener at the path, without becoming its client."""
        with open("/proc/net/unix", encoding="ascii", errors="replace") as sockets:
            return any(line.rstrip().endswith(" " + str(self.socket)) and " 00010000 " in line
                       for line in sockets)

    def has_ended(self):
        return self.process.poll() is not None

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def held(self):
        """Descriptors and threads."""
        proc = Path("/proc") / str(self.process.pid)
        return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

    def rests(self):
        """Whether it comes back to the descriptors it had without clients, and to its threads but
        for one that delivers interrupts from the first on."""
        def is_at_rest():
            descriptors, threads = self.held()
            return descriptors == self.resting[0] and threads <= self.resting[1] + 1
        return wait_until(is_at_rest)

    def settled(self, client):
        """What it holds once the client's last request is done with, and descriptors that came along
        are closed, which they are when it has taken another."""
        client.info()
        return self.held()

    def memory_bytes(self):
        """Resident memory, without what it shares with the guest."""
        for line in (Path("/proc") / str(self.process.pid) / "status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0

    def mappings(self, name):
        """How many of its mappings are of a file of that name."""
        with contextlib.suppress(FileNotFoundError):
            text = (Path("/proc") / str(self.process.pid) / "maps").read_text()
            return sum(name in line for line in text.splitlines())
        return 0

    def stop(self, number=signal.SIGTERM):
        """End it by a signal; its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            toolstest.note_end(self.arguments[0], self.process.returncode)
        return self.process.returncode

    def connect(self, **options):
        """A client, as soon as there is room in the queue."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                return vfiouser.Client(self.socket, **options)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.002)

    def attach(self, minor=0, said=vfiouser.QEMU, **options):
        """A client that has negotiated."""
        client = self.connect(**options)
        try:
            client.version(minor, said)
        except BaseException:
            client.close()
            raise
        return client


class ServerTest(unittest.TestCase):
    """One server for all tests of a class; a test's clients end with it."""

    def setUp(self):
        self.closing = contextlib.ExitStack()
        self.addCleanup(self.closing.close)

    def connect(self, **options):
        return self.closing.enter_context(self.server.connect(**options))

    def attach(self, *arguments, **options):
        return self.closing.enter_context(self.server.attach(*arguments, **options))

    def memory(self, size, name="guest"):
        return self.closing.enter_context(vfiouser.GuestMemory(size, name))

    def eventfds(self, count):
        return self.closing.enter_context(vfiouser.EventFds(count))

    def spare_fds(self, count):
        fds = [os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC) for _ in range(count)]
        for fd in fds:
            self.closing.callback(os.close, fd)
        return fds

    def assert_errno(self, got, *wanted):
        names = [errno.errorcode.get(number, number) for number in (got, *wanted)]
        self.assertIn(got, wanted, f"{names[0]}, not {names[1:]}")

    def assert_held(self, descriptors, threads=None):
        """The server comes to hold these many; it may start or end a thread of its own."""
        def is_so():
            now = self.server.held()
            return now[0] == descriptors and (threads is None or now[1] <= threads + 1)
        self.assertTrue(wait_until(is_so),
                        f"held {self.server.held()}, not {descriptors, threads}")

    def assert_in_step(self, client):
        """The connection goes on: the next request gets its own answer."""
        self.assertTrue(client.is_silent(0), "an answer nobody asked for")
        self.assertEqual(client.info()[0] & vfiouser.INFO_PCI, vfiouser.INFO_PCI)

    def assert_closed(self, client):
        """The server has closed this connection; an error reply may come before."""
        with contextlib.suppress(BrokenPipeError):
            for _ in range(1000):
                try:
                    reply = client.receive()
                except vfiouser.Closed:
                    return
                self.assertEqual(reply.flags, vfiouser.REPLY | vfiouser.ERROR)
        self.fail("it goes on answering")

    def assert_refused(self, client):
        """Error EINVAL and a connection that is in step, or is closed."""
        try:
            reply = client.receive()
        except vfiouser.Closed:
            return
        self.assertEqual((reply.flags, reply.error), (vfiouser.REPLY | vfiouser.ERROR,
                                                      errno.EINVAL))
        with contextlib.suppress(vfiouser.Closed, BrokenPipeError):
            self.assertEqual(client.info()[0] & vfiouser.INFO_PCI, vfiouser.INFO_PCI)


class DextTest(ServerTest):
    """Tests of dext-vfio-user with a simulated device of its own; after each it holds nothing."""
    device = "testdev"
    device_options = ",dart=identity"
    options = ()
    patience = toolstest.PATIENCE
    dextd = None

    @classmethod
    def specification(cls):
        return f"{cls.device},addr={ADDRESS}{cls.device_options}"

    @classmethod
    def command(cls, path):
        """The server with the device itself, or at a dextd that has it."""
        found = ["--connect", cls.dextd.socket] if cls.dextd else ["--device", cls.specification()]
        return [sys.argv[3], "--host", ADDRESS, "--socket", path, *found, *cls.options]

    @classmethod
    def setUpClass(cls):
        cls.dextd = None
        if BESIDE_DEXTD:
            cls.dextd = toolstest.Dextd(cls.specification())
            cls.dextd.__enter__()
        cls.server = Server(cls.command, patience=cls.patience).start()

    @classmethod
    def tearDownClass(cls):
        """A test point of its own could not be seen here: a failure is an error of the class."""
        status = cls.server.stop()
        said = cls.server.said()
        cls.server.folder.cleanup()
        if cls.dextd:
            status = cls.dextd.stop() or status
            said += cls.dextd.err
            cls.dextd.folder.cleanup()
        if status != 0 or "Sanitizer" in said or "runtime error" in said:
            print(f"# the server ended with {status}", *said.splitlines()[-100:], sep="\n# ",
                  flush=True)
            raise AssertionError(f"the server ended with {status}")

    def tearDown(self):
        self.closing.close()
        self.assertFalse(self.server.has_ended(), self.server.said())
        self.assertTrue(self.server.rests(),
                        f"held {self.server.held()}, not {self.server.resting}")
        self.assertTrue(wait_until(lambda: self.server.mappings("memfd:guest") == 0))


def main():
    """Run the calling script's tests as TAP."""
    toolstest.main()

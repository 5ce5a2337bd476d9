"""What the tests of the programs share: running dextctl, a dextd for a while, TAP output.

SPDX-License-Identifier: GPL-2.0-or-later

usage of each test: TEST.py DEXTCTL DEXTD
"""
import os
import select
import shutil
import signal
import socket as sockets
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from dataclasses import dataclass
from pathlib import Path

DEXTCTL, DEXTD = sys.argv[1], sys.argv[2]
# For anything to happen, with sanitizers and beside whatever else the machine does. Only what is
# broken takes so long.
SECONDS = 120
# For a process to answer another (DEXTLINK_PATIENCE): longer than a test lives.
PATIENCE = 3600
CRASHES = {signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV}
# A build with the files for every system instead of Linux's.
IS_PORTABLE = os.environ.get("DEXTLINK_TEST_OS") == "portable"
NOBODY = 65534
EDU = "edu,addr=01:00.0"
TESTDEV = "testdev,addr=02:00.0"


@dataclass
class Result:
    """How a program ended."""
    status: int
    out: str
    err: str


def note_end(program, status):
    """Say of what a program died: no load explains such an end (scripts/run-tests). The status."""
    if status is not None and -status in CRASHES:
        print(f"# {Path(program).name}: killed by signal {-status}", flush=True)
    return status


def wait_until(condition, seconds=SECONDS, pause=0.005):
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def environment(socket=None, patience=PATIENCE):
    """The caller's, without what would change colours or point to somebody's dextd. patience: how
    long one process waits for another, in seconds; None: as long as without a word."""
    clean = {k: v for k, v in os.environ.items()
             if k not in ("DEXTLINK_SOCKET", "DEXTLINK_LOG", "DEXTLINK_TRACE", "DEXTLINK_PATIENCE",
                          "NO_COLOR")}
    clean["DEXTLINK_SOCKET"] = str(socket) if socket else "/nonexistent/dextlink.sock"
    if patience:
        clean["DEXTLINK_PATIENCE"] = str(patience)
    return clean


def run(*arguments, socket=None, program=DEXTCTL, log=None, patience=PATIENCE, **options):
    """Run a program to its end; log is for DEXTLINK_LOG, patience None where what it waits for does
    not come."""
    variables = environment(socket, patience) | ({} if log is None else {"DEXTLINK_LOG": log})
    done = subprocess.run([program, *map(str, arguments)], env=variables,
                          capture_output=True, text=True, timeout=SECONDS, check=False,
                          stdin=subprocess.DEVNULL, **options)
    return Result(note_end(program, done.returncode), done.stdout, done.stderr)


def run_unprivileged(folder, *arguments, **options):
    """Run dextctl as somebody whom modes of files bind: as nobody where the caller is root.

    The folder is a test's own; nobody must reach it, and finds a copy of the program there."""
    if os.geteuid() != 0:
        return run(*arguments, **options)
    folder.chmod(0o711)
    program = folder / "dextctl"
    if not program.exists():
        shutil.copy(DEXTCTL, program)  # the build may lie where only root goes
        program.chmod(0o755)
    return run(*arguments, program=program, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
               **options)


class Dextd:
    """A dextd that serves until the block ends, or stop() is called."""

    def __init__(self, *devices, options=(), socket=None):
        self.folder = tempfile.TemporaryDirectory(prefix="dextd-test-")
        self.socket = Path(socket) if socket else Path(self.folder.name) / "dext.sock"
        self.arguments = [DEXTD, "--socket", str(self.socket), *options]
        for device in devices:
            self.arguments += ["--device", device]
        self.process = None
        self.out = self.err = None

    def __enter__(self):
        reader, writer = os.pipe()
        self.process = subprocess.Popen([*self.arguments, "--ready-fd", str(writer)],
                                        pass_fds=[writer], env=environment(), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        os.close(writer)
        ready, _, _ = select.select([reader], [], [], SECONDS)
        said = os.read(reader, 16) if ready else b""
        rest = os.read(reader, 16) if said else b"?"
        os.close(reader)
        if said != b"\n" or rest != b"":
            self.process.kill()
            raise AssertionError(f"dextd: {self.process.communicate()}")
        return self

    def stop(self, number=signal.SIGTERM):
        """End it by a signal; returns its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.out, self.err = self.process.communicate(timeout=SECONDS)
            note_end(DEXTD, self.process.returncode)
        return self.process.returncode

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()


class Listener:
    """What is no dextd: takes connections, if it does, sends each the same bytes, closes it or not."""

    def __init__(self, answer=b"", closes=False, accepts=True):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "host"
        self.answer, self.closes = answer, closes
        self.socket = sockets.socket(sockets.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen(16 if accepts else 0)
        self.kept = []
        self.thread = threading.Thread(target=self.serve) if accepts else None
        if not accepts:
            self.fill()

    def fill(self):
        while True:
            client = sockets.socket(sockets.AF_UNIX)
            client.setblocking(False)
            self.kept.append(client)
            try:
                client.connect(str(self.path))
            except BlockingIOError:
                return

    def serve(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            self.kept.append(client)
            try:
                client.sendall(self.answer)
            except OSError:
                pass  # it has gone already
            if self.closes:
                client.close()

    def __enter__(self):
        if self.thread:
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(sockets.SHUT_RDWR)
        if self.thread:
            self.thread.join()
        self.socket.close()
        for client in self.kept:
            client.close()
        self.folder.cleanup()


class TapResult(unittest.TestResult):
    """One test point a test, printed when it ends."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.details = self.comment = ""

    def startTest(self, test):
        super().startTest(test)
        self.details = self.comment = ""

    def stopTest(self, test):
        super().stopTest(test)
        self.count += 1
        name = test.id().removeprefix("__main__.")
        print(f"{'not ok' if self.details else 'ok'} {self.count} - {name}{self.comment}")
        for line in self.details.splitlines():
            print(f"# {line}")
        sys.stdout.flush()

    def addSkip(self, test, reason):
        self.comment = f" # SKIP {reason}"

    def addError(self, test, err):
        super().addError(test, err)
        self.details += self._exc_info_to_string(err, test)
        # What a class prepares for its tests is no test that starts and stops.
        if not isinstance(test, unittest.TestCase):
            self.stopTest(test)
            self.details = ""

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.details += self._exc_info_to_string(err, test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.details += f"{subtest}\n{self._exc_info_to_string(err, test)}"


class ToolTest(unittest.TestCase):
    """Assertions about programs."""

    def assert_fails(self, result, status, *pieces):
        """It ended with status, one line on stderr that has all pieces, and nothing on stdout."""
        text = f"status {result.status}, stdout {result.out!r}, stderr {result.err!r}"
        self.assertEqual(result.status, status, text)
        self.assertEqual(result.out, "", text)
        self.assertEqual(len(result.err.splitlines()), 1, text)
        for piece in pieces:
            self.assertIn(piece, result.err)

    def assert_fine(self, result):
        """It ended well and said nothing on stderr."""
        self.assertEqual((result.status, result.err), (0, ""), result.out)
        return result.out


def main():
    """Run the tests of the calling script; its exit status is the verdict."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = TapResult()
    suite.run(result)
    print(f"1..{result.count}")
    sys.exit(0 if result.wasSuccessful() and result.count else 1)

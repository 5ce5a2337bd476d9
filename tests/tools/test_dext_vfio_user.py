#!/usr/bin/env python3
"""dext-vfio-user as a program: its command line, its socket, its end, and one guest's life.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_dext_vfio_user.py DEXTCTL DEXTD DEXT-VFIO-USER
"""
import array
import json
import mmap
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import toolstest

SERVER = sys.argv[3]
EDU = "edu,addr=01:00.0,dart=identity"
TESTDEV = "testdev,addr=02:00.0,dart=identity"
VERSION, DMA_MAP, INFO, REGION_INFO, SET_IRQS, READ, WRITE, RESET = 1, 2, 4, 5, 8, 9, 10, 13
CONFIG, MSI = 7, 1


class Server:
    """The program until the block ends."""

    def __init__(self, *options, host="01:00.0", devices=(EDU,), environment=None, folder=None):
        self.folder = folder or tempfile.TemporaryDirectory(prefix="dext-vfio-user-")
        self.path = Path(self.folder.name) / "vfio-user.sock"
        self.log = Path(self.folder.name) / "log"
        self.arguments = [SERVER, "--socket", str(self.path), *options]
        if host:
            self.arguments += ["--host", host]
        for device in devices:
            self.arguments += ["--device", device]
        self.environment = environment or toolstest.environment()
        self.process = None

    def __enter__(self):
        reader, writer = os.pipe()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*self.arguments, "--ready-fd", str(writer)],
                                            pass_fds=[writer], env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(writer)
        with open(reader, "rb") as ready:
            said = ready.read() if select.select([reader], [], [], toolstest.SECONDS)[0] else b""
        if said != b"\n":
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it does not listen: {self.said()}")
        return self

    def said(self):
        return self.log.read_text(encoding="utf-8")

    def wait(self):
        return self.process.wait(toolstest.SECONDS)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def descriptors(self):
        return len(list((Path("/proc") / str(self.process.pid) / "fd").iterdir()))

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()


class Client:
    """A peer of the protocol, as small as this test needs it."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(toolstest.SECONDS)
        self.sock.connect(str(path))
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def receive(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def ask(self, command, payload=b"", fds=()):
        """Error number and payload of the reply."""
        self.number += 1
        header = struct.pack("<HHIII", self.number, command, 16 + len(payload), 0, 0)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([header + payload], ancillary)
        number, command, size, flags, error = struct.unpack("<HHIII", self.receive(16))
        assert (number, flags & 0xF) == (self.number, 1)
        return error if flags & 0x20 else 0, self.receive(size - 16)

    def version(self):
        return self.ask(VERSION, struct.pack("<HH", 0, 0))

    def read(self, region, offset, count):
        error, payload = self.ask(READ, struct.pack("<QII", offset, region, count))
        assert error == 0
        return int.from_bytes(payload[16:], "little")

    def write(self, region, offset, value, count):
        data = value.to_bytes(count, "little")
        return self.ask(WRITE, struct.pack("<QII", offset, region, count) + data)[0]


def run(*arguments):
    return toolstest.run(*arguments, program=SERVER)


class CommandLine(toolstest.ToolTest):
    """What is said and what is refused."""

    def test_help(self):
        text = self.assert_fine(run("--help"))
        for option in ("--host", "--socket", "--connect", "--device", "--once", "--log-json",
                       "--ready-fd", "share=on", "dart=identity", "Exit status"):
            self.assertIn(option, text)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        self.assertRegex(self.assert_fine(run("--version")), r"^dext-vfio-user \d")

    def test_mistakes(self):
        path = "/nonexistent/x.sock"
        for arguments, piece in (
                ((), "--socket"), (("--socket", ""), "want a path"),
                (("--socket", path, "--host", "1:2:3"), "01:00.0"),
                (("--socket", path, "--page-size", "4096"), "--device"),
                (("--socket", path, "--page-size", "8192", "--device", EDU), "4096 or 16384"),
                (("--socket", path, "--connect", path, "--device", EDU), "--connect"),
                (("--socket", path, "--device", "nothing,addr=01:00.0"), "nothing"),
                (("--socket", path, "--ready-fd", "999"), "descriptor"),
                (("--socket", path, "word"), "word"), (("--what",), "what"),
                (("--socket", "/tmp/" + "x" * 120, "--device", EDU), "107")):
            with self.subTest(arguments=arguments):
                self.assert_fails(run(*arguments), 2, piece)

    def test_devices_that_are_not_there(self):
        path = "/nonexistent/x.sock"
        self.assert_fails(run("--socket", path, "--host", "05:00.0", "--device", EDU), 1, "05:00.0")
        self.assert_fails(run("--socket", path, "--device", EDU, "--device", TESTDEV), 1, "--host")
        self.assert_fails(run("--socket", path), 1, "dextd")
        self.assert_fails(run("--socket", path, "--host", "05:00.0", "--connect", "/nonexistent/d"),
                          1, "no dextd at /nonexistent/d: No such file", "DEXTLINK_SOCKET")
        self.assert_fails(run("--socket", path, "--device", EDU), 1, path)

    def test_a_host_that_chooses_addresses(self):
        result = run("--socket", "/nonexistent/x.sock", "--device", "edu,addr=01:00.0")
        self.assert_fails(result, 1, "DMA", "dart=identity")


class Socket(toolstest.ToolTest):
    """The file at the path."""

    def test_mode_and_end(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server() as server:
                mode = os.lstat(server.path).st_mode
                self.assertTrue(stat.S_ISSOCK(mode))
                self.assertEqual(stat.S_IMODE(mode), 0o600)
                self.assertEqual(server.stop(number), 0, server.said())
                self.assertFalse(server.path.exists())

    def test_in_use_and_stale(self):
        with Server() as server:
            result = run("--socket", server.path, "--device", EDU)
            self.assert_fails(result, 1, "listens there already")
            server.stop(signal.SIGKILL)
            self.assertTrue(server.path.exists())
            with Server(folder=server.folder) as after:
                with Client(after.path) as client:
                    self.assertEqual(client.version()[0], 0)

    def test_a_file_is_not_replaced(self):
        with tempfile.NamedTemporaryFile() as file:
            self.assert_fails(run("--socket", file.name, "--device", EDU), 1, "no socket")
            self.assertTrue(Path(file.name).exists())

    def test_end_with_a_client(self):
        with Server() as server, Client(server.path) as client:
            client.version()
            self.assertEqual(server.stop(), 0, server.said())
            with self.assertRaises(EOFError):
                client.receive(1)


class Guest(toolstest.ToolTest):
    """Clients as guests have them."""

    def attach(self, server):
        client = Client(server.path)
        self.addCleanup(client.sock.close)
        error, payload = client.version()
        self.assertEqual((error, payload[:4]), (0, b"\0\0\0\0"))
        self.assertLessEqual(len(payload), 198)
        self.assertEqual(json.loads(payload[4:-1])["capabilities"]["max_msg_fds"], 16)
        return client

    def life(self, server):
        """Probe, look, share memory, have the device use it, be interrupted."""
        client = self.attach(server)
        error, info = client.ask(INFO, struct.pack("<4I", 16, 0, 0, 0))
        self.assertEqual((error, struct.unpack("<4I", info)), (0, (16, 3, 9, 5)))
        error, info = client.ask(REGION_INFO, struct.pack("<4IQQ", 32, 0, 0, 0, 0, 0))
        self.assertEqual(struct.unpack("<4IQQ", info), (32, 3, 0, 0, 1 << 20, 0))
        self.assertEqual(client.read(CONFIG, 0, 4), 0x11E81234)
        self.assertEqual(client.read(0, 0, 4), 0x010000ED)
        client.write(0, 4, 0x12345678, 4)
        self.assertEqual(client.read(0, 4, 4), 0xEDCBA987)

        fd = os.memfd_create("guest")
        os.ftruncate(fd, 1 << 20)
        memory = mmap.mmap(fd, 1 << 20)
        memory[:5] = b"hello"
        fields = struct.pack("<IIQQQ", 32, 3, 0, 0x10000, 1 << 20)
        self.assertEqual(client.ask(DMA_MAP, fields, [fd])[0], 0)
        os.close(fd)
        event = os.eventfd(0, os.EFD_NONBLOCK)
        self.assertEqual(client.ask(SET_IRQS, struct.pack("<5I", 20, 0x24, MSI, 0, 1), [event])[0],
                         0)
        client.write(CONFIG, 4, 6, 2)
        self.transfer(client, 0x10000, 0x40000, 1)
        self.transfer(client, 0x40000, 0x11000, 1 | 2 | 4)
        self.assertEqual(memory[0x1000:0x1005], b"hello")
        self.assertTrue(select.select([event], [], [], toolstest.SECONDS)[0])
        self.assertEqual(os.eventfd_read(event), 1)
        os.close(event)
        memory.close()
        self.assertEqual(client.ask(RESET)[0], 0)
        self.assertEqual(client.read(CONFIG, 4, 2), 0)
        return client

    def transfer(self, client, source, destination, command):
        """Five bytes, by edu's copy engine (docs/edu.md)."""
        client.write(0, 0x80, source, 8)
        client.write(0, 0x88, destination, 8)
        client.write(0, 0x90, 5, 8)
        client.write(0, 0x98, command, 8)
        end = time.monotonic() + toolstest.SECONDS
        while client.read(0, 0x98, 8) & 1:
            self.assertLess(time.monotonic(), end)

    def test_one_after_the_other(self):
        with Server() as server:
            self.life(server).sock.close()
            resting = None
            for _ in range(3):
                self.life(server).sock.close()
                with Client(server.path) as client:
                    client.version()
                    count = server.descriptors()
                resting = resting or count
                self.assertEqual(count, resting)
            self.assertEqual(server.stop(), 0, server.said())
            self.assertIn("the guest uses the device: 1 regions, 1048576 bytes", server.said())
            self.assertIn("1 regions, 1048576 bytes released", server.said())

    def test_more_memory_than_the_host_maps(self):
        """QEMU maps before it asks what the device is, and gives up when that is refused."""
        with Server(devices=(EDU + ",aperture=1M",)) as server:
            client = self.attach(server)
            fd = os.memfd_create("guest")
            self.addCleanup(os.close, fd)
            os.ftruncate(fd, 2 << 20)
            fields = struct.pack("<IIQQQ", 32, 3, 0, 0x100000, 2 << 20)
            self.assertEqual(client.ask(DMA_MAP, fields, [fd])[0], 28)
            self.assertEqual(client.ask(INFO, struct.pack("<4I", 16, 0, 0, 0))[0], 28)
            self.assertIn("aperture=BYTES", server.said())
            client.sock.close()
            client = self.attach(server)
            self.assertEqual(client.ask(INFO, struct.pack("<4I", 16, 0, 0, 0))[0], 0)
            self.assertEqual(client.ask(DMA_MAP, fields, [fd])[0], 28)
            self.assertEqual(client.ask(INFO, struct.pack("<4I", 16, 0, 0, 0))[0], 0)

    def test_once(self):
        with Server("--once", "--log-json") as server:
            self.life(server).sock.close()
            self.assertEqual(server.wait(), 0, server.said())
            lines = [json.loads(line) for line in server.said().splitlines()]
            self.assertEqual([line["level"] for line in lines], ["info"] * len(lines))
            self.assertIn("listening", lines[0]["message"])
            self.assertLess(abs(lines[0]["time"] - time.time()), 300)

    def test_once_and_refused(self):
        with Server("--once") as server, Client(server.path) as client:
            self.assertEqual(client.ask(INFO, bytes(16))[0], 22)
            self.assertEqual(server.wait(), 1)
            self.assertIn("VERSION", server.said())

    def test_verbose(self):
        with Server("--once", "-v") as server:
            self.life(server).sock.close()
            server.wait()
            self.assertIn("< DMA_MAP", server.said())
            self.assertIn("fds=1", server.said())

    def test_of_dextd(self):
        with toolstest.Dextd(EDU) as dextd:
            with Server("--connect", str(dextd.socket), devices=()) as server:
                self.life(server).sock.close()
                self.assertEqual(server.stop(), 0, server.said())
            listed = toolstest.run("list", socket=dextd.socket)
            self.assertIn("1234:11e8", self.assert_fine(listed))

    def test_dextd_ends(self):
        with toolstest.Dextd(EDU) as dextd:
            with Server("--connect", str(dextd.socket), devices=(), host=None) as server:
                client = self.attach(server)
                dextd.stop()
                self.assertEqual(client.read(0, 0, 4), 0xFFFFFFFF)
                client.sock.close()
                self.assertEqual(server.wait(), 1)
                self.assertIn("gone", server.said())


if __name__ == "__main__":
    toolstest.main()

#!/usr/bin/env python3
"""The server beside a dextd: what a guest does to the host's device, and what becomes of the server
when its device, its host or its command line is wrong.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import select
import signal
import sys
import tempfile
from pathlib import Path

import devices
import vfiouser as vu
import vfiousertest
from vfiousertest import toolstest
from devices import Config, Testdev

SERVER = sys.argv[3]
TESTDEV = "testdev,addr=01:00.0,dart=identity"
EDU = "edu,addr=02:00.0,dart=identity"


def parse_dump(text):
    """The bytes that "dextctl config dump" shows."""
    lines = [line.split(":", 1)[1] for line in text.splitlines() if line[:1] in "0123456789abcdef"
             and ": " in line and len(line.split(":", 1)[1].split()) == 16]
    return bytes(int(word, 16) for line in lines for word in line.split())


class HostTest(vfiousertest.ServerTest):
    """A dextd, and servers of its devices."""

    def setUp(self):
        super().setUp()
        self.dextd = self.closing.enter_context(toolstest.Dextd(TESTDEV, EDU))

    def serve(self, address):
        server = vfiousertest.Server(lambda path: [
            SERVER, "--host", address, "--socket", path, "--connect", self.dextd.socket])
        self.closing.callback(server.folder.cleanup)
        self.closing.callback(server.stop, signal.SIGKILL)
        return server.start()

    def dump(self):
        result = toolstest.run("config", "dump", "01:00.0", socket=self.dextd.socket)
        self.assertEqual((result.status, result.err), (0, ""))
        return parse_dump(result.out)


class Guests(HostTest):
    """What the host owns stays as the host set it (field note C15)."""

    def test_a_guest_that_writes_all_of_config_space(self):
        self.server = self.serve("01:00.0")
        client = self.attach()
        config = Config(client)
        config.enable()
        power, express = (config.capability(kind) for kind in (devices.CAP_POWER,
                                                               devices.CAP_PCIE))
        before = self.dump()
        self.assertEqual(len(before), 4096)
        for value in (0xFFFFFFFF, 0, 0xA5A5A5A5):
            for offset in range(0, 4096, 4):
                # A reset and a sleep are the guest's to ask for.
                if offset not in (power + 4, express + 8):
                    config.set(offset, 4, value)
        config.set(express + 8, 2, 0x7FFF)
        config.enable()
        after = self.dump()
        self.assertEqual([f"{at:#x}: {before[at]:02x} {after[at]:02x}" for at in range(4096)
                          if before[at] != after[at]], [])

    def test_memory_decoding_stays_on(self):
        self.server = self.serve("01:00.0")
        client = self.attach()
        for command, master in ((0, 0), (2, 0), (6, 4), (4, 4), (0, 0)):
            Config(client).enable(command)
            self.assertEqual(self.dump()[4] & 6, 2 | master, f"command {command}")
        client.close()
        self.assert_in_step(self.attach())
        self.assertEqual(self.dump()[4] & 6, 2, "no bus mastering before the guest asks")

    def test_two_devices_two_servers(self):
        servers = [self.serve(address) for address in ("01:00.0", "02:00.0")]
        clients = [self.closing.enter_context(server.attach()) for server in servers]
        for client in clients:
            Config(client).enable()
        for number in range(50):
            Testdev(clients[0]).write(Testdev.SCRATCH[4], number)
            devices.Edu(clients[1]).write(devices.Edu.LIVENESS, number)
            self.assertEqual(Testdev(clients[0]).read(Testdev.SCRATCH[4]), number)
            self.assertEqual(devices.Edu(clients[1]).read(devices.Edu.LIVENESS),
                             number ^ 0xFFFFFFFF)
        self.assertEqual(servers[0].stop(), 0)
        self.assertEqual(devices.Edu(clients[1]).read(devices.Edu.ID), 0x010000ED)

    def test_a_killed_server_leaves_nothing_at_the_host(self):
        self.server = self.serve("01:00.0")
        client, ram, events = self.attach(), self.memory(1 << 20), self.eventfds(1)
        Config(client).enable()
        client.dma_map(0x80000000, ram.size, ram.fd)
        client.set_irqs(vu.MSIX, 0x24, 0, 1, fds=events.fds)
        self.assertEqual(Testdev(client).access_write(0x80000000, 4, 1), 0)
        self.server.stop(signal.SIGKILL)
        with self.assertRaises((vu.Closed, BrokenPipeError)):
            client.info()
        self.server.socket.unlink()
        self.server.start()
        again = self.attach()
        again.dma_map(0x80000000, ram.size, ram.fd)
        again.set_irqs(vu.MSIX, 0x24, 0, 1, fds=events.fds)
        Config(again).enable()
        self.assertEqual(Testdev(again).access_write(0x80000000, 4, 2), 0)
        Testdev(again).write(Testdev.FIRE, 0)
        self.assertEqual(events.arrived(0), 1)


class Losses(HostTest):
    """The device goes: the client is told, the server ends."""

    def test_the_host_is_killed(self):
        self.server = self.serve("01:00.0")
        client, events = self.attach(), self.eventfds(1)
        Config(client).enable()
        client.set_irqs(vu.ERR, 0x24, 0, 1, fds=events.fds)
        self.dextd.process.kill()
        self.dextd.process.communicate()
        try:
            for _ in range(3):
                reply = client.ask(vu.REGION_READ, vu.access_payload(vu.BAR0, 0, 4))
                self.assertEqual((reply.error, reply.payload[16:]), (0, b"\xff" * 4))
        except (vu.Closed, BrokenPipeError):
            pass
        self.assertTrue(select.select(events.ends, [], [], vu.SECONDS)[0], "no word to the client")
        client.close()
        self.assertTrue(vfiousertest.wait_until(self.server.has_ended))
        self.assertEqual(self.server.process.returncode, 1)
        self.assertNotIn("Sanitizer", self.server.said())


class CommandLine(toolstest.ToolTest):
    """What cannot be served is said in one line."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="vfio-user-test-")
        self.addCleanup(self.folder.cleanup)
        self.socket = Path(self.folder.name) / "s"

    def server(self, *arguments):
        return toolstest.run(*arguments, program=SERVER)

    def test_addresses_that_the_host_chooses(self):
        result = self.server("--device", "edu,addr=01:00.0", "--socket", self.socket)
        self.assert_fails(result, 1, "dart=identity")

    def test_a_path_that_is_too_long(self):
        result = self.server("--device", TESTDEV, "--socket", self.folder.name + "/" + "x" * 120)
        self.assertEqual((result.status, result.out), (2, ""))
        self.assertIn("107", result.err)

    def test_a_path_with_a_file(self):
        self.socket.write_text("precious")
        result = self.server("--device", TESTDEV, "--socket", self.socket)
        self.assertEqual(result.status, 1)
        self.assertEqual(self.socket.read_text(), "precious")

    def test_a_path_where_somebody_listens(self):
        server = vfiousertest.Server(lambda path: [SERVER, "--device", TESTDEV, "--socket", path],
                                     folder=self.folder).start()
        self.addCleanup(server.stop, signal.SIGKILL)
        result = self.server("--device", TESTDEV, "--socket", server.socket)
        self.assertEqual(result.status, 1)
        with server.attach() as client:
            self.assertEqual(client.info()[1:], [9, 5])

    def test_once(self):
        for flags in ([], ["--log-json"]):
            server = vfiousertest.Server(
                lambda path, more=flags: [SERVER, "--device", TESTDEV, "--socket", path, "--once",
                                          *more])
            self.addCleanup(server.folder.cleanup)
            server.launch()
            self.addCleanup(server.stop, signal.SIGKILL)
            with server.attach() as client:
                self.assertEqual(client.info()[1:], [9, 5])
            self.assertEqual(server.process.wait(vu.SECONDS), 0)
            self.assertFalse(server.socket.exists())

    def test_once_with_a_client_that_is_refused(self):
        server = vfiousertest.Server(
            lambda path: [SERVER, "--device", TESTDEV, "--socket", path, "--once"])
        self.addCleanup(server.folder.cleanup)
        server.launch()
        self.addCleanup(server.stop, signal.SIGKILL)
        with server.connect() as client:
            client.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(server.process.wait(vu.SECONDS), 1)


if __name__ == "__main__":
    vfiousertest.main()

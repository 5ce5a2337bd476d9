#!/usr/bin/env python3
"""Clients that are killed: the host lets go of everything they had, and the next one can work.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_kill.py KILL_CLIENT DEXTD
"""
import os
import random
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "wire"))
# pylint: disable=wrong-import-position
import wiretest
import toolstest
import wire
from wiretest import (CLAIM, CONFIG_READ, MMIO_READ, MMIO_WRITE, REGISTER, SETUP_INTERRUPTS,
                      WAIT_INTERRUPT)

KILL_CLIENT = toolstest.DEXTCTL
TESTDEV = "testdev,addr=02:00.0,ready_after_ns=20000000"
STEPS = ("connected", "claimed", "mapped", "mmio", "dma", "copying", "buffer", "interrupts",
         "armed", "storm", "resetting", "forked")
SEED = 19
MOMENTS = 50
GROWTH = 48 << 20  # of the host's memory over all kills of a test

# The host's freed memory should come back to it soon, or its growth says nothing.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"


class Victim:
    """A kill_client that has reached its step."""

    def __init__(self, host, step):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([KILL_CLIENT, step], stdout=subprocess.PIPE, text=True,
                                        env=toolstest.environment(host.socket))
        self.child = 0
        for line in self.process.stdout:
            name, child = line.split()
            if name == step:
                self.child = int(child)
                return
        raise AssertionError(f"kill_client {step}: ended with {self.process.wait()}")

    def kill(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def kill_child(self):
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            self.child = 0


class KillTest(wiretest.WireTest):
    """A host with one testdev, and what shows that it is as new."""
    devices = (TESTDEV,)

    def victim(self, step):
        victim = Victim(self.host, step)
        self.addCleanup(victim.kill_child)
        self.addCleanup(victim.kill)
        return victim

    def assert_forgotten(self):
        """No descriptor, thread, region, byte or claim of anybody is left."""
        self.assertTrue(self.host.rests(), f"held {self.host.held()}, not {self.host.resting}")
        with self.host.client() as client:
            self.assertEqual(self.held(client, client.services()[0]), [0, 0, 0])
        self.assertTrue(self.host.rests())

    def assert_ready(self, connection):
        """The device is ready for the next client: copies between its memory, raises for it."""
        wiretest.wait_until(lambda: connection.call(CONFIG_READ, 0, 4)[1] == [0x7E571234])
        memory = wire.Memory(32768)
        memory.map[:16384] = random.Random(1).randbytes(16384)
        status, out, _ = connection.call(REGISTER, 1 << 40, memory.address, 32768)
        self.assertEqual(status, wire.SUCCESS)
        connection.call(MMIO_WRITE, 0, 0x22C, 4, 15)  # whatever ran: the engine is ours now
        self.engine_stops(connection)
        for register, value in ((0x200, out[1]), (0x208, out[1] + 16384), (0x210, 16384)):
            self.assertEqual(connection.call(MMIO_WRITE, 0, register, 8, value)[0], 0)
        self.assertEqual(connection.call(MMIO_WRITE, 0, 0x22C, 4, 1)[0], wire.SUCCESS)
        self.assertEqual(self.engine_stops(connection), [2])
        self.assertEqual(memory.map[:16384], memory.map[16384:])
        self.assertEqual(connection.call(6, 1 << 40)[0], wire.SUCCESS)
        memory.close()
        self.assertEqual(connection.call(SETUP_INTERRUPTS)[1], [32])
        self.assertEqual(connection.call(WAIT_INTERRUPT, wake=(1, [0] * 8))[0], wire.SUCCESS)
        connection.call(MMIO_WRITE, 0, 0x100, 4, 7)
        self.assertEqual(self.clients[-1].events.receive().type, wire.EVENT_COMPLETION)

    def engine_stops(self, connection):
        """Its status once it does not run."""
        self.assertTrue(wiretest.wait_until(
            lambda: connection.call(MMIO_READ, 0, 0x228, 4)[1] != [1]))
        return connection.call(MMIO_READ, 0, 0x228, 4)[1]

    def check_kill(self, step):
        victim = self.victim(step)
        with self.host.client() as client:
            held = self.held(client, client.services()[0])
        self.assertEqual(held[2], int(step != "connected"))
        if STEPS.index(step) >= STEPS.index("dma"):
            self.assertGreaterEqual(held[0], 100)
        victim.kill()
        self.assert_forgotten()
        self.assert_ready(self.opened(0))


class Steps(KillTest):
    """At each step that a client goes through; a test for each."""


def add_step(step):
    setattr(Steps, f"test_killed_when_{step}", lambda self: self.check_kill(step))


for each in STEPS:
    add_step(each)


class Moments(KillTest):
    """The same at any moment: 50 of them, the same in each run."""
    def test_at_random_moments(self):
        pick = random.Random(SEED)
        before = None
        for count in range(MOMENTS):
            victim = self.victim("every")
            time.sleep(pick.random() * 0.12)
            self.assertIsNone(victim.process.poll(), "the client failed by itself")
            victim.kill()
            self.assert_forgotten()
            if count == 10:
                before = self.host.memory_bytes()
        self.assertLess(self.host.memory_bytes() - before, GROWTH)
        self.assert_ready(self.opened(0))

    def test_at_random_moments_beside_a_client_that_works(self):
        pick = random.Random(SEED + 1)
        bystander = self.opened(0)
        watcher = self.client()
        service = watcher.services()[0]
        for _ in range(10):
            victim = self.victim("every")
            time.sleep(pick.random() * 0.12)
            victim.kill()
            self.assertTrue(wiretest.wait_until(
                lambda: self.held(watcher, service) == [0, 0, 1]))
        self.assertTrue(wiretest.wait_until(
            lambda: bystander.call(MMIO_READ, 0, 0, 4)[1] == [0x54534554]))


class Writing(KillTest):
    """A device that is writing when its client dies writes into nobody else's memory."""
    def check_next(self, connection):
        """The next client gets memory of the same size, as soon as it can be had."""
        memory = wire.Memory(32 << 20)
        self.assertEqual(connection.call(REGISTER, 1 << 32, memory.address, 32 << 20)[0], 0)
        time.sleep(0.1)
        self.assertEqual(memory.map[:], bytes(32 << 20))
        self.assertEqual(connection.call(6, 1 << 32)[0], wire.SUCCESS)
        memory.close()

    def test_alone(self):
        for _ in range(5):
            victim = self.victim("copying")
            victim.kill()
            self.assertTrue(self.host.rests())
            connection = self.opened(0)
            self.check_next(connection)
            self.assertNotEqual(self.engine_stops(connection), [1])
            connection.request(wire.CLOSE)
            self.clients.pop().close()

    def test_beside_a_client_that_keeps_the_device_open(self):
        bystander = self.opened(0)
        watcher = self.client()
        service = watcher.services()[0]
        for _ in range(5):
            victim = self.victim("copying")
            victim.kill()
            self.assertTrue(wiretest.wait_until(
                lambda: self.held(watcher, service) == [0, 0, 1]))
            self.check_next(bystander)
            self.assertIn(self.engine_stops(bystander), ([2], [3]))


class HostEnds(unittest.TestCase):
    """The other way round: the host is told to end, or dies, under its clients."""

    def host(self, folder=None):
        host = wiretest.Host(TESTDEV, folder=folder)
        self.addCleanup(host.folder.cleanup)
        self.addCleanup(lambda: host.process and host.stop(signal.SIGKILL))
        return host

    def test_sigterm_while_clients_are_at_each_step(self):
        for step in STEPS:
            with self.subTest(step):
                host = self.host().start()
                victim = Victim(host, step)
                try:
                    self.assertEqual(host.stop(), 0, host.said())
                    self.assertEqual(sorted(os.listdir(host.folder.name)), ["log"])
                    self.assertNotIn("Sanitizer", host.said())
                finally:
                    victim.kill()
                    victim.kill_child()

    def test_two_on_one_socket(self):
        first = self.host().start()
        second = self.host(first.folder)
        with self.assertRaisesRegex(AssertionError, "another host is serving there"):
            second.start()
        self.assertEqual(second.process.wait(), 1)
        with first.client() as client:
            self.assertEqual(len(client.services()), 1)
        self.assertEqual(first.stop(), 0)

    def test_what_a_dead_host_left_is_replaced(self):
        first = self.host().start()
        first.stop(signal.SIGKILL)
        self.assertEqual(sorted(os.listdir(first.folder.name)),
                         ["dext.sock", "dext.sock.lock", "log"])
        second = self.host(first.folder).start()
        with second.client() as client:
            self.assertEqual(len(client.services()), 1)
        self.assertEqual(second.stop(), 0)
        self.assertEqual(sorted(os.listdir(first.folder.name)), ["log"])

    def test_a_lock_file_alone_or_a_socket_alone(self):
        for name in ("dext.sock.lock", "dext.sock"):
            first = self.host().start()
            first.stop(signal.SIGKILL)
            os.unlink(Path(first.folder.name) / name)
            second = self.host(first.folder).start()
            self.assertEqual(second.stop(), 0)
            self.assertEqual(sorted(os.listdir(first.folder.name)), ["log"])

    def test_a_lock_that_is_no_file_of_ours_is_left_alone(self):
        host = self.host()
        precious = Path(host.folder.name) / "precious"
        precious.write_text("mine", encoding="utf-8")
        lock = Path(f"{host.socket}.lock")
        lock.symlink_to(precious)
        with self.assertRaisesRegex(AssertionError, "dext.sock"):
            host.start()
        self.assertTrue(lock.is_symlink())
        self.assertEqual(precious.read_text(encoding="utf-8"), "mine")

    def test_clients_of_a_host_that_was_killed_go_on_with_the_next(self):
        first = self.host().start()
        with first.client() as client:
            first.stop(signal.SIGKILL)
            with self.assertRaises((wire.Closed, ConnectionResetError)):
                client.receive()
        second = self.host(first.folder).start()
        victim = Victim(second, "claimed")
        victim.kill()
        self.assertTrue(second.rests())
        self.assertEqual(second.stop(), 0)


if __name__ == "__main__":
    wiretest.main()

#!/usr/bin/env python3
"""Every flow of the protocol, spoken by the second implementation.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import mmap
import os
import unittest

import wire
import wiretest
from wiretest import (CHECK_INTERRUPT, CLAIM, CONFIG_READ, MMIO_READ, MMIO_WRITE, REGISTER,
                      SETUP_INTERRUPTS, STATISTICS, TERMINATE, UNREGISTER, WAIT_INTERRUPT)

BAR0, BAR2, IRQ_STATE = 1, 3, 7


class Greeting(wiretest.WireTest):
    devices = (wiretest.EDU,)
    options = ("--page-size", "16384")

    def test_hello_gives_version_page_size_and_an_event_socket(self):
        client = self.client()
        self.assertEqual(client.page_size, 16384)
        self.assertEqual(os.fstat(client.events.sock.fileno()).st_mode & 0o170000, 0o140000)

    def test_replies_repeat_the_call_id(self):
        with wire.Client(self.host.socket) as client:
            greeting = client.request(wire.HELLO, wire.u32(1), call_id=2 ** 64 - 1)
            client.request(wire.ENTRY, wire.u64(1), call_id=77)
            reply = client.request(wire.MATCH, wire.encode_value({}), call_id=1 << 63)
            self.assert_status(reply, wire.SUCCESS)
            greeting.close_fds()
            self.assert_closed(client)  # the client that gives up its events has gone

    def test_frames_may_come_in_pieces_and_in_one(self):
        client = self.client()
        for byte in client.frame(wire.MATCH, wire.encode_value({})):
            client.send_bytes(bytes([byte]))
        self.assert_status(client.receive(), wire.SUCCESS)
        both = client.frame(wire.ENTRY, wire.u64(1)) + client.frame(wire.ENTRY, wire.u64(2))
        client.send_bytes(both)
        self.assertEqual([client.receive().sequence for _ in range(2)],
                         [client.sequence - 1, client.sequence])


class Registry(wiretest.WireTest):
    def test_services_match_by_class_property_and_name(self):
        client = self.client()
        services = client.services()
        self.assertEqual(len(services), 2)
        self.assertGreater(min(services), 2 ** 32)
        self.assertEqual(client.match({"IONameMatch": "VFIOUserPCIDriver"}), services)
        self.assertEqual(client.match({"IONameMatch": ["none", "VFIOUserPCIDriver"]}), services)
        self.assertEqual(client.match({"IORegistryEntryID": services[1]}), services[1:])
        self.assertEqual(client.match({"IORegistryEntryID": wire.Number(services[1], 32)}),
                         services[1:])
        nubs = client.match({"IONameMatch": "pci1234,11e8"})
        self.assertEqual(len(nubs), 1)
        for nothing in ({"IOProviderClass": "None"}, {"NoSuchKey": "x"},
                        {"IOProviderClass": "IOUserService", "NoSuchKey": True},
                        {"IOPropertyMatch": {"IOUserClass": "Other"}}, {"IONameMatch": []}):
            self.assertEqual(client.match(nothing), [])
        for odd in ("text", 7, b"data", True, [], ["IOService"]):
            self.assertEqual(client.match(odd), [])

    def test_an_entry_shows_its_place_and_properties(self):
        client = self.client()
        service = client.services()[0]
        _, entry = client.entry(service)
        self.assertEqual((entry["name"], entry["class"]), ("VFIOUserPCIDriver", "IOUserService"))
        self.assertEqual(entry["conforms"],
                         ["IOUserService", "IOService", "IORegistryEntry", "OSObject"])
        self.assertTrue(entry["path"].startswith("IOService:/"))
        self.assertEqual(entry["children"], [])
        _, nub = client.entry(entry["parent"].value)
        self.assertEqual(nub["children"], [wire.Number(service)])
        self.assertEqual(nub["properties"]["vendor-id"], b"\x34\x12\0\0")
        self.assertEqual(nub["properties"]["pcidebug"], "1:0:0")
        _, parent = client.entry(nub["parent"].value)
        while "parent" in parent:
            _, parent = client.entry(parent["parent"].value)
        self.assertEqual((parent["name"], parent["path"]), ("Root", "IOService:/"))


class Calls(wiretest.WireTest):
    def test_selectors_answer_as_the_interface_says(self):
        edu = self.opened(0, claim=False)
        self.assertEqual(edu.call(CONFIG_READ, 0, 4)[0], wire.NOT_OPEN)
        self.assertEqual(edu.call(10, 0), (wire.SUCCESS, [0, 1 << 20, 0], b""))
        self.assertEqual(edu.call(CLAIM), (wire.SUCCESS, [], b""))
        self.assertEqual(edu.call(0), (wire.SUCCESS, [1, 0, 0, 0x1234, 0x11E8, 0x00FF00], b""))
        self.assertEqual(edu.call(CONFIG_READ, 0, 4)[1], [0x11E81234])
        self.assertEqual(edu.call(MMIO_READ, 0, 0, 4)[1], [0x010000ED])
        self.assertEqual(edu.call(MMIO_WRITE, 0, 4, 4, 0x12345678)[0], wire.SUCCESS)
        self.assertEqual(edu.call(MMIO_READ, 0, 4, 4)[1], [0x12345678 ^ 0xFFFFFFFF])
        self.assertEqual(edu.call(STATISTICS)[1][wiretest.STAT_CLAIMS], 1)

    def test_replies_have_the_outputs_there_are_not_the_room_there_was(self):
        edu = self.opened(0)
        for room in (1, 2, 16):
            self.assertEqual(len(edu.call(CONFIG_READ, 0, 4, room=room)[1]), 1)
        self.assertEqual(edu.call(CONFIG_READ, 0, 4, room=0)[0], wire.BAD_ARGUMENT)
        self.assertEqual(edu.call(0, structure_room=4096)[2], b"")

    def test_trapped_accesses(self):
        edu = self.opened(0)
        self.assertEqual(edu.map(BAR0), (wire.SUCCESS, 1 << 20, False, []))
        self.assertEqual(edu.access(BAR0, 0, 4), (wire.SUCCESS, 0x010000ED))
        self.assertEqual(edu.access(BAR0, 4, 4, 0xFF)[0], wire.SUCCESS)
        self.assertEqual(edu.access(BAR0, 4, 4), (wire.SUCCESS, 0xFFFFFF00))

    def test_a_direct_range_is_shared_memory(self):
        testdev = self.opened(1)
        status, size, read_only, ranges = testdev.map(BAR2)
        self.assertEqual((status, size, read_only, len(ranges)),
                         (wire.SUCCESS, 4 << 20, False, 2))
        index = testdev.call(10, 2)[1][0]
        for offset, length, at, fd in ranges:
            with mmap.mmap(fd, length, offset=at) as view:
                view[8:16] = offset.to_bytes(8, "little")
                self.assertEqual(testdev.call(MMIO_READ, index, offset + 8, 8)[1], [offset])
            os.close(fd)
        self.assertEqual(testdev.access(BAR2, 2 << 20, 8, 0x1122334455667788)[0], wire.SUCCESS)
        self.assertEqual(testdev.access(BAR2, (2 << 20) + 4, 4), (wire.SUCCESS, 0x11223344))

    def test_dma_reaches_the_memory_of_this_process(self):
        testdev = self.opened(1)
        memory = wire.Memory(32768)
        memory.map[:16384] = bytes(range(256)) * 64
        status, (count, bus, length), _ = testdev.call(REGISTER, 0, memory.address, 32768)
        self.assertEqual((status, count), (wire.SUCCESS, 1))
        self.assertGreaterEqual(length, 32768)
        self.assertNotEqual(bus, 0)
        self.assertEqual(testdev.call(7, 0, 8)[1], [0x0F0E0D0C0B0A0908])
        for register, value in ((0x200, bus), (0x208, bus + 16384), (0x210, 16384)):
            testdev.call(MMIO_WRITE, 0, register, 8, value)
        testdev.call(MMIO_WRITE, 0, 0x22C, 4, 1)
        self.assertTrue(wiretest.wait_until(
            lambda: testdev.call(MMIO_READ, 0, 0x228, 4)[1] == [2]))
        self.assertEqual(memory.map[16384:], memory.map[:16384])
        self.assertEqual(testdev.call(UNREGISTER, 0)[0], wire.SUCCESS)
        self.assertEqual(testdev.call(UNREGISTER, 0)[0], wire.NOT_FOUND)
        memory.close()

    def test_close_frees_before_it_answers(self):
        testdev = self.opened(1)
        memory = wire.Memory(16384)
        self.assertEqual(testdev.call(REGISTER, 0, memory.address, 16384)[0], wire.SUCCESS)
        other = self.client()
        self.assertEqual(self.held(other, other.services()[1])[0], 1)
        self.assert_status(testdev.request(wire.CLOSE), wire.SUCCESS)
        self.assertEqual(self.held(other, other.services()[1]), [0, 0, 0])
        self.assert_closed(testdev)
        memory.close()


class Events(wiretest.WireTest):
    def completion(self, client):
        event = client.events.receive()
        self.assertEqual((event.type, event.status, event.fds),
                         (wire.EVENT_COMPLETION, 0, []))
        reader = wire.Reader(event.payload)
        port, reference = reader.u64(), reader.u64s(8)
        status, count = reader.u32(), reader.u32()
        arguments = reader.u64s(count)
        reader.end()
        return port, reference, status, arguments

    def test_a_wait_completes_once_with_its_port_and_reference(self):
        client = self.client()
        testdev = self.opened(1, client=client)
        reference = [0xFFFFFFFFFFFFFFFF - i for i in range(8)]
        self.assertEqual(testdev.call(WAIT_INTERRUPT, wake=(5, reference))[0], wire.NOT_READY)
        self.assertEqual(testdev.call(SETUP_INTERRUPTS)[1], [32])
        self.assertEqual(testdev.call(WAIT_INTERRUPT)[0], wire.BAD_ARGUMENT)
        self.assertEqual(testdev.call(WAIT_INTERRUPT, wake=(5, reference))[0], wire.SUCCESS)
        testdev.call(MMIO_WRITE, 0, 0x100, 4, 31)
        self.assertEqual(self.completion(client)[:3], (5, reference, 0))
        testdev.call(MMIO_WRITE, 0, 0x100, 4, 3)
        client.events.sock.settimeout(0.1)
        with self.assertRaises(TimeoutError):
            client.events.receive()
        client.events.sock.settimeout(wiretest.SECONDS)
        self.assertEqual(testdev.call(CHECK_INTERRUPT)[1], [1 << 31 | 1 << 3, 0, 0, 0])
        testdev.call(MMIO_WRITE, 0, 0x100, 4, 1)
        self.assertEqual(testdev.call(WAIT_INTERRUPT, wake=(9, [0] * 8))[0], wire.SUCCESS)
        self.assertEqual(self.completion(client)[0], 9)

    def test_the_irq_page_is_shared(self):
        testdev = self.opened(1)
        self.assertEqual(testdev.map(IRQ_STATE)[0], wire.NOT_READY)
        testdev.call(SETUP_INTERRUPTS)
        status, size, _, ranges = testdev.map(IRQ_STATE)
        self.assertEqual((status, size, len(ranges)), (wire.SUCCESS, 16384, 1))
        offset, length, at, fd = ranges[0]
        self.assertEqual((offset, length), (0, 16384))
        with mmap.mmap(fd, length, offset=at) as view:
            testdev.call(MMIO_WRITE, 0, 0x100, 4, 17)
            self.assertTrue(wiretest.wait_until(lambda: view[2] == 2))
        os.close(fd)

    def test_many_waits_on_many_connections_keep_their_references(self):
        client = self.client()
        connections = [self.opened(1, client=client) for _ in range(4)]
        for number, connection in enumerate(connections):
            connection.call(SETUP_INTERRUPTS)
            connection.call(WAIT_INTERRUPT, wake=(100 + number, [number] * 8))
        connections[0].call(MMIO_WRITE, 0, 0x100, 4, 0)
        came = sorted(self.completion(client) for _ in connections)
        self.assertEqual([(port, reference[0]) for port, reference, _, _ in came],
                         [(100 + number, number) for number in range(4)])


class Departure(unittest.TestCase):
    def setUp(self):
        self.host = wiretest.Host().start()
        self.addCleanup(self.host.folder.cleanup)
        self.addCleanup(self.host.stop)

    def test_those_who_asked_hear_of_a_termination(self):
        with self.host.client() as watcher, self.host.client() as owner:
            edu, testdev = watcher.services()
            matching = {"IOProviderClass": "IOUserService"}
            self.assertEqual(watcher.notify_add(1, wire.PUBLISH, matching), [edu, testdev])
            self.assertEqual(watcher.notify_add(2, wire.TERMINATED, matching), [])
            self.assertEqual(watcher.notify_add(3, wire.TERMINATED, matching), [])
            self.assertEqual(watcher.request(wire.INTEREST_ADD, wire.u64(4, edu)).status, 0)
            self.assertEqual(watcher.request(wire.NOTIFY_REMOVE, wire.u64(3)).status, 0)
            self.assertEqual(watcher.request(wire.NOTIFY_REMOVE, wire.u64(99)).status, 0)
            _, connection = owner.open(edu)
            self.assertEqual(connection.call(CLAIM)[0], wire.SUCCESS)
            self.assertEqual(connection.call(TERMINATE)[0], wire.SUCCESS)
            events = [watcher.events.receive() for _ in range(3)]
            self.assertEqual(sorted(e.type for e in events),
                             [wire.EVENT_MATCH, wire.EVENT_DEAD, wire.EVENT_INTEREST])
            by_type = {e.type: e.payload for e in events}
            self.assertEqual(by_type[wire.EVENT_MATCH], wire.u64(2, edu))
            self.assertEqual(by_type[wire.EVENT_DEAD], wire.u64(edu))
            self.assertEqual(by_type[wire.EVENT_INTEREST], wire.u64(4, edu)
                             + wire.u32(wire.SERVICE_IS_TERMINATED, 0) + wire.u64(0))
            self.assertEqual(owner.events.receive().type, wire.EVENT_DEAD)
            self.assertEqual(connection.call(0)[0], wire.DEAD_NAME)
            self.assertEqual(connection.request(wire.MAP, wire.u64(1)).status, wire.DEAD_NAME)
            self.assertEqual(watcher.services(), [testdev])
            self.assertEqual(watcher.open(edu)[0], wire.NO_DEVICE)
            self.assertEqual(watcher.entry(edu)[1]["name"], "VFIOUserPCIDriver")
            self.assertEqual(connection.request(wire.CLOSE).status, wire.SUCCESS)

    def test_the_end_of_the_host_is_the_end_of_all_channels(self):
        with self.host.client() as client:
            _, connection = client.open(client.services()[0])
            self.assertEqual(self.host.stop(), 0)
            with self.assertRaises(wire.Closed):
                while True:
                    self.assertEqual(client.events.receive().type, wire.EVENT_DEAD)
            for channel in (client, connection):
                with self.assertRaises((wire.Closed, ConnectionResetError)):
                    channel.receive()
            self.assertFalse(self.host.socket.exists())


if __name__ == "__main__":
    wiretest.main()

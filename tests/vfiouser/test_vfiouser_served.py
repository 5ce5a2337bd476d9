#!/usr/bin/env python3
"""Guest memory without a descriptor: the device has it by DMA_READ and DMA_WRITE messages, on the
client's socket or on a twin, and what a client answers wrongly or never is a fault of the device.

The server waits for an answer far longer than these tests for theirs: what comes did not wait.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import copy
import errno
import fcntl
import json
import os
import select
import socket
import struct
import termios
import threading
import time

import devices
import rules
import vfiouser as vu
import vfiousertest
from devices import Config, Edu, Nvme, Testdev

RAM, SIZE = 0x80000000, 1 << 20
MOST_READ = 32768  # QEMU cuts longer replies short
SYNC_PATIENCE = 0.2  # seconds
READ_FAULT, WRITE_FAULT = 1, 2
TO_BAR = 0x400     # of testdev's copy commands
TEST_ID = 0x54534554


def said_with(**capabilities):
    """What QEMU says, with these capabilities besides or instead."""
    said = copy.deepcopy(vu.QEMU)
    said["capabilities"].update(capabilities)
    return said


class Guest:
    """Memory that only its owner reaches."""

    def __init__(self, base=RAM, size=SIZE):
        self.base = base
        self.map = bytearray(size)

    def read(self, address, count):
        at = address - self.base
        return bytes(self.map[at:at + count]) if 0 <= at <= len(self.map) - count else None

    def write(self, address, data):
        at = address - self.base
        if not 0 <= at <= len(self.map) - len(data):
            return None
        self.map[at:at + len(data)] = data
        return len(data)

    def fill(self, seed):
        pattern = bytes((i * seed + (i >> 8)) & 0xFF for i in range(1 << 16))  # repeats from there
        self.map[:] = (pattern * (len(self.map) // len(pattern) + 1))[:len(self.map)]


class ServedTest(vfiousertest.DextTest, rules.Device):
    minor, said = 0, vu.QEMU

    def setUp(self):
        super().setUp()
        self.guest = Guest()
        self.client = self.attach(self.minor, self.said, memory=self.guest)
        Config(self.client).enable()
        self.client.dma_map(RAM, SIZE)
        self.device = Testdev(self.client)
        self.ram = self.memory(SIZE)
        self.client.dma_map(RAM + SIZE, SIZE, self.ram.fd)

    def serve(self, size):
        """Answer requests for so many bytes, however long they are in coming."""
        while size > 0:
            self.client.serve(self.client.receive())
            size -= self.client.served[-1][2]
        self.assertEqual(size, 0)

    def asked(self):
        """Start a copy from the guest's memory; the server's first request, unanswered."""
        self.device.start_copy(RAM, RAM + SIZE, 64)
        request = self.client.receive()
        self.assertEqual((request.command, request.flags), (vu.DMA_READ, vu.COMMAND))
        self.assertEqual(request.payload, struct.pack("<QQ", RAM, 64))
        return request

    def reply(self, request, payload=None, *, kind=vu.REPLY, error=0, number=None):
        payload = request.payload[:16] + bytes(64) if payload is None else payload
        number = request.id if number is None else number
        self.client.send_bytes(vu.message(request.command, payload, number=number, kind=kind,
                                          error=error))

    def end_of_copy(self):
        return self.device.read(Testdev.COPY_STATUS), self.device.read(Testdev.COPY_ERROR)

    def wait_for_copy(self):
        end = time.monotonic() + vfiousertest.SECONDS
        while (status := self.end_of_copy())[0] == Testdev.RUNNING and time.monotonic() < end:
            pass
        return status

    def assert_fault(self):
        self.assertEqual(self.wait_for_copy(), (Testdev.FAILED, READ_FAULT))
        self.assert_in_step(self.client)

    def assert_works(self):
        """The memory is reached again."""
        self.guest.fill(11)
        self.device.start_copy(RAM + 512, RAM + SIZE, 64)
        self.serve(64)
        self.assertEqual(self.wait_for_copy(), (Testdev.DONE, 0))
        self.assertEqual(self.ram.map[:64], bytes(self.guest.map[512:576]))


class OnTheClientsSocket(ServedTest):
    def copy(self, source, destination, length, asked=0):
        """A copy for which so many bytes are asked of this client; its status and error."""
        self.device.start_copy(source, destination, length)
        self.serve(asked)
        return self.wait_for_copy()

    def test_the_device_reads(self):
        for seed in (3, 7):
            self.guest.fill(seed)
            self.assertEqual(self.copy(RAM, RAM + SIZE, SIZE, SIZE), (Testdev.DONE, 0))
            self.assertEqual(self.ram.map[:], bytes(self.guest.map))
        self.assertTrue(all(command == vu.DMA_READ and count <= MOST_READ
                            for command, _, count in self.client.served))
        self.assertEqual(sum(count for *_, count in self.client.served), 2 * SIZE)

    def test_the_device_writes(self):
        self.ram.map[:] = bytes(os.urandom(SIZE))
        self.assertEqual(self.copy(RAM + SIZE, RAM, SIZE, SIZE), (Testdev.DONE, 0))
        self.assertEqual(self.ram.map[:], bytes(self.guest.map))
        self.assertTrue(all(command == vu.DMA_WRITE for command, *_ in self.client.served))

    def test_within_the_guests_memory_and_unaligned(self):
        for length in (1, 63, 4097, 65537):
            self.guest.fill(5)
            want = bytes(self.guest.map[13:13 + length])
            before = self.guest.map[0x80000 + 7 - 1], self.guest.map[0x80000 + 7 + length]
            self.assertEqual(self.copy(RAM + 13, RAM + 0x80000 + 7, length, 2 * length),
                             (Testdev.DONE, 0))
            self.assertEqual(bytes(self.guest.map[0x80007:0x80007 + length]), want)
            self.assertEqual((self.guest.map[0x80006], self.guest.map[0x80007 + length]), before)

    def test_read_only_memory(self):
        self.client.dma_map(RAM + 4 * SIZE, 4096, flags=vu.MAP_READ)
        self.guest.base = RAM + 4 * SIZE
        self.guest.fill(3)
        self.assertEqual(self.copy(RAM + 4 * SIZE, RAM + SIZE, 4096, 4096), (Testdev.DONE, 0))
        self.assertEqual(self.ram.map[:4096], bytes(self.guest.map[:4096]))
        self.client.served.clear()
        self.assertEqual(self.copy(RAM + SIZE, RAM + 4 * SIZE, 64),
                         (Testdev.FAILED, WRITE_FAULT))
        self.assertEqual(self.client.served, [])

    def test_memory_for_nobody(self):
        self.client.dma_map(RAM + 4 * SIZE, 4096, flags=0)
        self.assertEqual(self.copy(RAM + 4 * SIZE, RAM + SIZE, 64), (Testdev.FAILED, READ_FAULT))
        self.assertEqual(self.client.served, [])

    def test_unmapped_it_is_out_of_reach(self):
        self.client.dma_unmap(RAM, SIZE)
        self.assertEqual(self.copy(RAM, RAM + SIZE, 64), (Testdev.FAILED, READ_FAULT))
        self.assertEqual(self.client.served, [])
        self.client.dma_map(RAM, SIZE)
        self.assert_works()

    def test_the_same_again_and_overlaps(self):
        self.client.dma_map(RAM, SIZE)
        for address, size in ((RAM, 4096), (RAM - 4096, 8192), (RAM, 2 * SIZE)):
            self.assert_errno(self.client.errno(vu.DMA_MAP, vu.dma_map_payload(address, size)),
                              errno.EINVAL)
        self.assert_works()

    def test_hundreds_of_regions(self):
        for i in range(500):
            self.client.dma_map(RAM + 16 * SIZE + i * 8192, 4096)
        self.guest.base = RAM + 16 * SIZE
        self.guest.fill(3)
        self.assertEqual(self.copy(RAM + 16 * SIZE + 99 * 8192, RAM + SIZE, 4096, 4096),
                         (Testdev.DONE, 0))
        self.assertEqual(self.ram.map[:4096], bytes(self.guest.map[99 * 8192:][:4096]))
        self.client.dma_unmap_all()

    def test_bus_mastering_off_asks_nothing(self):
        Config(self.client).enable(devices.MEMORY_MASTER & ~4)
        self.assertEqual(self.copy(RAM, RAM + SIZE, 64)[0], Testdev.FAILED)
        self.assertEqual(self.client.served, [])


class OfALaterVersion(ServedTest):
    """A client of libvfio-user's kind serves us while it waits for an answer."""
    minor = 1

    def test_polling_while_the_device_works(self):
        self.guest.fill(9)
        self.assertEqual(self.device.copy(RAM, RAM + SIZE, SIZE), (Testdev.DONE, 0))
        self.assertEqual(self.ram.map[:], bytes(self.guest.map))

    def test_inside_its_own_accesses(self):
        self.guest.fill(9)
        for at in range(0, 4096, 8):
            self.assertEqual(self.device.access_read(RAM + at, 8),
                             (int.from_bytes(self.guest.map[at:at + 8], "little"), 0))


class SmallTransfers(ServedTest):
    said = said_with(max_data_xfer_size=4096)

    def test_no_message_has_more_than_the_client_takes(self):
        self.guest.fill(3)
        self.device.start_copy(RAM, RAM + SIZE, 65536)
        self.serve(65536)
        self.assertEqual(self.wait_for_copy(), (Testdev.DONE, 0))
        self.device.start_copy(RAM + SIZE, RAM, 65536)
        self.serve(65536)
        self.assertEqual(self.wait_for_copy(), (Testdev.DONE, 0))
        self.assertEqual({count for *_, count in self.client.served}, {4096})
        self.assertEqual(len(self.client.served), 32)


class Edus(vfiousertest.DextTest, rules.Device):
    device = "edu"

    def test_both_ways(self):
        guest = Guest()
        guest.fill(3)
        client = self.attach(1, memory=guest)
        Config(client).enable()
        client.dma_map(RAM, SIZE)
        edu = Edu(client)
        edu.to_buffer(RAM + 100, 300)
        edu.from_buffer(RAM + 5000, 300)
        self.assertEqual(guest.map[5000:5300], guest.map[100:400])
        self.assertEqual([command for command, *_ in client.served], [vu.DMA_READ, vu.DMA_WRITE])


class Answers(ServedTest):
    """What comes back: an error, rubbish, something late, nothing."""

    def test_errors(self):
        for number in (errno.ENODEV, errno.E2BIG, errno.EINVAL, errno.EFAULT, 0, 0xFFFFFFFF):
            self.reply(self.asked(), b"", kind=vu.REPLY | vu.ERROR, error=number)
            self.assert_fault()
        self.reply(self.asked(), bytes(16), kind=vu.REPLY | vu.ERROR, error=errno.EIO)
        self.assert_fault()
        self.assert_works()

    def test_replies_that_do_not_fit(self):
        head = struct.pack("<QQ", RAM, 64)
        for payload in (b"", head, head + bytes(63), head + bytes(65), head + bytes(4096),
                        head[:15], struct.pack("<QQ", RAM + 1, 64) + bytes(64),
                        struct.pack("<QQ", RAM, 63) + bytes(64), bytes(80)):
            self.reply(self.asked(), payload)
            self.assert_fault()
        self.assert_works()

    def test_answers_to_a_write(self):
        head = struct.pack("<QQ", RAM, 64)
        for payload, status in ((head, (Testdev.DONE, 0)), (b"", (Testdev.DONE, 0)),
                                (head + b"x", (Testdev.FAILED, WRITE_FAULT)),
                                (head[:8], (Testdev.FAILED, WRITE_FAULT)),
                                (struct.pack("<QQ", RAM, 65), (Testdev.FAILED, WRITE_FAULT))):
            self.device.start_copy(RAM + SIZE, RAM, 64)
            request = self.client.receive()
            self.assertEqual((request.command, request.payload),
                             (vu.DMA_WRITE, head + self.ram.map[:64]))
            self.reply(request, payload)
            self.assertEqual(self.wait_for_copy(), status)

    def test_another_id(self):
        request = self.asked()
        self.reply(request, number=request.id + 1)
        answer = self.client.receive()
        self.assertEqual((answer.flags, answer.error), (vu.REPLY | vu.ERROR, errno.EINVAL))
        self.reply(request)
        self.assertEqual(self.wait_for_copy(), (Testdev.DONE, 0))

    def test_gone_while_it_is_asked(self):
        self.asked()
        self.client.close()
        self.assert_in_step(self.attach())

    def test_half_an_answer_and_gone(self):
        request = self.asked()
        self.client.send_bytes(vu.message(request.command, request.payload + bytes(32), size=96,
                                          number=request.id, kind=vu.REPLY))
        self.client.close()
        self.assert_in_step(self.attach())


class WhileTheClientWaits(ServedTest):
    """Like QEMU this client serves nothing while it waits for an answer of ours."""

    def ask_read(self, offset):
        return self.client.send(vu.REGION_READ, vu.access_payload(vu.BAR0, offset, 4))

    def test_nothing_is_asked_while_a_command_is_in_hands(self):
        """The access happens inside the client's own write: nobody could answer."""
        self.device.write(Testdev.ACCESS_ADDRESS, RAM, 8)
        begin = time.monotonic()
        number = self.client.send(vu.REGION_WRITE, vu.access_payload(
            vu.BAR0, Testdev.ACCESS_COMMAND, 4, struct.pack("<I", 8)))
        answer = self.client.receive()
        took = time.monotonic() - begin
        self.assertEqual((answer.id, answer.flags), (number, vu.REPLY))
        self.assertGreater(took, SYNC_PATIENCE - 0.05)
        self.assertEqual(self.device.read(Testdev.ACCESS_STATUS), READ_FAULT)
        self.assertEqual(self.device.read(Testdev.ACCESS_DATA, 8), devices.ONES_8)
        self.assertIn("said once", self.server.said())
        self.assert_works()

    def test_a_read_that_waits_for_the_device_that_waits_for_us(self):
        request = self.asked()
        number = self.ask_read(0)
        answer = self.client.receive()
        self.assertEqual((answer.id, answer.flags), (number, vu.REPLY))
        self.assertEqual(answer.payload[16:], struct.pack("<I", TEST_ID))
        self.assertEqual(self.end_of_copy(), (Testdev.FAILED, READ_FAULT))
        # The late answer is nobody's, and is not answered.
        self.reply(request)
        self.assert_in_step(self.client)
        self.assert_works()

    def test_unmapping_what_is_asked_for(self):
        request = self.asked()
        number = self.client.send(vu.DMA_UNMAP, vu.dma_unmap_payload(RAM, SIZE))
        answer = self.client.receive()
        self.assertEqual((answer.id, answer.flags), (number, vu.REPLY))
        self.reply(request)
        self.assert_in_step(self.client)

    def test_commands_that_come_meanwhile_keep_their_order(self):
        """The session is busy inside a posted write; what comes before our answer waits for it."""
        self.device.write(Testdev.ACCESS_ADDRESS, RAM + 8, 8)
        self.device.write(Testdev.ACCESS_COMMAND, 8, posted=True)
        request = self.client.receive()
        for i in range(500):
            self.device.write(Testdev.SCRATCH[4], i, posted=True)
        fds = self.spare_fds(4)
        bad = self.client.send(vu.DEVICE_RESET, b"", fds)
        number = self.ask_read(Testdev.SCRATCH[4])
        self.reply(request, request.payload + struct.pack("<Q", 0x1122334455667788))
        answer = self.client.receive()
        self.assertEqual((answer.id, answer.command), (bad, vu.DEVICE_RESET))
        answer = self.client.receive()
        self.assertEqual((answer.id, answer.flags), (number, vu.REPLY))
        self.assert_in_step(self.client)

    def test_posted_accesses_are_served(self):
        self.guest.fill(3)
        self.device.write(Testdev.ACCESS_ADDRESS, RAM + 8, 8)
        self.device.write(Testdev.ACCESS_COMMAND, 8, posted=True)
        self.client.serve(self.client.receive())
        self.assertEqual(self.device.read(Testdev.ACCESS_STATUS), 0)
        self.assertEqual(self.device.read(Testdev.ACCESS_DATA, 8),
                         int.from_bytes(self.guest.map[8:16], "little"))


class Twin(threading.Thread):
    """Answers on the twin socket of a client."""

    def __init__(self, fd, memory):
        super().__init__()
        self.client = vu.Client.__new__(vu.Client)
        self.client.sock = socket.socket(fileno=fd)
        self.client.sock.settimeout(vfiousertest.SECONDS)
        self.client.memory, self.client.served = memory, []
        self.how = self.client.serve

    def run(self):
        try:
            while True:
                request = self.client.receive()
                self.how(request)
        except (vu.Closed, OSError, ValueError):
            pass

    def end(self):
        self.client.sock.shutdown(socket.SHUT_RDWR)
        self.join()
        self.client.close()


class TwinTest(vfiousertest.DextTest, rules.Device):
    said = said_with(twin_socket={"supported": True})

    def attach_twin(self, guest, minor=1):
        client = self.connect()
        reply = client.request(vu.VERSION, vu.version_payload(minor, self.said), want_fds=True)
        self.assertEqual(json.loads(reply.payload[4:-1])["capabilities"]["twin_socket"],
                         {"supported": True, "fd_index": 0})
        self.assertEqual(len(reply.fds), 1)
        twin = Twin(reply.fds[0], guest)
        twin.start()
        self.closing.callback(twin.end)
        Config(client).enable()
        client.dma_map(RAM, SIZE)
        return client, twin

    def setUp(self):
        super().setUp()
        self.guest = Guest()
        self.guest.fill(3)


class OnTheTwinSocket(TwinTest):
    def setUp(self):
        super().setUp()
        self.client, self.twin = self.attach_twin(self.guest)
        self.testdev = Testdev(self.client)

    def test_requests_go_there_also_inside_the_clients_commands(self):
        self.assertEqual(self.testdev.access_read(RAM + 8, 8),
                         (int.from_bytes(self.guest.map[8:16], "little"), 0))
        self.assertEqual(self.testdev.access_write(RAM + 16, 4, 0x11223344), 0)
        self.assertEqual(self.guest.map[16:20], b"\x44\x33\x22\x11")
        self.assertEqual(self.testdev.copy(RAM, RAM + SIZE // 2, SIZE // 2), (Testdev.DONE, 0))
        self.assertEqual(self.guest.map[:SIZE // 2], self.guest.map[SIZE // 2:])
        self.assertEqual(self.client.served, [])
        self.assertTrue(all(count <= MOST_READ for command, _, count in self.twin.client.served
                            if command == vu.DMA_READ))

    def test_an_error_is_a_fault(self):
        def refuse(request):
            self.twin.client.send_bytes(vu.message(request.command, number=request.id,
                                                   kind=vu.REPLY | vu.ERROR, error=errno.ENODEV))
        self.twin.how = refuse
        self.assertEqual(self.testdev.access_read(RAM, 8), (devices.ONES_8, READ_FAULT))
        self.twin.how = self.twin.client.serve
        self.assertEqual(self.testdev.access_read(RAM, 8)[1], 0)


class BadTwins(TwinTest):
    """What does not fit ends the twin socket, and nothing else."""

    def test_whatever_comes(self):
        def wrong_id(twin, request):
            twin.client.send_bytes(vu.message(request.command, request.payload + bytes(8),
                                              number=request.id + 1, kind=vu.REPLY))

        def command(twin, _):
            twin.client.send_bytes(vu.message(vu.DEVICE_RESET, number=1))

        def no_size(twin, request):
            twin.client.send_bytes(vu.message(request.command, size=3, number=request.id))

        def descriptors(twin, request):
            twin.client.send_bytes(vu.message(request.command, request.payload + bytes(8),
                                              number=request.id, kind=vu.REPLY), fds)

        def gone(twin, _):
            twin.client.sock.shutdown(socket.SHUT_RDWR)

        fds = self.spare_fds(2)
        for how in (wrong_id, command, no_size, descriptors, gone):
            with self.subTest(how=how.__name__):
                client, twin = self.attach_twin(self.guest)
                self.closing.callback(client.close)
                device = Testdev(client)
                twin.how = lambda request, how=how, twin=twin: how(twin, request)
                self.assertEqual(device.access_read(RAM, 8), (devices.ONES_8, READ_FAULT))
                self.assertEqual(device.access_write(RAM, 8, 1), WRITE_FAULT)
                self.assert_in_step(client)
                client.close()

    def test_who_does_not_want_one_gets_none(self):
        for said in (vu.QEMU, said_with(twin_socket={"supported": False}),
                     said_with(twin_socket={}),
                     said_with(twin_socket={"supported": True}, max_msg_fds=0)):
            client = self.connect()
            self.assertNotIn("twin_socket", client.version(0, said)[2]["capabilities"])
            client.close()

    def test_the_client_goes_while_it_is_asked(self):
        client, twin = self.attach_twin(self.guest)
        asked = threading.Event()
        twin.how = lambda _: asked.set()
        device = Testdev(client)
        device.write(Testdev.ACCESS_ADDRESS, RAM, 8)
        device.write(Testdev.ACCESS_COMMAND, 8, posted=True)
        self.assertTrue(asked.wait(vfiousertest.SECONDS))
        client.close()
        twin.client.sock.shutdown(socket.SHUT_RDWR)
        self.assert_in_step(self.attach())


class SlowTwins(TwinTest):
    """What never comes, or is never read, is waited for as long as the server has patience."""
    patience = None  # its own

    def started(self, how, command):
        """A copy of the whole memory to the device, or a fill of it, by a twin that serves so."""
        client, twin = self.attach_twin(self.guest)
        self.closing.callback(client.close)
        twin.how = lambda request: how(twin, request)
        device = Testdev(client)
        device.write(Testdev.LENGTH, SIZE, 8)
        device.write(Testdev.DESTINATION if command == Testdev.FILL else Testdev.SOURCE, RAM, 8)
        device.write(Testdev.COPY_COMMAND, command)
        return client, twin

    def assert_not_held_up(self, client):
        """Neither is the client's next command, though it waits for who asks on the twin socket."""
        client.dma_unmap(RAM, SIZE)
        self.assert_in_step(client)
        client.close()

    def test_half_an_answer(self):
        asked = threading.Event()

        def half(twin, request):
            twin.client.send_bytes(vu.message(request.command, number=request.id)[:8])
            asked.set()

        client, _ = self.started(half, Testdev.COPY | TO_BAR)
        self.assertTrue(asked.wait(vfiousertest.SECONDS))
        self.assert_not_held_up(client)

    def test_requests_that_are_not_read(self):
        """They are answered all the same, before they are made."""
        def answers(twin, _):
            for number in range(1, 100):
                twin.client.send_bytes(vu.message(vu.DMA_WRITE, number=number, kind=vu.REPLY))
            raise vu.Closed

        def is_full():
            waiting = fcntl.ioctl(twin.client.sock, termios.FIONREAD, bytes(4))
            return int.from_bytes(waiting, "little") >= 2 * 65536

        client, twin = self.started(answers, Testdev.FILL)
        twin.join(vfiousertest.SECONDS)
        self.assertTrue(vfiousertest.wait_until(is_full))
        self.assert_not_held_up(client)


class Pumped:
    """A guest whose memory is looked at: whatever the server asks for is answered before."""

    def __init__(self, guest, client):
        self.guest, self.client = guest, client

    @property
    def map(self):
        while select.select([self.client.sock], [], [], 0)[0]:
            self.client.serve(self.client.receive())
        return self.guest.map


class NvmeByMessages(TwinTest):
    """A driver's work with queues and data that only messages reach."""
    device = "nvme"
    device_options = ",dart=identity,size=16M,serial=MESSAGES"

    def check(self, client, memory):
        nvme = Nvme(client, memory, RAM)
        nvme.enable()
        self.assertEqual(nvme.run(0, 0x06, data=RAM + 0x8000, words=[1]), 0)
        self.assertEqual(memory.map[0x8004:0x8018], b"MESSAGES".ljust(20))
        self.assertEqual(nvme.create_queues(1), (0, 0))
        for block in (0, 8, 1024):
            data = os.urandom(4096)
            memory.map[0x10000:0x11000] = data
            self.assertEqual(nvme.run(1, 0x01, namespace=1, data=RAM + 0x10000,
                                      words=[block, 0, 7]), 0)
            self.assertEqual(nvme.run(1, 0x02, namespace=1, data=RAM + 0x20000,
                                      words=[block, 0, 7]), 0)
            self.assertEqual(memory.map[0x20000:0x21000], data)
        # The controller is told to stop: nothing is asked any more.
        nvme.write(Nvme.CC, 0)
        nvme.wait(Nvme.CSTS, 1, 0)

    def test_on_the_clients_socket(self):
        client = self.attach(memory=self.guest)
        Config(client).enable()
        client.dma_map(RAM, SIZE)
        self.check(client, Pumped(self.guest, client))

    def test_on_the_twin_socket(self):
        client, _ = self.attach_twin(self.guest)
        self.check(client, self.guest)


if __name__ == "__main__":
    vfiousertest.main()

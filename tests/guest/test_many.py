#!/usr/bin/env python3
"""A large guest: 4 GiB of memory in pieces, 16 processors, a queue and a vector for each.

SPDX-License-Identifier: GPL-2.0-or-later

Two NVMe controllers, of one dextd, through two servers.
"""
import contextlib

import guesttest
import nvmechecks
from guesttest import Host, Machine, Server

ADDRESSES = "02:00.0", "03:00.0"
MIB = 1 << 20
CPUS = 16
# A guest numbers controllers as they answer, so disks are told by their serials.
DISKS = """
    for c in /sys/class/nvme/nvme?; do
        case $(cat $c/serial) in MANY0*) first=/dev/${c##*/}n1;; MANY1*) second=/dev/${c##*/}n1;; esac
    done
    """
# Memory of two nodes, and a gap below 4 GiB: at least four regions.
MEMORY = 4096
DISK_BYTES = 128 * MIB


class Many(guesttest.GuestTest):
    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            cls.disks = [cls.pool.disk(f"many{i}.img", DISK_BYTES) for i in range(2)]
            cls.host = stack.enter_context(Host(*(
                f"nvme,addr={at},drive={disk},queues={CPUS},serial=MANY{i},dart=identity,aperture=8G"
                for i, (at, disk) in enumerate(zip(ADDRESSES, cls.disks)))))
            cls.servers = [stack.enter_context(Server(at, host=cls.host)) for at in ADDRESSES]
            nodes = []
            for node in range(2):
                nodes += ["-object", f"memory-backend-memfd,id=node{node},size={MEMORY // 2}M,share=on",
                          "-numa", f"node,nodeid={node},memdev=node{node}"]
            cls.machine = stack.enter_context(Machine(
                cls.pool, *nodes, *cls.servers[0].qemu("first"), *cls.servers[1].qemu("second"),
                cpus=CPUS, memory=f"{MEMORY}M", shared=False))
            cls.addClassCleanup(stack.pop_all().close)

    def test_10_both_are_there(self):
        out = self.machine.check("""
            cat /sys/class/nvme/nvme?/serial | sort
            cat /sys/class/nvme/nvme?/queue_count; nproc; grep -c nvme /proc/interrupts
            awk '/MemTotal/ { print $2 }' /proc/meminfo""").split()
        self.assertEqual(out[:2], ["MANY0", "MANY1"])
        self.assertEqual(out[2:6], [str(CPUS + 1)] * 2 + [str(CPUS), str(2 * (CPUS + 1))])
        self.assertGreater(int(out[6]), (MEMORY - 300) * 1024)

    def test_20_memory_everywhere(self):
        """Buffers from both nodes and above 4 GiB: more data in the page cache than one region holds."""
        self.machine.check(DISKS + f"""
            guestio write $first threads={CPUS} block=65536 depth=4 seed=11 sync=1 &
            guestio write $second threads={CPUS} block=65536 depth=4 seed=12 sync=1 &
            wait
            guestio verify $first threads={CPUS} block=65536 seed=11 >/tmp/a & reader=$!
            guestio verify $second threads={CPUS} block=131072 seed=12
            wait $reader
            mkdir /tmp/big; mount -t tmpfs -o size=3g tmpfs /tmp/big
            dd if=/dev/zero of=/tmp/big/fill bs=1M count=2600 2>/dev/null
            guestio verify $first threads=8 block=262144 seed=11
            rm /tmp/big/fill; umount /tmp/big""", 3 * guesttest.SECONDS)
        counts = self.machine.check("grep nvme /proc/interrupts").splitlines()
        used = [line.split()[-1] for line in counts if sum(map(int, line.split()[1:1 + CPUS]))]
        self.assertEqual(len(used), 2 * (CPUS + 1), used)

    def test_90_power_off(self):
        self.machine.poweroff()
        for server in self.servers:
            self.assertTrue(server.lets_go(), server.held())
            self.assertEqual(server.end(), 0, server.said())
        self.assertTrue(self.host.holds_nothing(), f"{self.host.holdings()} {self.host.held()}")
        for disk, seed in zip(self.disks, (11, 12)):
            seen = nvmechecks.host_verify(disk, f"seed={seed}")
            self.assertEqual(seen.returncode, 0, seen.stdout + seen.stderr)


if __name__ == "__main__":
    guesttest.main(needs_server=True)

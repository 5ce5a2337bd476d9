#!/usr/bin/env python3
"""Ends that nobody announces: QEMU or the server is killed in the middle of a guest's I/O.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import signal

import guesttest
import nvmechecks
from guesttest import Host, Machine, Server

ADDRESS = "02:00.0"
MIB = 1 << 20
# Files that come and go, with all they hold known from their names.
WRITER = """
cat >/tmp/writer <<'END'
n=0
while true; do
    n=$((n + 1))
    i=$((n % 12))
    mkdir -p /mnt/$i && yes "file $i of round $n" | head -c 300000 >/mnt/$i/data && echo $n >/mnt/$i/n
    [ $((n % 5)) = 0 ] && sync
    echo $n >/tmp/rounds
done
END
mount /dev/nvme0n1 /mnt
setsid sh /tmp/writer >/dev/null 2>&1 &
while [ "$(cat /tmp/rounds 2>/dev/null || echo 0)" -lt 8 ]; do sleep 0.1; done
"""


class Death(guesttest.GuestTest):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.disk = self.pool.disk(f"{self.id()}.img", 64 * MIB)
        self.host = self.stack.enter_context(
            Host(f"nvme,addr={ADDRESS},drive={self.disk},dart=identity"))

    def test_qemu_killed(self):
        """The next QEMU finds a file system whose journal makes it whole, again and again."""
        server = self.stack.enter_context(Server(ADDRESS, host=self.host))
        with Machine(self.pool, *server.qemu()) as machine:
            machine.check(f"""
                mkfs.ext4 -q -F /dev/nvme0n1 {48 * 1024}
                guestio write /dev/nvme0n1 offset={48 * MIB} sync=1 block=65536 seed=3
{WRITER}""")
            machine.kill()
        self.assertTrue(server.lets_go(), f"{server.held()}, not {server.resting}: {server.said()}")
        with Machine(self.pool, *server.qemu()) as machine:
            machine.check(f"""
                mount /dev/nvme0n1 /mnt
                ls /mnt >/tmp/left; [ $(wc -l </tmp/left) -ge 6 ]
                for i in $(ls /mnt | grep -v lost); do
                    [ -e /mnt/$i/data ] || continue
                    # Its own lines, the last one cut; no bytes of another file or of before.
                    strange=$(grep -vc "^file $i of round [0-9]*$" /mnt/$i/data || true)
                    [ $strange -le 1 ]
                done
                umount /mnt
                fsck.ext4 -fn /dev/nvme0n1
                guestio verify /dev/nvme0n1 offset={48 * MIB} seed=3
{WRITER}""")
            machine.kill()
        self.assertTrue(server.lets_go(), server.held())
        self.assertEqual(server.end(), 0, server.said())
        self.assertTrue(self.host.holds_nothing(), f"{self.host.holdings()} {self.host.held()}")
        # On the host: replaying the journal leaves nothing to repair.
        self.pool.tool("e2fsck", "-p", "-E", "journal_only", self.disk, good=(0, 1))
        self.pool.tool("e2fsck", "-fn", self.disk)
        seen = nvmechecks.host_verify(self.disk, f"offset={48 * MIB}", "seed=3")
        self.assertEqual(seen.returncode, 0, seen.stdout + seen.stderr)

    def test_server_killed(self):
        """QEMU says so and answers on; the guest's reads fail in bounded time; the host is clean."""
        server = Server(ADDRESS, host=self.host).start()
        self.stack.callback(server.folder.cleanup)
        self.stack.callback(server.end)
        # Linux waits 30 s and more by itself.
        patience = "nvme_core.io_timeout=5 nvme_core.admin_timeout=5"
        with Machine(self.pool, *server.qemu(), append=patience) as machine:
            machine.check("""
                setsid guestio randread /dev/nvme0n1 depth=16 seconds=300 >/tmp/said 2>&1 &
                sleep 1""")
            server.stop(signal.SIGKILL)
            self.assertEqual(machine.qmp("query-status")["status"], "running")
            self.assertTrue(guesttest.wait_until(lambda: "header" in machine.said()),
                            machine.said())
            self.assertTrue(self.host.holds_nothing(),
                            f"{self.host.holdings()} {self.host.held()}")
            ended = machine.run("""
                for i in $(seq 1500); do
                    grep -q operation= /tmp/said && break
                    sleep 0.1
                done
                cat /tmp/said""", 2 * guesttest.SECONDS)
            self.assertRegex(ended.out, r"error=[1-9]", "the guest's program has its error")
            self.assertEqual(machine.qmp("query-status")["status"], "running")
            machine.kill()
        # The device is free: another server, another guest.
        with Server(ADDRESS, host=self.host) as again, Machine(self.pool, *again.qemu()) as machine:
            machine.check("guestio write /dev/nvme0n1 size=4194304 seed=4\n"
                          "guestio verify /dev/nvme0n1 size=4194304 seed=4")
            machine.poweroff()


if __name__ == "__main__":
    guesttest.main(needs_server=True)

"""What a guest does with an NVMe disk; whose device it is, the class that mixes this in says.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import subprocess

from guesttest import PROGRAMS, SECONDS, Machine

MIB = 1 << 20
DISK_BYTES = 96 * MIB
# The file system has the first part of the disk, patterns the rest.
SYSTEM_BYTES = 64 * MIB
PATTERN = f"offset={SYSTEM_BYTES} size={DISK_BYTES - SYSTEM_BYTES}"
CPUS = 4
# The PCI function of a controller, in the guest.
FIND = "pci=$(readlink -f /sys/class/nvme/nvme0/device); cd $pci\n"
WAIT = "for i in $(seq 1200); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done; [ -b /dev/nvme0n1 ]\n"


def host_verify(path, *options):
    """Have the guest's own program look at the file on the host."""
    return subprocess.run([PROGRAMS / "guestio", "verify", path, *options], check=False, text=True,
                          capture_output=True, timeout=SECONDS)


class NvmeChecks:
    """Tests in the order of their names, in one guest."""
    serial = "DEXTLINK0001"

    @classmethod
    def arguments(cls):
        """QEMU's arguments for the device on cls.disk."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.machine = Machine(cls.pool, *cls.arguments(), cpus=CPUS)
        cls.addClassCleanup(cls.machine.close)
        cls.machine.__enter__()

    def check_patterns(self):
        """The patterns are still there; read in other pieces than they were written."""
        self.machine.check(f"guestio verify /dev/nvme0n1 {PATTERN} block=65536 depth=4 seed=7")

    def test_10_probe(self):
        out = self.machine.check(
            "cd /sys/class/nvme/nvme0; cat state serial queue_count; cat /sys/block/nvme0n1/size")
        state, serial, queues, sectors = out.split()
        self.assertEqual((state, serial), ("live", self.serial))
        self.assertEqual(int(sectors) * 512, DISK_BYTES)
        self.assertEqual(int(queues), CPUS + 1)

    def test_20_patterns(self):
        """Four processors write and read, each through a queue and an interrupt of its own."""
        self.machine.check(
            f"guestio write /dev/nvme0n1 {PATTERN} block=16384 depth=8 threads={CPUS} seed=7 sync=1\n"
            f"guestio verify /dev/nvme0n1 {PATTERN} block=8192 depth=16 threads={CPUS} seed=7")
        self.check_patterns()
        wrong = self.machine.run(f"guestio verify /dev/nvme0n1 {PATTERN} seed=8")
        self.assertEqual(wrong.status, 1, "a wrong pattern is seen: " + wrong.out)
        counts = {}
        for line in self.machine.check("grep nvme0q /proc/interrupts").splitlines():
            words = line.split()
            counts[words[-1]] = sum(map(int, words[1:1 + CPUS]))
        self.assertEqual(sorted(counts), [f"nvme0q{i}" for i in range(CPUS + 1)])
        self.assertGreater(min(counts.values()), 0, counts)

    def test_30_file_system(self):
        out = self.machine.check(f"""
            mkfs.ext4 -q -F /dev/nvme0n1 {SYSTEM_BYTES // 1024}
            mount /dev/nvme0n1 /mnt
            for i in 1 2 3 4; do
                (dd if=/dev/urandom of=/mnt/file$i bs=64k count=32; mkdir /mnt/dir$i
                 for j in 1 2 3 4 5 6 7 8; do echo $i $j >/mnt/dir$i/$j; done) 2>/dev/null &
            done
            wait
            sync
            cd /mnt; find . -type f | sort | xargs sha256sum >/tmp/sums; cd /
            umount /mnt; echo 3 >/proc/sys/vm/drop_caches
            mount /dev/nvme0n1 /mnt; cd /mnt; sha256sum -c /tmp/sums | grep -vc OK || true
            wc -l </tmp/sums; cd /; umount /mnt; fsck.ext4 -fn /dev/nvme0n1 >/tmp/fsck 2>&1""")
        self.assertEqual(out.split(), ["0", "36"])
        self.check_patterns()

    def test_40_unbind_and_bind(self):
        self.machine.check(FIND + f"""
            name=$(basename $pci)
            echo $name >/sys/bus/pci/drivers/nvme/unbind
            [ ! -e /dev/nvme0n1 ]
            echo $name >/sys/bus/pci/drivers/nvme/bind
            {WAIT}""")
        self.check_patterns()

    def test_50_reset(self):
        """The function's reset, through PCI, and the controller's, through its registers."""
        self.machine.check(FIND + "grep -q . reset_method && cat reset_method; echo 1 >reset\n" + WAIT)
        self.check_patterns()
        self.machine.check("echo 1 >/sys/class/nvme/nvme0/reset_controller\n" + WAIT)
        self.check_patterns()

    def test_55_reset_under_load(self):
        """Requests in flight are taken up again; none fails, none is lost, none goes elsewhere."""
        self.machine.check(FIND + f"""
            guestio randread /dev/nvme0n1 threads=2 depth=8 seconds=6 >/tmp/readers 2>&1 & readers=$!
            guestio write /dev/nvme0n1 {PATTERN} depth=4 threads=2 seed=9 sync=1 >/tmp/writers 2>&1 \
                & writers=$!
            for i in 1 2 3; do
                sleep 0.4
                echo 1 >reset
                # Refused while it is still recovering from the reset before.
                echo 1 >$(echo nvme/nvme*)/reset_controller || true
            done
            wait $writers; wait $readers; cat /tmp/readers /tmp/writers
            guestio verify /dev/nvme0n1 {PATTERN} seed=9
            guestio write /dev/nvme0n1 {PATTERN} block=65536 seed=7 sync=1""")
        self.check_patterns()

    def test_60_remove_and_rescan(self):
        self.machine.check(FIND + f"""
            cd /; echo 1 >$pci/remove
            [ ! -e $pci ] && [ ! -e /dev/nvme0n1 ]
            echo 1 >/sys/bus/pci/rescan
            {WAIT}""")
        self.check_patterns()

    def test_90_power_off(self):
        """The host's file holds what the guest saw last."""
        seen = self.machine.check("sha256sum /dev/nvme0n1").split()[0]
        self.machine.poweroff()
        self.assertEqual(hashlib.sha256(self.disk.read_bytes()).hexdigest(), seen)
        self.after_power_off()
        host = host_verify(self.disk, *PATTERN.split(), "seed=7")
        self.assertEqual(host.returncode, 0, host.stdout + host.stderr)
        self.pool.tool("e2fsck", "-fn", self.disk)
        self.assertEqual(self.pool.tool("debugfs", "-R", "cat /dir3/5", self.disk), "3 5\n")

    def after_power_off(self):
        """What is to be seen on the host once QEMU has ended."""

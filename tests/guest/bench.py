#!/usr/bin/env python3
"""Figures of a guest on our NVMe controller beside QEMU's own, in the same guest, taking turns.

SPDX-License-Identifier: GPL-2.0-or-later

usage: make bench-guest, or
       tests/guest/bench.py FOLDER_OF_GUEST_PROGRAMS DEXT_VFIO_USER DEXTD DEXTCTL [OPTION]...

Each device has a file of its own, of the same size in the same folder and read before, both through
the host's page cache. Ratios above 1 are in favour of ours. One vCPU submits, through one queue.
"""
import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

import guesttest
from guesttest import Machine, Server

MIB = 1 << 20
ADDRESS = "02:00.0"
# Name, what guestio does, and the figure that counts.
KINDS = (
    ("4 KiB random reads, 1 deep", "randread depth=1 block=4096", "iops"),
    ("4 KiB random reads, 32 deep", "randread depth=32 block=4096", "iops"),
    ("4 KiB random writes, 1 deep", "randwrite depth=1 block=4096", "iops"),
    ("4 KiB random writes, 32 deep", "randwrite depth=32 block=4096", "iops"),
    ("128 KiB reads in order, 8 deep", "read depth=8 block=131072", "mib_s"),
)


def arguments():
    parser = argparse.ArgumentParser(usage="bench.py PROGRAMS DEXT_VFIO_USER DEXTD DEXTCTL [OPTION]...")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement (2)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each device has its turn (5)")
    parser.add_argument("--mib", type=int, default=256, help="size of each disk (256)")
    parser.add_argument("--cpus", type=int, default=2, help="vCPUs (2)")
    parser.add_argument("--only", default="", metavar="WORDS", help="kinds whose name has these words")
    parser.add_argument("--folder", metavar="DIR", help="where the files of the disks are, for instance "
                        "/dev/shm (a folder of its own in TMPDIR)")
    parser.add_argument("--aio", default="threads", choices=("threads", "io_uring"),
                        help="how QEMU's own device reaches its file (threads, QEMU's default)")
    return parser.parse_args(guesttest.MORE)


def measure(machine, disk, what, seconds, figure):
    operation, *numbers = what.split()
    out = machine.check(f"guestio {operation} {disk} {' '.join(numbers)} seconds={seconds}",
                        seconds + guesttest.SECONDS)
    return float(re.search(rf"\b{figure}=([\d.]+)", out)[1])


def compare(machine, disks, options):
    print(f"{'':34}{'ours':>10}{'QEMU own':>10}{'ratio':>8}   worst and best of a round")
    for name, what, figure in [kind for kind in KINDS if options.only in kind[0]]:
        found = {serial: [] for serial in disks}
        for turn in range(options.rounds):
            for serial in sorted(disks, reverse=turn % 2 == 1):
                found[serial].append(measure(machine, disks[serial], what, options.seconds, figure))
        ratios = sorted(ours / own for ours, own in zip(found["ours"], found["own"]))
        ours, own = (statistics.median(found[serial]) for serial in ("ours", "own"))
        unit = {"iops": "IOPS", "mib_s": "MiB/s"}[figure]
        print(f"{name:34}{ours:10.0f}{own:10.0f}{statistics.median(ratios):8.2f}   "
              f"{ratios[0]:.2f} … {ratios[-1]:.2f} {unit}", flush=True)


def main():
    options = arguments()
    pool = guesttest.POOL
    if pool.reason:
        sys.exit(f"bench: {pool.reason}")
    pool.open()
    scratch = tempfile.TemporaryDirectory(prefix="guest-bench-", dir=options.folder)
    try:
        files = [Path(scratch.name) / name for name in ("ours.img", "own.img")]
        for file in files:
            file.write_bytes(b"\x5a" * MIB * options.mib)
        device = f"nvme,addr={ADDRESS},drive={files[0]},serial=ours,dart=identity"
        own = guesttest.qemu_nvme(files[1], cache="writeback", aio=options.aio)
        with Server(ADDRESS, device) as server, \
                Machine(pool, *server.qemu(), *own, cpus=options.cpus, memory="512M") as machine:
            lines = machine.check("for i in /sys/class/nvme/nvme?; do "
                                  "echo $(cat $i/serial) /dev/${i##*/}n1; done").splitlines()
            compare(machine, dict(line.split() for line in lines), options)
            machine.poweroff()
    finally:
        scratch.cleanup()
        pool.close()


if __name__ == "__main__":
    main()

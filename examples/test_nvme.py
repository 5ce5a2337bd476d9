#!/usr/bin/env python3
"""The NVMe example against dextd: memory, files, a killed host, refusals.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_nvme.py DEXTD NVME
"""
import os
import signal
import struct
import subprocess
import sys
import tempfile

SPAN = 4 << 20
MASK = (1 << 64) - 1


def splitmix64(seed, number):
    """Output of the generator, by number; said a second time, from its publication."""
    word = seed + (number + 1) * 0x9e3779b97f4a7c15 & MASK
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9 & MASK
    word = (word ^ word >> 27) * 0x94d049bb133111eb & MASK
    return word ^ word >> 31


# Its first outputs for seed 1234567, as they are published.
VECTORS = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
           16408922859458223821]
assert [splitmix64(1234567, number) for number in range(5)] == VECTORS


def pattern(seed, size):
    """What the example writes."""
    return struct.pack(f"<{size // 8}Q", *(splitmix64(seed, n) for n in range(size // 8)))


class Host:
    """A dextd with one NVMe device, until the block ends."""

    def __init__(self, dextd, folder, options):
        self.socket = os.path.join(folder, "socket")
        ready, ready_write = os.pipe()
        self.process = subprocess.Popen(
            [dextd, "--device", f"nvme,addr=02:00.0{options}", "--socket", self.socket,
             "--ready-fd", str(ready_write)], pass_fds=[ready_write], stderr=subprocess.PIPE,
            text=True)
        os.close(ready_write)
        self.is_ready = os.read(ready, 1) != b""
        os.close(ready)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=120)

    def run(self, program, *arguments):
        """Exit code, what was printed, complaints."""
        done = subprocess.run([program, "02:00.0", *arguments], capture_output=True, text=True,
                              env={**os.environ, "DEXTLINK_SOCKET": self.socket}, timeout=120,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def kill(self):
        """The host's power goes."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=120)


INTRODUCTION = f"{'dextlink NVMe':40} serial {'DEXTLINK0001':20} blocks "


def in_memory(dextd, nvme, folder):
    with Host(dextd, folder, "") as host:
        first = host.run(nvme)
        written = host.run(nvme, "write", "7")
        other = host.run(nvme, "check", "8")
        same = host.run(nvme, "check", "7")
    says = f"{INTRODUCTION}131072 of 512\n"
    return (first, written, same, other) == (
        (0, says, ""), (0, says + "write: verified\n", ""), (0, says + "check: verified\n", ""),
        (1, says, "nvme: data differs\n")), (first, written, other, same)


def survives_kill(dextd, nvme, folder):
    path = os.path.join(folder, "disk")
    with open(path, "wb") as file:
        file.truncate(SPAN * 2)
    with Host(dextd, folder, f",drive={path},block=4096") as host:
        written = host.run(nvme, "write", "99")
        host.kill()
    with open(path, "rb") as file:
        is_there = file.read(SPAN) == pattern(99, SPAN) and not any(file.read(SPAN))
    with Host(dextd, folder, f",drive={path},block=512") as host:
        checked = host.run(nvme, "check", "99")
    return written[0] == 0 and is_there and checked[0] == 0, (written, is_there, checked)


def refuses_writes(dextd, nvme, folder):
    path = os.path.join(folder, "readonly")
    with open(path, "wb") as file:
        file.write(pattern(3, SPAN))
    with Host(dextd, folder, f",drive={path},readonly") as host:
        written = host.run(nvme, "write", "4")
        checked = host.run(nvme, "check", "3")
    return (written[0], written[2], checked[0]) == (1, "nvme: a command failed\n", 0), \
        (written, checked)


def is_exclusive(dextd, _nvme, folder):
    path = os.path.join(folder, "busy")
    with open(path, "wb") as file:
        file.truncate(SPAN)
    with Host(dextd, folder, f",drive={path}") as host:
        with tempfile.TemporaryDirectory(prefix="dextlink-nvme-") as second:
            with Host(dextd, second, f",drive={path}") as other:
                text = other.process.stderr.read()
                code = other.process.wait(timeout=120)
        is_up = host.is_ready and host.process.poll() is None
    return is_up and code != 0 and "in use by somebody else" in text, (code, text)


def short_file(dextd, nvme, folder):
    """Somebody cuts the file under the running host: reads fail, they do not give zeros."""
    path = os.path.join(folder, "short")
    with open(path, "wb") as file:
        file.truncate(SPAN)
    with Host(dextd, folder, f",drive={path}") as host:
        written = host.run(nvme, "write", "5")
        os.truncate(path, SPAN // 2)
        checked = host.run(nvme, "check", "5")
    return (written[0], checked[0], checked[2]) == (0, 1, "nvme: a command failed\n"), \
        (written, checked)


def main(dextd, nvme):
    cases = [in_memory, survives_kill, refuses_writes, is_exclusive, short_file]
    print(f"1..{len(cases)}")
    failed = 0
    for number, case in enumerate(cases, 1):
        with tempfile.TemporaryDirectory(prefix="dextlink-nvme-") as folder:
            is_good, seen = case(dextd, nvme, folder)
        print(f"{'ok' if is_good else 'not ok'} {number} - {case.__name__}")
        if not is_good:
            print(f"# {seen}")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

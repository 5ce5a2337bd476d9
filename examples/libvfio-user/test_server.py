#!/usr/bin/env python3
"""The server on libvfio-user: edu of a dextd, used by a client of the protocol as a guest would.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_server.py DEXTD SERVER
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "vfiouser"))
# pylint: disable=wrong-import-position
import devices
import vfiouser as vu

SECONDS = 120
RAM = 1 << 20


def wait_for(path, process):
    end = time.monotonic() + SECONDS
    while not os.path.exists(path) and process.poll() is None:
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.01)


def life(path):
    """Attach, share memory, copy there and back by DMA, be interrupted, go."""
    with vu.Client(path) as client, vu.GuestMemory(1 << 20) as ram, vu.EventFds(1) as events:
        client.version(1)
        assert client.read(vu.CONFIG, 0, 4) == bytes.fromhex("3412e811")
        edu = devices.Edu(client)
        assert edu.read(edu.ID) == 0x010000ED
        client.dma_map(RAM, ram.size, ram.fd)
        devices.Config(client).enable()
        client.set_irqs(vu.MSI, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=events.fds)
        ram.map[:5] = b"guest"
        edu.to_buffer(RAM, 5)
        edu.from_buffer(RAM + 4096, 5, flags=4)
        assert ram.map[4096:4101] == b"guest"
        assert events.taken(0, SECONDS) == 1
        client.dma_unmap(RAM, ram.size)
        edu.from_buffer(RAM + 8192, 5)
        assert ram.map[8192:8197] == bytes(5), "the memory is out of reach"
        client.dma_map(RAM, ram.size, ram.fd)


def serve(server, environment, path):
    """Two clients in turn; their problem if any, how the server ends and what it says."""
    with subprocess.Popen([server, "01:00.0", path], env=environment, text=True,
                          stderr=subprocess.PIPE) as process:
        problem = ""
        try:
            wait_for(path, process)
            life(path)
            life(path)
        except (AssertionError, OSError, EOFError, vu.Closed, ValueError) as error:
            problem = repr(error)
        process.terminate()
        said = process.communicate(timeout=SECONDS)[1]
    return problem, process.returncode, said


def run(dextd, server, dart):
    """The same with a dextd, and how that ends."""
    with tempfile.TemporaryDirectory(prefix="dextlink-example-") as folder:
        environment = {**os.environ, "DEXTLINK_SOCKET": os.path.join(folder, "dext.sock")}
        ready, ready_write = os.pipe()
        with subprocess.Popen([dextd, "--device", f"edu,addr=01:00.0,dart={dart}", "--socket",
                               environment["DEXTLINK_SOCKET"], "--ready-fd", str(ready_write)],
                              pass_fds=[ready_write], stderr=subprocess.DEVNULL) as host:
            os.close(ready_write)
            os.read(ready, 1)
            os.close(ready)
            try:
                served = serve(server, environment, os.path.join(folder, "vfio-user.sock"))
            finally:
                host.terminate()
        return (*served, host.returncode)


def main(dextd, server):
    print("1..2")
    fine = run(dextd, server, "identity")
    good = fine[0] == "" and fine[1] == 0 and fine[3] == 0
    print(f"{'ok' if good else 'not ok'} 1 - a guest's memory by libvfio-user's callbacks")
    print("#", *fine[:2], *fine[2].splitlines(), sep="\n# ")
    other = run(dextd, server, "apple")
    refused = other[1] == 1 and "dart=identity" in other[2]
    print(f"{'ok' if refused else 'not ok'} 2 - a host that chooses addresses is refused")
    print("#", *other[:2], *other[2].splitlines(), sep="\n# ")
    return 0 if good and refused else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

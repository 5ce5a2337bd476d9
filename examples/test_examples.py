#!/usr/bin/env python3
"""The example of the README, against a dextd of its own and without one.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_examples.py DEXTD FACTORIAL
"""
import os
import subprocess
import sys
import tempfile


def run(program, socket):
    """Exit code and what was printed."""
    environment = {**os.environ, "DEXTLINK_SOCKET": socket}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def main(dextd, factorial):
    print("1..2")
    with tempfile.TemporaryDirectory(prefix="dextlink-example-") as folder:
        socket = os.path.join(folder, "socket")
        ready, ready_write = os.pipe()
        host = subprocess.Popen([dextd, "--device", "edu,addr=01:00.0", "--socket", socket,
                                 "--ready-fd", str(ready_write)], pass_fds=[ready_write])
        os.close(ready_write)
        os.read(ready, 1)
        with_host = run(factorial, socket)
        host.terminate()
        host_code = host.wait(timeout=120)
        without_host = run(factorial, socket)
    good = (with_host[:2], host_code) == ((0, "device 1234:11e8, 10! = 3628800\n"), 0)
    print(f"{'ok' if good else 'not ok'} 1 - factorial through dextd")
    print(f"# {with_host} {host_code}")
    refused = without_host[0] == 1 and without_host[1] == "" and without_host[2].count("\n") == 1
    print(f"{'ok' if refused else 'not ok'} 2 - factorial without a host says why it cannot")
    print(f"# {without_host}")
    return 0 if good and refused else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

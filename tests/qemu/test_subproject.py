#!/usr/bin/env python3
"""dextlink as a subproject: another project takes the client library and the embedded host from it,
without a network.

SPDX-License-Identifier: GPL-2.0-or-later

usage: test_subproject.py MESON
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lint"))
# pylint: disable=wrong-import-position
import lintlib

MESON = sys.argv[1].split()
BUILD = """project('consumer', 'c', default_options: ['c_std=gnu11', 'warning_level=2'])
appledext = dependency('appledext', fallback: 'dextlink')
dexthost = dependency('dexthost', fallback: 'dextlink')
iokit = dependency('dextlink-iokit', fallback: 'dextlink')
executable('consumer', 'consumer.c', dependencies: [appledext, dexthost, iokit], install: true)
"""
PROGRAM = r"""
#include <apple-dext-client.h>
#include <dext-host.h>
#include <inttypes.h>
#include <stdio.h>

int main(void)
{
    const DextHostOptions options = {.page_size = 16384};
    char *cause = NULL;
    uint64_t ids = 0;
    DextHost *host = dext_host_create(&options, &cause);

    if (!host || dext_host_add_device(host, "edu,addr=01:00.0", &cause) ||
        dext_host_embed(host, &cause)) {
        puts(cause ? cause : "no host");
        return 1;
    }
    io_connect_t device = apple_dext_connect(1, 0, 0);
    kern_return_t status = apple_dext_claim(device);
    if (status == kIOReturnSuccess) {
        status = apple_dext_config_read(device, 0, 4, &ids);
    }
    printf("%08x %08" PRIx64 "\n", (unsigned)status, ids);
    apple_dext_disconnect(device);
    dext_host_destroy(host);
    return 0;
}
"""


def run(*command):
    """Run a program; its output when it fails, else nothing."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    return done.stdout, [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()


def points(scratch):
    consumer, build = scratch / "consumer", scratch / "build"
    (consumer / "subprojects").mkdir(parents=True)
    (consumer / "subprojects/dextlink").symlink_to(ROOT, target_is_directory=True)
    (consumer / "meson.build").write_text(BUILD, encoding="utf-8")
    (consumer / "consumer.c").write_text(PROGRAM, encoding="utf-8")

    _, said = run(*MESON, "setup", "--wrap-mode=nodownload", "--buildtype=plain", build, consumer)
    yield not said, "a project finds the libraries in its subproject", said
    text, said = run(*MESON, "introspect", "--targets", build)
    targets = json.loads(text) if not said else []
    programs = [t["name"] for t in targets if t["type"] == "executable"]
    names = {t["name"] for t in targets if t["type"] == "shared library"}
    yield programs == ["consumer"], "the subproject has no programs of its own", [str(programs)]
    yield names == {"appledext", "dexthost", "dextlink-iokit"}, "its libraries are those three", \
        [str(names)]
    _, said = run("ninja", "-j2", "-C", build, "consumer")
    yield not said, "they build", said
    text, said = run(build / "consumer")
    # Vendor and device ID of edu: docs/edu.md.
    yield text == "00000000 11e81234\n" and not said, "and work", [text, *said]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="dextlink-subproject-") as place:
        sys.exit(lintlib.speak_tap(points(Path(place))))

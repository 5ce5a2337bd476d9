"""What the guest tests share: an initramfs, a QEMU with a Linux in it that takes orders, QMP.

SPDX-License-Identifier: GPL-2.0-or-later

usage of each test: TEST.py FOLDER_OF_GUEST_PROGRAMS DEXT_VFIO_USER DEXTD DEXTCTL
"""
import base64
import json
import lzma
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
for neighbour in ("tools", "wire", "vfiouser"):
    sys.path.insert(0, str(HERE.parent / neighbour))
# pylint: disable=wrong-import-position
PROGRAMS, SERVER, DEXTD, DEXTCTL = (Path(argument) for argument in sys.argv[1:5])
MORE = sys.argv[5:]
sys.argv[1:] = [str(DEXTCTL), str(DEXTD)]
import toolstest
import vfiousertest
import wiretest

# Everything emulated on a machine that others use too: a boot takes 5 s, or many times that.
BOOT_SECONDS = 600
SECONDS = 300
LOG_LINES = 60


def wait_until(condition, seconds=SECONDS, pause=0.02):
    """Whether the condition came true in time, on a machine that is busy."""
    return toolstest.wait_until(condition, seconds, pause)


def tail(path, lines=LOG_LINES):
    """The end of a log, for a message."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"({path}: nothing)"
    return "\n".join([f"--- {Path(path).name}"] + text.splitlines()[-lines:])


def pieces():
    """The folder that scripts/setup-guest filled, or the reason why there is none."""
    done = subprocess.run([ROOT / "scripts" / "setup-guest", "--where"], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL, timeout=SECONDS)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1]
    return Path(done.stdout.strip()), None


def cpio(entries):
    """A newc archive; entries are (name, mode, bytes)."""
    archive = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


def initramfs(folder, path):
    """Write the guest's file system: what was fetched, our programs and the init."""
    files = {"init": HERE / "init"}
    for program in sorted(PROGRAMS.iterdir()):
        if program.name.startswith("guest") and program.is_file() and os.access(program, os.X_OK):
            files[f"bin/{program.name}"] = program
    for module in sorted((folder / "modules").iterdir()):
        files[f"modules/{module.name.removesuffix('.xz')}"] = module
    for file in sorted((folder / "guest").rglob("*")):
        if file.is_file():
            files[str(file.relative_to(folder / "guest"))] = file
    parents = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
    entries = [(parent, stat.S_IFDIR | 0o755, b"") for parent in parents]
    for name, file in files.items():
        data = file.read_bytes()
        entries.append((name, stat.S_IFREG | 0o755,
                        lzma.decompress(data) if file.suffix == ".xz" else data))
    path.write_bytes(cpio(entries))


@dataclass
class Answer:
    """How a script in the guest ended."""
    status: int
    out: str


class GuestLost(AssertionError):
    """The guest or its QEMU no longer answers."""


class Lines:
    """A Unix socket that is read by lines with a time limit."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.pending = b""
        # The path is there a moment before somebody listens.
        if not wait_until(lambda: self.socket.connect_ex(str(path)) == 0):
            raise OSError(f"nobody listens at {path}")

    def line(self, deadline):
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError(f"no line in time, but {self.pending!r}")
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the other end is gone")
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode("utf-8", errors="replace").rstrip("\r")

    def send(self, text):
        self.socket.sendall(text.encode())

    def close(self):
        self.socket.close()


class Machine:
    """A QEMU with a guest. Ends with the block, whatever happened in it."""

    count = 0

    def __init__(self, pool, *arguments, cpus=2, memory="256M", append="", reboots=False,
                 shared=True):
        Machine.count += 1
        self.pool = pool
        self.folder = Path(pool.folder) / f"machine{Machine.count}"
        self.folder.mkdir()
        self.serial, self.errors = self.folder / "serial.log", self.folder / "qemu.log"
        self.command = [
            pool.pieces / "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "q35,accel=tcg" + (",memory-backend=ram" if shared else ""),
            "-cpu", "qemu64", "-smp", str(cpus), "-m", memory,
            "-kernel", pool.pieces / "vmlinuz", "-initrd", pool.initramfs,
            # A timer that is late, on a busy machine, is not a broken timer.
            "-append", "console=ttyS0 panic=-1 loglevel=6 mitigations=off tsc=reliable "
                       f"no_timer_check random.trust_bootloader=on {append}",
            "-serial", f"file:{self.serial}",
            "-chardev", f"socket,id=agent,path={self.folder}/agent,server=on,wait=off",
            "-serial", "chardev:agent",
            "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off", "-S", *arguments]
        if shared:
            self.command += ["-object", f"memory-backend-memfd,id=ram,size={memory},share=on"]
        if not reboots:
            self.command += ["-no-reboot"]
        self.process = self.agent = self.monitor = None
        self.number = 0
        self.events = []

    def __enter__(self):
        try:
            return self.start()
        except BaseException as error:
            self.close()
            raise GuestLost(f"{error}\n{self.logs()}") from error

    def start(self, booted=True):
        """Start QEMU and, unless told otherwise, wait until the guest takes orders."""
        with open(self.errors, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [str(argument) for argument in self.command], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        for name in ("agent", "qmp"):
            if not wait_until(lambda name=name: (self.folder / name).exists() or
                              self.process.poll() is not None):
                raise GuestLost(f"QEMU makes no {name} socket")
            if self.process.poll() is not None:
                raise GuestLost(f"QEMU ended with {self.process.returncode}")
        self.agent, self.monitor = Lines(self.folder / "agent"), Lines(self.folder / "qmp")
        self.monitor.line(time.monotonic() + SECONDS)
        self.qmp("qmp_capabilities")
        self.qmp("cont")
        if booted:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=BOOT_SECONDS):
        """The guest has booted, for the first time or again."""
        self._until("@ready", time.monotonic() + seconds)

    def _until(self, wanted, deadline):
        """Lines up to one that starts as wanted; that one is the last."""
        lines = []
        try:
            while not lines or not lines[-1].startswith(wanted):
                lines.append(self.agent.line(deadline))
        except (TimeoutError, EOFError, OSError) as error:
            raise GuestLost(f"no {wanted} from the guest: {error}\n{self.logs()}") from error
        return lines

    def send(self, script):
        """Have the guest start a script, and wait for nothing; its number."""
        self.number += 1
        self.agent.send(f"{self.number} {base64.b64encode(script.encode()).decode()}\n")
        return self.number

    def run(self, script, seconds=SECONDS):
        """Run a shell script in the guest."""
        number = self.send(script)
        deadline = time.monotonic() + seconds
        self._until(f"@begin {number}", deadline)
        lines = self._until(f"@end {number} ", deadline)
        return Answer(int(lines[-1].split()[2]), "\n".join(lines[:-1]).rstrip("\n"))

    def check(self, script, seconds=SECONDS):
        """Run a script that has to end well; its output."""
        stop = "trap '[ $? = 0 ] || echo stopped at line $((LINENO - 1))' EXIT; set -e\n"
        answer = self.run(stop + script, seconds)
        if answer.status != 0:
            raise AssertionError(f"status {answer.status} of: {script}\n{answer.out}\n{self.logs()}")
        return answer.out

    def qmp(self, command, seconds=SECONDS, **arguments):
        """Carry out a monitor command; its result. An error is an AssertionError."""
        self.monitor.send(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        deadline = time.monotonic() + seconds
        while True:
            answer = json.loads(self.monitor.line(deadline))
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise AssertionError(f"{command}: {answer['error']}")
            else:
                return answer["return"]

    def wait_event(self, name, seconds=SECONDS):
        """Take the first event of this name, one that came before or one to come."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            answer = json.loads(self.monitor.line(deadline))
            if "event" in answer:
                self.events.append(answer)

    def wait_exit(self, seconds=SECONDS):
        """Wait for QEMU's own end; its status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise GuestLost(f"QEMU does not end\n{self.logs()}") from error

    def goes_or_deletes(self, seconds=SECONDS):
        """After device_del: QEMU has "deleted" the device, or has "gone" itself."""
        try:
            self.wait_event("DEVICE_DELETED", seconds)
        except (EOFError, OSError):
            self.wait_exit()
            return "gone"
        return "deleted"

    def poweroff(self):
        """Shut the guest down as a person would, and check that QEMU ends well."""
        self.send("cd /; sync; umount -a -r 2>/dev/null; poweroff -f")
        status = self.wait_exit()
        if status != 0:
            raise AssertionError(f"QEMU ended with {status}\n{self.logs()}")

    def kill(self):
        """As a crash of QEMU or of its machine."""
        self.process.kill()
        self.process.wait(SECONDS)

    def close(self):
        for lines in (self.agent, self.monitor):
            if lines:
                lines.close()
        self.agent = self.monitor = None
        if self.process and self.process.poll() is None:
            self.kill()

    def said(self):
        """What QEMU wrote on its standard error."""
        return self.errors.read_text(encoding="utf-8", errors="replace")

    def logs(self):
        return tail(self.serial) + "\n" + tail(self.errors)

    def __exit__(self, *_):
        self.close()


def qemu_nvme(path, name="own", **options):
    """QEMU's arguments for its own NVMe device on a file; options are those of -drive."""
    more = "".join(f",{key}={value}" for key, value in options.items())
    return ["-drive", f"if=none,id={name},file={path},format=raw{more}",
            "-device", f"nvme,drive={name},serial={name}"]


def vfio_user(path, name, **options):
    """A device of the server at that path, for -device or device_add. QEMU by itself gives a server
    5 s for an answer, which on a busy machine proves nothing."""
    return {"driver": "vfio-user-pci", "id": name, "x-msg-timeout": BOOT_SECONDS * 1000,
            "socket": {"type": "unix", "path": str(path)}, **options}


class Server(vfiousertest.Server):
    """A dext-vfio-user for one function: of a running dextd (host), or of devices of its own."""

    def __init__(self, address, *devices, host=None, options=()):
        found = ["env", f"DEXTLINK_SOCKET={host.socket}"] if host else []
        own = [word for device in devices for word in ("--device", device)]
        super().__init__(lambda socket: [*found, SERVER, "--host", address, "--socket", socket, *own,
                                         *options])

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.end()
            raise

    def __exit__(self, kind, *_):
        status, said = self.end(), self.said()
        self.folder.cleanup()
        if kind is None and (status != 0 or "Sanitizer" in said or "runtime error" in said):
            raise AssertionError(f"dext-vfio-user ended with {status}\n{said[-8000:]}")

    def lets_go(self):
        """Whether it soon holds no descriptor and no memory of a guest. A device's threads stay."""
        return wait_until(lambda: self.held()[0] == self.resting[0] and
                          self.mappings("memory-backend-memfd") == 0)

    def end(self):
        """Stop it; its status."""
        return self.stop() if self.process else None

    def qemu(self, name="ours", **options):
        """QEMU's arguments for the device."""
        return ["-device", json.dumps(self.plug(name, **options))]

    def plug(self, name="ours", **options):
        """The same as arguments of device_add."""
        return vfio_user(self.socket, name, **options)


class Host(wiretest.Host):
    """A dextd that ends with its block."""

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        status, said = self.stop(), self.said()
        self.folder.cleanup()
        if kind is None and (status != 0 or "Sanitizer" in said or "runtime error" in said):
            raise AssertionError(f"dextd ended with {status}\n{said[-8000:]}")

    def holdings(self):
        """Live regions, live bytes and claims of each device, asked by another client."""
        found = []
        with self.client() as client:
            for service in client.services():
                status, connection = client.open(service)
                assert status == 0, hex(status)
                counts = connection.call(wiretest.STATISTICS)[1]
                connection.request(wiretest.wire.CLOSE)
                connection.close()
                found.append([counts[i] for i in (wiretest.STAT_REGIONS, wiretest.STAT_BYTES,
                                                  wiretest.STAT_CLAIMS)])
        return found

    def holds_nothing(self):
        """Whether all that clients had is given back, soon."""
        return wait_until(lambda: not any(map(any, self.holdings()))) and \
            wait_until(lambda: self.held()[0] == self.resting[0])


class Pool:
    """What a test program makes once: a folder and an initramfs."""

    def __init__(self):
        self.pieces, self.reason = pieces()
        self.scratch = self.folder = self.initramfs = None

    def open(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="guest-test-")
        self.folder = Path(self.scratch.name)
        self.initramfs = self.folder / "initramfs"
        initramfs(self.pieces, self.initramfs)

    def close(self):
        self.scratch.cleanup()

    def disk(self, name, size):
        """A new file of zeros for a disk."""
        path = self.folder / name
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def tool(self, name, *arguments, good=(0,)):
        """Run one of the fetched programs on the host; its output."""
        done = subprocess.run([self.pieces / name, *map(str, arguments)], text=True, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
        if done.returncode not in good:
            raise AssertionError(f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout


POOL = Pool()


class GuestTest(unittest.TestCase):
    """Tests with guests."""

    pool = POOL


def main(needs_server=False):
    """Run the calling script's tests as TAP; skip them when there is no guest to be had."""
    reason = POOL.reason
    if needs_server and not os.access(SERVER, os.X_OK):
        reason = "dext-vfio-user is not built here"
    if reason:
        print(f"1..0 # SKIP {reason}")
        sys.exit(0)
    # Meson's way to end a test that takes too long: what was started has to end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    POOL.open()
    try:
        toolstest.main()
    finally:
        POOL.close()
        left = Path("/proc/thread-self/children").read_text(encoding="ascii").split()
        for pid in left:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            print(f"# left behind: {pid} {command.decode(errors='replace')}")
        if left:
            sys.exit(1)

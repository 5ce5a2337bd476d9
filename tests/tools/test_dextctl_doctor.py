#!/usr/bin/env python3
"""dextctl doctor: a healthy device is ok, each fault is named and no other, the archive, the host.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import toolstest
from toolstest import EDU, IS_PORTABLE, TESTDEV, Dextd, run

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "wire"))
# pylint: disable=wrong-import-position
import wire

TOP = Path(__file__).resolve().parents[2]
DOCS = (TOP / "docs/doctor.md").read_text(encoding="utf-8")

# What each fault must be named, on which devices, and whether the check fails by it.
FAULTS = {
    "power-up": ("claim-failed", "et", 1),
    "held": ("device-held", "et", 1),
    "gone": ("device-gone", "et", 1),
    "ones": ("config-ones", "et", 1),
    "retry": ("config-retry", "et", 1),
    "mismatch": ("config-mismatch", "et", 1),
    "chain": ("capability-chain", "et", 0),
    "d3": ("power-state", "t", 1),
    "aer": ("aer-errors", "t", 0),
    "link": ("link-degraded", "t", 0),
    "decode": ("decode-off", "et", 1),
    "no-bars": ("bars-none", "et", 0),
    "bars": ("bars-unassigned", "et", 1),
    "window": ("bar-window", "et", 1),
    "map": ("bar-map", "et", 1),
    "register": ("dma-register", "et", 1),
    "fragmented": ("dma-fragmented", "et", 1),
    "dma": ("dma-lost", "et", 1),
    "dma-address": ("dma-fault", "et", 1),
    "vectors": ("irq-none", "et", 1),
    "msix": ("irq-fallback", "t", 0),
    "fewer-vectors": ("irq-fewer", "t", 0),
    "interrupts": ("irq-lost", "et", 1),
    "open": ("open-failed", "et", 1),
}
SILENT = {"interrupts"}  # nothing comes
DEVICES = {"e": EDU, "t": TESTDEV}
STEPS = ["registry", "open", "driver", "claim", "config", "power", "capabilities", "errors", "link",
         "decode", "bars", "map", "dma", "interrupts", "reset"]


def findings(steps):
    return [finding["id"] for step in steps for finding in step["findings"]]


class Examination(toolstest.ToolTest):
    """Running the doctor."""

    def examine(self, *arguments, status=0, runner=run, **options):
        """The report of a run."""
        result = runner("doctor", "--json", *arguments, **options)
        self.assertEqual((result.status, result.err), (status, ""), result.out)
        return json.loads(result.out)

    def device(self, *arguments, status=0, **options):
        devices = self.examine(*arguments, status=status, **options)["devices"]
        self.assertEqual(len(devices), 1)
        return devices[0]["steps"]


class Doctor(Examination):

    def test_healthy(self):
        for device, skipped in ((EDU, {"errors", "link", "reset"}), (TESTDEV, {"reset"}),
                                ("nvme,addr=03:00.0", {"reset"})):
            with self.subTest(device):
                report = self.examine("--device", device)
                steps = report["devices"][0]["steps"]
                self.assertEqual([step["step"] for step in steps], STEPS)
                for step in steps:
                    wanted = "skipped" if step["step"] in skipped else "ok"
                    self.assertEqual((step["result"], step["findings"]), (wanted, []), step)
                self.assertEqual(report["failed"], 0)
                print(f"# {device}: {report['wall_ms']:.1f} ms")

    def test_each_fault_is_named_and_no_other(self):
        """Each on a device of its own; those that fail the check apart from those that warn, and from
        those where the doctor waits in vain."""
        for status, vain, patience in ((0, False, toolstest.PATIENCE),
                                       (1, False, toolstest.PATIENCE), (1, True, None)):
            broken = [(fault, letter) for fault, row in FAULTS.items()
                      if (row[2], fault in SILENT) == (status, vain) for letter in row[1]]
            arguments = []
            for number, (fault, letter) in enumerate(broken, 1):
                model = DEVICES[letter].split(",")[0]
                arguments += ["--device", f"{model},addr={number:02x}:00.0,fault={fault}"]
            devices = self.examine(*arguments, status=status, patience=patience)["devices"]
            self.assertEqual(len(devices), len(broken))
            for (fault, letter), device in zip(broken, devices):
                with self.subTest(fault, device=letter):
                    self.assertEqual(findings(device["steps"]), [FAULTS[fault][0]])
                    results = {step["result"] for step in device["steps"]}
                    self.assertEqual("failed" in results, status == 1)

    def test_one_fault_alone_sets_the_status(self):
        for fault in ("bars", "link"):
            wanted, _, status = FAULTS[fault]
            steps = self.device("--device", f"{TESTDEV},fault={fault}", status=status)
            self.assertEqual(findings(steps), [wanted])

    def test_faults_are_those_documented(self):
        complaint = run("list", "--device", f"{EDU},fault=none").err
        known = complaint.split("want one of ")[1].strip().split(", ")
        self.assertEqual(sorted(known), sorted(FAULTS))
        table = dict(re.findall(r"^\| `([\w-]+)` \| .* \| `([\w-]+)` \|$", DOCS, re.M))
        self.assertEqual(table, {fault: row[0] for fault, row in FAULTS.items()})

    def test_faults_need_a_part_to_break(self):
        for fault in ("d3", "aer", "link", "msix", "fewer-vectors"):
            self.assert_fails(run("list", "--device", f"{EDU},fault={fault}"), 2, f"fault={fault}",
                              "nothing of the kind")
        for option, fault in (("irq=msix", "msix"), ("vectors=1", "fewer-vectors")):
            self.assert_fails(run("list", "--device", f"{TESTDEV},{option},fault={fault}"), 2,
                              "nothing of the kind")
        self.assert_fails(run("list", "--device", f"{EDU},fault"), 2, "fault", "no value")

    def test_fewer_vectors_than_there_are(self):
        """E2, E5: what is there still arrives, and the line says what is missing."""
        for options, text in (
                ("fault=msix", "1 MSI vector granted in place of 32 MSI-X vectors"),
                ("fault=fewer-vectors", "16 of 32 MSI-X vectors are granted"),
                ("vectors=256,fault=fewer-vectors", "128 of 256 MSI-X vectors are granted"),
                ("irq=msi,fault=fewer-vectors", "16 of 32 MSI vectors are granted")):
            with self.subTest(options):
                step = {s["step"]: s for s in self.device(
                    "--device", f"{TESTDEV},{options}")}["interrupts"]
                self.assertEqual((step["result"], step["text"]), ("warning", text))

    def test_a_driver_that_lets_nobody_in(self):
        """A3, also without the doctor."""
        device = ("--device", f"{EDU},fault=open")
        step = self.device(*device, status=1)[1]
        self.assertEqual((step["step"], step["result"]), ("open", "failed"))
        self.assertIn("not permitted", step["text"])
        self.assert_fails(run("show", "01:00.0", *device), 1, "01:00.0", "not permitted")
        self.assertEqual(len(self.assert_fine(run("list", *device)).splitlines()), 2)

    def test_other_findings(self):
        self.assertEqual(findings(self.device("--device", f"{TESTDEV},irq=none")), ["irq-legacy"])
        self.assertEqual(findings(self.device("--device", f"{EDU},aperture=16k", status=1)),
                         ["dma-budget"])
        self.assertEqual(findings(self.device("05:00.0", "--device", EDU, status=1)),
                         ["not-found"])
        self.assertEqual(findings(self.device(status=1)), ["no-devices"])

    def test_other_functions_of_its_slot(self):
        """B6, F8: a hot reset hits them too."""
        report = self.examine("--device", "edu,addr=01:00.0", "--device", "edu,addr=01:00.3",
                              "--device", "edu,addr=02:00.0",
                              "--device", "edu,addr=02:00.1,root=elsewhere")
        self.assertEqual({device["address"]: "beside other functions" in device["steps"][0]["text"]
                          for device in report["devices"]},
                         {"01:00.0": True, "01:00.3": True, "02:00.0": False, "02:00.1": False})

    def test_faults_of_before_and_dextd(self):
        with Dextd(f"{EDU},fault=dma-address", TESTDEV) as dextd:
            report = self.examine(status=1, socket=dextd.socket)
            self.assertEqual([findings(d["steps"]) for d in report["devices"]],
                             [["dma-fault"], []])
            again = self.device("01:00.0", status=1, socket=dextd.socket)
            self.assertEqual(findings(again), ["faults-seen", "dma-fault"])
            first = report["host"][0]
            self.assertEqual((first["step"], first["result"]),
                             ("host", "skipped") if IS_PORTABLE else ("socket", "ok"))

    def test_a_device_in_use_is_not_disturbed(self):
        with Dextd(TESTDEV) as dextd:
            with open(os.devnull, "w", encoding="utf-8") as null:
                user = toolstest.subprocess.Popen(
                    [toolstest.DEXTCTL, "irq", "watch", "02:00.0"], stdin=toolstest.subprocess.PIPE,
                    env=toolstest.environment(dextd.socket), stdout=null, stderr=null)
            try:
                steps = {}

                def is_in_use():
                    steps.update({s["step"]: s
                                  for s in self.device("02:00.0", socket=dextd.socket)})
                    return "in use" in steps["driver"]["text"]
                self.assertTrue(toolstest.wait_until(is_in_use))
                self.assertIn("another client", steps["driver"]["text"])
                self.assertIn("no copy: it may be in use", steps["dma"]["text"])
                self.assertNotIn("bus mastering off", steps["dma"]["text"])
                self.assertEqual(steps["interrupts"]["result"], "skipped")
            finally:
                user.terminate()
                user.communicate(timeout=toolstest.SECONDS)

    def test_a_driver_without_extensions(self):
        device = f"{TESTDEV},extensions=off"
        steps = self.device("--device", device)
        self.assertEqual(findings(steps), [])
        texts = {step["step"]: step["text"] for step in steps}
        self.assertIn("no statistics, no state, other users unknown", texts["driver"])
        self.assertNotIn("bus mastering off", texts["dma"])
        self.assertIn("no copy", texts["dma"])
        self.assertIn("32 MSI-X vectors granted; not fired", texts["interrupts"])
        faults = {"gone": "device-gone", "ones": "device-gone", "retry": "config-retry",
                  "decode": "decode-off", "bars": "bars-unassigned", "vectors": "irq-none",
                  "fragmented": "dma-fragmented"}
        arguments = []
        for number, fault in enumerate(faults, 1):
            arguments += ["--device",
                          f"testdev,addr={number:02x}:00.0,extensions=off,fault={fault}"]
        devices = self.examine(*arguments, status=1)["devices"]
        self.assertEqual({fault: findings(device["steps"])
                          for fault, device in zip(faults, devices)},
                         {fault: [wanted] for fault, wanted in faults.items()})

    def test_text(self):
        out = self.assert_fine(run("doctor", "01:00.0", "--device", EDU))
        self.assertRegex(out, r"(?m)^device pci-bridge0/01:00\.0$")
        self.assertRegex(out, r"(?m)^  ok +config +1234:11e8 answers, 256 bytes$")
        self.assertRegex(out, r"\n\d+ ok, \d+ warnings, 0 failed, \d+ skipped in [\d.]+ ms\n$")
        bad = run("doctor", "--device", f"{EDU},fault=bars")
        self.assertEqual((bad.status, bad.err), (1, ""))
        self.assertRegex(bad.out, r"(?m)^  failed +bars +BAR 0 of 1 MiB has no address$")
        self.assertIn(" see: docs/doctor.md#bars-unassigned\n", bad.out)
        self.assertIn(" do: reboot", bad.out)

    def test_usage(self):
        for arguments in (("nonsense",), ("--vfio", "x"), ("--vfio", "a/0:0.0"), ("--with-serials",),
                          ("--vfio", "zz:01:00.0"), ("--size", "1"), ("01:00.0", "02:00.0")):
            self.assert_fails(run("doctor", *arguments, "--device", EDU), 2, "dextctl: ")

    def test_each_finding_has_its_anchor(self):
        source = (TOP / "tools/dextctl/doctor_finding.c").read_text(encoding="utf-8")
        names = re.findall(r'\[FINDING_\w+\] =\s*\{\s*"([\w-]+)"', source)
        header = (TOP / "tools/dextctl/doctor_finding.h").read_text(encoding="utf-8")
        self.assertEqual(len(names), len(re.findall(r"^    FINDING_(?!COUNT)\w+,", header, re.M)))
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(sorted(names), sorted(re.findall(r"^### ([\w-]+)$", DOCS, re.M)))


class Host(Examination):
    """The steps of the host, over a tree that stands for another machine's files."""

    ADDRESS, OTHER, BRIDGE = "0000:03:00.0", "0000:03:00.1", "0000:00:01.0"

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="doctor-test-")
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.addCleanup(os.umask, os.umask(0o022))
        self.add_device(self.ADDRESS, "vfio-pci", "0x010802")
        self.add_device(self.OTHER, None, "0x040300")
        self.add_device(self.BRIDGE, "pcieport", "0x060400")
        for file in ("vfio", "7"):
            self.write(f"dev/vfio/{file}", "")
        self.write_memlock("unlimited")

    def write(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def write_memlock(self, value):
        self.write("proc/self/limits", "Limit  Soft Limit  Hard Limit  Units\n"
                   f"Max locked memory         {value}            {value}            bytes\n")

    def add_device(self, address, driver, code):
        device = f"sys/bus/pci/devices/{address}"
        self.write(f"{device}/class", code + "\n")
        (self.root / device / "iommu_group").symlink_to("../../../../kernel/iommu_groups/7")
        group = self.root / "sys/kernel/iommu_groups/7/devices"
        group.mkdir(parents=True, exist_ok=True)
        (group / address).symlink_to(f"../../../../bus/pci/devices/{address}")
        if driver:
            self.bind(address, driver)

    def bind(self, address, driver):
        link = self.root / f"sys/bus/pci/devices/{address}/driver"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../../../bus/pci/drivers/{driver}")

    def unprivileged(self, *arguments, **options):
        return toolstest.run_unprivileged(self.root, *arguments, **options)

    def host(self, *arguments, status=0, vfio=True, runner=run):
        more = ("--vfio", "03:00.0") if vfio else ()
        report = self.examine("--host-root", self.root, *more, "--device", EDU, *arguments,
                              status=status, runner=runner)
        return findings(report["host"])

    def test_fine(self):
        self.assertEqual(self.host(), [])

    def test_iommu(self):
        for link in (self.root / "sys/kernel/iommu_groups").glob("*/devices/*"):
            link.unlink()
        (self.root / "sys/kernel/iommu_groups/7/devices").rmdir()
        (self.root / "sys/kernel/iommu_groups/7").rmdir()
        self.assertEqual(self.host(vfio=False), ["iommu-off"])
        self.assertEqual(self.host(status=1), ["iommu-off"])

    def test_vfio_missing(self):
        (self.root / "dev/vfio/vfio").unlink()
        self.assertEqual(self.host(vfio=False), ["vfio-missing"])
        self.assertEqual(self.host(status=1), ["vfio-missing"])

    def test_vfio_permission(self):
        for file in ("vfio", "7"):
            (self.root / "dev/vfio" / file).chmod(0o666)
        self.assertEqual(self.host(runner=self.unprivileged), [])
        for file in ("vfio", "7"):
            path = self.root / "dev/vfio" / file
            path.chmod(0)
            self.assertEqual(self.host(status=1, runner=self.unprivileged), ["vfio-permission"])
            path.chmod(0o666)

    def test_memlock(self):
        for value, wanted in (("8388608", ["memlock"]), ("67108863", ["memlock"]),
                              ("67108864", [])):
            self.write_memlock(value)
            self.assertEqual(self.host(status=int(bool(wanted))), wanted)

    def test_binding(self):
        self.bind(self.ADDRESS, "nvme")
        self.assertEqual(self.host(status=1), ["vfio-binding"])
        self.assertEqual(self.host("--vfio", "0000:04:00.0", status=1, vfio=False),
                         ["vfio-no-device"])

    def test_group(self):
        self.bind(self.OTHER, "snd_hda_intel")
        self.assertEqual(self.host(status=1), ["vfio-group"])
        self.bind(self.OTHER, "vfio-pci")
        self.assertEqual(self.host(), [])

    def test_socket(self):
        report = self.examine(status=1, socket=self.root / "none.sock")
        self.assertEqual(findings(report["host"])[0], "socket-missing")
        self.write("file", "")
        report = self.examine(status=1, socket=self.root / "file")
        self.assertEqual(findings(report["host"])[0], "socket-missing")

    def test_socket_permission(self):
        with Dextd(EDU) as dextd:
            dextd.socket.chmod(0)
            Path(dextd.folder.name).chmod(0o711)  # the socket is what refuses
            report = self.examine(status=1, socket=dextd.socket, runner=self.unprivileged)
            self.assertEqual(findings(report["host"])[0], "socket-permission")
            self.assertIn("Permission denied", report["host"][0]["text"])
            Path(dextd.folder.name).chmod(0)
            report = self.examine(status=1, socket=dextd.socket, runner=self.unprivileged)
            self.assertEqual(findings(report["host"])[0], "socket-permission")
            Path(dextd.folder.name).chmod(0o700)


if IS_PORTABLE:
    del Host  # what it looks at are Linux's files


class Bundle(Examination):

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="doctor-test-")
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name) / "report.tar"

    def bundle(self, *arguments, status=0, **options):
        """Name in the archive to text."""
        result = run("doctor", "--bundle", self.path, *arguments, **options)
        self.assertEqual((result.status, result.err), (status, ""), result.out)
        with tarfile.open(fileobj=io.BytesIO(self.path.read_bytes()), mode="r:") as archive:
            members = archive.getmembers()
            self.assertTrue(all(m.isfile() and m.name.startswith("dextctl-doctor/")
                                and m.uname == m.gname == "" for m in members))
            texts = {m.name.split("/", 1)[1]: archive.extractfile(m).read().decode()
                     for m in members}
        self.path.unlink()
        return texts

    def serial(self, dump):
        """The eight bytes of testdev's Device Serial Number capability."""
        data = bytes.fromhex("".join(line.split(":", 1)[1] for line in dump.splitlines()[1:]
                                     if re.match(r"[0-9a-f]+: ", line)))
        at = 0x100
        while int.from_bytes(data[at:at + 2], "little") != 3:
            at = int.from_bytes(data[at + 2:at + 4], "little") >> 4
        return data[at + 4:at + 12]

    def test_members(self):
        texts = self.bundle("--device", TESTDEV, "--device", f"{EDU},fault=bars", status=1)
        self.assertEqual(set(texts), {
            "settings.txt", "report.json", "log.txt",
            *(f"pci-bridge0-0{bus}-00.0/{name}" for bus in (1, 2)
              for name in ("config.txt", "driver.json", "calls.json", "dma.json"))})
        report = json.loads(texts["report.json"])
        self.assertEqual([findings(d["steps"]) for d in report["devices"]],
                         [["bars-unassigned"], []])
        driver = json.loads(texts["pci-bridge0-02-00.0/driver.json"])
        self.assertEqual(driver["capabilities"]["max_regions"], 65536)
        self.assertGreater(driver["statistics"]["irqs_delivered"], 0)
        self.assertEqual(driver["state"]["presence"], 0)
        self.assertIn("dextctl: ", texts["settings.txt"])
        self.assertIn("connect", texts["log.txt"])

    def test_calls_of_others_and_what_they_mapped(self):
        memory = wire.Memory(32768)
        with Dextd(TESTDEV) as dextd, wire.Client(dextd.socket).hello() as client:
            _, user = client.open(client.services()[0])
            user.call(1)
            user.call(5, 0x40000, memory.address, 16385)
            user.call(3, 4096, 0)
            user.call(8, 4096, 4)
            texts = self.bundle(socket=dextd.socket)
            user.close()
        memory.close()
        calls = json.loads(texts["pci-bridge0-02-00.0/calls.json"])
        numbers = [c["sequence"] for c in calls["calls"]]
        self.assertEqual(numbers[:4], [0, 1, 2, 3])  # lost are the doctor's own at most
        self.assertEqual(numbers[-1] + 1, len(numbers) + calls["lost"])
        self.assertEqual(set(calls["calls"][0]), {
            "time_ms", "doctor", "process", "client", "sequence", "call", "inputs", "code", "result",
            "duration_us"})
        self.assertEqual([(c["call"], c["inputs"], c["code"], c["process"])
                          for c in calls["calls"] if not c["doctor"]],
                         [("Claim", [], "0x0", os.getpid()),
                          ("RegisterDMARegion", ["0x40000", None, "0x4001"], "0x0", os.getpid()),
                          ("AllocateDMABuffer", ["0x1000", "0x0"], "0x0", os.getpid()),
                          ("ConfigRead", ["0x1000", "0x4"], "0xe00002c2", os.getpid())])
        own = [c["call"] for c in calls["calls"] if c["doctor"]]
        self.assertIn("ConfigRead", own)
        segments = json.loads(texts["pci-bridge0-02-00.0/dma.json"])["segments"]
        number = calls["calls"][0]["client"]
        self.assertEqual(sorted((s["iova"] or "", s["bytes"], s["client"], s["buffer"])
                                for s in segments),
                         [("", 4096, number, True), ("0x40000", 16385, number, False)])
        for segment in segments:
            self.assertRegex(segment["bus_address"], "^0x[0-9a-f]+$")
        text = "\n".join(texts.values())
        self.assertNotIn(f"{memory.address:x}", text)

    def test_a_driver_that_keeps_nothing(self):
        texts = self.bundle("--device", f"{EDU},extensions=off")
        for name, key in (("calls", "calls"), ("dma", "segments")):
            kept = json.loads(texts[f"pci-bridge0-01-00.0/{name}.json"])
            self.assertEqual((kept[key], kept["reason"].split(":")[0]), (None, "unsupported"))

    def test_masks(self):
        device = f"{TESTDEV},serial=0x1122334455667788"
        listed = json.loads(run("list", "--json", "--device", device).out)["devices"][0]
        masked = self.bundle("--device", device)
        self.assertEqual(self.serial(masked["pci-bridge0-02-00.0/config.txt"]), bytes(8))
        text = "\n".join(masked.values())
        self.assertNotIn(listed["name"], text)
        self.assertNotIn("1122334455667788", text)
        open_ = self.bundle("--device", device, "--with-serials")
        self.assertEqual(self.serial(open_["pci-bridge0-02-00.0/config.txt"]).hex(),
                         "8877665544332211")
        self.assertIn(listed["name"], open_["report.json"])

    def test_paths_are_masked(self):
        disk = Path(self.folder.name) / "disk.img"
        disk.write_bytes(bytes(1 << 20))
        texts = self.bundle("--device", f"nvme,addr=03:00.0,drive={disk}")
        self.assertNotIn(self.folder.name, "\n".join(texts.values()))
        with Dextd(EDU) as dextd:
            texts = self.bundle(socket=dextd.socket)
            self.assertNotIn(str(dextd.socket), "\n".join(texts.values()))

    def test_no_file_is_overwritten_and_none_is_left(self):
        self.path.write_text("mine", encoding="utf-8")
        self.assert_fails(run("doctor", "--bundle", self.path, "--device", EDU), 1, "--bundle",
                          "File exists, and is left as it is: name another")
        self.assertEqual(self.path.read_text(encoding="utf-8"), "mine")
        self.assert_fails(run("doctor", "--bundle", "/nonexistent/x.tar", "--device", EDU), 1,
                          "No such file")
        self.assert_fails(run("doctor", "nonsense", "--bundle", self.path), 2, "no address")

    def test_bundle_without_libarchive(self):
        """It is loaded when it is wanted; what is found in its place here is no library."""
        if "libarchive" in subprocess.run(["ldd", toolstest.DEXTCTL], capture_output=True, text=True,
                                          check=False).stdout:
            self.skipTest("it is linked here")
        with tempfile.TemporaryDirectory(prefix="no-archive-") as folder:
            (Path(folder) / "libarchive.so.13").touch()
            result = run("-c", 'LD_LIBRARY_PATH="$1" exec "$0" doctor --bundle "$2" --device "$3"',
                         toolstest.DEXTCTL, folder, self.path, EDU, program="sh")
        self.assert_fails(result, 1, "cannot begin the archive", "no libarchive")
        self.assertFalse(self.path.exists())

    def test_a_full_disk(self):
        limit = "ulimit -f 1; trap '' XFSZ; exec \"$@\""
        with Dextd(TESTDEV) as dextd:
            result = run("-c", limit, "sh", toolstest.DEXTCTL, "doctor", "--bundle", self.path,
                         program="/bin/sh", socket=dextd.socket)
        self.assertEqual(result.status, 1)
        self.assertIn("--bundle", result.err)
        self.assertFalse(self.path.exists())


if __name__ == "__main__":
    toolstest.main()

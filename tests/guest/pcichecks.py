"""What a guest does with edu and testdev; whose device it is, the class that mixes this in says.

SPDX-License-Identifier: GPL-2.0-or-later

Registers are those of docs/edu.md and docs/testdev.md.
"""
import base64
import re
import subprocess
import textwrap

# A VT-d in the guest, so that its vfio-pci serves: the only way to take MSI in a program.
IOMMU = ["-device", "intel-iommu,intremap=on,caching-mode=on"]
IOMMU_APPEND = "intel_iommu=on iommu=pt"
# Orders of guestpci for edu. BAR 0 is all there is.
EDU_SYSFS = """
    read 4 0 0x00
    write 4 0 0x04 0x12345678
    read 4 0 0x04
    write 4 0 0x08 10
    until 4 0 0x20 1 0
    read 4 0 0x08
    buffer 8192 0
    pattern 0 4096 3
    write 8 0 0x80 @0
    write 8 0 0x88 0x40000
    write 8 0 0x90 4096
    write 4 0 0x98 1
    until 4 0 0x98 1 0
    write 8 0 0x80 0x40000
    write 8 0 0x88 @4096
    write 8 0 0x90 4096
    write 4 0 0x98 3
    until 4 0 0x98 1 0
    compare 4096 4096 3
"""
EDU_SYSFS_ANSWERS = ["0x10000ed", "0xedcba987", hex(3628800)]
EDU_VFIO = """
    buffer 8192 0x100000
    irqs msi 1
    quiet 0
    write 4 0 0x60 0x8
    wait 0
    read 4 0 0x24
    write 4 0 0x64 0x8
    read 4 0 0x24
    write 4 0 0x20 0x80
    write 4 0 0x08 5
    wait 0
    read 4 0 0x24
    read 4 0 0x08
    write 4 0 0x64 0x1
    pattern 0 4096 9
    write 8 0 0x80 @0
    write 8 0 0x88 0x40000
    write 8 0 0x90 4096
    write 4 0 0x98 5
    wait 0
    write 4 0 0x64 0x100
    write 8 0 0x80 0x40000
    write 8 0 0x88 @4096
    write 8 0 0x90 4096
    write 4 0 0x98 7
    wait 0
    write 4 0 0x64 0x100
    compare 4096 4096 9
    irqs msi 0
"""
EDU_VFIO_ANSWERS = ["1", "0x8", "0x0", "1", "0x1", hex(120), "1", "1"]


def orders(machine, way, address, text):
    """Have guestpci carry out orders; its answers."""
    return machine.check(f"guestpci {way} {address} <<'END'\n{textwrap.dedent(text)}END\n").split()


def find(machine, vendor, device):
    """Addresses of the functions with these ids in the guest."""
    return machine.check(f"""
        cd /sys/bus/pci/devices
        for i in *; do
            [ "$(cat $i/vendor $i/device | xargs)" = "{vendor:#06x} {device:#06x}" ] && echo $i
        done; true""").split()


def config(machine, address):
    """Config space as the guest sees it."""
    return base64.b64decode(machine.check(f"base64 /sys/bus/pci/devices/{address}/config"))


def lspci(data):
    """What lspci makes of it: a line a fact, indented ones below what they belong to."""
    lines = "".join(f"{at:02x}: {data[at:at + 16].hex(' ')}\n" for at in range(0, len(data), 16))
    done = subprocess.run(["lspci", "-vvv", "-n", "-F", "/dev/stdin"], text=True, check=True,
                          input=f"00:00.0 Class 0000: 0000:0000\n{lines}\n", capture_output=True)
    return done.stdout.splitlines()


def give_to_vfio(machine, address):
    """Bind vfio-pci to a function."""
    machine.check(f"""
        for i in /modules/*; do insmod $i 2>/dev/null || true; done
        grep -q vfio_pci /proc/modules
        echo vfio-pci >/sys/bus/pci/devices/{address}/driver_override
        echo {address} >/sys/bus/pci/drivers_probe
        [ "$(basename $(readlink /sys/bus/pci/devices/{address}/driver))" = vfio-pci ]""")


def bars(machine, address):
    """(size, flags) of the six BARs as the guest's kernel has set them up."""
    lines = machine.check(f"head -6 /sys/bus/pci/devices/{address}/resource").splitlines()
    found = []
    for line in lines:
        start, end, flags = (int(word, 16) for word in line.split())
        found.append((end - start + 1 if end else 0, flags))
    return found


def capabilities(lines):
    """The names of the capabilities in lspci's answer, with where they are."""
    return [match[1] for line in lines if (match := re.search(r"Capabilities: (\[.*?\] [^:]*)", line))]

/*
 * The findings' texts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "doctor_finding.h"

#include <stdio.h>

const struct finding_text finding_texts[FINDING_COUNT] = {
    [FINDING_NO_DEVICES] = {"no-devices", "the registry has no instance of the driver",
                            "start dextd with --device, or on a Mac activate the extension and "
                            "check that its personality matches the device"},
    [FINDING_NOT_FOUND] = {"not-found", "no instance of the driver serves a device there",
                           "compare with dextctl list; reseat or power-cycle the enclosure when "
                           "the device is missing"},
    [FINDING_OPEN_FAILED] = {"open-failed", "the driver is registered but does not let us in",
                             "check that its process runs and that this program is entitled to "
                             "open it"},
    [FINDING_DEVICE_HELD] = {"device-held", "another driver has the device open",
                             "end whoever uses it, or make this driver win the match"},
    [FINDING_CLAIM_FAILED] = {"claim-failed", "the driver could not power up or open the device",
                              "power-cycle the device; look at the driver's log"},
    [FINDING_FAULTS_SEEN] = {"faults-seen",
                             "the device reached for memory that was not mapped for it",
                             "unregister memory only after the device has stopped using it; "
                             "programs must give it bus addresses, not iovas"},
    [FINDING_DEVICE_GONE] = {"device-gone", "the device was pulled out or fell off the bus",
                             "check cable and power, replug, and start over: old connections "
                             "stay dead"},
    [FINDING_CONFIG_ONES] = {"config-ones",
                             "the device does not answer config reads: ones come "
                             "back in its place",
                             "reset it; when that does not help, power-cycle it"},
    [FINDING_CONFIG_RETRY] = {"config-retry",
                              "the device asks to be retried: it never became ready, as after a "
                              "reset that it cannot do",
                              "power-cycle it, and do not use a function-level reset on it"},
    [FINDING_CONFIG_MISMATCH] = {"config-mismatch",
                                 "config space is not that of the device the registry describes",
                                 "replug it, so that it is enumerated anew"},
    [FINDING_POWER_STATE] = {"power-state", "the device sleeps in D1, D2 or D3hot",
                             "write D0 to its power management control, or reset it; keep guests "
                             "from putting it to sleep"},
    [FINDING_CAPABILITY_CHAIN] = {"capability-chain",
                                  "the capability list loops or leaves its space",
                                  "report the config dump; programs must bound their walk of it"},
    [FINDING_AER_ERRORS] = {"aer-errors", "the device logged uncorrectable PCIe errors",
                            "check cable, dock and retimer; clear the bits and see if they return"},
    [FINDING_LINK_DEGRADED] = {"link-degraded", "the link trained to less than the device can do",
                               "normal behind Thunderbolt or in a narrow slot; else reseat it or "
                               "change the cable"},
    [FINDING_DECODE_OFF] = {"decode-off", "Memory Space stays off in the command register",
                            "replug or reboot, so that the host enumerates it anew"},
    [FINDING_BARS_NONE] = {"bars-none", "the host found no memory BAR with address space",
                           "reboot with the device connected; if it has BARs, none was assigned"},
    [FINDING_BARS_UNASSIGNED] = {"bars-unassigned", "the host gave the BAR no address",
                                 "reboot with the device connected; a BAR may be too large for "
                                 "what the bridge has left"},
    [FINDING_BAR_WINDOW] = {"bar-window", "the bridge passes on less than the whole BAR",
                            "use another port, or a smaller resizable BAR; accesses behind the "
                            "window are lost"},
    [FINDING_BAR_MAP] = {"bar-map", "the host cannot map the BAR into a process",
                         "use calls (bar read --call); a very large BAR may fail as a whole"},
    [FINDING_DMA_BUDGET] = {"dma-budget", "the DMA aperture or its slots are nearly or fully used",
                            "map less at a time: about 1.5 GiB and 64 k mappings a device"},
    [FINDING_DMA_FRAGMENTED] = {"dma-fragmented",
                                "the host cannot map the memory as one bus segment",
                                "register smaller or freshly allocated pieces"},
    [FINDING_DMA_REGISTER] = {"dma-register", "the driver refuses to map plain memory",
                              "see the code; the host must be able to reach this process's memory"},
    [FINDING_DMA_FAULT] = {"dma-fault", "the device used bus addresses that are not mapped for it",
                           "check that it gets the bus addresses registration returned, all bits "
                           "of them"},
    [FINDING_DMA_LOST] = {"dma-lost", "what the device wrote did not reach the memory",
                          "check Bus Master, and that memory is mapped for both directions"},
    [FINDING_IRQ_LEGACY] = {"irq-legacy",
                            "the device has neither MSI nor MSI-X, and the driver "
                            "cannot deliver INTx",
                            "poll the device"},
    [FINDING_IRQ_NONE] = {"irq-none", "the host grants no vector although the device has them",
                          "an earlier user's allocation may be in the way: replug the device"},
    [FINDING_IRQ_FALLBACK] = {"irq-fallback",
                              "the host refused MSI-X, so the driver fell back to one MSI vector",
                              "programs that want a vector a queue must share the one; replug "
                              "the device, and look at the system's log"},
    [FINDING_IRQ_FEWER] = {"irq-fewer", "the host grants fewer vectors than the device has",
                           "the first user's allocation is kept: replug the device to change it"},
    [FINDING_IRQ_LOST] = {"irq-lost", "the device fired and nothing arrived",
                          "check Bus Master (a message is a memory write) and the vector's mask"},
    [FINDING_SOCKET_MISSING] = {"socket-missing", "no dextd serves where clients look for it",
                                "start dextd, or set DEXTLINK_SOCKET to where it serves"},
    [FINDING_SOCKET_PERMISSION] = {"socket-permission",
                                   "the socket is there but this user may not use it",
                                   "run as the user who started dextd"},
    [FINDING_HOST_SILENT] = {"host-silent",
                             "a process has the socket of dextd and does not answer on it",
                             "see who listens there (ss -xlp) and whether it is stopped; end it, "
                             "then start dextd"},
    [FINDING_IOMMU_OFF] = {"iommu-off", "the kernel has no IOMMU in use, so VFIO cannot work",
                           "turn it on in the firmware and on the kernel's command line "
                           "(intel_iommu=on); simulated devices need none"},
    [FINDING_VFIO_MISSING] = {"vfio-missing", "the vfio driver is not loaded",
                              "modprobe vfio-pci; simulated devices need none"},
    [FINDING_VFIO_PERMISSION] = {"vfio-permission", "this user may not open the vfio device file",
                                 "change its owner by a udev rule, or run as root"},
    [FINDING_VFIO_NO_DEVICE] = {"vfio-no-device", "the host has no PCI device at this address",
                                "see lspci -D"},
    [FINDING_VFIO_BINDING] = {"vfio-binding", "the device is not bound to vfio-pci",
                              "unbind its driver and bind vfio-pci, as driverctl does"},
    [FINDING_VFIO_GROUP] = {"vfio-group", "another device of its IOMMU group is in use by the host",
                            "bind all of the group to vfio-pci, or use another slot"},
    [FINDING_MEMLOCK] = {"memlock",
                         "the limit on locked memory is small, and VFIO locks all "
                         "memory it maps",
                         "raise it (ulimit -l, LimitMEMLOCK=); guests need all their RAM"},
};

const char *finding_place(enum doctor_finding finding, char text[FINDING_PLACE_BYTES])
{
    snprintf(text, FINDING_PLACE_BYTES, "docs/doctor.md#%s", finding_texts[finding].id);
    return text;
}

/*
 * Registers of PCI config space that the view treats apart (PCI Express Base Specification,
 * chapter 7).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_CONFIG_LAYOUT_H
#define DEXTLINK_VFIOUSER_CONFIG_LAYOUT_H

#define PCI_CONVENTIONAL_BYTES   256
#define PCI_HEADER_BYTES         64

#define PCI_COMMAND              0x04
#define PCI_COMMAND_MEMORY       0x0002
#define PCI_COMMAND_MASTER       0x0004
#define PCI_COMMAND_STORED       0x0547 /* I/O, memory, master, parity, SERR#, INTx off */
#define PCI_STATUS               0x06
#define PCI_STATUS_SHOWN         0x0690 /* list, 66 MHz and fast bits, timing: not errors, not INTx */
#define PCI_CACHE_LINE           0x0c
#define PCI_LATENCY              0x0d
#define PCI_HEADER_TYPE          0x0e
#define PCI_MULTIFUNCTION        0x80
#define PCI_BIST                 0x0f
#define PCI_BAR0                 0x10
#define PCI_ROM                  0x30
#define PCI_CAPABILITIES         0x34
#define PCI_INTERRUPT_LINE       0x3c
#define PCI_INTERRUPT_PIN        0x3d

#define PCI_BAR_IO               0x1
#define PCI_BAR_64BIT            0x4

#define CAP_PM                   0x01
#define CAP_VPD                  0x03
#define CAP_MSI                  0x05
#define CAP_VENDOR               0x09
#define CAP_SSVID                0x0d
#define CAP_PCIE                 0x10
#define CAP_MSIX                 0x11
#define CAP_AF                   0x13
#define CAP_EA                   0x14

#define PM_CAPABILITIES          2
#define PM_CONTROL               4
#define PM_CONTROL_STATE         0x3
#define PM_CONTROL_NO_RESET      0x8
#define PM_STATE_D3HOT           3
#define PM_BYTES                 8

#define MSI_CONTROL              2
#define MSI_CONTROL_ENABLE       0x01
#define MSI_CONTROL_CAPABLE      0x0e
#define MSI_CONTROL_ALLOCATED    0x70
#define MSI_CONTROL_64BIT        0x80
#define MSI_CONTROL_MASKABLE     0x100

#define MSIX_CONTROL             2
#define MSIX_CONTROL_SIZE        0x7ff
#define MSIX_CONTROL_STORED      0xc000 /* enable, function mask */
#define MSIX_TABLE               4
#define MSIX_PBA                 8
#define MSIX_BYTES               12

#define PCIE_FLAGS               2
#define PCIE_FLAGS_VERSION       0xf
#define PCIE_DEVICE_CAPS         4
#define PCIE_DEVICE_CAPS_FLR     0x10000000
#define PCIE_DEVICE_CONTROL      8
#define PCIE_DEVICE_CONTROL_FLR  0x8000
#define PCIE_DEVICE_STATUS       10
#define PCIE_DEVICE_STATUS_SHOWN 0x30 /* auxiliary power, transactions pending: not errors */
#define PCIE_LINK_CONTROL        16
#define PCIE_LINK_STATUS         18
#define PCIE_LINK_STATUS_EVENTS  0xc000
#define PCIE_DEVICE_CONTROL_2    40
#define PCIE_LINK_CONTROL_2      48
#define PCIE_BYTES_1             20
#define PCIE_BYTES_2             60

#define AF_CAPS                  3
#define AF_CAPS_FLR              0x02
#define AF_CONTROL               4
#define AF_CONTROL_FLR           0x01
#define AF_BYTES                 6

#define EXT_VENDOR               0x000b
#define EXT_DVSEC                0x0023

#endif

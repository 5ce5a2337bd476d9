/*
 * Registers of a PCI Express function that the provider, the back ends and the dext touch (PCI
 * Express Base Specification, chapter 7). Offsets in bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_PROVIDER_PCI_REGISTERS_H
#define DEXTLINK_PROVIDER_PCI_REGISTERS_H

/* Type 0 header. */
#define PCI_VENDOR_ID            0x00
#define PCI_DEVICE_ID            0x02
#define PCI_COMMAND              0x04
#define PCI_COMMAND_IO           0x0001
#define PCI_COMMAND_MEMORY       0x0002
#define PCI_COMMAND_BUS_MASTER   0x0004
#define PCI_STATUS               0x06
#define PCI_STATUS_CAPABILITIES  0x0010
#define PCI_REVISION             0x08
#define PCI_CLASS_CODE           0x09 /* 3 bytes */
#define PCI_CACHE_LINE_SIZE      0x0c
#define PCI_LATENCY_TIMER        0x0d
#define PCI_BAR(bar)             (0x10 + 4 * (bar))
#define PCI_SUBSYSTEM_VENDOR_ID  0x2c
#define PCI_SUBSYSTEM_ID         0x2e
#define PCI_CAPABILITIES_POINTER 0x34
#define PCI_INTERRUPT_LINE       0x3c

#define PCI_VENDOR_NONE          0xffff /* nobody answers */
#define PCI_VENDOR_RETRY         0x0001 /* not ready yet: request retry status */

/* Capability lists. */
#define PCI_HEADER_BYTES       0x40
#define PCI_STANDARD_BYTES     0x100
#define PCI_CONFIG_BYTES       0x1000
#define PCI_CAPABILITY_POWER   0x01
#define PCI_CAPABILITY_MSI     0x05
#define PCI_CAPABILITY_EXPRESS 0x10
#define PCI_CAPABILITY_MSIX    0x11

/* Power management capability. */
#define PCI_POWER_CONTROL       0x04
#define PCI_POWER_STATE_MASK    0x0003
#define PCI_POWER_STATE_D0      0x0000
#define PCI_POWER_STATE_D3HOT   0x0003
#define PCI_POWER_NO_SOFT_RESET 0x0008

/* MSI capability. */
#define PCI_MSI_CONTROL       0x02
#define PCI_MSI_ENABLE        0x0001
#define PCI_MSI_CAPABLE_SHIFT 1 /* multiple message capable, log2, 3 bits */
#define PCI_MSI_ENABLED_SHIFT 4 /* multiple message enable, log2, 3 bits */
#define PCI_MSI_64BIT         0x0080
#define PCI_MSI_MASKING       0x0100
#define PCI_MSI_ADDRESS       0x04
#define PCI_MSI_ADDRESS_HIGH  0x08 /* with PCI_MSI_64BIT */
#define PCI_MSI_DATA(control) (((control)&PCI_MSI_64BIT) ? 0x0c : 0x08)
#define PCI_MSI_MASK(control) (((control)&PCI_MSI_64BIT) ? 0x10 : 0x0c)

/* MSI-X capability and table. */
#define PCI_MSIX_CONTROL            0x02
#define PCI_MSIX_SIZE_MASK          0x07ff /* entries - 1 */
#define PCI_MSIX_FUNCTION_MASK      0x4000
#define PCI_MSIX_ENABLE             0x8000
#define PCI_MSIX_TABLE              0x04 /* BAR in the low 3 bits, offset in the rest */
#define PCI_MSIX_TABLE_BAR_MASK     0x7u
#define PCI_MSIX_ENTRY_BYTES        16
#define PCI_MSIX_ENTRY_ADDRESS      0
#define PCI_MSIX_ENTRY_ADDRESS_HIGH 4
#define PCI_MSIX_ENTRY_DATA         8
#define PCI_MSIX_ENTRY_CONTROL      12
#define PCI_MSIX_ENTRY_MASKED       0x1

/* PCI Express capability. */
#define PCI_EXPRESS_FLAGS            0x02
#define PCI_EXPRESS_VERSION_MASK     0x000f
#define PCI_EXPRESS_DEVICE_CAPS      0x04
#define PCI_EXPRESS_FLR_CAPABLE      0x10000000u
#define PCI_EXPRESS_DEVICE_CONTROL   0x08
#define PCI_EXPRESS_INITIATE_FLR     0x8000
#define PCI_EXPRESS_LINK_CONTROL     0x10
#define PCI_EXPRESS_LINK_STATUS      0x12
#define PCI_EXPRESS_LINK_SPEED_MASK  0x000f
#define PCI_EXPRESS_LINK_WIDTH_SHIFT 4
#define PCI_EXPRESS_LINK_WIDTH_MASK  0x003f
#define PCI_EXPRESS_DEVICE_CONTROL_2 0x28 /* version 2 and later, as the next */
#define PCI_EXPRESS_LINK_CONTROL_2   0x30

#endif

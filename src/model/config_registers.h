/*
 * Offsets and bits of configuration space, by the names of the PCI Local Bus and PCI Express Base
 * specifications. Capability offsets count from the capability's start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_CONFIG_REGISTERS_H
#define DEXTLINK_MODEL_CONFIG_REGISTERS_H

/* Type 0 header */
#define CONFIG_VENDOR_ID            0x00
#define CONFIG_DEVICE_ID            0x02
#define CONFIG_COMMAND              0x04
#define CONFIG_COMMAND_IO           0x0001u
#define CONFIG_COMMAND_MEMORY       0x0002u
#define CONFIG_COMMAND_MASTER       0x0004u
#define CONFIG_COMMAND_PARITY       0x0040u
#define CONFIG_COMMAND_SERR         0x0100u
#define CONFIG_COMMAND_INTX_DISABLE 0x0400u
#define CONFIG_STATUS               0x06
#define CONFIG_STATUS_INTERRUPT     0x0008u
#define CONFIG_STATUS_CAPABILITIES  0x0010u
#define CONFIG_STATUS_ERRORS        0xf900u /* the write-1-to-clear bits */
#define CONFIG_REVISION             0x08
#define CONFIG_CLASS                0x09
#define CONFIG_CACHE_LINE           0x0c
#define CONFIG_BAR(bar)             (0x10 + 4 * (bar))
#define CONFIG_SUBSYSTEM_VENDOR     0x2c
#define CONFIG_SUBSYSTEM            0x2e
#define CONFIG_CAPABILITY_POINTER   0x34
#define CONFIG_INTERRUPT_LINE       0x3c
#define CONFIG_INTERRUPT_PIN        0x3d
#define CONFIG_VENDOR_RETRY         0x0001u

/* Capability ids */
#define CAPABILITY_POWER  0x01
#define CAPABILITY_MSI    0x05
#define CAPABILITY_VENDOR 0x09
#define CAPABILITY_PCIE   0x10
#define CAPABILITY_MSIX   0x11
#define EXTENDED_AER      0x0001
#define EXTENDED_SERIAL   0x0003
#define EXTENDED_VENDOR   0x000b

/* Power management */
#define POWER_CAPABILITIES          0x02
#define POWER_CONTROL               0x04
#define POWER_CONTROL_STATE         0x0003u
#define POWER_CONTROL_NO_SOFT_RESET 0x0008u
#define POWER_BYTES                 8

/* MSI, 64-bit address layout */
#define MSI_CONTROL               0x02
#define MSI_CONTROL_ENABLE        0x0001u
#define MSI_CONTROL_CAPABLE_SHIFT 1
#define MSI_CONTROL_ENABLED_SHIFT 4
#define MSI_CONTROL_64BIT         0x0080u
#define MSI_CONTROL_MASKING       0x0100u
#define MSI_ADDRESS               0x04
#define MSI_ADDRESS_HIGH          0x08
#define MSI_DATA                  0x0c
#define MSI_DATA_32               0x08 /* without the upper half of the address */
#define MSI_MASK_32               0x0c
#define MSI_MASK                  0x10
#define MSI_PENDING               0x14
#define MSI_BYTES                 0x0e
#define MSI_BYTES_MASKING         0x18

/* MSI-X */
#define MSIX_CONTROL          0x02
#define MSIX_CONTROL_SIZE     0x07ffu /* vectors - 1 */
#define MSIX_CONTROL_MASK_ALL 0x4000u
#define MSIX_CONTROL_ENABLE   0x8000u
#define MSIX_PLACE_BAR        0x7u /* of the next two */
#define MSIX_TABLE            0x04
#define MSIX_PBA              0x08
#define MSIX_BYTES            0x0c

/* PCI Express */
#define PCIE_CAPABILITIES            0x02
#define PCIE_DEVICE_CAPABILITIES     0x04
#define PCIE_DEVICE_CAPABILITIES_FLR 0x10000000u
#define PCIE_DEVICE_CONTROL          0x08
#define PCIE_DEVICE_STATUS           0x0a
#define PCIE_DEVICE_STATUS_PENDING   0x0020u
#define PCIE_LINK_CAPABILITIES       0x0c
#define PCIE_LINK_CONTROL            0x10
#define PCIE_LINK_STATUS             0x12
#define PCIE_DEVICE_CAPABILITIES_2   0x24
#define PCIE_DEVICE_CONTROL_2        0x28
#define PCIE_LINK_CAPABILITIES_2     0x2c
#define PCIE_LINK_CONTROL_2          0x30
#define PCIE_BYTES_1                 0x14 /* of version 1 */
#define PCIE_BYTES                   0x3c

/* Advanced error reporting */
#define AER_UNCORRECTABLE_STATUS   0x04
#define AER_UNCORRECTABLE_MASK     0x08
#define AER_UNCORRECTABLE_SEVERITY 0x0c
#define AER_CORRECTABLE_STATUS     0x10
#define AER_CORRECTABLE_MASK       0x14
#define AER_CONTROL                0x18
#define AER_BYTES                  0x48

#endif

/*
 * NVM Express 1.4: registers, opcodes, status codes and field positions, by the specification's
 * names. Numbers in parentheses are its sections. All structures in memory are little-endian.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_NVME_SPEC_H
#define DEXTLINK_MODEL_NVME_SPEC_H

#include <stdint.h>

/* Controller registers (3.1) */
#define NVME_REG_CAP        0x00
#define NVME_REG_VS         0x08
#define NVME_REG_INTMS      0x0c
#define NVME_REG_INTMC      0x10
#define NVME_REG_CC         0x14
#define NVME_REG_CSTS       0x1c
#define NVME_REG_NSSR       0x20
#define NVME_REG_AQA        0x24
#define NVME_REG_ASQ        0x28
#define NVME_REG_ACQ        0x30
#define NVME_REG_DOORBELLS  0x1000

#define NVME_VERSION        0x00010400u
#define NVME_CAP_MQES       UINT64_C(4095)       /* entries of a queue, 0's based */
#define NVME_CAP_CQR        (UINT64_C(1) << 16)  /* queues are contiguous */
#define NVME_CAP_TO         (UINT64_C(20) << 24) /* 10 s to become ready */
#define NVME_CAP_NSSRS      (UINT64_C(1) << 36)
#define NVME_CAP_CSS_NVM    (UINT64_C(1) << 37)
#define NVME_CAP_MPSMAX     (UINT64_C(4) << 52) /* 64 KiB; MPSMIN 4 KiB */

#define NVME_CC_EN          0x00000001u
#define NVME_CC_CSS(cc)     ((cc) >> 4 & 0x7)
#define NVME_CC_MPS(cc)     ((cc) >> 7 & 0xf)
#define NVME_CC_AMS(cc)     ((cc) >> 11 & 0x7)
#define NVME_CC_SHN(cc)     ((cc) >> 14 & 0x3)
#define NVME_CC_IOSQES(cc)  ((cc) >> 16 & 0xf)
#define NVME_CC_IOCQES(cc)  ((cc) >> 20 & 0xf)
#define NVME_CC_WRITABLE    0x00fffff1u

#define NVME_CSTS_RDY       0x01u
#define NVME_CSTS_CFS       0x02u
#define NVME_CSTS_SHST_MASK 0x0cu
#define NVME_CSTS_SHST_BUSY 0x04u
#define NVME_CSTS_SHST_DONE 0x08u
#define NVME_CSTS_NSSRO     0x10u
#define NVME_NSSR_MAGIC     0x4e564d65u /* "NVMe" */

#define NVME_SQE_BYTES      64
#define NVME_SQE_SHIFT      6
#define NVME_CQE_BYTES      16
#define NVME_CQE_SHIFT      4

/* Submission queue entry, command dword 0 (4.2) */
#define NVME_FLAGS_FUSE 0x03u
#define NVME_FLAGS_PSDT 0xc0u

#define NVME_NSID_ALL   0xffffffffu

/* Parameter Error Location (5.14.1.1): byte and bit of the command */
#define NVME_FIELD(byte, bit)     ((uint16_t)((byte) | (bit) << 8))
#define NVME_FIELD_NONE           0xffff
#define NVME_FIELD_FLAGS          NVME_FIELD(1, 0)
#define NVME_FIELD_PSDT           NVME_FIELD(1, 6)
#define NVME_FIELD_CID            NVME_FIELD(2, 0)
#define NVME_FIELD_NSID           NVME_FIELD(4, 0)
#define NVME_FIELD_PRP1           NVME_FIELD(24, 0)
#define NVME_FIELD_PRP2           NVME_FIELD(32, 0)
#define NVME_FIELD_DW(dword, bit) NVME_FIELD((dword)*4 + (bit) / 8, (bit) % 8)

/* Admin commands (5) */
#define NVME_ADMIN_DELETE_SQ    0x00
#define NVME_ADMIN_CREATE_SQ    0x01
#define NVME_ADMIN_GET_LOG      0x02
#define NVME_ADMIN_DELETE_CQ    0x04
#define NVME_ADMIN_CREATE_CQ    0x05
#define NVME_ADMIN_IDENTIFY     0x06
#define NVME_ADMIN_ABORT        0x08
#define NVME_ADMIN_SET_FEATURES 0x09
#define NVME_ADMIN_GET_FEATURES 0x0a
#define NVME_ADMIN_ASYNC_EVENT  0x0c
#define NVME_ADMIN_KEEP_ALIVE   0x18
#define NVME_ADMIN_FORMAT       0x80

/* NVM commands (6) */
#define NVME_IO_FLUSH               0x00
#define NVME_IO_WRITE               0x01
#define NVME_IO_READ                0x02
#define NVME_IO_WRITE_UNCORRECTABLE 0x04
#define NVME_IO_COMPARE             0x05
#define NVME_IO_WRITE_ZEROES        0x08
#define NVME_IO_DSM                 0x09
#define NVME_IO_VERIFY              0x0c

#define NVME_RW_FUA                 0x40000000u /* of dword 12 */
#define NVME_RW_DEAC                0x02000000u
#define NVME_DSM_DEALLOCATE         0x00000004u /* of dword 11 */

/* Status: type in bits 10:8, code in 7:0 (4.6.1); here without the phase bit */
#define NVME_SUCCESS                 0x000
#define NVME_INVALID_OPCODE          0x001
#define NVME_INVALID_FIELD           0x002
#define NVME_COMMAND_ID_CONFLICT     0x003
#define NVME_DATA_TRANSFER_ERROR     0x004
#define NVME_INTERNAL_ERROR          0x006
#define NVME_ABORT_REQUESTED         0x007
#define NVME_INVALID_NAMESPACE       0x00b
#define NVME_COMMAND_SEQUENCE_ERROR  0x00c
#define NVME_PRP_OFFSET_INVALID      0x013
#define NVME_WRITE_PROTECTED         0x020
#define NVME_LBA_OUT_OF_RANGE        0x080
#define NVME_CAPACITY_EXCEEDED       0x081
#define NVME_FORMAT_IN_PROGRESS      0x084
#define NVME_CQ_INVALID              0x100
#define NVME_INVALID_QUEUE_ID        0x101
#define NVME_INVALID_QUEUE_SIZE      0x102
#define NVME_TOO_MANY_ASYNC_EVENTS   0x105
#define NVME_INVALID_VECTOR          0x108
#define NVME_INVALID_LOG_PAGE        0x109
#define NVME_INVALID_FORMAT          0x10a
#define NVME_INVALID_QUEUE_DELETION  0x10c
#define NVME_FEATURE_NOT_SAVEABLE    0x10d
#define NVME_FEATURE_NOT_CHANGEABLE  0x10e
#define NVME_FEATURE_NOT_NS_SPECIFIC 0x10f
#define NVME_WRITE_FAULT             0x280
#define NVME_UNRECOVERED_READ        0x281
#define NVME_COMPARE_FAILURE         0x285
#define NVME_STATUS_CODE             0x07ff
#define NVME_STATUS_MORE             0x2000 /* the error log tells more */
#define NVME_STATUS_DNR              0x4000 /* do not retry */

/* Features (5.21.1) */
#define NVME_FEATURE_ARBITRATION    0x01
#define NVME_FEATURE_POWER          0x02
#define NVME_FEATURE_TEMPERATURE    0x04
#define NVME_FEATURE_ERROR_RECOVERY 0x05
#define NVME_FEATURE_WRITE_CACHE    0x06
#define NVME_FEATURE_QUEUES         0x07
#define NVME_FEATURE_COALESCING     0x08
#define NVME_FEATURE_VECTOR         0x09
#define NVME_FEATURE_ATOMICITY      0x0a
#define NVME_FEATURE_ASYNC_EVENTS   0x0b
#define NVME_FEATURE_TIMESTAMP      0x0e

/* Log pages (5.14.1) */
#define NVME_LOG_ERROR              0x01
#define NVME_LOG_SMART              0x02
#define NVME_LOG_FIRMWARE           0x03
#define NVME_LOG_CHANGED_NAMESPACES 0x04
#define NVME_LOG_COMMANDS           0x05

/* Asynchronous events (5.2.1): type and information */
#define NVME_EVENT_ERROR             0
#define NVME_EVENT_SMART             1
#define NVME_EVENT_NOTICE            2
#define NVME_EVENT_DOORBELL_REGISTER 0x00 /* a doorbell of no queue was written */
#define NVME_EVENT_DOORBELL_VALUE    0x01
#define NVME_EVENT_TEMPERATURE       0x01
#define NVME_EVENT_NAMESPACE_CHANGED 0x00

#define NVME_ASYNC_TEMPERATURE       0x002u /* enable bits of the feature */
#define NVME_ASYNC_NAMESPACES        0x100u

static inline uint16_t nvme_get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint32_t nvme_get32(const uint8_t *bytes)
{
    return nvme_get16(bytes) | (uint32_t)nvme_get16(bytes + 2) << 16;
}

static inline uint64_t nvme_get64(const uint8_t *bytes)
{
    return nvme_get32(bytes) | (uint64_t)nvme_get32(bytes + 4) << 32;
}

static inline void nvme_put16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void nvme_put32(uint8_t *bytes, uint32_t value)
{
    nvme_put16(bytes, (uint16_t)value);
    nvme_put16(bytes + 2, (uint16_t)(value >> 16));
}

static inline void nvme_put64(uint8_t *bytes, uint64_t value)
{
    nvme_put32(bytes, (uint32_t)value);
    nvme_put32(bytes + 4, (uint32_t)(value >> 32));
}

#endif

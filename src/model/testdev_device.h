/*
 * The test device's state, shared by its source files and nobody else. docs/testdev.md is the
 * description of every register.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_TESTDEV_DEVICE_H
#define DEXTLINK_MODEL_TESTDEV_DEVICE_H

#include "model/config_space.h"
#include "model/model.h"
#include "model/msi.h"
#include "model/msix.h"

#define TESTDEV_REGISTER_BYTES 0x10000 /* BAR 0 */
#define TESTDEV_MSIX_TABLE     0x8000
#define TESTDEV_MSIX_PBA       0x9000
#define TESTDEV_PORT_BYTES     0x100   /* BAR 1 */
#define TESTDEV_WINDOW_BYTES   0x4000  /* the trapped part of BAR 2 */
#define TESTDEV_PLAIN_BYTES    0x10000 /* BAR 4 */
#define TESTDEV_BOUNCE_BYTES   0x10000 /* largest request of the copy engine */
#define TESTDEV_SCRATCH_BYTES  16
#define TESTDEV_ID             0x54534554 /* "TEST" */
#define TESTDEV_VERSION        0x00010000

enum testdev_timer {
    TESTDEV_TIMER_IRQ,
    TESTDEV_TIMER_COPY,
    TESTDEV_TIMER_READY,
    TESTDEV_TIMER_COUNT,
};

/* Option values; the order is that of the words in testdev.c. */
enum testdev_irq_kind {
    TESTDEV_IRQ_BOTH,
    TESTDEV_IRQ_MSIX,
    TESTDEV_IRQ_MSI,
    TESTDEV_IRQ_NONE,
};

enum testdev_bar4 {
    TESTDEV_BAR4_M32PF,
    TESTDEV_BAR4_M64,
    TESTDEV_BAR4_NONE,
};

enum testdev_reset_mode {
    TESTDEV_RESET_FLR,     /* everything works */
    TESTDEV_RESET_NOFLR,   /* power and hot */
    TESTDEV_RESET_HOTONLY, /* neither function level reset nor soft reset */
    TESTDEV_RESET_IGNORED, /* function level reset is offered and does nothing */
    TESTDEV_RESET_STUCK,   /* anything but a hot reset leaves it dead */
    TESTDEV_RESET_RETRY,   /* after any reset it stays not ready for ever */
    TESTDEV_RESET_DEAD,    /* any reset kills it */
};

struct testdev_options {
    uint64_t vectors;
    uint64_t irq;      /* enum testdev_irq_kind */
    uint64_t aperture; /* bytes of BAR 2 */
    uint64_t bar4;     /* enum testdev_bar4 */
    uint64_t reset;    /* enum testdev_reset_mode */
    uint64_t ready_after_ns;
    uint64_t latency_ns;
    uint64_t serial;
};

enum testdev_copy_status {
    TESTDEV_COPY_IDLE,
    TESTDEV_COPY_RUNNING,
    TESTDEV_COPY_DONE,
    TESTDEV_COPY_FAILED,
    TESTDEV_COPY_ABORTED,
};

/* What the copy engine works on; taken from the registers at the start command. */
struct testdev_copy_job {
    uint64_t source, destination, length, pattern;
    uint32_t request_bytes, vector, command;
};

/* Everything a reset takes back. Register names of docs/testdev.md. */
struct testdev_registers {
    uint8_t scratch_1;
    uint16_t scratch_2;
    uint32_t scratch_4;
    uint64_t scratch_8;
    uint8_t scratch_any[TESTDEV_SCRATCH_BYTES];
    uint8_t port_scratch[8];

    uint32_t count_read[4], count_write[4];
    uint64_t last_offset, last_value;
    uint32_t last_access;

    uint32_t fire_result;
    uint32_t timer_first, timer_span;
    uint64_t timer_period;
    uint32_t timer_count, timer_control, timer_ticks;
    uint64_t timer_deadline;
    uint64_t fired, sent, pending, lost;
    uint64_t fired_at; /* host's time of the last one */
    uint32_t fired_by_vector[MSIX_MAX_VECTORS];

    struct testdev_copy_job copy; /* what the next command takes */
    struct testdev_copy_job job;  /* what is being worked on */
    uint32_t copy_status, copy_error, copy_crc;
    uint64_t copy_done, copy_fault;
    uint64_t copy_began_ns, copy_time_ns; /* first request, 0 = not yet; from there to the end */

    uint64_t access_address, access_data;
    uint32_t access_command, access_status;
};

struct testdev {
    struct model model;
    struct config_space config;
    struct msi msi;
    struct msix msix;
    struct testdev_options options;
    bool is_dead;         /* until a hot reset, if that helps */
    uint8_t power_state;  /* 0 or 3 */
    uint32_t generation;  /* resets so far */
    uint32_t last_reset;  /* 1 + enum model_reset, 0 = none */
    uint8_t *aperture[2]; /* the direct ranges of BAR 2, borrowed; NULL before attach */
    struct testdev_registers regs;
    uint8_t window[TESTDEV_WINDOW_BYTES];
    uint8_t bounce[TESTDEV_BOUNCE_BYTES];
};

static inline uint64_t testdev_now(const struct testdev *dev)
{
    return dev->model.host.ops->now_ns(dev->model.host.context);
}

static inline void testdev_arm(struct testdev *dev, enum testdev_timer timer, uint64_t deadline_ns)
{
    dev->model.host.ops->timer_arm(dev->model.host.context, timer, deadline_ns);
}

static inline void testdev_cancel(struct testdev *dev, enum testdev_timer timer)
{
    dev->model.host.ops->timer_cancel(dev->model.host.context, timer);
}

/* testdev.c: stop answering until a hot reset. */
void testdev_die(struct testdev *dev);

/* testdev_registers.c: BAR 0, BAR 1 and the trapped window of BAR 2; fresh register values. */
void testdev_registers_init(struct testdev *dev);
uint64_t testdev_register_read(struct testdev *dev, uint64_t offset, unsigned width);
void testdev_register_write(struct testdev *dev, uint64_t offset, unsigned width, uint64_t value);
uint64_t testdev_port_read(struct testdev *dev, uint64_t offset, unsigned width);
void testdev_port_write(struct testdev *dev, uint64_t offset, unsigned width, uint64_t value);
uint64_t testdev_bytes_read(const uint8_t *bytes, unsigned width);
void testdev_bytes_write(uint8_t *bytes, unsigned width, uint64_t value);

/* testdev_irq.c */
void testdev_fire(struct testdev *dev, uint32_t vector);
uint32_t testdev_irq_mode(const struct testdev *dev);
void testdev_timer_written(struct testdev *dev); /* TIMER_CONTROL */
void testdev_timer_tick(struct testdev *dev);
void testdev_timer_resume(struct testdev *dev); /* after sleep or a reset that did nothing */

/* testdev_copy.c */
void testdev_copy_written(struct testdev *dev); /* COPY_COMMAND */
void testdev_copy_tick(struct testdev *dev);
void testdev_copy_resume(struct testdev *dev);
void testdev_access_written(struct testdev *dev); /* ACCESS_COMMAND */

#endif

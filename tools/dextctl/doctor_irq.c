/*
 * The doctor on interrupts: what is granted against what there is, and that each vector arrives.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "doctor.h"
#include "engine.h"
#include "patience.h"

#define CAP_ID_MSI     0x05
#define CAP_ID_MSIX    0x11
#define CAP_CONTROL    0x02
#define MSIX_ENABLE    0x8000
#define VECTORS_MOST   256 /* that the driver registers */
#define ARRIVE_SECONDS 0.5 /* for one fired vector; a machine under load takes some */
#define PAUSE_NS       50000
#define FIRE_MAX       64

/* Vectors the device has; 0 when it has no messages. */
static unsigned int device_vectors(const struct patient *patient, const char **kind)
{
    unsigned int msix = patient_capability(patient, CAP_ID_MSIX, false);
    unsigned int msi = patient_capability(patient, CAP_ID_MSI, false);
    *kind = msix ? "MSI-X" : "MSI";
    if (msix) {
        return (config_u16(&patient->image, msix + CAP_CONTROL) & 0x7ffu) + 1;
    }
    return msi ? 1u << ((config_u16(&patient->image, msi + CAP_CONTROL) >> 1) & 7u) : 0;
}

static bool msix_is_enabled(const struct patient *patient, unsigned int msix)
{
    uint64_t control = 0;
    kern_return_t code =
        apple_dext_config_read(patient->session.connection, msix + CAP_CONTROL, 2, &control);
    return code == KERN_SUCCESS && (control & MSIX_ENABLE) != 0;
}

/* Fewer vectors, or others, than the device has (field notes E2, E5). */
static void compare_granted(const struct patient *patient, struct doctor_step *step,
                            uint32_t granted, unsigned int wanted)
{
    unsigned int msix = patient_capability(patient, CAP_ID_MSIX, false);

    if (msix && !msix_is_enabled(patient, msix)) {
        doctor_warn(step, FINDING_IRQ_FALLBACK,
                    "%" PRIu32 " MSI vector%s granted in place of %u MSI-X vectors", granted,
                    granted == 1 ? "" : "s", wanted);
    } else if (granted < wanted && granted < VECTORS_MOST) {
        doctor_warn(step, FINDING_IRQ_FEWER, "%" PRIu32 " of %u %s vectors are granted", granted,
                    wanted, msix ? "MSI-X" : "MSI");
    }
}

static void on_wake(void *opaque)
{
    atomic_store((_Atomic bool *)opaque, true);
}

/* Wait for a vector's bit. *pending gathers what came meanwhile. */
static bool arrives(const struct patient *patient, uint32_t vector)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    double deadline = now_ms() + patience(ARRIVE_SECONDS) * 1e3;
    do {
        uint64_t pending[4] = {0};
        if (apple_dext_read_pending_irqs(patient->session.connection, pending) != KERN_SUCCESS) {
            return false;
        }
        if (pending[vector / 64] >> (vector % 64) & 1) {
            return true;
        }
        nanosleep(&pause, NULL);
    } while (now_ms() < deadline);
    return false;
}

static void fire_all(struct patient *patient, struct doctor_step *step, struct engine *engine,
                     uint32_t granted)
{
    _Atomic bool woken = false;
    uint32_t count = granted < FIRE_MAX ? granted : FIRE_MAX;
    double worst = 0;
    AppleDextInterruptNotify *notify =
        apple_dext_interrupt_notify_create(patient->session.connection, on_wake, &woken);

    for (uint32_t vector = 0; vector < count; vector++) {
        double start = now_ms();
        engine->ops->fire(engine, vector);
        bool came = arrives(patient, vector);
        engine->ops->acknowledge(engine, vector);
        if (!came) {
            doctor_fail(step, FINDING_IRQ_LOST,
                        "vector %" PRIu32 " of %" PRIu32
                        " was fired and did not arrive within %.0f ms",
                        vector, granted, patience(ARRIVE_SECONDS) * 1e3);
            break;
        }
        worst = now_ms() - start > worst ? now_ms() - start : worst;
    }
    /* The wake-up of the first vector comes by another path than its bit. */
    for (double end = now_ms() + patience(ARRIVE_SECONDS) * 1e3;
         notify && step->result != DOCTOR_FAILED && !atomic_load(&woken) && now_ms() < end;) {
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    apple_dext_interrupt_notify_destroy(notify);
    if (step->result != DOCTOR_FAILED && !atomic_load(&woken)) {
        doctor_fail(step, FINDING_IRQ_LOST, "vectors are pending but nobody is woken");
    }
    if (step->result == DOCTOR_OK) {
        doctor_say(step, "%" PRIu32 " vectors granted, %" PRIu32 " fired, the slowest took %.2f ms",
                   granted, count, worst);
    }
}

void doctor_check_interrupts(struct patient *patient, struct doctor_step *step)
{
    const struct engine_ops *ops =
        engine_find(patient->instance.vendor_id, patient->instance.device_id);
    struct engine engine = {0};
    const char *kind = NULL;
    unsigned int wanted = device_vectors(patient, &kind);
    uint32_t granted = 0;

    if (wanted == 0) {
        doctor_warn(step, FINDING_IRQ_LEGACY, "neither MSI nor MSI-X");
        return;
    }
    if (patient->has_statistics && !patient->may_disturb) {
        doctor_skip(step, "the device is in use by another client");
        return;
    }
    kern_return_t code = apple_dext_setup_interrupts(patient->session.connection, &granted);
    if (code == kIOReturnStillOpen) {
        doctor_skip(step, "another client has them");
        return;
    }
    if (code != KERN_SUCCESS || granted == 0) {
        doctor_fail(step, FINDING_IRQ_NONE, "of %u %s vectors none is granted: %s", wanted, kind,
                    code_text(code));
        return;
    }
    compare_granted(patient, step, granted, wanted);
    const char *obstacle = !ops                         ? "its registers are not known here"
                           : patient->broken & NEED_MAP ? "its registers cannot be mapped"
                           : !patient->may_disturb      ? "another client may use it"
                                                        : NULL;
    if (!obstacle && engine_open(&engine, ops, &patient->session) != STATUS_OK) {
        obstacle = "its registers cannot be mapped";
    }
    if (!obstacle) {
        fire_all(patient, step, &engine, granted);
        engine_close(&engine);
    } else if (step->result == DOCTOR_OK) { /* a warning's line says more */
        doctor_say(step, "%" PRIu32 " %s vectors granted; not fired: %s", granted, kind, obstacle);
    }
}

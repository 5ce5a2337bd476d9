/*
 * Opening a service with a deadline: IOServiceOpen itself waits for the driver without end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/open.h"

#include <mach/mach.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "client/clock.h"

/* Shared by the caller and its helper; whoever is last frees it. */
struct open_job {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    bool is_abandoned; /* nobody waits any more */
    bool wants_identity;
    io_service_t service; /* a reference of the job's */
    io_connect_t port;
    kern_return_t status;
    uint64_t identity[CLIENT_IDENTITY_WORDS];
};

static struct open_job *job_create(const struct client_open_request *request)
{
    struct open_job *job = calloc(1, sizeof(*job));

    if (job == NULL) {
        return NULL;
    }
    if (IOObjectRetain(request->service) != kIOReturnSuccess) {
        free(job);
        return NULL;
    }
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->changed, NULL);
    job->service = request->service;
    job->wants_identity = request->wants_identity;
    return job;
}

static void job_destroy(struct open_job *job)
{
    IOObjectRelease(job->service);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static kern_return_t job_run(struct open_job *job)
{
    uint32_t count = CLIENT_IDENTITY_WORDS;
    kern_return_t status =
        IOServiceOpen(job->service, mach_task_self(), DEXT_USER_CLIENT_TYPE, &job->port);

    if (status != kIOReturnSuccess) {
        job->port = IO_OBJECT_NULL;
        return status;
    }
    if (job->wants_identity) {
        status = IOConnectCallScalarMethod(job->port, DEXT_SEL_GET_IDENTITY, NULL, 0, job->identity,
                                           &count);
        if (status == kIOReturnSuccess && count < CLIENT_IDENTITY_WORDS) {
            status = kIOReturnUnderrun;
        }
    }
    if (status != kIOReturnSuccess) {
        IOServiceClose(job->port);
        job->port = IO_OBJECT_NULL;
    }
    return status;
}

static void *job_main(void *opaque)
{
    struct open_job *job = opaque;
    kern_return_t status = job_run(job);

    pthread_mutex_lock(&job->lock);
    job->status = status;
    job->is_done = true;
    bool is_abandoned = job->is_abandoned;
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->lock);
    if (is_abandoned) {
        if (job->port != IO_OBJECT_NULL) {
            IOServiceClose(job->port);
        }
        job_destroy(job);
    }
    return NULL;
}

/* Signals of the process are not for a helper, except those that its own faults raise. */
static kern_return_t job_start(struct open_job *job)
{
    sigset_t blocked, before;
    pthread_attr_t attributes;
    pthread_t thread;

    if (pthread_attr_init(&attributes) != 0) {
        return kIOReturnNoMemory;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGTRAP);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int error = pthread_create(&thread, &attributes, job_main, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error == 0 ? kIOReturnSuccess : kIOReturnNoResources;
}

kern_return_t client_open(const struct client_open_request *request, io_connect_t *out_port,
                          uint64_t identity[CLIENT_IDENTITY_WORDS])
{
    uint64_t deadline_ms = client_clock_ms() + client_patience_ms(request->deadline_ms);
    struct open_job *job = job_create(request);
    kern_return_t status;
    bool is_late = false;

    if (job == NULL) {
        return kIOReturnNoMemory;
    }
    status = job_start(job);
    if (status != kIOReturnSuccess) {
        job_destroy(job);
        return status;
    }
    pthread_mutex_lock(&job->lock);
    while (!job->is_done && !is_late) {
        is_late = client_wait_until(&job->changed, &job->lock, deadline_ms);
    }
    bool is_done = job->is_done;
    job->is_abandoned = !is_done;
    pthread_mutex_unlock(&job->lock);
    if (!is_done) {
        return kIOReturnTimeout; /* the job is the helper's now */
    }
    status = job->status;
    if (status == kIOReturnSuccess) {
        *out_port = job->port;
        if (job->wants_identity) {
            memcpy(identity, job->identity, sizeof(job->identity));
        }
    }
    job_destroy(job);
    return status;
}

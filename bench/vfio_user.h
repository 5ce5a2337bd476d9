/*
 * What a VMM pays for the path through dext-vfio-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_VFIO_USER_H
#define DEXTLINK_BENCH_VFIO_USER_H

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

#include "measure.h"
#include "pingpong.h"

#define BENCH_VFIO_USER         "testdev,addr=05:00.0,dart=identity"
#define BENCH_VFIO_USER_ADDRESS "05:00.0"

/* A dext-vfio-user of our own, for as long as it is measured, and a connection to it. */
struct vfio_user {
    pid_t pid;
    int fd;             /* -1 = not connected */
    char directory[64]; /* where its socket is */
    uint16_t last_id;
};

/**
 * Start the dext-vfio-user at path and negotiate. With has_device it brings BENCH_VFIO_USER itself,
 * else it finds it at the dextd of DEXTLINK_SOCKET. false with one line on stderr.
 */
bool vfio_user_start(struct vfio_user *peer, const char *path, bool has_device);
void vfio_user_stop(struct vfio_user *peer);

/* A message to send: its payload in two pieces, and perhaps a descriptor. */
struct vfio_user_request {
    uint16_t command;
    const void *head, *data;
    size_t head_bytes, data_bytes;
    int fd; /* -1 = none */
};

/** Send a request that wants no reply. false with one line on stderr. */
bool vfio_user_post(struct vfio_user *peer, const struct vfio_user_request *request);

/** Send a request and wait for a reply of at most size bytes. false with one line on stderr. */
bool vfio_user_ask(struct vfio_user *peer, const struct vfio_user_request *request, void *reply,
                   size_t size);

/**
 * Measure. Returns the figures, the caller's; NULL with one line on stderr.
 *
 * region_read beside ping_pong, map_unmap at several numbers of live regions, interrupt: from
 * before the posted write that fires a vector until its eventfd has been read.
 */
json_object *vfio_user_measure(struct vfio_user *peer, const struct measure_plan *plan,
                               struct pingpong *pingpong);

/** Print the figures of both hosts as a table. */
void vfio_user_report(json_object *embedded, json_object *dextd);

#endif

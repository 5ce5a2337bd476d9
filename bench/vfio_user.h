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

/* A server of its own for each number of live regions, so that they take turns. */
#define BENCH_VFIO_USERS 3
extern const char *const bench_vfio_users[BENCH_VFIO_USERS];

/* A dext-vfio-user of our own, for as long as it is measured, and a connection to it. */
struct vfio_user {
    pid_t pid;
    int fd;             /* -1 = not connected */
    char directory[64]; /* where its socket is */
    uint16_t last_id;
};

/**
 * Start the dext-vfio-user at path and negotiate. With has_device it brings the device itself, else
 * it finds it at the dextd of DEXTLINK_SOCKET. false with one line on stderr.
 */
bool vfio_user_start(struct vfio_user *peer, const char *path, const char *device, bool has_device);
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
 * Measure with the dext-vfio-user at path. Returns the figures, the caller's; NULL with one line on
 * stderr.
 *
 * region_read beside ping_pong, the two sides of either on processors of their own; the same
 * "_together" with both on one; map_unmap at several numbers of live regions; interrupt: from
 * before the posted write that fires a vector until its eventfd has been read. A dextd runs where
 * it will.
 */
json_object *vfio_user_measure(const char *path, bool has_device, const struct measure_plan *plan,
                               struct pingpong *pingpong);

/** The array of map_unmap, the caller's: a row for each number of live regions. NULL with one line
 * on stderr. */
json_object *vfio_user_measure_maps(struct vfio_user peers[BENCH_VFIO_USERS],
                                    const struct measure_plan *plan);

/** Print the figures of both hosts as a table. */
void vfio_user_report(json_object *embedded, json_object *dextd);

#endif

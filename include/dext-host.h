/*
 * The software host: what the kernel and DriverKit do on a Mac, for machines that have neither. It
 * owns a registry, runs one VFIOUserPCIDriver a device, and serves clients: those of this process
 * without any socket (the embedded host), those of other processes over a Unix socket (dextd).
 *
 * Conventions: functions that may fail return 0 or -errno; where there is an errp it may be NULL,
 * and on failure *errp is one malloc'ed line of text that the caller frees. Every function may be
 * called from any thread. A host's calls may block while a device resets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_HOST_H
#define DEXTLINK_DEXT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct DextHost DextHost;

typedef struct DextHostOptions {
    uint32_t page_size; /* what clients see as vm_page_size: 4096, 16384 or 0 (the machine's) */
    bool access_open;   /* unclaimed clients may access, as on the real dext (reads give ones) */
    const char *group;  /* socket: name of a group whose members may connect; NULL = own uid only */
    uint32_t per_client; /* socket: channels (connections to the host and open user clients) that
                          * one client process, or another user, may have; 2 to 65,536, 0 (1,024) */
} DextHostOptions;

/* What a host holds at this moment: for tests and for people. */
typedef struct DextHostUsage {
    uint64_t sessions;    /* client processes */
    uint64_t connections; /* open user clients */
    uint64_t claims;
    uint64_t regions; /* live DMA mappings of clients */
    uint64_t bytes;   /* bytes mapped for DMA */
} DextHostUsage;

/**
 * Make a host without devices. options may be NULL.
 * Returns NULL with *errp set: bad page size or per_client, out of memory.
 */
DextHost *dext_host_create(const DextHostOptions *options, char **errp);

/**
 * Add a device: "MODEL,addr=BB:DD.F[,root=NAME][,dart=identity|apple][,aperture=BYTES]
 * [,slots=N][,segment=BYTES][,KEY=VALUE…]", e.g. "edu,addr=01:00.0". Its service is matched at
 * once. "replay,file=PATH" without addr adds every function in the file, or none. -EINVAL unknown
 * model or key, address out of range, malformed text (all named in *errp); -EEXIST two devices at
 * one address under one root; -ENOMEM.
 */
int dext_host_add_device(DextHost *host, const char *specification, char **errp);

/**
 * Take a device away as if it were unplugged: clients see ones, then a terminated service.
 * address is "BB:DD.F" or "ROOT/BB:DD.F". -ENOENT, -EINVAL.
 */
int dext_host_remove_device(DextHost *host, const char *address, char **errp);

/**
 * Let clients of this process use the host without a socket: from here on IOKit calls of this
 * process go to it, whatever DEXTLINK_SOCKET says. One host a process: -EBUSY.
 */
int dext_host_embed(DextHost *host, char **errp);

/**
 * Serve other processes at a Unix socket until dext_host_destroy. path NULL: DEXTLINK_SOCKET, else
 * dextlink.sock in the per-user runtime directory. A socket file left by a dead host is replaced.
 * -EADDRINUSE somebody serves there; -ENAMETOOLONG; -errno of the socket calls.
 */
int dext_host_serve(DextHost *host, const char *path, char **errp);

/** Where dext_host_serve listens; NULL before. Borrowed, valid until dext_host_destroy. */
const char *dext_host_socket_path(const DextHost *host);

void dext_host_get_usage(DextHost *host, DextHostUsage *usage);

/**
 * End a host: clients see their services terminate and their connections die, then everything they
 * held is released and the socket is removed. Handles that clients of this process still have stay
 * dead names until they release them. NULL is fine. Not from a callback.
 */
void dext_host_destroy(DextHost *host);

/**
 * Why IOKit calls of this process find no devices, for people: a line that names the socket and
 * what happened there, cut to bytes. "" when the last look for a host found one, or there was none.
 */
void dext_host_why_none(char *text, size_t bytes);

/** The index-th kind of device: name, one line of summary, option help. false past the end. */
bool dext_host_model_at(size_t index, const char **name, const char **summary,
                        const char **options);

#ifdef __cplusplus
}
#endif

#endif

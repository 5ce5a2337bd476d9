/*
 * The wrapped functions: each fails as its manual says when it is its turn.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fail_call.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

/* How many callers tell one call from another: enough to reach from a codec to what it is for. */
#define DEPTH    10
#define WAYS_MAX 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* all below */
static bool is_armed;
static const char *failed;
static uint64_t ways[WAYS_MAX]; /* hashes of the stacks that have failed; 0: free */

void fail_call_arm(void)
{
    pthread_mutex_lock(&lock);
    is_armed = true;
    failed = NULL;
    pthread_mutex_unlock(&lock);
}

bool fail_call_has_failed(void)
{
    pthread_mutex_lock(&lock);
    bool has_failed = failed != NULL;
    pthread_mutex_unlock(&lock);
    return has_failed;
}

void fail_call_forget(void)
{
    pthread_mutex_lock(&lock);
    memset(ways, 0, sizeof(ways));
    pthread_mutex_unlock(&lock);
}

const char *fail_call_disarm(void)
{
    pthread_mutex_lock(&lock);
    is_armed = false;
    const char *name = failed;
    pthread_mutex_unlock(&lock);
    return name;
}

static uint64_t hash_way(void *const *frames, int count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < count; i++) {
        hash = (hash ^ (uintptr_t)frames[i]) * UINT64_C(0x100000001b3);
    }
    return hash | 1;
}

/* Whether it is new; from now on it is not. */
static bool way_is_new(uint64_t way)
{
    size_t at = (way >> 20) % WAYS_MAX;
    while (ways[at] != 0 && ways[at] != way) {
        at = (at + 1) % WAYS_MAX;
    }
    bool is_new = ways[at] == 0;
    ways[at] = way;
    return is_new;
}

static bool is_turn(const char *name)
{
    void *frames[DEPTH];
    bool is_mine = false;
    pthread_mutex_lock(&lock);
    if (is_armed) {
        is_mine = way_is_new(hash_way(frames, backtrace(frames, DEPTH)));
        if (is_mine) {
            is_armed = false;
            failed = name;
        }
    }
    pthread_mutex_unlock(&lock);
    return is_mine;
}

/* TYPE result of the function NAME, which on its turn sets errno to ERROR and returns BAD. */
#define WRAP(type, name, parameters, arguments, error, bad)                                        \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        if (is_turn(#name)) {                                                                      \
            errno = (error);                                                                       \
            return bad;                                                                            \
        }                                                                                          \
        return __real_##name arguments;                                                            \
    }

WRAP(void *, malloc, (size_t bytes), (bytes), ENOMEM, NULL)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), ENOMEM, NULL)
WRAP(void *, realloc, (void *old, size_t bytes), (old, bytes), ENOMEM, NULL)
WRAP(char *, strdup, (const char *text), (text), ENOMEM, NULL)
WRAP(int, vasprintf, (char **text, const char *format, va_list list), (text, format, list), ENOMEM,
     -1)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, -1)
WRAP(int, connect, (int fd, const struct sockaddr *address, socklen_t length),
     (fd, address, length), ECONNREFUSED, -1)
WRAP(int, socketpair, (int domain, int type, int protocol, int ends[2]),
     (domain, type, protocol, ends), EMFILE, -1)
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length),
     EACCES, -1)
WRAP(int, listen, (int fd, int backlog), (fd, backlog), EADDRINUSE, -1)
WRAP(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
     (fd, address, length, flags), EMFILE, -1)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), ENOMEM,
     -1)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),
     ENOBUFS, -1)
WRAP(int, eventfd, (unsigned initial, int flags), (initial, flags), EMFILE, -1)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE, -1)
WRAP(int, ftruncate64, (int fd, off_t length), (fd, length), ENOSPC, -1)
WRAP(void *, mmap64, (void *where, size_t length, int protection, int flags, int fd, off_t offset),
     (where, length, protection, flags, fd, offset), ENOMEM, MAP_FAILED)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*main)(void *), void *argument),
     (thread, attributes, main, argument), EAGAIN, EAGAIN)

/* Of fcntl only what makes a descriptor may fail. */
int __real_fcntl64(int fd, int command, long argument);
int __wrap_fcntl64(int fd, int command, long argument);

int __wrap_fcntl64(int fd, int command, long argument)
{
    enum { DUPLICATE_CLOEXEC = 1030 };
    if (command == DUPLICATE_CLOEXEC && is_turn("fcntl")) {
        errno = EMFILE;
        return -1;
    }
    return __real_fcntl64(fd, command, argument);
}

/* The real one would allocate out of our sight. */
int __wrap_asprintf(char **text, const char *format, ...);

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = __wrap_vasprintf(text, format, list);
    va_end(list);
    return length;
}

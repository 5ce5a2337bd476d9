/*
 * The calls on files, wrapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "file_faults.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

struct fault reading, writing, syncing, punching;

static bool call_fails(struct fault *fault)
{
    if (fault->error == 0 || fault->calls_left-- > 0) {
        return false;
    }
    errno = fault->error;
    return true;
}

void fail_after(struct fault *fault, int calls, int error)
{
    fault->calls_left = calls;
    fault->error = error;
}

void heal(void)
{
    reading.error = writing.error = syncing.error = punching.error = 0;
    reading.is_short = writing.is_short = false;
}

ssize_t __real_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __real_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fallocate64(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes);

#define LEAST_SHARED 8192 /* halves are whole units of direct access */

/* Half of the first piece, or all of them. */
static int shortened(const struct fault *fault, const struct iovec *pieces, int count,
                     struct iovec *out)
{
    memcpy(out, pieces, (size_t)count * sizeof(*pieces));
    if (!fault->is_short || pieces[0].iov_len <= LEAST_SHARED) {
        return count;
    }
    out[0].iov_len /= 2;
    return 1;
}

ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    struct iovec fewer[64];
    return call_fails(&reading)
               ? -1
               : __real_preadv64(fd, fewer, shortened(&reading, pieces, count, fewer), offset);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    struct iovec fewer[64];
    return call_fails(&writing)
               ? -1
               : __real_pwritev64(fd, fewer, shortened(&writing, pieces, count, fewer), offset);
}

int __wrap_fdatasync(int fd)
{
    return call_fails(&syncing) ? -1 : __real_fdatasync(fd);
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes)
{
    return call_fails(&punching) ? -1 : __real_fallocate64(fd, mode, offset, bytes);
}

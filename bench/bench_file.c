/*
 * The file an NVMe namespace is on while it is measured.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (1 << 20)

static bool fill(int fd)
{
    uint8_t *piece = malloc(PIECE_BYTES);
    bool ok = piece != NULL;

    if (ok) {
        memset(piece, 0x5a, PIECE_BYTES);
    }
    for (uint64_t at = 0; ok && at < BENCH_FILE_BYTES; at += PIECE_BYTES) {
        ok = pwrite(fd, piece, PIECE_BYTES, (off_t)at) == PIECE_BYTES;
    }
    free(piece);
    return ok && fdatasync(fd) == 0;
}

bool bench_file_create(struct bench_file *file, const char *directory)
{
    snprintf(file->path, sizeof(file->path), "%s/dextbench.XXXXXX", directory);
    int fd = mkostemp(file->path, O_CLOEXEC);
    bool ok = fd >= 0 && fill(fd);
    if (!ok) {
        fprintf(stderr, "dextbench: cannot make a file of 128 MiB in %s: %s\n", directory,
                strerror(errno));
    }
    if (fd < 0) {
        file->path[0] = '\0';
    } else {
        close(fd);
    }
    snprintf(file->device, sizeof(file->device), "%s%s", BENCH_NVME_FILE, file->path);
    return ok;
}

void bench_file_remove(struct bench_file *file)
{
    if (file->path[0] != '\0') {
        unlink(file->path);
        file->path[0] = '\0';
    }
}

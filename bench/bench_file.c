/*
 * The files that NVMe namespaces are on while they are measured.
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

static bool fill(int fd, uint64_t bytes)
{
    uint8_t *piece = malloc(PIECE_BYTES);
    bool ok = piece != NULL;

    if (ok) {
        memset(piece, 0x5a, PIECE_BYTES);
    }
    for (uint64_t at = 0; ok && at < bytes; at += PIECE_BYTES) {
        ok = pwrite(fd, piece, PIECE_BYTES, (off_t)at) == PIECE_BYTES;
    }
    free(piece);
    return ok && fdatasync(fd) == 0;
}

static bool file_create(struct bench_file *file, const char *directory, const char *device,
                        uint64_t bytes)
{
    snprintf(file->path, sizeof(file->path), "%s/dextbench.XXXXXX", directory);
    int fd = mkostemp(file->path, O_CLOEXEC);
    bool ok = fd >= 0 && fill(fd, bytes);
    if (!ok) {
        fprintf(stderr, "dextbench: cannot make a file of %u MiB in %s: %s\n",
                (unsigned)(bytes >> 20), directory, strerror(errno));
    }
    if (fd < 0) {
        file->path[0] = '\0';
    } else {
        close(fd);
    }
    snprintf(file->device, sizeof(file->device), "%s%s", device, file->path);
    return ok;
}

static void file_remove(struct bench_file *file)
{
    if (file->path[0] != '\0') {
        unlink(file->path);
        file->path[0] = '\0';
    }
}

static bool takes_direct(const char *path)
{
    int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

bool bench_files_create(struct bench_files *files, const char *directory)
{
    if (!file_create(&files->cached, directory, BENCH_NVME_FILE, BENCH_FILE_BYTES) ||
        !file_create(&files->direct, directory, BENCH_NVME_DIRECT, BENCH_DIRECT_BYTES)) {
        return false;
    }
    if (!takes_direct(files->direct.path)) {
        file_remove(&files->direct);
    }
    return true;
}

void bench_files_remove(struct bench_files *files)
{
    file_remove(&files->cached);
    file_remove(&files->direct);
}

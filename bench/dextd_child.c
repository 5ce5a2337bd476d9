/*
 * Starting and ending a dextd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dextd_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

#define PATH_BYTES 96

static void log_path(const struct dextd_child *child, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/dextd.log", child->directory);
}

/* What dextd said, for a failure; its line when all is well would stand among the figures. */
static void print_log(const struct dextd_child *child)
{
    char path[PATH_BYTES];
    char line[512];

    log_path(child, path);
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof(line), log)) {
        fputs(line, stderr);
    }
    if (log) {
        fclose(log);
    }
}

static void run_dextd(const struct dextd_child *child, const char *path, const char *socket,
                      const char *const *devices, size_t count, int ready_fd)
{
    char log[PATH_BYTES];
    char fd_text[16];
    const char *const fixed[] = {path, "--socket", socket, "--ready-fd", fd_text};
    const char **argv = calloc(sizeof(fixed) / sizeof(*fixed) + 2 * count + 1, sizeof(*argv));
    size_t used = sizeof(fixed) / sizeof(*fixed);

    if (!argv) {
        _exit(127);
    }
    memcpy(argv, fixed, sizeof(fixed));

    snprintf(fd_text, sizeof(fd_text), "%d", ready_fd);
    for (size_t i = 0; i < count; i++) {
        argv[used++] = "--device";
        argv[used++] = devices[i];
    }
    log_path(child, log);
    int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        dup2(fd, STDERR_FILENO);
    }
    execv(path, (char *const *)argv);
    fprintf(stderr, "dextbench: cannot run %s: %s\n", path, strerror(errno));
    _exit(127);
}

bool dextd_child_start(struct dextd_child *child, const char *path, const char *const *devices,
                       size_t count)
{
    char socket[PATH_BYTES];
    int ready[2];
    char byte;

    *child = (struct dextd_child){.pid = -1};
    snprintf(child->directory, sizeof(child->directory), "/tmp/dextbench.XXXXXX");
    if (!mkdtemp(child->directory) || pipe(ready) != 0) {
        fprintf(stderr, "dextbench: cannot start dextd: %s\n", strerror(errno));
        return false;
    }
    snprintf(socket, sizeof(socket), "%s/dext.sock", child->directory);
    double start = clock_us();
    child->pid = fork();
    if (child->pid == 0) {
        close(ready[0]);
        run_dextd(child, path, socket, devices, count, ready[1]);
    }
    close(ready[1]);
    bool ok = child->pid > 0 && read(ready[0], &byte, 1) == 1;
    child->ready_us = clock_us() - start;
    close(ready[0]);
    if (!ok) {
        print_log(child);
        fprintf(stderr, "dextbench: %s did not get ready\n", path);
        dextd_child_stop(child);
        return false;
    }
    return setenv("DEXTLINK_SOCKET", socket, 1) == 0;
}

void dextd_child_stop(struct dextd_child *child)
{
    char log[PATH_BYTES];

    if (child->pid > 0) {
        kill(child->pid, SIGTERM);
        waitpid(child->pid, NULL, 0);
    }
    log_path(child, log);
    unlink(log);
    rmdir(child->directory);
    *child = (struct dextd_child){.pid = -1};
}

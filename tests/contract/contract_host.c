/*
 * The host of a configuration: embedded, or a dextd at a private socket.
 *
 * A host that does not start or end as it must is the end of the executable: no test could tell
 * anything after that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "contract.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract_host.h"

enum { DEVICES_MAX = 16, SPECIFICATION_MAX = 256 };

static struct {
    DextHost *embedded;
    pid_t pid;
    char directory[64];
    char socket[80];
} host;

static void give_up(const char *what, const char *why) __attribute__((noreturn));

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "contract: %s: %s\n", what, why ? why : "no reason given");
    exit(99);
}

pid_t contract_host_pid(void)
{
    return host.pid;
}

static const char *specification(const char *device, char text[SPECIFICATION_MAX])
{
    snprintf(text, SPECIFICATION_MAX, "%s%s", device, contract.is_identity ? ",dart=identity" : "");
    return text;
}

static void start_embedded(const char *const *devices)
{
    const DextHostOptions options = {.page_size = contract.page_size,
                                     .access_open = contract.is_open};
    char text[SPECIFICATION_MAX];
    char *cause = NULL;
    host.embedded = dext_host_create(&options, &cause);
    if (!host.embedded) {
        give_up("dext_host_create", cause);
    }
    for (size_t i = 0; devices[i]; i++) {
        if (dext_host_add_device(host.embedded, specification(devices[i], text), &cause)) {
            give_up(devices[i], cause);
        }
    }
    if (dext_host_embed(host.embedded, &cause)) {
        give_up("dext_host_embed", cause);
    }
}

static void exec_dextd(const char *const *devices, int ready_fd)
{
    static char texts[DEVICES_MAX][SPECIFICATION_MAX];
    const char *arguments[2 * DEVICES_MAX + 12];
    char ready[16];
    char page[16];
    size_t used = 0;
    snprintf(ready, sizeof(ready), "%d", ready_fd);
    snprintf(page, sizeof(page), "%u", contract.page_size);
    const char *const fixed[] = {DEXTD_PATH,   "--socket", host.socket,
                                 "--ready-fd", ready,      "--page-size",
                                 page,         "--access", contract.is_open ? "open" : "claimed"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        arguments[used++] = fixed[i];
    }
    for (size_t i = 0; devices[i] && i < DEVICES_MAX; i++) {
        arguments[used++] = "--device";
        arguments[used++] = specification(devices[i], texts[i]);
    }
    arguments[used] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Its lines are for people, and its warnings are what the tests provoke. */
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(quiet, STDOUT_FILENO);
    if (!getenv("CONTRACT_VERBOSE")) {
        setenv("DEXTLINK_LOG", "error", 1);
    }
    execv(DEXTD_PATH, (char *const *)arguments);
    _exit(127);
}

static void start_dextd(const char *const *devices)
{
    int ready[2];
    char byte;
    if (!host.directory[0]) { /* one place for all dextds of a run: a new one follows an old one */
        snprintf(host.directory, sizeof(host.directory), "/tmp/dext-contract.XXXXXX");
        if (!mkdtemp(host.directory)) {
            give_up("mkdtemp", strerror(errno));
        }
        snprintf(host.socket, sizeof(host.socket), "%s/dext.sock", host.directory);
        setenv("DEXTLINK_SOCKET", host.socket, 1);
    }
    if (pipe(ready)) {
        give_up("pipe", strerror(errno));
    }
    host.pid = fork();
    if (host.pid == 0) {
        close(ready[0]);
        exec_dextd(devices, ready[1]);
    }
    close(ready[1]);
    ssize_t got = host.pid > 0 ? read(ready[0], &byte, 1) : -1;
    if (got == 1) { /* it closes its end then: from there on its descriptors can be counted */
        (void)!read(ready[0], &byte, 1);
    }
    close(ready[0]);
    if (got != 1) {
        give_up(DEXTD_PATH, "did not get ready");
    }
}

void contract_host_start(const char *const *devices)
{
    if (contract.is_remote) {
        start_dextd(devices);
    } else {
        start_embedded(devices);
    }
}

static int reap(void)
{
    int status = -1;
    waitpid(host.pid, &status, 0);
    host.pid = 0;
    return status;
}

static void check_usage(void)
{
    DextHostUsage usage;
    dext_host_get_usage(host.embedded, &usage);
    if (usage.connections || usage.claims || usage.regions || usage.bytes) {
        give_up("the host", "holds a connection, a claim or memory at the end");
    }
}

void contract_host_end(void)
{
    if (!contract.is_remote) {
        check_usage();
        contract_host_kill();
        return;
    }
    kill(host.pid, SIGTERM);
    int status = reap();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        give_up("dextd", "did not end with 0 on SIGTERM");
    }
    if (rmdir(host.directory)) {
        give_up("dextd left something behind", host.directory);
    }
    host.directory[0] = '\0';
}

void contract_host_kill(void)
{
    if (contract.is_remote) {
        kill(host.pid, SIGKILL);
        reap();
    } else {
        dext_host_destroy(host.embedded);
        host.embedded = NULL;
    }
}

DextHost *contract_embedded_host(void)
{
    return host.embedded;
}

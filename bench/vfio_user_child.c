/*
 * Starting and ending a dext-vfio-user, and messages to it and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vfio_user.h"
#include "vfiouser/protocol.h"

#define SOCKET_NAME "vfio-user.sock"
#define VERSION_MAX 256

static bool complain(const char *what)
{
    fprintf(stderr, "dextbench: dext-vfio-user: %s: %s\n", what,
            errno ? strerror(errno) : "unexpected answer");
    return false;
}

static void socket_path(const struct vfio_user *peer, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/" SOCKET_NAME, peer->directory);
}

static void run_server(const char *path, const char *socket, const char *device, bool has_device,
                       int ready_fd)
{
    char fd_text[16];
    char address[16];
    const char *argv[12] = {path, "--socket", socket, "--host", address, "--ready-fd", fd_text};

    snprintf(fd_text, sizeof(fd_text), "%d", ready_fd);
    snprintf(address, sizeof(address), "%.7s", strstr(device, "addr=") + strlen("addr="));
    if (has_device) {
        argv[7] = "--device";
        argv[8] = device;
    }
    /* Its progress would stand among the figures. */
    int said = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (!freopen("/dev/null", "w", stderr)) {
        _exit(126);
    }
    execv(path, (char *const *)argv);
    dprintf(said, "dextbench: cannot run %s: %s\n", path, strerror(errno));
    _exit(127);
}

static bool start_child(struct vfio_user *peer, const char *path, const char *device,
                        bool has_device)
{
    struct sockaddr_un address;
    int ready[2];
    char byte;

    socket_path(peer, &address);
    if (pipe(ready) != 0) {
        return complain("pipe");
    }
    peer->pid = fork();
    if (peer->pid == 0) {
        close(ready[0]);
        run_server(path, address.sun_path, device, has_device, ready[1]);
    }
    close(ready[1]);
    bool ok = peer->pid > 0 && read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    if (!ok) {
        fprintf(stderr, "dextbench: %s did not get ready\n", path);
    }
    return ok;
}

static bool negotiate(struct vfio_user *peer)
{
    static const uint8_t version_0_0[4];
    const struct vfio_user_request request = {
        .command = VU_VERSION, .head = version_0_0, .head_bytes = sizeof(version_0_0), .fd = -1};
    uint8_t reply[VERSION_MAX];
    return vfio_user_ask(peer, &request, reply, sizeof(reply));
}

bool vfio_user_start(struct vfio_user *peer, const char *path, const char *device, bool has_device)
{
    struct sockaddr_un address;

    *peer = (struct vfio_user){.pid = -1, .fd = -1};
    snprintf(peer->directory, sizeof(peer->directory), "/tmp/dextbench.XXXXXX");
    if (!mkdtemp(peer->directory)) {
        return complain("directory");
    }
    if (!start_child(peer, path, device, has_device)) {
        return false;
    }
    socket_path(peer, &address);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        return complain("connect");
    }
    return negotiate(peer);
}

void vfio_user_stop(struct vfio_user *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    if (peer->pid > 0) {
        kill(peer->pid, SIGTERM);
        waitpid(peer->pid, NULL, 0);
    }
    if (peer->directory[0] != '\0') {
        rmdir(peer->directory);
    }
    *peer = (struct vfio_user){.pid = -1, .fd = -1};
}

static bool send_request(struct vfio_user *peer, const struct vfio_user_request *request,
                         uint32_t flags)
{
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    const struct vu_header header = {
        .id = ++peer->last_id,
        .command = request->command,
        .size = (uint32_t)(sizeof(header) + request->head_bytes + request->data_bytes),
        .flags = flags,
    };
    struct iovec pieces[3] = {
        {(void *)(uintptr_t)&header, sizeof(header)},
        {(void *)(uintptr_t)request->head, request->head_bytes},
        {(void *)(uintptr_t)request->data, request->data_bytes},
    };
    struct msghdr to = {.msg_iov = pieces, .msg_iovlen = 3};

    if (request->fd >= 0) {
        memset(&control, 0, sizeof(control));
        to.msg_control = control.bytes;
        to.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *first = CMSG_FIRSTHDR(&to);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(first), &request->fd, sizeof(int));
    }
    errno = 0;
    return sendmsg(peer->fd, &to, MSG_NOSIGNAL) == (ssize_t)header.size || complain("send");
}

bool vfio_user_post(struct vfio_user *peer, const struct vfio_user_request *request)
{
    return send_request(peer, request, VU_HEADER_COMMAND | VU_HEADER_NO_REPLY);
}

/* A reply in one piece, as any server sends it, is taken by one call, as the floor's is. */
static bool receive_reply(struct vfio_user *peer, struct vu_header *header, void *reply,
                          size_t size)
{
    struct iovec pieces[2] = {{header, sizeof(*header)}, {reply, size}};
    struct msghdr from = {.msg_iov = pieces, .msg_iovlen = size > 0 ? 2 : 1};
    ssize_t have = recvmsg(peer->fd, &from, 0);

    if (have < (ssize_t)sizeof(*header) || header->size < (size_t)have ||
        header->size - sizeof(*header) > size) {
        return false;
    }
    size_t rest = header->size - (size_t)have;
    return rest == 0 || recv(peer->fd, (uint8_t *)reply + (size_t)have - sizeof(*header), rest,
                             MSG_WAITALL) == (ssize_t)rest;
}

bool vfio_user_ask(struct vfio_user *peer, const struct vfio_user_request *request, void *reply,
                   size_t size)
{
    struct vu_header header = {0};

    if (!send_request(peer, request, VU_HEADER_COMMAND)) {
        return false;
    }
    errno = 0;
    if (!receive_reply(peer, &header, reply, size)) {
        return complain("receive");
    }
    errno = (int)header.error;
    return (header.flags == VU_HEADER_REPLY && header.id == peer->last_id) ||
           complain("a request is refused");
}

/*
 * A vfio-user session under a fuzzer: the served device is a testdev of an embedded host, the input
 * is what a client sends. Its first byte says whether a good VERSION comes before it; the rest is a
 * row of records: a byte that says which descriptors come along, then a message, whose size is set
 * to what there is of it unless the byte says otherwise.
 *
 * Checked: every reply is well-formed and answers the requests in their order, the session ends
 * when the client goes, and nothing of the client is held afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <IOKit/IOKitLib.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "dext-host.h"
#include "fuzz_input.h"
#include "vfiouser/device.h"
#include "vfiouser/session.h"

#define DEVICE        "testdev,addr=01:00.0,dart=identity,vectors=4,bar2=64K"
#define GUEST_BYTES   (1u << 20)
#define MOST_RECORDS  128
#define FD_COUNT_MASK 0x07u
#define FD_KIND_SHIFT 3
#define SIZE_AS_IT_IS 0x80u
#define SOCKET_BYTES  (4 << 20)
#define PATIENCE_MS   60000

enum fd_kind {
    FD_GUEST,
    FD_EVENT,
    FD_FULL_EVENT,
    FD_NULL,
    FD_KINDS,
};

struct sent {
    uint16_t id, command;
};

struct peer {
    int fd;
    unsigned count, answered; /* of sent: requests that want a reply */
    struct sent sent[MOST_RECORDS + 1];
};

static struct vu_device *device;
static io_connect_t connection;
static DextHost *host;
static int kinds[FD_KINDS];

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void end(void)
{
    vu_device_close(device);
    IOServiceClose(connection);
    dext_host_destroy(host);
    for (unsigned i = 0; i < FD_KINDS; i++) {
        close(kinds[i]);
    }
}

static void begin(void)
{
    const DextHostOptions options = {.page_size = 4096};
    char *cause = NULL;

    host = dext_host_create(&options, &cause);
    require(host && dext_host_add_device(host, DEVICE, &cause) == 0 &&
                dext_host_embed(host, &cause) == 0,
            "a host");
    connection = apple_dext_connect(1, 0, 0);
    require(connection != IO_OBJECT_NULL, "a connection");
    device = vu_device_open(connection, NULL, &cause);
    require(device != NULL, "a device");
    kinds[FD_GUEST] = memfd_create("guest", MFD_CLOEXEC);
    kinds[FD_EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    kinds[FD_FULL_EVENT] = eventfd(0, EFD_CLOEXEC);
    kinds[FD_NULL] = dup(STDERR_FILENO);
    require(ftruncate(kinds[FD_GUEST], GUEST_BYTES) == 0 &&
                eventfd_write(kinds[FD_FULL_EVENT], UINT64_MAX - 1) == 0,
            "descriptors to give");
    atexit(end);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    require(directory != NULL, "/proc");
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

/* ---- The client -------------------------------------------------------------------------------
 */

static void send_record(struct peer *peer, const uint8_t *bytes, size_t count, uint8_t how)
{
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(FD_COUNT_MASK * sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr to = {.msg_iov = &vector, .msg_iovlen = 1};
    unsigned fd_count = how & FD_COUNT_MASK;

    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        to.msg_control = control.bytes;
        to.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *first = CMSG_FIRSTHDR(&to);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        for (unsigned i = 0; i < fd_count; i++) {
            memcpy(CMSG_DATA(first) + i * sizeof(int), &kinds[how >> FD_KIND_SHIFT & 3],
                   sizeof(int));
        }
    }
    require(sendmsg(peer->fd, &to, MSG_NOSIGNAL) == (ssize_t)count, "there is room in the socket");
}

/* Everything is said before the session begins; false when the rest cannot be told apart. */
static bool send_next(struct peer *peer, struct fuzz_input *input)
{
    uint8_t message[VU_HEADER_BYTES + 65536];
    struct vu_header header;
    uint8_t how = (uint8_t)fuzz_take(input, 1);

    if (input->left < VU_HEADER_BYTES) {
        return false;
    }
    memcpy(&header, input->bytes, sizeof(header));
    size_t count = header.size;
    if (count < VU_HEADER_BYTES || count > input->left) {
        count = input->left < sizeof(message) ? input->left : sizeof(message);
    }
    if (!(how & SIZE_AS_IT_IS)) {
        header.size = (uint32_t)count;
    }
    memcpy(message, input->bytes, count);
    memcpy(message, &header, sizeof(header));
    input->bytes += count;
    input->left -= count;
    send_record(peer, message, count, how);
    if (!(header.flags & VU_HEADER_NO_REPLY)) {
        peer->sent[peer->count++] = (struct sent){header.id, header.command};
    }
    return header.size == count;
}

static void negotiate(struct peer *peer)
{
    const struct vu_header header = {
        .command = VU_VERSION, .size = VU_HEADER_BYTES + 4, .flags = VU_HEADER_COMMAND};
    uint8_t message[VU_HEADER_BYTES + 4] = {0};

    memcpy(message, &header, sizeof(header));
    send_record(peer, message, sizeof(message), 0);
    peer->sent[peer->count++] = (struct sent){header.id, header.command};
}

static bool read_all(int fd, void *out, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t count = recv(fd, (uint8_t *)out + at, bytes - at, 0);
        if (count <= 0) {
            return false;
        }
        at += (size_t)count;
    }
    return true;
}

static void check_reply(struct peer *peer, const struct vu_header *header)
{
    require(header->flags == VU_HEADER_REPLY ||
                header->flags == (VU_HEADER_REPLY | VU_HEADER_ERROR),
            "a reply's flags");
    require((header->error != 0) == (header->flags != VU_HEADER_REPLY) && header->error < 4096,
            "a reply's errno");
    while (peer->answered < peer->count &&
           (peer->sent[peer->answered].id != header->id ||
            peer->sent[peer->answered].command != header->command)) {
        peer->answered++; /* a reply that nobody asked for needs no answer */
    }
    require(peer->answered < peer->count, "a reply answers a request, in order");
    peer->answered++;
}

/* Read until the server closes. Descriptors that come along are closed by the kernel, as there is
 * no room for them. */
static void *client_reads(void *argument)
{
    struct peer *peer = argument;
    static uint8_t payload[VU_MAX_MESSAGE];
    struct vu_header header;

    while (read_all(peer->fd, &header, sizeof(header))) {
        require(header.size >= VU_HEADER_BYTES && header.size <= VU_MAX_MESSAGE, "a reply's size");
        if ((header.flags & VU_HEADER_TYPE) == VU_HEADER_REPLY) {
            check_reply(peer, &header);
        } else {
            require(header.command == VU_DMA_READ || header.command == VU_DMA_WRITE,
                    "what a server may ask");
        }
        if (!read_all(peer->fd, payload, header.size - VU_HEADER_BYTES)) {
            break;
        }
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct peer peer;
    struct fuzz_input input = {bytes, count};
    const int room = SOCKET_BYTES;
    pthread_t reader;
    int ends[2];

    if (!device) {
        begin();
    }
    unsigned before = open_descriptors();
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "sockets");
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    peer = (struct peer){.fd = ends[0]};
    if (fuzz_below(&input, 2) == 0) {
        negotiate(&peer);
    }
    for (unsigned i = 0; i < MOST_RECORDS && input.left > 0 && send_next(&peer, &input); i++) {
    }
    shutdown(ends[0], SHUT_WR);
    require(pthread_create(&reader, NULL, client_reads, &peer) == 0, "a thread");
    vu_session_run(device, NULL, ends[1]);
    pthread_join(reader, NULL);
    close(ends[0]);
    vu_device_release(device);
    require(device->dma.count == 0, "no memory of the client is held");
    for (int i = 0; i < PATIENCE_MS && open_descriptors() != before; i++) {
        usleep(1000); /* the kernel's work for a socket may be behind its close */
    }
    require(open_descriptors() == before, "no descriptor of the client is held");
    return 0;
}

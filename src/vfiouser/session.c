/*
 * Serving one client: version negotiation, then one answer a request, in order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION_REPLY_BYTES 198 /* QEMU takes no longer payload; it wants no twin socket */
#define TWIN_REPLY_BYTES    512

/* An answer being made. */
struct answer {
    size_t bytes; /* of session->reply */
    int fd;       /* to go with it; -1 = none. Borrowed */
    int own_fd;   /* to be closed when it is sent; -1 = none */
};

/* Each returns 0, or -errno to be told to the client. */
typedef int (*handler_fn)(struct vu_session *session, struct vu_message *message,
                          struct vu_request *request, struct answer *answer);

static void put(struct vu_session *session, struct answer *answer, const void *bytes, size_t count)
{
    memcpy(session->reply + answer->bytes, bytes, count);
    answer->bytes += count;
}

static int handle_version(struct vu_session *session, struct vu_message *message,
                          struct vu_request *request, struct answer *answer)
{
    const struct vu_version *peer = &request->version;
    struct vu_version ours = {
        .major = VU_MAJOR,
        .minor = peer->minor < VU_MINOR ? peer->minor : VU_MINOR,
        .capabilities = {.max_fds = VU_MAX_FDS,
                         .max_transfer = VU_MAX_TRANSFER,
                         .has_write_multiple = true},
    };
    (void)message;
    if (session->is_negotiated || peer->major != VU_MAJOR) {
        return -EINVAL;
    }
    /* A descriptor in the answer is more than some take. */
    ours.capabilities.has_twin_socket =
        peer->capabilities.has_twin_socket && peer->capabilities.max_fds > 0;
    int error =
        vu_link_agree(session->link, peer, ours.capabilities.has_twin_socket, &answer->own_fd);
    if (error != 0) {
        return error;
    }
    session->peer = *peer;
    session->peer.minor = ours.minor;
    session->is_negotiated = true;
    answer->fd = answer->own_fd;
    answer->bytes = vu_version_encode(&ours, session->reply,
                                      ours.capabilities.has_twin_socket ? TWIN_REPLY_BYTES
                                                                        : VERSION_REPLY_BYTES);
    return 0;
}

static int handle_dma_map(struct vu_session *session, struct vu_message *message,
                          struct vu_request *request, struct answer *answer)
{
    const struct vu_dma_map *map = &request->dma_map;
    int fd = message->fd_count > 0 ? message->fds[0] : -1;
    const struct vu_dma *dma = &session->device->dma;
    (void)answer;
    int error = vu_dma_map(&session->device->dma, map, fd);
    if (error == -ENOSPC && fd >= 0 && !session->is_probed && dma->count < VU_MAX_DMA_MAPS) {
        session->lacks_memory = true;
    }
    return error;
}

static int handle_dma_unmap(struct vu_session *session, struct vu_message *message,
                            struct vu_request *request, struct answer *answer)
{
    const struct vu_dma_unmap *unmap = &request->dma_unmap;
    int error = 0;
    (void)message;
    if (unmap->flags == VU_UNMAP_ALL) {
        vu_dma_clear(&session->device->dma);
    } else {
        error = vu_dma_unmap(&session->device->dma, unmap->address, unmap->size);
    }
    put(session, answer, unmap, sizeof(*unmap));
    return error;
}

static int handle_device_info(struct vu_session *session, struct vu_message *message,
                              struct vu_request *request, struct answer *answer)
{
    const struct vu_device_info info = {.argsz = sizeof(info),
                                        .flags = VU_DEVICE_RESETS | VU_DEVICE_IS_PCI,
                                        .region_count = VU_REGION_COUNT,
                                        .irq_count = VU_IRQ_COUNT};
    (void)message;
    (void)request;
    /* QEMU goes on when memory is refused, with a device that does not reach it; here it can still
     * give up in good order. */
    if (session->lacks_memory) {
        vu_say(session->report, VU_LEVEL_ERROR,
               "the client is refused: the host does not map all of its guest's memory; simulated "
               "devices take aperture=BYTES");
        return -ENOSPC;
    }
    session->is_probed = true;
    put(session, answer, &info, sizeof(info));
    return 0;
}

/* Memory that may be mapped: the client asks once for how long the answer is, and once for it. The
 * descriptor goes with the second. */
static int handle_region_info(struct vu_session *session, struct vu_message *message,
                              struct vu_request *request, struct answer *answer)
{
    uint32_t index = request->region_info.index;
    const struct vu_bar *bar = index <= VU_REGION_BAR5 ? &session->device->bars[index] : NULL;
    /* What may be mapped comes as a descriptor, for clients that take any. */
    size_t areas = bar && session->peer.capabilities.max_fds > 0 ? bar->area_count : 0;
    struct vu_region_info info = {.argsz = (uint32_t)vu_region_info_bytes(areas),
                                  .index = index,
                                  .size = vu_device_region_bytes(session->device, index)};
    (void)message;
    if (info.size > 0) {
        info.flags = VU_REGION_CAN_READ | VU_REGION_CAN_WRITE;
    }
    if (areas > 0) {
        info.flags |= VU_REGION_CAN_MMAP;
        info.offset = bar->file_start;
    }
    if (areas > 0 && request->region_info.argsz >= info.argsz) {
        info.flags |= VU_REGION_HAS_CAPS;
        info.cap_offset = sizeof(info);
        answer->fd = bar->fd;
    } else {
        areas = 0;
    }
    vu_region_info_encode(&info, bar ? bar->areas : NULL, areas, session->reply);
    answer->bytes = vu_region_info_bytes(areas);
    return 0;
}

static int handle_irq_info(struct vu_session *session, struct vu_message *message,
                           struct vu_request *request, struct answer *answer)
{
    uint32_t index = request->irq_info.index;
    bool is_maskable = index == VU_IRQ_MSI || index == VU_IRQ_MSIX;
    const struct vu_irq_info info = {.argsz = sizeof(info),
                                     .flags =
                                         VU_IRQ_IS_EVENTFD | (is_maskable ? VU_IRQ_IS_MASKABLE : 0),
                                     .index = index,
                                     .count = vu_irqs_count(&session->device->irqs, index)};
    (void)message;
    put(session, answer, &info, sizeof(info));
    return 0;
}

static int handle_irq_set(struct vu_session *session, struct vu_message *message,
                          struct vu_request *request, struct answer *answer)
{
    (void)answer;
    return vu_irqs_set(&session->device->irqs, request, message->fds, message->fd_count);
}

static int handle_read(struct vu_session *session, struct vu_message *message,
                       struct vu_request *request, struct answer *answer)
{
    const struct vu_access *access = &request->access;
    (void)message;
    put(session, answer, access, sizeof(*access));
    answer->bytes += access->count;
    return vu_device_read(session->device, access, session->reply + sizeof(*access));
}

static int handle_write(struct vu_session *session, struct vu_message *message,
                        struct vu_request *request, struct answer *answer)
{
    (void)message;
    put(session, answer, &request->access, sizeof(request->access));
    return vu_device_write(session->device, &request->access, request->data);
}

/* Those before a bad one are done. */
static int handle_write_multi(struct vu_session *session, struct vu_message *message,
                              struct vu_request *request, struct answer *answer)
{
    int error = 0;
    uint64_t done = 0;
    (void)message;
    while (error == 0 && done < request->entry_count) {
        struct vu_multi_entry entry;
        error = vu_multi_entry_decode(request, done, &entry);
        if (error == 0) {
            const struct vu_access access = {entry.offset, entry.region, entry.count};
            error = vu_device_write(session->device, &access, entry.data);
        }
        done += error == 0;
    }
    put(session, answer, &done, sizeof(done));
    return error;
}

static int handle_reset(struct vu_session *session, struct vu_message *message,
                        struct vu_request *request, struct answer *answer)
{
    (void)message;
    (void)request;
    (void)answer;
    return vu_device_reset(session->device);
}

static const handler_fn handlers[] = {
    [VU_VERSION] = handle_version,
    [VU_DMA_MAP] = handle_dma_map,
    [VU_DMA_UNMAP] = handle_dma_unmap,
    [VU_DEVICE_GET_INFO] = handle_device_info,
    [VU_DEVICE_GET_REGION_INFO] = handle_region_info,
    [VU_DEVICE_GET_IRQ_INFO] = handle_irq_info,
    [VU_DEVICE_SET_IRQS] = handle_irq_set,
    [VU_REGION_READ] = handle_read,
    [VU_REGION_WRITE] = handle_write,
    [VU_DEVICE_RESET] = handle_reset,
    [VU_REGION_WRITE_MULTI] = handle_write_multi,
};

static void trace_request(const struct vu_session *session, const struct vu_message *message)
{
    const struct vu_header *header = &message->header;
    if (vu_is_wanted(session->report, VU_LEVEL_TRACE)) {
        vu_say(session->report, VU_LEVEL_TRACE, "< %s id=0x%x bytes=%u fds=%zu%s%s",
               vu_command_name(header->command), header->id, header->size, message->fd_count,
               (header->flags & VU_HEADER_TYPE) == VU_HEADER_REPLY ? " reply" : "",
               (header->flags & VU_HEADER_NO_REPLY) ? " posted" : "");
    }
}

/* Answer a message: with what is in session->reply, or the error alone. */
static int send_answer(struct vu_session *session, const struct vu_header *request, int error,
                       const struct answer *answer)
{
    struct vu_header header = {.id = request->id,
                               .command = request->command,
                               .flags = VU_HEADER_REPLY | (error ? VU_HEADER_ERROR : 0),
                               .error = (uint32_t)-error};
    if (error != 0) {
        vu_say(session->report, VU_LEVEL_TRACE, "> %s id=0x%x error %d",
               vu_command_name(request->command), request->id, -error);
        return vu_link_send(session->link, &header, NULL, 0, -1);
    }
    return vu_link_send(session->link, &header, session->reply, answer->bytes, answer->fd);
}

/* ---- Private memory ----------------------------------------------------------------------------
 */

static int refuse_private_memory(struct vu_session *session)
{
    vu_say(session->report, VU_LEVEL_ERROR,
           "the guest's memory is not the file that was sent: it is mapped privately. Give QEMU "
           "-object memory-backend-memfd,id=mem,size=SIZE,share=on -machine memory-backend=mem");
    return -EPERM;
}

static int follow_verdict(struct vu_session *session, enum vu_share_verdict verdict)
{
    const struct vu_share_check *check = &session->share_check;
    struct vu_header header = {.id = VU_SHARE_MESSAGE_ID, .command = VU_DMA_READ};

    if (verdict == VU_SHARE_PRIVATE) {
        return refuse_private_memory(session);
    }
    if (verdict == VU_SHARE_UNKNOWN) {
        return 0;
    }
    const struct vu_dma_access access = {.address = check->samples[check->at],
                                         .count = VU_SHARE_PAGE};
    vu_say(session->report, VU_LEVEL_TRACE, "> DMA_READ 0x%" PRIx64, access.address);
    return vu_link_send(session->link, &header, &access, sizeof(access), -1);
}

/* Whether a reply answers our question. */
static bool is_share_answer(const struct vu_session *session, const struct vu_header *header)
{
    return session->share_check.is_asking && header->id == VU_SHARE_MESSAGE_ID &&
           (header->flags & VU_HEADER_TYPE) == VU_HEADER_REPLY;
}

static int take_share_answer(struct vu_session *session, const struct vu_message *message)
{
    struct vu_dma_access access = {0, 0};
    size_t bytes = message->header.size - VU_HEADER_BYTES;
    const uint8_t *page = NULL;

    if (!(message->header.flags & VU_HEADER_ERROR) && bytes == sizeof(access) + VU_SHARE_PAGE) {
        page = message->payload + sizeof(access);
    }
    return follow_verdict(session,
                          vu_share_answer(&session->share_check, &session->device->dma, page));
}

/* ---- Messages ----------------------------------------------------------------------------------
 */

static int handle(struct vu_session *session, struct vu_message *message, struct answer *answer)
{
    struct vu_request request;
    const struct vu_header *header = &message->header;

    if ((header->flags & VU_HEADER_TYPE) != VU_HEADER_COMMAND ||
        (!session->is_negotiated && header->command != VU_VERSION)) {
        return -EINVAL;
    }
    /* Without them the message would say something else. */
    if (message->has_lost_fds) {
        return -EMFILE;
    }
    int error = vu_request_decode(header, message->payload, message->fd_count, &request);
    return error ? error : handlers[header->command](session, message, &request, answer);
}

static void say_in_use(struct vu_session *session)
{
    const struct vu_dma *dma = &session->device->dma;
    if (!session->is_in_use) {
        vu_say(session->report, VU_LEVEL_INFO,
               "the guest uses the device: %zu regions, %" PRIu64 " bytes of memory", dma->count,
               dma->bytes);
    }
    session->is_in_use = true;
}

static int serve_message(struct vu_session *session, struct vu_message *message)
{
    struct answer answer = {.bytes = 0, .fd = -1, .own_fd = -1};
    const struct vu_header *header = &message->header;
    bool was_master = session->device->config.is_master;

    trace_request(session, message);
    if (is_share_answer(session, header)) {
        return take_share_answer(session, message);
    }
    int refusal = handle(session, message, &answer);
    vu_link_done(session->link, header);
    int error = 0;
    vu_message_close(message); /* what nobody took is not held while the client goes on */
    if (!(header->flags & VU_HEADER_NO_REPLY)) {
        error = send_answer(session, header, refusal, &answer);
    } else if (refusal != 0) {
        vu_say(session->report, VU_LEVEL_TRACE, "posted %s failed: %s",
               vu_command_name(header->command), strerror(-refusal));
    }
    if (answer.own_fd >= 0) {
        close(answer.own_fd);
    }
    if (error == 0 && !session->is_negotiated) {
        vu_say(session->report, VU_LEVEL_ERROR, "the client is refused: %s",
               header->command == VU_VERSION ? "no version or capabilities we speak"
                                             : "it does not begin with VERSION");
        return -EPROTO;
    }
    if (!was_master && session->device->config.is_master) {
        say_in_use(session);
    }
    if (error == 0 && !was_master && session->device->config.is_master &&
        !session->peer.capabilities.has_twin_socket) {
        error =
            follow_verdict(session, vu_share_start(&session->share_check, &session->device->dma));
    }
    return error;
}

/* Nothing can be read behind a header of impossible size. */
static int refuse_header(struct vu_session *session, const struct vu_header *header)
{
    const struct answer none = {.bytes = 0, .fd = -1, .own_fd = -1};
    vu_say(session->report, VU_LEVEL_ERROR, "the client is dropped: a message of %u bytes",
           header->size);
    if (!(header->flags & VU_HEADER_NO_REPLY)) {
        send_answer(session, header, -EINVAL, &none);
    }
    return -EPROTO;
}

static int serve_messages(struct vu_session *session)
{
    struct vu_message message;
    for (;;) {
        int error = vu_link_receive(session->link, &message);
        if (error == -EBADMSG) {
            return refuse_header(session, &message.header);
        }
        if (error == 0) {
            error = serve_message(session, &message);
            vu_message_close(&message);
        }
        if (error != 0) {
            return error;
        }
    }
}

static int session_end(const struct vu_session *session, int error)
{
    if (error == -ENOTCONN || error == -EPIPE || error == -ECONNRESET) {
        return 0;
    }
    if (error == -EPROTO || error == -EPERM) { /* said where it was found, or cut off */
        return error;
    }
    vu_say(session->report, VU_LEVEL_ERROR, "the connection fails: %s", strerror(-error));
    return error;
}

int vu_session_run(struct vu_device *device, const struct vu_report *report, int fd)
{
    struct vu_session session = {.device = device, .link = &device->link, .report = report};

    int error = vu_link_open(session.link, fd);
    if (error != 0) {
        return error;
    }
    session.reply = malloc(VU_MAX_MESSAGE);
    error = session.reply ? serve_messages(&session) : -ENOMEM;
    free(session.reply);
    vu_link_close(session.link);
    return session_end(&session, error);
}

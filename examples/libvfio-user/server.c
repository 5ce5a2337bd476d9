/*
 * A vfio-user server on libvfio-user: guest memory is registered with the dext by that library's
 * DMA callbacks. It has what a guest's driver of a simple device needs: ids, memory BARs by calls,
 * MSI, DMA, reset. dext-vfio-user is the whole thing; this shows how little a server that exists
 * already has to add.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * usage: libvfio-user-server BB:DD.F SOCKET
 */
#include <apple-dext-client.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libvfio-user.h>
#include <pci_caps/msi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BARS = 6, MOST_REGIONS = 65535, MOST_MESSAGES = 32 };
enum { PCI_BAR_IO = 1, PCI_BAR_64 = 4, PCI_BAR_PREFETCHABLE = 8 };

struct server {
    io_connect_t device;
    vfu_ctx_t *context;
    uint8_t memory_index[BARS];
    uint32_t vectors;
    AppleDextInterruptNotify *notify;
    int wake[2]; /* a byte in it: an interrupt is pending, or the end has come */
    bool is_attached;
    int is_wrong; /* the guest must not go on */
};

static int wake_fd = -1; /* for the signal handler */
static volatile sig_atomic_t is_ending;

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    is_ending = 1;
    if (write(wake_fd, "", 1) != 1) { /* full: it wakes already */
    }
    errno = saved;
}

static int complain(const char *what, kern_return_t code)
{
    fprintf(stderr, "libvfio-user-server: %s: %s\n", what, apple_dext_status_text(code));
    return 1;
}

/* ---- Memory of the guest -----------------------------------------------------------------------
 */

/* Called before the client gets its answer. What came without a file has no address here. */
static void on_dma_register(vfu_ctx_t *context, vfu_dma_info_t *info)
{
    struct server *server = vfu_get_private(context);
    uint64_t iova = (uint64_t)(uintptr_t)info->iova.iov_base;
    uint64_t bus;
    uint64_t length;

    if (info->vaddr == NULL)
        return;
    kern_return_t code = apple_dext_register_dma(
        server->device, iova, (uint64_t)(uintptr_t)info->vaddr, info->iova.iov_len, &bus, &length);
    if (code == kIOReturnStillOpen) /* told again about what is there */
        return;
    if (code != KERN_SUCCESS) {
        fprintf(stderr, "libvfio-user-server: memory at 0x%" PRIx64 ": %s\n", iova,
                apple_dext_status_text(code));
    } else if (bus != iova) {
        fprintf(stderr, "libvfio-user-server: the host chooses the addresses of DMA, which a guest "
                        "cannot know; simulated devices take dart=identity\n");
        apple_dext_unregister_dma(server->device, iova);
        server->is_wrong = 1;
    }
}

/* When this returns the library takes the memory away. */
static void on_dma_unregister(vfu_ctx_t *context, vfu_dma_info_t *info)
{
    struct server *server = vfu_get_private(context);

    if (info->vaddr != NULL)
        apple_dext_unregister_dma(server->device, (uint64_t)(uintptr_t)info->iova.iov_base);
}

/* ---- BARs --------------------------------------------------------------------------------------
 */

static size_t width_at(uint64_t offset, size_t left, size_t widest)
{
    while (widest > left || offset % widest != 0)
        widest /= 2;
    return widest;
}

static ssize_t access_bar(vfu_ctx_t *context, unsigned bar, char *bytes, size_t count,
                          uint64_t offset, bool is_write)
{
    const struct server *server = vfu_get_private(context);
    size_t widest = count == 8 ? 8 : 4;

    for (size_t done = 0; done < count;) {
        size_t width = width_at(offset + done, count - done, widest);
        uint64_t value = 0;
        kern_return_t code;
        if (is_write) {
            memcpy(&value, bytes + done, width);
            code = apple_dext_mmio_write(server->device, server->memory_index[bar], offset + done,
                                         width, value);
        } else {
            code = apple_dext_mmio_read(server->device, server->memory_index[bar], offset + done,
                                        width, &value);
            memcpy(bytes + done, &value, width);
        }
        if (code != KERN_SUCCESS && code != kIOReturnNoDevice) { /* a device that is gone: ones */
            errno = EIO;
            return -1;
        }
        done += width;
    }
    return (ssize_t)count;
}

/* The library does not tell a callback which region it is for. */
#define BAR_CALLBACK(n)                                                                            \
    static ssize_t access_bar##n(vfu_ctx_t *context, char *bytes, size_t count, loff_t offset,     \
                                 bool is_write)                                                    \
    {                                                                                              \
        return access_bar(context, n, bytes, count, (uint64_t)offset, is_write);                   \
    }
BAR_CALLBACK(0)
BAR_CALLBACK(1)
BAR_CALLBACK(2)
BAR_CALLBACK(3)
BAR_CALLBACK(4)
BAR_CALLBACK(5)

static vfu_region_access_cb_t *const bar_callbacks[BARS] = {access_bar0, access_bar1, access_bar2,
                                                            access_bar3, access_bar4, access_bar5};

static int set_up_bars(struct server *server)
{
    for (uint8_t bar = 0; bar < BARS; bar++) {
        uint64_t bytes;
        uint8_t type;
        if (apple_dext_get_bar_info(server->device, bar, &server->memory_index[bar], &bytes,
                                    &type) != KERN_SUCCESS ||
            (type & PCI_BAR_IO))
            continue; /* not there, or out of the driver's reach */
        int flags = VFU_REGION_FLAG_RW | VFU_REGION_FLAG_MEM;
        flags |= (type & PCI_BAR_64) ? VFU_REGION_FLAG_64_BITS : 0;
        flags |= (type & PCI_BAR_PREFETCHABLE) ? VFU_REGION_FLAG_PREFETCH : 0;
        if (vfu_setup_region(server->context, VFU_PCI_DEV_BAR0_REGION_IDX + bar, bytes,
                             bar_callbacks[bar], flags, NULL, 0, -1, 0) != 0)
            return -1;
    }
    return 0;
}

/* ---- Interrupts, reset -------------------------------------------------------------------------
 */

/* On a thread of the client library; the loop does the rest. */
static void on_interrupt(void *opaque)
{
    struct server *server = opaque;
    if (write(server->wake[1], "", 1) != 1) { /* full: it wakes already */
    }
}

/* Drain, tell, arm again: what fires in between completes the new wait at once. */
static void forward_interrupts(struct server *server)
{
    uint64_t pending[4];

    if (apple_dext_read_pending_irqs(server->device, pending) != KERN_SUCCESS)
        return;
    for (uint32_t vector = 0; vector < server->vectors; vector++)
        if ((pending[vector / 64] >> (vector % 64)) & 1)
            vfu_irq_trigger(server->context, vector); /* nobody listens: nothing to tell */
    apple_dext_interrupt_notify_rearm(server->notify);
}

static int on_reset(vfu_ctx_t *context, vfu_reset_type_t type)
{
    const struct server *server = vfu_get_private(context);
    kern_return_t code = apple_dext_reset_device(server->device);
    (void)type;
    if (code != KERN_SUCCESS)
        complain("reset", code);
    return 0;
}

static int set_up_interrupts(struct server *server)
{
    struct msicap msi = {.hdr = {.id = PCI_CAP_ID_MSI}, .mc = {.c64 = 1}};

    if (apple_dext_setup_interrupts(server->device, &server->vectors) != KERN_SUCCESS)
        return 0; /* a device without */
    while (msi.mc.mmc < 5 && 2u << msi.mc.mmc <= server->vectors)
        msi.mc.mmc++;
    server->vectors = 1u << msi.mc.mmc;
    server->notify = apple_dext_interrupt_notify_create(server->device, on_interrupt, server);
    return server->notify != NULL &&
                   vfu_setup_device_nr_irqs(server->context, VFU_DEV_MSI_IRQ, server->vectors) ==
                       0 &&
                   vfu_pci_add_capability(server->context, 0, 0, &msi) >= 0
               ? 0
               : -1;
}

/* ---- Putting it together -----------------------------------------------------------------------
 */

static int set_up_ids(struct server *server)
{
    uint32_t words[12]; /* the first 48 bytes of config space */
    kern_return_t code = apple_dext_config_read_block(server->device, 0, words, sizeof(words));

    if (code != KERN_SUCCESS)
        return complain("config space", code);
    if (vfu_pci_init(server->context, VFU_PCI_TYPE_CONVENTIONAL, PCI_HEADER_TYPE_NORMAL,
                     (int)(words[2] & 0xff)) != 0)
        return -1;
    vfu_pci_set_id(server->context, (uint16_t)words[0], (uint16_t)(words[0] >> 16),
                   (uint16_t)words[11], (uint16_t)(words[11] >> 16));
    vfu_pci_set_class(server->context, (uint8_t)(words[2] >> 24), (uint8_t)(words[2] >> 16),
                      (uint8_t)(words[2] >> 8));
    return 0;
}

static int set_up(struct server *server, const char *path)
{
    server->context =
        vfu_create_ctx(VFU_TRANS_SOCK, path, LIBVFIO_USER_FLAG_ATTACH_NB, server, VFU_DEV_TYPE_PCI);
    if (server->context == NULL || set_up_ids(server) != 0 || set_up_bars(server) != 0 ||
        vfu_setup_device_dma(server->context, MOST_REGIONS, on_dma_register, on_dma_unregister) !=
            0 ||
        vfu_setup_device_reset_cb(server->context, on_reset) != 0 ||
        set_up_interrupts(server) != 0 || vfu_realize_ctx(server->context) != 0) {
        fprintf(stderr, "libvfio-user-server: cannot set up at %s: %s\n", path, strerror(errno));
        return 1;
    }
    return 0;
}

/* A client has come, has said something, or has gone. */
static int serve(struct server *server)
{
    int result =
        server->is_attached ? vfu_run_ctx(server->context) : vfu_attach_ctx(server->context);

    if (result >= 0) {
        server->is_attached = true;
        return 0;
    }
    if (errno ==
        ENOTCONN) { /* by now the library has called unregister for each region, and reset */
        server->is_attached = false;
        return 0;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static int loop(struct server *server)
{
    char bytes[64];

    while (!is_ending && !server->is_wrong) {
        struct pollfd fds[2] = {{.fd = vfu_get_poll_fd(server->context), .events = POLLIN},
                                {.fd = server->wake[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents && read(server->wake[0], bytes, sizeof(bytes)) > 0)
            forward_interrupts(server);
        if (fds[0].revents && serve(server) != 0) {
            fprintf(stderr, "libvfio-user-server: %s\n", strerror(errno));
            return 1;
        }
    }
    return server->is_wrong;
}

static int open_pipe(struct server *server)
{
    struct sigaction action = {.sa_handler = on_signal};

    if (pipe(server->wake) != 0)
        return -1;
    for (int i = 0; i < 2; i++)
        fcntl(server->wake[i], F_SETFL, O_NONBLOCK);
    wake_fd = server->wake[1];
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

static int run(struct server *server, const char *path)
{
    kern_return_t code = apple_dext_claim(server->device);
    if (code != KERN_SUCCESS)
        return complain("claim", code);
    int status = open_pipe(server) != 0 || set_up(server, path) != 0;
    if (status == 0) {
        fprintf(stderr, "libvfio-user-server: listening at %s\n", path);
        status = loop(server);
    }
    apple_dext_interrupt_notify_destroy(server->notify);
    if (server->context != NULL)
        vfu_destroy_ctx(server->context);
    return status;
}

int main(int argc, char **argv)
{
    unsigned bus;
    unsigned slot;
    unsigned function;
    char rest;
    char *why = NULL;
    struct server server = {.wake = {-1, -1}};

    if (argc != 3 || sscanf(argv[1], "%2x:%2x.%1x%c", &bus, &slot, &function, &rest) != 3) {
        fputs("usage: libvfio-user-server BB:DD.F SOCKET\n", stderr);
        return 2;
    }
    server.device =
        apple_dext_connect_with_root((uint8_t)bus, (uint8_t)slot, (uint8_t)function, NULL, &why);
    if (server.device == IO_OBJECT_NULL) {
        fprintf(stderr, "libvfio-user-server: %s\n", why ? why : "out of memory");
        free(why);
        return 1;
    }
    int status = run(&server, argv[2]);
    apple_dext_disconnect(server.device);
    return status;
}

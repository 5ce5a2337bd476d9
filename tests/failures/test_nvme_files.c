/*
 * An NVMe namespace on a file that fails: each error of the file becomes the status the
 * specification has for it, an entry in the error log and a line in the host's log, and never a
 * success. Full file systems and limits are real ones, input and output errors are made here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "base/log.h"
#include "dext-host.h"
#include "file_faults.h"
#include "nvme_driver.h"
#include "nvme_pattern.h"

#define FILE_BYTES (1 << 20)
#define BLOCK      4096
#define COMPARE    0x05
#define ZEROES     0x08
#define VERIFY     0x0c

static char folder[] = "/tmp/dextlink-nvme-XXXXXX";
static char path[sizeof(folder) + 32];
static bool has_small_disk;

/* ---- A host with the device, and its driver. */

static DextHost *host;
static io_connect_t device;
static struct nvme nvme;
static _Atomic int storage_lines; /* of the host's log, about storage */

static void on_log(void *opaque, enum log_level level, const char *hop, const char *line)
{
    if (level <= LOG_LEVEL_WARNING && strcmp(hop, "backend") == 0 && strstr(line, "storage")) {
        storage_lines++;
    }
}

static int add_drive(DextHost *where, const char *drive, const char *options, char **error)
{
    char specification[256];
    snprintf(specification, sizeof(specification), "nvme,addr=01:00.0,block=4096,drive=%s%s", drive,
             options);
    return dext_host_add_device(where, specification, error);
}

static void begin_on(const char *drive, const char *options)
{
    const struct nvme_options driver = {
        .queues = 1, .depth = 4, .transfer_bytes = NVME_TRANSFER_MAX};
    char *error = NULL;
    storage_lines = 0;
    host = dext_host_create(NULL, &error);
    assert_non_null(host);
    if (add_drive(host, drive, options, &error) != 0) {
        fail_msg("%s", error);
    }
    assert_int_equal(dext_host_embed(host, &error), 0);
    device = apple_dext_connect(1, 0, 0);
    assert_int_equal(apple_dext_claim(device), KERN_SUCCESS);
    const char *problem = nvme_open(&nvme, device, &driver);
    problem = problem ? problem : nvme_start(&nvme);
    if (problem) {
        fail_msg("%s", problem);
    }
}

static void begin(void)
{
    begin_on(path, "");
}

static void end(void)
{
    nvme_close(&nvme);
    apple_dext_disconnect(device);
    dext_host_destroy(host);
    host = NULL;
}

/* The status: code and type. */
static int run(uint8_t opcode, uint64_t block, unsigned blocks, uint32_t flags)
{
    struct nvme_queue *queue = &nvme.queues[1];
    const struct nvme_command command = {.opcode = opcode,
                                         .nsid = 1,
                                         .prp1 = nvme_bus(&nvme, queue->data), /* or none */
                                         .dw10 = (uint32_t)block,
                                         .dw11 = (uint32_t)(block >> 32),
                                         .dw12 = (blocks - 1) | flags};
    struct nvme_done done = {0};
    if (opcode != NVME_READ && opcode != NVME_WRITE) {
        int status = nvme_run(queue, &command, NULL);
        assert_true(status >= 0);
        return status & 0x7ff;
    }
    nvme_transfer(queue, 0, opcode, block, blocks * BLOCK, flags);
    nvme_ring(queue);
    assert_int_equal(nvme_wait(queue, &done, 1), 1);
    return (int)(done.status & 0x7ff);
}

static void fill(uint64_t seed, uint64_t block, unsigned blocks)
{
    nvme_pattern_fill(seed, block * BLOCK, nvme_data(&nvme.queues[1], 0), (size_t)blocks * BLOCK);
}

static bool holds(uint64_t seed, uint64_t block, unsigned blocks)
{
    memset(nvme_data(&nvme.queues[1], 0), 0xa5, (size_t)blocks * BLOCK);
    assert_int_equal(run(NVME_READ, block, blocks, 0), 0);
    return nvme_pattern_is(seed, block * BLOCK, nvme_data(&nvme.queues[1], 0),
                           (size_t)blocks * BLOCK);
}

struct entry {
    uint64_t number, block;
    uint32_t nsid;
    uint16_t status;
};

static struct entry newest_error(void)
{
    struct nvme_queue *admin = &nvme.queues[0];
    const struct nvme_command get = {.opcode = 2 /* Get Log Page */,
                                     .prp1 = nvme_bus(&nvme, admin->data),
                                     .dw10 = 15u << 16 | 1};
    struct entry entry = {0};
    uint16_t status;
    assert_int_equal(nvme_run(admin, &get, NULL), 0);
    memcpy(&entry.number, admin->data, 8);
    memcpy(&status, admin->data + 12, 2);
    memcpy(&entry.block, admin->data + 16, 8);
    memcpy(&entry.nsid, admin->data + 24, 4);
    entry.status = status >> 1 & 0x7ff;
    return entry;
}

/* The command fails so, and everybody who should know knows. */
static void check_fails(uint8_t opcode, uint64_t block, uint32_t flags, int status)
{
    uint64_t before = newest_error().number;
    int lines = storage_lines;
    assert_int_equal(run(opcode, block, 1, flags), status);
    struct entry entry = newest_error();
    assert_int_equal(entry.number, before + 1);
    assert_int_equal(entry.status, status);
    assert_int_equal(entry.nsid, 1);
    if (opcode != NVME_FLUSH) {
        assert_int_equal(entry.block, block);
    }
    assert_true(storage_lines > lines);
}

static void file_make(const char *name, off_t bytes)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    close(fd);
}

static int setup(void **state)
{
    heal();
    file_make("drive", FILE_BYTES);
    return 0;
}

static int teardown(void **state)
{
    heal();
    (void)!seteuid(getuid());
    if (host) { /* the test failed half-way */
        end();
    }
    return unlink(path) < 0 && errno != ENOENT;
}

/* ---- What may be a drive. */

/* How a drive is opened: both ways where the file system has both. */
static const char *const ways[] = {"", ",direct"};

static size_t count_ways(void)
{
    int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd < 0) {
        return 1;
    }
    close(fd);
    return 2;
}

static void check_refused(const char *drive, const char *options, const char *why)
{
    char expected[256], *error = NULL;
    DextHost *mine = dext_host_create(NULL, &error);
    assert_non_null(mine);
    assert_int_equal(add_drive(mine, drive, options, &error), -EINVAL);
    snprintf(expected, sizeof(expected), "nvme: drive=%s: %s", drive, why);
    assert_non_null(error);
    assert_non_null(strstr(error, expected));
    free(error);
    dext_host_destroy(mine);
}

static void drives_that_cannot_be(void **state)
{
    char fifo[sizeof(path)];
    check_refused(folder, "", "neither a file nor a block device");
    check_refused(folder, ",readonly", "neither a file nor a block device");
    check_refused("/dev/null", "", "neither a file nor a block device");
    check_refused("/nowhere/at/all", "", "no such file");
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    check_refused(fifo, "",
                  "neither a file nor a block device"); /* and nobody waits for a writer */
    check_refused(fifo, ",readonly", "neither a file nor a block device");
    unlink(fifo);
    assert_int_equal(truncate(path, 0), 0);
    check_refused(path, "", "smaller than 4096 bytes");
    assert_int_equal(truncate(path, 4095), 0);
    check_refused(path, "", "smaller than 4096 bytes");
}

/* Sizes of all units, and a file system that has nothing but a cache. */
static void drives_that_cannot_be_direct(void **state)
{
    static const char sysfs_file[] = "/sys/kernel/vmcoreinfo";
    if (count_ways() == 1) {
        print_message("# SKIP no O_DIRECT in /tmp\n");
        skip();
    }
    assert_int_equal(truncate(path, FILE_BYTES + 100), 0);
    check_refused(path, ",direct", "direct: its size is no multiple of ");
    begin(); /* which nobody minds otherwise */
    end();
    int fd = open(sysfs_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || lseek(fd, 0, SEEK_END) < BLOCK) {
        print_message("# SKIP no %s\n", sysfs_file);
        skip();
    }
    close(fd);
    check_refused(sysfs_file, ",readonly,direct",
                  "direct: its file system has no way round the page cache (O_DIRECT)");
}

static void drive_of_somebody_else(void **state)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_RDWR);
        flock(fd, LOCK_EX);
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    check_refused(path, "", "in use by somebody else");
    check_refused(path, ",readonly", "in use by somebody else");
    kill(child, SIGKILL); /* whoever held it is gone, and so is the lock */
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    begin();
    end();
}

/* Nothing binds the superuser, so somebody else asks. */
static void file_that_is_not_for_writing(void **state)
{
    enum { NOBODY = 65534 };
    uid_t uid = geteuid();
    assert_int_equal(chmod(folder, 0711), 0);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(uid == 0 ? seteuid(NOBODY) : 0, 0);
    check_refused(path, "", "no permission");
    begin_on(path, ",readonly");
    assert_int_equal(run(NVME_READ, 0, 1, 0), 0);
    assert_int_equal(run(NVME_WRITE, 0, 1, 0), 0x020);
    end();
    assert_int_equal(seteuid(uid), 0);
}

/* What is behind the last whole block is nobody's. */
static void size_that_is_no_multiple(void **state)
{
    uint8_t tail[100];
    memset(tail, 0x5a, sizeof(tail));
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 3 * BLOCK), 0);
    assert_int_equal(pwrite(fd, tail, sizeof(tail), 3 * BLOCK), sizeof(tail));
    begin();
    assert_int_equal(nvme.blocks, 3);
    fill(1, 0, 3);
    assert_int_equal(run(NVME_WRITE, 0, 3, NVME_FUA), 0);
    assert_int_equal(run(ZEROES, 2, 1, 0), 0);
    assert_int_equal(run(NVME_WRITE, 3, 1, 0), 0x080);
    end();
    memset(tail, 0, sizeof(tail));
    assert_int_equal(pread(fd, tail, sizeof(tail), 3 * BLOCK), sizeof(tail));
    for (size_t i = 0; i < sizeof(tail); i++) {
        assert_int_equal(tail[i], 0x5a);
    }
    assert_int_equal(lseek(fd, 0, SEEK_END), 3 * BLOCK + 100);
    close(fd);
}

/* ---- Errors of a file in use. */

static void check_reads_that_fail(const char *way)
{
    begin_on(path, way);
    fill(1, 0, 16);
    assert_int_equal(run(NVME_WRITE, 0, 16, 0), 0);
    fail_after(&reading, 0, EIO);
    check_fails(NVME_READ, 3, 0, 0x281);
    check_fails(COMPARE, 3, 0, 0x281);
    check_fails(VERIFY, 3, 0, 0x281);
    heal();
    assert_true(holds(1, 0, 16)); /* an error that goes away leaves nothing behind */
    reading.is_short = true;
    assert_true(holds(1, 0, 16));
    fail_after(&reading, 2, EIO); /* what was read before the error does not count */
    assert_int_equal(run(NVME_READ, 0, 16, 0), 0x281);
    end();
    heal();
}

static void reads_that_fail(void **state)
{
    for (size_t i = 0; i < count_ways(); i++) {
        check_reads_that_fail(ways[i]);
    }
}

static void check_writes_that_fail(const char *way)
{
    static const struct {
        int error, status;
    } cases[] = {{EIO, 0x280}, {ENOSPC, 0x081}, {EDQUOT, 0x081}, {EFBIG, 0x081}, {EROFS, 0x280}};
    begin_on(path, way);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fail_after(&writing, 0, cases[i].error);
        check_fails(NVME_WRITE, 5, 0, cases[i].status);
        check_fails(NVME_WRITE, 6, NVME_FUA, cases[i].status);
        fail_after(&punching, 0, EOPNOTSUPP); /* then zeros are written */
        check_fails(ZEROES, 7, 0, cases[i].status);
        heal();
    }
    writing.is_short = true;
    fill(2, 0, 16);
    assert_int_equal(run(NVME_WRITE, 0, 16, 0), 0);
    fail_after(&writing, 3, ENOSPC);
    assert_int_equal(run(NVME_WRITE, 16, 16, 0), 0x081);
    heal();
    assert_true(holds(2, 0, 16));
    fail_after(&punching, 0, EOPNOTSUPP);
    assert_int_equal(run(ZEROES, 0, 16, 0), 0);
    assert_false(holds(2, 0, 16));
    end();
    heal();
}

static void writes_that_fail(void **state)
{
    for (size_t i = 0; i < count_ways(); i++) {
        check_writes_that_fail(ways[i]);
    }
}

/* What a failed flush lost the next one cannot bring back. */
static void flushes_that_fail(void **state)
{
    static const struct {
        int error, status;
    } cases[] = {{EIO, 0x280}, {ENOSPC, 0x081}};
    size_t count = sizeof(cases) / sizeof(cases[0]);
    for (size_t i = 0; i < count * count_ways(); i++) {
        begin_on(path, ways[i / count]);
        fill(3, 0, 1);
        assert_int_equal(run(NVME_WRITE, 0, 1, 0), 0);
        fail_after(&syncing, 0, cases[i % count].error);
        check_fails(NVME_FLUSH, 0, 0, cases[i % count].status);
        heal();
        check_fails(NVME_FLUSH, 0, 0, 0x280);
        check_fails(NVME_WRITE, 1, 0, 0x280);
        check_fails(NVME_WRITE, 1, NVME_FUA, 0x280);
        check_fails(ZEROES, 1, 0, 0x280);
        assert_true(holds(3, 0, 1));
        end();
    }
    begin();
    fail_after(&syncing, 0, EIO);
    check_fails(NVME_WRITE, 1, NVME_FUA, 0x280);
    end();
}

/* A shutdown has no status: the controller fails, so that nobody takes it for complete. */
static void shutdown_that_fails(void **state)
{
    begin();
    assert_int_equal(run(NVME_WRITE, 0, 1, 0), 0);
    fail_after(&syncing, 0, EIO);
    assert_non_null(nvme_stop(&nvme));
    assert_int_equal(nvme_register(&nvme, NVME_CSTS, 4) & 0x2, 0x2); /* CFS */
    end();
}

static void check_file_that_became_shorter(const char *way)
{
    assert_int_equal(truncate(path, FILE_BYTES), 0);
    begin_on(path, way);
    fill(4, 0, 32);
    assert_int_equal(run(NVME_WRITE, 0, 32, 0), 0);
    assert_int_equal(truncate(path, 10 * BLOCK + 100), 0);
    assert_true(holds(4, 0, 10));
    check_fails(NVME_READ, 10, 0, 0x281);
    check_fails(NVME_READ, 200, 0, 0x281);
    check_fails(VERIFY, 20, 0, 0x281);
    fill(5, 20, 1);
    assert_int_equal(run(NVME_WRITE, 20, 1, NVME_FUA), 0); /* brings the file back to there */
    assert_true(holds(5, 20, 1));
    check_fails(NVME_READ, 21, 0, 0x281);
    end();
}

static void file_that_became_shorter(void **state)
{
    for (size_t i = 0; i < count_ways(); i++) {
        check_file_that_became_shorter(ways[i]);
    }
}

/* The kernel sends SIGXFSZ to who writes, and its default ends the process. */
static void limit_of_file_size(void **state)
{
    struct rlimit before, limit;
    begin();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 8 * BLOCK, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    check_fails(NVME_WRITE, 8, 0, 0x081);
    check_fails(NVME_WRITE, 9, NVME_FUA, 0x081);
    fill(6, 7, 2); /* half of it fits, the command as a whole failed */
    assert_int_equal(run(NVME_WRITE, 7, 2, 0), 0x081);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(run(NVME_WRITE, 7, 2, 0), 0);
    assert_true(holds(6, 7, 2));
    end();
}

/* ---- A disk that is full, in a mount namespace of our own. */

#define DISK_BYTES 262144

/* Before any thread: a user namespace wants a process with one. */
static void small_disk_make(void)
{
    char disk[sizeof(path)], map[32];
    uid_t uid = geteuid();
    if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0) {
        return;
    }
    if (uid != 0) { /* keep our own number in the new namespace */
        int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
        int length = snprintf(map, sizeof(map), "%u %u 1", uid, uid);
        (void)!write(fd, map, (size_t)length);
        close(fd);
    }
    snprintf(disk, sizeof(disk), "%s/disk", folder);
    mkdir(disk, 0700);
    has_small_disk = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                     mount("none", disk, "tmpfs", 0, "size=262144") == 0;
}

static void need_small_disk(void)
{
    if (!has_small_disk) {
        print_message("# SKIP no mount namespace for us here\n");
        skip();
    }
}

static void disk_that_is_full(void **state)
{
    need_small_disk();
    file_make("disk/drive", FILE_BYTES);
    begin();
    unsigned written = 0;
    while (written < DISK_BYTES / BLOCK + 1) {
        fill(7, written, 1);
        if (run(NVME_WRITE, written, 1, NVME_FUA) != 0) {
            break;
        }
        written++;
    }
    assert_in_range(written, 1, DISK_BYTES / BLOCK);
    check_fails(NVME_WRITE, written, 0, 0x081);
    check_fails(NVME_WRITE, written + 1, NVME_FUA, 0x081);
    for (unsigned i = 0; i < written; i++) {
        assert_true(holds(7, i, 1)); /* what was confirmed is there */
    }
    assert_int_equal(run(NVME_FLUSH, 0, 1, 0), 0);
    assert_int_equal(run(ZEROES, 0, 4, 0), 0); /* a hole takes no room, and gives some */
    fill(8, written, 2);
    assert_int_equal(run(NVME_WRITE, written, 2, NVME_FUA), 0);
    assert_true(holds(8, written, 2));
    end();
}

static void disk_that_is_read_only(void **state)
{
    char disk[sizeof(path)];
    need_small_disk();
    file_make("disk/drive", BLOCK);
    snprintf(disk, sizeof(disk), "%s/disk", folder);
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    check_refused(path, "", "no permission");
    begin_on(path, ",readonly");
    assert_int_equal(run(NVME_READ, 0, 1, 0), 0);
    assert_int_equal(run(NVME_WRITE, 0, 1, 0), 0x020);
    assert_int_equal(run(NVME_FLUSH, 0, 1, 0), 0);
    end();
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT, NULL), 0);
}

static int folder_make(void **state)
{
    log_set_sink(on_log, NULL, LOG_LEVEL_WARNING);
    if (!mkdtemp(folder)) {
        return -1;
    }
    small_disk_make();
    return 0;
}

static int folder_remove(void **state)
{
    char disk[sizeof(path)];
    snprintf(disk, sizeof(disk), "%s/disk", folder);
    umount(disk);
    rmdir(disk);
    log_set_sink(NULL, NULL, LOG_LEVEL_WARNING);
    snprintf(path, sizeof(path), "%s/drive", folder);
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
#define file_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        file_test(drives_that_cannot_be),    file_test(drives_that_cannot_be_direct),
        file_test(drive_of_somebody_else),   file_test(file_that_is_not_for_writing),
        file_test(size_that_is_no_multiple), file_test(reads_that_fail),
        file_test(writes_that_fail),         file_test(flushes_that_fail),
        file_test(shutdown_that_fails),      file_test(file_that_became_shorter),
        file_test(limit_of_file_size),       file_test(disk_that_is_full),
        file_test(disk_that_is_read_only),
    };
    return cmocka_run_group_tests_name("nvme files", tests, folder_make, folder_remove);
}

/*
 * The host's part of the doctor on Linux: dextd's socket, pages, and what VFIO wants (field note
 * H13). It reads files only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

#define MEMLOCK_LEAST                                                                              \
    (UINT64_C(64) << 20) /* below it not even a small guest's memory is locked                     \
                          */
#define DRIVER_VFIO "vfio-pci"

struct host {
    const char *root; /* before /sys, /dev and /proc; "" for this machine */
    bool is_wanted;   /* VFIO was asked for: what it lacks is a failure then */
    char address[24];
};

static void lack(const struct host *host, struct doctor_step *step, enum doctor_finding finding,
                 const char *text)
{
    if (host->is_wanted) {
        doctor_fail(step, finding, "%s", text);
    } else {
        doctor_warn(step, finding, "%s", text);
    }
}

static const char *path_at(const struct host *host, char path[PATH_MAX], const char *format,
                           const char *name)
{
    int used = snprintf(path, PATH_MAX, "%s", host->root);
    if (used >= 0 && used < PATH_MAX) {
        snprintf(path + used, PATH_MAX - (size_t)used, format, name);
    }
    return path;
}

/* The last name of a link's target: "vfio-pci". false when there is no link. */
static bool link_name(const char *path, char name[NAME_MAX + 1])
{
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    if (length <= 0) {
        return false;
    }
    target[length] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(name, NAME_MAX + 1, "%.*s", NAME_MAX, slash ? slash + 1 : target);
    return true;
}

static unsigned int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned int count = 0;
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

/* Where a client looks, as docs/wire.md has it. */
static void socket_path(char path[PATH_MAX])
{
    const char *given = getenv("DEXTLINK_SOCKET");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat status;

    if (given) {
        snprintf(path, PATH_MAX, "%s", given);
    } else if (runtime && runtime[0]) {
        snprintf(path, PATH_MAX, "%s/dextlink.sock", runtime);
    } else {
        snprintf(path, PATH_MAX, "/run/user/%u", (unsigned int)geteuid());
        bool exists = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
        snprintf(path, PATH_MAX,
                 exists ? "/run/user/%u/dextlink.sock" : "/tmp/dextlink-%u/dextlink.sock",
                 (unsigned int)geteuid());
    }
}

static void check_socket(const struct options *options, struct doctor_step *step)
{
    char path[PATH_MAX];
    struct stat status;

    if (options->device_count) {
        doctor_skip(step, "the devices are of this process");
        return;
    }
    socket_path(path);
    if (stat(path, &status) != 0 && errno == EACCES) {
        doctor_fail(step, FINDING_SOCKET_PERMISSION, "%.160s: %s", path, strerror(EACCES));
    } else if (stat(path, &status) != 0) {
        doctor_fail(step, FINDING_SOCKET_MISSING, "%.160s: %s", path, strerror(errno));
    } else if (!S_ISSOCK(status.st_mode)) {
        doctor_fail(step, FINDING_SOCKET_MISSING, "%.160s is no socket", path);
    } else if (access(path, R_OK | W_OK) != 0) {
        doctor_fail(step, FINDING_SOCKET_PERMISSION, "%.160s: %s", path, strerror(errno));
    } else {
        doctor_say(step, "%.160s", path);
    }
}

static void check_pages(struct doctor_step *step)
{
    unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
    if (page != 4096 && page != 16384) {
        doctor_say(step, "%lu bytes, which is not among the sizes that are tested", page);
    } else if (page == 16384) {
        doctor_say(step, "16 KiB, as on Apple silicon");
    } else {
        doctor_say(step, "4 KiB; Apple silicon has 16 KiB, which DMA regions there come in");
    }
}

static void check_iommu(const struct host *host, struct doctor_step *step)
{
    char path[PATH_MAX];
    unsigned int groups = count_entries(path_at(host, path, "/sys/kernel/iommu_groups%s", ""));
    if (groups == 0) {
        lack(host, step, FINDING_IOMMU_OFF,
             "no IOMMU groups: none is on, or no device is behind it");
    } else {
        doctor_say(step, "%u groups", groups);
    }
}

static void check_vfio(const struct host *host, struct doctor_step *step)
{
    char path[PATH_MAX];
    path_at(host, path, "/dev/vfio/%s", "vfio");
    if (access(path, F_OK) != 0) {
        lack(host, step, FINDING_VFIO_MISSING, "no /dev/vfio/vfio");
    } else if (access(path, R_OK | W_OK) != 0) {
        lack(host, step, FINDING_VFIO_PERMISSION, "/dev/vfio/vfio is not ours to open");
    } else {
        doctor_say(step, "/dev/vfio/vfio can be opened");
    }
}

static bool read_memlock(const struct host *host, char value[32])
{
    char path[PATH_MAX];
    char line[256];
    bool found = false;
    FILE *file = fopen(path_at(host, path, "/proc/%s", "self/limits"), "r");
    while (file && !found && fgets(line, sizeof(line), file)) {
        found = sscanf(line, "Max locked memory %31s", value) == 1;
    }
    if (file) {
        fclose(file);
    }
    return found;
}

static void check_memlock(const struct host *host, struct doctor_step *step)
{
    char value[32];
    char text[96];
    char size[SIZE_TEXT_BYTES];

    if (!read_memlock(host, value)) {
        doctor_skip(step, "no /proc/self/limits to read");
    } else if (strcmp(value, "unlimited") == 0) {
        doctor_say(step, "unlimited");
    } else if (host->root[0] == '\0' && geteuid() == 0) {
        doctor_say(step, "%s, which does not bind root",
                   size_text(strtoull(value, NULL, 10), size));
    } else if (strtoull(value, NULL, 10) < MEMLOCK_LEAST) {
        snprintf(text, sizeof(text), "%s may be locked",
                 size_text(strtoull(value, NULL, 10), size));
        lack(host, step, FINDING_MEMLOCK, text);
    } else {
        doctor_say(step, "%s", size_text(strtoull(value, NULL, 10), size));
    }
}

/* The driver of a PCI device of the host; "" when it has none. */
static void driver_of(const struct host *host, const char *address, char driver[NAME_MAX + 1])
{
    char path[PATH_MAX];
    char name[NAME_MAX + 16];
    snprintf(name, sizeof(name), "%s/driver", address);
    if (!link_name(path_at(host, path, "/sys/bus/pci/devices/%s", name), driver)) {
        driver[0] = '\0';
    }
}

static void check_binding(const struct host *host, struct doctor_step *step)
{
    char path[PATH_MAX];
    char driver[NAME_MAX + 1];

    if (access(path_at(host, path, "/sys/bus/pci/devices/%s", host->address), F_OK) != 0) {
        doctor_fail(step, FINDING_VFIO_NO_DEVICE, "%s is not there", host->address);
        return;
    }
    driver_of(host, host->address, driver);
    if (strcmp(driver, DRIVER_VFIO) != 0) {
        doctor_fail(step, FINDING_VFIO_BINDING, "%s has %s%.64s", host->address,
                    driver[0] ? "the driver " : "no driver", driver);
    } else {
        doctor_say(step, "%s has the driver " DRIVER_VFIO, host->address);
    }
}

/* Bridges need no driver of VFIO. */
static bool is_bridge(const struct host *host, const char *address)
{
    char path[PATH_MAX];
    char name[NAME_MAX + 16];
    unsigned int class_code = 0;
    snprintf(name, sizeof(name), "%s/class", address);
    FILE *file = fopen(path_at(host, path, "/sys/bus/pci/devices/%s", name), "r");
    if (file) {
        if (fscanf(file, "%x", &class_code) != 1) {
            class_code = 0;
        }
        fclose(file);
    }
    return class_code >> 16 == 0x06;
}

/* A group is viable when nothing of it is in the hands of another driver. */
static void check_group_members(const struct host *host, struct doctor_step *step,
                                const char *group)
{
    char path[PATH_MAX];
    char name[NAME_MAX + 16];
    char driver[NAME_MAX + 1];
    struct dirent *entry;

    snprintf(name, sizeof(name), "%s/devices", group);
    DIR *directory = opendir(path_at(host, path, "/sys/kernel/iommu_groups/%s", name));
    while (directory && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.' || is_bridge(host, entry->d_name)) {
            continue;
        }
        driver_of(host, entry->d_name, driver);
        if (driver[0] && strcmp(driver, DRIVER_VFIO) != 0 &&
            strcmp(entry->d_name, host->address) != 0) {
            doctor_fail(step, FINDING_VFIO_GROUP, "group %.16s: %.32s has the driver %.32s", group,
                        entry->d_name, driver);
        }
    }
    if (directory) {
        closedir(directory);
    }
}

static void check_group(const struct host *host, struct doctor_step *step)
{
    char path[PATH_MAX];
    char name[NAME_MAX + 16];
    char group[NAME_MAX + 1];

    snprintf(name, sizeof(name), "%s/iommu_group", host->address);
    if (!link_name(path_at(host, path, "/sys/bus/pci/devices/%s", name), group)) {
        doctor_skip(step, "the device is in no group");
        return;
    }
    check_group_members(host, step, group);
    path_at(host, path, "/dev/vfio/%s", group);
    if (step->result == DOCTOR_OK && access(path, F_OK) == 0 && access(path, R_OK | W_OK) != 0) {
        doctor_fail(step, FINDING_VFIO_PERMISSION, "/dev/vfio/%.16s is not ours to open", group);
    }
    doctor_say(step, "group %.16s, nothing else of it is in use", group);
}

static void run(struct doctor_report *report, const struct host *host, const char *name,
                void (*check)(const struct host *host, struct doctor_step *step))
{
    struct doctor_step step = {.name = name};
    double start = now_ms();
    check(host, &step);
    step.ms = now_ms() - start;
    doctor_report_step(report, &step);
}

void doctor_host(struct doctor_report *report, const struct options *options)
{
    struct host host = {.root = options->host_root ? options->host_root : ""};
    struct doctor_step socket = {.name = "socket"};
    struct doctor_step pages = {.name = "pages"};

    doctor_report_section(report, NULL, "host");
    check_socket(options, &socket);
    doctor_report_step(report, &socket);
    check_pages(&pages);
    doctor_report_step(report, &pages);

    host.is_wanted = options->vfio != NULL;
    run(report, &host, "iommu", check_iommu);
    run(report, &host, "vfio", check_vfio);
    run(report, &host, "memlock", check_memlock);
    if (options->vfio) {
        bool has_domain = strchr(options->vfio, ':') != strrchr(options->vfio, ':');
        snprintf(host.address, sizeof(host.address), "%s%s",
                 has_domain ? "" : "0000:", options->vfio);
        run(report, &host, "binding", check_binding);
        run(report, &host, "group", check_group);
    }
}

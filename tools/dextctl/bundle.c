/*
 * The doctor's archive, by libarchive, in ustar format: members are texts kept in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "dump.h"
#include "log.h"

#define FOLDER        "dextctl-doctor/"
#define MASKED        "masked"
#define CAP_ID_VPD    0x03
#define EXT_ID_SERIAL 0x0003
#define NAMES_MAX     64

struct bundle {
    const struct options *options; /* borrowed */
    int fd;
    bool with_serials;
    bool failed;
    struct archive *archive;
    char *names[NAMES_MAX]; /* of devices: to be masked in the log */
    size_t name_count;
};

static void add(struct bundle *bundle, const char *name, const char *text, size_t length)
{
    struct archive_entry *entry = archive_entry_new();
    char path[128];

    snprintf(path, sizeof(path), FOLDER "%s", name);
    if (!entry) {
        bundle->failed = true;
        return;
    }
    archive_entry_set_pathname(entry, path);
    archive_entry_set_size(entry, (la_int64_t)length);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, time(NULL), 0);
    if (archive_write_header(bundle->archive, entry) != ARCHIVE_OK ||
        archive_write_data(bundle->archive, text, length) != (la_ssize_t)length) {
        bundle->failed = true;
    }
    archive_entry_free(entry);
}

/* A member that is written like a file. */
struct member {
    char *text;
    size_t length;
    FILE *file;
};

static FILE *member_open(struct member *member)
{
    *member = (struct member){0};
    member->file = open_memstream(&member->text, &member->length);
    return member->file;
}

static void member_add(struct bundle *bundle, struct member *member, const char *name)
{
    if (fclose(member->file) != 0) {
        bundle->failed = true;
    } else {
        add(bundle, name, member->text, member->length);
    }
    free(member->text);
}

static const char *set_or_not(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0] ? "set" : "not set";
}

/* A specification with its paths, which may name people, and its serial number taken out. */
static void print_specification(FILE *file, const char *text, bool with_serials)
{
    fputs("device: ", file);
    while (*text) {
        size_t length = strcspn(text, ",");
        size_t key = strcspn(text, "=,");
        bool is_serial = key == strlen("serial") && strncmp(text, "serial", key) == 0;
        bool is_masked =
            key < length && (memchr(text + key, '/', length - key) || (is_serial && !with_serials));
        fprintf(file, "%.*s%s", (int)(is_masked ? key + 1 : length), text, is_masked ? MASKED : "");
        text += length;
        if (*text == ',') {
            fputc(*text++, file);
        }
    }
    fputc('\n', file);
}

static void add_settings(struct bundle *bundle)
{
    struct member member;
    struct utsname system;
    const char *level = getenv("DEXTLINK_LOG");

    if (uname(&system) != 0 || !member_open(&member)) {
        bundle->failed = true;
        return;
    }
    fprintf(member.file, "dextctl: " DEXTLINK_VERSION "\njson-c: %s\n%s\n", json_c_version(),
            archive_version_string());
    fprintf(member.file, "system: %s %s %s\npage size: %ld\n", system.sysname, system.release,
            system.machine, sysconf(_SC_PAGESIZE));
    fprintf(member.file, "DEXTLINK_LOG: %s\nDEXTLINK_SOCKET: %s\nDEXTLINK_TRACE: %s\n",
            level && level[0] ? level : "not set", set_or_not("DEXTLINK_SOCKET"),
            set_or_not("DEXTLINK_TRACE"));
    for (size_t i = 0; i < bundle->options->device_count; i++) {
        print_specification(member.file, bundle->options->devices[i], bundle->with_serials);
    }
    member_add(bundle, &member, "settings.txt");
}

int bundle_open(const struct options *options, struct bundle **out)
{
    struct bundle *bundle = calloc(1, sizeof(*bundle));
    if (!bundle) {
        return failure(NULL, "out of memory");
    }
    bundle->options = options;
    bundle->with_serials = options->given & OPTION_WITH_SERIALS;
    bundle->fd = open(options->bundle, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (bundle->fd < 0) {
        int status = failure(NULL, "--bundle %s: %s%s", options->bundle, strerror(errno),
                             errno == EEXIST ? ", and is left as it is: name another" : "");
        free(bundle);
        return status;
    }
    bundle->archive = archive_write_new();
    if (!bundle->archive || archive_write_set_format_ustar(bundle->archive) != ARCHIVE_OK ||
        archive_write_open_fd(bundle->archive, bundle->fd) != ARCHIVE_OK) {
        const char *cause = bundle->archive ? "" : ": no memory, or no libarchive";
        bundle_discard(bundle);
        unlink(options->bundle);
        return failure(NULL, "--bundle: cannot begin the archive%s", cause);
    }
    log_keep_start();
    add_settings(bundle);
    *out = bundle;
    return STATUS_OK;
}

static void blank(struct config_image *image, unsigned int offset, unsigned int bytes)
{
    if (offset + bytes <= image->length) {
        memset(image->bytes + offset, 0, bytes);
    }
}

static void add_dump(struct bundle *bundle, const struct patient *patient, const char *folder)
{
    struct config_image image = patient->image;
    struct member member;
    char name[64];

    if (!bundle->with_serials) {
        for (size_t i = 0; i < patient->capability_count; i++) {
            const struct capability *it = &patient->capabilities[i];
            if (it->extended && it->id == EXT_ID_SERIAL) {
                blank(&image, it->offset + 4u, 8);
            } else if (!it->extended && it->id == CAP_ID_VPD) {
                blank(&image, it->offset + 2u, 6); /* where it stands, and the word there */
            }
        }
    }
    if (!member_open(&member)) {
        bundle->failed = true;
        return;
    }
    dump_write(member.file, &patient->instance, &image);
    snprintf(name, sizeof(name), "%s/config.txt", folder);
    member_add(bundle, &member, name);
}

static json_object *statistics_json(const struct patient *patient)
{
    AppleDextStatistics now;
    json_object *object = json_object_new_object();

    if (!patient->has_statistics ||
        apple_dext_get_statistics(patient->session.connection, &now) != KERN_SUCCESS) {
        return object;
    }
    json_add_number(object, "live_regions", now.live_regions);
    json_add_number(object, "peak_regions", now.peak_regions);
    json_add_number(object, "live_bytes", now.live_bytes);
    json_add_number(object, "peak_bytes", now.peak_bytes);
    json_add_number(object, "calls", now.calls);
    json_add_number(object, "irqs_raised", now.irqs_raised);
    json_add_number(object, "irqs_delivered", now.irqs_delivered);
    json_add_number(object, "irqs_dropped", now.irqs_dropped);
    json_add_number(object, "faults", now.faults);
    json_add_number(object, "claims", now.claims);
    return object;
}

static json_object *driver_json(const struct patient *patient)
{
    AppleDextDeviceState state;
    json_object *object = json_object_new_object();
    json_object *limits = json_object_new_object();

    json_add_number(limits, "interface_version", patient->limits.interface_version);
    json_add_hex(limits, "features", patient->limits.features, 1);
    json_add_number(limits, "max_regions", patient->limits.max_regions);
    json_add_number(limits, "aperture_bytes", patient->limits.aperture_bytes);
    json_add_number(limits, "granule_bytes", patient->limits.granule_bytes);
    json_add_number(limits, "max_batch", patient->limits.max_batch);
    json_object_object_add(object, "capabilities", limits);
    json_object_object_add(object, "statistics", statistics_json(patient));
    if (patient->is_open &&
        apple_dext_get_device_state(patient->session.connection, &state) == KERN_SUCCESS) {
        json_object *now = json_object_new_object();
        json_add_number(now, "presence", state.presence);
        json_add_number(now, "generation", state.generation);
        json_add_number(now, "link_speed", state.link_speed);
        json_add_number(now, "link_width", state.link_width);
        json_add_hex(now, "last_fault", state.last_fault, 1);
        json_object_object_add(object, "state", now);
    }
    return object;
}

static void add_json(struct bundle *bundle, json_object *object, const char *name)
{
    const char *text = json_object_to_json_string_ext(
        object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
    add(bundle, name, text, strlen(text));
}

/* What a driver keeps of its clients. */
static void add_records(struct bundle *bundle, const struct patient *patient, const char *folder)
{
    struct member member;
    char name[ADDRESS_ROOT_BYTES + INSTANCE_TEXT_BYTES + 16];

    if (!member_open(&member)) {
        bundle->failed = true;
        return;
    }
    doctor_records_write(&patient->records, member.file);
    snprintf(name, sizeof(name), "%s/calls.json", folder);
    member_add(bundle, &member, name);

    json_object *segments = doctor_segments_json(patient->session.connection);
    snprintf(name, sizeof(name), "%s/dma.json", folder);
    add_json(bundle, segments, name);
    json_object_put(segments);
}

void bundle_add_device(struct bundle *bundle, const struct patient *patient)
{
    char folder[ADDRESS_ROOT_BYTES + INSTANCE_TEXT_BYTES];
    char name[sizeof(folder) + 16];

    if (!bundle) {
        return;
    }
    if (bundle->name_count < NAMES_MAX && patient->instance.name[0]) {
        bundle->names[bundle->name_count] = strdup(patient->instance.name);
        bundle->name_count += bundle->names[bundle->name_count] != NULL;
    }
    snprintf(folder, sizeof(folder), "%s", patient->name);
    for (char *at = folder; *at; at++) {
        *at = *at == '/' || *at == ':' ? '-' : *at;
    }
    if (patient->has_image) {
        add_dump(bundle, patient, folder);
    }
    json_object *object = driver_json(patient);
    snprintf(name, sizeof(name), "%s/driver.json", folder);
    add_json(bundle, object, name);
    json_object_put(object);
    if (patient->is_open) {
        add_records(bundle, patient, folder);
    }
}

/* In a text of the log, or a step's line. The same length or shorter is not needed: it is printed
 * piece by piece. */
static void print_masked(FILE *file, const char *text, const char *const *secrets, size_t count)
{
    while (*text) {
        size_t i = 0;
        while (i < count && strncmp(text, secrets[i], strlen(secrets[i])) != 0) {
            i++;
        }
        if (i < count) {
            fputs(MASKED, file);
            text += strlen(secrets[i]);
        } else {
            fputc(*text++, file);
        }
    }
}

/* What must not leave: paths of people, and names of devices unless they were asked for. */
static size_t list_secrets(const struct bundle *bundle, const char *secrets[NAMES_MAX + 2])
{
    static const char *const variables[] = {"DEXTLINK_SOCKET", "HOME"};
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        const char *value = getenv(variables[i]);
        if (value && strlen(value) > 1) {
            secrets[count++] = value;
        }
    }
    for (size_t i = 0; i < bundle->name_count && !bundle->with_serials; i++) {
        secrets[count++] = bundle->names[i];
    }
    return count;
}

static void add_masked(struct bundle *bundle, const char *text, const char *name)
{
    const char *secrets[NAMES_MAX + 2];
    size_t count = list_secrets(bundle, secrets);
    struct member member;

    if (!member_open(&member)) {
        bundle->failed = true;
        return;
    }
    print_masked(member.file, text, secrets, count);
    member_add(bundle, &member, name);
}

static void mask_devices(json_object *report)
{
    json_object *devices = json_object_object_get(report, "devices");
    for (size_t i = 0; i < json_object_array_length(devices); i++) {
        json_object *device = json_object_array_get_idx(devices, i);
        json_add_text(device, "name", MASKED);
        json_add_text(device, "entry_id", MASKED);
    }
}

int bundle_write(struct bundle *bundle, json_object *report)
{
    if (!bundle->with_serials) {
        mask_devices(report);
    }
    add_masked(bundle,
               json_object_to_json_string_ext(report, JSON_C_TO_STRING_PRETTY |
                                                          JSON_C_TO_STRING_SPACED |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE),
               "report.json");
    char *log = log_keep_end();
    add_masked(bundle, log ? log : "", "log.txt");
    free(log);
    if (archive_write_close(bundle->archive) != ARCHIVE_OK) {
        bundle->failed = true;
    }
    int status = STATUS_OK;
    if (bundle->failed) {
        const char *cause = archive_error_string(bundle->archive);
        unlink(bundle->options->bundle);
        status = failure(NULL, "--bundle %s: %s", bundle->options->bundle,
                         cause ? cause : "cannot be written");
    }
    bundle_discard(bundle);
    return status;
}

void bundle_discard(struct bundle *bundle)
{
    if (!bundle) {
        return;
    }
    free(log_keep_end());
    if (bundle->archive) {
        archive_write_free(bundle->archive);
    }
    close(bundle->fd);
    for (size_t i = 0; i < bundle->name_count; i++) {
        free(bundle->names[i]);
    }
    free(bundle);
}

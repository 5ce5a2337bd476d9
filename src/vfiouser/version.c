/*
 * The VERSION message: numbers and a JSON text of capabilities.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "vfiouser/codec.h"

#define VERSION_BYTES   4 /* of the two numbers */
#define VERSION_DEPTH   8 /* of nested JSON */
#define MAX_MESSAGE_FDS 1024

/* A whole number within limits; what is not there leaves *value alone. */
static bool get_number(json_object *object, const char *key, int64_t minimum, int64_t maximum,
                       uint64_t *value)
{
    json_object *member;
    if (!json_object_object_get_ex(object, key, &member)) {
        return true;
    }
    int64_t number = json_object_get_int64(member);
    if (!json_object_is_type(member, json_type_int) || number < minimum || number > maximum) {
        return false;
    }
    *value = (uint64_t)number;
    return true;
}

static bool get_bool(json_object *object, const char *key, bool *value)
{
    json_object *member;
    if (!json_object_object_get_ex(object, key, &member)) {
        return true;
    }
    *value = json_object_get_boolean(member);
    return json_object_is_type(member, json_type_boolean);
}

/* An object; NULL in *member when it is not there. */
static bool get_object(json_object *object, const char *key, json_object **member)
{
    if (!json_object_object_get_ex(object, key, member)) {
        *member = NULL;
        return true;
    }
    return json_object_is_type(*member, json_type_object);
}

/* A page size: pages there are on some machine, and a multiple of the smallest. */
static bool page_size_is_valid(json_object *object, const char *key)
{
    uint64_t bytes = VU_PAGE_BYTES;
    return get_number(object, key, VU_PAGE_BYTES, INT64_MAX, &bytes) && bytes % VU_PAGE_BYTES == 0;
}

/* What is not used here must be well-formed all the same: a peer that is wrong there would be
 * misunderstood by others. */
static bool get_others(json_object *capabilities, struct vu_capabilities *out)
{
    json_object *migration;
    json_object *twin_socket;
    uint64_t ignored;
    return get_object(capabilities, "migration", &migration) &&
           (!migration || (page_size_is_valid(migration, "pgsize") &&
                           get_number(migration, "max_bitmap_size", 0, INT64_MAX, &ignored))) &&
           get_object(capabilities, "twin_socket", &twin_socket) &&
           (!twin_socket || get_bool(twin_socket, "supported", &out->has_twin_socket)) &&
           page_size_is_valid(capabilities, "pgsizes") &&
           get_number(capabilities, "max_dma_maps", 0, INT64_MAX, &ignored);
}

static bool get_capabilities(json_object *root, struct vu_capabilities *out)
{
    json_object *capabilities;
    uint64_t max_fds = out->max_fds;
    if (!json_object_is_type(root, json_type_object) ||
        !get_object(root, "capabilities", &capabilities)) {
        return false;
    }
    if (!capabilities) {
        return true;
    }
    bool is_valid =
        get_number(capabilities, "max_msg_fds", 0, MAX_MESSAGE_FDS, &max_fds) &&
        get_number(capabilities, "max_data_xfer_size", 0, INT64_MAX, &out->max_transfer) &&
        get_bool(capabilities, "write_multiple", &out->has_write_multiple) &&
        get_others(capabilities, out);
    out->max_fds = (uint32_t)max_fds;
    return is_valid;
}

static int decode_json(const char *text, size_t length, struct vu_capabilities *out)
{
    json_tokener *tokener = json_tokener_new_ex(VERSION_DEPTH);
    if (!tokener) {
        return -ENOMEM;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT); /* and nothing behind it */
    json_object *root = json_tokener_parse_ex(tokener, text, (int)length);
    bool is_valid = json_tokener_get_error(tokener) == json_tokener_success && root &&
                    get_capabilities(root, out);
    json_object_put(root);
    json_tokener_free(tokener);
    return is_valid ? 0 : -EINVAL;
}

int vu_version_decode(const uint8_t *payload, size_t length, struct vu_version *out)
{
    *out = (struct vu_version){
        .capabilities = {.max_fds = VU_DEFAULT_FDS, .max_transfer = VU_MAX_TRANSFER}};
    if (length < VERSION_BYTES) {
        return -EINVAL;
    }
    memcpy(&out->major, payload, sizeof(out->major));
    memcpy(&out->minor, payload + sizeof(out->major), sizeof(out->minor));
    if (length == VERSION_BYTES) {
        return 0;
    }
    if (payload[length - 1] != '\0') {
        return -EINVAL;
    }
    /* With its NUL: that is how the parser knows that nothing follows. */
    return decode_json((const char *)payload + VERSION_BYTES, length - VERSION_BYTES,
                       &out->capabilities);
}

size_t vu_version_encode(const struct vu_version *version, uint8_t *payload, size_t size)
{
    const struct vu_capabilities *capabilities = &version->capabilities;
    if (size <= VERSION_BYTES) {
        return 0;
    }
    memcpy(payload, &version->major, sizeof(version->major));
    memcpy(payload + sizeof(version->major), &version->minor, sizeof(version->minor));
    int length = snprintf(
        (char *)payload + VERSION_BYTES, size - VERSION_BYTES,
        "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%llu,"
        "\"max_dma_maps\":%d,\"pgsizes\":%d,\"write_multiple\":%s%s}}",
        capabilities->max_fds, (unsigned long long)capabilities->max_transfer, VU_MAX_DMA_MAPS,
        VU_PAGE_BYTES, capabilities->has_write_multiple ? "true" : "false",
        capabilities->has_twin_socket ? ",\"twin_socket\":{\"supported\":true,\"fd_index\":0}"
                                      : "");
    if (length < 0 || (size_t)length >= size - VERSION_BYTES) {
        return 0;
    }
    return VERSION_BYTES + (size_t)length + 1;
}

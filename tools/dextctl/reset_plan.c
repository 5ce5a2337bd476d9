/*
 * Planning a reset: its steps, and who is hit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "reset_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "instance.h"

#define CAPABILITY_MAX 64

/* Devices that a function-level reset leaves with retry status until power is cycled; Linux keeps
 * them from it too. */
static const struct {
    uint16_t vendor_id;
    uint16_t device_id;
} broken_by_function_reset[] = {{0x10de, 0x2b85}, {0x10de, 0x2b87}, {0x10de, 0x2b8c}};

static bool is_broken_by_function_reset(const AppleDextInstance *instance)
{
    size_t count = sizeof(broken_by_function_reset) / sizeof(*broken_by_function_reset);

    for (size_t i = 0; i < count; i++) {
        if (instance->vendor_id == broken_by_function_reset[i].vendor_id &&
            instance->device_id == broken_by_function_reset[i].device_id) {
            return true;
        }
    }
    return false;
}

/* Claims as the registry has them, "pid 12, qemu; pid 13, dextctl", without our own. */
static void copy_other_clients(struct reset_plan *plan, const char *claimed_by)
{
    char ours[24];
    char all[sizeof(plan->clients)];
    char *rest = all;
    char *one;
    size_t used = 0;

    snprintf(ours, sizeof(ours), "pid %ld,", (long)getpid());
    snprintf(all, sizeof(all), "%s", claimed_by);
    plan->knows_clients = claimed_by[0] != '\0';
    while ((one = strsep(&rest, ";")) != NULL) {
        one += strspn(one, " ");
        if (one[0] && strncmp(one, ours, strlen(ours)) != 0 && used < sizeof(plan->clients)) {
            used += (size_t)snprintf(plan->clients + used, sizeof(plan->clients) - used, "%s%s",
                                     used ? "; " : "", one);
        }
    }
}

/* Functions on one bus below one root hang under one port. */
static kern_return_t find_others(struct reset_plan *plan)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;

    kern_return_t code = apple_dext_list(&instances, &count);
    for (size_t i = 0; code == KERN_SUCCESS && i < count; i++) {
        const AppleDextInstance *it = &instances[i];
        if (it->entry_id == plan->instance.entry_id) {
            copy_other_clients(plan, it->claimed_by);
        } else if (it->has_address && it->bus == plan->instance.bus &&
                   strcmp(it->root, plan->instance.root) == 0) {
            if (plan->neighbour_count < PLAN_NEIGHBOURS) {
                plan->neighbours[plan->neighbour_count] = *it;
            }
            plan->neighbour_count++;
        }
    }
    apple_dext_free_list(instances);
    return code;
}

int reset_plan_make(struct reset_plan *plan, const struct session *session)
{
    struct capability capabilities[CAPABILITY_MAX];

    *plan = (struct reset_plan){.is_alive = true};
    kern_return_t code = apple_dext_get_identity(session->connection, &plan->instance);
    if (code == KERN_SUCCESS) {
        code = find_others(plan);
    }
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot look around before the reset");
    }
    plan->breaks_by_function_reset = is_broken_by_function_reset(&plan->instance);
    code = config_image_read(session, &plan->image);
    /* one that asks for a retry answers with 0x0001 there, and with anything elsewhere */
    plan->is_alive =
        code == KERN_SUCCESS &&
        (!plan->instance.has_ids || config_u16(&plan->image, 0) == plan->instance.vendor_id);
    if (code != KERN_SUCCESS && code != kIOReturnNoDevice) {
        return session_failure(session, code, "cannot read its ids before the reset");
    }
    size_t count = plan->is_alive ? capability_list(&plan->image, capabilities, CAPABILITY_MAX) : 0;
    code = ability_get(&plan->ability, session, &plan->image, capabilities, count);
    return code == KERN_SUCCESS ? STATUS_OK
                                : session_failure(session, code, "cannot get its limits");
}

static uint64_t live_regions(const struct reset_plan *plan)
{
    return plan->ability.has_statistics ? plan->ability.statistics.live_regions : 0;
}

bool reset_plan_needs_consent(const struct reset_plan *plan)
{
    return plan->neighbour_count > 0 || plan->clients[0] || live_regions(plan) > 0 ||
           plan->breaks_by_function_reset;
}

static void print_steps(const struct reset_plan *plan, const struct session *session)
{
    if (!plan->is_alive) {
        printf("%s: does not answer with its ids; what it can be reset by is not known\n",
               session->name);
        return;
    }
    bool is_ladder = plan->ability.has_function_reset || plan->ability.has_power_reset;
    printf("%s: reset by %s%shot reset%s\n", session->name,
           plan->ability.has_function_reset ? "function-level reset, then " : "",
           plan->ability.has_power_reset ? "D3hot to D0, then " : "",
           is_ladder ? ", each if the one before does not bring it back" : "");
    if (plan->breaks_by_function_reset) {
        printf("  warning    %04x:%04x is known to stay dead after a function-level reset, until "
               "its power is cycled\n",
               plan->instance.vendor_id, plan->instance.device_id);
    }
}

static void print_neighbours(const struct reset_plan *plan)
{
    char text[INSTANCE_TEXT_BYTES];

    fputs("  functions  ", stdout);
    if (plan->neighbour_count == 0) {
        puts("none but this one below its port, of those with this driver");
        return;
    }
    for (size_t i = 0; i < plan->neighbour_count && i < PLAN_NEIGHBOURS; i++) {
        printf("%s%s", i ? ", " : "", instance_address_text(&plan->neighbours[i], text));
    }
    printf("%s: a hot reset hits them too\n",
           plan->neighbour_count > PLAN_NEIGHBOURS ? ", ..." : "");
}

void reset_plan_print(const struct reset_plan *plan, const struct session *session)
{
    print_steps(plan, session);
    print_neighbours(plan);
    printf("  clients    %s\n", plan->clients[0]      ? plan->clients
                                : plan->knows_clients ? "no other claim"
                                                      : "cannot be known of this driver");
    if (plan->ability.has_statistics) {
        printf("  dma        %" PRIu64 " regions, %" PRIu64 " bytes: they stay, transfers end\n",
               plan->ability.statistics.live_regions, plan->ability.statistics.live_bytes);
    } else {
        puts("  dma        cannot be known of this driver; regions stay, transfers end");
    }
    output_flush();
}

static json_object *steps_json(const struct reset_plan *plan)
{
    json_object *array = json_object_new_array();

    if (!plan->is_alive) {
        json_object_put(array);
        return NULL;
    }
    if (plan->ability.has_function_reset) {
        json_object_array_add(array, json_object_new_string("function"));
    }
    if (plan->ability.has_power_reset) {
        json_object_array_add(array, json_object_new_string("power"));
    }
    json_object_array_add(array, json_object_new_string("hot"));
    return array;
}

void reset_plan_add_json(json_object *object, const struct reset_plan *plan)
{
    json_object *functions = json_object_new_array();

    for (size_t i = 0; i < plan->neighbour_count && i < PLAN_NEIGHBOURS; i++) {
        char text[INSTANCE_TEXT_BYTES];
        json_object_array_add(
            functions, json_object_new_string(instance_address_text(&plan->neighbours[i], text)));
    }
    json_add_bool(object, "alive", plan->is_alive);
    json_object_object_add(object, "steps", steps_json(plan));
    json_add_bool(object, "breaks_by_function_reset", plan->breaks_by_function_reset);
    json_object_object_add(object, "functions", functions);
    if (plan->knows_clients) {
        json_add_text(object, "clients", plan->clients);
    } else {
        json_object_object_add(object, "clients", NULL);
    }
    if (plan->ability.has_statistics) {
        json_add_number(object, "regions", plan->ability.statistics.live_regions);
        json_add_number(object, "bytes", plan->ability.statistics.live_bytes);
    } else {
        json_object_object_add(object, "regions", NULL);
        json_object_object_add(object, "bytes", NULL);
    }
    json_add_bool(object, "needs_consent", reset_plan_needs_consent(plan));
}

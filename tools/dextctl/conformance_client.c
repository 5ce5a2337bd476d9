/*
 * Conformance of several clients of one device: claims are shared, and what is one client's is not
 * another's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>

#include "conformance.h"

static struct conformance_call read_ids(io_connect_t client)
{
    const uint64_t in[] = {0, 4};
    return conformance_ask(client, SEL_CONFIG_READ, in);
}

static uint64_t ids_of(const struct conformance *run)
{
    return (uint64_t)run->instance.device_id << 16 | run->instance.vendor_id;
}

static void second_shares(struct conformance *run)
{
    io_connect_t one = conformance_hold(run);
    io_connect_t two = one == IO_OBJECT_NULL ? one : conformance_claim_own(run);
    if (two == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call of_one = read_ids(one);
    struct conformance_call of_two = read_ids(two);
    if (want_reply(run, &of_one) && want_reply(run, &of_two)) {
        want(run, of_one.out[0] == of_two.out[0], "one reads 0x%" PRIx64 ", the other 0x%" PRIx64,
             of_one.out[0], of_two.out[0]);
    }
}

static void second_without_claim(struct conformance *run)
{
    io_connect_t one = conformance_hold(run);
    io_connect_t two = one == IO_OBJECT_NULL ? one : conformance_look_on(run);
    if (two == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = read_ids(two);
    if (call.code == KERN_SUCCESS && call.out[0] == ids_of(run)) {
        differs(run);
    } else {
        want_code(run, call.code, kIOReturnNotOpen, "a client beside the one with the claim");
    }
}

static void second_leaves(struct conformance *run)
{
    io_connect_t one = conformance_hold(run);
    io_connect_t two = one == IO_OBJECT_NULL ? one : conformance_claim_own(run);
    if (two == IO_OBJECT_NULL) {
        return;
    }
    conformance_leave(run, two);
    struct conformance_call call = read_ids(one);
    if (want_reply(run, &call)) {
        want(run, call.out[0] == ids_of(run), "the first then reads 0x%" PRIx64, call.out[0]);
    }
}

/* The shared claim is given up for this: the first client must be one that can leave. */
static void first_leaves(struct conformance *run)
{
    conformance_let_go(run);
    io_connect_t one = conformance_claim_own(run);
    io_connect_t two = one == IO_OBJECT_NULL ? one : conformance_claim_own(run);
    if (two == IO_OBJECT_NULL) {
        return;
    }
    conformance_leave(run, one);
    /* Several looks: the driver may close behind the answer to the one that left. */
    for (int i = 0; i < 20 && run->outcome == OUTCOME_OK; i++) {
        struct conformance_call call = read_ids(two);
        if (call.code == KERN_SUCCESS && call.out_count == 1 && call.out[0] == UINT32_MAX) {
            differs(run);
        } else if (want_reply(run, &call)) {
            want(run, call.out[0] == ids_of(run), "the second then reads 0x%" PRIx64, call.out[0]);
        }
    }
}

static void claim_again(struct conformance *run)
{
    conformance_let_go(run);
    io_connect_t one = conformance_claim_own(run);
    conformance_leave(run, one);
    if (one == IO_OBJECT_NULL || conformance_hold(run) == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = read_ids(run->holder);
    if (want_reply(run, &call)) {
        want(run, call.out[0] == ids_of(run), "it then reads 0x%" PRIx64, call.out[0]);
    }
}

static const struct conformance_test tests[] = {
    {"Clients.share-a-claim", LEVEL_CLAIMED, "claim.shared",
     "a second client claims too, and both read the device", second_shares, NULL, 0},
    {"Clients.second-unclaimed", LEVEL_CLAIMED, "claim.own",
     "kIOReturnNotOpen for a client beside the one with the claim", second_without_claim,
     "success: it reads the device while anybody has a claim", 0},
    {"Clients.second-leaves", LEVEL_CLAIMED, "claim.shared",
     "the first goes on when the second leaves", second_leaves, NULL, 0},
    {"Clients.first-leaves", LEVEL_CLAIMED, "claim.first-leaves",
     "the second goes on when the first leaves", first_leaves,
     "ones with success: the device closes with the client that opened it", 0},
    {"Clients.claim-again", LEVEL_CLAIMED, "claim.again",
     "the device can be claimed after all have left", claim_again, NULL, 0},
};

const struct conformance_group conformance_client = {tests, sizeof(tests) / sizeof(*tests)};

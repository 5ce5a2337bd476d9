/*
 * What the frames between a client process and a host mean.
 *
 * A client process has one control socket (registry, opening), one event socket (handed out in the
 * reply to HELLO; frames go from host to client only), one call socket an open connection (handed
 * out in the reply to OPEN) and memory sockets (handed out in the reply to MEMORY_OPEN; the host
 * asks, the client answers). On control and call sockets the client sends a request and waits for
 * the reply. A reply repeats type, sequence and call id of its request; its status is an IOReturn.
 * Names in the payload lists: u32, u64 fixed width; str, value as in wire/message.h and
 * wire/value.h. docs/wire.md has the tables for readers of other languages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_PROTOCOL_H
#define DEXTLINK_WIRE_PROTOCOL_H

#include <stdint.h>

#define WIRE_VERSION 1

enum wire_type {
    /* Control socket. HELLO is the first request and comes once. */
    WIRE_HELLO = 1,         /* u32 version -> u32 version, u32 page size; fd: event socket */
    WIRE_MATCH = 2,         /* value dictionary -> u32 count, u64 entry id each */
    WIRE_ENTRY = 3,         /* u64 entry id -> value dictionary, keys WIRE_ENTRY_* below */
    WIRE_OPEN = 4,          /* u64 entry id, u32 type -> u64 connection id; fd: call socket */
    WIRE_NOTIFY_ADD = 5,    /* u64 token, u32 enum wire_notify, value dictionary ->
                               u32 count, u64 entry id each (what matches already) */
    WIRE_NOTIFY_REMOVE = 6, /* u64 token (matching or interest) -> */
    WIRE_INTEREST_ADD = 7,  /* u64 token, u64 entry id -> */

    /* Memory of the client that the client answers for (served memory). */
    WIRE_MEMORY_OPEN = 8,      /* -> u64 channel id; fd: memory socket */
    WIRE_MEMORY_SERVE = 9,     /* u64 channel id, u64 address, u64 bytes -> */
    WIRE_MEMORY_WITHDRAW = 10, /* u64 address of a range -> */
    WIRE_MEMORY_CLOSE = 11,    /* u64 channel id -> ; its ranges are withdrawn */

    WIRE_WAKE_OPEN = 12, /* -> u64 wake channel, 1 to 64; fd: its memory (wire/wake.h) */

    /* Call sockets. */
    WIRE_CALL = 16,    /* u32 selector, u32 flags, u32 scalars in, u32 scalars out, u64 struct bytes
                          in, u64 struct bytes out, u64 wake port, u64 reference[8], scalars, bytes
                          -> u32 scalars, u32 0, u64 struct bytes, scalars, bytes */
    WIRE_MAP = 17,     /* u64 type -> u64 bytes, u32 read-only, u32 ranges, each u64 offset, u64
                          bytes, u64 fd offset, u32 fd index, u32 0; fds */
    WIRE_ACCESS = 18,  /* u64 type, u64 offset, u32 width, u32 is write, u64 value -> u64 value */
    WIRE_CLOSE = 19,   /* -> ; the host closes the socket after the reply */
    WIRE_SLOTS = 20,   /* u32 layout (wire/slots.h) -> u32 slots; fd: memory of the call slots */
    WIRE_KICK = 21,    /* no reply: there is a request in a slot */
    WIRE_CALL_AT = 22, /* in slots only: a CALL whose structures are fetched (wire/words.h) */

    /* Event socket. */
    WIRE_EVENT_COMPLETION = 32, /* u64 wake port, u64 reference[8], u32 status, u32 count, u64s */
    WIRE_EVENT_MATCH = 33,      /* u64 token, u64 entry id */
    WIRE_EVENT_DEAD = 34,       /* u64 entry id: it and its connections are dead names from now */
    WIRE_EVENT_INTEREST = 35,   /* u64 token, u64 entry id, u32 message type, u32 0, u64 argument */
    WIRE_EVENT_WAKE = 36, /* u32 wake channel, u32 0: nobody waits on it, and it has something */

    /* Memory sockets: the host asks, one request at a time. Status 0 or any other: it is a fault of
     * the device then. */
    WIRE_MEMORY_READ = 48,  /* u64 address, u64 length -> that many bytes */
    WIRE_MEMORY_WRITE = 49, /* u64 address, u64 length, that many bytes -> */
};

enum wire_notify {
    WIRE_NOTIFY_PUBLISH = 1,    /* arrivals */
    WIRE_NOTIFY_TERMINATED = 2, /* departures */
};

#define WIRE_CALL_ASYNC UINT32_C(1) /* wake port and reference are meaningful */
/* With WIRE_CALL_ASYNC: the wake channel that the completion is to come by; 0: the event socket. */
#define WIRE_CALL_WAKE_SHIFT 8
#define WIRE_CALL_WAKE_MASK  (UINT32_C(0xff) << WIRE_CALL_WAKE_SHIFT)
#define WIRE_MAX_WAKES       64    /* channels of one client */
#define WIRE_MAX_WATCHES     1024  /* NOTIFY_ADDs of one client */
#define WIRE_MAX_INTERESTS   65536 /* INTEREST_ADDs of one client */
#define WIRE_MAX_MATCHING    65536 /* bytes of a NOTIFY_ADD */

#define WIRE_MAX_SCALARS     16
#define WIRE_MAX_REFERENCES  8
#define WIRE_MAX_ARGUMENTS   16 /* of a completion */
#define WIRE_MAX_STRUCT      (UINT32_C(4) * 1024 * 1024)
#define WIRE_MAX_MEMORY      65536 /* bytes of one WIRE_MEMORY_READ or _WRITE */

/* What a WIRE_CALL begins with, before its scalars and bytes; and its reply. */
struct wire_call_head {
    uint32_t selector;
    uint32_t flags;
    uint32_t scalars_in;
    uint32_t scalars_out; /* room */
    uint64_t struct_in;   /* bytes */
    uint64_t struct_out;  /* bytes of room */
    uint64_t wake_port;
    uint64_t reference[WIRE_MAX_REFERENCES];
};
_Static_assert(sizeof(struct wire_call_head) == 104, "without padding");

struct wire_call_reply {
    uint32_t scalars;
    uint32_t zero;
    uint64_t struct_bytes;
};
_Static_assert(sizeof(struct wire_call_reply) == 16, "without padding");

/* Keys of the reply to WIRE_ENTRY. */
#define WIRE_ENTRY_NAME       "name"       /* string */
#define WIRE_ENTRY_CLASS      "class"      /* string */
#define WIRE_ENTRY_CONFORMS   "conforms"   /* array of strings: the class and its superclasses */
#define WIRE_ENTRY_PATH       "path"       /* string, "IOService:/…" */
#define WIRE_ENTRY_LOCATION   "location"   /* string; absent when there is none */
#define WIRE_ENTRY_PARENT     "parent"     /* number: entry id; absent at the root */
#define WIRE_ENTRY_CHILDREN   "children"   /* array of numbers: ids of the active entries below */
#define WIRE_ENTRY_PROPERTIES "properties" /* dictionary */

#endif

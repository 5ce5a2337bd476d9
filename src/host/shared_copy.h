/*
 * Copies to and from memory that a client reads and writes at the same time.
 *
 * The shared side is accessed by the widest naturally aligned words, each once: a word that a
 * driver polls is never seen half-written, as on a bus. Words are atomic, without order among them,
 * but that an aligned last word is written after the rest; the DART's lock orders one access of the
 * device with the next.
 *
 * Long runs go by vectors of two words, or of four where the processor has them, each accessed once
 * and aligned: on 64-bit x86 and Arm no word of them is torn. ThreadSanitizer knows only atomic
 * words, and gets those.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SHARED_COPY_H
#define DEXTLINK_HOST_SHARED_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SHARED_COPY_TO(type, shared, from)                                                         \
    do {                                                                                           \
        type word_;                                                                                \
        memcpy(&word_, (from), sizeof(word_));                                                     \
        __atomic_store_n((type *)(void *)(shared), word_, __ATOMIC_RELAXED);                       \
    } while (0)

#define SHARED_COPY_FROM(type, shared, to)                                                         \
    do {                                                                                           \
        type word_ = __atomic_load_n((const type *)(const void *)(shared), __ATOMIC_RELAXED);      \
        memcpy((to), &word_, sizeof(word_));                                                       \
    } while (0)

#if defined(__SANITIZE_THREAD__)
#define SHARED_COPY_BY_BLOCKS false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARED_COPY_BY_BLOCKS false
#endif
#endif
#ifndef SHARED_COPY_BY_BLOCKS
#if defined(__x86_64__) || defined(__aarch64__)
#define SHARED_COPY_BY_BLOCKS true
#else
#define SHARED_COPY_BY_BLOCKS false
#endif
#endif

typedef uint64_t shared_copy_pair __attribute__((vector_size(16), may_alias));
#define SHARED_COPY_BLOCK (4 * sizeof(shared_copy_pair))

#if defined(__x86_64__)
#define SHARED_COPY_HAS_QUADS (SHARED_COPY_BY_BLOCKS && __builtin_cpu_supports("avx2"))
#define SHARED_COPY_QUADS     __attribute__((target("avx2")))
#else
#define SHARED_COPY_HAS_QUADS false
#define SHARED_COPY_QUADS
#endif

typedef uint64_t shared_copy_quad __attribute__((vector_size(32), may_alias));
#define SHARED_COPY_LONG_BLOCK (4 * sizeof(shared_copy_quad))

/* As below, by longer vectors. Only with SHARED_COPY_HAS_QUADS. */
SHARED_COPY_QUADS static inline size_t shared_copy_long_blocks_to(unsigned char *shared,
                                                                  const unsigned char *from,
                                                                  size_t length)
{
    size_t done = 0;
    for (; length - done >= SHARED_COPY_LONG_BLOCK; done += SHARED_COPY_LONG_BLOCK) {
        volatile shared_copy_quad *to = (volatile shared_copy_quad *)(void *)(shared + done);
        shared_copy_quad a, b, c, d; /* an array would go through memory */
        memcpy(&a, from + done, sizeof(a));
        memcpy(&b, from + done + sizeof(a), sizeof(b));
        memcpy(&c, from + done + 2 * sizeof(a), sizeof(c));
        memcpy(&d, from + done + 3 * sizeof(a), sizeof(d));
        to[0] = a;
        to[1] = b;
        to[2] = c;
        to[3] = d;
    }
    return done;
}

SHARED_COPY_QUADS static inline size_t shared_copy_long_blocks_from(unsigned char *to,
                                                                    const unsigned char *shared,
                                                                    size_t length)
{
    size_t done = 0;
    for (; length - done >= SHARED_COPY_LONG_BLOCK; done += SHARED_COPY_LONG_BLOCK) {
        const volatile shared_copy_quad *from =
            (const volatile shared_copy_quad *)(const void *)(shared + done);
        shared_copy_quad a = from[0], b = from[1], c = from[2], d = from[3];
        memcpy(to + done, &a, sizeof(a));
        memcpy(to + done + sizeof(a), &b, sizeof(b));
        memcpy(to + done + 2 * sizeof(a), &c, sizeof(c));
        memcpy(to + done + 3 * sizeof(a), &d, sizeof(d));
    }
    return done;
}

/* Whether a run is worth longer vectors, and lies right for them. */
static inline bool shared_copy_is_long(const unsigned char *shared, size_t length)
{
    return length >= 2 * SHARED_COPY_LONG_BLOCK &&
           (uintptr_t)shared % sizeof(shared_copy_quad) == 0 && SHARED_COPY_HAS_QUADS;
}

/* Whole blocks, as many as there are, where the shared side is aligned for them: bytes copied. */
static inline size_t shared_copy_blocks_to(unsigned char *shared, const unsigned char *from,
                                           size_t length)
{
    size_t done = 0;
    if (!SHARED_COPY_BY_BLOCKS || (uintptr_t)shared % sizeof(shared_copy_pair) != 0) {
        return 0;
    }
    if (shared_copy_is_long(shared, length)) {
        done = shared_copy_long_blocks_to(shared, from, length);
    }
    for (; length - done >= SHARED_COPY_BLOCK; done += SHARED_COPY_BLOCK) {
        volatile shared_copy_pair *to = (volatile shared_copy_pair *)(void *)(shared + done);
        shared_copy_pair block[4];
        memcpy(block, from + done, sizeof(block));
        to[0] = block[0];
        to[1] = block[1];
        to[2] = block[2];
        to[3] = block[3];
    }
    return done;
}

static inline size_t shared_copy_blocks_from(unsigned char *to, const unsigned char *shared,
                                             size_t length)
{
    size_t done = 0;
    if (!SHARED_COPY_BY_BLOCKS || (uintptr_t)shared % sizeof(shared_copy_pair) != 0) {
        return 0;
    }
    if (shared_copy_is_long(shared, length)) {
        done = shared_copy_long_blocks_from(to, shared, length);
    }
    for (; length - done >= SHARED_COPY_BLOCK; done += SHARED_COPY_BLOCK) {
        const volatile shared_copy_pair *from =
            (const volatile shared_copy_pair *)(const void *)(shared + done);
        shared_copy_pair block[4] = {from[0], from[1], from[2], from[3]};
        memcpy(to + done, block, sizeof(block));
    }
    return done;
}

/* Whether a word comes before the first block: the shared side lies between two vectors. */
static inline bool shared_copy_is_between(const unsigned char *shared, size_t length)
{
    return (uintptr_t)shared % sizeof(shared_copy_pair) == 8 && length >= SHARED_COPY_BLOCK + 8;
}

/* Bytes of the next word: what the alignment of the shared side and the rest allow. */
static inline size_t shared_copy_width(const unsigned char *shared, size_t rest)
{
    size_t width = 8;
    while (width > rest || (uintptr_t)shared % width != 0) {
        width /= 2;
    }
    return width;
}

static inline void shared_copy_to(unsigned char *shared, const unsigned char *from, size_t length)
{
    uint64_t last = 0;
    uint64_t *last_at = NULL;
    if (length >= sizeof(last) && (uintptr_t)(shared + length) % sizeof(last) == 0) {
        length -= sizeof(last);
        last_at = (uint64_t *)(void *)(shared + length);
        memcpy(&last, from + length, sizeof(last));
    }
    while (length > 0) {
        size_t width = shared_copy_width(shared, length);
        size_t bytes = width;
        switch (width) {
        case 8:
            if (shared_copy_is_between(shared, length)) {
                SHARED_COPY_TO(uint64_t, shared, from);
                break;
            }
            for (bytes = shared_copy_blocks_to(shared, from, length); length - bytes >= 8;
                 bytes += 8) {
                SHARED_COPY_TO(uint64_t, shared + bytes, from + bytes);
            }
            break;
        case 4:
            SHARED_COPY_TO(uint32_t, shared, from);
            break;
        case 2:
            SHARED_COPY_TO(uint16_t, shared, from);
            break;
        default:
            SHARED_COPY_TO(uint8_t, shared, from);
            break;
        }
        shared += bytes;
        from += bytes;
        length -= bytes;
    }
    if (last_at) {
        __atomic_store_n(last_at, last, __ATOMIC_RELEASE);
    }
}

static inline void shared_copy_from(unsigned char *to, const unsigned char *shared, size_t length)
{
    while (length > 0) {
        size_t width = shared_copy_width(shared, length);
        size_t bytes = width;
        switch (width) {
        case 8:
            if (shared_copy_is_between(shared, length)) {
                SHARED_COPY_FROM(uint64_t, shared, to);
                break;
            }
            for (bytes = shared_copy_blocks_from(to, shared, length); length - bytes >= 8;
                 bytes += 8) {
                SHARED_COPY_FROM(uint64_t, shared + bytes, to + bytes);
            }
            break;
        case 4:
            SHARED_COPY_FROM(uint32_t, shared, to);
            break;
        case 2:
            SHARED_COPY_FROM(uint16_t, shared, to);
            break;
        default:
            SHARED_COPY_FROM(uint8_t, shared, to);
            break;
        }
        shared += bytes;
        to += bytes;
        length -= bytes;
    }
}

#endif

/*
 * A word at a known place in private memory, for whoever looks into this process or writes to it.
 *
 *     place_word ADDRESS WORD PROTECTION [PROGRAM [ARGUMENT...]]
 *
 * Says as which user it runs when the word is there, and waits for a line. Then becomes PROGRAM, or
 * says which word is there now.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BYTES = 65536, ARGUMENTS = 4 };

int main(int argc, char **argv)
{
    char line[16];
    if (argc < ARGUMENTS) {
        return 2;
    }
    void *wanted = (void *)(uintptr_t)strtoull(argv[1], NULL, 0);
    volatile uint64_t *place = mmap(wanted, BYTES, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (place != wanted) {
        perror("mmap");
        return 1;
    }
    *place = strtoull(argv[2], NULL, 0);
    if (mprotect(wanted, BYTES, atoi(argv[3])) != 0) {
        perror("mprotect");
        return 1;
    }
    printf("%u\n", (unsigned)geteuid());
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin)) {
        return 1;
    }
    if (argc > ARGUMENTS) {
        execv(argv[ARGUMENTS], argv + ARGUMENTS);
        perror(argv[ARGUMENTS]);
        return 1;
    }
    printf("0x%" PRIx64 "\n", *place);
    return 0;
}

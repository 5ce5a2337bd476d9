/*
 * A fuzz target as a test: every file of a corpus, then inputs made from a fixed seed. A target
 * aborts when something does not hold, with the reason on stderr.
 *
 * usage: fuzz_TARGET CORPUS_DIRECTORY COUNT
 *        fuzz_TARGET FILE...
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz_input.h"

#define LONGEST_FILE   65536
#define LONGEST_RANDOM 1024

static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64* */
static uint64_t next(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

/* A copy of its own size: a read past the end is seen. */
static void run(const uint8_t *bytes, size_t count)
{
    uint8_t *copy = malloc(count > 0 ? count : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, bytes, count);
    LLVMFuzzerTestOneInput(copy, count);
    free(copy);
}

static void run_file(const char *path)
{
    static uint8_t bytes[LONGEST_FILE];
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("Bail out! %s: %s\n", path, strerror(errno));
        exit(1);
    }
    size_t count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    /* Said before: the last line names the input that ended the program. */
    printf("# %s\n", path);
    fflush(stdout);
    run(bytes, count);
}

static unsigned run_directory(const char *directory)
{
    struct dirent **names;
    unsigned ran = 0;
    int count = scandir(directory, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            run_file(path);
            ran++;
        }
        free(names[i]);
    }
    if (count >= 0) {
        free(names);
    }
    return ran;
}

/* Small numbers are more often meant than large ones. */
static void run_random(unsigned count)
{
    uint8_t bytes[LONGEST_RANDOM];
    for (unsigned i = 0; i < count; i++) {
        size_t length = 16 + next() % (LONGEST_RANDOM - 16);
        for (size_t at = 0; at < length; at++) {
            bytes[at] = next() % 3 == 0 ? (uint8_t)(next() >> 32) : (uint8_t)(next() >> 32 & 0x0f);
        }
        run(bytes, length);
    }
}

int main(int argc, char **argv)
{
    struct stat status;
    if (argc != 3 || stat(argv[1], &status) < 0 || !S_ISDIR(status.st_mode)) {
        for (int i = 1; i < argc; i++) {
            run_file(argv[i]);
        }
        return argc > 1 ? 0 : 2;
    }
    printf("1..2\n");
    unsigned ran = run_directory(argv[1]);
    printf("%s 1 - %u inputs of the corpus\n", ran > 0 ? "ok" : "not ok", ran);
    fflush(stdout);
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    run_random(count);
    printf("%s 2 - %u inputs from a fixed seed\n", count > 0 ? "ok" : "not ok", count);
    return 0;
}

/* driver.c - runs a fuzz target without a fuzzer: each seed file as it is, cut short, and with
 * bytes changed, always the same way. It finds little, but it keeps the targets alive under every
 * compiler and sanitizer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 65536
#define MUTATIONS 300

static uint64_t state = 88172645463325252u; /* xorshift64, Marsaglia 2003 */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* An exact-size copy, so that a sanitizer sees a read past the end. */
static void feed(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    if (!copy) exit(2);
    if (size) memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void mutate_and_feed(const uint8_t *seed, size_t size)
{
    static uint8_t work[LIMIT];
    static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '{', '}', '"', ',', '-' };
    feed(seed, size);
    for (int i = 0; i < MUTATIONS; i++) {
        size_t n = size;
        memcpy(work, seed, size);
        int changes = 1 + (int)(next_random() % 6);
        for (int c = 0; c < changes && n > 0; c++) {
            /* Headers are where a reader makes its decisions: half of the changes go to the first
             * 64 bytes. */
            size_t range = (next_random() & 1) && n > 64 ? 64 : n;
            size_t at = (size_t)(next_random() % range);
            switch (next_random() % 4) {
            case 0:
                work[at] = (uint8_t)next_random();
                break;
            case 1:
                work[at] = odd[next_random() % sizeof odd];
                break;
            case 2:
                work[at] ^= (uint8_t)(1u << (next_random() % 8));
                break;
            default:
                n = at;
                break;
            }
        }
        feed(work, n);
    }
}

int main(int argc, char **argv)
{
    static uint8_t seed[LIMIT];
    int seeds = 0;
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            perror(argv[i]);
            return 1;
        }
        size_t size = fread(seed, 1, sizeof seed, f);
        fclose(f);
        mutate_and_feed(seed, size);
        seeds++;
    }
    for (size_t i = 0; i < 256; i++) seed[i] = (uint8_t)next_random();
    mutate_and_feed(seed, 256);
    feed(NULL, 0);
    printf("fuzz: %d seeds, %d inputs each\n", seeds, MUTATIONS + 1);
    return 0;
}

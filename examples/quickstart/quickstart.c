/*
 * The C process of quickstart.rs, which compiles and starts it: it maps the table that the Rust process has
 * mapped too, looks numbers up in it, stores and appends. Before each step it waits for a line on standard
 * input; after it, it prints what it saw, as lines of a name and a value, and a line with a dot.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime, getpid */
#include <mmap_backed_array.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void check(int code, const char *what)
{
    if (code != MBA_OK) {
        fprintf(stderr, "quickstart.c: %s: %s\n", what, mba_strerror(code));
        exit(EXIT_FAILURE);
    }
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void begin_step(void)
{
    if (getchar() == EOF) {
        exit(EXIT_FAILURE);
    }
}

static void end_step(void)
{
    puts(".");
    fflush(stdout);
}

static int contains(const uint32_t *table, size_t len, uint32_t wanted)
{
    size_t low = 0, high = len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < len && table[low] == wanted;
}

/* The prime after the last one of the table, which knows all that can divide it. */
static uint32_t next_prime(const uint32_t *primes, size_t len)
{
    uint32_t candidate = primes[len - 1];
    size_t i;
    do {
        candidate += 2;
        for (i = 0; (uint64_t)primes[i] * primes[i] <= candidate && candidate % primes[i] != 0;
             i++) {
        }
    } while ((uint64_t)primes[i] * primes[i] <= candidate);
    return candidate;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "quickstart.c: run it by cargo run --release --example quickstart\n");
        return EXIT_FAILURE;
    }

    begin_step();
    mba_array *array;
    int64_t start = nanoseconds();
    check(mba_open(argv[1], MBA_UINT32, MBA_RDWR, &array), argv[1]);
    int64_t opened = nanoseconds();
    uint32_t *primes = mba_data_ptr(array);
    size_t len = mba_len(array);

    enum { LOOKUPS = 1000000 };
    uint64_t state = 1;
    int hits = 0;
    for (int i = 0; i < LOOKUPS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        hits += contains(primes, len, (uint32_t)((state >> 33) % 10000000));
    }
    int64_t looked_up = nanoseconds();

    if (hits == 0) {
        fprintf(stderr, "quickstart.c: no prime was found\n");
        return EXIT_FAILURE;
    }
    printf("pid %ld\n", (long)getpid());
    printf("address %p\n", (void *)primes);
    printf("elements %zu\n", len);
    printf("bytes %zu\n", len * mba_itemsize(array));
    printf("open_ns %" PRId64 "\n", opened - start);
    printf("lookups %d\n", LOOKUPS);
    printf("lookups_ns %" PRId64 "\n", looked_up - opened);
    end_step();

    begin_step();
    uint32_t next = next_prime(primes, len);
    check(mba_append(array, &next), "append");
    primes[0] = (uint32_t)getpid();
    printf("appended %" PRIu32 "\n", next);
    end_step();

    begin_step();
    printf("first %" PRIu32 "\n", primes[0]);
    check(mba_close(array), "close");
    end_step();
    return EXIT_SUCCESS;
}

/*
 * Follows a file of doubles while a producer appends to it, until it has seen COUNT of them. The pointer is
 * taken once: it stays right however much the file grows. If the producer takes elements away, the consumer
 * notices by the epoch, and begins again.
 *
 * In the checkout, after `cargo build --release`:
 *
 *     cc -std=c99 -Wall -Wextra -Wpedantic -Werror -O2 -I include examples/c/consumer.c \
 *         target/release/libmmap_backed_array.a -o consumer
 *     ./consumer readings.f64 100000
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <mmap_backed_array.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_a_millisecond(void)
{
    struct timespec millisecond = {0, 1000000};
    nanosleep(&millisecond, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: consumer FILE COUNT\n");
        return EXIT_FAILURE;
    }
    size_t count = strtoull(argv[2], NULL, 10);
    mba_array *array;
    int code;
    while ((code = mba_open(argv[1], MBA_FLOAT64, MBA_RDONLY, &array)) == ENOENT) {
        wait_a_millisecond(); /* no producer has made the file yet */
    }
    if (code != MBA_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], mba_strerror(code));
        return EXIT_FAILURE;
    }

    const double *readings = mba_data_ptr(array);
    size_t seen = 0;
    double sum = 0;
    while (seen < count) {
        uint64_t epoch = mba_epoch(array);
        size_t len = mba_len(array);
        double more = 0;
        for (size_t at = seen; at < len; at++) {
            more += readings[at];
        }
        if ((code = mba_refresh(array)) != MBA_OK) {
            break;
        }
        if (mba_epoch(array) != epoch) {
            seen = 0; /* elements were taken away or moved: what was copied may be wrong */
            sum = 0;
            continue;
        }
        if (len == seen) {
            wait_a_millisecond();
            continue;
        }
        seen = len;
        sum += more;
        printf("%zu readings, mean %g\n", seen, sum / (double)seen);
        fflush(stdout);
    }
    if (code != MBA_OK) {
        fprintf(stderr, "refresh: %s\n", mba_strerror(code));
    }
    mba_free(array);
    return code == MBA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

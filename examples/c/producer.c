/*
 * Appends each number on standard input to a file of doubles, for consumers to follow. An element is seen
 * by others as soon as the append returns, and no kill -9 of this process can lose it.
 *
 * In the checkout, after `cargo build --release`:
 *
 *     cc -std=c99 -Wall -Wextra -Wpedantic -Werror -O2 -I include examples/c/producer.c \
 *         target/release/libmmap_backed_array.a -o producer
 *     seq 1 100000 | ./producer readings.f64
 */
#include <mmap_backed_array.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: producer FILE\n");
        return EXIT_FAILURE;
    }
    mba_array *array;
    int code = mba_open(argv[1], MBA_FLOAT64, MBA_RDWR | MBA_CREATE, &array);
    if (code != MBA_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], mba_strerror(code));
        return EXIT_FAILURE;
    }

    double reading;
    while (code == MBA_OK && scanf("%lf", &reading) == 1) {
        code = mba_append(array, &reading); /* MBA_ELOCKED if there is another producer */
    }
    if (code != MBA_OK) {
        fprintf(stderr, "append: %s\n", mba_strerror(code));
    }
    mba_free(array);
    return code == MBA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

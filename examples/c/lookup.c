/*
 * Looks a number up in a sorted file of uint64, by binary search through the pointer. Nothing is read or
 * copied ahead: the pages that the search touches are all that comes into memory, once for all processes.
 *
 * In the checkout, after `cargo build --release`:
 *
 *     cc -std=c99 -Wall -Wextra -Wpedantic -Werror -O2 -I include examples/c/lookup.c \
 *         target/release/libmmap_backed_array.a -o lookup
 *     ./lookup squares.u64 144
 */
#include <mmap_backed_array.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: lookup FILE NUMBER\n");
        return EXIT_FAILURE;
    }
    uint64_t wanted = strtoull(argv[2], NULL, 10);
    mba_array *array;
    int code = mba_open(argv[1], MBA_UINT64, MBA_RDONLY, &array);
    if (code != MBA_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], mba_strerror(code));
        return EXIT_FAILURE;
    }

    const uint64_t *table = mba_data_ptr(array);
    size_t low = 0, high = mba_len(array);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    int found = low < mba_len(array) && table[low] == wanted;
    if (found) {
        printf("element %zu\n", low);
    } else {
        printf("not there\n");
    }
    mba_free(array);
    return found ? EXIT_SUCCESS : EXIT_FAILURE;
}

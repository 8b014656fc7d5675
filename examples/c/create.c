/*
 * Makes a file of the squares of 0, 1, 2 ... as uint64, in two ways: one append for each element, and,
 * faster, elements stored through the pointer and published together.
 *
 * In the checkout, after `cargo build --release`:
 *
 *     cc -std=c99 -Wall -Wextra -Wpedantic -Werror -O2 -I include examples/c/create.c \
 *         target/release/libmmap_backed_array.a -o create
 *     ./create squares.u64 1000000
 */
#include <mmap_backed_array.h>

#include <stdio.h>
#include <stdlib.h>

static void check(int code, const char *what)
{
    if (code != MBA_OK) {
        fprintf(stderr, "%s: %s\n", what, mba_strerror(code));
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: create FILE COUNT\n");
        return EXIT_FAILURE;
    }
    size_t count = strtoull(argv[2], NULL, 10);
    mba_array *array;
    check(mba_open(argv[1], MBA_UINT64, MBA_RDWR | MBA_CREATE | MBA_EXCL, &array), argv[1]);

    uint64_t n = 0;
    for (; n < count / 2; n++) {
        uint64_t square = n * n;
        check(mba_append(array, &square), "append");
    }

    check(mba_reserve(array, count), "reserve");
    uint64_t *squares = mba_data_ptr(array);
    for (; n < count; n++) {
        squares[n] = n * n;
    }
    check(mba_commit(array, count), "commit");

    check(mba_flush(array), "flush"); /* on the disk now; without it, when the system finds time */
    printf("%zu squares\n", mba_len(array));
    check(mba_close(array), "close"); /* the file is exactly its elements now */
    return EXIT_SUCCESS;
}

/* A C program that uses the library: an array in a file, kept from one opening to the next. It gets the file's path,
   and says which version of the library it runs with, and how many elements there are at the end. */
#include <mmap_backed_array.h>
#include <stdio.h>

static int fail(const char *what, int code)
{
    fprintf(stderr, "%s: %s\n", what, mba_strerror(code));
    return 1;
}

int main(int argc, char **argv)
{
    enum { COUNT = 100000 };
    mba_array *array = NULL;
    const uint32_t *element;
    uint32_t version = mba_version();
    uint32_t value;
    size_t len;
    int code;

    if (argc != 2) {
        return 2;
    }
    if (version != MBA_VERSION) {
        fprintf(stderr, "the library is another one than the header's: %x, %x\n", version,
                (unsigned)MBA_VERSION);
        return 1;
    }
    if ((code = mba_open(argv[1], MBA_UINT32, MBA_RDWR | MBA_CREATE | MBA_EXCL, &array)) !=
        MBA_OK) {
        return fail("making the file", code);
    }
    element = mba_data_ptr(array);
    for (value = 0; value < COUNT; value++) {
        if ((code = mba_push(array, &value, sizeof value)) != MBA_OK) {
            return fail("appending", code);
        }
    }
    if (element != mba_data_ptr(array)) {
        fprintf(stderr, "the array has moved\n");
        return 1;
    }
    if ((code = mba_close(array)) != MBA_OK) {
        return fail("closing", code);
    }

    if ((code = mba_open(argv[1], MBA_UINT32, MBA_RDWR, &array)) != MBA_OK) {
        return fail("opening again", code);
    }
    if ((code = mba_append(array, &value)) != MBA_OK) {
        return fail("appending to what was there", code);
    }
    element = mba_data_ptr(array);
    len = mba_len(array);
    for (value = 0; value < len; value++) {
        if (element[value] != value) {
            fprintf(stderr, "element %u is %u\n", value, element[value]);
            return 1;
        }
    }
    mba_free(array);
    printf("%u.%u.%u: %zu elements, %s\n", version >> 16, version >> 8 & 0xff, version & 0xff, len,
           mba_strerror(MBA_OK));
    return 0;
}

/* MBA_PRIVATE: elements can be set, and nobody else sees it; the length is fixed. */
#include "check.h"

int main(int argc, char **argv)
{
    const char *path;
    mba_array *copy, *array;
    uint32_t value = 9, index;
    uint32_t *data;
    mba_options options = {0};
    begin(argc, argv);
    path = in_scratch("private");
    make_u32(path, 3);
    SYS(chmod(path, 0444)); /* reading is all it needs */

    OK(mba_open(path, MBA_UINT32, MBA_PRIVATE, &copy));
    EQ(mba_is_readonly(copy), 0);
    EQ(mba_capacity(copy), 3);
    EQ(mba_reserved(copy), 3);
    array = open_u32(path, MBA_RDONLY);
    data = mba_data_ptr(copy);
    OK(mba_set(copy, 0, &value));
    data[1] = 8;
    OK(mba_write(copy, 2, &value, 1));
    HOLDS(copy, 9, 8, 9);
    HOLDS(array, 1, 2, 3);
    OK(mba_reverse(copy));
    OK(mba_byteswap(copy));
    OK(mba_byteswap(copy));
    OK(mba_fill(copy, 0, 2, &value));
    HOLDS(copy, 9, 9, 9);
    OK(mba_flush(copy));
    OK(mba_close(array));

    CHANGES_GIVE(MBA_EFIXED, copy);
    GIVES(MBA_EFIXED, mba_extend(copy, NULL, 0));
    GIVES(MBA_EFIXED, mba_lock(copy, -1));
    OK(mba_unlock(copy));
    HOLDS(copy, 9, 9, 9);

    /* Someone else grows the file: the copy stays what it was. */
    SYS(chmod(path, 0666));
    array = open_u32(path, MBA_RDWR);
    for (index = 4; index <= 5000; index++) {
        OK(mba_append(array, &index));
    }
    OK(mba_refresh(copy));
    HOLDS(copy, 9, 9, 9);
    OK(mba_close(copy));

    /* A copy of a file that is being grown has its elements, and none of its spare room. */
    OK(mba_resize(array, 4));
    CHECK(file_size(path) > 16);
    OK(mba_open(path, MBA_UINT32, MBA_PRIVATE, &copy));
    HOLDS(copy, 1, 2, 3, 4);
    OK(mba_set(copy, 3, &value));
    HOLDS(array, 1, 2, 3, 4);
    OK(mba_close(copy));
    OK(mba_close(array));
    EQ(file_size(path), 16);

    /* A reservation says nothing to memory of fixed length. */
    options.size = sizeof options;
    options.reservation = 1 << 20;
    OK(mba_open_with(path, MBA_UINT32, MBA_PRIVATE, &options, &copy));
    HOLDS(copy, 1, 2, 3, 4);
    mba_free(copy);
    EQ(file_size(path), 16);
    return 0;
}

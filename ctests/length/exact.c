/* MBA_EXACT: the file's size is length times item size after every single call. */
#include "check.h"

static const char *path;

/* A call succeeds, and the file is exactly the elements then. */
#define EXACTLY(call)                                                                              \
    do {                                                                                           \
        OK(call);                                                                                  \
        EQ(file_size(path), mba_len(array) * mba_itemsize(array));                                 \
    } while (0)

/* What a reader has seen stays mapped for it, and the file longer, until the writer is alone. Ends the reader. */
static void what_others_have_seen_stays(mba_array *array, mba_array *reader)
{
    const uint32_t *data = mba_data_ptr(reader);
    uint32_t value;
    size_t len = mba_len(reader), index;
    OK(mba_pop(array, &value));
    OK(mba_pop(array, NULL));
    EQ(mba_len(array), len - 2);
    for (index = 0; index < len; index++) {
        EQ(data[index], index);
    }
    CHECK((size_t)file_size(path) >= len * 4);
    EQ(file_size(path) % 4096, 0);
    OK(mba_append(array, data + len - 2));
    CHECK((size_t)file_size(path) >= len * 4);
    OK(mba_close(reader));
    EXACTLY(mba_append(array, &value));
    EQ(mba_len(array), len);
}

static void on_u32(void)
{
    uint32_t values[5000], out, index, *data;
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE | MBA_EXACT), *reader;
    data = mba_data_ptr(array);
    for (index = 0; index < 5000; index++) {
        values[index] = index;
    }
    for (index = 0; index < 3000; index++) { /* across the edges of pages */
        EXACTLY(mba_append(array, &index));
        EQ(data[index], index);
    }
    reader = open_u32(path, MBA_RDONLY);
    EQ(mba_len(reader), 3000);
    EXACTLY(mba_extend(array, values + 3000, 2000));
    OK(mba_refresh(reader));
    EQ(mba_len(reader), 5000);
    what_others_have_seen_stays(array, reader);
    EXACTLY(mba_pop(array, &out));
    EQ(out, 4999);
    EXACTLY(mba_pop(array, NULL));
    EXACTLY(mba_insert(array, 0, &out));
    EXACTLY(mba_remove(array, 0, &out));
    EXACTLY(mba_splice(array, 10, 100, NULL, 0));
    EXACTLY(mba_splice(array, 10, 0, values + 10, 100));
    EXACTLY(mba_splice(array, 0, 3, values, 3));
    EXACTLY(mba_reserve(array, 100000));
    EXACTLY(mba_resize(array, 9000));
    EQ(data[8999], 0);
    EXACTLY(mba_resize(array, 1024));
    EXACTLY(mba_resize(array, 1023));
    EXACTLY(mba_append(array, &index)); /* the file is a page to the byte */
    EXACTLY(mba_append(array, &index));
    EXACTLY(mba_pop(array, NULL));
    EXACTLY(mba_pop(array, NULL));
    EXACTLY(mba_set(array, 0, values));
    EXACTLY(mba_fill(array, 1, 5, values));
    EXACTLY(mba_write(array, 0, values, 1000));
    EXACTLY(mba_reverse(array));
    EXACTLY(mba_reverse(array));
    EXACTLY(mba_shrink_to_fit(array));
    EXACTLY(mba_commit(array, mba_len(array)));
    EXACTLY(mba_flush(array));
    EXACTLY(mba_refresh(array));
    EXACTLY(mba_unlock(array));
    EXACTLY(mba_append(array, values + 1023));
    for (index = 0; index < 1024; index++) {
        EQ(data[index], index);
    }
    reader = open_u32(path, MBA_RDONLY);
    EQ(mba_len(reader), 1024);
    OK(mba_close(reader));
    CHECK(mba_data_ptr(array) == data);
    EXACTLY(mba_clear(array));
    EXACTLY(mba_append(array, values));
    OK(mba_close(array));
    EQ(file_size(path), 4);
}

/* Up to the end of a page and across it, for every size of element. */
static void on_all_sizes(void)
{
    static const mba_type types[] = {MBA_UINT8, MBA_UINT16, MBA_UINT32, MBA_UINT64, MBA_COMPLEX128};
    size_t at, n;
    for (at = 0; at < sizeof types / sizeof types[0]; at++) {
        unsigned char value[16];
        size_t size = mba_type_size(types[at]);
        mba_array *array;
        SYS(unlink(path));
        OK(mba_open(path, types[at], MBA_RDWR | MBA_CREATE | MBA_EXACT, &array));
        EXACTLY(mba_resize(array, 4096 / size - 3));
        for (n = 0; n < 6; n++) {
            memset(value, (int)n + 1, sizeof value);
            EXACTLY(mba_append(array, value));
        }
        for (n = 6; n-- > 0;) {
            EXACTLY(mba_pop(array, value));
            EQ(value[size - 1], n + 1);
        }
        OK(mba_close(array));
    }
}

/* Someone without MBA_EXACT has grown the file: whoever takes the lock exactly truncates it. */
static void after_another(void)
{
    mba_array *roomy, *array;
    uint32_t value = 3;
    SYS(unlink(path));
    make_u32(path, 2);
    roomy = open_u32(path, MBA_RDWR);
    OK(mba_append(roomy, &value));
    OK(mba_unlock(roomy));
    CHECK(file_size(path) > 12);
    array = open_u32(path, MBA_RDWR | MBA_EXACT);
    HOLDS(array, 1, 2, 3);
    EXACTLY(mba_lock(array, 0));
    value = 4;
    EXACTLY(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4);
    GIVES(MBA_ELOCKED, mba_append(roomy, &value));
    OK(mba_unlock(array));
    OK(mba_refresh(roomy));
    HOLDS(roomy, 1, 2, 3, 4);
    value = 5;
    OK(mba_append(roomy, &value));
    HOLDS(roomy, 1, 2, 3, 4, 5);
    OK(mba_close(roomy));
    OK(mba_close(array));
    EQ(file_size(path), 20);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    path = strdup(in_scratch("exact"));
    on_u32();
    on_all_sizes();
    after_another();
    free((void *)(uintptr_t)path);
    return 0;
}

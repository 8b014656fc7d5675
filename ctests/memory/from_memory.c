/* mba_from_memory: the caller's memory as an array of fixed length. */
#include "check.h"

/* Everything that would change the length is refused, even where nothing would change. */
static void fixed(mba_array *array, int code)
{
    uint32_t *data = mba_data_ptr(array);
    CHANGES_GIVE(code, array);
    GIVES(code, mba_resize(array, 3));
    EQ(mba_has_lock(array), 0);
    EQ(mba_capacity(array), 3);
    EQ(mba_reserved(array), 3);
    OK(mba_unlock(array));
    OK(mba_refresh(array));
    OK(mba_flush(array));
    HOLDS(array, 1, 2, 3);
    CHECK(mba_data_ptr(array) == data);
}

int main(int argc, char **argv)
{
    uint32_t memory[4] = {1, 2, 3, 4}, value = 7;
    mba_array *const untouched = (mba_array *)&value;
    mba_array *array = untouched;
    const uint32_t flags[] = {
        MBA_CREATE,           MBA_EXCL, MBA_PRIVATE,           MBA_EXACT, MBA_RDWR | MBA_CREATE,
        MBA_RDWR | MBA_EXACT, 1u << 31, MBA_RDWR | MBA_PRIVATE};
    char *bytes = (char *)memory;
    size_t at;
    begin(argc, argv);

    for (at = 0; at < sizeof flags / sizeof flags[0]; at++) {
        GIVES(EINVAL, mba_from_memory(memory, 12, MBA_UINT32, flags[at], &array));
    }
    GIVES(EINVAL, mba_from_memory(memory, 12, MBA_UINT32, MBA_RDWR, NULL));
    GIVES(EINVAL, mba_from_memory(NULL, 12, MBA_UINT32, MBA_RDWR, &array));
    GIVES(EINVAL, mba_from_memory(memory, 11, MBA_UINT32, MBA_RDWR, &array));
    GIVES(EINVAL, mba_from_memory(memory, 1, MBA_UINT32, MBA_RDWR, &array));
    GIVES(EINVAL, mba_from_memory(memory, SIZE_MAX, MBA_UINT32, MBA_RDWR, &array));
    GIVES(EINVAL, mba_from_memory(memory, SIZE_MAX - 3, MBA_UINT32, MBA_RDWR, &array));
    GIVES(EINVAL, mba_from_memory(memory, SIZE_MAX, MBA_UINT8, MBA_RDWR, &array));
    for (at = 1; at < 4; at++) {
        GIVES(EINVAL, mba_from_memory(bytes + at, 8, MBA_UINT32, MBA_RDWR, &array));
    }
    GIVES(EINVAL, mba_from_memory(bytes + 1, 2, MBA_FLOAT16, MBA_RDWR, &array));
    GIVES(EINVAL, mba_from_memory(bytes + 2, 8, MBA_COMPLEX64, MBA_RDWR, &array));
    GIVES(MBA_ETYPE, mba_from_memory(memory, 12, 0, MBA_RDWR, &array));
    CHECK(array == untouched);
    /* One byte has any alignment. A complex one is aligned as its parts are. */
    OK(mba_from_memory(bytes + 1, 3, MBA_UINT8, MBA_RDWR, &array));
    EQ(mba_len(array), 3);
    mba_free(array);
    OK(mba_from_memory(bytes + ((uintptr_t)bytes % 8 == 0 ? 4 : 0), 8, MBA_COMPLEX64, MBA_RDWR,
                       &array));
    EQ(mba_len(array), 1);
    mba_free(array);

    OK(mba_from_memory(NULL, 0, MBA_UINT32, MBA_RDWR, &array));
    EQ(mba_len(array), 0);
    GIVES(MBA_EINDEX, mba_get(array, 0, &value));
    OK(mba_read(array, 0, 0, NULL));
    OK(mba_write(array, 0, NULL, 0));
    OK(mba_fill(array, 0, 0, &value));
    OK(mba_reverse(array));
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, 0, SIZE_MAX, &at));
    OK(mba_close(array));

    OK(mba_from_memory(memory, 12, MBA_UINT32, MBA_RDWR, &array));
    CHECK(mba_data_ptr(array) == memory);
    EQ(mba_is_readonly(array), 0);
    EQ(mba_fd(array), -1);
    fixed(array, MBA_EFIXED);
    OK(mba_set(array, 0, &value));
    EQ(memory[0], 7);
    memory[1] = 8;
    HOLDS(array, 7, 8, 3);
    OK(mba_splice(array, 0, 2, (uint32_t[]){1, 2}, 2)); /* as many: the length stays */
    HOLDS(array, 1, 2, 3);
    GIVES(MBA_EINDEX, mba_get(array, 3, &value));
    OK(mba_close(array));
    EQ(memory[3], 4);

    OK(mba_from_memory(memory, 12, MBA_UINT32, MBA_RDONLY, &array));
    EQ(mba_is_readonly(array), 1);
    GIVES(MBA_EREADONLY, mba_set(array, 0, &value));
    fixed(array, MBA_EREADONLY);
    mba_free(array);
    return 0;
}

/* Elements in place: get, set, read, write, fill, the pointer, advice; and what a handle knows. */
#include "check.h"

static void unchanged(mba_array *array)
{
    HOLDS(array, 1, 2, 3, 4, 5);
}

static void get_and_set(mba_array *array)
{
    uint32_t value = 77, out = 88;
    OK(mba_get(array, 0, &out));
    EQ(out, 1);
    OK(mba_get(array, 4, &out));
    EQ(out, 5);
    GIVES(MBA_EINDEX, mba_get(array, 5, &out));
    GIVES(MBA_EINDEX, mba_get(array, SIZE_MAX, &out));
    GIVES(MBA_EINDEX, mba_get(array, SIZE_MAX / 4 + 1, &out)); /* times four that is zero */
    GIVES(EINVAL, mba_get(array, 0, NULL));
    GIVES(EINVAL, mba_get(NULL, 0, &out));
    EQ(out, 5);

    GIVES(MBA_EINDEX, mba_set(array, 5, &value));
    GIVES(MBA_EINDEX, mba_set(array, SIZE_MAX, &value));
    GIVES(MBA_EINDEX, mba_set(array, SIZE_MAX / 4 + 1, &value));
    GIVES(EINVAL, mba_set(array, 0, NULL));
    GIVES(EINVAL, mba_set(NULL, 0, &value));
    unchanged(array);
    OK(mba_set(array, 4, &value));
    HOLDS(array, 1, 2, 3, 4, 77);
    value = 5;
    OK(mba_set(array, 4, &value));
}

static void swap(mba_array *array)
{
    GIVES(MBA_EINDEX, mba_swap(array, 0, 5));
    GIVES(MBA_EINDEX, mba_swap(array, 5, 0));
    GIVES(MBA_EINDEX, mba_swap(array, SIZE_MAX, SIZE_MAX));
    GIVES(EINVAL, mba_swap(NULL, 0, 1));
    unchanged(array);
    OK(mba_swap(array, 0, 4));
    HOLDS(array, 5, 2, 3, 4, 1);
    OK(mba_swap(array, 2, 2));
    OK(mba_swap(array, 4, 0));
    unchanged(array);
}

static void read_and_write(mba_array *array)
{
    const uint32_t *data = mba_data_ptr(array);
    uint32_t out[5] = {90, 91, 92, 93, 94};
    uint32_t values[5] = {50, 51, 52, 53, 54};
    OK(mba_read(array, 0, 0, out));
    OK(mba_read(array, 5, 0, out));
    OK(mba_read(array, 5, 0, NULL));
    GIVES(MBA_EINDEX, mba_read(array, 6, 0, out));
    GIVES(MBA_EINDEX, mba_read(array, 6, 0, NULL));
    GIVES(MBA_EINDEX, mba_read(array, 0, 6, out));
    GIVES(MBA_EINDEX, mba_read(array, 5, 1, out));
    GIVES(MBA_EINDEX, mba_read(array, 1, SIZE_MAX, out)); /* start + count is zero */
    GIVES(MBA_EINDEX, mba_read(array, SIZE_MAX, 1, out));
    GIVES(MBA_EINDEX, mba_read(array, SIZE_MAX, SIZE_MAX, out));
    GIVES(MBA_EINDEX, mba_read(array, 0, SIZE_MAX / 4 + 1, out));
    GIVES(EINVAL, mba_read(array, 0, 1, NULL));
    GIVES(EINVAL, mba_read(NULL, 0, 1, out));
    EQ(out[0], 90);
    EQ(out[4], 94);
    OK(mba_read(array, 1, 3, out + 1));
    EQ(out[0], 90);
    EQ(out[1], 2);
    EQ(out[3], 4);
    EQ(out[4], 94);

    OK(mba_write(array, 5, values, 0));
    OK(mba_write(array, 5, NULL, 0));
    OK(mba_write(array, 0, NULL, 0));
    GIVES(MBA_EINDEX, mba_write(array, 6, NULL, 0));
    GIVES(MBA_EINDEX, mba_write(array, 0, values, 6));
    GIVES(MBA_EINDEX, mba_write(array, 5, values, 1));
    GIVES(MBA_EINDEX, mba_write(array, 1, values, SIZE_MAX));
    GIVES(MBA_EINDEX, mba_write(array, SIZE_MAX, values, 2));
    GIVES(MBA_EINDEX, mba_write(array, 0, values, SIZE_MAX / 4 + 1));
    GIVES(EINVAL, mba_write(array, 0, NULL, 1));
    GIVES(EINVAL, mba_write(NULL, 0, values, 1));
    unchanged(array);
    OK(mba_write(array, 1, values, 3));
    HOLDS(array, 1, 50, 51, 52, 5);
    OK(mba_write(array, 1, data, 4)); /* values may overlap the array */
    HOLDS(array, 1, 1, 50, 51, 52);
    OK(mba_write(array, 0, data + 1, 4));
    HOLDS(array, 1, 50, 51, 52, 52);
}

static void fill(mba_array *array)
{
    uint32_t value = 6;
    GIVES(MBA_EINDEX, mba_fill(array, 0, 6, &value));
    GIVES(MBA_EINDEX, mba_fill(array, 6, 0, &value));
    GIVES(MBA_EINDEX, mba_fill(array, 1, SIZE_MAX, &value));
    GIVES(MBA_EINDEX, mba_fill(array, SIZE_MAX, 1, &value));
    GIVES(MBA_EINDEX, mba_fill(array, 0, SIZE_MAX / 4 + 1, &value));
    GIVES(EINVAL, mba_fill(array, 0, 1, NULL));
    GIVES(EINVAL, mba_fill(NULL, 0, 1, &value));
    unchanged(array);
    OK(mba_fill(array, 5, 0, &value));
    unchanged(array);
    OK(mba_fill(array, 1, 3, &value));
    HOLDS(array, 1, 6, 6, 6, 5);
    OK(mba_fill(array, 0, 5, (uint32_t *)mba_data_ptr(array) + 4)); /* from the array itself */
    HOLDS(array, 5, 5, 5, 5, 5);
}

static void advice(mba_array *array)
{
    static const int known[] = {MBA_ADVICE_NORMAL, MBA_ADVICE_RANDOM, MBA_ADVICE_SEQUENTIAL,
                                MBA_ADVICE_WILLNEED, MBA_ADVICE_DONTNEED};
    uint32_t memory[2] = {1, 2};
    mba_array *fixed;
    size_t at;
    for (at = 0; at < sizeof known / sizeof known[0]; at++) {
        OK(mba_advise(array, 0, 5, known[at]));
        OK(mba_advise(array, 2, 3, known[at]));
        OK(mba_advise(array, 5, 0, known[at]));
        GIVES(MBA_EINDEX, mba_advise(array, 0, 6, known[at]));
        GIVES(MBA_EINDEX, mba_advise(array, 6, 0, known[at]));
        GIVES(MBA_EINDEX, mba_advise(array, 1, SIZE_MAX, known[at]));
        GIVES(EINVAL, mba_advise(NULL, 0, 0, known[at]));
        unchanged(array);
    }
    GIVES(EINVAL, mba_advise(array, 0, 5, -1));
    GIVES(EINVAL, mba_advise(array, 0, 5, 5));
    GIVES(EINVAL, mba_advise(array, 0, 5, 2147483647));

    /* Where the memory is the only place that has the elements, it must not go. */
    OK(mba_from_memory(memory, sizeof memory, MBA_UINT32, MBA_RDWR, &fixed));
    OK(mba_advise(fixed, 0, 2, MBA_ADVICE_DONTNEED));
    GIVES(MBA_EINDEX, mba_advise(fixed, 0, 3, MBA_ADVICE_DONTNEED));
    HOLDS(fixed, 1, 2);
    OK(mba_close(fixed));
    OK(mba_open(in_scratch("elements"), MBA_UINT32, MBA_PRIVATE, &fixed));
    OK(mba_set(fixed, 0, &memory[1]));
    OK(mba_advise(fixed, 0, 5, MBA_ADVICE_DONTNEED));
    HOLDS(fixed, 2, 2, 3, 4, 5);
    OK(mba_close(fixed));
}

/* A read-only handle reads everything and changes nothing. */
static void read_only(void)
{
    mba_array *array = open_u32(in_scratch("elements"), MBA_RDONLY);
    uint32_t value = 9;
    EQ(mba_is_readonly(array), 1);
    EQ(mba_has_lock(array), 0);
    EQ(mba_capacity(array), 5);
    CHECK(mba_fd(array) >= 0);
    GIVES(MBA_EREADONLY, mba_set(array, 0, &value));
    GIVES(MBA_EREADONLY, mba_swap(array, 0, 1));
    GIVES(MBA_EREADONLY, mba_set(array, 99, &value));
    GIVES(MBA_EREADONLY, mba_write(array, 0, &value, 1));
    GIVES(MBA_EREADONLY, mba_write(array, 0, NULL, 0));
    GIVES(MBA_EREADONLY, mba_fill(array, 0, 1, &value));
    CHANGES_GIVE(MBA_EREADONLY, array);
    GIVES(MBA_EREADONLY, mba_extend(array, NULL, 0));
    GIVES(MBA_EREADONLY, mba_splice(array, 0, 1, &value, 1));
    GIVES(MBA_EREADONLY, mba_resize(array, 5));
    GIVES(MBA_EREADONLY, mba_lock(array, -1));
    GIVES(MBA_EREADONLY, mba_reverse(array));
    GIVES(MBA_EREADONLY, mba_byteswap(array));
    OK(mba_flush(array));
    OK(mba_refresh(array));
    OK(mba_unlock(array));
    unchanged(array);
    OK(mba_close(array));
    EQ(file_size(in_scratch("elements")), 20);
}

/* What NULL gives where a handle is asked what it knows. */
static void null_handles(void)
{
    EQ(mba_len(NULL), 0);
    EQ(mba_capacity(NULL), 0);
    EQ(mba_itemsize(NULL), 0);
    EQ(mba_reserved(NULL), 0);
    EQ(mba_typecode(NULL), 0);
    EQ(mba_is_readonly(NULL), 0);
    EQ(mba_has_lock(NULL), 0);
    EQ(mba_fd(NULL), -1);
    CHECK(mba_data_ptr(NULL) == NULL);
    GIVES(EINVAL, mba_flush(NULL));
    GIVES(EINVAL, mba_refresh(NULL));
    GIVES(EINVAL, mba_lock(NULL, 0));
    GIVES(EINVAL, mba_unlock(NULL));
    GIVES(EINVAL, mba_close(NULL));
    mba_free(NULL);
}

/* A store through the pointer of a read-only handle is a SIGSEGV, in whoever does it. */
static void store_through_read_only(void)
{
    int status;
    struct kid kid = fork_kid();
    if (kid.pid == 0) {
        mba_array *array = open_u32(in_scratch("elements"), MBA_RDONLY);
        volatile uint32_t *data = mba_data_ptr(array);
        signal(SIGSEGV, SIG_DFL);
        EQ(data[0], 1);
        say(kid.wire, "storing");
        data[0] = 9;
        _exit(0);
    }
    HEAR(kid.wire, "storing");
    SYS(waitpid(kid.pid, &status, 0));
    SYS(close(kid.wire));
    CHECK(WIFSIGNALED(status));
    EQ(WTERMSIG(status), SIGSEGV);
}

int main(int argc, char **argv)
{
    mba_array *array;
    begin(argc, argv);
    make_u32(in_scratch("elements"), 5);
    null_handles();
    read_only();
    store_through_read_only();

    array = open_u32(in_scratch("elements"), MBA_RDWR);
    EQ(mba_is_readonly(array), 0);
    EQ(mba_itemsize(array), 4);
    EQ(mba_typecode(array), MBA_UINT32);
    CHECK(mba_reserved(array) > 1 << 20);
    get_and_set(array);
    advice(array);
    swap(array);
    read_and_write(array);
    OK(mba_close(array));
    EQ(file_size(in_scratch("elements")), 20);

    SYS(unlink(in_scratch("elements")));
    make_u32(in_scratch("elements"), 5);
    array = open_u32(in_scratch("elements"), MBA_RDWR);
    fill(array);
    /* None of this has taken the lock, or made spare room. */
    EQ(mba_has_lock(array), 0);
    EQ(file_size(in_scratch("elements")), 20);
    OK(mba_close(array));
    return 0;
}

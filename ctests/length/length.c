/* Calls that change the length: what they do, their error codes, and that a failure changes nothing. */
#include "check.h"

/* The program runs on all kinds of arrays that can change their length. */
enum kind { FILE_, EXACT, ANONYMOUS, KINDS };

static mba_array *make(enum kind kind)
{
    mba_array *array;
    if (kind == ANONYMOUS) {
        OK(mba_anon(MBA_UINT32, &array));
    } else {
        unlink(in_scratch("length"));
        array =
            open_u32(in_scratch("length"), MBA_RDWR | MBA_CREATE | (kind == EXACT ? MBA_EXACT : 0));
    }
    return array;
}

static void finish(enum kind kind, mba_array *array)
{
    long long bytes = 4LL * (long long)mba_len(array);
    OK(mba_close(array));
    if (kind != ANONYMOUS) {
        EQ(file_size(in_scratch("length")), bytes);
    }
}

static void append_and_pop(enum kind kind)
{
    mba_array *array = make(kind);
    uint32_t value = 1, out = 99;
    GIVES(MBA_EEMPTY, mba_pop(array, &out));
    GIVES(MBA_EEMPTY, mba_pop(array, NULL));
    EQ(out, 99);
    OK(mba_append(array, &value));
    value = 2;
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2);
    GIVES(EINVAL, mba_append(array, NULL));
    GIVES(EINVAL, mba_append(NULL, &value));
    GIVES(EINVAL, mba_pop(NULL, &out));
    HOLDS(array, 1, 2);
    OK(mba_append(array, mba_data_ptr(array))); /* from the array itself */
    HOLDS(array, 1, 2, 1);
    OK(mba_pop(array, NULL));
    OK(mba_pop(array, &out));
    EQ(out, 2);
    HOLDS(array, 1);
    OK(mba_pop(array, &out));
    EQ(out, 1);
    GIVES(MBA_EEMPTY, mba_pop(array, &out));
    EQ(out, 1);
    EQ(mba_len(array), 0);
    finish(kind, array);
}

static void insert_and_remove(enum kind kind)
{
    mba_array *array = make(kind);
    uint32_t value = 2, out = 99;
    GIVES(MBA_EINDEX, mba_insert(array, 1, &value));
    GIVES(MBA_EINDEX, mba_remove(array, 0, &out));
    OK(mba_insert(array, 0, &value));
    value = 1;
    OK(mba_insert(array, 0, &value));
    value = 4;
    OK(mba_insert(array, 2, &value));
    value = 3;
    OK(mba_insert(array, 2, &value));
    HOLDS(array, 1, 2, 3, 4);
    GIVES(MBA_EINDEX, mba_insert(array, 5, &value));
    GIVES(MBA_EINDEX, mba_insert(array, SIZE_MAX, &value));
    GIVES(MBA_EINDEX, mba_insert(array, SIZE_MAX / 4 + 1, &value));
    GIVES(EINVAL, mba_insert(array, 0, NULL));
    GIVES(EINVAL, mba_insert(NULL, 0, &value));
    GIVES(MBA_EINDEX, mba_remove(array, 4, &out));
    GIVES(MBA_EINDEX, mba_remove(array, SIZE_MAX, &out));
    GIVES(MBA_EINDEX, mba_remove(array, SIZE_MAX / 4 + 1, NULL));
    GIVES(EINVAL, mba_remove(NULL, 0, &out));
    EQ(out, 99);
    HOLDS(array, 1, 2, 3, 4);
    OK(mba_insert(array, 1, (uint32_t *)mba_data_ptr(array) + 3)); /* which is about to move */
    HOLDS(array, 1, 4, 2, 3, 4);
    OK(mba_remove(array, 1, &out));
    EQ(out, 4);
    OK(mba_remove(array, 3, NULL));
    OK(mba_remove(array, 0, &out));
    EQ(out, 1);
    HOLDS(array, 2, 3);
    finish(kind, array);
}

static void extend(enum kind kind)
{
    mba_array *array = make(kind);
    static const uint32_t values[3] = {1, 2, 3};
    uint32_t index;
    OK(mba_extend(array, NULL, 0));
    OK(mba_extend(array, values, 0));
    EQ(mba_len(array), 0);
    OK(mba_extend(array, values, 3));
    GIVES(EINVAL, mba_extend(array, NULL, 1));
    GIVES(EINVAL, mba_extend(NULL, values, 1));
    GIVES(MBA_ELIMIT, mba_extend(array, values, SIZE_MAX));
    GIVES(MBA_ELIMIT, mba_extend(array, values, SIZE_MAX - 2)); /* the new length is zero */
    GIVES(MBA_ELIMIT, mba_extend(array, values, SIZE_MAX / 4 + 1));
    GIVES(MBA_ELIMIT, mba_extend(array, values, SIZE_MAX / 4 - 1));
    GIVES(MBA_ELIMIT, mba_extend(array, values, (size_t)1 << 60));
    HOLDS(array, 1, 2, 3);
    /* Itself, doubling, through many steps of growth. */
    for (index = 0; index < 14; index++) {
        OK(mba_extend(array, mba_data_ptr(array), mba_len(array)));
    }
    EQ(mba_len(array), 3 << 14);
    for (index = 0; index < 3 << 14; index++) {
        EQ(((uint32_t *)mba_data_ptr(array))[index], index % 3 + 1);
    }
    finish(kind, array);
}

static void splicing(enum kind kind)
{
    mba_array *array = make(kind);
    static const uint32_t values[5] = {1, 2, 3, 4, 5}, others[3] = {70, 80, 90};
    const uint32_t *data = mba_data_ptr(array);
    OK(mba_splice(array, 0, 0, NULL, 0));
    OK(mba_splice(array, 0, 0, values, 5));
    HOLDS(array, 1, 2, 3, 4, 5);
    GIVES(MBA_EINDEX, mba_splice(array, 6, 0, others, 1));
    GIVES(MBA_EINDEX, mba_splice(array, 0, 6, others, 1));
    GIVES(MBA_EINDEX, mba_splice(array, 5, 1, others, 1));
    GIVES(MBA_EINDEX, mba_splice(array, 5, 1, NULL, 0));
    GIVES(MBA_EINDEX, mba_splice(array, 1, SIZE_MAX, others, 1));
    GIVES(MBA_EINDEX, mba_splice(array, SIZE_MAX, 1, others, 1));
    GIVES(MBA_EINDEX, mba_splice(array, SIZE_MAX, SIZE_MAX, NULL, 0));
    GIVES(MBA_EINDEX, mba_splice(array, 6, 0, NULL, 0));
    GIVES(MBA_ELIMIT, mba_splice(array, 2, 0, others, SIZE_MAX));
    GIVES(MBA_ELIMIT, mba_splice(array, 2, 1, others, SIZE_MAX - 3)); /* the new length is zero */
    GIVES(MBA_ELIMIT, mba_splice(array, 2, 1, others, SIZE_MAX / 4 + 1));
    GIVES(EINVAL, mba_splice(array, 0, 0, NULL, 1));
    GIVES(EINVAL, mba_splice(array, 0, 1, NULL, 1));
    GIVES(EINVAL, mba_splice(NULL, 0, 0, others, 1));
    HOLDS(array, 1, 2, 3, 4, 5);
    OK(mba_splice(array, 1, 2, others, 2)); /* as many */
    HOLDS(array, 1, 70, 80, 4, 5);
    OK(mba_splice(array, 1, 1, others, 3)); /* more */
    HOLDS(array, 1, 70, 80, 90, 80, 4, 5);
    OK(mba_splice(array, 1, 4, others, 1)); /* fewer */
    HOLDS(array, 1, 70, 4, 5);
    OK(mba_splice(array, 4, 0, others + 1, 1)); /* at the end */
    HOLDS(array, 1, 70, 4, 5, 80);
    OK(mba_splice(array, 1, 3, NULL, 0)); /* none */
    HOLDS(array, 1, 80);
    OK(mba_splice(array, 0, 2, values, 5)); /* all */
    HOLDS(array, 1, 2, 3, 4, 5);
    OK(mba_splice(array, 1, 1, data, 5)); /* the array into itself */
    HOLDS(array, 1, 1, 2, 3, 4, 5, 3, 4, 5);
    OK(mba_splice(array, 0, 6, data + 5, 4)); /* from behind the range, which moves */
    HOLDS(array, 5, 3, 4, 5, 3, 4, 5);
    finish(kind, array);
}

static void resize_and_clear(enum kind kind)
{
    mba_array *array = make(kind);
    uint32_t value = 0xffffffff;
    size_t index;
    OK(mba_resize(array, 5000));
    OK(mba_fill(array, 0, 5000, &value));
    OK(mba_resize(array, 2));
    HOLDS(array, 0xffffffff, 0xffffffff);
    OK(mba_resize(array, 5000)); /* new elements are zero, whatever was there before */
    OK(mba_resize(array, 5000));
    for (index = 2; index < 5000; index++) {
        EQ(((uint32_t *)mba_data_ptr(array))[index], 0);
    }
    GIVES(MBA_ELIMIT, mba_resize(array, SIZE_MAX));
    GIVES(MBA_ELIMIT, mba_resize(array, SIZE_MAX / 4 + 1));
    GIVES(MBA_ELIMIT, mba_resize(array, (size_t)1 << 61));
    GIVES(MBA_ELIMIT, mba_resize(array, mba_reserved(array) + 1));
    GIVES(EINVAL, mba_resize(NULL, 0));
    GIVES(EINVAL, mba_clear(NULL));
    EQ(mba_len(array), 5000);
    OK(mba_clear(array));
    OK(mba_clear(array));
    EQ(mba_len(array), 0);
    OK(mba_append(array, &value));
    HOLDS(array, 0xffffffff);
    finish(kind, array);
}

static void reserve_and_commit(enum kind kind)
{
    mba_array *array = make(kind);
    uint32_t *data = mba_data_ptr(array);
    uint32_t index;
    size_t capacity;
    GIVES(EINVAL, mba_reserve(NULL, 1));
    GIVES(EINVAL, mba_commit(NULL, 0));
    GIVES(EINVAL, mba_shrink_to_fit(NULL));
    GIVES(MBA_ELIMIT, mba_reserve(array, SIZE_MAX));
    GIVES(MBA_ELIMIT, mba_reserve(array, SIZE_MAX / 4 + 1));
    GIVES(MBA_ELIMIT, mba_reserve(array, mba_reserved(array) + 1));
    OK(mba_reserve(array, 0));
    OK(mba_reserve(array, 30000));
    capacity = mba_capacity(array);
    EQ(mba_len(array), 0);
    if (kind == EXACT) { /* there is no spare room to store in */
        EQ(capacity, 0);
        OK(mba_commit(array, 0));
        GIVES(MBA_EINDEX, mba_commit(array, 1));
        finish(kind, array);
        return;
    }
    CHECK(capacity >= 30000);
    for (index = 0; index < 30000; index++) {
        data[index] = index;
    }
    OK(mba_commit(array, 10));
    EQ(mba_len(array), 10);
    OK(mba_commit(array, 10));
    GIVES(MBA_EINDEX, mba_commit(array, 9));
    GIVES(MBA_EINDEX, mba_commit(array, capacity + 1));
    GIVES(MBA_EINDEX, mba_commit(array, SIZE_MAX));
    GIVES(MBA_EINDEX, mba_commit(array, SIZE_MAX / 4 + 1));
    EQ(mba_len(array), 10);
    OK(mba_commit(array, 30000));
    for (index = 0; index < 30000; index++) {
        EQ(data[index], index);
    }
    OK(mba_reserve(array, 5)); /* less than there is: nothing to do */
    OK(mba_commit(array, mba_capacity(array)));
    OK(mba_resize(array, 100));
    OK(mba_shrink_to_fit(array));
    EQ(mba_len(array), 100);
    CHECK(mba_data_ptr(array) == data);
    if (kind == FILE_) {
        EQ(file_size(in_scratch("length")), 400);
        EQ(mba_capacity(array), 100);
    }
    for (index = 0; index < 100; index++) {
        EQ(data[index], index);
    }
    OK(mba_append(array, &index));
    EQ(data[100], 100);
    /* Without the lock the capacity is the length, and there is nothing to commit. */
    OK(mba_unlock(array));
    EQ(mba_capacity(array), 101);
    finish(kind, array);
}

/* Memory that was given back is zero when it comes again, and costs none while it is away. */
static void memory_given_back(void)
{
    mba_array *array;
    struct stat before, after;
    OK(mba_anon(MBA_UINT8, &array));
    OK(mba_resize(array, 1 << 20));
    OK(mba_fill(array, 0, 1 << 20, "x"));
    OK(mba_resize(array, 10));
    SYS(fstat(mba_fd(array), &before));
    OK(mba_shrink_to_fit(array));
    SYS(fstat(mba_fd(array), &after));
    EQ(after.st_size, before.st_size); /* sealed against shrinking */
    CHECK(after.st_blocks <= before.st_blocks - (1 << 20) / 512 + 64);
    EQ(mba_len(array), 10);
    OK(mba_resize(array, 1 << 20));
    SYS(fstat(mba_fd(array), &after));
    CHECK(after.st_blocks >= (1 << 20) / 512);
    EQ(((char *)mba_data_ptr(array))[9], 'x');
    EQ(((char *)mba_data_ptr(array))[10], 0);
    EQ(((char *)mba_data_ptr(array))[(1 << 20) - 1], 0);
    CHECK(ftruncate(mba_fd(array), 0) == -1 && errno == EPERM); /* nobody can truncate it */
    OK(mba_close(array));
}

int main(int argc, char **argv)
{
    enum kind kind;
    begin(argc, argv);
    for (kind = FILE_; kind < KINDS; kind++) {
        append_and_pop(kind);
        insert_and_remove(kind);
        extend(kind);
        splicing(kind);
        resize_and_clear(kind);
        reserve_and_commit(kind);
    }
    memory_given_back();
    return 0;
}

/* A handle ends, and its memory stays at its address until the mapping is freed. */
#include "check.h"

enum { LEN = 100000, KEPT = 10 };

static void holds(const uint32_t *data, uint32_t count)
{
    uint32_t index;
    for (index = 0; index < count; index++) {
        EQ(data[index], index + 1);
    }
}

static void append_all(mba_array *array, uint32_t count)
{
    uint32_t index;
    for (index = 0; index < count; index++) {
        const uint32_t value = index + 1;
        OK(mba_append(array, &value));
    }
}

/* What was only appended to is exact at once, the lock is free, and the memory is there for as long as it is kept. */
static void appended(void)
{
    const char *path = in_scratch("appended");
    mba_array *array, *next;
    mba_mapping *mapping = NULL;
    const uint32_t *data;
    const uint32_t value = LEN + 1;
    OK(mba_open(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    append_all(array, LEN);
    CHECK(file_size(path) > 4LL * LEN);
    data = mba_data_ptr(array);
    OK(mba_detach(array, &mapping));
    CHECK(mapping != NULL);
    EQ(file_size(path), 4LL * LEN);
    OK(mba_open(path, MBA_UINT32, MBA_RDWR, &next));
    OK(mba_append(next, &value));
    holds(data, LEN + 1); /* others' elements come, too: it is the same memory */
    OK(mba_close(next));
    EQ(file_size(path), 4LL * (LEN + 1));
    mba_mapping_free(mapping);
    EQ(file_size(path), 4LL * (LEN + 1));
}

/* What the handle has seen stays, whoever takes it away; whoever lets go last trims. */
static void shortened(int mapping_is_last)
{
    const char *path = in_scratch("shortened");
    mba_array *array, *next;
    mba_mapping *mapping;
    uint32_t *data, index;
    OK(mba_open(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    append_all(array, LEN);
    data = mba_data_ptr(array);
    OK(mba_detach(array, &mapping));
    OK(mba_open(path, MBA_UINT32, MBA_RDWR, &next));
    OK(mba_resize(next, KEPT));
    if (mapping_is_last) {
        OK(mba_close(next));
    }
    CHECK(file_size(path) >= 4LL * LEN);
    holds(data, LEN);
    for (index = KEPT; index < LEN; index++) {
        data[index] = 0xFFFFFFFF; /* lost, and nobody is hurt */
    }
    mba_mapping_free(mapping);
    if (!mapping_is_last) {
        HOLDS(next, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
        OK(mba_close(next));
    }
    EQ(file_size(path), 4LL * KEPT);
    SYS(unlink(path));
}

/* What the handle itself took away stays as well until its memory goes: views may show it. */
static void shortened_by_itself(void)
{
    const char *path = in_scratch("itself");
    mba_array *array;
    mba_mapping *mapping;
    const uint32_t *data;
    OK(mba_open(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    append_all(array, LEN);
    data = mba_data_ptr(array);
    OK(mba_resize(array, KEPT));
    OK(mba_detach(array, &mapping));
    holds(data, LEN);
    mba_mapping_free(mapping);
    EQ(file_size(path), 4LL * KEPT);
}

/* Every kind of memory. */
static void kinds(void)
{
    static uint32_t memory[3] = {1, 2, 3};
    const char *path = in_scratch("kinds");
    const uint32_t flags[] = {MBA_RDONLY, MBA_RDWR, MBA_PRIVATE, MBA_RDWR | MBA_PRIVATE,
                              MBA_RDWR | MBA_EXACT};
    const uint32_t *data;
    mba_array *array;
    mba_mapping *mapping;
    size_t at;
    write_file(path, memory, sizeof memory);
    for (at = 0; at < sizeof flags / sizeof flags[0]; at++) {
        OK(mba_open(path, MBA_UINT32, flags[at], &array));
        data = mba_data_ptr(array);
        OK(mba_detach(array, &mapping));
        holds(data, 3);
        mba_mapping_free(mapping);
        EQ(file_size(path), sizeof memory);
    }
    OK(mba_from_memory(memory, sizeof memory, MBA_UINT32, MBA_RDWR, &array));
    OK(mba_detach(array, &mapping));
    mba_mapping_free(mapping);
    holds(memory, 3);
    OK(mba_anon(MBA_UINT32, &array));
    append_all(array, 3);
    {
        /* Whoever has the memory by its descriptor can grow it as soon as the handle has ended. */
        const uint32_t value = 4;
        const int fd = dup(mba_fd(array));
        mba_array *other;
        SYS(fd);
        OK(mba_from_fd(fd, MBA_UINT32, MBA_RDWR, &other));
        GIVES(MBA_ELOCKED, mba_append(other, &value));
        data = mba_data_ptr(array);
        OK(mba_detach(array, &mapping));
        OK(mba_append(other, &value));
        holds(data, 4);
        mba_mapping_free(mapping);
        HOLDS(other, 1, 2, 3, 4);
        OK(mba_close(other));
        SYS(close(fd));
    }
}

/* A forked child's copy is the child's: it reads, and frees it without touching the parent's file. */
static void in_a_child(void)
{
    const char *path = in_scratch("child");
    mba_array *array;
    mba_mapping *mapping;
    const uint32_t *data;
    pid_t child;
    int status;
    OK(mba_open(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    append_all(array, LEN);
    data = mba_data_ptr(array);
    OK(mba_resize(array, KEPT));
    OK(mba_detach(array, &mapping));
    SYS(child = fork());
    if (child == 0) {
        holds(data, LEN);
        mba_mapping_free(mapping);
        _exit(0);
    }
    SYS(waitpid(child, &status, 0));
    EQ(status, 0);
    holds(data, LEN);
    mba_mapping_free(mapping);
    EQ(file_size(path), 4LL * KEPT);
}

/* With the guard, views of a file that somebody else truncates read zeros after the detach, too. */
static void guarded(void)
{
    const char *path = in_scratch("guarded");
    mba_array *array;
    mba_mapping *mapping;
    const uint32_t *data;
    OK(mba_guard_enable());
    OK(mba_open(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    append_all(array, LEN);
    data = mba_data_ptr(array);
    OK(mba_detach(array, &mapping));
    SYS(truncate(path, 0));
    EQ(*(const volatile uint32_t *)&data[LEN - 1], 0);
    mba_mapping_free(mapping);
    OK(mba_guard_disable());
}

/* In a child that has changed the length, too, whose parent has gone. */
static void inherited(void)
{
    const char *path = in_scratch("inherited");
    mba_array *array;
    mba_mapping *mapping;
    struct kid kid;
    OK(mba_open(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    append_all(array, LEN);
    kid = fork_kid();
    if (kid.pid == 0) {
        HEAR(kid.wire, "closed");
        OK(mba_pop(array, NULL));
        OK(mba_detach(array, &mapping));
        mba_mapping_free(mapping);
        _exit(0);
    }
    OK(mba_close(array));
    say(kid.wire, "closed");
    join_kid(kid);
    EQ(file_size(path), 4LL * (LEN - 1));
}

int main(int argc, char **argv)
{
    mba_array *array;
    mba_mapping *mapping = NULL;
    begin(argc, argv);
    appended();
    shortened(0);
    shortened(1);
    shortened_by_itself();
    kinds();
    in_a_child();
    guarded();
    mba_mapping_free(NULL);
    OK(mba_anon(MBA_UINT32, &array));
    GIVES(EINVAL, mba_detach(NULL, &mapping));
    GIVES(EINVAL, mba_detach(array, NULL));
    CHECK(mapping == NULL);
    append_all(array, 2); /* it is as it was */
    mba_free(array);
    inherited();
    return 0;
}

/* What becomes of handles in forked children. */
#include "check.h"

static const char *path;

/* The child appends when the parent has let go, and not before; then the parent can't. */
static void child_takes_the_lock(mba_array *array)
{
    uint32_t value;
    const uint32_t *data = mba_data_ptr(array);
    struct kid kid;
    for (value = 1; value <= 3; value++) {
        OK(mba_append(array, &value));
    }
    kid = fork_kid();
    if (kid.pid == 0) {
        EQ(mba_has_lock(array), 0);
        EQ(mba_capacity(array), 3);
        CHECK(mba_data_ptr(array) == data);
        HOLDS(array, 1, 2, 3);
        GIVES(MBA_ELOCKED, mba_append(array, &value));
        GIVES(MBA_ELOCKED, mba_pop(array, NULL));
        GIVES(MBA_ELOCKED, mba_commit(array, 4));
        GIVES(MBA_ELOCKED, mba_shrink_to_fit(array));
        HOLDS(array, 1, 2, 3);
        value = 20;
        OK(mba_set(array, 1, &value)); /* which needs no lock, and the parent sees it */
        say(kid.wire, "set");
        HEAR(kid.wire, "unlocked");
        EQ(mba_len(array), 3);
        value = 5;
        OK(mba_append(array, &value));
        HOLDS(array, 1, 2, 3, 4, 5);
        say(kid.wire, "appended");
        HEAR(kid.wire, "unlock");
        OK(mba_unlock(array));
        say(kid.wire, "unlocked");
        HEAR(kid.wire, "end");
        _exit(0);
    }
    HEAR(kid.wire, "set");
    HOLDS(array, 1, 20, 3);
    value = 2;
    OK(mba_set(array, 1, &value));
    value = 4;
    EQ(mba_has_lock(array), 1); /* the fork has not cost the parent its lock */
    OK(mba_append(array, &value));
    OK(mba_unlock(array));
    say(kid.wire, "unlocked");
    HEAR(kid.wire, "appended");
    GIVES(MBA_ELOCKED, mba_append(array, &value));
    OK(mba_refresh(array));
    HOLDS(array, 1, 2, 3, 4, 5);
    say(kid.wire, "unlock");
    HEAR(kid.wire, "unlocked");
    value = 6;
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4, 5, 6);
    say(kid.wire, "end");
    join_kid(kid);
    OK(mba_append(array, &value));
    OK(mba_pop(array, NULL));
}

/* However a child ends, the parent's file, lock and spare room stay. */
static void child_ends(mba_array *array)
{
    static const char *const ways[] = {"exit",  "_exit",  "free",
                                       "close", "reopen", "lock and close"};
    size_t way;
    uint32_t value = 7;
    OK(mba_append(array, &value));
    for (way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        struct stat before, after;
        size_t capacity = mba_capacity(array);
        SYS(fstat(mba_fd(array), &before));
        IN_A_CHILD({
            if (way == 0) {
                exit(0);
            } else if (way == 2) {
                mba_free(array);
            } else if (way == 3) {
                OK(mba_close(array));
            } else if (way == 4) {
                mba_array *other;
                OK(mba_from_fd(mba_fd(array), MBA_UINT32, MBA_RDWR, &other));
                OK(mba_close(other));
            } else if (way == 5) {
                GIVES(MBA_ELOCKED, mba_lock(array, 0));
                OK(mba_unlock(array));
                OK(mba_close(array));
            }
        });
        SYS(fstat(mba_fd(array), &after));
        if (after.st_size != before.st_size || after.st_blocks != before.st_blocks ||
            mba_has_lock(array) != 1 || mba_capacity(array) != capacity) {
            check_fail(__FILE__, __LINE__, "a child's end by %s changes the parent's array",
                       ways[way]);
        }
        OK(mba_append(array, &value));
        OK(mba_pop(array, NULL));
        HOLDS(array, 1, 2, 3, 4, 5, 6, 7);
    }
}

/* A grandchild, whose parent has never used the handle. */
static void grandchild(mba_array *array)
{
    uint32_t value = 8;
    struct kid child;
    OK(mba_unlock(array));
    child = fork_kid();
    if (child.pid == 0) {
        IN_A_CHILD({
            OK(mba_append(array, &value));
            HOLDS(array, 1, 2, 3, 4, 5, 6, 7, 8);
            OK(mba_unlock(array));
        });
        _exit(0);
    }
    join_kid(child);
    OK(mba_refresh(array));
    HOLDS(array, 1, 2, 3, 4, 5, 6, 7, 8);
    OK(mba_pop(array, NULL));
}

/* Whoever changes the length in the child has the right to trim there, too. */
static void child_trims_its_own(void)
{
    const uint32_t value = 9;
    mba_array *array = open_u32(path, MBA_RDWR);
    IN_A_CHILD({
        OK(mba_pop(array, NULL));
        OK(mba_append(array, &value));
        OK(mba_append(array, &value));
        OK(mba_pop(array, NULL));
        OK(mba_close(array));
        EQ(file_size(path), 4096); /* its parent has seen more */
    });
    OK(mba_refresh(array));
    HOLDS(array, 1, 2, 3, 4, 5, 6, 9);
    OK(mba_pop(array, NULL));
    OK(mba_close(array));
    EQ(file_size(path), 24);
}

/* Handles of all other kinds go through a fork, too. */
static void other_kinds(void)
{
    uint32_t memory[2] = {1, 2}, value = 9;
    mba_array *reader = open_u32(path, MBA_RDONLY), *copy, *own, *exact;
    OK(mba_open(path, MBA_UINT32, MBA_PRIVATE, &copy));
    OK(mba_from_memory(memory, sizeof memory, MBA_UINT32, MBA_RDWR, &own));
    exact = open_u32(path, MBA_RDWR | MBA_EXACT);
    OK(mba_lock(exact, 0));
    IN_A_CHILD({
        HOLDS(reader, 1, 2, 3, 4, 5, 6);
        OK(mba_set(copy, 0, &value));
        OK(mba_set(own, 0, &value));
        GIVES(MBA_ELOCKED, mba_append(exact, &value));
        OK(mba_close(reader));
        OK(mba_close(copy));
        OK(mba_close(own));
        OK(mba_close(exact));
    });
    HOLDS(copy, 1, 2, 3, 4, 5, 6);
    HOLDS(own, 1, 2);
    OK(mba_append(exact, &value));
    OK(mba_refresh(reader));
    HOLDS(reader, 1, 2, 3, 4, 5, 6, 9);
    mba_free(reader);
    mba_free(copy);
    mba_free(own);
    OK(mba_close(exact));
    EQ(file_size(path), 28);
}

int main(int argc, char **argv)
{
    mba_array *array, *anonymous;
    begin(argc, argv);
    path = strdup(in_scratch("fork"));
    OK(mba_anon(MBA_UINT32, &anonymous));
    child_takes_the_lock(anonymous);
    child_ends(anonymous);
    grandchild(anonymous);
    OK(mba_close(anonymous));
    array = open_u32(path, MBA_RDWR | MBA_CREATE);
    child_takes_the_lock(array);
    child_ends(array);
    grandchild(array);
    OK(mba_close(array));
    EQ(file_size(path), 28);
    child_trims_its_own();
    other_kinds();
    return 0;
}

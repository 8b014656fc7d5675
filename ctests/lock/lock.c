/* The growth lock: one handle at a time changes the length; waiting for it, and losing its holder. */
#include "check.h"

#include <pthread.h>
#include <time.h>

static const char *path;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Returns when somebody waits for a lock on the file: /proc/locks marks that by an arrow. */
static void until_someone_waits(void)
{
    struct stat status;
    char inode[32], line[256];
    int waits = 0;
    SYS(stat(path, &status));
    snprintf(inode, sizeof inode, ":%llu ", (unsigned long long)status.st_ino);
    while (!waits) {
        FILE *locks = fopen("/proc/locks", "r");
        CHECK(locks != NULL);
        while (fgets(line, sizeof line, locks) != NULL) {
            waits |= strstr(line, "->") != NULL && strstr(line, inode) != NULL;
        }
        fclose(locks);
        if (!waits) {
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        }
    }
}

/* Every call that changes the length says MBA_ELOCKED, and changes nothing. */
static void locked_out(mba_array *array)
{
    uint32_t value = 3;
    CHANGES_GIVE(MBA_ELOCKED, array);
    GIVES(ETIMEDOUT, mba_lock(array, 1));
    GIVES(EINVAL, mba_lock(array, -2));
    GIVES(EINVAL, mba_lock(array, -2147483647 - 1));
    EQ(mba_has_lock(array), 0);
    HOLDS(array, 1, 2, 3);
    /* It isn't the other's lock. */
    OK(mba_unlock(array));
    OK(mba_set(array, 2, &value)); /* setting needs no lock */
}

static void two_processes(void)
{
    mba_array *array;
    uint32_t value = 4;
    double start;
    struct kid kid;
    make_u32(path, 3);
    array = open_u32(path, MBA_RDWR);
    kid = fork_kid();
    if (kid.pid == 0) {
        mba_array *own = open_u32(path, MBA_RDWR);
        EQ(mba_has_lock(own), 0);
        OK(mba_lock(own, 0));
        EQ(mba_has_lock(own), 1);
        OK(mba_lock(own, 0)); /* it has it already */
        OK(mba_lock(own, -1));
        OK(mba_lock(own, 5));
        say(kid.wire, "locked");
        HEAR(kid.wire, "append");
        OK(mba_append(own, &value));
        OK(mba_unlock(own));
        EQ(mba_has_lock(own), 0);
        OK(mba_unlock(own));
        say(kid.wire, "unlocked");
        HEAR(kid.wire, "lock");
        GIVES(MBA_ELOCKED, mba_append(own, &value));
        say(kid.wire, "no");
        OK(mba_lock(own, -1)); /* until the parent lets go */
        EQ(mba_len(own), 5);
        say(kid.wire, "locked");
        HEAR(kid.wire, "end");
        OK(mba_close(own));
        _exit(0);
    }
    HEAR(kid.wire, "locked");
    locked_out(array);
    start = seconds();
    GIVES(ETIMEDOUT, mba_lock(array, 150));
    CHECK(seconds() - start >= 0.149);
    say(kid.wire, "append");
    HEAR(kid.wire, "unlocked");
    HOLDS(array, 1, 2, 3);
    OK(mba_lock(array, 60000)); /* taking it takes up the length */
    HOLDS(array, 1, 2, 3, 4);
    value = 5;
    OK(mba_append(array, &value));
    say(kid.wire, "lock");
    HEAR(kid.wire, "no");
    until_someone_waits();
    OK(mba_unlock(array));
    HEAR(kid.wire, "locked");
    GIVES(MBA_ELOCKED, mba_append(array, &value));
    say(kid.wire, "end");
    join_kid(kid);
    value = 6;
    OK(mba_append(array, &value)); /* the end of the handle was the end of the lock */
    HOLDS(array, 1, 2, 3, 4, 5, 6);
    OK(mba_close(array));
    EQ(file_size(path), 24);
    SYS(unlink(path));
}

/* Under valgrind one thread runs at a time, and none while one waits in the system: there it asks again and again. */
static int one_thread;

static void *wait_for_ever(void *array)
{
    OK(mba_lock(array, one_thread ? 60000 : -1));
    return NULL;
}

/* Another handle of one's own counts as another's. */
static void two_handles(void)
{
    mba_array *array, *other;
    uint32_t value = 4;
    pthread_t thread;
    make_u32(path, 3);
    array = open_u32(path, MBA_RDWR);
    other = open_u32(path, MBA_RDWR);
    OK(mba_lock(array, 0));
    locked_out(other);
    EQ(pthread_create(&thread, NULL, wait_for_ever, other), 0);
    if (!one_thread) {
        until_someone_waits();
    }
    OK(mba_append(array, &value));
    OK(mba_unlock(array));
    EQ(pthread_join(thread, NULL), 0);
    HOLDS(other, 1, 2, 3, 4);
    GIVES(MBA_ELOCKED, mba_append(array, &value));
    mba_free(other);
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4, 4);
    OK(mba_close(array));
    EQ(file_size(path), 20);
    SYS(unlink(path));
}

/* kill -9 drops the lock, wakes who waits for it, and loses nothing. */
static void killed_holder(void)
{
    uint32_t value = 4;
    mba_array *array;
    struct kid holder, killer;
    make_u32(path, 3);
    array = open_u32(path, MBA_RDWR);
    holder = fork_kid();
    if (holder.pid == 0) {
        mba_array *own = open_u32(path, MBA_RDWR);
        OK(mba_append(own, &value));
        say(holder.wire, "appended");
        pause();
    }
    HEAR(holder.wire, "appended");
    GIVES(MBA_ELOCKED, mba_append(array, &value));
    killer = fork_kid();
    if (killer.pid == 0) {
        until_someone_waits();
        SYS(kill(holder.pid, SIGKILL));
        _exit(0);
    }
    OK(mba_lock(array, -1));
    HOLDS(array, 1, 2, 3, 4);
    value = 5;
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4, 5);
    join_kid(killer);
    kill_kid(holder);
    OK(mba_close(array));
    EQ(file_size(path), 20);

    /* Nobody changes the length afterwards: still whoever closes next repairs the file. */
    array = open_u32(path, MBA_RDWR);
    holder = fork_kid();
    if (holder.pid == 0) {
        mba_array *own = open_u32(path, MBA_RDWR);
        value = 6;
        OK(mba_append(own, &value));
        say(holder.wire, "appended");
        pause();
    }
    HEAR(holder.wire, "appended");
    kill_kid(holder);
    CHECK(file_size(path) > 24);
    OK(mba_close(array));
    EQ(file_size(path), 24);
    SYS(unlink(path));
}

/* A handle that closes while another is growing leaves the file to that one. */
static void close_beside_a_grower(void)
{
    uint32_t value = 4;
    mba_array *array, *other;
    long long size;
    make_u32(path, 3);
    array = open_u32(path, MBA_RDWR);
    other = open_u32(path, MBA_RDWR);
    OK(mba_append(array, &value));
    size = file_size(path);
    OK(mba_close(other));
    EQ(file_size(path), size);
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4, 4);
    OK(mba_close(array));
    EQ(file_size(path), 20);
    SYS(unlink(path));
}

/* Two processes take turns, each waiting for the other: no append is lost, none is done twice. */
static void taking_turns(void)
{
    enum { ROUNDS = 500 };
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE);
    struct kid kid = fork_kid();
    mba_array *own = open_u32(path, MBA_RDWR);
    uint32_t tag = kid.pid == 0 ? 1 : 2, round, next[3] = {0, 0, 0};
    size_t index;
    for (round = 0; round < ROUNDS; round++) {
        uint32_t value = round << 2 | tag;
        size_t len;
        OK(mba_lock(own, -1));
        len = mba_len(own);
        OK(mba_append(own, &value));
        EQ(mba_len(own), len + 1);
        OK(mba_unlock(own));
    }
    OK(mba_close(own));
    if (kid.pid == 0) {
        _exit(0);
    }
    join_kid(kid);
    OK(mba_refresh(array));
    EQ(mba_len(array), 2 * ROUNDS);
    for (index = 0; index < 2 * ROUNDS; index++) {
        uint32_t value;
        OK(mba_get(array, index, &value));
        EQ(value >> 2, next[value & 3]);
        next[value & 3]++;
    }
    EQ(next[1], ROUNDS);
    OK(mba_close(array));
    EQ(file_size(path), 8 * ROUNDS);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    path = strdup(in_scratch("lock"));
    one_thread = getenv("MBA_CTEST_VALGRIND") != NULL;
    two_processes();
    two_handles();
    killed_holder();
    close_beside_a_grower();
    taking_turns();
    return 0;
}

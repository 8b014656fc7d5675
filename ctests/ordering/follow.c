/* Threads that read through one handle while another process appends; then the other way round. */
#include "check.h"

#include <pthread.h>
#include <sched.h>

enum { TOTAL = 60000, READERS = 3 };

static mba_array *array;
static int done;

static uint64_t element(uint64_t index)
{
    return index * 0x9e3779b97f4a7c15u | 1;
}

/* Whatever length the handle has taken up, the elements up to there are there. */
static void *read_along(void *unused)
{
    const uint64_t *data = mba_data_ptr(array);
    size_t last = 0, at;
    int end;
    (void)unused;
    do {
        uint64_t value, few[4];
        size_t len;
        end = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
        len = mba_len(array);
        CHECK(len >= last);
        CHECK(mba_capacity(array) >= len);
        CHECK(mba_reserved(array) >= len);
        for (at = last; at < len; at++) {
            OK(mba_get(array, at, &value));
            CHECK(value == element(at));
            CHECK(data[at] == value);
        }
        if (len > 4) {
            OK(mba_read(array, len - 4, 4, few));
            CHECK(few[0] == element(len - 4) && few[3] == element(len - 1));
            OK(mba_count(array, &few[3], &at));
            EQ(at, 1);
        }
        last = len;
        sched_yield();
    } while (!end);
    EQ(last, TOTAL);
    return NULL;
}

/* The one thread that may take up lengths, until all is there. */
static void *refresh(void *unused)
{
    (void)unused;
    while (mba_len(array) < TOTAL) {
        OK(mba_refresh(array));
        sched_yield();
    }
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void append(mba_array *own)
{
    uint64_t index;
    for (index = mba_len(own); index < TOTAL; index++) {
        uint64_t value = element(index);
        OK(mba_append(own, &value));
        if (index % 20000 == 19999) {
            OK(mba_unlock(own));
        }
    }
}

static void *append_here(void *unused)
{
    (void)unused;
    append(array);
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Readers on threads of this process, beside one thread that brings the length. */
static void read_beside(void *(*bring)(void *))
{
    pthread_t threads[READERS + 1];
    int at;
    __atomic_store_n(&done, 0, __ATOMIC_RELEASE);
    for (at = 0; at < READERS; at++) {
        EQ(pthread_create(&threads[at], NULL, read_along, NULL), 0);
    }
    EQ(pthread_create(&threads[READERS], NULL, bring, NULL), 0);
    for (at = 0; at <= READERS; at++) {
        EQ(pthread_join(threads[at], NULL), 0);
    }
    EQ(mba_len(array), TOTAL);
}

static void both_ways(uint32_t flags)
{
    const char *path = in_scratch("follow");
    struct kid kid;
    kid = fork_kid(); /* before there are threads */
    if (kid.pid == 0) {
        HEAR(kid.wire, "append");
        OK(mba_open(path, MBA_UINT64, MBA_RDWR | MBA_CREATE | flags, &array));
        append(array);
        OK(mba_close(array));
        say(kid.wire, "appended");
        HEAR(kid.wire, "read");
        OK(mba_open(path, MBA_UINT64, MBA_RDONLY, &array));
        read_beside(refresh);
        OK(mba_close(array));
        _exit(0);
    }
    OK(mba_open(path, MBA_UINT64, MBA_RDWR | MBA_CREATE | flags, &array));
    say(kid.wire, "append");
    read_beside(refresh);
    HEAR(kid.wire, "appended");
    OK(mba_clear(array));
    say(kid.wire, "read");
    read_beside(append_here);
    join_kid(kid);
    OK(mba_close(array));
    EQ(file_size(path), 8LL * TOTAL);
    SYS(unlink(path));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    both_ways(0);
    both_ways(MBA_EXACT);
    return 0;
}

/* Readers and setters on several threads beside one that appends, all through the same handle. */
#include "check.h"

#include <pthread.h>
#include <sched.h>

enum { TOTAL = 300000, READERS = 3, SET = 64 };

static mba_array *array;
static int done;

static uint64_t element(uint64_t index)
{
    return index * 0x9e3779b97f4a7c15u | 1;
}

/* Whatever length a reader sees, the elements up to there are there. */
static void *read_along(void *unused)
{
    const uint64_t *data = mba_data_ptr(array);
    size_t last = 0;
    int end;
    (void)unused;
    do {
        uint64_t value, few[4];
        size_t len, at;
        end = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
        len = mba_len(array);
        CHECK(len >= last);
        CHECK(mba_data_ptr(array) == data);
        CHECK(mba_capacity(array) >= len);
        for (at = last > SET ? last : SET; at < len; at++) {
            OK(mba_get(array, at, &value));
            CHECK(value == element(at));
            CHECK(data[at] == value);
        }
        if (len > SET + 4) {
            OK(mba_read(array, len - 4, 4, few));
            CHECK(few[0] == element(len - 4) && few[3] == element(len - 1));
            OK(mba_find(array, &few[3], len - 4, len, &at));
            EQ(at, len - 1);
        }
        GIVES(MBA_EINDEX, mba_get(array, TOTAL, &value));
        OK(mba_advise(array, 0, len, MBA_ADVICE_WILLNEED));
        last = len;
        sched_yield();
    } while (!end);
    EQ(last, TOTAL);
    return NULL;
}

/* Elements of 8 bytes are set and read whole: every byte of one is the same. */
static void *set_along(void *unused)
{
    uint64_t round = 0;
    (void)unused;
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        uint64_t value = (round % 255 + 1) * 0x0101010101010101u, seen;
        size_t at = round++ % SET;
        if (mba_len(array) > at) {
            OK(mba_set(array, at, &value));
            OK(mba_get(array, (at * 7 + 1) % (mba_len(array) < SET ? mba_len(array) : SET), &seen));
            CHECK(seen == (seen & 0xff) * 0x0101010101010101u);
        }
        if (round % 64 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void *append(void *unused)
{
    uint64_t index;
    (void)unused;
    for (index = 0; index < TOTAL; index++) {
        uint64_t value = index < SET ? 0x0101010101010101u : element(index);
        OK(mba_append(array, &value));
        if (index % 50000 == 49999) {
            OK(mba_unlock(array));
            OK(mba_refresh(array));
        }
    }
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[READERS + 3];
    int at;
    begin(argc, argv);
    OK(mba_open(in_scratch("threads"), MBA_UINT64, MBA_RDWR | MBA_CREATE, &array));
    for (at = 0; at < READERS; at++) {
        EQ(pthread_create(&threads[at], NULL, read_along, NULL), 0);
    }
    EQ(pthread_create(&threads[READERS], NULL, set_along, NULL), 0);
    EQ(pthread_create(&threads[READERS + 1], NULL, set_along, NULL), 0);
    EQ(pthread_create(&threads[READERS + 2], NULL, append, NULL), 0);
    for (at = 0; at < READERS + 3; at++) {
        EQ(pthread_join(threads[at], NULL), 0);
    }
    EQ(mba_len(array), TOTAL);
    OK(mba_close(array));
    EQ(file_size(in_scratch("threads")), 8LL * TOTAL);
    return 0;
}

/* mba_push and the head: appending without a call says, does and refuses what mba_append does. */
#include "check.h"

#include <pthread.h>

/* For each size of element, elements that differ in every byte. */
static void each_size(void)
{
    static const mba_type types[] = {
        MBA_UINT8,      MBA_UINT16,    MBA_UINT32,     MBA_UINT64,
        MBA_COMPLEX128, MBA_RECORD(3), MBA_RECORD(12), MBA_RECORD(100),
    };
    static unsigned char value[100];
    size_t at, n;
    for (at = 0; at < sizeof types / sizeof types[0]; at++) {
        size_t size = mba_type_size(types[at]);
        const unsigned char *data;
        mba_array *array;
        OK(mba_open(in_scratch("sizes"), types[at], MBA_RDWR | MBA_CREATE, &array));
        data = mba_data_ptr(array);
        for (n = 0; n < 20000; n++) {
            memset(value, (int)(n % 251), size);
            value[size - 1] = (unsigned char)(n / 251);
            OK(mba_push(array, value, size));
            EQ(mba_len(array), n + 1);
            CHECK(memcmp(data + n * size, value, size) == 0);
        }
        GIVES(MBA_ETYPE, mba_push(array, value, size + 1));
        GIVES(MBA_ETYPE, mba_push(array, value, 0));
        GIVES(EINVAL, mba_push(array, NULL, size));
        EQ(mba_len(array), 20000);
        OK(mba_resize(array, 0));
        OK(mba_close(array));
    }
    GIVES(EINVAL, mba_push(NULL, value, 4));
    CHECK(mba_head_of(NULL) == NULL);
}

static void the_head(void)
{
    const char *path = in_scratch("head");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE), *reader;
    mba_head *head = mba_head_of(array);
    const uint32_t seven = 7;
    CHECK((void *)head->data == mba_data_ptr(array));
    EQ(head->itemsize, 4);
    EQ(head->len, 0);
    EQ(*head->room, 0); /* it has no lock yet */
    EQ(mba_head_push(head, &seven, sizeof seven), 0);
    EQ(mba_len(array), 0);
    OK(mba_reserve(array, 1000));
    CHECK(*head->room >= 1000);
    EQ(*head->room, mba_capacity(array));
    EQ(mba_head_push(head, &seven, sizeof seven), 1);
    EQ(head->len, 1);
    /* Others see it at once. */
    reader = open_u32(path, MBA_RDONLY);
    EQ(mba_len(reader), 1);
    EQ(mba_head_push(head, &seven, sizeof seven), 1);
    OK(mba_refresh(reader));
    EQ(mba_len(reader), 2);
    EQ(*mba_head_of(reader)->room, 0);
    GIVES(MBA_EREADONLY, mba_push(reader, &seven, sizeof seven));
    /* Shorter is published alike. */
    mba_head_publish(head, 1);
    EQ(mba_len(array), 1);
    OK(mba_refresh(reader));
    EQ(mba_len(reader), 1);
    /* Without the lock there is no room. */
    OK(mba_unlock(array));
    EQ(*head->room, 0);
    EQ(mba_head_push(head, &seven, sizeof seven), 0);
    OK(mba_lock(array, 0));
    EQ(mba_head_push(head, &seven, sizeof seven), 1);
    OK(mba_close(reader));
    OK(mba_close(array));
    EQ(file_size(path), 8);
}

/* Where the call is needed, it is made: what it says, and what is then there. */
static void where_there_is_no_room(void)
{
    uint32_t memory[4] = {1, 2, 3, 4}, five = 5, n;
    const char *path = in_scratch("no-room");
    mba_array *array, *other;
    mba_options options = {0};
    OK(mba_from_memory(memory, sizeof memory, MBA_UINT32, MBA_RDWR, &array));
    GIVES(MBA_EFIXED, mba_push(array, &five, sizeof five));
    EQ(mba_len(array), 4);
    mba_free(array);

    array = open_u32(path, MBA_RDWR | MBA_CREATE);
    other = open_u32(path, MBA_RDWR);
    OK(mba_push(array, &five, sizeof five));
    GIVES(MBA_ELOCKED, mba_push(other, &five, sizeof five));
    OK(mba_unlock(array));
    OK(mba_push(other, &five, sizeof five));
    GIVES(MBA_ELOCKED, mba_push(array, &five, sizeof five));
    OK(mba_close(other));
    OK(mba_push(array, &five, sizeof five));
    EQ(mba_len(array), 3);
    OK(mba_close(array));
    EQ(file_size(path), 12);

    array = open_u32(path, MBA_RDWR | MBA_EXACT);
    for (n = 3; n < 3000; n++) {
        OK(mba_push(array, &five, sizeof five));
        EQ(file_size(path), 4LL * (n + 1));
    }
    OK(mba_close(array));

    options.size = sizeof options;
    options.reservation = 16384;
    OK(mba_open_with(path, MBA_UINT32, MBA_RDWR, &options, &array));
    for (n = 3000; n < mba_reserved(array); n++) {
        OK(mba_push(array, &five, sizeof five));
    }
    GIVES(MBA_ELIMIT, mba_push(array, &five, sizeof five));
    EQ(mba_len(array), n);
    OK(mba_close(array));

    OK(mba_open(path, MBA_UINT32, MBA_PRIVATE, &array));
    GIVES(MBA_EFIXED, mba_push(array, &five, sizeof five));
    mba_free(array);
}

/* A child has its parent's handle, and not the right to append by it. */
static void in_a_child(void)
{
    const char *path = in_scratch("forked");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE);
    uint32_t value = 1;
    OK(mba_push(array, &value, sizeof value));
    CHECK(*mba_head_of(array)->room > 1);
    IN_A_CHILD({
        EQ(*mba_head_of(array)->room, 0);
        GIVES(MBA_ELOCKED, mba_push(array, &value, sizeof value));
    });
    EQ(mba_len(array), 1);
    OK(mba_push(array, &value, sizeof value));
    OK(mba_close(array));
    EQ(file_size(path), 8);
}

/* A killed process has appended each element wholly or not at all. Element 0 is a number that is new each time the
   array has been emptied, and that all others carry too, so that an old element in a new one's place shows. */
static uint64_t carrying(uint64_t number, uint64_t at)
{
    return at == 0 ? number : number ^ (at * 0x9e3779b97f4a7c15);
}

static void append_until_killed(const char *path, uint64_t number)
{
    mba_array *array;
    OK(mba_open(path, MBA_UINT64, MBA_RDWR | MBA_CREATE, &array));
    for (;; number++) {
        uint64_t at;
        OK(mba_clear(array));
        for (at = 0; at < 100000; at++) {
            const uint64_t value = carrying(number, at);
            OK(mba_push(array, &value, sizeof value));
        }
    }
}

static void killed(void)
{
    const char *path = in_scratch("killed");
    const int rounds = getenv("MBA_CTEST_VALGRIND") == NULL ? 200 : 10;
    int round;
    for (round = 0; round < rounds; round++) {
        mba_array *array;
        const uint64_t *data;
        size_t at, len;
        struct kid kid = fork_kid();
        if (kid.pid == 0) {
            say(kid.wire, "go");
            append_until_killed(path, (uint64_t)round << 32 | 1);
        }
        HEAR(kid.wire, "go");
        usleep((useconds_t)(rand() % 2000)); /* any moment */
        kill_kid(kid);
        OK(mba_open(path, MBA_UINT64, MBA_RDWR | MBA_CREATE, &array));
        data = mba_data_ptr(array);
        len = mba_len(array);
        for (at = 0; at < len; at++) {
            CHECK(data[at] == carrying(data[0], at));
        }
        OK(mba_close(array));
        EQ(file_size(path), 8 * (long long)len);
    }
}

/* A thread that follows sees each element that the length says is there. */
enum { MOST = 300000 };

static void *follow(void *argument)
{
    const mba_array *array = argument;
    const uint64_t *data = mba_data_ptr(array);
    size_t seen = 0;
    while (seen < MOST) {
        size_t len = mba_len(array);
        for (; seen < len; seen++) {
            CHECK(__atomic_load_n(data + seen, __ATOMIC_RELAXED) == seen + 1);
        }
    }
    return NULL;
}

static void followed_by_a_thread(void)
{
    mba_array *array;
    pthread_t thread;
    uint64_t n;
    OK(mba_anon(MBA_UINT64, &array));
    EQ(pthread_create(&thread, NULL, follow, array), 0);
    for (n = 1; n <= MOST; n++) {
        OK(mba_push(array, &n, sizeof n));
    }
    EQ(pthread_join(thread, NULL), 0);
    OK(mba_close(array));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    each_size();
    the_head();
    where_there_is_no_room();
    in_a_child();
    killed();
    followed_by_a_thread();
    return 0;
}

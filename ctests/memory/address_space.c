/*
 * The default reservation where there is less address space than a program commonly has: under valgrind and the
 * sanitizers, and with a limit. It shrinks to what there is, the lock works, and the rest of the program goes on.
 */
#include "check.h"

#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { MANY = 300 };

static const size_t full = (size_t)64 << 30;

/* Memory for the rest of the program is still there. */
static void allocates(size_t bytes)
{
    char *memory = malloc(bytes);
    CHECK(memory != NULL);
    memory[0] = memory[bytes - 1] = 1;
    free(memory);
}

/* Another process is kept out, and let in; the array grows to a few megabytes. */
static void locks_and_grows(mba_array *array, const char *path)
{
    static uint32_t block[10000];
    uint32_t value;
    struct kid kid;
    const uint32_t *data = mba_data_ptr(array);
    OK(mba_append(array, &block[0]));
    EQ(mba_has_lock(array), 1);
    kid = fork_kid();
    if (kid.pid == 0) {
        mba_array *own = open_u32(path, MBA_RDWR);
        GIVES(MBA_ELOCKED, mba_append(own, &block[0]));
        GIVES(MBA_ELOCKED, mba_append(array, &block[0]));
        say(kid.wire, "locked");
        OK(mba_lock(own, -1));
        EQ(mba_len(own), 1000001);
        value = 7;
        OK(mba_append(own, &value));
        OK(mba_close(own));
        _exit(0);
    }
    HEAR(kid.wire, "locked");
    while (mba_len(array) < 1000001) {
        OK(mba_extend(array, block, 10000));
    }
    OK(mba_unlock(array));
    join_kid(kid);
    OK(mba_lock(array, 0));
    EQ(mba_len(array), 1000002);
    EQ(data[1000001], 7);
    CHECK(mba_data_ptr(array) == data);
    OK(mba_clear(array));
}

int main(int argc, char **argv)
{
    static mba_array *many[MANY];
    const char *path;
    mba_array *array;
    size_t reserved, total = 0;
    int at, valgrind = getenv("MBA_CTEST_VALGRIND") != NULL;
    begin(argc, argv);
    path = in_scratch("space");
    array = open_u32(path, MBA_RDWR | MBA_CREATE);
    reserved = 4 * mba_reserved(array);
    if (valgrind) {
        CHECK(reserved < full); /* there isn't as much */
        CHECK(reserved >= (size_t)1 << 30);
    } else {
        CHECK(reserved >= full - 128 && reserved <= full);
    }
    locks_and_grows(array, path);
    allocates(64 << 20);

    for (at = 0; at < MANY; at++) {
        uint32_t value = (uint32_t)at;
        OK(mba_anon(MBA_UINT32, &many[at]));
        OK(mba_append(many[at], &value));
        CHECK(mba_reserved(many[at]) > 1000);
        total += 4 * mba_reserved(many[at]);
    }
    allocates(64 << 20);
    CHECK(total < (size_t)1 << 47);
    for (at = 0; at < MANY; at++) {
        uint32_t value;
        OK(mba_get(many[at], 0, &value));
        EQ(value, at);
        OK(mba_close(many[at]));
    }
    OK(mba_close(array));

    /* A limit that the program sets itself; sanitizers have more than that already. */
    if (!SANITIZED && !valgrind) {
        IN_A_CHILD({
            struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
            SYS(setrlimit(RLIMIT_AS, &limit));
            array = open_u32(path, MBA_RDWR);
            CHECK(4 * mba_reserved(array) <= (size_t)1 << 29);
            CHECK(4 * mba_reserved(array) >= (size_t)16 << 20);
            locks_and_grows(array, path);
            allocates(64 << 20);
            OK(mba_close(array));
        });
    }
    /* One that leaves nothing: an error, and the file is as it was. Valgrind needs memory for itself. */
    if (!valgrind) {
        IN_A_CHILD({
            struct rlimit limit = {1 << 20, 1 << 20};
            SYS(setrlimit(RLIMIT_AS, &limit));
            array = (mba_array *)&limit;
            GIVES(ENOMEM, mba_open(path, MBA_UINT32, MBA_RDWR, &array));
            CHECK(array == (mba_array *)&limit);
        });
    }
    EQ(file_size(path), 0);
    return 0;
}

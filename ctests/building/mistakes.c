/* What the sanitizers must see, so that a suite without complaints means something: mistakes, on purpose. */
#include "check.h"

#include <pthread.h>

static mba_array *array;

static void *write_along(void *unused)
{
    uint64_t values[4] = {1, 2, 3, 4};
    int round;
    (void)unused;
    for (round = 0; round < 10000; round++) {
        OK(mba_write(array, 0, values, 4));
    }
    return NULL;
}

/* The header allows this, where old and new elements may mix; as a race it must be seen within the library. */
static void race(void)
{
    pthread_t thread;
    uint64_t values[4];
    int round;
    EQ(pthread_create(&thread, NULL, write_along, NULL), 0);
    for (round = 0; round < 10000; round++) {
        OK(mba_read(array, 0, 4, values));
    }
    EQ(pthread_join(thread, NULL), 0);
}

/* One element more than there is room for. */
static void overrun(void)
{
    uint64_t *values = malloc(3 * sizeof *values);
    CHECK(values != NULL);
    OK(mba_read(array, 0, 4, values));
    free(values);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    CHECK(argc == 3);
    OK(mba_anon(MBA_UINT64, &array));
    OK(mba_resize(array, 10));
    if (strcmp(argv[2], "race") == 0) {
        race();
    } else {
        overrun();
    }
    mba_free(array);
    return 0;
}

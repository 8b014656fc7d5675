/*
 * Ends with arrays open, as a program that is looked over by a memory checker may. The harness runs it under valgrind,
 * whose search for leaks walks through all memory that is mapped: it must not walk through what is only reserved.
 */
#include "check.h"

enum { FILES = 5, COUNT = 10, MANY = 100000 };

/* Where a search finds them: arrays that nothing points to any more would be leaks indeed. */
static mba_array *arrays[COUNT];
static uint32_t values[MANY];

int main(int argc, char **argv)
{
    int at;
    begin(argc, argv);
    for (at = 0; at < FILES; at++) {
        char name[16];
        snprintf(name, sizeof name, "%d.u32", at);
        make_u32(in_scratch(name), 1000);
        arrays[at] = open_u32(in_scratch(name), at == 0 ? MBA_RDONLY : MBA_RDWR);
    }
    for (; at < COUNT; at++) {
        OK(mba_anon(MBA_UINT32, &arrays[at]));
    }
    /* Some as they were opened, some a little longer, some much. */
    for (at = 1; at < COUNT; at++) {
        if (at % 3 != 0) {
            OK(mba_append(arrays[at], &values[0]));
        }
        if (at % 3 == 2) {
            OK(mba_extend(arrays[at], values, MANY));
        }
    }
    /* One was made shorter, for which its file is mapped once more. */
    OK(mba_pop(arrays[1], NULL));
    OK(mba_shrink_to_fit(arrays[1]));
    /* A child ends with all of them too; of anonymous ones it has a mapping of its own. */
    IN_A_CHILD();
    return 0;
}

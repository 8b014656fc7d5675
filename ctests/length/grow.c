/*
 * Growth across many steps: the pointer stays, earlier pointers stay valid; and a reader in another process,
 * which follows by mba_refresh, never sees an element before it is written, nor the length going backwards.
 */
#include "check.h"

#include <sched.h>

enum { TOTAL = 5000000, EARLIER = 32 };

static uint32_t element(uint32_t index)
{
    return index * 2654435761u | 1; /* never zero, which is what isn't written */
}

static void follow(const char *path, int wire)
{
    mba_array *array = open_u32(path, MBA_RDONLY);
    const uint32_t *data = mba_data_ptr(array);
    size_t checked = 0, steps = 0;
    say(wire, "following");
    while (checked < TOTAL) {
        size_t len;
        OK(mba_refresh(array));
        len = mba_len(array);
        CHECK(len >= checked);
        CHECK(mba_data_ptr(array) == data);
        steps += len > checked;
        for (; checked < len; checked++) {
            if (data[checked] != element((uint32_t)checked)) {
                check_fail(__FILE__, __LINE__, "element %zu of %zu is %u", checked, len,
                           data[checked]);
            }
        }
        sched_yield();
    }
    CHECK(steps > 1);
    EQ(checked, TOTAL);
    OK(mba_close(array));
}

int main(int argc, char **argv)
{
    static uint32_t block[10000];
    const uint32_t *earlier[EARLIER];
    size_t earlier_len[EARLIER], count = 0, at;
    uint32_t len = 0, *data;
    mba_options options = {0};
    mba_array *array;
    const char *path;
    struct kid kid;
    begin(argc, argv);
    path = in_scratch("grow");
    options.size = sizeof options;
    options.reservation = 1ull << 30;
    OK(mba_open_with(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &options, &array));
    data = mba_data_ptr(array);
    CHECK(mba_reserved(array) >= 1 << 28);
    kid = fork_kid();
    if (kid.pid == 0) {
        follow(path, kid.wire);
        _exit(0);
    }
    HEAR(kid.wire, "following");

    /* In turn: one by one, by blocks, by storing and committing; now and then the lock goes and comes. */
    while (len < TOTAL) {
        uint32_t more = TOTAL - len < 10000 ? TOTAL - len : 10000, index;
        size_t capacity = mba_capacity(array);
        switch (len / 10000 % 3) {
        case 0:
            for (index = 0; index < more; index++) {
                uint32_t value = element(len + index);
                OK(mba_append(array, &value));
            }
            break;
        case 1:
            for (index = 0; index < more; index++) {
                block[index] = element(len + index);
            }
            OK(mba_extend(array, block, more));
            break;
        default:
            OK(mba_reserve(array, len + more));
            for (index = 0; index < more; index++) {
                data[len + index] = element(len + index);
                if (index % 1000 == 999) {
                    OK(mba_commit(array, len + index + 1));
                }
            }
            OK(mba_commit(array, len + more));
        }
        len += more;
        EQ(mba_len(array), len);
        CHECK(mba_data_ptr(array) == data);
        if (mba_capacity(array) != capacity && count < EARLIER) {
            earlier[count] = (const uint32_t *)mba_data_ptr(array) + len - 1;
            earlier_len[count++] = len;
        }
        if (len / 10000 % 50 == 7) {
            OK(mba_unlock(array));
        }
    }
    join_kid(kid);
    CHECK(count > 5); /* it has grown in many steps */
    for (at = 0; at < count; at++) {
        EQ(*earlier[at], element((uint32_t)earlier_len[at] - 1));
    }
    OK(mba_close(array));
    EQ(file_size(path), 4LL * TOTAL);
    return 0;
}

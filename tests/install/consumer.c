/* A program in C of somebody who has the library installed: makes a file grow, or reads it. */
#include <mmap_backed_array.h>
#include <stdio.h>

struct reading {
    uint32_t time;
    float value;
    uint16_t sensor, flags;
};

int main(int argc, char **argv)
{
    mba_array *array = NULL;
    struct reading *readings;
    size_t at, old;
    int code;
    if (argc != 2) {
        return 2;
    }
    code = mba_open(argv[1], MBA_RECORD(sizeof(struct reading)), MBA_RDWR | MBA_CREATE, &array);
    old = mba_len(array);
    readings = mba_data_ptr(array);
    for (at = old; code == MBA_OK && at < old + 1000; at++) {
        struct reading reading = {0, 0, 7, 0};
        reading.time = (uint32_t)at;
        reading.value = (float)at / 2;
        code = mba_push(array, &reading, sizeof reading);
    }
    if (code != MBA_OK) {
        fprintf(stderr, "%s\n", mba_strerror(code));
        return 1;
    }
    for (at = 0; at < mba_len(array); at++) {
        if (readings[at].time != at || readings[at].sensor != 7) {
            return 3;
        }
    }
    printf("%zu readings, version %u.%u.%u of %u.%u.%u\n", mba_len(array), mba_version() >> 16,
           mba_version() >> 8 & 255, mba_version() & 255, MBA_VERSION_MAJOR, MBA_VERSION_MINOR, MBA_VERSION_PATCH);
    return mba_close(array) != MBA_OK;
}

/* Every element type: its name, its size, an array of it, and values that come back bit by bit. */
#include "check.h"

#include <wchar.h>

struct type {
    mba_type code;
    char letter;
    const char *name;
    size_t size;
};

/* What types are in C. */
static const struct type types[] = {
    {MBA_CHAR, 'c', "char", sizeof(char)},
    {MBA_INT8, 'b', "int8", sizeof(int8_t)},
    {MBA_UINT8, 'B', "uint8", sizeof(uint8_t)},
    {MBA_BOOL, '?', "bool", sizeof(_Bool)},
    {MBA_INT16, 'h', "int16", sizeof(int16_t)},
    {MBA_UINT16, 'H', "uint16", sizeof(uint16_t)},
    {MBA_INT32, 'i', "int32", sizeof(int32_t)},
    {MBA_UINT32, 'I', "uint32", sizeof(uint32_t)},
    {MBA_LONG, 'l', "long", sizeof(long)},
    {MBA_ULONG, 'L', "unsigned long", sizeof(unsigned long)},
    {MBA_INT64, 'q', "int64", sizeof(int64_t)},
    {MBA_UINT64, 'Q', "uint64", sizeof(uint64_t)},
    {MBA_FLOAT16, 'e', "float16", 2},
    {MBA_FLOAT32, 'f', "float32", sizeof(float)},
    {MBA_FLOAT64, 'd', "float64", sizeof(double)},
    {MBA_COMPLEX64, 'F', "complex64", sizeof(float _Complex)},
    {MBA_COMPLEX128, 'D', "complex128", sizeof(double _Complex)},
    {MBA_WCHAR, 'u', "wchar_t", sizeof(wchar_t)},
    {MBA_UCS4, 'w', "ucs4", 4},
};
enum { TYPES = sizeof types / sizeof types[0] };

/* Bytes of the n-th value; no two are the same, and they run through NaNs and the like. */
static void value_of(unsigned char *value, size_t size, unsigned n)
{
    size_t at;
    for (at = 0; at < size; at++) {
        value[at] = (unsigned char)(n * 151 + at * 67 + (at > 0 ? n >> 8 : 0));
    }
}

static void round_trip(mba_type type)
{
    const char *path = in_scratch(mba_type_name(type));
    unsigned char buffer[64], out[64], expected[64];
    unsigned char *value = buffer + 1; /* values need not be aligned */
    unsigned char *data;
    mba_array *array, *reader;
    unsigned n;
    size_t size = mba_type_size(type), count;

    OK(mba_open(path, type, MBA_RDWR | MBA_CREATE, &array));
    EQ(mba_typecode(array), type);
    EQ(mba_itemsize(array), size);
    EQ(mba_len(array), 0);
    for (n = 0; n < 3000; n++) {
        value_of(value, size, n);
        OK(mba_append(array, value));
    }
    OK(mba_open(path, type, MBA_RDONLY, &reader));
    for (n = 0; n < 3000; n++) {
        value_of(expected, size, n);
        memset(out, 0xee, sizeof out);
        OK(mba_get(reader, n, out + 1));
        CHECK(memcmp(out + 1, expected, size) == 0);
        EQ(out[0], 0xee);
        EQ(out[1 + size], 0xee); /* not a byte more than an element */
    }
    value_of(value, size, 7);
    OK(mba_set(array, 2999, value));
    OK(mba_get(reader, 2999, out));
    CHECK(memcmp(out, value, size) == 0);
    OK(mba_close(reader));
    OK(mba_close(array));

    data = read_file(path, &count);
    EQ(count, 3000 * size);
    for (n = 0; n < 2999; n++) {
        value_of(expected, size, n);
        CHECK(memcmp(data + n * size, expected, size) == 0);
    }
    free(data);
}

static void refuse(mba_type type)
{
    mba_array *array = (mba_array *)&array;
    uint32_t memory[1] = {5};
    EQ(mba_type_size(type), 0);
    CHECK(mba_type_name(type) == NULL);
    GIVES(MBA_ETYPE, mba_open(in_scratch("some"), type, MBA_RDWR, &array));
    GIVES(MBA_ETYPE, mba_open(in_scratch("new"), type, MBA_RDWR | MBA_CREATE, &array));
    GIVES(MBA_ETYPE, mba_open_with(in_scratch("some"), type, MBA_RDWR, NULL, &array));
    GIVES(MBA_ETYPE, mba_anon(type, &array));
    GIVES(MBA_ETYPE, mba_shm_open("/mba-ctest-types", type, MBA_RDWR | MBA_CREATE, &array));
    GIVES(MBA_ETYPE, mba_from_fd(0, type, MBA_RDONLY, &array));
    GIVES(MBA_ETYPE, mba_from_memory(memory, 4, type, MBA_RDONLY, &array));
    CHECK(array == (mba_array *)&array);
    CHECK(access(in_scratch("new"), F_OK) != 0); /* nothing was made */
    CHECK(access("/dev/shm/mba-ctest-types", F_OK) != 0);
}

int main(int argc, char **argv)
{
    static const mba_type unknown[] = {0, -1, 1, 'I' + 256, INT32_MAX, INT32_MIN};
    mba_type type;
    size_t at, known = 0;
    begin(argc, argv);
    for (at = 0; at < TYPES; at++) {
        EQ(types[at].code, types[at].letter);
        EQ(mba_type_size(types[at].code), types[at].size);
        CHECK(strcmp(mba_type_name(types[at].code), types[at].name) == 0);
    }
    make_u32(in_scratch("some"), 3);
    for (at = 0; at < sizeof unknown / sizeof unknown[0]; at++) {
        refuse(unknown[at]);
    }
    for (type = 1; type < 256; type++) {
        if (mba_type_size(type) > 0) {
            round_trip(type);
            known++;
        } else {
            refuse(type);
        }
    }
    CHECK(known >= TYPES);
    return 0;
}

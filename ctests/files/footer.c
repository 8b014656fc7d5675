/*
 * The footer of a file with spare room, seen from outside: what it says, what becomes of files
 * whose footer lies, of copies, and of files that someone who doesn't use the library changes in between.
 */
#include "check.h"

enum { FOOTER = 128, PAGE = 4096 };
enum {
    VERSION_AT = 8,
    CLASS_AT = 12,
    SIZE_AT = 16,
    CRC_AT = 20,
    FORMAT_AT = 24,
    OFFSET_AT = 32,
    FILE_AT = 40,
    DEV_AT = 48,
    INO_AT = 56,
    FLAGS_AT = 64,
    ZERO_AT = 68,
    FIXED_END = 80, /* here the checksum's part ends */
    BELL_AT = 80,
    HOLDER_AT = 88,
    REACH_AT = 96,
    EPOCH_AT = 104,
    LEN_AT = 120
};

static uint64_t get64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t get32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void put64(unsigned char *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

static void put32(unsigned char *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

/* The CRC-32 of zlib, over the fixed part, its own field as zero. */
static void put_checksum(unsigned char *footer)
{
    uint32_t crc = 0xffffffff;
    int at, bit;
    put32(footer + CRC_AT, 0);
    for (at = 0; at < FIXED_END; at++) {
        crc ^= footer[at];
        for (bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    put32(footer + CRC_AT, ~crc);
}

/* The bytes of a file with 1, 2, 3 and spare room, as it stands while nobody has the lock. */
static unsigned char *with_footer(const char *path, size_t *size)
{
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE);
    unsigned char *bytes;
    uint32_t value;
    for (value = 1; value <= 3; value++) {
        OK(mba_append(array, &value));
    }
    OK(mba_unlock(array));
    bytes = read_file(path, size);
    OK(mba_close(array));
    EQ(file_size(path), 12);
    return bytes;
}

static void what_it_says(void)
{
    const char *path = in_scratch("seen");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE), *reader;
    uint32_t value;
    unsigned char *bytes, *footer;
    struct stat status;
    size_t size;
    for (value = 1; value <= 3; value++) {
        OK(mba_append(array, &value));
    }
    bytes = read_file(path, &size);
    SYS(stat(path, &status));
    EQ(size % PAGE, 0);
    CHECK(mba_capacity(array) > 3);
    CHECK(mba_capacity(array) <= (size - FOOTER) / 4);
    footer = bytes + size - FOOTER;
    CHECK(memcmp(footer, "\223MBAfoot", 8) == 0);
    EQ(get32(footer + VERSION_AT), 2);
    EQ(get32(footer + CLASS_AT), 4); /* unsigned */
    EQ(get32(footer + SIZE_AT), 4);
    EQ(get64(footer + FORMAT_AT), 0);
    EQ(get64(footer + OFFSET_AT), 0);
    EQ(get64(footer + FILE_AT), size);
    EQ(get64(footer + DEV_AT), status.st_dev);
    EQ(get64(footer + INO_AT), status.st_ino);
    EQ(get64(footer + LEN_AT), 3);
    CHECK(get64(footer + REACH_AT) <= 3);
    EQ(get64(footer + EPOCH_AT), 0); /* nothing was ever taken away */
    EQ(get64(footer + HOLDER_AT), getpid());
    CHECK(memcmp(bytes, (uint32_t[]){1, 2, 3}, 12) == 0);
    free(bytes);
    /* A wrong type is told while there is a footer; a type of the same kind and size is not wrong. */
    GIVES(MBA_ETYPE, mba_open(path, MBA_INT32, MBA_RDONLY, &reader));
    GIVES(MBA_ETYPE, mba_open(path, MBA_FLOAT32, MBA_PRIVATE, &reader));
    GIVES(MBA_ETYPE, mba_open(path, MBA_UINT64, MBA_RDWR, &reader));
    GIVES(MBA_ETYPE, mba_open(path, MBA_UCS4, MBA_RDWR, &reader));
    reader = open_u32(path, MBA_RDONLY);
    HOLDS(reader, 1, 2, 3);
    OK(mba_close(reader));
    OK(mba_close(array));
    OK(mba_open(path, MBA_FLOAT32, MBA_RDONLY, &reader)); /* a flat file can be read as anything */
    EQ(mba_len(reader), 3);
    OK(mba_close(reader));
}

/* Opens a file of these bytes in every way; none may change it if it is refused. */
static void opens_as(int line, const unsigned char *bytes, size_t size, int code, size_t len)
{
    static const uint32_t ways[] = {MBA_RDONLY, MBA_RDWR, MBA_PRIVATE, MBA_RDWR | MBA_EXACT};
    const char *path = in_scratch("lie");
    size_t way;
    for (way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        mba_array *array = (mba_array *)&path;
        int given;
        write_file(path, bytes, size);
        given = mba_open(path, MBA_UINT32, ways[way], &array);
        if (given != code || (code == MBA_OK && mba_len(array) != len)) {
            check_fail(__FILE__, line, "opening gives %d (%s), not %d, and %zu elements, not %zu",
                       given, mba_strerror(given), code, given == MBA_OK ? mba_len(array) : 0, len);
        }
        if (given == MBA_OK) {
            mba_free(array);
        } else {
            CHECK(array == (mba_array *)&path);
            EQ(file_size(path), size);
        }
    }
}
#define OPENS_AS(code, len) opens_as(__LINE__, bytes, size, (code), (len))

static void lies(void)
{
    size_t size, bit;
    uint32_t version;
    unsigned char *bytes = with_footer(in_scratch("honest"), &size), good[FOOTER];
    unsigned char *footer = bytes + size - FOOTER;
    uint64_t most = (size - FOOTER) / 4;
    memcpy(good, footer, FOOTER);
#define LIE(change, code, len)                                                                     \
    do {                                                                                           \
        change;                                                                                    \
        OPENS_AS(code, len);                                                                       \
        memcpy(footer, good, FOOTER);                                                              \
    } while (0)
#define SWORN(change) (change), put_checksum(footer) /* with a checksum that fits the lie */

    LIE((void)0, MBA_OK, 3);
    LIE(SWORN((void)0), MBA_OK, 3); /* the checksum is the one that the library makes */
    for (bit = 64; bit < FIXED_END * 8; bit++) {
        LIE(footer[bit / 8] ^= (unsigned char)(1 << bit % 8), MBA_ECORRUPT, 0);
    }
    LIE(footer[0] ^= 1, MBA_OK, size / 4); /* no magic, no footer: all of it is elements */
    /* Of a machine with the other byte order. */
    LIE(memcpy(footer, "toofABM\223", 8), MBA_ECORRUPT, 0);
    for (version = 0; version < 5; version++) {
        LIE(SWORN(put32(footer + VERSION_AT, version)), version == 2 ? MBA_OK : MBA_ECORRUPT, 3);
    }
    LIE(SWORN(put32(footer + CLASS_AT, 3)), MBA_ETYPE, 0);
    LIE(SWORN(put32(footer + CLASS_AT, 99)), MBA_ETYPE, 0);
    LIE(SWORN(put32(footer + SIZE_AT, 8)), MBA_ETYPE, 0);
    LIE(SWORN(put32(footer + SIZE_AT, 0)), MBA_ECORRUPT, 0);
    LIE(SWORN(put64(footer + FORMAT_AT, 1)), MBA_ECORRUPT, 0);
    LIE(SWORN(put64(footer + OFFSET_AT, 64)), MBA_ETYPE, 0);
    LIE(SWORN(put64(footer + FILE_AT, size + PAGE)), MBA_ECORRUPT, 0);
    LIE(SWORN(put64(footer + FILE_AT, 0)), MBA_ECORRUPT, 0);
    LIE(SWORN(put64(footer + INO_AT, 1)), MBA_OK, 3); /* a copy */
    LIE(SWORN(put64(footer + DEV_AT, 1)), MBA_OK, 3);
    LIE(SWORN(put32(footer + FLAGS_AT, 1)), MBA_OK, 3); /* the spare room may have no blocks */
    LIE(SWORN(put32(footer + ZERO_AT, 1)), MBA_ECORRUPT, 0);
    /* What changes in place is no matter of the checksum. */
    LIE(put32(footer + BELL_AT, 0x12345678), MBA_OK, 3);
    /* As one who was killed in growing leaves it. */
    LIE(put32(footer + BELL_AT, 0xffffffff), MBA_OK, 3);
    LIE(put64(footer + HOLDER_AT, UINT64_MAX), MBA_OK, 3);
    LIE(put64(footer + EPOCH_AT, UINT64_MAX), MBA_OK, 3);
    LIE(put64(footer + REACH_AT, 0), MBA_OK, 3);
    LIE(put64(footer + REACH_AT, most), MBA_OK, 3);
    LIE(put64(footer + REACH_AT, most + 1), MBA_ECORRUPT, 0);
    LIE(put64(footer + REACH_AT, UINT64_MAX), MBA_ECORRUPT, 0);
    LIE(put64(footer + REACH_AT, UINT64_MAX / 4 + 1), MBA_ECORRUPT, 0);
    LIE(put64(footer + LEN_AT, most), MBA_OK, most);
    LIE(put64(footer + LEN_AT, 0), MBA_OK, 0);
    LIE(put64(footer + LEN_AT, most + 1), MBA_ECORRUPT, 0);
    LIE(put64(footer + LEN_AT, UINT64_MAX), MBA_ECORRUPT, 0);
    LIE(put64(footer + LEN_AT, UINT64_MAX / 4 + 1), MBA_ECORRUPT, 0); /* times four that is zero */
    LIE(put64(footer + LEN_AT, UINT64_MAX / 4 + 4), MBA_ECORRUPT, 0);
    free(bytes);

    /* The footer alone, or in a file of odd size, is just bytes. */
    {
        unsigned char *page = calloc(1, PAGE);
        const size_t sizes[] = {FOOTER, PAGE - 4, PAGE};
        size_t at;
        CHECK(page != NULL);
        bytes = page;
        for (at = 0; at < 3; at++) {
            size = sizes[at];
            memset(page, 0, PAGE);
            memcpy(page + size - FOOTER, good, FOOTER);
            OPENS_AS(size == PAGE ? MBA_ECORRUPT : MBA_OK, size / 4);
        }
        free(page);
    }
}

/* A footer that comes to lie under handles that are open. */
static void lies_later(void)
{
    static const struct {
        int at, code;
        uint32_t value;
    } rows[] = {
        {VERSION_AT, MBA_ECORRUPT, 7},
        {CLASS_AT, MBA_ETYPE, 3},
        {SIZE_AT, MBA_ETYPE, 2},
        {FILE_AT, MBA_ECORRUPT, 4096},
        {LEN_AT, MBA_ECORRUPT, 0x7fffffff},
        {REACH_AT, MBA_ECORRUPT, 0x7fffffff},
    };
    const char *path = in_scratch("later");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE), *reader;
    unsigned char good[FOOTER], bad[FOOTER];
    uint32_t value;
    size_t row;
    long long size;
    int fd = open(path, O_RDWR);
    SYS(fd);
    for (value = 1; value <= 3; value++) {
        OK(mba_append(array, &value));
    }
    OK(mba_unlock(array));
    reader = open_u32(path, MBA_RDONLY);
    size = file_size(path);
    EQ(pread(fd, good, FOOTER, size - FOOTER), FOOTER);
    for (row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        int code = rows[row].code;
        memcpy(bad, good, FOOTER);
        put32(bad + rows[row].at, rows[row].value);
        put_checksum(bad);
        EQ(pwrite(fd, bad, FOOTER, size - FOOTER), FOOTER);
        GIVES(code, mba_refresh(reader));
        GIVES(code, mba_refresh(array));
        GIVES(code, mba_append(array, &value));
        GIVES(code, mba_pop(array, &value));
        GIVES(code, mba_clear(array));
        GIVES(code, mba_lock(array, 0));
        EQ(mba_has_lock(array), 0);
        HOLDS(array, 1, 2, 3);
        HOLDS(reader, 1, 2, 3);
        EQ(file_size(path), size);
        EQ(pwrite(fd, good, FOOTER, size - FOOTER), FOOTER);
        OK(mba_refresh(reader));
        HOLDS(reader, 1, 2, 3);
    }
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4);
    OK(mba_close(array));
    OK(mba_close(reader));
    SYS(close(fd));
    EQ(file_size(path), 16);
}

/* A copy, as cp makes it: spare room and all, without blocks behind the zeros. */
static void sparse_copy(const char *path, const unsigned char *bytes, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    SYS(fd);
    EQ(pwrite(fd, bytes, PAGE, 0), PAGE);
    EQ(pwrite(fd, bytes + size - PAGE, PAGE, (off_t)(size - PAGE)), PAGE);
    SYS(close(fd));
    EQ(file_size(path), size);
}

static void copies(void)
{
    const char *path = in_scratch("copy");
    mba_array *array;
    size_t size;
    uint32_t value = 4, index;
    unsigned char *bytes = with_footer(in_scratch("original"), &size);
    struct stat status;

    sparse_copy(path, bytes, size);
    array = open_u32(path, MBA_RDONLY);
    HOLDS(array, 1, 2, 3);
    OK(mba_close(array));
    EQ(file_size(path), size); /* reading changes nothing */

    array = open_u32(path, MBA_RDWR);
    OK(mba_lock(array, 0));
    EQ(file_size(path), 12); /* cut, so that growth reserves blocks anew */
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4);
    SYS(stat(path, &status));
    CHECK(status.st_size > 16);
    CHECK(status.st_blocks * 512 >= status.st_size);
    for (index = 5; index < 20000; index++) {
        OK(mba_append(array, &index));
    }
    OK(mba_close(array));
    EQ(file_size(path), 19999 * 4);

    sparse_copy(path, bytes, size);
    array = open_u32(path, MBA_RDWR);
    OK(mba_pop(array, &value));
    EQ(value, 3);
    OK(mba_close(array));
    EQ(file_size(path), 8);

    sparse_copy(path, bytes, size);
    array = open_u32(path, MBA_RDWR);
    OK(mba_close(array)); /* a handle that may change the length trims, even if it hasn't */
    EQ(file_size(path), 12);
    free(bytes);
}

/* Someone else makes the file shorter or longer while a handle has the lock. */
static void changed_by_others(off_t change, int code)
{
    static uint32_t block[100000];
    const char *path = in_scratch("changed");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE);
    uint32_t value;
    long long size;
    for (value = 1; value <= 3; value++) {
        OK(mba_append(array, &value));
    }
    OK(mba_reserve(array, 50000));
    size = file_size(path) + change;
    SYS(truncate(path, size));
    GIVES(code, mba_refresh(array));
    GIVES(code, mba_flush(array));
    GIVES(code, mba_reserve(array, 200000));
    GIVES(code, mba_extend(array, block, 100000));
    GIVES(code, mba_resize(array, 100000));
    GIVES(code, mba_splice(array, 0, 0, block, 100000));
    GIVES(code, mba_shrink_to_fit(array));
    HOLDS(array, 1, 2, 3);
    EQ(file_size(path), size);
    EQ(mba_has_lock(array), 1);
    GIVES(code, mba_close(array));
    EQ(file_size(path), size); /* nothing is touched */
    SYS(unlink(path));
}

/* The same in exact mode, where every append asks. */
static void changed_exactly(off_t size, int code)
{
    const char *path = in_scratch("exactly");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE | MBA_EXACT);
    uint32_t value;
    for (value = 1; value <= 3; value++) {
        OK(mba_append(array, &value));
    }
    SYS(truncate(path, size));
    GIVES(code, mba_append(array, &value));
    GIVES(code, mba_pop(array, NULL));
    GIVES(code, mba_remove(array, 0, NULL));
    GIVES(code, mba_resize(array, 2));
    EQ(mba_len(array), 3);
    EQ(file_size(path), size);
    /* Who lets go of the lock and takes it again begins with the file as it is. */
    OK(mba_unlock(array));
    OK(mba_lock(array, 0));
    EQ(mba_len(array), size / 4);
    OK(mba_append(array, &value));
    EQ(file_size(path), size + 4);
    OK(mba_close(array));
    SYS(unlink(path));
}

/* Elements at the end of the file that read as a footer themselves stay elements. */
static void elements_like_a_footer(uint32_t exact)
{
    const char *path = in_scratch("alike");
    size_t size, count, pages;
    unsigned char *bytes = with_footer(in_scratch("model"), &size);
    unsigned char *elements = malloc(3 * PAGE), *file;
    mba_array *array, *reader;
    CHECK(elements != NULL);
    for (pages = 1; pages <= 3; pages++) {
        count = pages * PAGE;
        memset(elements, 'e', count);
        memcpy(elements + count - FOOTER, bytes + size - FOOTER, FOOTER);
        unlink(path);
        OK(mba_open(path, MBA_UINT8, MBA_RDWR | MBA_CREATE | exact, &array));
        OK(mba_extend(array, elements, count));
        EQ(mba_len(array), count);
        OK(mba_open(path, MBA_UINT8, MBA_RDONLY, &reader));
        EQ(mba_len(reader), count);
        OK(mba_shrink_to_fit(array));
        OK(mba_refresh(reader));
        EQ(mba_len(reader), count);
        OK(mba_close(reader));
        OK(mba_close(array));
        CHECK(file_size(path) >= (long long)count);
        CHECK(file_size(path) <=
              (long long)(count + PAGE)); /* the one case where spare room must stay */

        OK(mba_open(path, MBA_UINT8, MBA_RDWR | exact, &array));
        EQ(mba_len(array), count);
        CHECK(memcmp(mba_data_ptr(array), elements, count) == 0);
        OK(mba_close(array));
        OK(mba_open(path, MBA_UINT8, MBA_RDWR | exact, &array));
        EQ(mba_len(array), count);
        OK(mba_append(array, "x"));
        OK(mba_close(array));
        EQ(file_size(path), count + 1);
        file = read_file(path, &size);
        CHECK(memcmp(file, elements, count) == 0);
        EQ(file[count], 'x');
        free(file);
        size = 0;

        /* And where taking an element away brings them to the end. */
        OK(mba_open(path, MBA_UINT8, MBA_RDWR | exact, &array));
        OK(mba_pop(array, NULL));
        EQ(mba_len(array), count);
        OK(mba_close(array));
        OK(mba_open(path, MBA_UINT8, MBA_RDWR | exact, &array));
        EQ(mba_len(array), count);
        OK(mba_pop(array, NULL));
        OK(mba_close(array));
        EQ(file_size(path), count - 1);
        free(bytes);
        SYS(unlink(in_scratch("model")));
        bytes = with_footer(in_scratch("model"), &size);
    }
    free(bytes);
    free(elements);
    SYS(unlink(path));
    SYS(unlink(in_scratch("model")));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    what_it_says();
    lies();
    lies_later();
    copies();
    changed_by_others(-PAGE, MBA_ETRUNCATED);
    changed_by_others(-1, MBA_ETRUNCATED);
    changed_by_others(PAGE, MBA_ECORRUPT);
    changed_by_others(1, MBA_ECORRUPT);
    changed_exactly(4, MBA_ETRUNCATED);
    changed_exactly(16, MBA_ECORRUPT);
    elements_like_a_footer(0);
    elements_like_a_footer(MBA_EXACT);
    return 0;
}

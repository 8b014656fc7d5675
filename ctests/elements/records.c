/* Structures as elements: MBA_RECORD. */
#include "check.h"

struct point {
    uint32_t id;
    int16_t place[3];
    uint16_t flags;
};

struct padded {
    uint8_t kind;
    double value;
};

/* Larger than a page, and than any copy on the stack. */
struct page {
    uint32_t words[2500];
};

static const mba_type POINT = MBA_RECORD(sizeof(struct point));

static struct point point(uint32_t id)
{
    struct point point;
    memset(&point, 0, sizeof point);
    point.id = id;
    point.place[0] = (int16_t)(id % 100);
    point.place[2] = (int16_t)-(int)(id % 7);
    point.flags = 0x8000;
    return point;
}

/* What the type numbers are: constants, for case labels too. */
static void numbers(void)
{
    size_t size = 40;
    EQ(sizeof(struct point), 12);
    switch (POINT) {
    case MBA_RECORD(12):
        break;
    case MBA_RECORD(13):
    default:
        CHECK(!"MBA_RECORD(12)");
    }
    EQ(mba_type_size(MBA_RECORD(size)), 40);
    EQ(mba_type_size(MBA_RECORD(1)), 1);
    EQ(mba_type_size(MBA_RECORD(MBA_RECORD_MAX)), MBA_RECORD_MAX);
    CHECK(strcmp(mba_type_name(POINT), "record") == 0);
    EQ(MBA_RECORD(0), -1);
    EQ(MBA_RECORD(-1), -1);
    EQ(MBA_RECORD(MBA_RECORD_MAX + 1), -1);
    EQ(MBA_RECORD(0x100000000 + 12), -1);
    EQ(MBA_RECORD(SIZE_MAX), -1);
    EQ(mba_type_size(MBA_RECORD(MBA_RECORD_MAX) + 1), 0);
    EQ(mba_type_size(MBA_RECORD(1) - 1), 0);
}

/* A table that outlives its handle, by single calls and through the pointer. */
static void table(void)
{
    const char *path = in_scratch("points");
    mba_array *array, *other = NULL;
    struct point *points, value, out;
    size_t index = 0, count = 0;
    uint32_t id;
    OK(mba_open(path, POINT, MBA_RDWR | MBA_CREATE, &array));
    EQ(mba_typecode(array), POINT);
    EQ(mba_itemsize(array), 12);
    points = mba_data_ptr(array);
    for (id = 0; id < 10000; id++) {
        value = point(id);
        OK(mba_push(array, &value, sizeof value));
    }
    EQ(points[9999].id, 9999);
    EQ(points[9999].place[0], 99);
    value = point(1234);
    OK(mba_find(array, &value, 0, SIZE_MAX, &index));
    EQ(index, 1234);
    OK(mba_count(array, &value, &count));
    EQ(count, 1);
    value.flags ^= 1;
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, 0, SIZE_MAX, &index));
    OK(mba_set(array, 17, &value));
    OK(mba_get(array, 17, &out));
    CHECK(memcmp(&out, &value, sizeof out) == 0);
    OK(mba_insert(array, 3, &value));
    EQ(points[3].id, 1234);
    EQ(points[4].id, 3);
    OK(mba_remove(array, 3, &out));
    EQ(out.id, 1234);
    OK(mba_pop(array, &out));
    EQ(out.id, 9999);
    OK(mba_reverse(array));
    EQ(points[0].id, 9998);
    EQ(points[9998].id, 0);
    GIVES(MBA_ETYPE, mba_byteswap(array));
    EQ(points[0].id, 9998);
    OK(mba_fill(array, 0, 2, &value));
    OK(mba_count(array, &value, &count));
    EQ(count, 3);
    /* While it has spare room, the record in the file tells the size; other records, and numbers, are refused. */
    GIVES(MBA_ETYPE, mba_open(path, MBA_RECORD(13), MBA_RDONLY, &other));
    GIVES(MBA_ETYPE, mba_open(path, MBA_UINT32, MBA_RDONLY, &other));
    OK(mba_open(path, POINT, MBA_RDONLY, &other));
    EQ(mba_len(other), 9999);
    OK(mba_close(other));
    OK(mba_close(array));
    EQ(file_size(path), 9999 * 12);
}

/* Equal by bytes, those of padding too; and without an order. */
static void comparison(void)
{
    struct padded a[3], b[3];
    mba_array *x, *y, *z;
    int equal = 9, order = 9;
    memset(a, 0, sizeof a);
    a[1].value = 1.5;
    memcpy(b, a, sizeof a);
    OK(mba_from_memory(a, sizeof a, MBA_RECORD(sizeof a[0]), MBA_RDWR, &x));
    OK(mba_from_memory(b, sizeof b, MBA_RECORD(sizeof b[0]), MBA_RDWR, &y));
    OK(mba_from_memory(b, 2 * sizeof b[0], MBA_RECORD(sizeof b[0]), MBA_RDWR, &z));
    OK(mba_equal(x, y, &equal));
    EQ(equal, 1);
    OK(mba_compare(x, y, &order));
    EQ(order, 0);
    OK(mba_compare(x, z, &order));
    EQ(order, 1);
    OK(mba_compare(z, x, &order));
    EQ(order, -1);
    ((unsigned char *)b)[1] = 7; /* no member's */
    OK(mba_equal(x, y, &equal));
    EQ(equal, 0);
    OK(mba_compare(x, y, &order));
    EQ(order, MBA_UNORDERED);
    /* -0.0 has other bytes than 0.0. */
    memcpy(b, a, sizeof a);
    b[0].value = -0.0;
    OK(mba_equal(x, y, &equal));
    EQ(equal, 0);
    mba_free(x);
    mba_free(y);
    mba_free(z);
    /* Aligned as far as the size tells. */
    GIVES(EINVAL, mba_from_memory((char *)a + 4, 16, MBA_RECORD(16), MBA_RDWR, &x));
    OK(mba_from_memory((char *)a + 4, 12, POINT, MBA_RDWR, &x));
    mba_free(x);
    OK(mba_from_memory((char *)a + 1, 15, MBA_RECORD(5), MBA_RDWR, &x));
    mba_free(x);
    GIVES(EINVAL, mba_from_memory(a, 25, POINT, MBA_RDWR, &x));
}

static void large(void)
{
    const char *path = in_scratch("large");
    static struct page page, out;
    const struct page *pages;
    mba_array *array;
    size_t index = 0;
    uint32_t n;
    OK(mba_open(path, MBA_RECORD(sizeof page), MBA_RDWR | MBA_CREATE | MBA_EXACT, &array));
    for (n = 0; n < 20; n++) {
        page.words[0] = page.words[2499] = n;
        OK(mba_append(array, &page));
        EQ(file_size(path), (n + 1LL) * (long long)sizeof page);
    }
    page.words[0] = 11;
    GIVES(MBA_ENOTFOUND, mba_find(array, &page, 0, SIZE_MAX, &index));
    page.words[2499] = 11;
    OK(mba_find(array, &page, 0, SIZE_MAX, &index));
    EQ(index, 11);
    OK(mba_reverse(array));
    OK(mba_fill(array, 2, 2, &page));
    OK(mba_insert(array, 0, &page));
    OK(mba_remove(array, 1, &out));
    EQ(out.words[2499], 19);
    OK(mba_pop(array, &out));
    EQ(out.words[0], 0);
    EQ(mba_len(array), 19);
    pages = mba_data_ptr(array);
    EQ(pages[0].words[0], 11);
    EQ(pages[2].words[2499], 11);
    EQ(pages[18].words[2499], 1);
    OK(mba_close(array));
    EQ(file_size(path), 19 * (long long)sizeof page);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    numbers();
    table();
    comparison();
    large();
    return 0;
}

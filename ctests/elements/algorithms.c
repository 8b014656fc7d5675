/* find, count, compare, equal, reverse and byteswap, with the meaning of == and < that C gives each type. */
#include "check.h"

#include <limits.h>
#include <math.h>
#include <wchar.h>

/* An array over a C array. */
static mba_array *over(void *data, size_t bytes, mba_type type)
{
    mba_array *array;
    OK(mba_from_memory(data, bytes, type, MBA_RDWR, &array));
    return array;
}

/* Where one value is found, SIZE_MAX if nowhere; and how often, which must go with that. */
static size_t found(const mba_array *array, const void *value, size_t *count)
{
    size_t index = SIZE_MAX;
    int code = mba_find(array, value, 0, SIZE_MAX, &index);
    OK(mba_count(array, value, count));
    EQ(code, *count == 0 ? MBA_ENOTFOUND : MBA_OK);
    return index;
}

/* How arrays of one element each compare, which must go with mba_equal. */
static int order_of(const void *x, const void *y, mba_type type)
{
    unsigned char a[16], b[16];
    size_t size = mba_type_size(type);
    mba_array *first, *second;
    int order = 99, reverse = 99, equal = 99;
    memcpy(a, x, size);
    memcpy(b, y, size);
    first = over(a, size, type);
    second = over(b, size, type);
    OK(mba_compare(first, second, &order));
    OK(mba_compare(second, first, &reverse));
    OK(mba_equal(first, second, &equal));
    EQ(reverse, order == MBA_UNORDERED ? MBA_UNORDERED : -order);
    EQ(equal, order == 0);
    mba_free(first);
    mba_free(second);
    return order;
}

#define ORDER(type, c_type, x, y) order_of(&(c_type){x}, &(c_type){y}, (type))

static void orders(void)
{
    const uint16_t half_one = 0x3c00, half_zero = 0, half_minus_zero = 0x8000, half_nan = 0x7e00,
                   half_minus_two = 0xc000, half_inf = 0x7c00, half_tiny = 1;
    /* Signed and unsigned: the same bits, in another order. */
    EQ(ORDER(MBA_INT8, int8_t, -1, 1), -1);
    EQ(ORDER(MBA_UINT8, uint8_t, 255, 1), 1);
    EQ(ORDER(MBA_CHAR, unsigned char, 200, 'a'), 1);
    EQ(ORDER(MBA_INT16, int16_t, -1, 1), -1);
    EQ(ORDER(MBA_UINT16, uint16_t, 65535, 1), 1);
    EQ(ORDER(MBA_INT32, int32_t, INT32_MIN, INT32_MAX), -1);
    EQ(ORDER(MBA_UINT32, uint32_t, UINT32_MAX, 1), 1);
    EQ(ORDER(MBA_LONG, long, LONG_MIN, 0), -1);
    EQ(ORDER(MBA_ULONG, unsigned long, ULONG_MAX, 0), 1);
    EQ(ORDER(MBA_INT64, int64_t, INT64_MIN, INT64_MAX), -1);
    EQ(ORDER(MBA_UINT64, uint64_t, UINT64_MAX, 1), 1);
    EQ(ORDER(MBA_WCHAR, wchar_t, L'a', L'b'), -1);
    EQ(ORDER(MBA_UCS4, uint32_t, 0x10ffff, 'b'), 1);
    EQ(ORDER(MBA_UCS4, uint32_t, 0xffffffff, 'b'), 1); /* no code point, and still a number */
    /* All true values are one. */
    EQ(ORDER(MBA_BOOL, unsigned char, 1, 255), 0);
    EQ(ORDER(MBA_BOOL, unsigned char, 0, 2), -1);
    EQ(ORDER(MBA_BOOL, unsigned char, 0, 0), 0);
    /* Floats. */
    EQ(ORDER(MBA_FLOAT32, float, 0.0f, -0.0f), 0);
    EQ(ORDER(MBA_FLOAT32, float, -1.0f, 1.0f), -1);
    EQ(ORDER(MBA_FLOAT32, float, INFINITY, 1e30f), 1);
    EQ(ORDER(MBA_FLOAT32, float, NAN, 1.0f), MBA_UNORDERED);
    EQ(ORDER(MBA_FLOAT32, float, NAN, NAN), MBA_UNORDERED);
    EQ(ORDER(MBA_FLOAT64, double, 0.0, -0.0), 0);
    EQ(ORDER(MBA_FLOAT64, double, -1.0, -2.0), 1);
    EQ(ORDER(MBA_FLOAT64, double, NAN, NAN), MBA_UNORDERED);
    EQ(order_of(&half_zero, &half_minus_zero, MBA_FLOAT16), 0);
    EQ(order_of(&half_one, &half_minus_two, MBA_FLOAT16), 1);
    EQ(order_of(&half_inf, &half_one, MBA_FLOAT16), 1);
    EQ(order_of(&half_tiny, &half_minus_zero, MBA_FLOAT16), 1);
    EQ(order_of(&half_nan, &half_nan, MBA_FLOAT16), MBA_UNORDERED);
    EQ(order_of(&half_one, &half_one, MBA_FLOAT16), 0);
    /* Complex numbers are equal or not. */
    EQ(order_of((float[]){1, 2}, (float[]){1, 2}, MBA_COMPLEX64), 0);
    EQ(order_of((float[]){0.0f, 2}, (float[]){-0.0f, 2}, MBA_COMPLEX64), 0);
    EQ(order_of((float[]){1, 2}, (float[]){1, 3}, MBA_COMPLEX64), MBA_UNORDERED);
    EQ(order_of((double[]){1, 2}, (double[]){1, 2}, MBA_COMPLEX128), 0);
    EQ(order_of((double[]){1, 2}, (double[]){0, 2}, MBA_COMPLEX128), MBA_UNORDERED);
    EQ(order_of((double[]){NAN, 2}, (double[]){NAN, 2}, MBA_COMPLEX128), MBA_UNORDERED);
}

static void sequences(void)
{
    uint32_t x[] = {1, 2, 3}, y[] = {1, 2, 4}, z[] = {1, 2};
    int32_t i[] = {1, 2, 3};
    uint16_t h[] = {1, 2, 3};
    float f[] = {1, 2, 3}, nan_first[] = {NAN, 2, 3}, nan_last[] = {1, 2, NAN};
    long l[] = {1, 2, 3};
    int64_t q[] = {1, 2, 3};
    wchar_t u[] = {1, 2, 3};
    mba_array *ax = over(x, sizeof x, MBA_UINT32), *ay = over(y, sizeof y, MBA_UINT32),
              *az = over(z, sizeof z, MBA_UINT32), *ae = over(NULL, 0, MBA_UINT32),
              *ai = over(i, sizeof i, MBA_INT32), *ah = over(h, sizeof h, MBA_UINT16),
              *af = over(f, sizeof f, MBA_FLOAT32), *al = over(l, sizeof l, MBA_LONG),
              *aq = over(q, sizeof q, MBA_INT64), *au = over(u, sizeof u, MBA_WCHAR),
              *aw = over(x, sizeof x, MBA_UCS4),
              *an = over(nan_first, sizeof nan_first, MBA_FLOAT32),
              *am = over(nan_last, sizeof nan_last, MBA_FLOAT32);
    int order = 99, equal = 99;

    GIVES(MBA_ETYPE, mba_compare(ax, ai, &order));
    GIVES(MBA_ETYPE, mba_equal(ax, ai, &equal));
    GIVES(MBA_ETYPE, mba_compare(ax, ah, &order));
    GIVES(MBA_ETYPE, mba_equal(ax, af, &equal));
    GIVES(MBA_ETYPE, mba_equal(ax, aw, &equal)); /* a number is no character */
    GIVES(EINVAL, mba_compare(NULL, ax, &order));
    GIVES(EINVAL, mba_compare(ax, NULL, &order));
    GIVES(EINVAL, mba_compare(ax, ax, NULL));
    GIVES(EINVAL, mba_equal(NULL, ax, &equal));
    GIVES(EINVAL, mba_equal(ax, NULL, &equal));
    GIVES(EINVAL, mba_equal(ax, ax, NULL));
    EQ(order, 99);
    EQ(equal, 99);

    OK(mba_compare(ax, ay, &order));
    EQ(order, -1);
    OK(mba_compare(ax, ax, &order));
    EQ(order, 0);
    OK(mba_compare(ax, az, &order)); /* the longer one, if the rest is the same */
    EQ(order, 1);
    OK(mba_compare(az, ay, &order));
    EQ(order, -1);
    OK(mba_compare(ae, az, &order));
    EQ(order, -1);
    OK(mba_compare(ae, ae, &order));
    EQ(order, 0);
    OK(mba_equal(ax, az, &equal));
    EQ(equal, 0);
    OK(mba_equal(ae, ae, &equal));
    EQ(equal, 1);
    if (sizeof(long) == 8) { /* then they are the same kind and size */
        OK(mba_compare(al, aq, &order));
        EQ(order, 0);
        OK(mba_equal(al, aq, &equal));
        EQ(equal, 1);
    }
    if (sizeof(wchar_t) == 4) {
        OK(mba_equal(au, aw, &equal));
        EQ(equal, 1);
    }
    OK(mba_compare(af, an, &order));
    EQ(order, MBA_UNORDERED);
    OK(mba_compare(am, an, &order));
    EQ(order, MBA_UNORDERED);
    OK(mba_equal(am, am, &equal)); /* NaN equals nothing, not even itself */
    EQ(equal, 0);
    mba_free(ax), mba_free(ay), mba_free(az), mba_free(ae), mba_free(ai), mba_free(ah),
        mba_free(af);
    mba_free(al), mba_free(aq), mba_free(au), mba_free(aw), mba_free(an), mba_free(am);
}

static void searches(void)
{
    float floats[] = {NAN, -0.0f, 1.5f, 0.0f, NAN};
    unsigned char truths[] = {0, 7, 1, 255};
    uint16_t halves[] = {0x7e00, 0x8000, 0x3c00, 0};
    double complexes[][2] = {{1, 2}, {-0.0, 1}, {0, 1}, {NAN, 1}};
    mba_array *af = over(floats, sizeof floats, MBA_FLOAT32),
              *at = over(truths, sizeof truths, MBA_BOOL),
              *ah = over(halves, sizeof halves, MBA_FLOAT16),
              *ac = over(complexes, sizeof complexes, MBA_COMPLEX128);
    size_t count;
    EQ(found(af, &(float){NAN}, &count), SIZE_MAX);
    EQ(found(af, &(float){0}, &count), 1);
    EQ(count, 2);
    EQ(found(af, &(float){-0.0f}, &count), 1);
    EQ(found(af, &(float){1.5f}, &count), 2);
    EQ(found(at, "\1", &count), 1);
    EQ(count, 3);
    EQ(found(at, "\377", &count), 1);
    EQ(count, 3);
    EQ(found(at, "\0", &count), 0);
    EQ(count, 1);
    EQ(found(ah, &(uint16_t){0x7e00}, &count), SIZE_MAX);
    EQ(found(ah, &(uint16_t){0}, &count), 1);
    EQ(count, 2);
    EQ(found(ac, (double[]){0, 1}, &count), 1);
    EQ(count, 2);
    EQ(found(ac, (double[]){NAN, 1}, &count), SIZE_MAX);
    mba_free(af), mba_free(at), mba_free(ah), mba_free(ac);
}

/* Ranges, errors, and an array of many pieces. */
static void find_and_count(void)
{
    enum { MANY = 100000 };
    uint32_t *values = calloc(MANY, sizeof *values);
    uint32_t value = 7;
    size_t index = 12345, count = 12345, at;
    mba_array *array;
    CHECK(values != NULL);
    array = over(values, MANY * sizeof *values, MBA_UINT32);
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, 0, SIZE_MAX, &index));
    GIVES(EINVAL, mba_find(NULL, &value, 0, SIZE_MAX, &index));
    GIVES(EINVAL, mba_find(array, NULL, 0, SIZE_MAX, &index));
    GIVES(EINVAL, mba_find(array, &value, 0, SIZE_MAX, NULL));
    GIVES(EINVAL, mba_count(NULL, &value, &count));
    GIVES(EINVAL, mba_count(array, NULL, &count));
    GIVES(EINVAL, mba_count(array, &value, NULL));
    for (at = 10; at < MANY; at += 997) {
        values[at] = 7;
    }
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, 0, 10, &index));
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, 11, 1007, &index));
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, 10, 10, &index));
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, 11, 10, &index));
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, MANY, SIZE_MAX, &index));
    GIVES(MBA_ENOTFOUND, mba_find(array, &value, SIZE_MAX, SIZE_MAX, &index));
    EQ(index, 12345);
    EQ(count, 12345);
    OK(mba_find(array, &value, 0, 11, &index));
    EQ(index, 10);
    OK(mba_find(array, &value, 11, 1008, &index));
    EQ(index, 1007);
    for (at = 10; at < MANY; at += 997) {
        OK(mba_find(array, &value, at, SIZE_MAX, &index));
        EQ(index, at);
        OK(mba_find(array, &value, at - 9, MANY, &index));
        EQ(index, at);
    }
    OK(mba_count(array, &value, &count));
    EQ(count, (MANY - 10 + 996) / 997);
    mba_free(array);
    free(values);
}

/* For every size of element, on few and on many. */
static void reverse_and_swap(mba_type type, size_t size, size_t part, size_t count)
{
    unsigned char *bytes = malloc(size * count + 1), *old = malloc(size * count + 1);
    mba_array *array;
    size_t at;
    CHECK(bytes != NULL && old != NULL);
    for (at = 0; at < size * count; at++) {
        old[at] = bytes[at] = (unsigned char)(at * 31 + (at >> 8));
    }
    EQ(mba_type_size(type), size);
    array = over(bytes, size * count, type);
    OK(mba_reverse(array));
    for (at = 0; at < count; at++) {
        CHECK(memcmp(bytes + at * size, old + (count - 1 - at) * size, size) == 0);
    }
    OK(mba_reverse(array));
    CHECK(memcmp(bytes, old, size * count) == 0);
    OK(mba_byteswap(array));
    for (at = 0; at < size * count; at++) {
        EQ(bytes[at], old[at / part * part + part - 1 - at % part]);
    }
    OK(mba_byteswap(array));
    CHECK(memcmp(bytes, old, size * count) == 0);
    mba_free(array);
    free(bytes);
    free(old);
}

static void turning(void)
{
    static const struct {
        mba_type type;
        size_t size, part;
    } rows[] = {
        {MBA_CHAR, 1, 1},
        {MBA_INT8, 1, 1},
        {MBA_UINT8, 1, 1},
        {MBA_BOOL, 1, 1},
        {MBA_INT16, 2, 2},
        {MBA_UINT16, 2, 2},
        {MBA_INT32, 4, 4},
        {MBA_UINT32, 4, 4},
        {MBA_LONG, sizeof(long), sizeof(long)},
        {MBA_ULONG, sizeof(long), sizeof(long)},
        {MBA_INT64, 8, 8},
        {MBA_UINT64, 8, 8},
        {MBA_FLOAT16, 2, 2},
        {MBA_FLOAT32, 4, 4},
        {MBA_FLOAT64, 8, 8},
        {MBA_COMPLEX64, 8, 4},
        {MBA_COMPLEX128, 16, 8},
        {MBA_WCHAR, sizeof(wchar_t), sizeof(wchar_t)},
        {MBA_UCS4, 4, 4},
    };
    static const size_t counts[] = {0, 1, 2, 3, 511, 512, 513, 8192, 20001};
    uint32_t values[2] = {1, 2};
    mba_array *array;
    size_t row, at;
    for (row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        for (at = 0; at < sizeof counts / sizeof counts[0]; at++) {
            reverse_and_swap(rows[row].type, rows[row].size, rows[row].part, counts[at]);
        }
    }
    GIVES(EINVAL, mba_reverse(NULL));
    GIVES(EINVAL, mba_byteswap(NULL));
    OK(mba_from_memory(values, sizeof values, MBA_UINT32, MBA_RDONLY, &array));
    GIVES(MBA_EREADONLY, mba_reverse(array));
    GIVES(MBA_EREADONLY, mba_byteswap(array));
    HOLDS(array, 1, 2);
    mba_free(array);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    orders();
    sequences();
    searches();
    find_and_count();
    turning();
    return 0;
}

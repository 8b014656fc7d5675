/* Rewriting of all elements where they are: reverse() and byteswap(). */
#include "core.h"

static int in_place(MmapArray *array, int (*work)(mba_array *)) {
    if (array->busy && mbapy_may_change(array, false) < 0)
        return -1;
    if (mbapy_may_write(array) < 0)
        return -1;
    int code = work(array->handle);
    return code == MBA_OK ? 0 : mbapy_fail(array, code);
}

static int byteswap(MmapArray *array) {
    return in_place(array, mba_byteswap);
}

static int reverse(MmapArray *array) {
    return in_place(array, mba_reverse);
}

METHOD(byteswap_method, byteswap)
METHOD(reverse_method, reverse)

PyMethodDef mbapy_in_place_methods[] = {
    {"byteswap", byteswap_method, METH_NOARGS,
     PyDoc_STR("byteswap($self, /)\n--\n\nTurn the bytes of every element around, of both parts of a complex one.")},
    {"reverse", reverse_method, METH_NOARGS,
     PyDoc_STR("reverse($self, /)\n--\n\nTurn the order of the elements around, in place.")},
    {NULL, NULL, 0, NULL},
};

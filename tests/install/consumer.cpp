// A C++ program that uses the library: an array in a file, kept from one opening to the next. It gets the file's
// path, and says which version of the library it runs with, and how many elements there are at the end.
#include <mmap_backed_array.h>
#include <mmap_backed_array.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>

namespace {

void check(int code)
{
    if (code != MBA_OK) {
        throw std::runtime_error(mba_strerror(code));
    }
}

struct release {
    void operator()(mba_array *array) const { mba_free(array); }
};

std::unique_ptr<mba_array, release> open(const char *path, uint32_t flags)
{
    mba_array *array = nullptr;
    check(mba_open(path, MBA_FLOAT64, MBA_RDWR | flags, &array));
    return std::unique_ptr<mba_array, release>(array);
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc != 2) {
        return 2;
    }
    const uint32_t version = mba_version();
    if (version != MBA_VERSION) {
        throw std::runtime_error("the library is another one than the header's");
    }
    const std::size_t count = 100000;
    {
        auto made = open(argv[1], MBA_CREATE | MBA_EXCL);
        for (std::size_t at = 0; at < count; at++) {
            const double value = static_cast<double>(count - at);
            check(mba_push(made.get(), &value, sizeof value));
        }
    }
    auto array = open(argv[1], 0);
    const double zero = 0;
    check(mba_append(array.get(), &zero));
    double *first = static_cast<double *>(mba_data_ptr(array.get()));
    double *last = first + mba_len(array.get());
    std::sort(first, last);
    if (std::accumulate(first, last, 0.0) != count * (count + 1.0) / 2 || first[count] != count) {
        throw std::runtime_error("the elements are other ones");
    }
    std::cout << (version >> 16) << '.' << (version >> 8 & 0xff) << '.' << (version & 0xff) << ": "
              << mba_len(array.get()) << " elements, " << mba_strerror(MBA_OK) << '\n';
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}

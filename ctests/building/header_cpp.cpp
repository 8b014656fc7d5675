/* The header in C++17, and a program that a C++ user would write with it. */
#include "mmap_backed_array.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

static_assert(std::is_same<mba_type, std::int32_t>::value, "types are plain integers");
static_assert(std::is_standard_layout<mba_options>::value, "options are C's");
static_assert(sizeof(mba_options) == 16, "options have no padding");

struct Free {
    void operator()(mba_array *array) const { mba_free(array); }
};
using Array = std::unique_ptr<mba_array, Free>;

static void ok(int code, const char *what)
{
    if (code != MBA_OK) {
        std::fprintf(stderr, "%s: %s\n", what, mba_strerror(code));
        std::exit(1);
    }
}
#define OK(call) ok((call), #call)
#define CHECK(condition) ok((condition) ? 0 : -1, #condition)

static Array open(const std::string &path, std::uint32_t flags)
{
    mba_array *array = nullptr;
    OK(mba_open(path.c_str(), MBA_FLOAT64, flags, &array));
    return Array(array);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    const std::string path = std::string(argv[1]) + "/doubles";
    {
        Array array = open(path, MBA_RDWR | MBA_CREATE);
        std::vector<double> values(100000);
        std::iota(values.begin(), values.end(), 0.5);
        OK(mba_extend(array.get(), values.data(), values.size()));
        auto *begin = static_cast<double *>(mba_data_ptr(array.get()));
        const std::size_t len = mba_len(array.get());
        CHECK(std::equal(values.begin(), values.end(), begin, begin + len));
        std::sort(begin, begin + len, [](double a, double b) { return a > b; });
        CHECK(begin[0] == 99999.5);
        const double one = 1;
        for (int n = 0; n < 100000; n++) {
            OK(mba_append(array.get(), &one));
        }
        CHECK(mba_data_ptr(array.get()) == begin);
        OK(mba_close(array.release()));
    }
    Array array = open(path, MBA_RDONLY);
    double sum = 0;
    std::thread reader([&] {
        auto *begin = static_cast<const double *>(mba_data_ptr(array.get()));
        sum = std::accumulate(begin, begin + mba_len(array.get()), 0.0);
    });
    reader.join();
    CHECK(sum == 5000000000.0 + 100000);
    CHECK(mba_append(array.get(), &sum) == MBA_EREADONLY);
    mba_options options{};
    options.size = sizeof options;
    mba_array *more = nullptr;
    OK(mba_open_with(path.c_str(), MBA_FLOAT64, MBA_PRIVATE, &options, &more));
    CHECK(Array(more) != nullptr);
    return 0;
}

// A log of readings in a file, by mba::array: the same program as with_boost.cpp.
//
//     with_mba FILE COUNT: appends so many readings, and prints what the file then has.
#include <mmap_backed_array.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>

struct reading {
    std::uint64_t time;
    double value;
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    const unsigned long count = std::strtoul(argv[2], nullptr, 10);

    // The file is the readings and nothing else, and grows with them.
    mba::array<reading> readings(argv[1], mba::mode::create);

    for (unsigned long n = 0; n < count; ++n) {
        readings.push_back({readings.size(), static_cast<double>(readings.size()) / 2});
    }

    const double sum =
        std::accumulate(readings.begin(), readings.end(), 0.0,
                        [](double total, const reading &each) { return total + each.value; });
    std::printf("%zu readings, mean %g\n", readings.size(),
                sum / static_cast<double>(readings.size()));
    return 0;
}

/*
 * The same loops over std::vector and over mba::array, for counting their instructions.
 *
 *     loops CONTAINER LOOP TYPE, as in: loops array index u32
 *
 * Only what runs in the functions named measured_... counts: valgrind --tool=callgrind --toggle-collect='measured_*'.
 */
#include "mmap_backed_array.hpp"

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string_view>

namespace {

constexpr std::size_t COUNT = 20000;

/* The container comes by reference, as it would in a program: compilers don't see where it was made. */

template <class C>
[[gnu::noinline]] typename C::value_type measured_iterate(const C &values)
{
    typename C::value_type sum{};
    for (const auto &value : values) {
        sum = static_cast<typename C::value_type>(sum + value);
    }
    return sum;
}

template <class C>
[[gnu::noinline]] typename C::value_type measured_index(const C &values)
{
    typename C::value_type sum{};
    for (std::size_t at = 0; at < values.size(); ++at) {
        sum = static_cast<typename C::value_type>(sum + values[at]);
    }
    return sum;
}

template <class C>
[[gnu::noinline]] typename C::value_type measured_store(C &values)
{
    for (std::size_t at = 0; at < values.size(); ++at) {
        values[at] = static_cast<typename C::value_type>(at);
    }
    return values.back();
}

template <class C>
[[gnu::noinline]] typename C::value_type measured_sort(C &values)
{
    std::sort(values.begin(), values.end());
    return values.front();
}

template <class C>
[[gnu::noinline]] typename C::value_type measured_accumulate(const C &values)
{
    return std::accumulate(values.begin(), values.end(), typename C::value_type{});
}

template <class C>
[[gnu::noinline]] typename C::value_type measured_push(C &values)
{
    for (std::size_t at = 0; at < COUNT; ++at) {
        values.push_back(static_cast<typename C::value_type>(at));
    }
    return values.back();
}

template <class C>
int run(C values, std::string_view loop)
{
    using T = typename C::value_type;
    std::mt19937 numbers(1);
    for (std::size_t at = 0; at < COUNT; ++at) {
        values.push_back(static_cast<T>(numbers()));
    }
    if (loop == "push") {
        // The memory has been touched.
        values.clear();
    }
    volatile T result = loop == "iterate"      ? measured_iterate(values)
                        : loop == "index"      ? measured_index(values)
                        : loop == "store"      ? measured_store(values)
                        : loop == "sort"       ? measured_sort(values)
                        : loop == "accumulate" ? measured_accumulate(values)
                        : loop == "push"       ? measured_push(values)
                                               : (std::abort(), T{});
    static_cast<void>(result);
    return 0;
}

template <class T>
int with(std::string_view container, std::string_view loop)
{
    return container == "vector" ? run(std::vector<T>(), loop) : run(mba::array<T>::anon(), loop);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    const std::string_view container = argv[1], loop = argv[2], type = argv[3];
    return type == "u8"    ? with<std::uint8_t>(container, loop)
           : type == "u32" ? with<std::uint32_t>(container, loop)
           : type == "u64" ? with<std::uint64_t>(container, loop)
           : type == "ull" ? with<unsigned long long>(container, loop)
           : type == "f64" ? with<double>(container, loop)
                           : 2;
}

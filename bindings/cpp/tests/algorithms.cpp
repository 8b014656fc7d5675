// The standard's algorithms, parallel ones too, and in C++20 ranges, views and spans.
#include "check.hpp"

#include <execution>
#include <numeric>
#include <random>

#if __cplusplus >= 202002L
#include <ranges>
#include <span>
#endif

static mba::array<std::uint32_t> numbers(const char *name, std::size_t count)
{
    auto made = mba::array<std::uint32_t>::open(in_scratch(name), CREATE);
    std::mt19937 random(1);
    for (std::size_t n = 0; n < count; ++n) {
        made.push_back(static_cast<std::uint32_t>(random()));
    }
    return made;
}

static void sequential()
{
    auto array = numbers("sequential", 20000);
    auto vector = array.to_vector();
    CHECK(std::equal(array.begin(), array.end(), vector.begin(), vector.end()));
    CHECK(std::accumulate(array.begin(), array.end(), std::uint64_t{0}) ==
          std::accumulate(vector.begin(), vector.end(), std::uint64_t{0}));
    std::sort(array.begin(), array.end());
    std::sort(vector.begin(), vector.end());
    CHECK(std::is_sorted(array.cbegin(), array.cend()) && array.to_vector() == vector);
    const std::uint32_t middle = vector[vector.size() / 2];
    CHECK(*std::lower_bound(array.begin(), array.end(), middle) == middle);
    CHECK(std::binary_search(array.begin(), array.end(), middle));
    std::shuffle(array.begin(), array.end(), std::mt19937(2));
    std::stable_sort(array.rbegin(), array.rend());
    CHECK(std::is_sorted(array.begin(), array.end(), std::greater<>()));
    std::reverse(array.begin(), array.end());
    std::rotate(array.begin(), array.begin() + 100, array.end());
    std::nth_element(array.begin(), array.begin() + 5, array.end());
    CHECK(array[5] == vector[5]);
    std::partial_sum(array.begin(), array.end(), array.begin());
    array.erase(std::unique(array.begin(), array.end()), array.end());
    std::fill_n(std::back_inserter(array), 10, 7u);
    CHECK(std::count(array.begin(), array.end(), 7u) >= 10);
    std::copy(vector.begin(), vector.end(), std::inserter(array, array.begin()));
    std::iota(array.begin(), array.end(), 0u);
    CHECK(array.back() == array.size() - 1);
    std::make_heap(array.begin(), array.end());
    std::sort_heap(array.begin(), array.end());
    CHECK(std::is_sorted(array.begin(), array.end()));
    std::transform(array.begin(), array.end(), array.begin(),
                   [](std::uint32_t n) { return n / 2; });
    CHECK(std::adjacent_find(array.begin(), array.end()) == array.begin());
}

static void parallel()
{
    auto array = numbers("parallel", 100000);
    auto vector = array.to_vector();
    std::sort(std::execution::par, array.begin(), array.end());
    std::sort(vector.begin(), vector.end());
    CHECK(array.to_vector() == vector);
    CHECK(std::reduce(std::execution::par_unseq, array.begin(), array.end(), std::uint64_t{0}) ==
          std::accumulate(vector.begin(), vector.end(), std::uint64_t{0}));
    std::for_each(std::execution::par, array.begin(), array.end(),
                  [](std::uint32_t &each) { each ^= 1; });
    std::transform(std::execution::par_unseq, array.begin(), array.end(), array.begin(),
                   [](std::uint32_t each) { return each ^ 1; });
    CHECK(array.to_vector() == vector);
    CHECK(std::find(std::execution::par, array.begin(), array.end(), vector[77777]) != array.end());
}

#if __cplusplus >= 202002L
static std::size_t length(std::span<const std::uint32_t> values)
{
    return values.size();
}

static void ranges()
{
    auto array = numbers("ranges", 1000);
    std::ranges::sort(array);
    CHECK(std::ranges::is_sorted(array) && length(array) == 1000);
    std::span<std::uint32_t> span = array;
    span[0] = 1;
    CHECK(array[0] == 1 && std::ranges::data(array) == span.data() &&
          std::ranges::size(array) == 1000);
    CHECK(std::ranges::find(array, 1u) == array.begin());
    const auto [low, high] = std::ranges::minmax(array);
    CHECK(low == 1 && high == array.back());
    CHECK(std::ranges::equal(array, array.to_vector()));
}

/* Clang before 16 doesn't compile the views of libstdc++. */
#if !defined(__clang__) || __clang_major__ >= 16
#define HAS_VIEWS
static void views()
{
    auto array = numbers("views", 1000);
    std::ranges::sort(array);
    array[0] = 1;
    std::uint64_t sum = 0;
    for (const std::uint32_t each :
         array | std::views::filter([](std::uint32_t n) { return n % 2 == 0; }) |
             std::views::transform([](std::uint32_t n) { return n / 2; }) | std::views::take(10)) {
        sum += each;
    }
    CHECK(sum > 0);
    for (const std::uint32_t each : array | std::views::reverse | std::views::drop(999)) {
        CHECK(each == 1);
    }
    array.append_range(std::views::iota(0u, 5u));
    CHECK(array.size() == 1005 && array.back() == 4);
    array.assign_range(array | std::views::filter([](std::uint32_t n) { return n < 4; }));
    CHECK(array.size() == 5 && array.back() == 3);
    array.append_range(std::views::iota(7u) |
                       std::views::take_while([](std::uint32_t n) { return n < 9; }));
    array.insert_range(array.cbegin(), array | std::views::take(1));
    CHECK(array.size() == 8 && array.back() == 8 && array[0] == 1);
    // Elements in memory, whose number nobody knows before.
    array.append_range(array | std::views::take_while([](std::uint32_t n) { return n < 4; }));
    CHECK(array.size() > 8);
}
#endif
#endif

int main(int argc, char **argv)
{
    begin(argc, argv);
    sequential();
    parallel();
#if __cplusplus >= 202002L
    ranges();
#endif
#ifdef HAS_VIEWS
    views();
#endif
    return 0;
}

// What is appended inline is what is read right after, whatever the types: compilers may take a store for one that
// changes no object of another type, and keep an old value. Compiled with -O2 and -O3, and nothing is hidden.
#include "check.hpp"

#include <array>
#include <atomic>

enum class color : std::uint16_t { red, green };
struct pair_of_floats {
    float first, second;
};
struct with_length {
    long long number;
    unsigned long long other;
};

/* Appends, and tells what was at that place before and is after, by one and the same pointer. */
template <class T>
[[gnu::noinline]] static std::pair<T, T> appended(mba::array<T> &values, const T &value)
{
    const T *place = values.data() + values.size();
    const T before = *place;
    values.push_back(value);
    return {before, *place};
}

template <class T>
static void reads_back(T first, T second)
{
    auto values = mba::array<T>::anon();
    values.resize(1000, first);
    for (int n = 0; n < 100; ++n) {
        values.pop_back();
        const T &last = n % 2 == 0 ? first : second, &next = n % 2 == 0 ? second : first;
        const auto [before, after] = appended(values, next);
        CHECK(std::memcmp(&before, &last, sizeof(T)) == 0);
        CHECK(std::memcmp(&after, &next, sizeof(T)) == 0);
    }
    CHECK(values.size() == 1000);
    // The sum of all sizes on the way.
    std::size_t sum = 0;
    values.clear();
    while (values.size() < 1000) {
        values.push_back(first);
        sum += values.size();
    }
    CHECK(sum == 1000 * 1001 / 2);
}

/* The length that the C functions leave is the class's at once, and the reverse. */
template <class T>
[[gnu::noinline]] static std::size_t by_both(mba::array<T> &values, T value)
{
    mba_array *handle = values.native_handle();
    mba_head *head = mba_head_of(handle);
    std::size_t rounds = 0;
    while (values.size() < 10000) {
        CHECK(mba_push(handle, &value, sizeof value) == MBA_OK);
        CHECK(head->len == values.size() && values.back() == value);
        values.push_back(value);
        CHECK(head->len == values.size() && mba_len(handle) == values.size());
        if (mba_head_push(head, &value, sizeof value) == 0) {
            values.push_back(value);
        }
        ++rounds;
    }
    return rounds;
}

/* Storing to elements of the length's own type leaves the length alone. */
[[gnu::noinline]] static void fill_by_index(mba::array<unsigned long long> &values)
{
    for (std::size_t at = 0; at < values.size(); ++at) {
        values[at] = 0;
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    reads_back<bool>(false, true);
    reads_back<char>('a', 'b');
    reads_back<signed char>(1, -1);
    reads_back<std::uint8_t>(1, 2);
    reads_back<std::byte>(std::byte{1}, std::byte{2});
    reads_back<std::int16_t>(1, -2);
    reads_back<color>(color::red, color::green);
    reads_back<char32_t>(U'a', U'b');
    reads_back<float>(1, 2);
    reads_back<double>(1, 2);
    reads_back<long>(1, 2);
    reads_back<long long>(1, 2);
    reads_back<unsigned long long>(1, 2);
    reads_back<std::complex<float>>({1, 2}, {3, 4});
    reads_back<pair_of_floats>({1, 2}, {3, 4});
    reads_back<with_length>({1, 2}, {3, 4});
    reads_back<std::array<char, 3>>({1, 2, 3}, {4, 5, 6});
    reads_back<std::array<std::uint16_t, 4>>({1, 2, 3}, {4, 5, 6});
    for (int time = 0; time < 2; ++time) {
        auto integers = mba::array<unsigned long long>::anon();
        CHECK(by_both(integers, 7ull) == 3334);
        fill_by_index(integers);
        CHECK(integers.count(0) == integers.size() && integers.size() == 10002);
        auto doubles = mba::array<double>::anon();
        CHECK(by_both(doubles, 7.0) == 3334);
        auto bytes = mba::array<std::uint8_t>::anon();
        CHECK(by_both(bytes, std::uint8_t{7}) == 3334);
    }
    auto atomics = mba::array<std::atomic<int>>::anon();
    for (int n = 0; n < 1000; ++n) {
        atomics.push_back(n);
        CHECK(atomics.back() == n);
    }
    return 0;
}

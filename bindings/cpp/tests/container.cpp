// The requirements that the standard has for containers, one by one, as far as they apply: those of [container.reqmts],
// [container.rev.reqmts] and [sequence.reqmts], for a container that is opened instead of constructed with elements, and
// moved instead of copied.
#include "check.hpp"

#include <atomic>
#include <list>
#include <sstream>

#if __cplusplus >= 202002L
#include <ranges>
#include <span>
#endif

using T = std::uint32_t;
using X = mba::array<T>;
using C = mba::array<const T>;

// Types.
static_assert(std::is_same_v<X::value_type, T> && std::is_same_v<C::value_type, T>);
static_assert(std::is_same_v<X::reference, T &> && std::is_same_v<X::const_reference, const T &>);
static_assert(std::is_same_v<C::reference, const T &> && std::is_same_v<C::iterator, const T *>);
static_assert(std::is_same_v<X::iterator, T *> && std::is_same_v<X::const_iterator, const T *>);
static_assert(std::is_same_v<X::pointer, T *> && std::is_same_v<X::const_pointer, const T *>);
static_assert(std::is_convertible_v<X::iterator, X::const_iterator>);
static_assert(
    std::is_same_v<X::difference_type, std::iterator_traits<X::iterator>::difference_type>);
static_assert(std::is_signed_v<X::difference_type> && std::is_unsigned_v<X::size_type>);
static_assert(std::numeric_limits<X::size_type>::max() >=
              static_cast<X::size_type>(std::numeric_limits<X::difference_type>::max()));
static_assert(std::is_same_v<X::reverse_iterator, std::reverse_iterator<X::iterator>>);
static_assert(std::is_same_v<X::const_reverse_iterator, std::reverse_iterator<X::const_iterator>>);

// What each expression gives.
template <class A>
A &&of() noexcept;
static_assert(std::is_same_v<decltype(of<X &>().begin()), T *> &&
              std::is_same_v<decltype(of<const X &>().begin()), const T *>);
static_assert(std::is_same_v<decltype(of<X &>().cbegin()), const T *> &&
              std::is_same_v<decltype(of<X &>().cend()), const T *>);
static_assert(std::is_same_v<decltype(of<X &>().size()), X::size_type>);
static_assert(std::is_same_v<decltype(of<X &>()[0]), T &> &&
              std::is_same_v<decltype(of<const X &>()[0]), const T &>);
static_assert(std::is_same_v<decltype(of<X &>().at(0)), T &> &&
              std::is_same_v<decltype(of<const X &>().at(0)), const T &>);
static_assert(std::is_same_v<decltype(of<X &>().front()), T &> &&
              std::is_same_v<decltype(of<const X &>().back()), const T &>);
static_assert(std::is_same_v<decltype(of<X &>().data()), T *> &&
              std::is_same_v<decltype(of<const X &>().data()), const T *>);
static_assert(std::is_same_v<decltype(of<X &>().emplace_back(1u)), T &>);
static_assert(std::is_same_v<decltype(of<X &>().erase(nullptr)), T *>);
static_assert(std::is_same_v<decltype(of<X &>() == of<X &>()), bool>);
static_assert(noexcept(of<X &>().begin()) && noexcept(of<X &>().end()) &&
              noexcept(of<X &>().size()));
static_assert(noexcept(of<X &>().empty()) && noexcept(of<X &>().data()) &&
              noexcept(of<X &>().swap(of<X &>())));
static_assert(noexcept(of<X &>().max_size()) && noexcept(of<X &>().unlock()));
static_assert(noexcept(of<X &>().push_back(1u, of<std::error_code &>())));

#if __cplusplus >= 202002L
static_assert(std::ranges::contiguous_range<X> && std::ranges::sized_range<X> &&
              std::ranges::common_range<X>);
static_assert(std::ranges::contiguous_range<C> && std::ranges::contiguous_range<const X>);
static_assert(std::ranges::output_range<X, T> && !std::ranges::output_range<C, T> &&
              !std::ranges::borrowed_range<X>);
static_assert(std::is_convertible_v<X &, std::span<T>> &&
              std::is_convertible_v<const X &, std::span<const T>>);
static_assert(std::is_convertible_v<C &, std::span<const T>> &&
              !std::is_convertible_v<C &, std::span<T>>);
static_assert(std::movable<X> && !std::copyable<X> && std::swappable<X> &&
              std::equality_comparable<X>);
static_assert(std::totally_ordered<X>);
#endif
#ifdef __cpp_lib_three_way_comparison
static_assert(std::three_way_comparable<X>);
#endif

static X with(std::initializer_list<T> values)
{
    auto made = X::anon();
    made.assign(values);
    return made;
}

static bool holds(const X &array, std::initializer_list<T> values)
{
    return std::equal(array.begin(), array.end(), values.begin(), values.end());
}

/* [container.reqmts]: size, empty, begin and end, comparison, swap. */
static void container()
{
    X none;
    CHECK(none.empty() && none.size() == 0 && none.begin() == none.end() &&
          none.cbegin() == none.cend());
    X a = with({1, 2, 3}), b = with({1, 2, 4}), c = with({1, 2});
    CHECK(a.size() == static_cast<X::size_type>(std::distance(a.begin(), a.end())) && !a.empty());
    CHECK(std::size(a) == 3 && std::data(a) == a.data() && !std::empty(a));
    CHECK(a.max_size() >= a.capacity() && a.capacity() >= a.size());
    CHECK(a == a && !(a == b) && a != b && !(a == c) && none == none && none != a);
    CHECK(a < b && !(b < a) && c < a && a > c && a <= a && a >= a && a <= b && b >= a && none < c);
    const C view = C::from_fd(a.fd());
    CHECK(a == view && view == a && view < b && c < view && !(view != a));
#ifdef __cpp_lib_three_way_comparison
    CHECK((a <=> b) == std::strong_ordering::less && (a <=> a) == 0 && (a <=> c) > 0 &&
          (view <=> a) == 0);
    auto nan = mba::array<double>::anon(), one = mba::array<double>::anon();
    nan.push_back(std::numeric_limits<double>::quiet_NaN());
    one.push_back(1);
    CHECK((nan <=> one) == std::partial_ordering::unordered && nan != nan);
#endif
    const T *first = a.data(), *second = b.data();
    a.swap(b);
    CHECK(a.data() == second && b.data() == first && holds(a, {1, 2, 4}) && holds(b, {1, 2, 3}));
    using std::swap;
    swap(a, b);
    CHECK(a.data() == first);
}

/* [container.rev.reqmts]. */
static void reversible()
{
    const X a = with({1, 2, 3});
    CHECK(std::equal(a.rbegin(), a.rend(), std::vector<T>{3, 2, 1}.begin()));
    CHECK(&*a.rbegin() == &a.back() && a.crbegin() == a.rbegin() && a.crend() == a.rend());
    X b = with({1, 2});
    *b.rbegin() = 5;
    CHECK(holds(b, {1, 5}) && b.rend() - b.rbegin() == 2);
}

/* [sequence.reqmts]: emplace, insert, erase, clear, assign; front, back, push, pop, [] and at. */
static void sequence()
{
    X a = with({1, 2, 3});
    T *where = a.emplace(a.cbegin() + 1, 9u);
    CHECK(where == a.begin() + 1 && holds(a, {1, 9, 2, 3}));
    const T value = 8;
    where = a.insert(a.cend(), value);
    CHECK(where == a.end() - 1 && holds(a, {1, 9, 2, 3, 8}));
    where = a.insert(a.cbegin(), T{7});
    CHECK(where == a.begin() && holds(a, {7, 1, 9, 2, 3, 8}));
    where = a.insert(a.cbegin() + 6, 2, value);
    CHECK(where == a.begin() + 6 && holds(a, {7, 1, 9, 2, 3, 8, 8, 8}));
    CHECK(a.insert(a.cbegin() + 3, 0, value) == a.begin() + 3 && a.size() == 8);
    // Iterators of all kinds: pointers, of a list, and those that can be gone through once; and of another type.
    const T more[] = {4, 5};
    const std::list<long> list{6, 7};
    std::istringstream text("10 11 12");
    a.clear();
    CHECK(a.empty());
    where = a.insert(a.cend(), more, more + 2);
    CHECK(where == a.begin() && holds(a, {4, 5}));
    where = a.insert(a.cbegin() + 1, list.begin(), list.end());
    CHECK(where == a.begin() + 1 && holds(a, {4, 6, 7, 5}));
    where = a.insert(a.cbegin(), std::istream_iterator<T>(text), std::istream_iterator<T>());
    CHECK(where == a.begin() && holds(a, {10, 11, 12, 4, 6, 7, 5}));
    CHECK(a.insert(a.cbegin() + 2, list.end(), list.end()) == a.begin() + 2 && a.size() == 7);
    CHECK(a.insert(a.cbegin() + 2, more, more) == a.begin() + 2 && a.size() == 7);
    where = a.insert(a.cbegin() + 1, {1, 2});
    CHECK(where == a.begin() + 1 && holds(a, {10, 1, 2, 11, 12, 4, 6, 7, 5}));
    CHECK(a.insert(a.cbegin(), std::initializer_list<T>{}) == a.begin() && a.size() == 9);
    a.insert_range(a.cbegin() + 9, std::vector<T>{3});
    CHECK(a.back() == 3);

    where = a.erase(a.cbegin());
    CHECK(where == a.begin() && holds(a, {1, 2, 11, 12, 4, 6, 7, 5, 3}));
    where = a.erase(a.cbegin() + 2, a.cbegin() + 6);
    CHECK(where == a.begin() + 2 && holds(a, {1, 2, 7, 5, 3}));
    CHECK(a.erase(a.cbegin() + 3, a.cbegin() + 3) == a.begin() + 3 && a.size() == 5);
    where = a.erase(a.cend() - 1);
    CHECK(where == a.end() && holds(a, {1, 2, 7, 5}));
    where = a.erase(a.cbegin(), a.cend());
    CHECK(where == a.end() && a.empty());

    a.assign(3, value);
    CHECK(holds(a, {8, 8, 8}));
    a.assign({1, 2});
    CHECK(holds(a, {1, 2}));
    a.assign(list.begin(), list.end());
    CHECK(holds(a, {6, 7}));
    a.assign(more, more + 1);
    CHECK(holds(a, {4}));
    a.assign_range(std::vector<T>{1, 2, 3});
    CHECK(holds(a, {1, 2, 3}));
    a.assign(0, value);
    CHECK(a.empty());
    // Two numbers are a count and a value, not iterators.
    a.assign(2, 5);
    CHECK(holds(a, {5, 5}));
    a.insert(a.cend(), 1, 6);
    CHECK(holds(a, {5, 5, 6}));

    a.push_back(7);
    CHECK(a.emplace_back(8u) == 8 && &a.back() == a.end() - 1 && a.front() == 5);
    a.pop_back();
    CHECK(holds(a, {5, 5, 6, 7}) && a[3] == 7 && a.at(3) == 7);
    a[0] = 1;
    a.at(1) = 2;
    a.front() = 3;
    a.back() = 4;
    CHECK(holds(a, {3, 2, 6, 4}));
    bool threw = false;
    try {
        static_cast<void>(a.at(4));
    } catch (const std::out_of_range &) {
        threw = true;
    }
    CHECK(threw);

    a.resize(6);
    CHECK(holds(a, {3, 2, 6, 4, 0, 0}));
    a.resize(8, 9);
    CHECK(holds(a, {3, 2, 6, 4, 0, 0, 9, 9}));
    a.resize(2, 9);
    CHECK(holds(a, {3, 2}));
    a.resize(1);
    CHECK(holds(a, {3}));
    a.reserve(5000);
    CHECK(a.capacity() >= 5000 && a.size() == 1);
    a.shrink_to_fit();
    CHECK(holds(a, {3}));
    a.append_range(std::vector<T>{3, 1});
    a.append_range(list);
    a.append_range({3});
    CHECK(holds(a, {3, 3, 1, 6, 7, 3}));
    CHECK(erase(a, 3u) == 3 && holds(a, {1, 6, 7}));
    CHECK(erase_if(a, [](T each) { return each > 5; }) == 2 && holds(a, {1}));
    a.fill(2);
    CHECK(holds(a, {2}) && a.to_vector() == std::vector<T>{2});
    a.assign({1, 2, 0x01020304});
    a.reverse();
    CHECK(holds(a, {0x01020304, 2, 1}));
    a.byteswap();
    CHECK(holds(a, {0x04030201, 0x02000000, 0x01000000}));
}

/* What a failing iterator leaves: everything. */
struct failing {
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T *;
    using reference = T;
    int left;
    T operator*() const
    {
        if (left == 0) {
            throw std::runtime_error("on purpose");
        }
        return 1;
    }
    failing &operator++()
    {
        --left;
        return *this;
    }
    failing operator++(int) { return {left--}; }
    bool operator==(const failing &) const { return false; }
    bool operator!=(const failing &) const { return true; }
};

static void failing_iterators()
{
    X a = with({1, 2, 3});
    int caught = 0;
    for (const int after : {0, 1, 5}) {
        try {
            a.insert(a.cbegin() + 1, failing{after}, failing{-1});
        } catch (const std::runtime_error &) {
            ++caught;
        }
        try {
            a.assign(failing{after}, failing{-1});
        } catch (const std::runtime_error &) {
            ++caught;
        }
    }
    CHECK(caught == 6 && holds(a, {1, 2, 3}));
}

/* Aggregates can be emplaced, and vector<bool> is a range too. */
static void emplacing()
{
    auto points = mba::array<point>::anon();
    points.push_back({1, {2, 3, 4}, 5});
    CHECK(points.emplace_back(point{6, {}, 7}).flags == 7);
    struct pair {
        int a, b;
    };
    auto pairs = mba::array<pair>::anon();
    THROWS(mba::errc::type, pairs.byteswap());
    CHECK(pairs.emplace_back(1, 2).b == 2 && pairs.emplace(pairs.cbegin(), 3, 4)->a == 3);
    auto truths = mba::array<bool>::anon();
    truths.append_range(std::vector<bool>{true, false, true});
    truths.insert(truths.cbegin(), 2, true);
    CHECK(truths.size() == 5 && truths[1] && !truths[3] && truths.count(true) == 4);
    // Those that can't be copied, and one whose address isn't what & says.
    struct alone {
        explicit alone(int n) : number(n) {}
        alone(alone &&) = default;
        alone &operator=(alone &&) = default;
        int number;
    };
    auto alones = mba::array<alone>::anon();
    alones.push_back(alone(1));
    CHECK(alones.emplace_back(2).number == 2 && alones.emplace(alones.cbegin(), 3)->number == 3);
    alones.resize(5, alones[0]);
    alones.insert(alones.cbegin(), 2, alones[1]);
    alones.assign(4, alones[6]);
    CHECK(alones.size() == 4 && alones[3].number == 3);
    auto counters = mba::array<std::atomic<int>>::anon();
    counters.emplace_back(5);
    CHECK(counters[0].fetch_add(1) == 5 && counters[0] == 6);
    struct hidden {
        int number;
        hidden *operator&() const { return nullptr; }
    };
    auto hiddens = mba::array<hidden>::anon();
    hiddens.push_back({1});
    hiddens.insert(hiddens.cbegin(), hidden{2});
    CHECK(hiddens.size() == 2 && hiddens[0].number == 2);
    auto complex = mba::array<std::complex<float>>::anon();
    CHECK(complex.emplace_back(1.0f, 2.0f).imag() == 2);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    container();
    reversible();
    sequence();
    failing_iterators();
    emplacing();
    return 0;
}

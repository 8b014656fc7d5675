// Which type of the library each type of C++ is; what can't be an element; moving and adopting handles.
#include "check.hpp"

#include <array>
#include <atomic>
#include <filesystem>
#include <list>

enum class color : std::uint16_t { red, green };
enum plain_enum : signed char { one };
struct padded {
    char kind;
    double value;
};
struct large {
    std::array<std::uint32_t, 2500> words;
};
/* A half-precision float of somebody's. */
struct half {
    std::uint16_t bits;
};
template <>
struct mba::element<half> {
    static constexpr mba_type type = MBA_FLOAT16;
};

/* A type whose & isn't an address, and whose elements can't be assigned. */
struct peculiar {
    const std::uint32_t id;
    peculiar *operator&() const = delete;
};

template <class T>
constexpr mba_type type = mba::array<T>::type;

static_assert(type<bool> == MBA_BOOL && type<char> == MBA_CHAR && type<signed char> == MBA_INT8);
static_assert(type<unsigned char> == MBA_UINT8 && type<std::byte> == MBA_UINT8);
static_assert(type<short> == MBA_INT16 && type<unsigned short> == MBA_UINT16 &&
              type<char16_t> == MBA_UINT16);
static_assert(type<int> == MBA_INT32 && type<unsigned> == MBA_UINT32 && type<char32_t> == MBA_UCS4);
static_assert(type<long> == MBA_LONG && type<unsigned long> == MBA_ULONG);
static_assert(type<long long> == MBA_INT64 && type<unsigned long long> == MBA_UINT64);
static_assert(type<wchar_t> == MBA_WCHAR && type<float> == MBA_FLOAT32 &&
              type<double> == MBA_FLOAT64);
static_assert(type<std::complex<float>> == MBA_COMPLEX64 &&
              type<std::complex<double>> == MBA_COMPLEX128);
static_assert(type<color> == MBA_UINT16 && type<plain_enum> == MBA_INT8 &&
              type<half> == MBA_FLOAT16);
static_assert(type<point> == MBA_RECORD(12) && type<padded> == MBA_RECORD(16) &&
              type<large> == MBA_RECORD(10000));
static_assert(type<std::atomic<std::uint64_t>> == type<std::uint64_t> &&
              type<std::atomic<bool>> == MBA_BOOL && type<std::atomic<color>> == MBA_UINT16 &&
              type<const std::atomic<double>> == MBA_FLOAT64);
static_assert(type<std::pair<int, double>> == MBA_RECORD(16) &&
              type<std::pair<char, char>> == MBA_RECORD(2) &&
              type<std::array<std::pair<int, float>, 2>> == MBA_RECORD(16));

/* What the library takes as elements: what is its bytes, in every process. */
struct of_pairs {
    std::pair<int, int> first;
};
struct of_pairs_allowed : of_pairs {};
template <>
inline constexpr bool mba::is_element<of_pairs_allowed> = true;
static_assert(mba::is_element<int> && mba::is_element<color> && mba::is_element<point> &&
              mba::is_element<std::array<int, 3>> && mba::is_element<std::pair<int, point>> &&
              mba::is_element<std::pair<std::pair<int, char>, std::array<bool, 2>>> &&
              mba::is_element<std::atomic<point>> == std::atomic<point>::is_always_lock_free);
static_assert(!mba::is_element<std::string> && !mba::is_element<int *> &&
              !mba::is_element<int point::*> && !mba::is_element<std::pair<int, char *>> &&
              !mba::is_element<std::pair<int, std::string>> &&
              !mba::is_element<std::array<int *, 2>> && !mba::is_element<std::atomic<int *>> &&
              !mba::is_element<std::pair<int &, int>> && !mba::is_element<std::atomic<large>> &&
              !mba::is_element<of_pairs> && mba::is_element<of_pairs_allowed>);
static_assert(type<of_pairs_allowed> == MBA_RECORD(8));
static_assert(type<const point> == MBA_RECORD(12) && type<std::array<int, 3>> == MBA_RECORD(12));
#ifdef __FLT16_MANT_DIG__
static_assert(type<_Float16> == MBA_FLOAT16);
#endif
#ifdef __cpp_char8_t
static_assert(type<char8_t> == MBA_UINT8);
#endif

using array = mba::array<int>;
using constant = mba::array<const int>;
static_assert(!std::is_copy_constructible_v<array> && !std::is_copy_assignable_v<array>);
static_assert(std::is_nothrow_move_constructible_v<array> &&
              std::is_nothrow_move_assignable_v<array>);
static_assert(std::is_nothrow_default_constructible_v<array> &&
              std::is_nothrow_destructible_v<array>);
static_assert(std::is_nothrow_swappable_v<array> && std::is_nothrow_swappable_v<constant>);
static_assert(!std::is_copy_constructible_v<constant> &&
              std::is_nothrow_move_constructible_v<constant>);
static_assert(!std::is_convertible_v<mba_array *, array> &&
              !std::is_convertible_v<const char *, array> &&
              std::is_constructible_v<array, const char *> &&
              std::is_constructible_v<constant, std::filesystem::path, mba::mode>);
// A handle for writing becomes one for reading if it is given up, and never the reverse.
static_assert(std::is_convertible_v<array, constant> &&
              std::is_nothrow_constructible_v<constant, array> &&
              !std::is_constructible_v<constant, array &> &&
              !std::is_constructible_v<array, constant> &&
              !std::is_assignable_v<array &, constant>);
static_assert(std::is_same_v<decltype(std::declval<constant &>()[0]), const int &>);

template <class T, class = void>
struct can_append : std::false_type {};
template <class T>
struct can_append<T, std::void_t<decltype(std::declval<T &>().push_back(1))>> : std::true_type {};
static_assert(can_append<array>::value && !can_append<constant>::value);

/* Elements of a type go into a file and come back. */
template <class T>
static void round_trip(T first, T second)
{
    const std::string path = in_scratch("types");
    {
        auto values = mba::array<T>::open(path, CREATE);
        CHECK(mba_typecode(values.native_handle()) == mba::element<T>::type);
        values.push_back(first);
        values.push_back(second);
        CHECK(values.count(second) >= 1 && values.find(second) != values.end());
    }
    CHECK(file_size(path) == static_cast<long long>(2 * sizeof(T)));
    const auto values = mba::array<const T>::open(path);
    CHECK(std::memcmp(&values[0], &first, sizeof(T)) == 0 &&
          std::memcmp(&values[1], &second, sizeof(T)) == 0);
    std::filesystem::remove(path);
}

static void moving()
{
    const std::string path = in_scratch("moved");
    auto first = array::open(path, mba::mode::create_new);
    first.append_range({1, 2, 3});
    const int *data = first.data();
    array second = std::move(first);
    CHECK(second.data() == data && second.size() == 3);
    // A handle that isn't there has no elements, and refuses all work.
    CHECK(!first && !first.is_open() && first.data() == nullptr && first.size() == 0 &&
          first.begin() == first.end());
    CHECK(first.capacity() == 0 && first.max_size() == 0 && first.fd() == -1 &&
          first.native_handle() == nullptr);
    CHECK(first.published_size() == 0 && first.find(1) == first.end() && first.count(1) == 0 &&
          !first.has_lock());
    THROWS(std::errc::invalid_argument, first.push_back(1));
    THROWS(std::errc::invalid_argument, first.pop_back());
    THROWS(std::errc::invalid_argument, first.resize(1));
    THROWS(std::errc::invalid_argument, first.refresh());
    first.close();
    CHECK(first.to_vector().empty());

    auto other = array::anon();
    other.push_back(9);
    other = std::move(second);
    CHECK(other.size() == 3 && other.data() == data && !second);
    array &same = other;
    other = std::move(same);
    CHECK(other.size() == 3 && other.data() == data);
    swap(first, other);
    CHECK(first.size() == 3 && !other);
    // Who is assigned to lets go of what it had.
    auto holder = array::open(in_scratch("held"), CREATE),
         waiting = array::open(in_scratch("held"));
    holder.push_back(1);
    CHECK(!waiting.try_lock());
    holder = array::anon();
    CHECK(waiting.try_lock() && file_size(in_scratch("held")) >= 4);

    // To the C interface and back.
    mba_array *handle = first.release();
    CHECK(!first && mba_len(handle) == 3);
    THROWS(mba::errc::type, mba::array<unsigned>{handle});
    THROWS(mba::errc::type, mba::array<const float>{handle});
    THROWS(std::errc::invalid_argument, array{static_cast<mba_array *>(nullptr)});
    array adopted(handle);
    CHECK(adopted.back() == 3 && adopted.native_handle() == handle);
    adopted.close();
    CHECK(file_size(path) == 12);
    CHECK(mba_open(path.c_str(), MBA_INT32, MBA_RDONLY, &handle) == MBA_OK);
    THROWS(mba::errc::read_only, array{handle});
    CHECK(constant(handle).size() == 3);
    std::error_code error;
    CHECK(mba_open(path.c_str(), MBA_INT32, MBA_RDONLY, &handle) == MBA_OK);
    CHECK(!array(handle, error) && error == mba::errc::read_only);
    CHECK(!mba::array<const float>(handle, error) && error == mba::errc::type);
    CHECK(constant(handle, error).size() == 3 && !error);
    // Types that mean the same.
    CHECK(mba_anon(MBA_LONG, &handle) == MBA_OK);
    CHECK(mba::array<long long>(handle).empty());
}

static void ways_to_open()
{
    const std::filesystem::path path = in_scratch("opened");
    std::error_code error;
    array file = array::open(path, error);
    CHECK(!file && error == std::errc::no_such_file_or_directory &&
          error.category() == mba::category());
    file = array::open(path.c_str(), CREATE, {1 << 20, 0600}, error);
    CHECK(file && !error && file.max_size() >= (1 << 20) / sizeof(int) && file.max_size() < 300000);
    struct stat status;
    CHECK(stat(path.c_str(), &status) == 0 && (status.st_mode & 0777) == 0600);
    file.append_range({1, 2, 3});
    THROWS(std::errc::file_exists, static_cast<void>(array::open(path, mba::mode::create_new)));
    // A vector that can't be written to is one of constants.
    THROWS(std::errc::invalid_argument, static_cast<void>(array::open(path, mba::mode::read)));
    constant reader = constant::open(path);
    CHECK(reader.size() == 3 && reader.is_readonly() && !file.is_readonly());
    file.push_back(4);
    CHECK(reader.size() == 3);
    reader.refresh();
    CHECK(reader.size() == 4 && reader.back() == 4);

    auto copy = array::open(path, mba::mode::copy_on_write);
    copy[0] = 99;
    CHECK(file[0] == 1);
    THROWS(mba::errc::fixed_length, copy.push_back(1));

    auto anonymous = array::anon();
    anonymous.push_back(5);
    auto handed = array::from_fd(anonymous.fd());
    CHECK(handed.size() == 1 && handed[0] == 5 && handed.data() != anonymous.data());
    handed[0] = 6;
    CHECK(anonymous[0] == 6);
    CHECK(constant::from_fd(anonymous.fd())[0] == 6);
    CHECK(!array::from_fd(-1, error) && error == std::errc::bad_file_descriptor);
    CHECK(array::anon(error) && !error);

    const std::string name = "/mba-cpp-" + std::to_string(getpid());
    auto named = array::shm(name, CREATE);
    named.push_back(7);
    CHECK(constant::shm(name)[0] == 7);
    mba::shm_unlink(name);
    mba::shm_unlink(name, error);
    CHECK(error == std::errc::no_such_file_or_directory);
    CHECK(!array::shm(name, error) && error == std::errc::no_such_file_or_directory);

    int memory[3] = {1, 2, 3};
    auto view = array::from_memory(memory, 3);
    view[1] = 20;
    CHECK(memory[1] == 20 && constant::from_memory(memory, 3)[1] == 20);
    THROWS(mba::errc::fixed_length, view.push_back(4));
    CHECK(!array::from_memory(memory, SIZE_MAX / 2, error) && error == std::errc::invalid_argument);
    CHECK(constant::from_memory(memory, 2, error).size() == 2 && !error);
}

/* A constructor opens as open() does. */
static void constructors()
{
    const std::string path = in_scratch("constructed");
    std::error_code error;
    THROWS(std::errc::no_such_file_or_directory, array{path});
    CHECK(!array(path, error) && error == std::errc::no_such_file_or_directory);
    {
        array made(path, mba::mode::create, {1 << 20, 0600});
        CHECK(made.empty() && made.path() == path && made.max_size() < 300000);
        made.append_range({1, 2, 3});
    }
    THROWS(std::errc::file_exists, array(path, mba::mode::create_new));
    CHECK(!array(path, mba::mode::create_new, error) && error == std::errc::file_exists);
    CHECK(array(path, mba::mode::create)[2] == 3 && array(path.c_str(), error).size() == 3);
    CHECK(array(std::filesystem::path(path), mba::mode::create, {0, 0, false}, error).size() == 3 &&
          !error);
    CHECK(constant(path)[0] == 1 && constant(path).is_readonly());
    CHECK(constant(path, mba::mode::copy_on_write, error)[0] == 1 && !error);
    {
        array exact(path, mba::mode::read_write, {0, 0, true});
        exact.push_back(4);
        CHECK(file_size(path) == 16);
    }
    THROWS(std::errc::invalid_argument, array(path, mba::mode::copy_on_write, {0, 0, true}));
    CHECK(!array::anon({0, 0, true}, error) && error == std::errc::invalid_argument);
}

/* A handle for writing becomes one for reading: the same one, at the same address, without the growth lock. */
static void becoming_a_reader()
{
    const std::string path = in_scratch("reader");
    array writer(path, mba::mode::create), next(path);
    writer.append_range({1, 2, 3});
    const int *data = writer.data();
    mba_array *handle = writer.native_handle();
    CHECK(!next.try_lock());
    constant reader = std::move(writer);
    CHECK(!writer && reader.data() == data && reader.native_handle() == handle &&
          reader.size() == 3);
    CHECK(next.try_lock());
    next.push_back(4);
    reader.refresh();
    CHECK(reader.back() == 4 && reader.data() == data);
    // Also by assignment, which closes what was there.
    reader = std::move(next);
    CHECK(reader.size() == 4 && !next && array(path).try_lock());
    const auto last = [](constant from) { return from.back(); };
    CHECK(last(array(path)) == 4);
    CHECK(!constant(array()));
}

/* Elements of std::atomic are those of the type inside, for all processes. */
static void atomics()
{
    using counters = mba::array<std::atomic<std::uint64_t>>;
    const std::string path = in_scratch("counters");
    counters a(path, mba::mode::create);
    a.resize(2);
    for (int child = 0; child < 2; ++child) {
        in_a_child([&] {
            for (int n = 0; n < 1000; ++n) {
                a[static_cast<std::size_t>(n % 2)].fetch_add(1);
            }
        });
    }
    CHECK(a[0] == 1000 && a[1] == 1000);
    a.push_back(5u);
    a.emplace_back(6u);
    a.append_range(std::vector<int>{7, 8});
    const std::list<std::atomic<std::uint64_t>> list(2);
    a.append_range(list);
    a.insert(a.cbegin(), 9u);
    a.fill(3u);
    CHECK(a.size() == 9 && a.count(3u) == 9 && a.find(3u) == a.begin());
    a.assign(2, 4u);
    CHECK((a.to_vector() == std::vector<std::uint64_t>{4, 4}));
    a.unlock();
    // A file of numbers, to whoever doesn't need them to be atomic.
    mba::array<std::uint64_t> plain(path);
    plain.push_back(10);
    mba::array<const std::atomic<std::uint64_t>> reader(path);
    CHECK(reader[2].load() == 10 && reader == reader);
    THROWS(mba::errc::type, mba::array<std::atomic<std::int64_t>>{path});
}

/* std::pair isn't trivially copyable, but its bytes can be copied. */
static void pairs()
{
    using pair = std::pair<std::uint32_t, float>;
    mba::array<pair> a(in_scratch("pairs"), mba::mode::create);
    a.push_back({1, 2.0f});
    a.emplace_back(3u, 4.0f);
    const std::list<std::pair<int, int>> list{{5, 6}};
    a.append_range(list);
    a.insert(a.cbegin(), 2, pair(0, 0.0f));
    a.erase(a.cbegin());
    std::sort(a.rbegin(), a.rend());
    CHECK((a.to_vector() == std::vector<pair>{{5, 6}, {3, 4}, {1, 2}, {0, 0}}));
    a[0] = {7, 8};
    CHECK(a.count({7, 8}) == 1 && a.find({1, 2}) == a.begin() + 2);
    const std::string bytes(reinterpret_cast<const char *>(a.data()), 8);
    const float eight = 8;
    CHECK(bytes[0] == 7 && std::memcmp(bytes.data() + 4, &eight, 4) == 0);
    mba::array<std::array<pair, 2>> pairs_of_pairs(in_scratch("pairs-of-pairs"), CREATE);
    pairs_of_pairs.push_back({{{1, 2}, {3, 4}}});
    CHECK(pairs_of_pairs.back()[1].second == 4);
}

static void peculiar_elements()
{
    auto values = mba::array<peculiar>::open(in_scratch("peculiar"), CREATE, {1 << 20, 0});
    values.push_back({1});
    values.emplace_back(2u);
    values.insert(values.cbegin(), {3});
    values.insert(values.cbegin(), 2, values[0]);
    values.append_range(std::vector<peculiar>{{4}});
    values.resize(7, {5});
    CHECK(values.find({2})->id == 2 && values.count({3}) == 3 && values[6].id == 5);
    // Until a push_back has to call the library, too.
    std::error_code error;
    while (values.push_back({6}, error), !error) {
    }
    CHECK(error == mba::errc::limit);
    values.fill({7});
    CHECK(values.count({7}) == values.size());
    values.assign(2, {8});
    CHECK(values.size() == 2 && values[1].id == 8);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    round_trip<bool>(true, false);
    round_trip<char>('a', '\0');
    round_trip<std::byte>(std::byte{1}, std::byte{255});
    round_trip<std::int16_t>(-1, 300);
    round_trip<char32_t>(U'x', U'\U0001f600');
    round_trip<unsigned long long>(~0ull, 0);
    round_trip<float>(-0.5f, 1e30f);
    round_trip<std::complex<double>>({1, -1}, {0, 2});
    round_trip<color>(color::green, color::red);
    round_trip<half>({0x3c00}, {0});
    round_trip<point>({1, {2, 3, 4}, 5}, {6, {7, 8, 9}, 10});
    auto page = std::make_unique<large>();
    page->words.fill(7);
    round_trip<large>(*page, *page);
    peculiar_elements();
    constructors();
    becoming_a_reader();
    atomics();
    pairs();
    moving();
    ways_to_open();
    return 0;
}

// What std::vector can't promise: pointers, references and iterators stay valid as the array grows.
#include "check.hpp"

static void grow(mba::array<std::uint64_t> array, std::size_t count, bool has_spare_room = true)
{
    array.push_back(0);
    const auto begin = array.begin();
    const auto &front = array.front();
    auto *const data = array.data();
    std::uint64_t &kept = array.emplace_back(1u);
    const auto second = array.cbegin() + 1;
    for (std::uint64_t n = 2; n < count; ++n) {
        array.push_back(n);
        CHECK(array.data() == data);
    }
    CHECK(array.size() == count && array.begin() == begin && &array.front() == &front &&
          *second == 1);
    kept = 17;
    CHECK(array[1] == 17);
    kept = 1;
    std::uint64_t sum = 0;
    for (auto at = begin; at != array.end(); ++at) {
        sum += *at;
    }
    CHECK(sum == count * (count - 1) / 2);
    // An iterator from before reaches what came later.
    CHECK(begin[static_cast<std::ptrdiff_t>(count - 1)] == count - 1);
    // And growing while iterating is fine.
    auto few = mba::array<std::uint64_t>::anon();
    few.append_range({1, 2, 3});
    for (auto at = few.begin(); at != few.end() && few.size() < 100000; ++at) {
        few.push_back(*at);
    }
    CHECK(few.size() == 100000);
    // reserve, shrink_to_fit, resize, clear: the same address.
    array.reserve(3 * count);
    CHECK(array.capacity() >= (has_spare_room ? 3 * count : count) && array.data() == data);
    array.shrink_to_fit();
    array.resize(2 * count);
    CHECK(array.data() == data && array.back() == 0 && *second == 1);
    array.clear();
    CHECK(array.empty() && array.data() == data);
    array.push_back(3);
    CHECK(*begin == 3);
}

/* Elements that lie in the array, as values: a vector promises that too, and it is easily got wrong. */
static void own_values()
{
    auto array = mba::array<point>::open(in_scratch("own"), CREATE);
    auto value = [](std::uint32_t id) { return point{id, {1, 2, 3}, 4}; };
    for (std::uint32_t id = 0; id < 100; ++id) {
        array.push_back(value(id));
    }
    for (int n = 0; n < 5000; ++n) {
        array.push_back(array[7]);
        CHECK(array.back() == value(7));
    }
    array.insert(array.begin(), array[99]);
    CHECK(array.front() == value(99) && array[1] == value(0));
    array.insert(array.begin() + 2, 3, array[5]);
    CHECK(array[2] == value(4) && array[4] == value(4) && array[5] == value(1));
    array.insert(array.begin() + 1, array.begin() + 10, array.begin() + 20);
    CHECK(array[1] == value(6) && array[10] == value(15) && array[11] == value(0));
    array.append_range(array);
    CHECK(array.size() == 2 * 5114 && array[5114] == value(99) && array.back() == value(7));
    array.assign(3, array[1]);
    CHECK(array.size() == 3 && array[2] == value(6));
    array.resize(1000, array[0]);
    CHECK(array.back() == value(6));
    array.assign(array.begin() + 5, array.begin() + 9);
    CHECK(array.size() == 4);
    for (const std::uint32_t id : {1u, 2u, 1u, 1u, 3u, 2u}) {
        array.push_back(value(id));
    }
    array.erase(array.begin(), array.begin() + 4);
    CHECK(mba::erase(array, array[0]) == 3 && array.size() == 3);
    CHECK(array[0] == value(2) && array[1] == value(3) && array[2] == value(2));
}

/* What is stored behind the end and committed is there. */
static void commit()
{
    const std::string path = in_scratch("commit");
    auto array = mba::array<double>::open(path, CREATE);
    const auto reader = mba::array<const double>::open(path);
    array.reserve(1000);
    for (int n = 0; n < 1000; ++n) {
        array.end()[n] = n;
    }
    CHECK(array.empty());
    array.commit(1000);
    CHECK(array.size() == 1000 && array.back() == 999);
    THROWS(mba::errc::index, array.commit(999));
    THROWS(mba::errc::index, array.commit(array.capacity() + 1));
    array.flush();
    array.close();
    CHECK(file_size(path) == 8000 && reader[999] == 999);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    grow(mba::array<std::uint64_t>::open(in_scratch("grow"), CREATE), 300000);
    grow(mba::array<std::uint64_t>::open(in_scratch("exact"), CREATE, {0, 0, true}), 2000, false);
    grow(mba::array<std::uint64_t>::anon(), 300000);
    own_values();
    commit();
    return 0;
}

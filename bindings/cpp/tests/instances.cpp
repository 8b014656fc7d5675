// All members of the class, for elements of several kinds, so that a compiler which is asked for all warnings sees them.
#include "mmap_backed_array.hpp"

#include <list>

struct point {
    std::uint32_t id;
    std::int16_t place[3];
    std::uint16_t flags;
};

template class mba::detail::handle<int>;
template class mba::detail::handle<const int>;
template class mba::detail::handle<point>;
template class mba::array<bool>;
template class mba::array<char>;
template class mba::array<unsigned char>;
template class mba::array<int>;
template class mba::array<const int>;
template class mba::array<long long>;
template class mba::array<double>;
template class mba::array<std::complex<float>>;
template class mba::array<point>;
template class mba::array<const point>;

namespace {

/* Members that are templates. */
template <class T>
std::size_t templates(mba::array<T> &a, const T &value)
{
    std::error_code error;
    const std::list<T> list{value, value};
    const T values[] = {value};
    a.emplace_back(value);
    a.emplace(a.cbegin(), value);
    a.append_range(list);
    a.append_range(values, error);
    a.insert(a.cbegin(), list.begin(), list.end());
    a.insert(a.cbegin(), values, values + 1, error);
    a.insert_range(a.cbegin(), list);
    a.insert_range(a.cbegin(), values, error);
    a.assign(list.begin(), list.end());
    a.assign(values, values + 1, error);
    a.assign_range(list);
    a.assign_range(values, error);
    if (a.try_lock_for(std::chrono::seconds(1)) &&
        a.try_lock_until(std::chrono::steady_clock::now(), error)) {
        a.unlock();
    }
    return erase(a, value) + erase(a, value, error) +
           erase_if(a, [](const T &) { return true; }, error);
}

} // namespace

int main(int argc, char **argv)
{
    std::error_code error;
    const char *path = argv[argc - 1];
    mba::array<int> a(path, mba::mode::create), b(path, error);
    mba::array<std::byte> bytes;
    mba::array<std::pair<int, double>> pairs;
    std::size_t number = templates(a, 1) + templates(bytes, std::byte{1}) +
                         templates(pairs, std::pair<int, double>(1, 2.0));
    mba::array<std::atomic<int>> atomics = mba::array<std::atomic<int>>::anon();
    atomics.push_back(1);
    atomics.append_range(std::list<int>{1, 2});
    number += atomics.to_vector().size();
    swap(a, b);
    const mba::sigbus_guard guard, second(error);
    mba::array<const int> reader = std::move(a);
    if (reader == b || reader < b || reader != b || reader > b || reader <= b || reader >= b) {
        ++number;
    }
    mba::tidy(path);
    mba::tidy(path, 0, 0, error);
    mba::shm_unlink(path);
    mba::shm_unlink(path, error);
    number += mba::info(path).len + mba::info(path, error).len;
    return number == 0 && error == mba::errc::locked ? 1 : 0;
}

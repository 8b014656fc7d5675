// Appending to memory that has been touched, inline, against std::vector::push_back doing the same: from C++ by
// mba::array, from C by mba_push and mba_head_push. A program of its own, which benches/capi.rs builds with each
// compiler: how good the vector's loop is depends on it. Run as
//     push quick|full NAME
#include "measure.h"

#include "mmap_backed_array.hpp"

#include <cstring>

namespace {

// In the first-level cache, so that storing is what is measured, and not memory.
constexpr size_t LEN = 1 << 11;

template <typename T> [[gnu::noinline]] void by_vector(std::vector<T> &values)
{
    for (size_t at = 0; at < LEN; at++) values.push_back(static_cast<T>(at));
}

template <typename T> [[gnu::noinline]] void by_array(mba::array<T> &values)
{
    for (size_t at = 0; at < LEN; at++) values.push_back(static_cast<T>(at));
}

template <typename T> [[gnu::noinline]] void by_push(mba_array *array)
{
    for (size_t at = 0; at < LEN; at++) {
        T value = static_cast<T>(at);
        if (mba_push(array, &value, sizeof value) != MBA_OK) std::abort();
    }
}

template <typename T> [[gnu::noinline]] void by_head(mba_array *array)
{
    mba_head *head = mba_head_of(array);
    for (size_t at = 0; at < LEN; at++) {
        T value = static_cast<T>(at);
        if (!mba_head_push(head, &value, sizeof value)) {
            T copy = value;
            if (mba_append(array, &copy) != MBA_OK) std::abort();
        }
    }
}

template <typename T> void push(const Setting &setting, const std::string &compiler,
                                const char *type)
{
    // Many times over in each round, since once takes some microseconds.
    constexpr int TIMES = 1000;
    std::vector<T> vector;
    mba::array<T> array = mba::array<T>::anon();
    auto repeat = [](auto &values, auto once) {
        for (int time = 0; time < TIMES; time++) {
            values.clear();
            once();
            use(values.data());
        }
    };
    auto peer = [&] { repeat(vector, [&] { by_vector(vector); }); };
    auto against = [&](const char *name, double aim, auto once) {
        compare(
            std::string(name) + " : std::vector::push_back, " + type + ", " + compiler, "ns",
            double(TIMES) * LEN, setting.rounds(31), aim, [&] { repeat(array, once); }, peer);
    };
    against("mba::array::push_back", 1.5, [&] { by_array(array); });
    against("mba_head_push", 1.5, [&] { by_head<T>(array.native_handle()); });
    against("mba_push", 0, [&] { by_push<T>(array.native_handle()); });
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    Setting setting{"", "", std::strcmp(argv[1], "quick") == 0};
    push<uint8_t>(setting, argv[2], "u8");
    push<uint32_t>(setting, argv[2], "u32");
    push<uint64_t>(setting, argv[2], "u64");
    push<double>(setting, argv[2], "f64");
    // The type that the length of a handle was once read by.
    push<long long>(setting, argv[2], "long long");
}

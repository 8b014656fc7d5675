// Many elements at once against memcpy, on touched memory; and searching against the standard library.
#include "measure.h"

#include <cstring>

namespace {

constexpr size_t SIZE = sizeof(uint32_t);

std::string name(const char *what, size_t bytes)
{
    bool mega = bytes >= 1 << 20;
    return std::string(what) + ", " + std::to_string(bytes >> (mega ? 20 : 10)) +
           (mega ? " MiB" : " KiB");
}

// Calls of `bytes` each, one behind the other over a region that is used again and again. The peer copies
// to and from the array's own memory, so that both sides meet the same pages.
void copies(const Setting &setting, size_t bytes)
{
    size_t region = std::max<size_t>(bytes, 1 << 17), len = region / SIZE, count = bytes / SIZE;
    size_t times = std::max<size_t>(1, (size_t{32} << 20) / region);
    NewArray array(setting.memory, len);
    mba_array *ours = array.get();
    uint32_t *data = array.data();
    std::vector<uint32_t> memory(len, 1);
    uint32_t *own = memory.data();
    double per = static_cast<double>(region * times >> 10);
    int rounds = setting.rounds(bytes >= size_t{64} << 20 ? 25 : 31);

    auto sweep = [&](auto one) {
        for (size_t time = 0; time < times; time++) {
            for (size_t at = 0; at < len; at += count) one(at);
        }
    };
    auto copy_in = [&](size_t at) {
        std::memcpy(data + at, own + at, bytes);
        use(data);
    };
    auto copy_out = [&](size_t at) {
        std::memcpy(own + at, data + at, bytes);
        use(own);
    };
    constexpr double AIM = 1 / 0.95;
    compare(
        name("mba_write : memcpy", bytes), "ns/KiB", per, rounds, AIM,
        [&] { sweep([&](size_t at) { CHECK(mba_write(ours, at, own + at, count)); }); },
        [&] { sweep(copy_in); });
    compare(
        name("mba_read : memcpy", bytes), "ns/KiB", per, rounds, AIM,
        [&] { sweep([&](size_t at) { CHECK(mba_read(ours, at, count, own + at)); }); },
        [&] { sweep(copy_out); });
    compare(
        name("mba_extend : memcpy", bytes), "ns/KiB", per, rounds, AIM,
        [&] {
            sweep([&](size_t at) {
                if (at == 0) CHECK(mba_clear(ours));
                CHECK(mba_extend(ours, own + at, count));
            });
        },
        [&] { sweep(copy_in); });
}

void zeros(const Setting &setting, size_t bytes)
{
    NewArray array(setting.memory, bytes / SIZE);
    size_t times = std::max<size_t>(1, (size_t{32} << 20) / bytes);
    compare(
        name("mba_resize from 0 : memset", bytes), "ns/KiB",
        static_cast<double>(bytes * times >> 10), setting.rounds(25), 0,
        [&] {
            for (size_t time = 0; time < times; time++) {
                CHECK(mba_clear(array.get()));
                CHECK(mba_resize(array.get(), bytes / SIZE));
            }
        },
        [&] {
            for (size_t time = 0; time < times; time++) {
                std::memset(array.data(), 0, bytes);
                use(array.data());
            }
        });
}

void search(const Setting &setting, size_t bytes)
{
    size_t len = bytes / SIZE, times = std::max<size_t>(1, (size_t{16} << 20) / bytes);
    NewArray array(setting.memory);
    CHECK(mba_resize(array.get(), len));
    const uint32_t *data = array.data();
    uint32_t value = 7;
    CHECK(mba_set(array.get(), len - 1, &value));
    double per = static_cast<double>(bytes * times >> 10);
    auto again = [&](auto one) {
        return [=] {
            for (size_t time = 0; time < times; time++) one();
        };
    };
    mba_array *ours = array.get();
    compare(name("mba_find : std::find", bytes), "ns/KiB", per, setting.rounds(25), 0, again([=] {
                size_t index;
                CHECK(mba_find(ours, &value, 0, SIZE_MAX, &index));
                use(index);
            }),
            again([=] { use(std::find(data, data + len, value)); }));
    compare(name("mba_count : std::count", bytes), "ns/KiB", per, setting.rounds(25), 0, again([=] {
                size_t count;
                CHECK(mba_count(ours, &value, &count));
                use(count);
            }),
            again([=] { use(std::count(data, data + len, value)); }));
}

} // namespace

void bulk(const Setting &setting)
{
    for (size_t bytes : {size_t{4} << 10, size_t{64} << 10, size_t{1} << 20, size_t{64} << 20}) {
        copies(setting, bytes);
    }
    zeros(setting, size_t{1} << 20);
    search(setting, size_t{1} << 20);
    search(setting, size_t{64} << 20);
}

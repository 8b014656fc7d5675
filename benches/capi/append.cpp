// Filling a new file one element at a time against a std::vector that grows in memory.
#include "measure.h"

namespace {

// What a side takes to fill, and with its end: giving the spare room or the memory back.
struct Taken {
    double filled, ended;
};

template <typename Fill, typename End> Taken run(Fill fill, End end)
{
    double filled = nanoseconds(fill);
    return {filled, filled + nanoseconds(end)};
}

Taken by_vector(size_t count)
{
    std::vector<uint32_t> vector;
    return run(
        [&] {
            for (size_t at = 0; at < count; at++) vector.push_back(static_cast<uint32_t>(at));
            use(vector.data());
        },
        [&] { std::vector<uint32_t>().swap(vector); });
}

Taken by_append(const std::string &directory, size_t count)
{
    NewArray array(directory);
    mba_array *ours = array.get();
    return run(
        [&] {
            for (size_t at = 0; at < count; at++) {
                uint32_t value = static_cast<uint32_t>(at);
                if (mba_append(ours, &value) != MBA_OK) std::abort();
            }
        },
        [&] { array.close(); });
}

// Stores through the pointer, published by one commit for 1,024 of them; the caller makes room in steps.
Taken by_commit(const std::string &directory, size_t count)
{
    constexpr size_t BATCH = 1024, STEP = 1 << 20;
    NewArray array(directory);
    mba_array *ours = array.get();
    uint32_t *data = array.data();
    return run(
        [&] {
            for (size_t at = 0; at < count; at += BATCH) {
                if (mba_capacity(ours) < at + BATCH) CHECK(mba_reserve(ours, at + STEP));
                size_t end = std::min(at + BATCH, count);
                for (size_t index = at; index < end; index++)
                    data[index] = static_cast<uint32_t>(index);
                CHECK(mba_commit(ours, end));
            }
        },
        [&] { array.close(); });
}

template <typename Ours>
void against_vector(const Setting &setting, const std::string &what, size_t count, double aim,
                    Ours ours)
{
    Comparison filled, ended;
    for (int round = 0; round < setting.rounds(9); round++) {
        Taken peer = by_vector(count), one = ours(count);
        filled.add(one.filled, peer.filled);
        ended.add(one.ended, peer.ended);
    }
    filled.tell(what + " : push_back", "ns", static_cast<double>(count), aim);
    ended.tell(what + " and closing : push_back and freeing", "ns", static_cast<double>(count), 0);
}

} // namespace

void append(const Setting &setting)
{
    size_t count = setting.quick ? 10000000 : 100000000;
    std::string much = setting.quick ? "10 M" : "100 M";
    const struct {
        const char *name;
        const std::string &directory;
    } places[] = {{"tmpfs", setting.memory}, {"disk", setting.disk}};
    for (const auto &place : places) {
        against_vector(setting, "mba_append, " + much + " u32, " + place.name, count, 1,
                       [&](size_t n) { return by_append(place.directory, n); });
        against_vector(setting, "mba_commit by 1,024, " + much + " u32, " + place.name, count, 0,
                       [&](size_t n) { return by_commit(place.directory, n); });
    }
}

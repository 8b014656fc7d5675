// The same loops through mba_data_ptr and over a malloc'ed C array.
#include "measure.h"

namespace {

using Loop = void (*)(uint32_t *, size_t);

// Not inlined, so that both arrays go through the very same instructions.
__attribute__((noinline)) void sum(uint32_t *data, size_t len)
{
    uint64_t total = 0;
    for (size_t at = 0; at < len; at++) total += data[at];
    use(total);
}

__attribute__((noinline)) void store(uint32_t *data, size_t len)
{
    for (size_t at = 0; at < len; at++) data[at] = static_cast<uint32_t>(at);
    use(data);
}

__attribute__((noinline)) void at_random(uint32_t *data, size_t len)
{
    uint64_t state = 88172645463325252u, total = 0;
    for (size_t step = 0; step < len; step++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t *place = &data[(state >> 33) & (len - 1)];
        total += *place;
        *place = static_cast<uint32_t>(total);
    }
    use(total);
}

void loops(const Setting &setting, const char *where, const std::string &directory, size_t len)
{
    NewArray array(directory, len);
    uint32_t *ours = array.data();
    auto peer = static_cast<uint32_t *>(std::malloc(len * sizeof(uint32_t)));
    EXPECT(peer != nullptr);
    std::copy(ours, ours + len, peer);
    // Enough work for a clock to see.
    size_t times = std::max<size_t>(1, (size_t{1} << 22) / len);
    const struct {
        const char *name;
        Loop loop;
    } kinds[] = {{"sum", sum}, {"store", store}, {"random read and write", at_random}};
    for (const auto &kind : kinds) {
        auto run = [&](uint32_t *data) {
            for (size_t time = 0; time < times; time++) kind.loop(data, len);
        };
        std::string what = std::string(kind.name) + ", " +
                           std::to_string(len * sizeof(uint32_t) >> 10) + " KiB, " + where +
                           " : malloc";
        compare(
            what, "ns", static_cast<double>(len * times), setting.rounds(21), 1.05,
            [&] { run(ours); }, [&] { run(peer); });
    }
    std::free(peer);
}

} // namespace

void pointer(const Setting &setting)
{
    for (size_t len : {size_t{1} << 14, size_t{1} << 18, size_t{1} << 24}) {
        loops(setting, "tmpfs", setting.memory, len);
        loops(setting, "disk", setting.disk, len);
    }
}

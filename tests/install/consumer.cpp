// A program in C++ of somebody who has the library installed: makes a file grow, and reads it.
#include <mmap_backed_array.hpp>

#include <cstdio>

struct reading {
    std::uint32_t time;
    float value;
    std::uint16_t sensor, flags;
};

int main(int argc, char **argv)
try {
    if (argc != 2) {
        return 2;
    }
    auto readings = mba::array<reading>::open(argv[1], MBA_RDWR | MBA_CREATE);
    const reading *first = readings.data();
    for (const std::size_t end = readings.size() + 1000; readings.size() < end;) {
        const auto time = static_cast<std::uint32_t>(readings.size());
        readings.push_back({time, static_cast<float>(time) / 2, 7, 0});
    }
    std::uint32_t expected = 0;
    for (const reading &each : readings) {
        if (each.time != expected++ || each.sensor != 7 || readings.data() != first) {
            return 3;
        }
    }
    std::printf("%zu readings, version %u.%u.%u of %u.%u.%u\n", readings.size(), mba_version() >> 16,
                mba_version() >> 8 & 255, mba_version() & 255, MBA_VERSION_MAJOR, MBA_VERSION_MINOR,
                MBA_VERSION_PATCH);
    readings.close();
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}

// Appends to a file of records that a process in another language appends to as well.
#include "check.hpp"

struct reading {
    std::uint64_t time;
    double value;
    std::uint32_t sensor, flags;
};

int main(int argc, char **argv)
{
    begin(argc, argv);
    auto readings = mba::array<reading>::open(in_scratch("readings"));
    CHECK(readings.size() % 2000 == 1000);
    for (int n = 0; n < 1000; ++n) {
        const std::uint64_t time = readings.size();
        readings.push_back({time, static_cast<double>(time) / 2, 7, ~0u});
    }
    std::uint64_t time = 0;
    for (const reading &each : readings) {
        CHECK(each.time == time && each.value == static_cast<double>(time) / 2 &&
              each.sensor == 7 && each.flags == ~0u);
        ++time;
    }
    return 0;
}

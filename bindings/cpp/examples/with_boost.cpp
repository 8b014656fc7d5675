// A log of readings in a file, by Boost.Interprocess: the same program as with_mba.cpp.
//
//     with_boost FILE COUNT: appends so many readings, and prints what the file then has.
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/managed_mapped_file.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>

namespace ipc = boost::interprocess;

struct reading {
    std::uint64_t time;
    double value;
};

using allocator = ipc::allocator<reading, ipc::managed_mapped_file::segment_manager>;
using vector = ipc::vector<reading, allocator>;

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    const char *path = argv[1];
    const unsigned long count = std::strtoul(argv[2], nullptr, 10);

    // The file holds Boost's heap, in which the vector is an object with a name. Its size is said beforehand.
    auto file = std::make_unique<ipc::managed_mapped_file>(ipc::open_or_create, path, 64 << 10);
    vector *readings =
        file->find_or_construct<vector>("readings")(allocator(file->get_segment_manager()));

    for (unsigned long n = 0; n < count; ++n) {
        const reading next{readings->size(), static_cast<double>(readings->size()) / 2};
        try {
            readings->push_back(next);
        } catch (const ipc::bad_alloc &) {
            // The heap is full. It grows only while nobody has the file mapped; then everything is somewhere else.
            const std::size_t size = file->get_size();
            file.reset();
            ipc::managed_mapped_file::grow(path, size);
            file = std::make_unique<ipc::managed_mapped_file>(ipc::open_only, path);
            readings = file->find<vector>("readings").first;
            --n;
        }
    }

    const double sum =
        std::accumulate(readings->begin(), readings->end(), 0.0,
                        [](double total, const reading &each) { return total + each.value; });
    std::printf("%zu readings, mean %g\n", readings->size(),
                sum / static_cast<double>(readings->size()));
    return 0;
}

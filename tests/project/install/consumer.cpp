// A C++ program that uses the library: an array in a file, kept from one opening to the next. It gets the file's
// path, and says which version of the library it runs with, and how many elements there are at the end.
#include <mmap_backed_array.hpp>

#include <algorithm>
#include <iostream>
#include <numeric>
#include <stdexcept>

int main(int argc, char **argv)
try {
    if (argc != 2) {
        return 2;
    }
    const std::uint32_t version = mba_version();
    if (version != MBA_VERSION) {
        throw std::runtime_error("the library is another one than the header's");
    }
    const std::size_t count = 100000;
    {
        mba::array<double> made(argv[1], mba::mode::create_new);
        const double *data = made.data();
        for (std::size_t at = 0; at < count; at++) {
            made.push_back(static_cast<double>(count - at));
        }
        if (made.data() != data) {
            throw std::runtime_error("the array has moved");
        }
    }
    mba::array<double> array(argv[1]);
    array.push_back(0);
    std::sort(array.begin(), array.end());
    if (std::accumulate(array.begin(), array.end(), 0.0) != count * (count + 1.0) / 2 ||
        array[count] != count) {
        throw std::runtime_error("the elements are other ones");
    }
    std::cout << (version >> 16) << '.' << (version >> 8 & 0xff) << '.' << (version & 0xff) << ": "
              << array.size() << " elements, " << mba_strerror(MBA_OK) << '\n';
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}

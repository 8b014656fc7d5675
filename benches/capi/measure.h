// How a comparison is measured and told: ours and the peer in turn, medians, and the spread.
#ifndef MEASURE_H
#define MEASURE_H

#include "mmap_backed_array.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

// What the command line says.
struct Setting {
    std::string memory; // a directory on tmpfs
    std::string disk;   // a directory on the disk's file system
    bool quick;

    // How often each side runs.
    int rounds(int full) const { return quick ? std::max(3, full / 4) : full; }
};

// One function for each topic of main.cpp.
void pointer(const Setting &);
void calls(const Setting &);
void bulk(const Setting &);
void append(const Setting &);
void opening(const Setting &);
void anonymous(const Setting &);
void refresh(const Setting &);
void lock(const Setting &);
void crowd(const Setting &);

// Ends the program unless the library said yes: a measurement of failing calls would be no measurement.
inline void check(int code, const char *what)
{
    if (code != MBA_OK) {
        std::fprintf(stderr, "%s: %s\n", what, mba_strerror(code));
        std::exit(1);
    }
}
#define CHECK(call) check((call), #call)

// Ends the program unless a system call succeeded.
inline void expect(bool holds, const char *what)
{
    if (!holds) {
        std::perror(what);
        std::exit(1);
    }
}
#define EXPECT(condition) expect((condition), #condition)

// Makes the compiler take the value for used, and all memory for read and written.
template <typename T> inline void use(T const &value)
{
    asm volatile("" : : "g"(value) : "memory");
}

// Nanoseconds that `work` takes.
template <typename Work> double nanoseconds(Work work)
{
    auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
        .count();
}

inline double quantile(std::vector<double> values, double at)
{
    std::sort(values.begin(), values.end());
    return values[static_cast<size_t>(at * static_cast<double>(values.size() - 1) + 0.5)];
}

// A line of the table, as benches/capi.rs reads it: what, unit, ours, peer, ratio, its quartiles, aim.
// An aim of 0 is none.
inline void row(const std::string &what, const char *unit, double ours, double peer, double ratio,
                double low, double high, double aim)
{
    std::printf("%s\t%s\t%g\t%g\t%g\t%g\t%g\t%g\n", what.c_str(), unit, ours, peer, ratio, low,
                high, aim);
    std::fflush(stdout);
}

// A line of what was counted rather than timed.
inline void count_row(const std::string &what, const char *unit, double ours, double peer,
                      double aim)
{
    double ratio = peer != 0 ? ours / peer : 0;
    row(what, unit, ours, peer, ratio, ratio, ratio, aim);
}

// Collects what both sides took in each round. The ratio is the median of the rounds' own ratios: what
// disturbs the machine for longer than a round disturbs both sides of it.
class Comparison {
public:
    void add(double ours, double peer)
    {
        ours_.push_back(ours);
        peer_.push_back(peer);
        ratio_.push_back(ours / peer);
    }

    // Prints the line; times are divided by `per`.
    void tell(const std::string &what, const char *unit, double per, double aim) const
    {
        row(what, unit, quantile(ours_, 0.5) / per, quantile(peer_, 0.5) / per,
            quantile(ratio_, 0.5), quantile(ratio_, 0.25), quantile(ratio_, 0.75), aim);
    }

private:
    std::vector<double> ours_, peer_, ratio_;
};

// Times `ours` and `peer` in turn, the order changing from round to round, after one round for nothing.
template <typename Ours, typename Peer>
void compare(const std::string &what, const char *unit, double per, int rounds, double aim,
             Ours ours, Peer peer)
{
    Comparison comparison;
    ours();
    peer();
    for (int round = 0; round < rounds; round++) {
        double one, other;
        if (round % 2 == 0) {
            one = nanoseconds(ours);
            other = nanoseconds(peer);
        } else {
            other = nanoseconds(peer);
            one = nanoseconds(ours);
        }
        comparison.add(one, other);
    }
    comparison.tell(what, unit, per, aim);
}

// `work`, so many times over.
template <typename Work> auto again(size_t times, Work work)
{
    return [=] {
        for (size_t time = 0; time < times; time++) work();
    };
}

// What a handle reserves if nobody says otherwise: what is done by hand maps as much.
constexpr size_t RESERVATION = size_t{64} << 30;

// An array of u32 in a new file, which goes with it.
class NewArray {
public:
    explicit NewArray(const std::string &directory) : path_(directory + "/array.u32")
    {
        CHECK(mba_open(path_.c_str(), MBA_UINT32, MBA_RDWR | MBA_CREATE | MBA_EXCL, &array_));
    }

    // With `len` elements, all touched.
    NewArray(const std::string &directory, size_t len) : NewArray(directory)
    {
        std::vector<uint32_t> values(len);
        for (size_t at = 0; at < len; at++) values[at] = static_cast<uint32_t>(at * 2654435761u);
        CHECK(mba_extend(array_, values.data(), len));
    }

    NewArray(const NewArray &) = delete;
    NewArray &operator=(const NewArray &) = delete;

    ~NewArray()
    {
        close();
        std::remove(path_.c_str());
    }

    void close()
    {
        if (array_ != nullptr) CHECK(mba_close(std::exchange(array_, nullptr)));
    }

    const std::string &path() const { return path_; }
    mba_array *get() const { return array_; }
    uint32_t *data() const { return static_cast<uint32_t *>(mba_data_ptr(array_)); }

private:
    std::string path_;
    mba_array *array_ = nullptr;
};

#endif

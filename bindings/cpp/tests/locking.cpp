// The growth lock by the standard's own guards, between handles, threads and processes; and threads that follow.
#include "check.hpp"

#include <chrono>
#include <mutex>
#include <thread>

using array = mba::array<std::uint64_t>;
using namespace std::chrono_literals;

static void guards()
{
    auto first = array::open(in_scratch("guards"), CREATE), second = array::open(in_scratch("guards"));
    {
        std::unique_lock<array> lock(first);
        CHECK(lock.owns_lock() && first.has_lock() && !second.has_lock());
        CHECK(!second.try_lock() && !std::unique_lock<array>(second, std::try_to_lock).owns_lock());
        const auto start = std::chrono::steady_clock::now();
        CHECK(!second.try_lock_for(5ms) && std::chrono::steady_clock::now() - start >= 5ms);
        CHECK(!std::unique_lock<array>(second, 1ms).owns_lock());
        CHECK(!second.try_lock_until(std::chrono::system_clock::now() - 1s));
        CHECK(!second.try_lock_until(std::chrono::steady_clock::now() + 3ms));
        std::error_code error = mba::errc::limit;
        CHECK(!second.try_lock(error) && !error && !second.try_lock_for(1ms, error) && !error);
        CHECK(!second.try_lock_until(std::chrono::steady_clock::now() + 1ms, error) && !error);
        // Waits that have ended before a clock began to count, and one that isn't a number.
        CHECK(!second.try_lock_for(std::chrono::hours::min()) && !second.try_lock_for(0s));
        CHECK(!second.try_lock_until(std::chrono::steady_clock::time_point::min()));
        CHECK(!second.try_lock_for(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())));
        first.push_back(1);
        // However long the wait, it ends when the lock is free.
        std::thread waiting([&] {
            CHECK(second.try_lock_for(std::chrono::hours::max()));
            second.unlock();
            CHECK(second.try_lock_until(std::chrono::steady_clock::time_point::max()));
            second.unlock();
        });
        lock.unlock();
        waiting.join();
        CHECK(!first.has_lock());
        std::unique_lock<array> other(second, 0ns);
        CHECK(other.owns_lock() && second.size() == 1);
        CHECK(!lock.try_lock());
    }
    CHECK(!first.has_lock() && !second.has_lock());
    {
        const std::lock_guard<array> lock(second);
        CHECK(second.has_lock());
    }
    auto elsewhere = array::open(in_scratch("elsewhere"), CREATE);
    {
        const std::scoped_lock lock(first, elsewhere);
        CHECK(first.has_lock() && elsewhere.has_lock());
    }
    CHECK(!first.has_lock() && !elsewhere.has_lock());
    // It isn't counted.
    first.lock();
    first.lock();
    first.unlock();
    CHECK(second.try_lock());
    second.unlock();
    std::error_code error;
    second.unlock(error);
    CHECK(!error);
    // What can't be locked says why.
    auto view = array::from_memory(first.data(), 0);
    THROWS(mba::errc::fixed_length, view.lock());
    THROWS(mba::errc::fixed_length, static_cast<void>(view.try_lock()));
    view.lock(error);
    CHECK(error == mba::errc::fixed_length);
    CHECK(!view.try_lock(error) && error == mba::errc::fixed_length);
    CHECK(!view.try_lock_for(1h, error) && error == mba::errc::fixed_length);
    THROWS(mba::errc::fixed_length, static_cast<void>(view.try_lock_for(1h)));
}

/* Each of several handles, in threads and in processes, adds its numbers under the lock: none is lost. */
static void add(const std::string &path, int times)
{
    auto counter = array::open(path, CREATE);
    for (int n = 0; n < times; ++n) {
        const std::unique_lock<array> lock(counter);
        counter.push_back(counter.size());
        counter.push_back(counter.back() + 1);
    }
}

static void together()
{
    const std::string path = in_scratch("together");
    std::thread first([&] { add(path, 300); }), second([&] { add(path, 300); });
    first.join();
    second.join();
    in_a_child([&] {
        const pid_t pid = fork();
        CHECK(pid != -1);
        add(path, 200);
        if (pid == 0) {
            std::_Exit(0);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    });
    const auto all = mba::array<const std::uint64_t>::open(path);
    CHECK(all.size() == 2 * 1000);
    for (std::uint64_t n = 0; n < all.size(); ++n) {
        CHECK(all[n] == n);
    }
}

/* A child has its parent's elements, and not its lock. */
static void forked()
{
    auto parent = array::anon();
    parent.push_back(1);
    in_a_child([&] {
        THROWS(mba::errc::locked, parent.push_back(2));
        CHECK(parent.size() == 1);
        parent[0] = 5;
    });
    CHECK(parent[0] == 5 && parent.size() == 1);
    parent.unlock();
    in_a_child([&] { parent.push_back(6); });
    parent.refresh();
    CHECK(parent.size() == 2 && parent.back() == 6);
}

/* Threads follow one that appends by the same object: what published_size says is there. */
static void follow()
{
    constexpr std::uint64_t COUNT = 200000;
    auto values = array::anon();
    const array &shared = values;
    auto watch = [&] {
        const std::uint64_t *data = shared.data();
        std::size_t seen = 0;
        while (seen < COUNT) {
            const std::size_t size = shared.published_size();
            for (; seen < size; ++seen) {
                CHECK(data[seen] == 3 * seen);
            }
        }
    };
    std::thread first(watch), second(watch);
    for (std::uint64_t n = 0; n < COUNT; ++n) {
        values.push_back(3 * n);
    }
    first.join();
    second.join();
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    guards();
    together();
    forked();
    follow();
    return 0;
}

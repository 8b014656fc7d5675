// The growth lock by the standard's own guards, between handles, threads and processes; and threads that follow.
#include "check.hpp"

#include <chrono>
#include <mutex>
#include <thread>

using array = mba::array<std::uint64_t>;
using namespace std::chrono_literals;

static void guards()
{
    auto first = array::open(in_scratch("guards"), CREATE),
         second = array::open(in_scratch("guards"));
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
        CHECK(!second.try_lock_for(
            std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())));
        first.push_back(1);
        // However long the wait, it ends when the lock is free.
        std::thread waiting([&] {
            CHECK(second.try_lock_for(std::chrono::hours::max()));
            second.unlock();
            CHECK(second.try_lock_until(std::chrono::steady_clock::time_point::max()));
            second.unlock();
            CHECK(second.try_lock_until(std::chrono::steady_clock::time_point::min()));
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

/* What a handle does whose length is out of date, since another one has appended or shortened: as if it had known. */
static void out_of_date()
{
    const std::string path = in_scratch("stale");
    const std::uint64_t some[] = {100, 101};
    // Another handle leaves so many elements, 0 1 2 ..., when this one still knows of others.
    auto with = [&](std::size_t known, std::size_t present, auto change,
                    std::initializer_list<std::uint64_t> expected) {
        auto a = array::open(path, CREATE);
        a.clear();
        a.resize(known);
        a.unlock();
        auto b = array::open(path);
        CHECK(b.size() == known);
        a.clear();
        for (std::uint64_t n = 0; n < present; ++n) {
            a.push_back(n);
        }
        a.unlock();
        change(b);
        CHECK(std::equal(b.begin(), b.end(), expected.begin(), expected.end()));
        b.unlock();
        a.refresh();
        CHECK(a == b);
    };
    with(1, 4, [&](array &b) { b.insert(b.end(), 2, 77); }, {0, 77, 77, 1, 2, 3});
    with(6, 3, [&](array &b) { b.insert(b.begin() + 1, 2, 77); }, {0, 77, 77, 1, 2});
    with(6, 3,
         [&](array &b) {
             THROWS(mba::errc::index, b.insert(b.end(), 2, 77));
             b.refresh();
         },
         {0, 1, 2});
    with(0, 4, [&](array &b) { b.resize(6, 7); }, {0, 1, 2, 3, 7, 7});
    with(6, 2, [&](array &b) { b.resize(4, 7); }, {0, 1, 7, 7});
    with(6, 2, [&](array &b) { b.resize(1, 7); }, {0});
    with(0, 4, [&](array &b) { b.assign(some, some + 2); }, {100, 101});
    with(2, 5, [&](array &b) { b.assign({100}); }, {100});
    with(2, 5, [&](array &b) { b.assign(some, some + 2); }, {100, 101});
    with(0, 5, [&](array &b) { b.assign(some, some); }, {});
    with(9, 4, [&](array &b) { b.assign({1, 2}); }, {1, 2});
    with(9, 4, [&](array &b) { b.assign(3, 5); }, {5, 5, 5});
    with(2, 4, [&](array &b) { CHECK(b.insert(b.end(), some, some + 2) == b.begin() + 2); },
         {0, 1, 100, 101, 2, 3});
    with(2, 4, [&](array &b) { b.append_range(some); }, {0, 1, 2, 3, 100, 101});
    with(9, 3, [&](array &b) { b.append_range(some); }, {0, 1, 2, 100, 101});
    with(2, 4, [&](array &b) { b.push_back(9); }, {0, 1, 2, 3, 9});
    with(2, 4, [&](array &b) { b.pop_back(); }, {0, 1, 2});
    with(2, 4, [&](array &b) { CHECK(mba::erase(b, std::uint64_t{3}) == 1); }, {0, 1, 2});
    // Who can't have the lock changes nothing.
    auto holder = array::open(path, CREATE), other = array::open(path);
    holder.assign({0, 1, 2, 3, 4, 5});
    other.refresh();
    THROWS(mba::errc::locked, mba::erase_if(other, [](std::uint64_t n) { return n % 2 == 0; }));
    THROWS(mba::errc::locked, mba::erase(other, std::uint64_t{1}));
    CHECK(holder.to_vector() == (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5}));
}

/* Two processes insert at once, each with a view of its own: nothing is lost. */
static void inserting_together()
{
    const std::string path = in_scratch("inserting");
    auto insert = [&] {
        auto mine = array::open(path, CREATE);
        for (int n = 0; n < 500;) {
            std::error_code error;
            mine.insert(mine.begin(), 2, 1, error);
            n += error ? 0 : 1;
            mine.unlock();
        }
    };
    in_a_child([&] {
        const pid_t pid = fork();
        CHECK(pid != -1);
        insert();
        if (pid == 0) {
            std::_Exit(0);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    });
    CHECK(array::open(path).size() == 2000);
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
    out_of_date();
    inserting_together();
    forked();
    follow();
    return 0;
}

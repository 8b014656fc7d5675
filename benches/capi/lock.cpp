// How long a waiter for the growth lock waits beside a process that locks again as soon as it has unlocked, against
// the same by the system's own wait.
#include "measure.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <limits>
#include <random>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using std::chrono::microseconds;

// How a process takes a lock, and how it gives it back. Each process makes its own.
struct Lock {
    std::function<bool()> take; // false if the time is up
    std::function<void()> release;
};

Lock by_library(const std::string &path, int limit)
{
    mba_array *array;
    CHECK(mba_open(path.c_str(), MBA_UINT32, MBA_RDWR, &array));
    auto take = [=] {
        int code = mba_lock(array, limit);
        if (code != ETIMEDOUT) CHECK(code);
        return code == MBA_OK;
    };
    return {take, [=] { CHECK(mba_unlock(array)); }};
}

// On another byte than the library's, so that both find nobody else there.
Lock by_hand(const std::string &path)
{
    int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    EXPECT(fd >= 0);
    auto set = [=](short type, int command) {
        struct flock lock = {};
        lock.l_type = type;
        lock.l_whence = SEEK_SET;
        lock.l_start = std::numeric_limits<off_t>::max() - 100;
        lock.l_len = 1;
        EXPECT(fcntl(fd, command, &lock) == 0);
    };
    auto take = [=] {
        set(F_WRLCK, F_OFD_SETLKW);
        return true;
    };
    return {take, [=] { set(F_UNLCK, F_OFD_SETLK); }};
}

// A process that takes the lock, works for a millisecond, and gives it back, for ever.
class Holder {
public:
    explicit Holder(const std::function<Lock()> &make)
    {
        void *shared =
            mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        EXPECT(shared != MAP_FAILED);
        turns_ = new (shared) std::atomic<uint64_t>(0);
        pid_ = fork();
        EXPECT(pid_ >= 0);
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (Lock lock = make();;) {
                lock.take();
                turns_->fetch_add(1);
                auto start = std::chrono::steady_clock::now();
                while (std::chrono::steady_clock::now() - start < microseconds(1000)) {
                }
                lock.release();
            }
        }
    }
    Holder(const Holder &) = delete;
    Holder &operator=(const Holder &) = delete;
    ~Holder()
    {
        int status;
        kill(pid_, SIGKILL);
        waitpid(pid_, &status, 0);
        munmap(turns_, 4096);
    }

    // Returns when the holder has taken the lock once more.
    void next_turn() const
    {
        for (uint64_t seen = *turns_; *turns_ == seen;)
            std::this_thread::sleep_for(microseconds(50));
    }

private:
    std::atomic<uint64_t> *turns_;
    pid_t pid_;
};

struct Waited {
    std::vector<double> times;
    size_t served = 0;
    double mean = 0;

    double at(double share) const { return quantile(times, share); }
};

// Each wait begins at some moment of a millisecond in which the other process has the lock.
Waited waits(size_t count, const std::function<Lock()> &holders,
             const std::function<Lock()> &waiters)
{
    Holder holder(holders);
    Lock lock = waiters();
    std::mt19937 numbers(1);
    Waited waited;
    for (size_t time = 0; time < count; time++) {
        holder.next_turn();
        std::this_thread::sleep_for(microseconds(numbers() % 900));
        bool served = false;
        double took = nanoseconds([&] { served = lock.take(); });
        if (served) lock.release();
        waited.served += served;
        waited.times.push_back(took / 1e6);
        waited.mean += took / 1e6 / static_cast<double>(count);
    }
    return waited;
}

} // namespace

void lock(const Setting &setting)
{
    size_t count = setting.quick ? 100 : 1000;
    NewArray array(setting.disk);
    const std::string &path = array.path();
    auto library = [&](int limit) { return [&path, limit] { return by_library(path, limit); }; };
    auto hand = [&] { return by_hand(path); };

    Waited peer = waits(count, hand, hand);
    for (int limit : {2000, -1}) {
        Waited ours = waits(count, library(-1), library(limit));
        std::string call = "mba_lock(a, " + std::to_string(limit) + ")";
        count_row(call + ", waits that ran out of " + std::to_string(count) + " : F_OFD_SETLKW",
                  "waits", static_cast<double>(count - ours.served), 0, 0);
        count_row(call + ", mean : F_OFD_SETLKW", "ms", ours.mean, peer.mean, 0);
        count_row(call + ", 99th in a hundred : F_OFD_SETLKW", "ms", ours.at(0.99), peer.at(0.99),
                  0);
        count_row(call + ", worst : F_OFD_SETLKW", "ms", ours.at(1), peer.at(1), 0);
        count_row(call + ", 99th in a hundred : 10 ms", "ms", ours.at(0.99), 10, 1);
    }
}

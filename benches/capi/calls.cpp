// Calls that move one element, on touched memory, against calls that only check a bound: the time, the
// instructions, and that they neither allocate nor ask the system for anything.
#include "measure.h"
#include "peer.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <functional>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What the C library's own functions are called when a program has a malloc of its own.
extern "C" void *__libc_malloc(size_t size);
extern "C" void *__libc_calloc(size_t count, size_t size);
extern "C" void *__libc_realloc(void *block, size_t size);
extern "C" void *__libc_memalign(size_t alignment, size_t size);

namespace {
size_t allocations = 0;
}

// The whole program, shared libraries included, allocates through these.
extern "C" void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
extern "C" void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}
extern "C" void *realloc(void *block, size_t size)
{
    allocations++;
    return __libc_realloc(block, size);
}
extern "C" int posix_memalign(void **out, size_t alignment, size_t size)
{
    allocations++;
    *out = __libc_memalign(alignment, size);
    return *out == nullptr ? ENOMEM : 0;
}

namespace {

// 64 KiB: nearer than memory, so that the calls are what is measured.
constexpr size_t LEN = 1 << 14;

// Both sides of each call, `count` times over; a template, so that the loops hold nothing but the call.
struct Sides {
    mba_array *array;
    peer *other;

    template <typename Call> static void times(size_t count, Call call)
    {
        for (size_t at = 0; at < count; at++) {
            int code = call(at);
            use(code);
        }
    }
    void get(size_t count) const
    {
        uint32_t value;
        times(count, [&](size_t at) { return mba_get(array, at % LEN, &value); });
    }
    void peer_get(size_t count) const
    {
        uint32_t value;
        times(count, [&](size_t at) { return ::peer_get(other, at % LEN, &value); });
    }
    void set(size_t count) const
    {
        uint32_t value = 7;
        times(count, [&](size_t at) { return mba_set(array, at % LEN, &value); });
    }
    void peer_set(size_t count) const
    {
        uint32_t value = 7;
        times(count, [&](size_t at) { return ::peer_set(other, at % LEN, &value); });
    }
    void append(size_t count) const
    {
        uint32_t value = 7;
        times(count, [&](size_t) { return mba_append(array, &value); });
    }
    void peer_append(size_t count) const
    {
        uint32_t value = 7;
        times(count, [&](size_t) { return ::peer_append(other, &value); });
    }
    void pop(size_t count) const
    {
        uint32_t value;
        times(count, [&](size_t) { return mba_pop(array, &value); });
    }
    void peer_pop(size_t count) const
    {
        uint32_t value;
        times(count, [&](size_t) { return ::peer_pop(other, &value); });
    }
};

using Work = std::function<void(size_t)>;

// Instructions that a thread executes in `work(count)`: a forked child is led through it step by step.
long steps(const Work &work, size_t count)
{
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        work(count);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    long total = 0;
    do {
        EXPECT(ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0);
        EXPECT(waitpid(child, &status, 0) == child);
        total++;
    } while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return total;
}

// Instructions of one call and its share of the loop.
double instructions(const Work &work)
{
    return static_cast<double>(steps(work, 1100) - steps(work, 100)) / 1000;
}

// From here on every system call but the end of the process ends the process by a signal.
void forbid_system_calls()
{
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    sock_fprog filter{sizeof program / sizeof *program, program};
    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

// How many of a million calls of each kind allocate; a system call ends the program.
double calls_that_allocate(const std::string &directory)
{
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        constexpr size_t COUNT = 1000000;
        NewArray array(directory, LEN);
        CHECK(mba_reserve(array.get(), LEN + COUNT));
        Sides sides{array.get(), nullptr};
        sides.append(1); // what happens once has happened
        size_t before = allocations;
        forbid_system_calls();
        sides.get(COUNT);
        sides.set(COUNT);
        sides.append(COUNT - 1);
        sides.pop(COUNT);
        syscall(SYS_exit_group, allocations == before ? 0 : 1);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child);
    std::remove((directory + "/array.u32").c_str());
    if (WIFSIGNALED(status)) {
        std::fprintf(stderr, "get, set, append or pop made a system call (signal %d)\n",
                     WTERMSIG(status));
        std::exit(1);
    }
    return WEXITSTATUS(status);
}

} // namespace

void calls(const Setting &setting)
{
    constexpr size_t TIMES = 1 << 20;
    NewArray array(setting.memory, TIMES + LEN);
    std::vector<uint32_t> memory(TIMES + LEN);
    peer other{memory.data(), memory.size(), memory.size()};
    Sides sides{array.get(), &other};

    const char *unit = "ns";
    int rounds = setting.rounds(41);
    compare(
        "mba_get : C call with a check", unit, TIMES, rounds, 1.5, [&] { sides.get(TIMES); },
        [&] { sides.peer_get(TIMES); });
    compare(
        "mba_set : C call with a check", unit, TIMES, rounds, 1.5, [&] { sides.set(TIMES); },
        [&] { sides.peer_set(TIMES); });
    // Appending and popping change the length, so that they take turns.
    Comparison append, pop;
    for (int round = 0; round < rounds; round++) {
        double our_pop = nanoseconds([&] { sides.pop(TIMES); });
        double peer_pop = nanoseconds([&] { sides.peer_pop(TIMES); });
        double our_append = nanoseconds([&] { sides.append(TIMES); });
        double peer_append = nanoseconds([&] { sides.peer_append(TIMES); });
        append.add(our_append, peer_append);
        pop.add(our_pop, peer_pop);
    }
    append.tell("mba_append : C call with a check", unit, TIMES, 1.5);
    pop.tell("mba_pop : C call with a check", unit, TIMES, 1.5);

    auto count = [&](const char *what, Work ours, Work peers, bool grows) {
        // A forked child has to take the growth lock, which its parent must not have.
        CHECK(mba_unlock(array.get()));
        auto unlocked = [&](size_t times) {
            // Room for the calls, and the lock, before they are counted: both counts have them.
            if (grows) CHECK(mba_resize(array.get(), LEN + 2000));
            ours(times);
        };
        other.len = LEN + 2000;
        count_row(what, "instructions", instructions(unlocked), instructions(peers), 0);
    };
    using namespace std::placeholders;
    count("mba_get : C call with a check", std::bind(&Sides::get, sides, _1),
          std::bind(&Sides::peer_get, sides, _1), false);
    count("mba_set : C call with a check", std::bind(&Sides::set, sides, _1),
          std::bind(&Sides::peer_set, sides, _1), false);
    count("mba_append : C call with a check", std::bind(&Sides::append, sides, _1),
          std::bind(&Sides::peer_append, sides, _1), true);
    count("mba_pop : C call with a check", std::bind(&Sides::pop, sides, _1),
          std::bind(&Sides::peer_pop, sides, _1), true);
    array.close();

    count_row("system calls and allocations in 4,000,000 such calls", "calls",
              calls_that_allocate(setting.disk), 0, 0);
}

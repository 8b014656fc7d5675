// What opening, refreshing and closing cost while 10,000 readers have the file open, against a file that nobody
// else has: the kernel walks through all locks on a file.
#include "measure.h"

#include <csignal>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr size_t HANDLES = 100;

// So many processes with so many handles each: 10,000 may be more than one process can have.
constexpr int PROCESSES = 10, EACH = 1000;

mba_array *open_array(const std::string &path, uint32_t flags)
{
    mba_array *array;
    CHECK(mba_open(path.c_str(), MBA_UINT32, flags, &array));
    return array;
}

void allow_descriptors()
{
    rlimit limit;
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

// The readers; they stay until this goes.
class Crowd {
public:
    explicit Crowd(const std::string &path)
    {
        int ready[2];
        EXPECT(pipe(ready) == 0);
        for (pid_t &pid : pids_) {
            pid = fork();
            EXPECT(pid >= 0);
            if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                allow_descriptors();
                for (int at = 0; at < EACH; at++) open_array(path, MBA_RDONLY);
                EXPECT(write(ready[1], "", 1) == 1);
                for (;;) pause();
            }
        }
        close(ready[1]);
        char byte;
        for (int process = 0; process < PROCESSES; process++) EXPECT(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
    }
    Crowd(const Crowd &) = delete;
    Crowd &operator=(const Crowd &) = delete;
    ~Crowd()
    {
        int status;
        for (pid_t pid : pids_) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        }
    }

private:
    pid_t pids_[PROCESSES];
};

struct Taken {
    double open, refresh, close;
};

Taken run(const std::string &path, uint32_t flags)
{
    mba_array *arrays[HANDLES];
    Taken taken;
    taken.open = nanoseconds([&] {
        for (auto &array : arrays) array = open_array(path, flags);
    });
    taken.refresh = nanoseconds([&] {
        for (auto &array : arrays) CHECK(mba_refresh(array));
    });
    taken.close = nanoseconds([&] {
        for (auto &array : arrays) CHECK(mba_close(array));
    });
    return taken;
}

} // namespace

void crowd(const Setting &setting)
{
    allow_descriptors();
    std::string alone = setting.disk + "/alone";
    EXPECT(mkdir(alone.c_str(), 0777) == 0);
    {
        NewArray shared(setting.disk, 1000), own(alone, 1000);
        shared.close();
        own.close();
        Crowd crowd(shared.path());
        for (uint32_t flags : {MBA_RDONLY, MBA_RDWR}) {
            Comparison open, refresh, close;
            for (int round = 0; round < setting.rounds(21); round++) {
                Taken one = run(shared.path(), flags), other = run(own.path(), flags);
                open.add(one.open, other.open);
                refresh.add(one.refresh, other.refresh);
                close.add(one.close, other.close);
            }
            std::string mode = flags == MBA_RDWR ? "RDWR" : "RDONLY";
            const struct {
                const char *name;
                const Comparison &comparison;
            } calls[] = {{"mba_open", open}, {"mba_refresh", refresh}, {"mba_close", close}};
            for (const auto &[name, comparison] : calls) {
                comparison.tell(std::string(name) + ", " + mode + ", 10,000 readers there : none",
                                "ns", HANDLES, 0);
            }
        }
    }
    EXPECT(rmdir(alone.c_str()) == 0);
}

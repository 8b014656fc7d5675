// Opening and releasing an existing file against the same done by hand; and what a large file costs.
#include "measure.h"

#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

// A file of a size, with elements or as one hole.
class File {
public:
    File(const std::string &directory, size_t bytes, bool sparse) : path_(directory + "/file.u32")
    {
        int fd = open(path(), O_RDWR | O_CREAT | O_TRUNC, 0666);
        EXPECT(fd >= 0);
        if (sparse) {
            EXPECT(ftruncate(fd, static_cast<off_t>(bytes)) == 0);
        } else {
            std::vector<char> some(bytes, 1);
            EXPECT(write(fd, some.data(), bytes) == static_cast<ssize_t>(bytes));
        }
        close(fd);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File() { unlink(path()); }
    const char *path() const { return path_.c_str(); }

private:
    std::string path_;
};

void by_library(const char *path, bool write)
{
    mba_array *array;
    CHECK(mba_open(path, MBA_UINT32, write ? MBA_RDWR : MBA_RDONLY, &array));
    mba_free(array);
}

// A read lock of the description on a byte beyond any file's end, as each handle has one to be seen by others.
void be_present(int fd)
{
    struct flock lock = {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = std::numeric_limits<off_t>::max() - 2;
    lock.l_len = 1;
    EXPECT(fcntl(fd, F_OFD_SETLK, &lock) == 0);
}

// What a handle can't do without. One that may write has a second description, for the lock of those who grow.
void by_hand(const char *path, bool write)
{
    int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    EXPECT(fd >= 0);
    be_present(fd);
    struct stat stat;
    EXPECT(fstat(fd, &stat) == 0);
    void *data = mmap(nullptr, RESERVATION, PROT_READ | (write ? PROT_WRITE : 0),
                      MAP_SHARED | MAP_NORESERVE, fd, 0);
    EXPECT(data != MAP_FAILED);
    int second = write ? open(path, O_RDWR | O_CLOEXEC) : -1;
    EXPECT(write == (second >= 0));
    use(data);
    munmap(data, RESERVATION);
    if (write) close(second);
    close(fd);
}

constexpr size_t TIMES = 200;

void against_hand(const Setting &setting, const std::string &where, const std::string &directory)
{
    // Only a file of whole pages can have a footer, so that there is one to look for.
    for (size_t bytes : {4000, 4096}) {
        File file(directory, bytes, false);
        const char *path = file.path();
        for (bool write : {false, true}) {
            std::string what = std::string("mba_open and mba_free, ") +
                               (write ? "RDWR, " : "RDONLY, ") + std::to_string(bytes) +
                               " bytes, " + where + " : by hand";
            compare(what, "ns", TIMES, setting.rounds(101), 1.3,
                    again(TIMES, [=] { by_library(path, write); }),
                    again(TIMES, [=] { by_hand(path, write); }));
        }
    }
}

// A line of /proc/self/status, in KiB.
double status(const char *key)
{
    std::FILE *file = std::fopen("/proc/self/status", "r");
    EXPECT(file != nullptr);
    char line[256];
    double value = -1;
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::strncmp(line, key, std::strlen(key)) == 0)
            value = std::atof(line + std::strlen(key));
    }
    std::fclose(file);
    return value;
}

// How many KiB of memory and page tables the process has more with 64 handles on a file than before.
double memory_of_handles(const char *path)
{
    mba_array *arrays[64];
    double before = status("VmRSS:") + status("VmPTE:");
    for (auto &array : arrays) CHECK(mba_open(path, MBA_UINT32, MBA_RDWR, &array));
    double after = status("VmRSS:") + status("VmPTE:");
    for (auto &array : arrays) mba_free(array);
    return after - before;
}

void large_against_small(const Setting &setting, const std::string &where,
                         const std::string &directory)
{
    std::string other = directory + "/other";
    EXPECT(mkdir(other.c_str(), 0777) == 0);
    {
        File large(directory, size_t{4} << 30, true), small(other, 4096, true);
        const char *one = large.path(), *two = small.path();
        for (bool write : {false, true}) {
            compare(std::string("opening 4 GiB, ") + (write ? "RDWR, " : "RDONLY, ") + where +
                        " : 4 KiB",
                    "ns", TIMES, setting.rounds(41), 1.05,
                    again(TIMES, [=] { by_library(one, write); }),
                    again(TIMES, [=] { by_library(two, write); }));
        }
        memory_of_handles(two); // what the first handles of a process take once
        count_row("memory of 64 handles on 4 GiB, " + where + " : 4 KiB", "KiB",
                  memory_of_handles(one), memory_of_handles(two), 1);
    }
    EXPECT(rmdir(other.c_str()) == 0);
}

} // namespace

void opening(const Setting &setting)
{
    against_hand(setting, "tmpfs", setting.memory);
    against_hand(setting, "disk", setting.disk);
    large_against_small(setting, "tmpfs", setting.memory);
    large_against_small(setting, "disk", setting.disk);
}

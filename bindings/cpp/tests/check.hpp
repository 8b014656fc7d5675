// What every program here needs: checks that say where they failed, and a place for files.
#ifndef CHECK_HPP
#define CHECK_HPP

#include "mmap_backed_array.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

[[noreturn]] inline void failed(const char *file, int line, const std::string &what)
{
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
    std::fflush(stderr);
    std::_Exit(1);
}

/* A condition holds. */
#define CHECK(...) ((__VA_ARGS__) ? void() : failed(__FILE__, __LINE__, "not so: " #__VA_ARGS__))

/* A statement throws std::system_error with just this code. */
#define THROWS(expected, ...)                                                                      \
    do {                                                                                           \
        bool threw_ = false;                                                                       \
        try {                                                                                      \
            __VA_ARGS__;                                                                           \
        } catch (const std::system_error &error_) {                                                \
            threw_ = true;                                                                         \
            if (error_.code() != (expected)) {                                                     \
                failed(__FILE__, __LINE__, std::string(#__VA_ARGS__ " throws ") + error_.what());  \
            }                                                                                      \
        }                                                                                          \
        if (!threw_) {                                                                             \
            failed(__FILE__, __LINE__, #__VA_ARGS__ " throws nothing");                            \
        }                                                                                          \
    } while (false)

/* The directory that the program was given. */
inline std::string scratch;

inline std::string in_scratch(const char *name)
{
    return scratch + "/" + name;
}

inline long long file_size(const std::string &path)
{
    struct stat status;
    CHECK(stat(path.c_str(), &status) == 0);
    return status.st_size;
}

inline void begin(int argc, char **argv)
{
    CHECK(argc == 2);
    scratch = argv[1];
    alarm(300);
}

/* Runs a function in a child process, which must end well. */
template <class F>
void in_a_child(F f)
{
    const pid_t child = fork();
    CHECK(child != -1);
    if (child == 0) {
        f();
        std::_Exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A structure without padding, one with, and a large one. */
struct point {
    std::uint32_t id;
    std::int16_t place[3];
    std::uint16_t flags;
};
inline bool operator==(const point &a, const point &b)
{
    return std::memcmp(&a, &b, sizeof a) == 0;
}

constexpr auto CREATE = mba::mode::create;

#endif

// Compiled without exceptions and without run-time type information: the forms with std::error_code work, and a form
// that would throw ends the program, with the error's text.
#include "mmap_backed_array.hpp"

#include <cstdio>
#include <cstdlib>
#include <list>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(MUST_HAVE_NO_EXCEPTIONS) && defined(__cpp_exceptions)
#error "this is compiled with exceptions"
#endif

/* check.hpp catches what is thrown. */
#define CHECK(...)                                                                                 \
    do {                                                                                           \
        if (!(__VA_ARGS__)) {                                                                      \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #__VA_ARGS__);         \
            std::_Exit(1);                                                                         \
        }                                                                                          \
    } while (false)

using array = mba::array<std::uint32_t>;
using constant = mba::array<const std::uint32_t>;

namespace {

/* All forms with a std::error_code do their work. */
void work(const std::string &path)
{
    std::error_code error;
    array missing(path, error);
    CHECK(!missing && error == std::errc::no_such_file_or_directory);
    CHECK(!missing.find(7, error) && !error);
    missing.push_back(1, error);
    CHECK(error == std::errc::invalid_argument);

    array a(path, mba::mode::create_new, error);
    CHECK(a && !error);
    a.push_back(1, error);
    a.append_range({2, 3}, error);
    const std::list<long> list{4, 5};
    a.append_range(list, error);
    a.insert(a.cbegin(), 0u, error);
    a.insert(a.cend(), 2, 6, error);
    a.insert(a.cend(), list.begin(), list.end(), error);
    CHECK(!error && a.to_vector() == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 6, 4, 5});
    CHECK(erase_if(a, [](std::uint32_t each) { return each > 4; }, error) == 4 && !error);
    CHECK(erase(a, 4u, error) == 2 && !error && a.size() == 4);
    a.erase(a.cbegin(), error);
    a.pop_back(error);
    CHECK(!error && a.size() == 2 && a.count(2, error) == 1 && a.find(2, error) == a.begin() + 1);
    a.assign(3, 7, error);
    a.resize(5, 8, error);
    a.swap(0, 4, error);
    a.fill(9, error);
    a.reserve(100, error);
    a.shrink_to_fit(error);
    a.reverse(error);
    a.byteswap(error);
    a.flush(error);
    a.refresh(error);
    a.lock(error);
    CHECK(!error && a.try_lock(error) && a.try_lock_for(std::chrono::seconds(1), error));

    array second(path, error);
    second.push_back(1, error);
    CHECK(error == mba::errc::locked && error.message() == mba_strerror(MBA_ELOCKED));
    a.unlock(error);
    CHECK(!error && mba::info(path, error).file_size == 20);
    constant reader = std::move(a);
    CHECK(reader.size() == 5 && !a && second.try_lock(error));
    second.clear(error);
    second.close(error);
    CHECK(!error);
    reader.refresh(error);
    CHECK(!error && reader.empty());
    const mba::sigbus_guard guard(error);
    CHECK(!error && array::anon(error) && !error);
}

/* A function ends the program by SIGABRT, after it has written a line. */
template <class F>
void ends(const std::string &line, F f)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    CHECK(child != -1);
    if (child == 0) {
        dup2(ends[1], 2);
        f();
        std::_Exit(0);
    }
    close(ends[1]);
    std::string told;
    char buffer[1024];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
        told.append(buffer, static_cast<std::size_t>(got));
    }
    close(ends[0]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (told != line + "\n") {
        std::fprintf(stderr, "it says: %s", told.c_str());
    }
    CHECK(told == line + "\n");
}

void loud(const std::string &path)
{
    ends("mba::array: " + path + "-none: " + mba_strerror(ENOENT), [&] { array(path + "-none"); });
    array a(path);
    ends("mba::array::pop_back: " + path + ": " + mba_strerror(MBA_EEMPTY), [&] { a.pop_back(); });
    ends("mba::array::at: " + path + ": index 0 of 0 elements",
         [&] { static_cast<void>(a.at(0)); });
    ends("mba::array::push_back: the array isn't open", [] { array().push_back(1); });
    // What succeeds is as ever.
    a.push_back(5);
    CHECK(a.at(0) == 5 && a.emplace_back(6u) == 6);
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    alarm(300);
    const std::string path = std::string(argv[1]) + "/quiet";
    work(path);
#ifndef __cpp_exceptions
    loud(path);
#else
    static_cast<void>(loud);
#endif
    return 0;
}

// Every way to fail: the code, as an exception and as a std::error_code, and that nothing has changed.
#include "check.hpp"

#include <algorithm>
#include <csignal>
#include <functional>
#include <iostream>

#include <sys/mount.h>
#include <sys/resource.h>

using array = mba::array<std::uint32_t>;

static void codes()
{
    const std::error_code locked = mba::errc::locked;
    CHECK(locked.category() == mba::category() && locked.value() == MBA_ELOCKED && locked);
    CHECK(locked == mba::errc::locked && locked != mba::errc::limit &&
          locked != std::errc::no_lock_available);
    CHECK(locked.message() == mba_strerror(MBA_ELOCKED));
    CHECK(std::string(mba::category().name()) == "mmap_backed_array");
    const std::error_code full(ENOSPC, mba::category());
    CHECK(full == std::errc::no_space_on_device && full != std::errc::io_error);
    CHECK(full.message() == mba_strerror(ENOSPC));
    CHECK(!std::error_code(0, mba::category()));
    try {
        static_cast<void>(array::open("/nowhere/to/be/found"));
        CHECK(false);
    } catch (const std::system_error &error) {
        CHECK(error.code() == std::errc::no_such_file_or_directory);
        CHECK(std::string(error.what()).find("mba::array::open: /nowhere/to/be/found: ") == 0);
    }
}

static std::string line_of(const std::function<void()> &call)
{
    try {
        call();
    } catch (const std::exception &error) {
        return error.what();
    }
    return "it didn't fail";
}

/* What an exception says: the call, the path, and what is wrong, in words of its own where the code has none. */
static void words(const std::string &path)
{
    const auto says = [](const std::function<void()> &call, const std::string &expected) {
        const std::string line = line_of(call);
        if (line != expected) {
            std::cerr << line << '\n';
        }
        CHECK(line == expected);
    };
    array unopened;
    says([&] { unopened.push_back(1); }, "mba::array::push_back: the array isn't open");
    says([&] { unopened.clear(); }, "mba::array::clear: the array isn't open");
    says([&] { static_cast<void>(array::open(path, mba::mode::read)); },
         "mba::array::open: " + path +
             ": this array type can write: use mba::array<const T> for reading");
    says([&] { array(path, mba::mode::read); },
         "mba::array: " + path +
             ": this array type can write: use mba::array<const T> for reading");
    const mba::open_options exact{0, 0, true};
    says([&] { mba::array<const std::uint32_t>(path, mba::mode::read, exact); },
         "mba::array: " + path + ": MBA_EXACT needs MBA_RDWR");
    says([&] { static_cast<void>(array::anon(exact)); },
         "mba::array::anon: there is no file whose size could be exact");
    alignas(8) unsigned char bytes[16] = {};
    auto *misaligned = reinterpret_cast<std::uint32_t *>(bytes + 1);
    says([&] { static_cast<void>(array::from_memory(misaligned, 2)); },
         "mba::array::from_memory: the memory is not aligned for the type");
    says(
        [&] {
            static_cast<void>(
                array::from_memory(reinterpret_cast<std::uint32_t *>(bytes), SIZE_MAX / 2));
        },
        "mba::array::from_memory: no memory has so many elements");
    says([&] { static_cast<void>(array(static_cast<mba_array *>(nullptr))); },
         "mba::array: the handle is NULL");
    says(
        [&] { static_cast<void>(array::shm("/a/b", CREATE)); },
        "mba::array::shm: /dev/shm/a/b: A name of shared memory is a slash and up to 254 bytes without another one");
    array a = array::open(path, CREATE);
    CHECK(a.path() == path);
    says([&] { a.pop_back(); }, "mba::array::pop_back: " + path + ": " + mba_strerror(MBA_EEMPTY));
    a.assign({1, 2, 3});
    says([&] { a.swap(0, 3); }, "mba::array::swap: " + path + ": " + mba_strerror(MBA_EINDEX));
    array second = array::open(path);
    says([&] { second.push_back(1); }, "mba::array::push_back: " + path + ": " +
                                           mba_strerror(MBA_ELOCKED) +
                                           " (this process has it, by another handle)");
    says([&] { static_cast<void>(mba::array<double>::open(path)); },
         "mba::array::open: " + path + ": " + mba_strerror(MBA_ETYPE) +
             " (the file has elements of type uint32, 'I')");
    // All that is about an array says which one.
    says([&] { static_cast<void>(a.at(3)); },
         "mba::array::at: " + path + ": index 3 of 3 elements");
    says([&] { static_cast<void>(array().at(0)); }, "mba::array::at: index 0 of 0 elements");
    const std::string none = " (the file has elements of type uint32, 'I')";
    says([&] { static_cast<void>(mba::array<double>::from_fd(a.fd())); },
         "mba::array::from_fd: " + path + ": " + mba_strerror(MBA_ETYPE) + none);
    says([&] { static_cast<void>(array::from_fd(-1)); },
         std::string("mba::array::from_fd: ") + mba_strerror(EBADF));
    says([&] { erase_if(second, [](std::uint32_t) { return true; }); },
         "mba::erase_if: " + path + ": " + mba_strerror(MBA_ELOCKED) +
             " (this process has it, by another handle)");
    says([&] { erase_if(unopened, [](std::uint32_t) { return true; }); },
         "mba::erase_if: the array isn't open");
    a.swap(0, 2);
    CHECK((a.to_vector() == std::vector<std::uint32_t>{3, 2, 1}));
    // Copies of an exception say the same, and live longer than it.
    std::exception_ptr kept;
    try {
        a.swap(9, 0);
    } catch (...) {
        kept = std::current_exception();
    }
    CHECK(line_of([&] { std::rethrow_exception(kept); }).find(path) != std::string::npos);
}

/* A handle ends, and its memory stays. */
static void detached(const std::string &path)
{
    array a = array::open(path, CREATE);
    a.assign(100000, 7);
    const std::uint32_t *data = a.data();
    a.resize(3);
    mba::mapping kept = a.detach();
    CHECK(kept && !a.is_open());
    CHECK(std::all_of(data, data + 100000, [](std::uint32_t each) { return each == 7; }));
    {
        array next = array::open(path);
        next.push_back(8);
        CHECK(data[3] == 8 && next.size() == 4);
    }
    kept = mba::mapping();
    CHECK(!kept && !array().detach());
    CHECK(mba::info(path).file_size == 16);
}

/* A call fails in both of its forms with this code, and leaves the array as it is. */
template <class Call, class Quiet>
static void fails(array &a, std::error_code expected, Call call, Quiet quiet)
{
    const auto before = a.to_vector();
    bool threw = false;
    try {
        call();
    } catch (const std::system_error &error) {
        threw = true;
        CHECK(error.code() == expected);
    }
    CHECK(threw);
    std::error_code error;
    quiet(error);
    CHECK(error == expected);
    CHECK(a.to_vector() == before);
}

using E = std::error_code &;

/* All that makes the array longer. */
static void all_fail(array &a, std::error_code expected)
{
    const std::uint32_t more[] = {1, 2};
    const std::vector<long> other{1, 2};
    const auto first = [&] { return a.cbegin(); };
    const auto both = [&](auto call, auto quiet) { fails(a, expected, call, quiet); };
    both([&] { a.push_back(1); }, [&](E e) { a.push_back(1, e); });
    both([&] { a.emplace_back(1u); }, [&](E e) { a.push_back(1, e); });
    both([&] { a.insert(first(), 1); }, [&](E e) { a.insert(first(), 1, e); });
    both([&] { a.insert(first(), 2, 1); }, [&](E e) { a.insert(first(), 2, 1, e); });
    both([&] { a.insert(first(), more, more + 2); },
         [&](E e) { a.insert(first(), more, more + 2, e); });
    both([&] { a.insert(first(), other.begin(), other.end()); },
         [&](E e) { a.insert(first(), other.begin(), other.end(), e); });
    both([&] { a.insert(first(), {1, 2}); }, [&](E e) { a.insert(first(), {1, 2}, e); });
    both([&] { a.insert_range(first(), more); }, [&](E e) { a.insert_range(first(), more, e); });
    both([&] { a.emplace(first(), 1u); }, [&](E e) { a.insert_range(first(), other, e); });
    both([&] { a.append_range(more); }, [&](E e) { a.append_range(more, e); });
    both([&] { a.append_range({1, 2}); }, [&](E e) { a.append_range({1, 2}, e); });
    both([&] { a.append_range(other); }, [&](E e) { a.append_range(other, e); });
    both([&] { a.resize(a.size() + 5000); }, [&](E e) { a.resize(a.size() + 5000, e); });
    both([&] { a.resize(a.size() + 5000, 7); }, [&](E e) { a.resize(a.size() + 5000, 7, e); });
    both([&] { a.reserve(a.size() + 100000); }, [&](E e) { a.reserve(a.size() + 100000, e); });
    both([&] { a.assign(a.size() + 5000, 7); }, [&](E e) { a.assign(a.size() + 5000, 7, e); });
}

/* And all that makes it shorter. */
static void cannot_shrink(array &a, std::error_code expected)
{
    const std::vector<long> other{1};
    const auto all = [](std::uint32_t) { return true; };
    const auto both = [&](auto call, auto quiet) { fails(a, expected, call, quiet); };
    both([&] { a.pop_back(); }, [&](E e) { a.pop_back(e); });
    both([&] { a.erase(a.cbegin()); }, [&](E e) { a.erase(a.cbegin(), e); });
    both([&] { a.erase(a.cbegin(), a.cend()); }, [&](E e) { a.erase(a.cbegin(), a.cend(), e); });
    both([&] { erase_if(a, all); }, [&](E e) { CHECK(erase_if(a, all, e) == 0); });
    std::uint32_t turn = 0;
    const auto some = [&](std::uint32_t) { return ++turn % 3 == 2; };
    both([&] { erase_if(a, some); }, [&](E e) { CHECK(erase_if(a, some, e) == 0); });
    both([&] { erase(a, a[0]); }, [&](E e) { CHECK(erase(a, a[0], e) == 0); });
    both([&] { a.clear(); }, [&](E e) { a.clear(e); });
    both([&] { a.resize(1); }, [&](E e) { a.resize(1, e); });
    both([&] { a.resize(1, 7); }, [&](E e) { a.resize(1, 7, e); });
    both([&] { a.assign({1}); }, [&](E e) { a.assign({1}, e); });
    both([&] { a.assign(1, 7); }, [&](E e) { a.assign(1, 7, e); });
    both([&] { a.assign(3, a.back()); }, [&](E e) { a.assign(3, a.back(), e); });
    both([&] { a.assign(other.begin(), other.end()); },
         [&](E e) { a.assign(other.begin(), other.end(), e); });
    both([&] { a.assign_range(other); }, [&](E e) { a.assign_range(other, e); });
}

static array with_elements(const char *name, mba::open_options options = {})
{
    auto made = array::open(in_scratch(name), CREATE, options);
    for (std::uint32_t n = 0; n < 4000; ++n) {
        made.push_back(n);
    }
    return made;
}

static void locked()
{
    auto holder = with_elements("locked");
    auto other = array::open(in_scratch("locked"));
    CHECK(other.size() == 4000);
    all_fail(other, mba::errc::locked);
    cannot_shrink(other, mba::errc::locked);
    holder.unlock();
    other.push_back(1);
    all_fail(holder, mba::errc::locked);
}

static void fixed()
{
    std::vector<std::uint32_t> memory(100, 5);
    auto view = array::from_memory(memory.data(), memory.size());
    all_fail(view, mba::errc::fixed_length);
    cannot_shrink(view, mba::errc::fixed_length);
    with_elements("private").close();
    auto copy = array::open(in_scratch("private"), mba::mode::copy_on_write);
    all_fail(copy, mba::errc::fixed_length);
    copy.fill(1);
    CHECK(copy.count(1) == 4000);
}

/* The reservation is used up: one more is one too many, and what is there can go. */
static void limited()
{
    for (const bool exact : {false, true}) {
        auto small = with_elements(exact ? "limited-exact" : "limited", {1 << 16, 0, exact});
        small.resize(small.max_size());
        all_fail(small, mba::errc::limit);
        small.pop_back();
        small.push_back(1);
        small.clear();
        small.close();
    }
}

static void partial()
{
    with_elements("partial").close();
    CHECK(truncate(in_scratch("partial").c_str(), 4 * 100 + 2) == 0);
    auto array_ = array::open(in_scratch("partial"));
    CHECK(array_.size() == 100);
    all_fail(array_, mba::errc::partial);
}

/* A disk that is full. Only root can make one. */
static void full()
{
    if (geteuid() != 0) {
        std::fprintf(stderr, "not tried, since only root can mount a small disk: a full disk\n");
        return;
    }
    const std::string directory = in_scratch("small");
    CHECK(mkdir(directory.c_str(), 0700) == 0);
    CHECK(mount("small", directory.c_str(), "tmpfs", 0, "size=256k") == 0);
    {
        auto array_ = array::open(directory + "/full", CREATE);
        const auto *data = array_.data();
        std::uint32_t count = 0;
        std::error_code error;
        while (array_.push_back(count, error), !error) {
            ++count;
        }
        CHECK(error == std::errc::no_space_on_device && count > 60000 && array_.size() == count &&
              array_.data() == data);
        all_fail(array_, std::error_code(ENOSPC, mba::category()));
        for (std::uint32_t n = 0; n < count; ++n) {
            CHECK(array_[n] == n);
        }
        array_.pop_back();
        array_.push_back(7);
        array_.clear();
        array_.push_back(8);
        CHECK(array_.size() == 1);
    }
    CHECK(umount2(directory.c_str(), MNT_DETACH) == 0);
}

/* A file without spare room can't get any, and somebody else has it open: then it can't become shorter either. */
static void stuck()
{
    in_a_child([] {
        with_elements("stuck").close();
        auto a = array::open(in_scratch("stuck"));
        a.resize(4096);
        a.close();
        CHECK(std::signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        const rlimit limit{4 * 4096, 4 * 4096};
        CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        a = array::open(in_scratch("stuck"));
        const mba::array<const std::uint32_t> reader(in_scratch("stuck"));
        const std::error_code full(EFBIG, mba::category());
        all_fail(a, full);
        cannot_shrink(a, full);
        CHECK(reader.to_vector() == a.to_vector() && a[3999] == 3999);
    });
}

/* Whoever copies elements meanwhile learns by the epoch that some were moved. */
static void moved()
{
    auto a = with_elements("moved");
    mba::array<const std::uint32_t> follower(in_scratch("moved"));
    const auto changes_epoch = [&](auto call) {
        const auto before = follower.epoch();
        const auto own = a.epoch();
        call();
        follower.refresh();
        CHECK(follower.epoch() != before && a.epoch() != own);
        CHECK(follower.to_vector() == a.to_vector());
    };
    changes_epoch([&] { a.insert(a.cbegin() + 5, 3, 7); });
    changes_epoch([&] { CHECK(erase_if(a, [](std::uint32_t n) { return n % 2 == 0; }) == 2000); });
    changes_epoch([&] { a.erase(a.cbegin() + 5); });
    changes_epoch([&] { a.assign(3, a.back()); });
    CHECK(a.to_vector() == std::vector<std::uint32_t>(3, 3999));
    const auto before = follower.epoch();
    a.insert(a.cend(), 3, 7);
    follower.refresh();
    CHECK(follower.epoch() == before && follower.to_vector() == a.to_vector());
}

static void others()
{
    auto empty = array::anon();
    THROWS(mba::errc::empty, empty.pop_back());
    THROWS(std::errc::invalid_argument, static_cast<void>(array::shm(nullptr)));
    with_elements("typed").close();
    auto growing = with_elements("growing");
    THROWS(mba::errc::type, mba::array<float>(in_scratch("growing")));
    THROWS(std::errc::is_a_directory, static_cast<void>(array::open(scratch)));
    THROWS(std::errc::invalid_argument, array(in_scratch("x"), static_cast<mba::mode>(0x8000)));
    THROWS(mba::errc::index, growing.advise(0, 8001, mba::advice::random));
    growing.advise(0, 4000, mba::advice::sequential);
}

static auto handler_of_sigbus()
{
    struct sigaction action;
    CHECK(sigaction(SIGBUS, nullptr, &action) == 0);
    return action.sa_sigaction;
}

/* Somebody truncates the file: the guard makes zeros and an error of it, as long as there is one. */
static void guarded()
{
    with_elements("cut").close();
    const auto before = handler_of_sigbus();
    {
        std::error_code error;
        const mba::sigbus_guard guard;
        {
            const mba::sigbus_guard again(error);
            CHECK(!error);
        }
        CHECK(handler_of_sigbus() != before);
        auto cut = array::open(in_scratch("cut"));
        CHECK(cut[3999] == 3999);
        CHECK(truncate(in_scratch("cut").c_str(), 0) == 0);
        CHECK(cut[3999] == 0);
        all_fail(cut, mba::errc::truncated);
        cannot_shrink(cut, mba::errc::truncated);
        const auto both = [&](auto call, auto quiet) {
            fails(cut, mba::errc::truncated, call, quiet);
        };
        both([&] { static_cast<void>(cut.find(1)); },
             [&](E e) { CHECK(cut.find(1, e) == cut.end()); });
        both([&] { static_cast<void>(cut.count(1)); }, [&](E e) { CHECK(cut.count(1, e) == 0); });
        both([&] { cut.fill(7); }, [&](E e) { cut.fill(7, e); });
        both([&] { cut.reverse(); }, [&](E e) { cut.reverse(e); });
        both([&] { cut.byteswap(); }, [&](E e) { cut.byteswap(e); });
        both([&] { cut.commit(4000); }, [&](E e) { cut.commit(4000, e); });
        both([&] { cut.shrink_to_fit(); }, [&](E e) { cut.shrink_to_fit(e); });
        both([&] { cut.flush(); }, [&](E e) { cut.flush(e); });
        both([&] { cut.refresh(); }, [&](E e) { cut.refresh(e); });
        both([&] { cut.lock(); }, [&](E e) { cut.lock(e); });
        both([&] { static_cast<void>(cut.try_lock()); }, [&](E e) { CHECK(!cut.try_lock(e)); });
        THROWS(mba::errc::truncated, cut.close());
        CHECK(!cut);
    }
    CHECK(handler_of_sigbus() == before);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    codes();
    words(in_scratch("words"));
    detached(in_scratch("detached"));
    locked();
    fixed();
    limited();
    partial();
    full();
    stuck();
    moved();
    others();
    guarded();
    return 0;
}
